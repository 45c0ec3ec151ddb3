//! Laws that hold for whatever comes: of trees and their merge, of the state's files, of labs that are edited.
//!
//! Each law is tried on a fixed number of inputs, so that all take about half a minute; `PROPTEST_CASES=10000` tries
//! more. What fails is shrunk, and its seed is put under `proptest-regressions/`: commit that, and mend the cause with a
//! plain test of its own beside the code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../common/laboratory.rs"]
mod laboratory;

mod edits;
mod labs;
mod merge;
mod names;
mod order;
mod state;
mod trees;

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

/// As many cases as take a few seconds, and the same ones each time; or as many as `PROPTEST_CASES` says, drawn anew.
fn cases(few: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig {
            cases: few,
            rng_seed: RngSeed::Fixed(20_261_126),
            ..default
        },
    }
}
