//! `system` of a guest as written.

use crate::diagnostic::{Diagnostic, Span};
use crate::lab::attributes::{
    Address, Keys as _, Kind, Map, Nested, OneOrList, Optional, Switch, Text, Type, Whole, Word,
    Words, has, object, words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::model::system::{Finish, Missing, Selinux};
use crate::lab::yaml::{Node, Value};

object! {
    /// `system` as written.
    SystemSpec: "`system`" / "systems", "the settings of a system", after place_of_system {
        /// The language.
        lang: Text [default: "`en_US.UTF-8`"],
        /// The keyboard: a layout of XKB's, or a map.
        keyboard: Nested<KeyboardSpec> [default: "`us`"],
        /// The time zone.
        timezone: Text [default: "`UTC`"],
        /// Time servers.
        ntp: OneOrList<Text>,
        /// The account of root, which is locked where nothing is given.
        root: Nested<RootSpec>,
        /// Users, by login name.
        users: Map<UserSpec>,
        /// Packages to install: a list, or a map that says which to remove, too.
        packages: Nested<PackagesSpec>,
        /// Services that start with the system, or do not.
        services: Nested<ServicesSpec>,
        /// The firewall: whether there is one, or what it leaves open.
        firewall: Optional<FirewallSpec>,
        /// The mode of SELinux.
        selinux: Word<SelinuxModes>,
        /// How the first disk is laid out: plain partitions, logical volumes, or in the installer's own words.
        storage: Storage [default: "`auto`"],
        /// Package repositories beside the installer's own, by name.
        repositories: Map<RepositorySpec>,
        /// A proxy for packages.
        proxy: Text,
        /// How NICs get their addresses; `static`: each `ip` is written down in the system.
        network: Nested<SystemNetworkSpec> [default: "`dhcp`"],
        /// Scripts for sh.
        scripts: Nested<ScriptsSpec>,
        /// A kernel that crashes writes a dump.
        kdump: Switch,
        /// Installer and system talk to the serial console.
        serial_console: Switch [default: "`true` where it has a serial port"],
        /// What the installer does at its end.
        finish: Word<Finishes> [default: "`reboot`"],
    } with {
        /// Where it is given.
        span: Option<Span>,
    }
}

fn place_of_system(spec: &mut SystemSpec, _: &mut Decoder<'_>, node: &Node, _: Span) {
    spec.span = Some(node.span);
}

words! {
    /// The modes of SELinux.
    SelinuxModes: Selinux = ["enforcing" => Selinux::Enforcing, "permissive" => Selinux::Permissive, "disabled" => Selinux::Disabled];
}

words! {
    /// What an installer does at its end.
    Finishes: Finish = ["reboot" => Finish::Reboot, "poweroff" => Finish::Poweroff, "halt" => Finish::Halt];
}

object! {
    /// `keyboard` as written.
    KeyboardSpec: "`keyboard`" / "keyboards", "a layout, or `{layout: …, variant: …}`", scalar layout(Text) {
        /// XKB's layout.
        layout: Text,
        /// XKB's variant of it.
        variant: Text,
    }
}

object! {
    /// `root` as written.
    RootSpec: "`root`" / "accounts", "`{password: HASH}` or `{ssh_keys: […]}`" {
        /// The hash of a password, as in shadow(5).
        password: Text,
        /// Public keys that may log in.
        ssh_keys: OneOrList<Text>,
    }
}

object! {
    /// A user as written.
    UserSpec: "a user" / "users", "the settings of a user" {
        /// The person's name.
        gecos: Text,
        /// The user's number.
        uid: Whole<u32, 1, 4_294_967_294> [default: "the next free one"],
        /// The login shell.
        shell: Text,
        /// The hash of a password, as in shadow(5); without one it is locked, and keys work.
        password: Text,
        /// Groups beside the user's own; those that are not there are made.
        groups: OneOrList<Text>,
        /// Public keys that may log in.
        ssh_keys: OneOrList<Text>,
        /// `ALL=(ALL) NOPASSWD: ALL`, or a rule of sudoers(5).
        sudo: Sudo [default: "`false`"],
    }
}

/// A user who may do everything, without a password: accounts have none unless one is given.
const SUDO_ALL: &str = "ALL=(ALL) NOPASSWD: ALL";

/// `true`, or a rule of sudoers(5).
#[derive(Debug)]
pub struct Sudo;

impl Kind for Sudo {
    type Field = Given<String>;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, Type::Text]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        match &node.value {
            Value::Scalar(text, _) if !matches!(text.as_str(), "true" | "false") => d.text(node),
            Value::Scalar(..) | Value::Sequence(_) | Value::Mapping(_) => {
                let given = d.boolean(node)?;
                given.value.then(|| Spanned {
                    value: SUDO_ALL.to_owned(),
                    span: given.span,
                })
            }
        }
    }
}

