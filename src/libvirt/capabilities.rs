//! Asks libvirt what it has for guests: its capabilities, and what it says of a definition that it is to translate for QEMU without
//! making anything. It is asked only for what is to be defined.

use std::collections::BTreeMap;
use std::fs;

use virt::error::{Error, ErrorNumber};
use virt::sys;

use super::connection::Connection;
use super::error::StepError;
use super::observed::Facts;
use super::offers::{HostMemory, Machine, Objection, Offers, Question};
use super::perform::{alone_at_first, checked};
use super::raw::Held;
use crate::address::Kind;
use crate::xml::document::Document;
use crate::xml::shape;
use crate::xml::tree::Element;

/// How many definitions are checked against libvirt's schema beforehand, which takes it 10 ms each. The others are when they are
/// defined.
const CHECKED_AHEAD: usize = 32;

impl Connection {
    /// Asks about definitions, by their shape.
    pub(super) fn ask_about(
        &self,
        facts: &Facts,
        questions: &BTreeMap<u64, Question>,
    ) -> Result<Offers, StepError> {
        if facts.driver != "QEMU" {
            return Ok(Offers::default());
        }
        let mut offers = Offers {
            capabilities: Element::parse(&self.connect.capabilities()?).ok(),
            memory: self.host_memory(facts),
            virtiofsd: facts.local.then(has_virtiofsd),
            ..Offers::default()
        };
        let mut left = CHECKED_AHEAD;
        for (shape, question) in questions {
            let machine = Machine::of(&question.wanted.tree());
            if !offers.machines.contains_key(&machine)
                && let Some(capabilities) = self.capabilities_of(&machine)
            {
                offers.machines.insert(machine, capabilities);
            }
            let refusal = match left.checked_sub(1) {
                Some(fewer) => {
                    left = fewer;
                    self.refusal(question, |definition| {
                        let checked = self.check(definition).map(Objection::Schema);
                        checked.or_else(|| self.translate(definition))
                    })
                }
                None => self.refusal(question, |definition| self.translate(definition)),
            };
            offers
                .refusals
                .extend(refusal.map(|refusal| (*shape, refusal)));
        }
        Ok(offers)
    }

    /// The capabilities of a machine; `None` where there is no such, or libvirt does not tell.
    fn capabilities_of(&self, machine: &Machine) -> Option<Element> {
        let text = self.connect.domain_capabilities(
            machine.emulator.as_deref(),
            machine.arch.as_deref(),
            machine.machine.as_deref(),
            machine.domain_type.as_deref(),
            0,
        );
        Element::parse(&text.ok()?).ok()
    }

    /// What libvirt says of a definition that it does not take, and does not say of the one that is there.
    fn refusal(
        &self,
        question: &Question,
        ask: impl Fn(&Document) -> Option<Objection>,
    ) -> Option<Objection> {
        let refusal = ask(&question.wanted)?;
        let said_before = question.before.as_ref().and_then(&ask);
        (said_before.as_ref() != Some(&refusal)).then_some(refusal)
    }

    /// Has libvirt check a definition against its schema, which it does only where something is defined. So it is given a name that it
    /// refuses, after the check and before it does anything. What is checked is not checked again when it is defined.
    fn check(&self, definition: &Document) -> Option<String> {
        let mut nameless = Element::clone(&definition.tree());
        let checked = checked(Kind::Guest, shape::of(&nameless));
        let mut is_checked = checked.lock();
        if *is_checked {
            return None;
        }
        nameless.child_mut("name")?.text.push('/');
        let text = nameless.to_string();
        let defined = alone_at_first(Kind::Guest, || {
            let flags = sys::VIR_DOMAIN_DEFINE_VALIDATE;
            let defined = self.connect.define_domain_xml_flags(&text, flags);
            defined.map(Held::new)
        });
        match defined {
            Err(error) if error.code().is(ErrorNumber::XmlInvalidSchema) => {
                return Some(schema_says(error.message()));
            }
            // Refused for its name: what comes before that was in order.
            Err(error) => *is_checked = error.code().is(ErrorNumber::XmlError),
            Ok(guest) => {
                // No libvirt is known to take such a name. It goes at once.
                let _ = guest.undefine();
                *is_checked = true;
            }
        }
        None
    }

    /// Has libvirt make a command of a definition, as it does when a guest starts. That a pool or a file is not there yet says
    /// nothing of the definition.
    fn translate(&self, definition: &Document) -> Option<Objection> {
        let translated = self
            .connect
            .domain_xml_to_native("qemu-argv", &definition.text(), 0);
        translated.err().filter(is_of_definition).map(|error| {
            let message = error.message();
            let known = ["unsupported configuration: ", "XML error: "];
            let bare = known.iter().find_map(|lead| message.strip_prefix(lead));
            Objection::Start(bare.unwrap_or(message).to_owned())
        })
    }

    /// The memory that a process can have at most.
    fn host_memory(&self, facts: &Facts) -> Option<HostMemory> {
        if facts.local {
            let text = fs::read_to_string("/proc/meminfo").ok()?;
            let overcommit = fs::read_to_string("/proc/sys/vm/overcommit_memory").ok()?;
            return most(&text, &overcommit);
        }
        let kib = self.connect.node_info().ok()?.memory;
        Some(HostMemory::WithoutSwap(kib.saturating_mul(1024)))
    }
}

/// Where QEMU's helpers are described, of which libvirt looks for one of the type `fs` when a guest starts.
const HELPERS: [&str; 2] = ["/etc/qemu/vhost-user", "/usr/share/qemu/vhost-user"];

fn has_virtiofsd() -> bool {
    let files = HELPERS.iter().filter_map(|it| fs::read_dir(it).ok());
    let mut files = files.flatten().filter_map(Result::ok);
    files.any(|file| {
        let text = fs::read(file.path()).unwrap_or_default();
        let helper = serde_json::from_slice::<serde_json::Value>(&text).ok();
        helper.is_some_and(|helper| helper.get("type").is_some_and(|it| it == "fs"))
    })
}

/// What libvirt's schema has against a definition, in one line. The file that it is in does not help.
fn schema_says(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.contains("Unable to validate doc"));
    format!("by its schema, {}", lines.collect::<Vec<_>>().join("; "))
}

/// Whether an error is about what a definition says.
fn is_of_definition(error: &Error) -> bool {
    error
        .code()
        .is_any(vec![ErrorNumber::ConfigUnsupported, ErrorNumber::XmlError])
}

/// What the kernel gives a process at most: all memory and swap, unless it was told to give whatever is asked for (proc(5)).
fn most(meminfo: &str, overcommit: &str) -> Option<HostMemory> {
    let bytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib.saturating_mul(1024))
    };
    let all = bytes("MemTotal:")?.saturating_add(bytes("SwapTotal:")?);
    (overcommit.trim() != "1").then_some(HostMemory::Most(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gives_all_memory_and_swap_at_most() {
        let meminfo = "MemTotal:       24684092 kB\nMemFree: 1 kB\nSwapTotal:       1048576 kB\n";
        let all = HostMemory::Most((24_684_092 + 1_048_576) * 1024);
        assert_eq!(most(meminfo, "0\n"), Some(all));
        assert_eq!(most(meminfo, "1\n"), None);
        assert_eq!(most("", "0\n"), None);
    }
}
