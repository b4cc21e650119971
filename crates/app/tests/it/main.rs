//! The binary from outside: real processes, real files, real signals.

mod cli;
mod crash;
mod disk;
mod durable;
mod load;
mod server;
