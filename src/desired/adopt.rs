//! What a lab is called where it was applied before. Names of volumes, and of networks and pools that moved, cannot be
//! changed in libvirt, and a guest's MACs are known inside it: what was chosen once stays, whatever would be derived now.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::format::disk_file;
use super::moved::view;
use crate::address::{Address, Kind, Name};
use crate::lab::model::{DiskSource, Guest, Interface, InterfaceSource, Lab, VolumeFormat};
use crate::lab::resolve::derive_mac;
use crate::libvirt::DiskFile;
use crate::libvirt::observed::{Observed, ObservedGuest, owner};
use crate::state::State;
use crate::xml::tree::Element;

/// A lab with the names that its objects have. Without having looked at the hypervisor, only what the state tells is known.
pub fn adopted<'a>(lab: &'a Lab, observed: Option<&Observed>, state: &State) -> Cow<'a, Lab> {
    let view = view(&lab.name, &lab.moves, observed, state);
    let mut kept = Cow::Borrowed(lab);
    objects(&mut kept, &view.state);
    volumes(&mut kept, &view.state, observed);
    formats(&mut kept, &view.state, observed);
    if let Some(observed) = observed {
        macs(&mut kept, &view.state, observed);
    }
    kept
}

/// Networks and pools that came from another address keep their name, unless the definition gives one.
fn objects(lab: &mut Cow<'_, Lab>, state: &State) {
    let known = |address: &Address, name: &str| {
        let entry = state.resources.get(address)?;
        (entry.kept_name && entry.name != name).then(|| entry.name.clone())
    };
    let written = &lab.written.names;
    let networks = lab.networks.values().filter(|network| !network.external);
    let networks: Vec<(Name, String)> = networks
        .filter(|network| !written.contains(&Address::network(&network.key)))
        .filter_map(|n| Some((n.key.clone(), known(&Address::network(&n.key), &n.name)?)))
        .collect();
    let pools = lab.pools.values().filter(|pool| !pool.external);
    let pools: Vec<(Name, String)> = pools
        .filter(|pool| !written.contains(&Address::pool(&pool.key)))
        .filter_map(|p| Some((p.key.clone(), known(&Address::pool(&p.key), &p.name)?)))
        .collect();
    for (key, name) in pools {
        if let Some(pool) = lab.to_mut().pools.get_mut(&key) {
            pool.name = name;
        }
    }
    for (key, name) in networks {
        let lab = lab.to_mut();
        let guests = lab.guests.values_mut();
        for nic in guests.flat_map(|guest| &mut guest.interfaces) {
            if let InterfaceSource::Network { network, name: old } = &mut nic.source
                && *network == key
            {
                old.clone_from(&name);
            }
        }
        if let Some(network) = lab.networks.get_mut(&key) {
            network.name = name;
        }
    }
}

/// A volume of the lab as `kept` looks at it.
struct Named {
    address: Address,
    pool: Name,
    name: String,
}

/// Images and volumes keep the name that they were made with: under another, libvirt would have to make them anew.
fn volumes(lab: &mut Cow<'_, Lab>, state: &State, observed: Option<&Observed>) {
    let all = all_volumes(lab);
    let mut names: BTreeMap<Address, String> = BTreeMap::new();
    let mut fresh: Vec<&Named> = Vec::new();
    let mut taken: BTreeSet<(Name, String)> = BTreeSet::new();
    for volume in &all {
        match own_name(lab, volume, state, observed) {
            Some(name) => {
                taken.insert((volume.pool.clone(), name.clone()));
                if name != volume.name {
                    names.insert(volume.address.clone(), name);
                }
            }
            None => fresh.push(volume),
        }
    }
    if names.is_empty() {
        return;
    }
    // One that is made anew takes a name that is free: its own may still be that of one which moved.
    for volume in fresh {
        let mut name = volume.name.clone();
        let mut number = 2;
        while !taken.insert((volume.pool.clone(), name.clone())) {
            name = match volume.name.rsplit_once('.') {
                Some((stem, format)) => format!("{stem}.{number}.{format}"),
                None => format!("{}.{number}", volume.name),
            };
            number += 1;
        }
        if name != volume.name {
            names.insert(volume.address.clone(), name);
        }
    }
    rename_volumes(lab.to_mut(), &names);
}

