//! Whether what a guest asks of its system can be had: what its installer leaves out, and what nobody would notice before the
//! install is done. These are warnings, but for what cannot work.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolver;
use super::install::own_template;
use super::words::is_pattern;
use crate::diagnostic::{Diagnostic, Span};
use crate::install::os::{Family, Installer, Os};
use crate::lab::model::Guest;
use crate::lab::model::install::Install;
use crate::lab::model::system::{Missing, Storage, User};
use crate::lab::written::Named;
use crate::lab::written::guest::GuestSpec;
use crate::lab::written::system::{AddressMethod, StorageSpec, SystemSpec};
use crate::xml::tree::Element;

const MIB: u64 = 1 << 20;

impl Resolver<'_> {
    /// Holds systems against what sets them up.
    pub(super) fn fitness(&mut self, specs: &[Named<GuestSpec>]) {
        self.undelivered(specs);
        // Out of the lab meanwhile, so that problems can be noted.
        let guests = std::mem::take(&mut self.lab.guests);
        for named in specs.iter().filter(|named| !named.flawed) {
            let Some(guest) = guests.get(&named.key.value) else {
                continue;
            };
            self.reachable(named, guest);
            match &guest.install {
                Some(install) => self.fits_installer(named, guest, install),
                None => self.fits_image(&named.spec.system, guest),
            }
        }
        self.lab.guests = guests;
    }

    /// Says of a `system` and of files that no guest's installer or cloud-init gets them. What is shared by guests is
    /// used where one of them does.
    fn undelivered(&mut self, specs: &[Named<GuestSpec>]) {
        let mut places: BTreeMap<(Span, &str), bool> = BTreeMap::new();
        for named in specs {
            let spec = &named.spec;
            let delivered = spec.install.is_some() || spec.cloud_init.is_some();
            // A NIC's address being static says something of the network too, and templates may read anything.
            let system =
                delivered || !spec.templates.is_empty() || spec.system.network.method.is_some();
            let system = spec.system.span.map(|span| (span, "`system`", system));
            let files = spec
                .files
                .first()
                .map(|file| (file.key.span, "`files`", delivered));
            for (span, what, used) in system.into_iter().chain(files) {
                *places.entry((span, what)).or_default() |= used;
            }
        }
        for ((span, what), used) in places {
            if !used {
                self.report(
                    Diagnostic::warning(format!("nothing brings {what} into the guest"))
                        .at(span)
                        .hint("give the guest `install`, or `cloud_init: true` where its disk has an image with cloud-init"),
                );
            }
        }
    }

    /// A guest that is set up, and that nobody can enter or reach.
    fn reachable(&mut self, named: &Named<GuestSpec>, guest: &Guest) {
        let spec = &named.spec;
        let install = spec.install.as_ref().filter(|_| guest.install.is_some());
        let seed = spec
            .cloud_init
            .as_ref()
            .filter(|_| guest.cloud_init.is_some());
        let (place, template) = match (install, seed) {
            (Some(install), _) => (install.span, &install.template),
            (None, Some(seed)) => (seed.span, &seed.template),
            (None, None) => return,
        };
        if let Some(method) = spec.system.network.method.as_ref()
            && method.value == AddressMethod::Static
            && guest.interfaces.iter().all(|nic| nic.ips.is_empty())
        {
            self.report(
                Diagnostic::warning(format!(
                    "no NIC of guest.{} has an address to be static",
                    guest.key
                ))
                .at(named.key.span)
                .related(Some(method.span), "static")
                .hint("give one an `ip`, or write `system: {network: dhcp}`"),
            );
        }
        let system = &guest.system;
        let root = system.root.password.is_some() || !system.root.ssh_keys.is_empty();
        let user = |user: &User| user.password.is_some() || !user.ssh_keys.is_empty();
        // What the user's own texts do is not known.
        let own = template.is_some() || !system.scripts.post.is_empty() || !guest.files.is_empty();
        if !root && !own && !system.users.iter().any(user) {
            self.report(
                Diagnostic::warning(format!("nobody can log in to guest.{}", guest.key))
                    .at(named.key.span)
                    .related(place, "what sets it up")
                    .hint("give `system: {root: {ssh_keys: […]}}`, or a user with `ssh_keys` or `password`"),
            );
        }
    }

    fn fits_image(&mut self, spec: &SystemSpec, guest: &Guest) {
        if let (Some(storage), Some(_)) = (&spec.storage, &guest.cloud_init)
            && guest.system.storage == Storage::Lvm
        {
            self.report(
                Diagnostic::warning("`storage: lvm` does nothing where there is no `install`")
                    .at(storage.span)
                    .hint("remove it: cloud-init uses the disk as the image has it"),
            );
        }
    }

    fn fits_installer(&mut self, named: &Named<GuestSpec>, guest: &Guest, install: &Install) {
        let (spec, os) = (&named.spec, &install.os);
        let place = spec.install.as_ref().and_then(|install| install.span);
        let needed = memory(install);
        if guest.memory < needed {
            self.report(
                Diagnostic::warning(format!(
                    "the installer of {} needs {} of memory, and guest.{} has {}",
                    os.id,
                    written(needed),
                    guest.key,
                    written(guest.memory)
                ))
                .at(spec
                    .memory
                    .as_ref()
                    .map_or(named.key.span, |memory| memory.span))
                .related(place, "what is installed")
                .hint(format!("write `memory: {}`", written(needed))),
            );
        }
        if let Some(url) = &install.url
            && guest.interfaces.is_empty()
            && spec.xml.is_none()
        {
            self.report(
                Diagnostic::error(format!("guest.{} has no NIC to reach {url} by", guest.key))
                    .at(named.key.span)
                    .related(place, "what is installed")
                    .hint("give it `interfaces: {eth0: {network: NETWORK}}`"),
            );
        }
        let apt = matches!(os.family, Family::Debian | Family::Ubuntu);
        for repository in &spec.system.repositories {
            if apt && repository.spec.suite.is_none() && repository.spec.url.is_some() {
                let codename = os.codename().unwrap_or("stable");
                self.report(
                    Diagnostic::error(format!(
                        "on {} the repository `{}` needs `suite`",
                        os.distro.title(),
                        repository.key.value
                    ))
                    .at(repository.key.span)
                    .related(place, "what is installed")
                    .hint(format!(
                        "write `suite: {codename}, components: [main]`, or `suite: ./` where it has none"
                    )),
                );
            }
        }
        self.fits_hashes(&spec.system, os);
        // What a template of the user's own makes of it is not known.
        let own = spec.install.as_ref().and_then(own_template);
        if own.is_none() {
            self.fits_format(&spec.system, install.installer);
        }
    }

    /// What cannot stand in the answers for an installer.
    fn fits_format(&mut self, spec: &SystemSpec, installer: Installer) {
        match (installer, spec.storage.as_ref().map(|given| &given.value)) {
            (Installer::Autoinstall, _) => {
                let groups = spec.packages.add.iter();
                for group in groups.filter(|package| package.value.starts_with('@')) {
                    let name = group.value.trim_start_matches('@');
                    self.report(
                        Diagnostic::error(format!(
                            "Ubuntu has no group of packages `{}`",
                            group.value
                        ))
                        .at(group.span)
                        .hint(format!(
                            "write `{name}^` for a task, or a package such as `ubuntu-server`"
                        )),
                    );
                }
            }
            (Installer::Autoyast, Some(StorageSpec::Custom(text))) => {
                if let Err(error) = Element::parse(&format!("<profile>{}</profile>", text.value)) {
                    self.report(
                        Diagnostic::error(format!("AutoYaST reads XML, and this is none: {}", error.message))
                            .at(text.span)
                            .hint("write what is to stand in `<profile>`: `<partitioning config:type=\"list\">…</partitioning>`"),
                    );
                }
            }
            (
                Installer::Kickstart | Installer::Preseed | Installer::Autoyast | Installer::Other,
                _,
            ) => {}
        }
        if installer == Installer::Autoyast {
            self.fits_autoyast(spec);
        }
    }

    /// AutoYaST knows packages by their names alone, and asks about one that it does not find.
    fn fits_autoyast(&mut self, spec: &SystemSpec) {
        for package in &spec.packages.remove {
            if is_pattern(&package.value) {
                self.report(
                    Diagnostic::error(format!(
                        "AutoYaST takes no patterns for packages, as `{}`",
                        package.value
                    ))
                    .at(package.span)
                    .hint(
                        "write their names, or have `scripts: {post: …}` remove them with zypper",
                    ),
                );
            }
        }
        if let Some(missing) = &spec.packages.missing
            && missing.value == Missing::Ignore
        {
            self.report(
                Diagnostic::error("AutoYaST cannot leave out packages that it does not find")
                    .at(missing.span)
                    .hint("install them with zypper in `scripts: {post: …}`, and remove `missing`"),
            );
        }
    }

    /// Passwords hashed with yescrypt, as Debian's `mkpasswd` does by itself, are unknown to older systems.
    fn fits_hashes(&mut self, spec: &SystemSpec, os: &Os) {
        let knows = match os.family {
            Family::Fedora => os.major >= 29,
            Family::Rhel => os.major >= 8,
            Family::Debian => os.major >= 11,
            Family::Ubuntu => os.major >= 20,
            Family::Suse => os.major >= 15,
            Family::Other => true,
        };
        let users = spec.users.iter().map(|user| &user.spec.password);
        let given: BTreeSet<Span> = users
            .chain([&spec.root.password])
            .flatten()
            .filter(|password| {
                !knows
                    && ["$y$", "$gy$"]
                        .iter()
                        .any(|id| password.value.starts_with(id))
            })
            .map(|password| password.span)
            .collect();
        for span in given {
            self.report(
                Diagnostic::warning(format!(
                    "{} does not know passwords hashed with yescrypt",
                    os.id
                ))
                .at(span)
                .hint("hash it with `openssl passwd -6` or `mkpasswd -m sha-512`"),
            );
        }
    }
}

/// Memory as a definition has it.
fn written(bytes: u64) -> String {
    match bytes % (1024 * MIB) {
        0 => format!("{}GiB", bytes / (1024 * MIB)),
        _ => format!("{}MiB", bytes / MIB),
    }
}

/// The memory that an installer needs (osinfo-db: `resources`; Debian's installation guide, 3.4). Those that fetch
/// themselves over the network hold themselves in memory.
fn memory(install: &Install) -> u64 {
    let mib = match (install.os.family, install.installer, &install.url) {
        (Family::Rhel, _, Some(_)) if install.os.major < 8 => 1536,
        (Family::Rhel, _, None) if install.os.major < 8 => 1024,
        (Family::Rhel, _, Some(_)) => 3072,
        (Family::Rhel, _, None) => 1536,
        (Family::Fedora, _, _) => 2048,
        (Family::Ubuntu, Installer::Autoinstall, _) => 2048,
        (Family::Debian | Family::Ubuntu, _, _) => 512,
        (Family::Suse, _, _) => 1024,
        (Family::Other, _, _) => 0,
    };
    mib * MIB
}
