//! The command line.

mod cluster;
mod desk;
mod merchant;
mod people;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use cluster::{ClusterCommand, Up};
pub(crate) use desk::{
    AuditLog, Desk, DlqCommand, Explain, Letters, Page, PaymentCommand, PoisonCommand, SagaCommand,
    Verb,
};
pub(crate) use merchant::{MerchantCommand, MerchantKeysCommand};
pub(crate) use people::{KeysCommand, UserCommand};

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
    /// Prove that the books of a shop balance, stopped or served
    Prove(Prove),
    /// Move a stopped shop from its directory to PostgreSQL, or back; goes on when it was killed
    Move(Move),
    /// Be the simulated payment gateway of shops in other processes
    Gateway(Gateway),
    /// A whole stack of servers on this machine, to try things out: up, status, down
    Cluster {
        /// Where its files are
        #[arg(long, global = true, value_name = "DIR", default_value = "cluster")]
        dir: PathBuf,
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Load a server with orders and certify what it did
    Bench(Box<jangbu_bench::Args>),
    /// Put the demo data set into a running shop
    Demo(Demo),
    /// Make a key with which a merchant signs payments, and print it once
    MerchantKey(MerchantKey),
    /// Make the projections (derived.db) of a stopped data directory anew
    Rebuild(Rebuild),
    /// Back a shop up into a new directory, while it is served or stopped
    Backup(Backup),
    /// Make a data directory from a backup
    Restore(Restore),
    /// Restore a backup into a scratch directory, and prove its books there
    Verify(Verify),
    /// Users of a running shop
    User {
        #[command(flatten)]
        desk: Desk,
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Keys of customers' sessions and of sealed columns
    Keys {
        /// The data directory
        #[arg(
            long,
            global = true,
            value_name = "DIR",
            default_value = "data",
            env = "JANGBU_DATA"
        )]
        data: PathBuf,
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Sagas of a running shop: what is stuck, why, and what to do about it
    Saga {
        #[command(flatten)]
        desk: Desk,
        #[command(subcommand)]
        command: SagaCommand,
    },
    /// Payments of a running shop: unknown outcomes, asked and resolved
    Payment {
        #[command(flatten)]
        desk: Desk,
        #[command(subcommand)]
        command: PaymentCommand,
    },
    /// Merchants of a running shop: their keys, their fees, who may not sell
    Merchant {
        #[command(flatten)]
        desk: Desk,
        #[command(subcommand)]
        command: MerchantCommand,
    },
    /// Commands that a running shop has set aside
    Poison {
        #[command(flatten)]
        desk: Desk,
        #[command(subcommand)]
        command: PoisonCommand,
    },
    /// Dead letters: events that a consumer could not take
    Dlq {
        #[command(flatten)]
        desk: Desk,
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Products from a CSV file, and into one
    Catalog {
        #[command(flatten)]
        desk: Desk,
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// What operators did
    Audit(AuditLog),
    /// What became of an idempotency key
    Idempotency(Explain),
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
    /// A shop on PostgreSQL; the gateway's log and the keys are in the data directory all the same
    #[arg(long, value_name = "postgres://…")]
    pub store: Option<String>,
    /// Its schema
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// A settings file; where its shop is counts if --store does not say it
    #[arg(long, value_name = "FILE", env = "JANGBU_CONFIG")]
    pub config: Option<PathBuf>,
    /// The gateway's log, if it is not psp.log in the data directory
    #[arg(long, value_name = "FILE")]
    pub psp_log: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Move {
    /// The shop: a data directory, or postgres://user@host:port/database
    #[arg(long, value_name = "DIR|URL")]
    pub from: String,
    /// Where it goes: postgres://user@host:port/database, or a data directory
    #[arg(long, value_name = "URL|DIR")]
    pub to: String,
    /// The schema in the database; projections are in `NAME_derived`
    #[arg(long, value_name = "NAME", default_value = "jangbu", env = "JANGBU__STORE__SCHEMA")]
    pub schema: String,
    /// Where the gateway's log and the keys are, if not in the directory that is named
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Rows in one transaction
    #[arg(long, value_name = "ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub chunk: u32,
    /// Move a shop whose books do not balance; the target must have the same findings
    #[arg(long)]
    pub despite_findings: bool,
    /// Print what was moved as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Gateway {
    /// Where its log is; made if it is missing
    #[arg(long, value_name = "DIR", default_value = "gateway")]
    pub data: PathBuf,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7075")]
    pub listen: SocketAddr,
    /// A settings file (see `default-config`), of which the section gateway counts
    #[arg(long, value_name = "FILE", env = "JANGBU_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// The data directory of the running shop: its keys are there
    #[arg(long, value_name = "DIR", default_value = "data", env = "JANGBU_DATA")]
    pub data: PathBuf,
    /// Where it listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7070")]
    pub target: String,
    /// Products to make
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub products: usize,
    /// Customers to register; each costs the server the hash of a password
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub users: usize,
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

#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The directory to make
    pub to: PathBuf,
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "data", env = "JANGBU_DATA")]
    pub data: PathBuf,
    /// The server, if the directory is served
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7070")]
    pub server: String,
    /// The file of an operator's key; the data directory's own if it is not given
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Take the keys along: who has such a backup can act for the shop
    #[arg(long)]
    pub keys: bool,
    /// Print the manifest
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The backup
    pub from: PathBuf,
    /// The new data directory; it must not be there, or be empty
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Print the manifest
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The backup
    pub from: PathBuf,
    /// Where a scratch directory is made; as large as the backup
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Bring products to what a file says; the same file again changes nothing
    Import {
        /// The file
        file: PathBuf,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Write all products in the form that an import reads
    Export {
        /// Into this file; else to standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}
