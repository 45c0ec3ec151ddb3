//! Definitions that are templates: as without, and they end.
#![no_main]

mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| input::definition(data, "yaml.j2"));