words! {
    /// What becomes of packages that nobody has.
    MissingPackages: Missing = ["fail" => Missing::Fail, "ignore" => Missing::Ignore];
}

object! {
    /// `packages` as written.
    PackagesSpec: "`packages`" / "packages", "a list, or `{add: […], remove: […], missing: …}`",
        short add(OneOrList<Text>) {
        /// What is installed: names, and groups as the distribution has them.
        add: OneOrList<Text>,
        /// What is removed: names, or patterns as a shell has them.
        remove: OneOrList<Text>,
        /// Those to add that nobody has are an error, or are left out.
        missing: Word<MissingPackages> [default: "`fail`"],
    }
}

object! {
    /// `services` as written.
    ServicesSpec: "`services`" / "services", "`{enable: […], disable: […]}`" {
        /// Units that start with the system.
        enable: OneOrList<Text>,
        /// Units that do not.
        disable: OneOrList<Text>,
    }
}

object! {
    /// `firewall` as written.
    FirewallSpec: "`firewall`" / "firewalls", "`true`, `false`, or `{services: […], ports: […]}`",
        scalar enabled(Switch) {
        /// There is one.
        enabled: Switch [default: "`true`"],
        /// Services that are open, by firewalld's names.
        services: OneOrList<Text>,
        /// Ports that are open: `8080`, `53/udp`.
        ports: OneOrList<Text>,
    }
}

/// `storage` as written.
#[derive(Debug, Clone)]
pub enum StorageSpec {
    /// `auto`
    Auto,
    /// `lvm`
    Lvm,
    /// `{custom: …}`
    Custom(Spanned<String>),
}

words! {
    /// Layouts that installers know by themselves.
    Layouts: bool = ["auto" => false, "lvm" => true];
}

object! {
    /// `storage` as a map.
    CustomStorage: "`storage`" / "layouts", "`auto`, `lvm`, or `{custom: TEXT}`", after storage_is_custom {
        /// What the installer is to read. Needed.
        custom: Text,
    }
}

fn storage_is_custom(_: &mut CustomStorage, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if !has(node, "custom") {
        d.report(
            Diagnostic::error("`storage` as a map needs `custom`")
                .at(node.span)
                .hint("write `custom: |` and on the lines below what the installer is to read"),
        );
    }
}

/// How a disk is laid out.
#[derive(Debug)]
pub struct Storage;

impl Kind for Storage {
    type Field = Given<StorageSpec>;
    const TYPE: Type = Type::OneOf(&[Word::<Layouts>::TYPE, CustomStorage::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        if let Value::Scalar(..) = node.value {
            let lvm = Word::<Layouts>::decode(d, node)?;
            return Some(Spanned {
                span: lvm.span,
                value: match lvm.value {
                    true => StorageSpec::Lvm,
                    false => StorageSpec::Auto,
                },
            });
        }
        let text = CustomStorage::decode(d, node, node.span)?.custom?;
        Some(Spanned {
            span: text.span,
            value: StorageSpec::Custom(text),
        })
    }
}

object! {
    /// A package repository as written.
    RepositorySpec: "a package repository" / "package repositories", "the settings of a package repository" {
        /// Where it is. Needed.
        url: Text,
        /// The key that signs it; without one nothing is checked.
        key: Text,
        /// Its suite; Debian and Ubuntu need it, `./` for a repository without suites.
        suite: Text,
        /// Its components, for Debian and Ubuntu.
        components: OneOrList<Text> [default: "`main`"],
    }
}

/// How the system gets the addresses of its NICs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressMethod {
    /// By DHCP.
    Dhcp,
    /// Those that NICs have by `ip` are written down in the system.
    Static,
}

impl Words for AddressMethod {
    type Meaning = Self;
    const WORDS: &'static [(&'static str, Self)] =
        &[("dhcp", Self::Dhcp), ("static", Self::Static)];
}

object! {
    /// `network` of `system` as written.
    SystemNetworkSpec: "`network` of a system" / "networks", "`dhcp`, `static`, or `{method: …, gateway: …}`",
        scalar method(Word<AddressMethod>) {
        /// How NICs get their addresses.
        method: Word<AddressMethod>,
        /// The way out, one IPv4 and one IPv6 address.
        gateway: OneOrList<Address> [default: "the host, where the network leads out"],
        /// Name servers.
        nameservers: OneOrList<Address> [default: "the host, where it answers"],
        /// The length of the prefix of addresses outside the lab's own networks.
        prefix: Whole<u8, 1, 128>,
    }
}

object! {
    /// `scripts` as written.
    ScriptsSpec: "`scripts`" / "scripts", "`{pre: …, post: …}`" {
        /// Run by the installer before it begins, by cloud-init at the first start.
        pre: OneOrList<Text>,
        /// Run in the installed system at the end.
        post: OneOrList<Text>,
    }
}
