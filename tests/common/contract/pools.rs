//! Pools and volumes.

use std::fs;

use miniascape::file::header::Format;
use miniascape::libvirt::observed::Observed;
use miniascape::libvirt::{DiskFile, ErrorKind, Others, Outcome, Scope};
use miniascape::step::{Content, Named, SeenFile, Step};

use super::{Can, Script, Site, assert_holds, create_volume, delete_volume, named, volumes, xml};

pub const SCRIPTS: &[Script] = &[
    Script::new("a pool lives and goes", &[], lives),
    Script::new(
        "a pool makes its directory and takes it away",
        &[Can::Files],
        directory,
    ),
    Script::new(
        "a pool runs on as it started",
        &[Can::Apart, Can::Files],
        runs_on,
    ),
    Script::new(
        "a directory is one pool's",
        &[Can::Files],
        one_of_a_directory,
    ),
    Script::new("a volume is made once and goes", &[], volume),
    Script::new(
        "a volume has the format that was asked for",
        &[Can::Files],
        formats,
    ),
    Script::new("a volume grows and does not shrink", &[Can::Files], grows),
    Script::new("a volume is tried and nothing is left of it", &[], tried),
    Script::new(
        "a volume is filled whole or is not there",
        &[Can::Files],
        filled,
    ),
    Script::new(
        "volumes out of sight are known by their files",
        &[Can::Files],
        out_of_sight,
    ),
];

fn shop() -> Named {
    named("shop", 11)
}

fn start() -> Step {
    Step::StartPool { name: shop() }
}

fn stop() -> Step {
    Step::StopPool { name: shop() }
}

/// Whether the pool's directory is there.
fn is_there(site: &Site) -> bool {
    let scope = Scope {
        directories: [(shop().name, site.path(&shop()))].into(),
        ..Scope::default()
    };
    site.look(&scope).directories["shop"].there
}

/// What is seen of a volume.
fn text(seen: &Observed, name: &str, what: &str) -> Option<String> {
    let xml = seen
        .volumes
        .get(&(shop().name, name.to_owned()))?
        .xml
        .tree();
    xml.text_at(what).map(str::to_owned)
}

fn lives(site: &Site) {
    let Step::DefinePool { xml } = site.define_pool(&shop()) else {
        unreachable!("it defines a pool")
    };
    site.done(site.define_pool(&shop()));
    let seen = &site.observe().pools["shop"];
    assert!(!seen.active && !seen.autostart && seen.persistent);
    assert_eq!(
        (seen.uuid, seen.directory()),
        (shop().uuid, Some(site.path(&shop())))
    );
    assert_holds(&seen.xml.tree(), &xml.tree());
    site.twice(start());
    for on in [true, false] {
        let name = shop();
        site.twice(Step::AutostartPool { name, on });
        let seen = &site.observe().pools["shop"];
        assert!(seen.active && seen.autostart == on);
    }
    let undefine = || Step::UndefinePool { name: shop() };
    site.refused(undefine(), ErrorKind::Failed);
    site.twice(stop());
    assert!(!site.observe().pools["shop"].active);
    if site.can.contains(&Can::Files) {
        site.done(Step::DeletePoolDirectory { name: shop() });
    }
    site.twice(undefine());
}

fn directory(site: &Site) {
    site.done(site.define_pool(&shop()));
    assert!(!is_there(site));
    site.done(start());
    assert!(is_there(site));
    site.done(create_volume(&shop(), "a", "raw", ""));
    let delete = || Step::DeletePoolDirectory { name: shop() };
    site.refused(delete(), ErrorKind::Failed);
    site.done(stop());
    let kept = site.done(delete()).note.expect("it is not empty");
    assert!(kept.contains("not empty"), "{kept}");
    assert!(is_there(site));
    site.done(start());
    site.done(delete_volume(&shop(), "a"));
    site.done(stop());
    site.twice(delete());
    assert!(!is_there(site));
    site.done(Step::UndefinePool { name: shop() });
    // Of a pool that is not there it is not known which it was.
    assert_eq!(site.done(delete()), Outcome::default());
}

fn runs_on(site: &Site) {
    let elsewhere = named("elsewhere", 12);
    let asked = volumes(&shop(), &["a"]);
    let Step::DefinePool { xml } = site.define_pool(&shop()) else {
        unreachable!("it defines a pool")
    };
    let mut moved = (*xml.tree()).clone();
    let path = moved.child_or_insert("target").child_or_insert("path");
    path.text = site.path(&elsewhere);
    site.make_pool(&shop());
    site.done(Step::DefinePool { xml: moved.into() });
    let directory = site.observe().pools["shop"].directory();
    assert_eq!(directory, Some(site.path(&elsewhere)));
    // It is made where the pool runs, not where it is defined.
    site.done(create_volume(&shop(), "a", "raw", ""));
    site.done(stop());
    site.done(start());
    assert!(site.look(&asked).volumes.is_empty());
    site.remove_pool(&shop(), &[]);
    site.make_pool(&shop());
    assert_eq!(site.look(&asked).volumes.len(), 1);
    site.remove_pool(&shop(), &["a"]);
}

