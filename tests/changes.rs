//! docs/changes.md and docs/drift.md have the tables that plans go by, docs/definition.md those of all keys. `UPDATE_GOLDENS=1 cargo test --test changes` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;

use miniascape::lab::{explain, places};
use miniascape::plan::whose;
use miniascape::xml::derived;

/// Wants a page to have these tables, each between `<!-- NAME -->` and `<!-- end -->`.
fn has_tables(page: &str, tables: &[(&str, String)]) {
    let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(&path).unwrap();
    let expected = tables.iter().fold(page.clone(), |text, (name, table)| {
        let begin = format!("<!-- {name} -->\n");
        let (before, rest) = text.split_once(&begin).expect(name);
        let (_, after) = rest.split_once("<!-- end -->").expect(name);
        format!("{before}{begin}{table}<!-- end -->{after}")
    });
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(path, &expected).unwrap();
    } else {
        assert_eq!(page, expected);
    }
}

#[test]
fn the_pages_have_the_tables_of_the_code() {
    let tables = [
        ("networks", places::markdown("network")),
        ("guests", places::markdown("domain")),
        ("pools", places::markdown("pool")),
        ("volumes", places::markdown("volume")),
        ("images", places::markdown("image")),
        ("derived", derived::markdown()),
    ];
    has_tables("changes.md", &tables);
    has_tables("drift.md", &[("others", whose::markdown())]);
    has_tables("definition.md", &[("keys", explain::markdown())]);
}
