//! What an error of SQLite means for the loop, with the remedy in its text.

use std::ffi::c_int;

use jangbu_engine::port::Fault;
use rusqlite::{Error, ErrorCode, ffi};

/// Translates `error`, which happened while doing `what`.
pub(super) fn fault_of(error: &Error, what: &str) -> Fault {
    let Error::SqliteFailure(cause, text) = error else {
        return Fault::Fatal(format!("{what}: {error}"));
    };
    let text = text.as_deref().unwrap_or("no more is known");
    let said = format!("{what}: {text} (SQLite code {})", cause.extended_code);
    match cause.code {
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
            Fault::Item(said)
        }
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::OperationInterrupted
        | ErrorCode::OutOfMemory => Fault::Transient(said),
        ErrorCode::DiskFull => {
            Fault::Full(format!("{said}; free some space on the disk of the data directory"))
        }
        // Making room for the log's index failed: the disk is full.
        ErrorCode::SystemIoFailure if cause.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            Fault::Full(format!("{said}; free some space on the disk of the data directory"))
        }
        code => Fault::Fatal(format!("{said}; {}", remedy(code))),
    }
}

/// An error as SQLite would report it.
pub(super) fn error(code: c_int, text: String) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), Some(text))
}

/// Whether the file itself is damaged.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn remedy(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::DatabaseCorrupt => {
            "the file is damaged: stop, copy the data directory away and restore the last backup"
        }
        ErrorCode::NotADatabase => {
            "the file is not a database: check the data directory, or restore the last backup"
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            "this user must be able to write the data directory and the files in it"
        }
        ErrorCode::SystemIoFailure => {
            "the disk failed: look at the system log, and restart when the disk is sound"
        }
        ErrorCode::SchemaChanged | ErrorCode::Unknown => {
            "the schema is not the one that this program expects"
        }
        _ => "this is a bug of this program",
    }
}