fn one_of_a_directory(site: &Site) {
    site.done(site.define_pool(&shop()));
    let path = site.path(&shop());
    let other = xml(&format!(
        "<pool type='dir'><name>other</name><target><path>{path}</path></target></pool>"
    ));
    let other = Step::DefinePool { xml: other.into() };
    site.refused(other, ErrorKind::Failed);
    site.done(Step::UndefinePool { name: shop() });
}

fn volume(site: &Site) {
    let create = || create_volume(&shop(), "a", "qcow2", "");
    let asked = volumes(&shop(), &["a", "none"]);
    site.done(site.define_pool(&shop()));
    site.refused(create(), ErrorKind::Failed);
    site.refused(delete_volume(&shop(), "a"), ErrorKind::Failed);
    site.done(start());
    assert!(site.look(&asked).volumes.is_empty());
    site.done(create());
    site.refused(create(), ErrorKind::Exists);
    let seen = site.look(&asked);
    let keys = Vec::from_iter(seen.volumes.keys());
    assert_eq!(keys, [&(shop().name, "a".to_owned())]);
    let volume = seen.volumes.values().next().unwrap();
    assert_eq!(volume.path, format!("{}/a", site.path(&shop())));
    assert_eq!(text(&seen, "a", "target/path"), Some(volume.path.clone()));
    let wanted = "<volume><name>a</name><capacity unit='bytes'>1048576</capacity></volume>";
    let there = volume.xml.tree();
    assert_eq!(there.text_at("name"), Some("a"));
    assert_eq!(there.text_at("capacity"), xml(wanted).text_at("capacity"));
    // One that was not asked for is read along with all others only.
    assert!(site.observe().volumes.is_empty());
    let all = Scope {
        others: Others::Read,
        ..Scope::default()
    };
    assert!(site.look(&all).volumes.contains_key(keys[0]));
    site.done(stop());
    assert!(site.look(&asked).volumes.is_empty());
    site.done(start());
    site.twice(delete_volume(&shop(), "a"));
    site.remove_pool(&shop(), &[]);
}

fn formats(site: &Site) {
    site.make_pool(&shop());
    let base = format!("{}/base", site.path(&shop()));
    let none = format!("{}/none", site.path(&shop()));
    let backed =
        |by: &str| format!("<backingStore><path>{by}</path><format type='qcow2'/></backingStore>");
    let over = |by: &str| create_volume(&shop(), "over", "qcow2", &backed(by));
    site.refused(over(&base), ErrorKind::Failed);
    site.done(create_volume(&shop(), "base", "qcow2", ""));
    site.done(over(&base));
    site.done(create_volume(&shop(), "raw", "raw", ""));
    let names = ["base", "over", "raw"];
    let file = |name: &&str| DiskFile::Volume(shop().name, (*name).to_owned());
    let scope = Scope {
        formats: names
            .iter()
            .map(file)
            .chain([&base, &none].map(|path| DiskFile::Path(path.clone())))
            .collect(),
        ..volumes(&shop(), &names)
    };
    let seen = site.look(&scope);
    for (name, format) in [("base", "qcow2"), ("over", "qcow2"), ("raw", "raw")] {
        let volume = &seen.volumes[&(shop().name, name.to_owned())];
        let there = volume.xml.tree();
        assert_eq!(there.attribute_at("target/format", "type"), Some(format));
        assert_eq!(
            seen.formats[&file(&name)],
            Some(Format::of_volume(format)),
            "{name}"
        );
    }
    assert_eq!(
        seen.formats[&DiskFile::Path(base.clone())],
        Some(Format::of_volume("qcow2"))
    );
    // Of what is not there nobody can tell.
    let of_none = seen.formats.get(&DiskFile::Path(none));
    assert!(of_none.is_none_or(Option::is_none));
    assert_eq!(text(&seen, "over", "backingStore/path"), Some(base));
    assert_eq!(text(&seen, "base", "backingStore/path"), None);
    site.remove_pool(&shop(), &names);
}

