//! How the program ends: its documented exit codes.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use jangbu_engine::port::Fault;
use jangbu_services::backup;
use jangbu_store::DirError;

use crate::bench::Failed;
use crate::operate::Refused;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing is wrong.
    Fine,
    /// A proof found something.
    Finding,
    /// A code that a part of the program has chosen.
    Code(u8),
}

/// Settings or arguments that make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(crate) struct Usage(pub anyhow::Error);

/// Says why on standard error, and turns it into the exit code.
#[expect(clippy::print_stderr, reason = "the one place that tells people why the program ends")]
pub(crate) fn code(done: Result<Exit>) -> ExitCode {
    match done {
        Ok(Exit::Fine) => ExitCode::SUCCESS,
        Ok(Exit::Finding) => ExitCode::from(1),
        Ok(Exit::Code(code)) => ExitCode::from(code),
        Err(error) => {
            eprintln!("jangbu: {error:#}");
            ExitCode::from(number(&error))
        }
    }
}

fn number(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Usage>() {
            return 2;
        }
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return refused.exit_code();
        }
        if let Some(Failed(error)) = cause.downcast_ref() {
            return error.exit_code();
        }
        match cause.downcast_ref() {
            Some(backup::Error::Damaged { .. } | backup::Error::NoBackup(_)) => return 1,
            Some(backup::Error::Taken(_) | backup::Error::NotEmpty(_)) => return 2,
            _ => {}
        }
        if cause.is::<DirError>() || matches!(cause.downcast_ref(), Some(Fault::Full(_))) {
            return 3;
        }
    }
    4
}

/// Prints a document.
pub(crate) fn print(text: &str) -> Result<Exit> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Fine)
}
