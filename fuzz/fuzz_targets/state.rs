//! The state's files, whatever they hold: what is read is written so that it reads the same.
#![no_main]

#[allow(dead_code, reason = "only the definitions' targets need all of it")]
mod input;

use std::fs;

use miniascape::address::Name;
use miniascape::state::store::{Access, Store};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let lab = Name::new("shop").unwrap();
    let directory = input::directory();
    for (file, text) in ["shop.toml", "shop.journal"]
        .iter()
        .zip(input::texts(data, 2))
    {
        fs::write(directory.join(file), text).unwrap();
    }
    let read = Store::open(directory, &lab, Access::Read);
    if let Ok((_, read)) = read {
        // Whoever writes folds the journal in, and changes nothing by that.
        let (mut store, opened) = Store::open(directory, &lab, Access::Write).unwrap();
        assert_eq!(opened, read);
        assert_eq!(store.finish().unwrap(), read);
        drop(store);
        let (_, again) = Store::open(directory, &lab, Access::Read).unwrap();
        assert_eq!(again, read);
    }
    for file in ["shop.toml", "shop.journal"] {
        let _ = fs::remove_file(directory.join(file));
    }
});
