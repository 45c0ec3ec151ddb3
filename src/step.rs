//! The steps a plan is made of. Each holds all that it needs: execution decides nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::address::Kind;
use crate::file::stamp::FileId;
use crate::install::os::Os;
use crate::lab::model::install::Location;
use crate::units::size;
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// A network, pool or guest of libvirt's as a plan means it: while a question stands open, or a run goes on, others may give its
/// name to something else. What has the name and another UUID is left alone, and that is an error; so is what has another name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
}

impl Named {
    /// What has this name and this UUID.
    pub fn new(name: impl Into<String>, uuid: Uuid) -> Self {
        let name = name.into();
        Self { name, uuid }
    }

    /// What a definition is of, where it has a UUID.
    pub fn of(xml: &Element) -> Option<Self> {
        let uuid = xml.text_at("uuid")?.parse().ok()?;
        Some(Self::new(xml.text_at("name")?, uuid))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What was seen of a volume's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// Where it is on the hypervisor.
    pub path: String,
    /// Which file it is, where that is on this machine.
    pub id: Option<FileId>,
}

/// One thing that a hypervisor is told to do. All names are libvirt's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Defines a network or changes its inactive definition.
    DefineNetwork {
        /// The whole definition.
        xml: Document,
    },
    /// Starts a network and plugs in the NICs of guests that ran on while it was stopped; one that is active is fine.
    StartNetwork {
        /// Which.
        name: Named,
    },
    /// Stops a network; one that is inactive or gone is fine.
    StopNetwork {
        /// Which.
        name: Named,
    },
    /// Removes a network's definition; one that is gone is fine.
    UndefineNetwork {
        /// Which.
        name: Named,
    },
    /// Says whether a network starts with the host.
    AutostartNetwork {
        /// Which.
        name: Named,
        /// Whether it does.
        on: bool,
    },
    /// Changes one entry of a network in place (`virNetworkUpdate`).
    UpdateNetwork {
        /// Which.
        name: Named,
        /// Whether what runs is changed, or the definition; the other stays as it is.
        side: Side,
        /// What is done with the entry.
        verb: UpdateVerb,
        /// The part of the definition it is in.
        section: NetworkSection,
        /// Index of the parent element, for entries in one of several `<ip>`; -1 lets libvirt find it.
        parent: i32,
        /// The entry.
        xml: Element,
    },
    /// Stops a network, gives it a new definition, starts it, and plugs the NICs of running guests on it in again.
    RestartNetwork {
        /// Which.
        name: Named,
        /// The whole new definition.
        xml: Document,
    },
    /// Plugs NICs of running guests in again that hang on no bridge since theirs went, or on another.
    PlugIn {
        /// The network that they are on, or a bridge of the host.
        network: String,
        /// Each guest's name and the NIC's MAC.
        nics: Vec<(String, String)>,
    },
    /// Defines a pool or changes its inactive definition.
    DefinePool {
        /// The whole definition.
        xml: Document,
    },
    /// Starts a pool and, where its directory is not there, makes that first; an active pool is fine.
    StartPool {
        /// Which.
        name: Named,
    },
    /// Stops a pool; one that is inactive or gone is fine.
    StopPool {
        /// Which.
        name: Named,
    },
    /// Removes a pool's directory if it is empty; the pool must be inactive.
    DeletePoolDirectory {
        /// Its pool.
        name: Named,
    },
    /// Removes a pool's definition; one that is gone is fine.
    UndefinePool {
        /// Which.
        name: Named,
    },
    /// Says whether a pool starts with the host.
    AutostartPool {
        /// Which.
        name: Named,
        /// Whether it does.
        on: bool,
    },
    /// Makes a volume.
    CreateVolume {
        /// Its pool.
        pool: Named,
        /// The whole definition.
        xml: Document,
    },
    /// Makes sure that there is room for a volume, and what it is to be filled with, before what it replaces goes.
    CheckRoom {
        /// The volume's pool.
        pool: Named,
        /// What it is to be filled with.
        content: Option<Content>,
        /// What that takes, in bytes.
        size: u64,
        /// What goes before, in bytes.
        frees: u64,
    },
    /// Makes sure that libvirt makes such a volume, before what it replaces goes: has one made, and deletes it again.
    TryVolume {
        /// Where it is made.
        pool: Named,
        /// What is made, under a name of its own.
        xml: Document,
    },
    /// Fills a volume that was just made, by stream; on failure the volume is deleted again.
    UploadVolume {
        /// Its pool.
        pool: Named,
        /// The volume's name.
        name: String,
        /// What was seen of it: another file in its place is left alone. `None` where it is made before.
        seen: Option<SeenFile>,
        /// What it is filled with.
        content: Content,
    },
    /// Gives a volume a larger capacity, through the guest that runs on it if there is one.
    GrowVolume {
        /// Its pool.
        pool: Named,
        /// The volume's name.
        name: String,
        /// What was seen of it: another file in its place is left alone. `None` where it is made before.
        seen: Option<SeenFile>,
        /// The new capacity in bytes.
        capacity: u64,
        /// The guest that is to be asked (`blockResize`) and the disk's device name; `None` where no guest runs on it.
        guest: Option<(Named, String)>,
    },
    /// Deletes a volume and its data; one that is gone is fine.
    DeleteVolume {
        /// Its pool.
        pool: Named,
        /// The volume's name.
        name: String,
        /// What was seen of it: another file in its place is left alone. `None` where it is made before.
        seen: Option<SeenFile>,
    },
    /// Deletes a file on this machine that is in no pool; one that is gone is fine.
    DeleteFile {
        /// Which: another in its place is left alone.
        seen: SeenFile,
    },
    /// Defines a guest or changes its inactive definition.
    DefineGuest {
        /// The whole definition.
        xml: Document,
    },
    /// Gives a guest that is off another name; its UUID and all that is its stay.
    RenameGuest {
        /// Which.
        from: Named,
        /// The name that it is to have.
        to: String,
    },
    /// Removes the memory of a guest that was saved, so that its next start boots it; one that is not saved is fine.
    DiscardSave {
        /// Which.
        name: Named,
    },
    /// Starts a guest; one that runs is fine, one that is paused goes on.
    StartGuest {
        /// Which.
        name: Named,
    },
    /// Asks a guest to shut down, waits, and in the end stops it by force; one that is off or gone is fine.
    ShutdownGuest {
        /// Which.
        name: Named,
        /// Seconds to wait before force; with none it is not asked.
        timeout: u64,
    },
    /// Puts what an installer is booted from into volumes, in place of those that are there.
    StageInstall {
        /// The pool that they are put into. It has a directory, since kernel and initrd are given by path.
        pool: Named,
        /// What.
        stage: Box<Stage>,
    },
    /// Waits until an installer has ended, which switches its guest off. It is an error if the installer did not say that
    /// it was done, or if it takes too long; the guest is then left as it is. May be broken off, and begun again.
    AwaitInstall {
        /// The guest.
        name: Named,
        /// The pool that has the log.
        pool: Named,
        /// What the installer prints when all is done; `None` takes a guest that powered itself off for done.
        done: Option<String>,
        /// Seconds to wait.
        timeout: u64,
    },
    /// Takes out of a guest's definition what was there for its install, and puts in what is wanted.
    SettleGuest {
        /// The definition during the install.
        install: Document,
        /// The definition that is wanted.
        wanted: Document,
    },
    /// Removes a guest's definition with its NVRAM, managed save, snapshot and checkpoint metadata, and with what its TPM holds if
    /// that is not to stay; one that is gone is fine. The guest must be off.
    UndefineGuest {
        /// Which.
        name: Named,
    },
    /// Deletes the file of UEFI variables that a guest has no more, by a guest that is defined to have it and is removed along
    /// with it; a file that is gone is fine.
    DeleteVariables {
        /// The guest that had it. It must be off.
        guest: Named,
        /// The definition that has it.
        xml: Document,
    },
    /// Gives a running guest more or less memory, within its maximum; its definition stays as it is.
    SetMemory {
        /// Which.
        guest: Named,
        /// How much, in KiB.
        kib: u64,
    },
    /// Gives a running guest more processors, within its maximum; its definition stays as it is.
    SetVcpus {
        /// Which.
        guest: Named,
        /// How many it has then.
        count: u32,
    },
    /// Changes a device of a running guest; its definition stays as it is.
    UpdateDevice {
        /// The guest.
        guest: Named,
        /// The whole device, as it is to be.
        xml: Element,
    },
    /// Plugs a device into a running guest, where it has been defined already; one that is there is fine.
    AttachDevice {
        /// The guest.
        guest: Named,
        /// The device.
        xml: Element,
    },
    /// Asks a running guest to let go of a device, and waits until it has; one that is not there is fine. It is an error if the
    /// guest does not answer: the device stays until it does, or until it restarts.
    DetachDevice {
        /// The guest.
        guest: Named,
        /// The device as it is there.
        xml: Element,
        /// Seconds to wait.
        timeout: u64,
    },
    /// Changes what a running guest is labelled with; its definition stays as it is.
    SetMetadata {
        /// The guest.
        guest: Named,
        /// Which part.
        part: MetadataPart,
        /// What it is to be; `None` removes it.
        value: Option<String>,
    },
    /// Says whether a guest starts with the host.
    AutostartGuest {
        /// Which.
        name: Named,
        /// Whether it does.
        on: bool,
    },
}

