//! Where a key is in libvirt's XML, and what a change of it costs.

/// How far a change is felt, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disruption {
    /// No one notices.
    Live,
    /// A network restarts and its running guests' NICs are plugged in again: seconds of packet loss.
    Relink,
    /// A running guest stops and starts.
    Restart,
    /// The object is deleted and made anew.
    Recreate,
}

impl std::fmt::Display for Disruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Disruption::Live => "live",
            Disruption::Relink => "relink",
            Disruption::Restart => "restart",
            Disruption::Recreate => "recreate",
        })
    }
}

/// How a change is made while the object is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A guest shuts down and starts with it.
    RestartGuest,
    /// A guest's title, description or metadata.
    SetMetadata,
    /// A guest's memory.
    SetMemory,
    /// A guest's processors.
    SetVcpus,
    /// A device comes or goes. What is in it has ways of its own.
    Plug,
    /// A part of a device.
    UpdateDevice,
    /// An entry of one of a network's sections.
    UpdateNetwork,
    /// What only the definition of a network has.
    DefineNetwork,
    /// A network restarts with it.
    RestartNetwork,
    /// A network is made anew.
    ReplaceNetwork,
    /// A pool is stopped and started with it.
    RestartPool,
    /// A pool is defined anew.
    ReplacePool,
    /// Not at all: it counts when the object is made.
    AtFirst,
    /// A volume grows.
    Grow,
    /// A volume is made anew.
    ReplaceVolume,
    /// An image is uploaded anew.
    Upload,
    /// A seed for cloud-init is written over.
    WriteSeed,
}

impl Way {
    /// What it costs at least.
    pub fn class(self) -> Disruption {
        match self {
            Way::RestartGuest => Disruption::Restart,
            Way::RestartNetwork => Disruption::Relink,
            Way::ReplaceNetwork | Way::ReplacePool | Way::ReplaceVolume | Way::Upload => {
                Disruption::Recreate
            }
            Way::SetMetadata
            | Way::SetMemory
            | Way::SetVcpus
            | Way::Plug
            | Way::UpdateDevice
            | Way::UpdateNetwork
            | Way::DefineNetwork
            | Way::RestartPool
            | Way::AtFirst
            | Way::Grow
            | Way::WriteSeed => Disruption::Live,
        }
    }

    /// In words.
    fn how(self) -> &'static str {
        match self {
            Way::RestartGuest => "shut down and started",
            Way::SetMetadata => "`virDomainSetMetadata`",
            Way::SetMemory => "`virDomainSetMemory`",
            Way::SetVcpus => "`virDomainSetVcpus`",
            Way::Plug => {
                "`virDomainAttachDevice` while there are free PCIe ports; `virDomainDetachDevice`, and the guest has to let go of it"
            }
            Way::UpdateDevice => "`virDomainUpdateDevice`",
            Way::UpdateNetwork => "`virNetworkUpdate`",
            Way::DefineNetwork => "defined",
            Way::RestartNetwork => "restarted, NICs of running guests plugged in again",
            Way::ReplaceNetwork => "removed and made anew; guests on it restart",
            Way::RestartPool => "stopped, defined anew, started",
            Way::ReplacePool => {
                "defined anew under the new name; the directory and what is in it stay"
            }
            Way::AtFirst => "counts when it is made, and is left alone later",
            Way::Grow => {
                "`virDomainBlockResize` where a guest runs on it, else `virStorageVolResize`"
            }
            Way::ReplaceVolume => {
                "deleted and made anew: its data is lost, which takes `--allow-data-loss`"
            }
            Way::Upload => {
                "deleted and uploaded anew; refused while a volume is based on it. It is a copy of your file: no data is lost"
            }
            Way::WriteSeed => {
                "written over while the guest is off; where it runs it is pending, and is written by the first apply that finds it off or \
                 restarts it for another reason. cloud-init heeds it at the first boot of a fresh disk: `--replace guest.NAME` makes that"
            }
        }
    }
}

/// A place in libvirt's XML where a key is.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Names of elements from the root on, `domain/devices/disk`, and of an attribute, `…/target@dev`.
    pub path: &'static str,
    /// What it is called in plans, where that is not the key.
    pub name: Option<&'static str>,
    /// An element that comes or goes as a whole, in words: what stands in braces is the first of these that it has, an
    /// attribute or a text.
    pub says: Option<&'static str>,
    /// What an element that is not there means.
    pub absent: Option<&'static str>,
    /// How it is changed, with all below; else as what is above it.
    pub way: Option<Way>,
    /// The way is that of the whole element, and not of what is in it.
    pub is_whole: bool,
    /// What others change there is put back even where the definition says nothing of it, as that means the default.
    pub is_put_back: bool,
    /// Which change is meant.
    pub when: &'static str,
    /// What else there is to say of it.
    more: &'static str,
}

/// A place at a path.
pub const fn at(path: &'static str) -> Place {
    Place {
        path,
        name: None,
        says: None,
        absent: None,
        way: None,
        is_whole: false,
        is_put_back: false,
        when: "",
        more: "",
    }
}

impl Place {
    /// With a name of its own in plans.
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// With what an element says: `{@address}/{@prefix}`.
    pub const fn says(mut self, pattern: &'static str) -> Self {
        self.says = Some(pattern);
        self
    }

    /// With what it means that it is not there.
    pub const fn absent(mut self, word: &'static str) -> Self {
        self.absent = Some(word);
        self
    }

    /// With how it is changed while the object is in use.
    pub const fn by(mut self, way: Way) -> Self {
        self.way = Some(way);
        self
    }

    /// With a way that is not that of what is in it.
    pub const fn whole(mut self) -> Self {
        self.is_whole = true;
        self
    }

    /// With what others change there put back, even where the definition says nothing of it.
    pub const fn put_back(mut self) -> Self {
        self.is_put_back = true;
        self
    }

    /// With the changes that are meant.
    pub const fn when(mut self, change: &'static str) -> Self {
        self.when = change;
        self
    }

    /// With more about how.
    pub const fn more(mut self, about: &'static str) -> Self {
        self.more = about;
        self
    }

    /// How it is changed, in words: what is done, and under which condition.
    pub fn how(&self, way: Way) -> String {
        match self.more {
            "" => way.how().to_owned(),
            more => format!("{}; {more}", way.how()),
        }
    }
}
