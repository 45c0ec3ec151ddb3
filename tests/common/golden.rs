//! Answer files as an administrator would write them by hand: `tests/cases/answers/CASE/lab.yaml`, and beside it what is
//! made of each guest, `GUEST.FILE`. `UPDATE_GOLDENS=1 cargo test` writes them anew; read the diff.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The directory of a case.
pub fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/answers")
        .join(name)
}

/// Wants a case to hold these files, by name, and no other beside its lab.
pub fn compare(name: &str, made: &BTreeMap<String, String>) {
    let directory = case(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        for (file, text) in made {
            fs::write(directory.join(file), text).unwrap();
        }
    }
    let files = fs::read_dir(directory).unwrap();
    let read = files.map(|file| {
        let file = file.unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        (file.file_name().into_string().unwrap(), text)
    });
    let mut expected: BTreeMap<String, String> = read.collect();
    expected.remove("lab.yaml");
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&expected), names(made), "{name}");
    for (file, text) in made {
        assert_eq!(&expected[file], text, "{name}/{file}");
    }
}
