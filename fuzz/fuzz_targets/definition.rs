//! YAML, from its text to what it means: never a panic, and each problem has its place.
#![no_main]

mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| input::definition(data, "yaml"));
