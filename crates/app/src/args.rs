//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

/// Jangbu: an order and payment core that can prove its books.
///
/// Exit codes: 0 fine, 1 a finding, 2 wrong usage or settings, 3 the data directory is in use or
/// not writable, 4 could not run to the end.
#[derive(Debug, Parser)]
#[command(name = "jangbu", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a shop from a data directory
    Serve(Serve),
    /// Prove that the books of a data directory balance, stopped or served
    Prove(Prove),
    /// Load a server with orders and certify what it did
    Bench(Box<jangbu_bench::Args>),
    /// Put the demo data set into a running shop
    Demo(Demo),
    /// Make a key with which a merchant signs payments, and print it once
    MerchantKey(MerchantKey),
    /// Make the projections (derived.db) of a stopped data directory anew
    Rebuild(Rebuild),
    /// Print the OpenAPI document
    Openapi,
    /// Print every setting with its default
    DefaultConfig,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where the shop lives; made if it is missing
    #[arg(long, value_name = "DIR", default_value = "data", env = "JANGBU_DATA")]
    pub data: PathBuf,
    /// Address and port, before settings and environment
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// A settings file (see `default-config`)
    #[arg(long, value_name = "FILE", env = "JANGBU_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Prove {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "data", env = "JANGBU_DATA")]
    pub data: PathBuf,
    /// A journal of acknowledgements (CSV, header `key,order_id,outcome,amount`) to compare with
    #[arg(long, value_name = "FILE")]
    pub acks: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// The data directory of the running shop: its keys are there
    #[arg(long, value_name = "DIR", default_value = "data", env = "JANGBU_DATA")]
    pub data: PathBuf,
    /// Where it listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7070")]
    pub target: String,
    /// Print what was made as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MerchantKey {
    /// Whose key it is: 1 to 32 of A-Z a-z 0-9 _ -
    #[arg(value_name = "MERCHANT_ID")]
    pub merchant: String,
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "data", env = "JANGBU_DATA")]
    pub data: PathBuf,
    /// Let the key sign authorizations by X-HMAC-SHA256, too, while its clients move
    #[arg(long)]
    pub legacy: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rebuild {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "data", env = "JANGBU_DATA")]
    pub data: PathBuf,
}
