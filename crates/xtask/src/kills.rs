//! A server is killed under full load, again and again: `cargo xtask kills --rounds 200`.
//!
//! The test that `./test` runs with ten rounds, with as many as one likes: after each kill -9 the
//! books are proved against the journal of what buyers were told.

use std::process::Command;

use anyhow::{Context, Result};

use crate::tree;

const TEST: &str = "a_process_killed_at_any_moment_loses_nothing_that_was_acknowledged";

/// So many rounds; false when something was lost.
pub(crate) fn run(rounds: u32, release: bool) -> Result<bool> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(tree::root()?).args(["test", "--locked", "--package", "jangbu"]);
    if release {
        cargo.arg("--release");
    }
    cargo.args(["--test", "it", TEST, "--", "--nocapture"]);
    cargo.env("JANGBU_CRASH_ROUNDS", rounds.to_string());
    let status = cargo.status().context("cannot start cargo")?;
    println!("{rounds} rounds: {}", if status.success() { "nothing was lost" } else { "FAILED" });
    Ok(status.success())
}