/// What a guest is labelled with. <https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainMetadataType>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataPart {
    /// `<title>`
    Title,
    /// `<description>`
    Description,
    /// An element of `<metadata>`.
    Element {
        /// Its prefix.
        key: String,
        /// Its namespace.
        uri: String,
    },
}

/// What a volume is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A local file.
    File {
        /// Its path.
        path: PathBuf,
        /// What it must hold, `sha256:…` or `blocks:…` in lower-case hex; checked while it is read.
        expected: Option<String>,
    },
    /// These bytes.
    Bytes(Arc<[u8]>),
}

/// Volumes that an installer is booted from, and its console's log. They are there as long as the install goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The guest's name, which the volumes' names begin with.
    pub guest: String,
    /// Where kernel and initrd come from.
    pub location: Location,
    /// The name in libvirt of the location's pool, where it is a volume.
    pub location_pool: Option<String>,
    /// What is installed, which tells where the two are on their medium.
    pub os: Os,
    /// The architecture, where the medium has several.
    pub arch: String,
    /// Files that are put into the initrd: name and text.
    pub inject: Vec<(String, String)>,
    /// A volume labelled `CIDATA`, where the installer looks for one.
    pub seed: Option<Arc<[u8]>>,
}

/// The parts of a [`Stage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StagePart {
    /// The installer's kernel.
    Kernel,
    /// Its initrd.
    Initrd,
    /// Its seed.
    Seed,
    /// What it prints to the serial console.
    Log,
}