fn grows(site: &Site) {
    site.make_pool(&shop());
    let grow = |capacity| Step::GrowVolume {
        pool: shop(),
        name: "a".to_owned(),
        seen: None,
        capacity,
        guest: None,
    };
    site.refused(grow(2_097_152), ErrorKind::NotFound);
    for format in ["raw", "qcow2"] {
        site.done(create_volume(&shop(), "a", format, ""));
        for capacity in [2_097_152, 2_097_152, 1_048_576] {
            site.done(grow(capacity));
            let seen = site.look(&volumes(&shop(), &["a"]));
            assert_eq!(text(&seen, "a", "capacity").as_deref(), Some("2097152"));
        }
        site.done(delete_volume(&shop(), "a"));
    }
    site.remove_pool(&shop(), &[]);
}

fn tried(site: &Site) {
    site.make_pool(&shop());
    let Step::CreateVolume { pool, xml } = create_volume(&shop(), "a", "qcow2", "") else {
        unreachable!("it makes a volume")
    };
    site.twice(Step::TryVolume { pool, xml });
    assert!(site.look(&volumes(&shop(), &["a"])).volumes.is_empty());
    site.remove_pool(&shop(), &[]);
}

fn filled(site: &Site) {
    /// Of a file of 4096 times the letter `x`.
    const HASH: &str = "sha256:a2e659dacb4691e887ac0139f8893d04764ee197d70fb73d3190d56113d18e3e";
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("image");
    fs::write(&source, [b'x'; 4096]).unwrap();
    let upload = |content| Step::UploadVolume {
        pool: shop(),
        name: "a".to_owned(),
        seen: None,
        content,
    };
    let file = |path: &std::path::Path, expected: Option<&str>| Content::File {
        path: path.to_owned(),
        expected: expected.map(str::to_owned),
    };
    let room = |content, size| Step::CheckRoom {
        pool: shop(),
        content,
        size,
        frees: 0,
    };
    let is_there = || !site.look(&volumes(&shop(), &["a"])).volumes.is_empty();
    site.make_pool(&shop());
    site.refused(upload(file(&source, None)), ErrorKind::NotFound);
    site.done(room(None, 4096));
    site.done(room(Some(file(&source, None)), 4096));
    let none = directory.path().join("none");
    site.refused(room(Some(file(&none, None)), 4096), ErrorKind::Failed);
    // What fails leaves no half of a volume.
    let wrong = format!("sha256:{}", "0".repeat(64));
    for (content, why) in [
        (file(&none, None), "none"),
        (file(&source, Some(&wrong)), "SHA-256"),
    ] {
        site.done(create_volume(&shop(), "a", "raw", ""));
        let said = site.refused(upload(content), ErrorKind::Failed);
        assert!(said.contains(why), "{said}");
        assert!(!is_there());
    }
    site.done(create_volume(&shop(), "a", "raw", ""));
    let seed = Content::Bytes(vec![b'y'; 512].into());
    assert_eq!(site.done(upload(seed)), Outcome::default());
    let outcome = site.done(upload(file(&source, Some(HASH))));
    let filled = outcome.filled.expect("it was filled from a file");
    assert_eq!(
        (filled.source, filled.content.as_str()),
        (source.clone(), HASH)
    );
    assert_eq!(outcome.note, None);
    let outcome = site.done(upload(file(&source, None)));
    assert!(outcome.filled.unwrap().content.starts_with("blocks:"));
    assert!(is_there());
    site.remove_pool(&shop(), &["a"]);
}

fn out_of_sight(site: &Site) {
    let key = (shop().name, "a".to_owned());
    let scope = Scope {
        directories: [(shop().name, site.path(&shop()))].into(),
        ..volumes(&shop(), &["a", "none"])
    };
    site.make_pool(&shop());
    site.done(create_volume(&shop(), "a", "raw", ""));
    assert!(site.look(&scope).files.is_empty());
    site.done(stop());
    let seen = site.look(&scope);
    assert!(seen.volumes.is_empty());
    assert_eq!(Vec::from_iter(&seen.files), [&key]);
    site.done(Step::UndefinePool { name: shop() });
    assert_eq!(Vec::from_iter(&site.look(&scope).files), [&key]);
    site.make_pool(&shop());
    assert!(site.look(&scope).volumes.contains_key(&key));
    // A file that is in no pool any more goes by its path.
    site.done(stop());
    site.done(Step::UndefinePool { name: shop() });
    let path = format!("{}/a", site.path(&shop()));
    let seen = SeenFile { path, id: None };
    site.twice(Step::DeleteFile { seen });
    assert!(site.look(&scope).files.is_empty());
    site.done(site.define_pool(&shop()));
    site.remove_pool(&shop(), &[]);
}
