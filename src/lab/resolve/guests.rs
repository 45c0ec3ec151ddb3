//! Guests: their names, defaults, and the kernel they boot.

use std::collections::{BTreeMap, BTreeSet};

use super::disks::{Owner, not_shared};
use super::files::On;
use super::processor::Most;
use super::{
    LABEL_RULE, Resolver, devices, is_absolute, is_label, lifecycle, machine, value, value_or,
};
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::load;
use crate::lab::model::{
    Boot, DiskSource, Guest, Interface, InterfaceSource, OnChange, VolumeFormat,
};
use crate::lab::written::Named;
use crate::lab::written::guest::GuestSpec;

/// Memory of a guest that is given none: 1 GiB.
const MEMORY: u64 = 1 << 30;

/// Seconds that a shutdown may take where nothing is said.
const SHUTDOWN_TIMEOUT: u64 = 120;

/// The longest host name that Linux takes (`HOST_NAME_MAX`).
const MAX_FQDN: usize = 64;

impl Resolver<'_> {
    /// Resolves the guests, and what they are to each other apart from addresses.
    pub(super) fn guests(&mut self, specs: &[Named<GuestSpec>]) {
        let mut names = Vec::new();
        for named in specs {
            self.check_directory(&named.key);
            let name = self.libvirt_name(&named.key, &named.spec.name);
            names.push(name.clone());
            let address = Address::guest(&named.key.value);
            self.lab.places.insert(address, named.key.span);
            let guest = self.guest(named, name.value);
            self.lab.guests.insert(named.key.value.clone(), guest);
        }
        self.check_unique_names("guest", &names);
        self.check_host_names(specs);
        self.macs(specs);
        self.check_vsocks(specs);
        self.volume_owners();
        self.one_guest_each(specs);
    }

    /// `generate` writes what is a guest's into a directory of its name.
    fn check_directory(&mut self, key: &Spanned<Name>) {
        if key.value.as_str() == crate::lab::HOST {
            self.report(
                Diagnostic::error("a guest cannot be called `host`")
                    .at(key.span)
                    .hint("`miniascape generate` keeps the directory `host` for the host's own files: give the guest another key, and write `name: host` for libvirt"),
            );
        }
    }

    fn guest(&mut self, named: &Named<GuestSpec>, name: String) -> Guest {
        let spec = &named.spec;
        let interfaces = self.interfaces(&spec.interfaces);
        let owner = Owner {
            key: &named.key.value,
            name: &name,
            iothreads: &spec.iothreads,
        };
        let mut disks = self.disks(&owner, &spec.disks);
        self.check_boot(spec);
        self.check_device_names(spec);
        if let Some(title) = spec
            .title
            .as_ref()
            .filter(|title| title.value.contains('\n'))
        {
            self.report(
                Diagnostic::error("a title is one line")
                    .at(title.span)
                    .hint("put longer texts into `description`"),
            );
        }
        let install = self.install(named, &disks);
        let cloud_init = self.seed(named, &name, &mut disks);
        let (hostname, fqdn) = self.host_name(named, &interfaces);
        let (vcpus, memory) = (value_or(&spec.vcpus, 1), value_or(&spec.memory, MEMORY));
        self.check_maximum("vcpus", u64::from(vcpus), &spec.vcpus, &spec.max_vcpus);
        self.check_maximum("memory", memory, &spec.memory, &spec.max_memory);
        let serial = self.serial(spec);
        let mut system = self.system(&spec.system);
        system.serial_console &= serial.is_some();
        let max_vcpus = value_or(&spec.max_vcpus, vcpus);
        let max_memory = value_or(&spec.max_memory, memory);
        let most = Most::of(spec, !named.flawed, max_vcpus, max_memory);
        Guest {
            key: named.key.value.clone(),
            name,
            uuid: Address::guest(&named.key.value).uuid(&self.lab.name),
            hostname,
            fqdn,
            title: trimmed(&spec.title),
            description: trimmed(&spec.description),
            groups: spec.group.iter().map(|group| group.value.clone()).collect(),
            domain_type: value(&spec.domain_type),
            arch: value(&spec.arch),
            machine: value(&spec.machine),
            cpu: self.cpu(spec, most),
            vcpus,
            memory,
            max_vcpus,
            max_memory,
            iothreads: value(&spec.iothreads),
            hugepages: self.hugepages(spec, most),
            numa: self.numa(spec, most),
            pin: self.pin(spec, most),
            tuning: self.tuning(&spec.tuning, most),
            firmware: machine::firmware(spec),
            hardware: self.machine(spec),
            boot: self.boot(spec),
            disks,
            interfaces,
            hostdevs: self.hostdevs(&spec.hostdevs, &spec.arch),
            shares: self.shares(&spec.shares),
            graphics: self.graphics(spec),
            serial,
            agent: devices::agent(spec),
            rng: devices::rng(spec),
            video: self.video(spec),
            input: self.input(spec),
            sound: devices::sound(spec),
            vsock: devices::vsock(spec),
            running: value_or(&spec.running, true),
            autostart: value_or(&spec.autostart, false),
            depends_on: spec
                .depends_on
                .iter()
                .map(|guest| guest.value.clone())
                .collect(),
            shutdown_timeout: value_or(&spec.shutdown_timeout, SHUTDOWN_TIMEOUT),
            on_change: value_or(&spec.on_change, OnChange::default()),
            lifecycle: lifecycle(&spec.lifecycle.prevent_destroy),
            system,
            install,
            cloud_init,
            files: self.files(&spec.files, On::Guest),
            templates: self.templates(&spec.templates, On::Guest),
            vars: spec.vars.clone(),
            xml: self.overlay(&spec.xml, "domain"),
        }
    }

    /// What a guest has may not be more than it can have.
    fn check_maximum<T: Copy + Into<u64>>(
        &mut self,
        key: &str,
        now: u64,
        given: &Given<T>,
        maximum: &Given<T>,
    ) {
        let Some(maximum) = maximum.as_ref().filter(|max| max.value.into() < now) else {
            return;
        };
        let mut problem = Diagnostic::error(format!("`max_{key}` is less than `{key}`"))
            .at(maximum.span)
            .hint("it is what the guest can be given while it runs: make it as much or more, or leave it out");
        if let Some(given) = given {
            problem = problem.related(Some(given.span), "what it is to have now");
        }
        self.report(problem);
    }

    fn boot(&mut self, spec: &GuestSpec) -> Boot {
        if spec.boot.kernel.is_none() {
            for (key, given) in [
                ("initrd", &spec.boot.initrd),
                ("cmdline", &spec.boot.cmdline),
            ] {
                if let Some(given) = given {
                    self.report(
                        Diagnostic::error(format!("`{key}` needs `kernel`"))
                            .at(given.span)
                            .hint("give the kernel that is booted with it"),
                    );
                }
            }
        }
        Boot {
            kernel: self.boot_file(&spec.boot.kernel),
            initrd: self.boot_file(&spec.boot.initrd),
            cmdline: value(&spec.boot.cmdline),
            order: spec
                .boot
                .order
                .iter()
                .map(|device| device.value.to_owned())
                .collect(),
        }
    }

    /// An absolute path is the hypervisor's, where nothing can be checked here; a relative one is beside the definition.
    pub(super) fn boot_file(&mut self, given: &Given<String>) -> Option<String> {
        let given = given.as_ref()?;
        if is_absolute(&given.value) {
            return Some(given.value.clone());
        }
        let path = load::absolute(self.sources, given.span, &given.value);
        if !path.is_file() {
            self.report(
                Diagnostic::error(format!("there is no file {}", given.value))
                    .at(given.span)
                    .hint("a relative path begins at the file of the definition; one on the hypervisor at `/`"),
            );
        }
        Some(path.to_string_lossy().into_owned())
    }

    /// Host name and fully qualified name: each follows from the other, both from the key and the network.
    fn host_name(
        &mut self,
        named: &Named<GuestSpec>,
        interfaces: &[Interface],
    ) -> (String, String) {
        let spec = &named.spec;
        let first_label = |text: &str| text.split('.').next().unwrap_or_default().to_owned();
        let hostname = match (&spec.hostname, &spec.fqdn) {
            (Some(hostname), _) => hostname.clone(),
            (None, Some(fqdn)) => Spanned {
                value: first_label(&fqdn.value),
                span: fqdn.span,
            },
            (None, None) => Spanned {
                value: first_label(named.key.value.as_str()),
                span: named.key.span,
            },
        };
        if !is_label(&hostname.value) {
            let derived = spec.hostname.is_none() && spec.fqdn.is_none();
            let hint = match derived {
                true => {
                    "give the guest a `hostname` of 1 to 63 letters, digits and hyphens (RFC 1123)"
                }
                false => {
                    "a host name has 1 to 63 letters, digits and hyphens, the hyphens not at the ends (RFC 1123); the domain goes into `fqdn`"
                }
            };
            self.report(
                Diagnostic::error(format!("`{}` is not a host name", hostname.value))
                    .at(hostname.span)
                    .hint(hint),
            );
        }
        // The guest's name is for what has no other and is to have one.
        let mut nics: Vec<&Interface> = interfaces.iter().collect();
        nics.sort_by_key(|nic| (!nic.dns, nic.hostname.is_some()));
        let domain = nics.into_iter().find_map(|nic| match &nic.source {
            InterfaceSource::Network { network, .. } => self
                .lab
                .networks
                .get(network)
                .and_then(|network| network.domain.clone()),
            InterfaceSource::Bridge { .. }
            | InterfaceSource::Direct { .. }
            | InterfaceSource::User => None,
        });
        let fqdn = match (&spec.fqdn, domain) {
            (Some(fqdn), _) => fqdn.value.clone(),
            (None, Some(domain)) => format!("{}.{domain}", hostname.value),
            (None, None) => hostname.value.clone(),
        };
        let place = spec.fqdn.as_ref().map_or(hostname.span, |fqdn| fqdn.span);
        if let Some(fqdn) = &spec.fqdn {
            if is_label(&hostname.value) && !fqdn.value.split('.').all(is_label) {
                self.report(
                    Diagnostic::error(format!("`{}` is not a fully qualified name", fqdn.value))
                        .at(fqdn.span)
                        .hint(LABEL_RULE),
                );
            }
            if first_label(&fqdn.value) != hostname.value {
                self.report(
                    Diagnostic::error(format!(
                        "`hostname` is `{}`, and `fqdn` begins with another name",
                        hostname.value
                    ))
                    .at(fqdn.span)
                    .related(Some(hostname.span), "the host name")
                    .hint("remove one of them: each follows from the other"),
                );
            }
        }
        if fqdn.len() > MAX_FQDN {
            self.report(
                Diagnostic::error(format!(
                    "the name `{fqdn}` has {} characters, and Linux takes {MAX_FQDN}",
                    fqdn.len()
                ))
                .at(place)
                .hint("shorten the guest's `hostname` or the network's `domain`"),
            );
        }
        (hostname.value, fqdn)
    }

    /// Two guests cannot have one fully qualified name, nor one host name on one network.
    fn check_host_names(&mut self, specs: &[Named<GuestSpec>]) {
        let mut seen: BTreeMap<(Option<Name>, String), (Name, Span)> = BTreeMap::new();
        for named in specs {
            let Some(guest) = self.lab.guests.get(&named.key.value) else {
                continue;
            };
            let place = [&named.spec.fqdn, &named.spec.hostname]
                .into_iter()
                .flatten()
                .next()
                .map_or(named.key.span, |given| given.span);
            let networks: BTreeSet<Name> = guest
                .interfaces
                .iter()
                .filter_map(|nic| match &nic.source {
                    InterfaceSource::Network { network, .. } => Some(network.clone()),
                    InterfaceSource::Bridge { .. }
                    | InterfaceSource::Direct { .. }
                    | InterfaceSource::User => None,
                })
                .collect();
            let mut names = vec![(None, guest.fqdn.to_ascii_lowercase())];
            let hostname = guest.hostname.to_ascii_lowercase();
            names.extend(
                networks
                    .into_iter()
                    .map(|network| (Some(network), hostname.clone())),
            );
            names.extend(guest.interfaces.iter().filter_map(|nic| {
                let InterfaceSource::Network { network, .. } = &nic.source else {
                    return None;
                };
                let name = nic.hostname.as_ref()?.to_ascii_lowercase();
                Some((Some(network.clone()), name))
            }));
            let clash = names
                .iter()
                .find_map(|name| seen.get(name).cloned().map(|first| (name, first)));
            if let Some(((network, name), (first, first_place))) = clash {
                let scope = match network {
                    Some(network) => format!(" on the network `{network}`"),
                    None => String::new(),
                };
                let problem = Diagnostic::error(format!(
                    "`{first}` and `{}` have the same name `{name}`{scope}",
                    named.key.value
                ))
                .at(place)
                .related(Some(first_place), "the other guest's")
                .hint("give one of them another `hostname`");
                self.problems.push(problem);
            }
            for name in names {
                seen.entry(name).or_insert((named.key.value.clone(), place));
            }
        }
    }

    /// Finds the disks that are volumes of the lab's own, so that they are made first. They have the format that they are made in.
    fn volume_owners(&mut self) {
        let lab = &self.lab;
        let images = lab.images.values().map(|image| {
            (
                (image.pool.clone(), image.name.clone()),
                (Address::image(&image.key), image.format),
            )
        });
        let volumes = lab.volumes().map(|(_, volume)| {
            (
                (volume.pool.clone(), volume.name.clone()),
                (volume.address.clone(), volume.format),
            )
        });
        let owners: BTreeMap<(Name, String), (Address, VolumeFormat)> =
            images.chain(volumes).collect();
        let mut problems = Vec::new();
        for guest in self.lab.guests.values_mut() {
            for disk in &mut guest.disks {
                let DiskSource::Existing {
                    pool,
                    volume,
                    owner,
                } = &mut disk.source
                else {
                    continue;
                };
                let Some((address, format)) = owners.get(&(pool.clone(), volume.clone())) else {
                    continue;
                };
                let place = Address::volume(&guest.key, &disk.key);
                let place = self.lab.places.get(&place).copied();
                if disk.format.is_some_and(|written| written != *format) {
                    problems.push(
                        Diagnostic::error(format!(
                            "{address} is made in {} format",
                            format.as_str()
                        ))
                        .at(place)
                        .hint("remove `format` of this disk"),
                    );
                }
                if disk.format.is_none() && disk.shareable && *format == VolumeFormat::Qcow2 {
                    problems.push(not_shared(place));
                }
                *owner = Some(address.clone());
                disk.format = Some(*format);
            }
        }
        for problem in problems {
            self.report(problem);
        }
    }
}

/// A text without the line break that a block ends with: in XML it would be lost.
fn trimmed(given: &Given<String>) -> Option<String> {
    let text = given.as_ref()?.value.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
