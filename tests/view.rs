//! What people and programs read of a plan, as goldens in `tests/cases/view/`.
//!
//! The plans are built by hand, so that each line of the view is shown once. `UPDATE_GOLDENS=1 cargo test --test view`
//! writes the goldens anew. Read the diff.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use miniascape::address::{Address, Name};
use miniascape::diagnostic::{Diagnostic, Diagnostics};
use miniascape::execute::Event;
use miniascape::libvirt::{ErrorKind, HypervisorError};
use miniascape::plan::{Action, AttributeChange, Change, Disruption, Plan, PowerChange, Reason};
use miniascape::step::{Named, Step};
use miniascape::view::json::Form;
use miniascape::view::plan::{Diff, Options, text, totals};
use miniascape::view::{Color, json};
use miniascape::xml::document::Document;
use uuid::Uuid;

const GIB: u64 = 1 << 30;

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/view")
        .join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{}", path.display());
}

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "longer than 80 columns: {line}");
        assert_eq!(line, line.trim_end(), "blanks at the end");
    }
}

fn plain(plan: &Plan) -> String {
    let options = Options {
        color: Color::Never,
        diff: Diff::Hidden,
    };
    text(plan, &options)
}

fn document(text: &str) -> Document {
    Document::parse(text.to_owned(), |_| false).unwrap()
}

fn change(address: &str, action: Action, summary: &str) -> Change {
    let address: Address = address.parse().unwrap();
    Change {
        action,
        summary: summary.to_owned(),
        ..Change::unchanged(address, None)
    }
}

fn attribute(
    name: &str,
    before: Option<&str>,
    after: Option<&str>,
    class: Disruption,
) -> AttributeChange {
    AttributeChange {
        name: name.to_owned(),
        before: before.map(Into::into),
        after: after.map(Into::into),
        disruption: class,
        note: None,
        beside: None,
        cause: None,
        last: None,
    }
}

fn update(address: &str, class: Disruption, attributes: Vec<AttributeChange>) -> Change {
    Change {
        disruption: Some(class),
        attributes,
        ..change(address, Action::Update, "")
    }
}

fn plan(changes: Vec<Change>) -> Plan {
    Plan {
        lab: Name::new("shop").unwrap(),
        uri: "qemu:///system".to_owned(),
        changes: changes
            .into_iter()
            .map(|change| (change.address.clone(), change))
            .collect(),
        moves: Vec::new(),
        edges: Default::default(),
        problems: Diagnostics::default(),
    }
}

/// What the design shows as an example.
fn sample() -> Plan {
    let unchanged = [
        "pool.shop",
        "image.debian-12",
        "volume.db1.data",
        "volume.db1.root",
        "volume.mail.root",
        "volume.web1.root",
        "guest.mail",
        "guest.web1",
        "network.back",
    ];
    let mut changes: Vec<Change> = unchanged
        .iter()
        .map(|address| change(address, Action::None, ""))
        .collect();
    let before = "<network>\n  <name>front</name>\n  <dns>\n    <host ip='192.168.155.5'><hostname>ntp</hostname></host>\n  </dns>\n</network>";
    changes.push(Change {
        before_xml: Some(document(before)),
        after_xml: Some(document(&before.replace("155.5", "155.6"))),
        ..update(
            "network.front",
            Disruption::Live,
            vec![
                attribute(
                    "dns.hosts.ntp",
                    Some("192.168.155.5"),
                    Some("192.168.155.6"),
                    Disruption::Live,
                ),
                attribute(
                    "dhcp.hosts.web2",
                    None,
                    Some("52:54:00:1f:22:03 192.168.155.12"),
                    Disruption::Live,
                ),
            ],
        )
    });
    changes.push(change(
        "volume.web2.root",
        Action::Create,
        "10 GiB over debian-12",
    ));
    let made = "<domain type='kvm'><name>web2</name><vcpu>2</vcpu></domain>";
    changes.push(Change {
        power: Some(PowerChange::Start),
        after_xml: Some(document(made)),
        steps: vec![
            Step::DefineGuest {
                xml: document(made),
            },
            Step::StartGuest {
                name: Named::new("web2", Uuid::nil()),
            },
        ],
        ..change(
            "guest.web2",
            Action::Create,
            "2 vcpus, 2 GiB, front 192.168.155.12",
        )
    });
    let mut memory = attribute("memory", Some("1 GiB"), Some("4 GiB"), Disruption::Restart);
    memory.note = Some("live maximum is 2 GiB".into());
    changes.push(Change {
        power: Some(PowerChange::Restart),
        quiesce: vec![Step::ShutdownGuest {
            name: Named::new("db1", Uuid::nil()),
            timeout: 120,
        }],
        ..update("guest.db1", Disruption::Restart, vec![memory])
    });
    changes.push(Change {
        data_loss: Some(10 * GIB),
        reason: Some(Reason::Orphan),
        before_xml: Some(document("<volume><name>old1-root.qcow2</name></volume>")),
        ..change("volume.old1.root", Action::Delete, "10 GiB")
    });
    plan(changes)
}

