//! Makes a Lab out of a Spec: resolves names, fills in defaults, derives what is derivable, and finds
//! all problems that can be found without a hypervisor.

mod connections;
mod dependencies;
mod devices;
mod disks;
mod dns;
mod drive;
mod files;
mod fitness;
mod guests;
mod host;
mod install;
mod interfaces;
mod machine;
mod moved;
mod names;
mod networks;
mod overlay;
mod passed;
mod pool_source;
mod ports;
mod processor;
mod storage;
mod system;
mod system_network;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use disks::not_shared;
pub(crate) use interfaces::derive_mac;
pub(crate) use networks::reserved;

use super::decode::{Given, Spanned};
use super::model::host::Host;
use super::model::{Lab, Lifecycle, Written};
use super::written::network::NetworkSpec;
use super::written::{Named, Spec};
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceMap, Span, did_you_mean_of};
use crate::lab::moves::Moves;

/// Resolves a definition. What it returns is whole only where no error was reported.
pub fn resolve(spec: &Spec, sources: &SourceMap, problems: &mut Diagnostics) -> Option<Lab> {
    if !spec.lab_given {
        problems.push(
            Diagnostic::error("the lab has no name")
                .at(spec.begins)
                .hint("write `lab: NAME` at the top of the definition"),
        );
    }
    // With a stand-in for a name the other problems are found all the same.
    let name = match &spec.lab {
        Some(name) => name.value.clone(),
        None => Name::new("unnamed").ok()?,
    };
    let mut resolver = Resolver {
        sources,
        problems,
        flawed_networks: flawed(&spec.networks),
        reserved_by_others: reserved_by_others(&spec.networks),
        image_keys: spec.images.iter().map(|i| i.key.value.clone()).collect(),
        guest_keys: spec.guests.iter().map(|g| g.key.value.clone()).collect(),
        lab: Lab {
            name,
            networks: BTreeMap::new(),
            pools: BTreeMap::new(),
            images: BTreeMap::new(),
            guests: BTreeMap::new(),
            host: Host::default(),
            moves: Moves::default(),
            written: written(spec),
            places: BTreeMap::new(),
        },
    };
    resolver.networks(&spec.networks);
    resolver.pools(&spec.pools);
    resolver.images(&spec.images);
    resolver.guests(&spec.guests);
    resolver.dependencies(&spec.guests);
    resolver.addresses(&spec.guests);
    resolver.boots_somebody(&spec.networks);
    resolver.system_networks(&spec.guests);
    resolver.fitness(&spec.guests);
    resolver.volume_names();
    resolver.shared_disks();
    resolver.host(&spec.host);
    resolver.moved(&spec.moved);
    Some(resolver.lab)
}

fn written(spec: &Spec) -> Written {
    let networks = spec.networks.iter().filter(|n| n.spec.name.is_some());
    let pools = spec.pools.iter().filter(|pool| pool.spec.name.is_some());
    let nics = spec.guests.iter().flat_map(|guest| {
        let nics = guest.spec.interfaces.iter();
        nics.filter(|nic| nic.spec.mac.is_some())
            .map(|nic| (guest.key.value.clone(), nic.key.value.clone()))
    });
    Written {
        names: networks
            .map(|network| Address::network(&network.key.value))
            .chain(pools.map(|pool| Address::pool(&pool.key.value)))
            .collect(),
        macs: nics.collect(),
    }
}

fn flawed<T>(all: &[Named<T>]) -> BTreeSet<Name> {
    let flawed = all.iter().filter(|named| named.flawed);
    flawed.map(|named| named.key.value.clone()).collect()
}

fn reserved_by_others(networks: &[Named<NetworkSpec>]) -> BTreeSet<Name> {
    let written = networks.iter().filter(|named| {
        let reservations = named.spec.external.reservations.as_ref();
        reservations.is_some_and(|reservations| !reservations.value)
    });
    written.map(|named| named.key.value.clone()).collect()
}

/// What is known while a lab is resolved.
struct Resolver<'a> {
    sources: &'a SourceMap,
    problems: &'a mut Diagnostics,
    /// Networks in which something could not be read: addresses are not held against them.
    flawed_networks: BTreeSet<Name>,
    /// External networks of which the definition says that others make the reservations.
    reserved_by_others: BTreeSet<Name>,
    image_keys: BTreeSet<Name>,
    guest_keys: BTreeSet<Name>,
    lab: Lab,
}

/// What a reference can point at.
#[derive(Clone, Copy)]
enum Referent {
    Network,
    Pool,
    Image,
    Guest,
}

impl Referent {
    fn as_str(self) -> &'static str {
        match self {
            Referent::Network => "network",
            Referent::Pool => "pool",
            Referent::Image => "image",
            Referent::Guest => "guest",
        }
    }
}

