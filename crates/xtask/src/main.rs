//! Chores of the project, in the language of the project: `cargo xtask <command>`.
//!
//! - `tidy` checks what no compiler checks: the arrows between the crates, the shape of the
//!   domains, sizes and names, error codes against API.md, promises against tests;
//! - `mutations` breaks each promise on purpose, in a copy of the tree, and demands that the
//!   test which pins it fails;
//! - `coverage` counts the lines of the core that the tests run;
//! - `kills` kills a server under load as often as one likes;
//! - `drills` breaks what a shop stands on, and prints what came of it.
//!
//! It is compiled in every run of `./test`, so it depends on an argument parser and nothing more.
#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]

mod coverage;
mod drills;
mod kills;
mod mutations;
mod scan;
mod tidy;
mod tree;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Chores of the Jangbu workspace")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check layers, layout, sizes, names, error codes and promises; exit 1 on any finding.
    Tidy {
        /// Print the rules with what each is for, and check nothing.
        #[arg(long)]
        list: bool,
    },
    /// Break each promise on purpose and demand that its test fails; exit 1 when one does not.
    Mutations {
        /// Run only mutations whose file name starts with this (`P3`, `P3-no-intent`).
        #[arg(long, value_name = "PREFIX")]
        only: Option<String>,
        /// Check that every mutation still applies, and run nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Count the lines of domain, engine and services that tests run; exit 1 below 90 % of a crate.
    Coverage(coverage::Wanted),
    /// Kill -9 a server under full load, prove the books, start it again; exit 1 on any loss.
    Kills {
        /// How often.
        #[arg(long, default_value_t = 200)]
        rounds: u32,
        /// With an optimised server: more load, and minutes to build it.
        #[arg(long)]
        release: bool,
    },
    /// Break PostgreSQL, Kafka, Redis and the ways to them under load; print a table; exit 1 on any loss.
    Drills {
        /// With an optimised server: more load, and minutes to build it.
        #[arg(long)]
        release: bool,
    },
}

fn main() -> Result<ExitCode> {
    let clean = match Args::parse().chore {
        Chore::Tidy { list: true } => tidy::list(),
        Chore::Tidy { list: false } => tidy::run()?,
        Chore::Coverage(wanted) => coverage::run(&wanted)?,
        Chore::Kills { rounds, release } => kills::run(rounds, release)?,
        Chore::Drills { release } => drills::run(release)?,
        Chore::Mutations { only, dry_run } => mutations::run(only.as_deref(), dry_run)?,
    };
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
