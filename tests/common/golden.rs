//! Answer files as an administrator would write them by hand: `tests/cases/answers/CASE/lab.yaml`, and beside it what is
//! made of each guest, `GUEST.FILE`. `UPDATE_GOLDENS=1 cargo test` writes them anew; read the diff.

use std::fs;
use std::path::Path;

use super::variants;

/// Compares what a case's lab gives with the files of the case.
pub fn answers(case: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/answers")
        .join(case);
    let lab = variants::resolve(&fs::read_to_string(directory.join("lab.yaml")).unwrap());
    for (guest, files) in variants::answers(&lab) {
        for file in files {
            let path = directory.join(format!("{guest}.{}", file.name));
            if std::env::var_os("UPDATE_GOLDENS").is_some() {
                fs::write(&path, &file.text).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(expected, file.text, "{}", path.display());
        }
    }
}
