//! The binary: arguments, settings, roles, shutdown. No logic.

mod args;
mod backup;
mod bench;
mod cluster;
mod config;
mod consumers;
mod demo;
mod exit;
mod gateway;
mod keys;
mod operate;
mod prove;
mod rebuild;
mod relocate;
mod serve;
mod stores;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
use exit::Exit;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Serve(args) => serve::serve(&args),
        Command::Prove(args) => prove::prove(&args),
        Command::Move(args) => relocate::relocate(&args),
        Command::Gateway(args) => gateway::gateway(&args),
        Command::Cluster { dir, command } => cluster::cluster(&dir, &command),
        Command::Bench(args) => bench::bench(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::MerchantKey(args) => keys::make(&args),
        Command::User { desk, command } => operate::user(&desk, &command),
        Command::Keys { data, command } => keys::keys(&data, &command),
        Command::Saga { desk, command } => operate::saga(&desk, &command),
        Command::Payment { desk, command } => operate::payment(&desk, &command),
        Command::Merchant { desk, command } => operate::merchant(&desk, &command),
        Command::Poison { desk, command } => operate::poison(&desk, &command),
        Command::Dlq { desk, command } => operate::dlq(&desk, &command),
        Command::Catalog { desk, command } => operate::catalog(&desk, &command),
        Command::Audit(args) => operate::audit(&args),
        Command::Idempotency(args) => operate::idempotency(&args),
        Command::Rebuild(args) => rebuild::rebuild(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Verify(args) => backup::verify(&args),
        Command::Openapi => exit::print(&jangbu_api::openapi_json()),
        Command::DefaultConfig => exit::print(config::DEFAULT),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "jangbu", &mut std::io::stdout());
            Ok(Exit::Fine)
        }
    };
    exit::code(done)
}