/// Everything that the sample does not show.
fn rest() -> Plan {
    let power = |address: &str, power: PowerChange, class: Disruption| Change {
        power: Some(power),
        ..update(address, class, Vec::new())
    };
    let because = |reason: Reason, change: Change| Change {
        reason: Some(reason),
        ..change
    };
    plan(vec![
        Change {
            data_loss: Some(20 * GIB),
            disruption: Some(Disruption::Recreate),
            attributes: vec![attribute(
                "format",
                Some("raw"),
                Some("qcow2"),
                Disruption::Recreate,
            )],
            ..change("volume.db1.root", Action::Replace, "20 GiB")
        },
        Change {
            disruption: Some(Disruption::Recreate),
            attributes: vec![attribute(
                "name",
                Some("lan"),
                Some("front"),
                Disruption::Recreate,
            )],
            ..change(
                "network.front",
                Action::Replace,
                "192.168.155.1/24, nat, a-domain-with-a-name-that-is-long.example",
            )
        },
        power("guest.started", PowerChange::Start, Disruption::Live),
        power("guest.stopped", PowerChange::Stop, Disruption::Restart),
        power("guest.restarted", PowerChange::Restart, Disruption::Restart),
        because(
            Reason::Missing,
            Change {
                power: Some(PowerChange::Start),
                ..change("guest.missing", Action::Create, "1 vcpu, 1 GiB")
            },
        ),
        because(
            Reason::Unfinished,
            change("pool.shop", Action::Create, "/var/lib/libvirt/images/shop"),
        ),
        because(
            Reason::Orphan,
            Change {
                power: Some(PowerChange::Stop),
                ..change("guest.orphan", Action::Delete, "2 vcpus, 2 GiB")
            },
        ),
        because(
            Reason::Drift,
            update(
                "guest.a-guest-with-a-long-name.example",
                Disruption::Restart,
                vec![
                    attribute(
                        "interfaces.eth0.network",
                        Some("front"),
                        Some("back"),
                        Disruption::Live,
                    ),
                    attribute(
                        "watchdog",
                        None,
                        Some("<watchdog model=\"i6300esb\" action=\"reset\"/>"),
                        Disruption::Restart,
                    ),
                    attribute(
                        "boot.cmdline",
                        Some("console=ttyS0 quiet root=/dev/vda1 rootwait"),
                        Some("console=ttyS0 root=/dev/vda1 rootwait panic=1"),
                        Disruption::Restart,
                    ),
                    attribute(
                        "disks.scratch",
                        Some("vdb scratch.qcow2"),
                        None,
                        Disruption::Live,
                    ),
                ],
            ),
        ),
        update(
            "network.back",
            Disruption::Relink,
            vec![
                attribute("mtu", None, Some("9000"), Disruption::Relink),
                attribute("dns.hosts.old", Some("10.0.0.9"), None, Disruption::Live),
            ],
        ),
        change("volume.gone.root", Action::Forget, ""),
    ])
}

#[test]
fn the_sample_of_the_design() {
    let shown = plain(&sample());
    fits(&shown);
    golden("sample.txt", &shown);
}

#[test]
fn what_else_a_plan_says() {
    let shown = plain(&rest());
    fits(&shown);
    golden("rest.txt", &shown);
}

#[test]
fn nothing_to_do_is_one_line() {
    let plan = plan(vec![
        change("network.front", Action::None, ""),
        change("guest.web1", Action::None, ""),
    ]);
    assert_eq!(
        plain(&plan),
        "Nothing to do: 2 resources, all as defined.\n"
    );
    assert_eq!(totals(&plan), plain(&plan).trim_end());
}

#[test]
fn xml_is_shown_as_hunks() {
    let options = Options {
        color: Color::Never,
        diff: Diff::Shown,
    };
    golden("diff.txt", &text(&sample(), &options));
}

#[test]
fn colour_adds_nothing_that_the_text_lacks() {
    for (name, plan) in [("sample.color.txt", sample()), ("rest.color.txt", rest())] {
        for diff in [Diff::Hidden, Diff::Shown] {
            let with = |color| text(&plan, &Options { color, diff });
            let mut coloured = with(Color::Always);
            if diff == Diff::Hidden {
                golden(name, &coloured);
            }
            while let Some(start) = coloured.find('\u{1b}') {
                let end = start + coloured[start..].find('m').unwrap();
                coloured.replace_range(start..=end, "");
            }
            assert_eq!(coloured, with(Color::Never));
        }
    }
}

#[test]
fn plans_for_programs() {
    let mut plan = sample();
    plan.problems
        .push(Diagnostic::warning("network front overlaps eth0").hint("give it another subnet"));
    golden("sample.json", &json::text(&json::plan(&plan), Form::Lines));
    golden("rest.json", &json::text(&json::plan(&rest()), Form::Lines));
}

