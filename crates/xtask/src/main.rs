//! Chores of the project, in the language of the project: `cargo xtask <command>`.
//!
//! - `tidy` checks what no compiler checks: the arrows between the crates, the shape of the
//!   domains, sizes and names, error codes against API.md, promises against tests;
//! - `mutations` breaks each promise on purpose, in a copy of the tree, and demands that the
//!   test which pins it fails.
//!
//! It is compiled in every run of `./test`, so it depends on an argument parser and nothing more.
#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]

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
}

fn main() -> Result<ExitCode> {
    let clean = match Args::parse().chore {
        Chore::Tidy { list: true } => tidy::list(),
        Chore::Tidy { list: false } => tidy::run()?,
        Chore::Mutations { only, dry_run } => mutations::run(only.as_deref(), dry_run)?,
    };
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
