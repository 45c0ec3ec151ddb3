//! The parts by themselves: `search`.

use crate::file::confined::Confined;
use crate::template::search::*;

#[test]
fn names_do_not_leave_their_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("in")).unwrap();
    std::fs::write(directory.path().join("out.j2"), "out").unwrap();
    let search = Search {
        directories: vec![directory.path().join("in")],
        confined: Confined::to([directory.path()]),
    };
    assert_eq!(search.read("../out.j2").unwrap(), None);
    assert_eq!(search.read("/etc/passwd").unwrap(), None);
    assert_eq!(search.join("../../out.j2", "a/b.j2"), "../../out.j2");
}