impl StagePart {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::Initrd, Self::Seed, Self::Log];

    /// The volume's name for a guest.
    pub fn volume(self, guest: &str) -> String {
        let part = match self {
            StagePart::Kernel => "kernel",
            StagePart::Initrd => "initrd",
            StagePart::Seed => "seed",
            StagePart::Log => "log",
        };
        format!("{guest}.install.{part}")
    }
}

/// What `virNetworkUpdate` does with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateVerb {
    /// Puts it at the end.
    Add,
    /// Takes it out.
    Delete,
    /// Replaces the one that it matches.
    Modify,
}

/// What of an object is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What runs.
    Running,
    /// Its inactive definition.
    Definition,
}

/// The parts of a network that `virNetworkUpdate` knows. <https://libvirt.org/html/libvirt-libvirt-network.html#virNetworkUpdateSection>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkSection {
    /// `<ip><dhcp><host>`
    IpDhcpHost,
    /// `<ip><dhcp><range>`
    IpDhcpRange,
    /// `<dns><host>`
    DnsHost,
    /// `<dns><txt>`
    DnsTxt,
    /// `<dns><srv>`
    DnsSrv,
    /// `<portgroup>`
    Portgroup,
    /// `<forward><interface>`
    ForwardInterface,
}

impl NetworkSection {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::IpDhcpHost,
        Self::IpDhcpRange,
        Self::DnsHost,
        Self::DnsTxt,
        Self::DnsSrv,
        Self::Portgroup,
        Self::ForwardInterface,
    ];

    /// Where its entries are in a network's XML.
    pub const fn path(self) -> &'static str {
        match self {
            NetworkSection::IpDhcpHost => "network/ip/dhcp/host",
            NetworkSection::IpDhcpRange => "network/ip/dhcp/range",
            NetworkSection::DnsHost => "network/dns/host",
            NetworkSection::DnsTxt => "network/dns/txt",
            NetworkSection::DnsSrv => "network/dns/srv",
            NetworkSection::Portgroup => "network/portgroup",
            NetworkSection::ForwardInterface => "network/forward/interface",
        }
    }

    /// Whether libvirt can replace an entry without taking it out first.
    pub const fn modifies(self) -> bool {
        match self {
            NetworkSection::IpDhcpHost | NetworkSection::Portgroup => true,
            NetworkSection::IpDhcpRange
            | NetworkSection::DnsHost
            | NetworkSection::DnsTxt
            | NetworkSection::DnsSrv
            | NetworkSection::ForwardInterface => false,
        }
    }
}

