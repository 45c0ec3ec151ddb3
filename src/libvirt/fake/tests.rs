use super::*;
use crate::libvirt::Unwatched;

// What it does as libvirt does is told by tests/contract.rs; here is what only a fake can.

fn perform(fake: &Fake, step: Step) -> Result<Outcome, HypervisorError> {
    fake.perform(&step, &Unwatched)
}

fn pool() -> Element {
    Element::parse(
        "<pool type='dir'><name>p</name><uuid>6d696e69-6173-5361-8070-650000000003</uuid><target><path>/p</path></target></pool>",
    )
    .unwrap()
}

fn start() -> Step {
    Step::StartPool {
        name: Named::of(&pool()).unwrap(),
    }
}

#[test]
fn a_failing_step_does_nothing() {
    let fake = Fake::new();
    fake.fail_at(2);
    perform(&fake, Step::DefinePool { xml: pool().into() }).unwrap();
    let before = fake.snapshot();
    assert!(perform(&fake, start()).is_err());
    assert_eq!(fake.snapshot(), before);
    perform(&fake, start()).unwrap();
    assert_eq!(fake.performed(), ["define pool p", "start pool p"]);
}

#[test]
fn a_step_that_fails_late_is_done() {
    let fake = Fake::new();
    fake.fail_after(2);
    perform(&fake, Step::DefinePool { xml: pool().into() }).unwrap();
    let before = fake.snapshot();
    assert!(perform(&fake, start()).is_err());
    assert_ne!(fake.snapshot(), before);
}