fn all_volumes(lab: &Lab) -> Vec<Named> {
    let images = lab.images.values().map(|image| Named {
        address: Address::image(&image.key),
        pool: image.pool.clone(),
        name: image.name.clone(),
    });
    let disks = lab.guests.values().flat_map(|guest| &guest.disks);
    let disks = disks.filter_map(|disk| match &disk.source {
        DiskSource::Volume(volume) => Some(Named {
            address: volume.address.clone(),
            pool: volume.pool.clone(),
            name: volume.name.clone(),
        }),
        DiskSource::Seed {
            address,
            pool,
            volume,
        } => Some(Named {
            address: address.clone(),
            pool: pool.clone(),
            name: volume.clone(),
        }),
        DiskSource::Existing { .. } | DiskSource::Path { .. } | DiskSource::Empty => None,
    });
    images.chain(disks).collect()
}

/// The name that a volume has, where it is there: as recorded, for the same pool and format; with the state lost, the one
/// that it would have had at the address where it was.
fn own_name(
    lab: &Lab,
    volume: &Named,
    state: &State,
    observed: Option<&Observed>,
) -> Option<String> {
    let pool = lab.pools.get(&volume.pool)?;
    if let Some(entry) = state.resources.get(&volume.address) {
        let recorded = state.resources.get(&Address::pool(&volume.pool));
        let pools = [Some(&pool.name), recorded.map(|entry| &entry.name)];
        let same_pool = pools.contains(&entry.pool.as_ref());
        let same_format = format(&entry.name) == format(&volume.name);
        return Some(match same_pool && same_format {
            true => entry.name.clone(),
            false => volume.name.clone(),
        });
    }
    let volumes = &observed?.volumes;
    former_names(lab, &volume.address, &volume.name)
        .into_iter()
        .find(|name| volumes.contains_key(&(pool.name.clone(), name.clone())))
}

fn format(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, format)| format)
}

/// The names that a volume would have had at the addresses which it had before.
fn former_names(lab: &Lab, address: &Address, name: &str) -> Vec<String> {
    let format = format(name).unwrap_or_default();
    let sources = lab.moves.sources(address);
    sources
        .iter()
        .map(|from| format!("{}.{format}", from.name))
        .collect()
}

/// The volumes to look at for that, by pool and name in libvirt; pools may have had other names, too.
pub(super) fn former_volumes(lab: &Lab) -> Vec<(String, String)> {
    if lab.moves.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for volume in all_volumes(lab) {
        let pools = lab.moves.sources(&Address::pool(&volume.pool));
        let pools = pools.into_iter().map(|from| from.name);
        let now = lab.pools.get(&volume.pool).map(|pool| pool.name.clone());
        let mut names = former_names(lab, &volume.address, &volume.name);
        names.push(volume.name);
        for pool in pools.chain(now) {
            found.extend(names.iter().map(|name| (pool.clone(), name.clone())));
        }
    }
    found
}