impl Step {
    /// The definition that it gives to libvirt, and the element that this has to be.
    pub fn definition(&self) -> Option<(&Document, &'static str)> {
        match self {
            Step::DefineNetwork { xml } | Step::RestartNetwork { xml, .. } => {
                Some((xml, "network"))
            }
            Step::DefinePool { xml } => Some((xml, "pool")),
            Step::CreateVolume { xml, .. } | Step::TryVolume { xml, .. } => Some((xml, "volume")),
            Step::DefineGuest { xml } | Step::SettleGuest { wanted: xml, .. } => {
                Some((xml, "domain"))
            }
            _ => None,
        }
    }

    /// The networks, pools and guests that it names, but for those that it defines: these have their UUID in the definition.
    pub fn objects(&self) -> Vec<(Kind, &Named)> {
        match self {
            Step::StartNetwork { name }
            | Step::StopNetwork { name }
            | Step::UndefineNetwork { name }
            | Step::AutostartNetwork { name, .. }
            | Step::UpdateNetwork { name, .. }
            | Step::RestartNetwork { name, .. } => vec![(Kind::Network, name)],
            Step::StartPool { name }
            | Step::StopPool { name }
            | Step::DeletePoolDirectory { name }
            | Step::UndefinePool { name }
            | Step::AutostartPool { name, .. } => vec![(Kind::Pool, name)],
            Step::CreateVolume { pool, .. }
            | Step::CheckRoom { pool, .. }
            | Step::TryVolume { pool, .. }
            | Step::UploadVolume { pool, .. }
            | Step::DeleteVolume { pool, .. }
            | Step::StageInstall { pool, .. } => vec![(Kind::Pool, pool)],
            Step::GrowVolume { pool, guest, .. } => {
                let guest = guest.iter().map(|(guest, _)| (Kind::Guest, guest));
                guest.chain([(Kind::Pool, pool)]).collect()
            }
            Step::AwaitInstall { name, pool, .. } => vec![(Kind::Guest, name), (Kind::Pool, pool)],
            Step::RenameGuest { from: name, .. }
            | Step::DiscardSave { name }
            | Step::StartGuest { name }
            | Step::ShutdownGuest { name, .. }
            | Step::UndefineGuest { name }
            | Step::DeleteVariables { guest: name, .. }
            | Step::SetMemory { guest: name, .. }
            | Step::SetVcpus { guest: name, .. }
            | Step::UpdateDevice { guest: name, .. }
            | Step::AttachDevice { guest: name, .. }
            | Step::DetachDevice { guest: name, .. }
            | Step::SetMetadata { guest: name, .. }
            | Step::AutostartGuest { name, .. } => vec![(Kind::Guest, name)],
            // A NIC goes back to where its guest has it, whatever that is.
            Step::DeleteFile { .. }
            | Step::PlugIn { .. }
            | Step::DefineNetwork { .. }
            | Step::DefinePool { .. }
            | Step::DefineGuest { .. }
            | Step::SettleGuest { .. } => Vec::new(),
        }
    }

