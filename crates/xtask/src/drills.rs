//! The table of outages in OPERATIONS.md, as this machine has it: `cargo xtask drills`.
//!
//! Runs the tests that break what the shop stands on, and prints the rows that they leave. Each row stands for one
//! outage under load; its test fails when anything was lost or doubled, and then there is no row.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tree;

/// Where the tests are.
const MODULES: [&str; 6] = ["crash::", "pair::", "outages::", "ways::", "kafka::", "brokers::"];

/// What the rows have.
const HEAD: &str = "\
| what is done | offered | told | not told | sold meanwhile | longest pause | all well after | reads shown / not | lost | \
doubled | test |
|---|---|---|---|---|---|---|---|---|---|---|";

/// Prints the table; false when a drill has failed.
pub(crate) fn run(release: bool) -> Result<bool> {
    let rows = tree::root()?.join("target").join("drills.md");
    fs::create_dir_all(rows.parent().context("no directory for the rows")?)?;
    // What an earlier run has left is of no interest.
    drop(fs::remove_file(&rows));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(tree::root()?).args(["test", "--locked", "--package", "jangbu"]);
    if release {
        cargo.arg("--release");
    }
    // One after the other: the figures are those of one outage at a time.
    cargo.args(["--test", "it", "--"]).args(MODULES).arg("--test-threads=1");
    let status = cargo.env("JANGBU_DRILLS", &rows).status().context("cannot start cargo")?;
    let table = fs::read_to_string(&rows).unwrap_or_default();
    println!("{HEAD}\n{table}");
    Ok(status.success())
}
