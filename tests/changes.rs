//! docs/changes.md has the tables that plans go by. `UPDATE_GOLDENS=1 cargo test --test changes` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;

use miniascape::plan::table::{self, Row};

/// The text between `<!-- NAME -->` and `<!-- end -->`, replaced.
fn with_table(text: &str, name: &str, rows: &[Row]) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = text.split_once(&begin).expect(name);
    let (_, after) = rest.split_once("<!-- end -->").expect(name);
    format!(
        "{before}{begin}{}<!-- end -->{after}",
        table::markdown(rows)
    )
}

#[test]
fn the_page_has_the_tables_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/changes.md");
    let page = fs::read_to_string(path).unwrap();
    let tables = [
        ("networks", table::NETWORK),
        ("guests", table::GUEST),
        ("pools", table::POOL),
        ("volumes", table::VOLUME),
        ("images", table::IMAGE),
    ];
    let expected = tables.iter().fold(page.clone(), |text, (name, rows)| {
        with_table(&text, name, rows)
    });
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(path, &expected).unwrap();
    } else {
        assert_eq!(page, expected);
    }
}