impl Resolver<'_> {
    fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Whether something of that name is defined; if not, that is a problem at the place of the reference.
    fn check_reference(&mut self, to: Referent, name: &Spanned<Name>) -> bool {
        let known: Vec<&str> = match to {
            Referent::Network => self.lab.networks.keys().map(Name::as_str).collect(),
            Referent::Pool => self.lab.pools.keys().map(Name::as_str).collect(),
            Referent::Image => self.image_keys.iter().map(Name::as_str).collect(),
            Referent::Guest => self.guest_keys.iter().map(Name::as_str).collect(),
        };
        if known.contains(&name.value.as_str()) {
            return true;
        }
        let what = to.as_str();
        let mut problem =
            Diagnostic::error(format!("there is no {what} `{}`", name.value)).at(name.span);
        let all = format!("all are under `{what}s`");
        problem.hint = did_you_mean_of(name.value.as_str(), known, &all).or(Some(match to {
            Referent::Network | Referent::Pool => format!(
                "define it under `{what}s`; one that exists already is `{}: {{external: true}}`",
                name.value
            ),
            Referent::Image | Referent::Guest => format!("define it under `{what}s`"),
        }));
        self.report(problem);
        false
    }

    /// The name in libvirt: the one given, or the key.
    fn libvirt_name(&mut self, key: &Spanned<Name>, given: &Given<String>) -> Spanned<String> {
        let Some(name) = given else {
            return Spanned {
                value: key.value.to_string(),
                span: key.span,
            };
        };
        let bad = name.value.trim() != name.value
            || name.value.is_empty()
            || name.value.contains(|c: char| c == '/' || c.is_control());
        if bad {
            self.report(
                Diagnostic::error(format!("libvirt takes no such name as `{}`", name.value))
                    .at(name.span)
                    .hint("a name has no slash, no line break and no space at its ends"),
            );
        }
        name.clone()
    }

    /// Reports two things of a kind that have one name in libvirt.
    fn check_unique_names(&mut self, what: &str, names: &[Spanned<String>]) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for name in names {
            match seen.get(name.value.as_str()) {
                Some(first) => {
                    let problem =
                        Diagnostic::error(format!("two {what}s are named `{}`", name.value))
                            .at(name.span)
                            .related(Some(*first), "the other one")
                            .hint("give one of them another `name`");
                    self.problems.push(problem);
                }
                None => {
                    seen.insert(&name.value, name.span);
                }
            }
        }
    }

    /// Checks the name of a bridge of the host (Linux: IFNAMSIZ less the final zero).
    fn check_bridge_name(&mut self, bridge: &Spanned<String>) {
        self.check_interface_name(bridge, "bridge");
    }

    /// As above, of a device that is there.
    fn check_device_name(&mut self, device: &Spanned<String>) {
        self.check_interface_name(device, "device");
    }

    fn check_interface_name(&mut self, given: &Spanned<String>, what: &str) {
        let name = &given.value;
        let problem = if name.len() > 15 {
            format!("the {what} name `{name}` has {} characters", name.len())
        } else if name.is_empty()
            || name == "."
            || name == ".."
            || name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
        {
            format!("`{name}` cannot be the name of a {what}")
        } else {
            return;
        };
        self.report(
            Diagnostic::error(problem)
                .at(given.span)
                .hint("Linux takes up to 15 characters, without space, `/` or `:`"),
        );
    }

    /// Checks a domain name: labels of letters, digits and hyphens (RFC 1123), 253 characters.
    fn check_domain(&mut self, domain: &Spanned<String>, what: &str) {
        if domain.value.len() > 253 || !domain.value.split('.').all(is_label) {
            self.report(
                Diagnostic::error(format!("`{}` is not {what}", domain.value))
                    .at(domain.span)
                    .hint(LABEL_RULE),
            );
        }
    }
}

/// Says what a host name may look like.
const LABEL_RULE: &str = "between dots there are 1 to 63 letters, digits and hyphens, the hyphens not at the ends (RFC 1123)";

/// Whether a text is one label of a host name (RFC 1123).
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn lifecycle(prevent_destroy: &Given<bool>) -> Lifecycle {
    Lifecycle {
        prevent_destroy: prevent_destroy.as_ref().is_some_and(|given| given.value),
    }
}

fn value<T: Clone>(given: &Given<T>) -> Option<T> {
    given.as_ref().map(|given| given.value.clone())
}

fn value_or<T: Clone>(given: &Given<T>, default: T) -> T {
    value(given).unwrap_or(default)
}

/// Whether a text is an absolute path, on the hypervisor as here.
fn is_absolute(path: &str) -> bool {
    path.starts_with('/')
}