fn rename_volumes(lab: &mut Lab, names: &BTreeMap<Address, String>) {
    for image in lab.images.values_mut() {
        if let Some(name) = names.get(&Address::image(&image.key)) {
            image.name.clone_from(name);
        }
    }
    for guest in lab.guests.values_mut() {
        let seed = guest.disks.iter().find_map(|disk| match &disk.source {
            DiskSource::Seed { address, .. } => names.get(address),
            DiskSource::Volume(_)
            | DiskSource::Existing { .. }
            | DiskSource::Path { .. }
            | DiskSource::Empty => None,
        });
        if let (Some(name), Some(seeded)) = (seed, &mut guest.cloud_init) {
            seeded.volume.clone_from(name);
        }
    }
    let disks = lab.guests.values_mut().flat_map(|guest| &mut guest.disks);
    for disk in disks {
        let (address, named) = match &mut disk.source {
            DiskSource::Volume(volume) => (Some(&volume.address), &mut volume.name),
            DiskSource::Seed {
                address, volume, ..
            } => (Some(&*address), volume),
            // Another guest's disk, or an image: named by what it would be called.
            DiskSource::Existing { volume, owner, .. } => (owner.as_ref(), volume),
            DiskSource::Path { .. } | DiskSource::Empty => continue,
        };
        if let Some(name) = address.and_then(|address| names.get(address)) {
            named.clone_from(name);
        }
    }
    let owners: BTreeMap<(Name, String), Address> = all_volumes(lab)
        .into_iter()
        .map(|volume| ((volume.pool, volume.name), volume.address))
        .collect();
    let disks = lab.guests.values_mut().flat_map(|guest| &mut guest.disks);
    for disk in disks {
        if let DiskSource::Existing {
            pool,
            volume,
            owner,
        } = &mut disk.source
        {
            *owner = owners.get(&(pool.clone(), volume.clone())).cloned();
        }
    }
}

/// What a guest has had as raw stays raw: it may have written there what looks like the header of another format, and whoever
/// opened that would read what the guest chose. So what was attached before, to whichever guest, counts for more than the file.
fn formats(lab: &mut Cow<'_, Lab>, state: &State, observed: Option<&Observed>) {
    let disks = lab.guests.values().flat_map(|guest| &guest.disks);
    let open: BTreeSet<DiskFile> = disks.filter_map(|disk| disk_file(lab, disk)).collect();
    if open.is_empty() {
        return;
    }
    let mut attached: BTreeMap<DiskFile, VolumeFormat> = BTreeMap::new();
    let mut look = |guest: &Element| {
        let devices = guest.child("devices").into_iter();
        for disk in devices.flat_map(|devices| devices.children_named("disk")) {
            let format = match disk.attribute_at("driver", "type") {
                Some("raw") => VolumeFormat::Raw,
                Some("qcow2") => VolumeFormat::Qcow2,
                Some(_) | None => continue,
            };
            for file in open.iter().filter(|file| is_of(disk, file, observed)) {
                let had = attached.entry(file.clone()).or_insert(format);
                if format == VolumeFormat::Raw {
                    *had = format;
                }
            }
        }
    };
    // Of a large lab's definitions, only those are read that can speak of one.
    let speaks = |text: &str| {
        open.iter().any(|file| match file {
            DiskFile::Path(name) | DiskFile::Volume(_, name) => {
                // What XML escapes may be spelled in several ways.
                let mut parts = name.split(['&', '<', '>', '"', '\'']);
                parts.all(|part| text.contains(part))
            }
        })
    };
    let entries = state.resources.iter();
    let entries = entries.filter(|(address, _)| address.kind == Kind::Guest);
    for text in entries.flat_map(|(_, entry)| entry.applied.iter().chain(&entry.attempted)) {
        if speaks(text)
            && let Ok(guest) = Element::parse(text)
        {
            look(&guest);
        }
    }
    for guest in observed
        .iter()
        .flat_map(|observed| observed.guests.values())
    {
        if speaks(&guest.xml.text()) {
            look(&guest.xml.tree());
        }
    }
    if attached.is_empty() {
        return;
    }
    let lab = lab.to_mut();
    let mut guests = std::mem::take(&mut lab.guests);
    for disk in guests.values_mut().flat_map(|guest| &mut guest.disks) {
        let file = disk_file(lab, disk);
        disk.attached = file.and_then(|file| attached.get(&file).copied());
    }
    lab.guests = guests;
}