    /// A few words for progress and for "failed to …": `start network front`.
    pub fn describe(&self) -> String {
        let name_of = |xml: &Document| xml.tree().text_at("name").unwrap_or("?").to_owned();
        match self {
            Step::DefineNetwork { xml } => format!("define network {}", name_of(xml)),
            Step::StartNetwork { name } => format!("start network {name}"),
            Step::StopNetwork { name } => format!("stop network {name}"),
            Step::UndefineNetwork { name } => format!("undefine network {name}"),
            Step::AutostartNetwork { name, on } => autostart("network", name, *on),
            Step::UpdateNetwork {
                name,
                side,
                verb,
                section,
                xml,
                ..
            } => update(name, *side, *verb, *section, xml),
            Step::RestartNetwork { name, .. } => format!("restart network {name}"),
            Step::PlugIn { network, nics } => match nics.as_slice() {
                [(guest, _)] => format!("plug the NIC of guest {guest} into {network} again"),
                nics => format!("plug {} NICs into {network} again", nics.len()),
            },
            Step::DefinePool { xml } => format!("define pool {}", name_of(xml)),
            Step::StartPool { name } => format!("start pool {name}"),
            Step::StopPool { name } => format!("stop pool {name}"),
            Step::DeletePoolDirectory { name } => format!("remove the directory of pool {name}"),
            Step::UndefinePool { name } => format!("undefine pool {name}"),
            Step::AutostartPool { name, on } => autostart("pool", name, *on),
            Step::CreateVolume { pool, xml } => {
                format!("create volume {} in pool {pool}", name_of(xml))
            }
            Step::CheckRoom {
                pool,
                content: None,
                size: bytes,
                ..
            } => format!("look for room for {} in pool {pool}", size(*bytes)),
            Step::CheckRoom {
                pool,
                content: Some(content),
                ..
            } => {
                let what = match content {
                    Content::File { path, .. } => path.file_name().unwrap_or(path.as_os_str()),
                    Content::Bytes(_) => "the seed".as_ref(),
                };
                let what = what.display();
                format!("look for {what}, and room for it in pool {pool}")
            }
            Step::TryVolume { pool, xml } => {
                format!("try volume {} in pool {pool}", name_of(xml))
            }
            Step::UploadVolume { pool, name, .. } => {
                format!("upload volume {name} into pool {pool}")
            }
            Step::GrowVolume { name, .. } => format!("grow volume {name}"),
            Step::DeleteVolume { pool, name, .. } => format!("delete volume {name} of pool {pool}"),
            Step::DeleteFile { seen } => format!("delete {}", seen.path),
            Step::DefineGuest { xml } => format!("define guest {}", name_of(xml)),
            Step::RenameGuest { from, to } => format!("rename guest {from} to {to}"),
            Step::DiscardSave { name } => format!("discard the saved memory of guest {name}"),
            Step::StartGuest { name } => format!("start guest {name}"),
            Step::ShutdownGuest { name, timeout: 0 } => format!("switch off guest {name}"),
            Step::ShutdownGuest { name, .. } => format!("shut down guest {name}"),
            Step::StageInstall { stage, .. } => {
                format!("fetch the installer of guest {}", stage.guest)
            }
            Step::AwaitInstall { name, .. } => format!("wait for the install of guest {name}"),
            Step::SettleGuest { wanted, .. } => {
                format!("take the installer out of guest {}", name_of(wanted))
            }
            Step::UndefineGuest { name } => format!("undefine guest {name}"),
            Step::DeleteVariables { guest, .. } => {
                format!("delete the UEFI variables of guest {guest}")
            }
            Step::SetMemory { guest, kib } => {
                let memory = size(kib.saturating_mul(1024));
                format!("set the memory of running guest {guest} to {memory}")
            }
            Step::SetVcpus { guest, count } => {
                format!("set the vcpus of running guest {guest} to {count}")
            }
            Step::UpdateDevice { guest, xml } => {
                format!("update {} of running guest {guest}", device(xml))
            }
            Step::AttachDevice { guest, xml } => {
                format!("plug {} into running guest {guest}", device(xml))
            }
            Step::DetachDevice { guest, xml, .. } => {
                format!("unplug {} from running guest {guest}", device(xml))
            }
            Step::SetMetadata { guest, part, .. } => {
                let part = match part {
                    MetadataPart::Title => "title",
                    MetadataPart::Description => "description",
                    MetadataPart::Element { key, .. } => key,
                };
                format!("set the {part} of running guest {guest}")
            }
            Step::AutostartGuest { name, on } => autostart("guest", name, *on),
        }
    }
}

/// `add DHCP host web1 to network front`
fn update(
    network: &Named,
    side: Side,
    verb: UpdateVerb,
    section: NetworkSection,
    xml: &Element,
) -> String {
    let (verb, preposition) = match verb {
        UpdateVerb::Add => ("add", "to"),
        UpdateVerb::Delete => ("delete", "from"),
        UpdateVerb::Modify => ("modify", "in"),
    };
    let entry = match section {
        NetworkSection::IpDhcpHost => "DHCP host",
        NetworkSection::IpDhcpRange => "DHCP range",
        NetworkSection::DnsHost => "DNS host",
        NetworkSection::DnsTxt => "TXT record",
        NetworkSection::DnsSrv => "SRV record",
        NetworkSection::Portgroup => "port group",
        NetworkSection::ForwardInterface => "interface",
    };
    let name = ["name", "ip", "start", "service", "dev"]
        .into_iter()
        .find_map(|key| xml.attribute(key))
        .unwrap_or_default();
    let side = match side {
        Side::Running => "",
        Side::Definition => "the definition of ",
    };
    format!("{verb} {entry} {name} {preposition} {side}network {network}")
}

/// `disk data`, by the name in the definition where it has one.
fn device(xml: &Element) -> String {
    let alias = xml.attribute_at("alias", "name");
    let name = alias
        .and_then(|alias| alias.strip_prefix("ua-"))
        .or_else(|| xml.attribute_at("mac", "address"))
        .or_else(|| xml.attribute_at("target", "dev"));
    format!("{} {}", xml.name, name.or(alias).unwrap_or_default())
}

fn autostart(kind: &str, name: &Named, on: bool) -> String {
    let switch = if on { "on" } else { "off" };
    format!("turn autostart of {kind} {name} {switch}")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}