#[test]
fn a_value_of_many_lines_is_shown_as_one() {
    let many = attribute(
        "description",
        Some("one\n+ two\u{1b}[31m\n"),
        Some("one"),
        Disruption::Live,
    );
    let shown = plain(&plan(vec![update(
        "guest.one",
        Disruption::Live,
        vec![many],
    )]));
    fits(&shown);
    let line = r"      description        one\n+ two\u{1b}[31m\n -> one";
    assert!(shown.lines().any(|shown| shown == line), "{shown}");
}

#[test]
fn events_for_programs() {
    let web: Address = "guest.web".parse().unwrap();
    let address = || web.clone();
    let events = [
        Event::Started { address: address() },
        Event::Step {
            address: address(),
            description: "start guest web".to_owned(),
        },
        Event::Progress {
            address: address(),
            done: 1,
            total: 2,
        },
        Event::Note {
            address: address(),
            text: "a \"remark\"\nof two lines".to_owned(),
        },
        Event::Finished {
            address: address(),
            elapsed: Duration::from_millis(1500),
        },
        Event::Failed {
            address: address(),
            description: "start guest web".to_owned(),
            error: HypervisorError {
                kind: ErrorKind::Failed,
                message: "start guest web: no memory".to_owned(),
                hint: Some("give it less".to_owned()),
            },
        },
        Event::Skipped {
            address: address(),
            because: "network.front".parse().unwrap(),
        },
    ];
    let lines: String = events
        .iter()
        .map(|event| json::text(&json::event(event), Form::Line))
        .collect();
    assert_eq!(lines.lines().count(), events.len(), "an event is one line");
    golden("events.jsonl", &lines);
}

#[test]
fn nothing_is_cut_and_no_line_is_too_long() {
    let all = |shown: &str, parts: &[&str]| {
        fits(shown);
        for part in parts {
            assert!(shown.contains(part), "no `{part}` in\n{shown}");
        }
    };
    for length in 1..=60 {
        let (name, text) = ("n".repeat(length.min(50)), "t".repeat(length));
        for other in [1, 20, 40, 60] {
            let other = "o".repeat(other);
            let replaced = Change {
                data_loss: Some(GIB),
                disruption: Some(Disruption::Recreate),
                reason: Some(Reason::Drift),
                ..change(&format!("guest.{name}"), Action::Replace, &other)
            };
            let class = "recreate, data lost (drift)";
            // Address and class share a line: the longest addresses leave no room for the longest class.
            if length <= 40 {
                all(&plain(&plan(vec![replaced])), &[&name, &other, class]);
            }
            let mut one = attribute(&name, Some(&other), Some(&text), Disruption::Live);
            one.note = Some("live maximum is 2 GiB".into());
            let updated = update("guest.one", Disruption::Restart, vec![one]);
            let shown = plain(&plan(vec![updated]));
            all(
                &shown,
                &[&name, &other, &text, "(live, live maximum is 2 GiB)"],
            );
        }
    }
}

#[test]
fn passwords_are_hidden_and_their_change_is_seen() {
    let xml = |passwd: &str, cookie: &str| {
        document(&format!(
            "<domain><devices><disk><source><cookies><cookie name='a'>{cookie}</cookie></cookies></source></disk>\
             <graphics type='vnc' passwd='{passwd}'/></devices></domain>"
        ))
    };
    let secret = |text| {
        attribute(
            "graphics.passwd",
            Some("S3CRET1"),
            text,
            Disruption::Restart,
        )
    };
    let mut wanted = secret(Some("S3CRET2"));
    wanted.last = Some("S3CRET0".into());
    wanted.cause = Some(miniascape::xml::merge::Cause::Both);
    let arg = "<qemu:arg value=\'secret,id=a,data=S3CRET3\'/>";
    let mut plan = plan(vec![
        Change {
            before_xml: Some(xml("S3CRET1", "S3CRET4")),
            after_xml: Some(xml("S3CRET2", "S3CRET4")),
            pending: vec![secret(Some("S3CRET2"))],
            reason: Some(Reason::Both),
            ..update(
                "guest.one",
                Disruption::Restart,
                vec![
                    wanted,
                    attribute("qemu:commandline", None, Some(arg), Disruption::Restart),
                ],
            )
        },
        Change {
            after_xml: Some(xml("S3CRET5", "S3CRET6")),
            ..change("guest.two", Action::Create, "1 vcpu")
        },
    ]);
    plan.hide_secrets();
    let options = Options {
        color: Color::Never,
        diff: Diff::Shown,
    };
    let shown = text(&plan, &options);
    let told = json::plan(&plan).to_string();
    for text in [&shown, &told] {
        assert!(!text.contains("S3CRET"), "{text}");
        assert!(text.contains("(hidden), changed"), "{text}");
    }
    golden("secrets.txt", &shown);
}