/// Whether a disk is such a file.
fn is_of(disk: &Element, file: &DiskFile, observed: Option<&Observed>) -> bool {
    let source = ["file", "dev"].into_iter();
    let path = source
        .filter_map(|name| disk.attribute_at("source", name))
        .next();
    match file {
        DiskFile::Path(wanted) => path == Some(wanted),
        DiskFile::Volume(pool, name) => {
            let key = (pool.clone(), name.clone());
            let seen = observed.and_then(|observed| observed.volumes.get(&key));
            let by_path = path.is_some_and(|path| match seen {
                Some(volume) => volume.path == path,
                None => path.rsplit_once('/').is_some_and(|(_, last)| last == name),
            });
            by_path
                || (disk.attribute_at("source", "pool") == Some(pool)
                    && disk.attribute_at("source", "volume") == Some(name))
        }
    }
}

/// A guest that is there and was not made at its address keeps its NICs' MACs, and its reservations follow. What is derived
/// for others keeps clear of them.
fn macs(lab: &mut Cow<'_, Lab>, state: &State, observed: &Observed) {
    let mut found: BTreeMap<(Name, Name), String> = BTreeMap::new();
    for guest in lab.guests.values() {
        let Some(live) = adopted_guest(lab, guest, state, observed) else {
            continue;
        };
        let written = |nic: &Interface| {
            let key = (guest.key.clone(), nic.key.clone());
            lab.written.macs.contains(&key)
        };
        let entry = state.resources.get(&Address::guest(&guest.key));
        let applied = entry.map(|entry| {
            let applied = entry.applied.as_deref();
            let applied = applied.and_then(|text| Element::parse(text).ok());
            applied.unwrap_or_else(|| Element::new("domain"))
        });
        for (nic, mac) in matched(guest, &live.xml.tree(), applied.as_ref(), written) {
            found.insert((guest.key.clone(), nic), mac);
        }
    }
    if found.is_empty() {
        return;
    }
    let mut taken: BTreeSet<String> = found.values().cloned().collect();
    let written = lab.guests.values().flat_map(|guest| {
        let nics = guest.interfaces.iter();
        nics.filter(|nic| {
            let key = (guest.key.clone(), nic.key.clone());
            lab.written.macs.contains(&key)
        })
    });
    taken.extend(written.map(|nic| nic.mac.clone()));
    let lab = lab.to_mut();
    let mut changed: BTreeMap<(Name, String), String> = BTreeMap::new();
    for guest in lab.guests.values_mut() {
        for nic in &mut guest.interfaces {
            let key = (guest.key.clone(), nic.key.clone());
            let mac = match found.get(&key) {
                _ if lab.written.macs.contains(&key) => continue,
                Some(mac) => mac.clone(),
                None => derive_mac(&lab.name, &guest.key, &nic.key, &taken),
            };
            taken.insert(mac.clone());
            if mac != nic.mac {
                changed.insert((guest.key.clone(), nic.mac.clone()), mac.clone());
                for system in &mut guest.system.network {
                    if system.key == nic.key {
                        system.mac.clone_from(&mac);
                    }
                }
                nic.mac.clone_from(&mac);
            }
        }
    }
    for network in lab.networks.values_mut() {
        for host in &mut network.dhcp_hosts {
            if let Some(mac) = changed.get(&(host.guest.clone(), host.mac.clone())) {
                host.mac.clone_from(mac);
            }
        }
    }
}

/// The guest of ours that stands for one of the definition, where its UUID is not the one that is derived for it.
fn adopted_guest<'a>(
    lab: &Lab,
    guest: &Guest,
    state: &State,
    observed: &'a Observed,
) -> Option<&'a ObservedGuest> {
    let address = Address::guest(&guest.key);
    let live = match state.resources.get(&address) {
        Some(entry) => {
            let uuid = entry.uuid.filter(|uuid| *uuid != guest.uuid)?;
            let named = observed.guests.get(&entry.name);
            named
                .filter(|live| live.uuid == uuid)
                .or_else(|| observed.guests.values().find(|live| live.uuid == uuid))?
        }
        None => {
            let live = observed.guests.get(&guest.name)?;
            let (its_lab, its_address) = owner(&live.xml.tree())?;
            (its_lab == lab.name.as_str() && its_address == address.to_string()).then_some(live)?
        }
    };
    (live.uuid != guest.uuid).then_some(live)
}

/// The MACs of a guest's NICs that are there: by what the definition says of them, by alias, else the next on the same network that is no other's. One that is gone keeps
/// that which it was applied with.
fn matched(
    guest: &Guest,
    live: &Element,
    applied: Option<&Element>,
    written: impl Fn(&Interface) -> bool,
) -> Vec<(Name, String)> {
    let source = |nic: &Interface| match &nic.source {
        InterfaceSource::Network { name, .. } => Some(name.clone()),
        InterfaceSource::Bridge { bridge } => Some(bridge.clone()),
        InterfaceSource::Direct { dev, .. } => Some(dev.clone()),
        InterfaceSource::User => None,
    };
    struct There {
        key: Option<String>,
        source: Option<String>,
        mac: String,
    }
    fn interfaces(tree: &Element) -> impl Iterator<Item = &Element> {
        let devices = tree.child("devices").into_iter();
        devices.flat_map(|devices| devices.children_named("interface"))
    }
    fn key(nic: &Element) -> Option<&str> {
        nic.attribute_at("alias", "name")?.strip_prefix("ua-")
    }
    let known = |wanted: &str| {
        let mut nics = applied.into_iter().flat_map(interfaces);
        nics.find(|nic| key(nic) == Some(wanted))
    };
    let mut there: Vec<There> = interfaces(live)
        .filter_map(|nic| {
            let source = nic
                .attribute_at("source", "network")
                .or_else(|| nic.attribute_at("source", "bridge"));
            Some(There {
                key: key(nic).map(str::to_owned),
                source: source.map(str::to_owned),
                mac: nic.attribute_at("mac", "address")?.to_lowercase(),
            })
        })
        .collect();
    let mut found = Vec::new();
    let mut take = |nic: &Interface, fits: &dyn Fn(&There) -> bool| {
        let Some(at) = there.iter().position(fits) else {
            return false;
        };
        let nic_there = there.remove(at);
        if !written(nic) {
            found.push((nic.key.clone(), nic_there.mac));
        }
        true
    };
    let (mut open, mut gone): (Vec<&Interface>, Vec<&Interface>) = Default::default();
    for nic in &guest.interfaces {
        let by_mac = take(nic, &|there| there.mac == nic.mac);
        if !by_mac && !take(nic, &|there| there.key.as_deref() == Some(nic.key.as_str())) {
            open.push(nic);
        }
    }
    for nic in open {
        // One with an alias of ours is another NIC of the definition, or was one. Other tools name theirs, too.
        let is_free = |there: &There| {
            let key = there.key.as_deref();
            key.is_none_or(|key| applied.is_some() && known(key).is_none())
        };
        let is_there = take(nic, &|there| is_free(there) && there.source == source(nic));
        if !is_there {
            gone.push(nic);
        }
    }
    for nic in gone {
        let mac = known(nic.key.as_str()).and_then(|nic| nic.attribute_at("mac", "address"));
        let mac = mac.filter(|_| !written(nic)).map(str::to_lowercase);
        // Another may have it by now.
        let is_taken = |mac: &String| {
            let others = guest.interfaces.iter().filter(|other| other.key != nic.key);
            let mut others = others.map(|other| &other.mac);
            others.any(|other| other == mac) || found.iter().any(|(_, other)| other == mac)
        };
        let mac = mac.filter(|mac| !is_taken(mac));
        found.extend(mac.map(|mac| (nic.key.clone(), mac)));
    }
    found
}
