//! What an error of PostgreSQL means for the loop, with the remedy in its text.

use std::error::Error as _;

use jangbu_engine::port::Fault;
use tokio_postgres::{Error, error::SqlState};

/// Translates `error`, which happened while doing `what`.
pub(super) fn fault_of(error: &Error, what: &str) -> Fault {
    let Some(cause) = error.as_db_error() else {
        let said = format!("{what}: {}", text_of(error));
        let broke = error.is_closed() || is_io(error);
        return if broke { Fault::Transient(said) } else { Fault::Fatal(said) };
    };
    refused(cause.code().code(), cause.message(), cause.detail(), what)
}

/// What the server says when it does not do something.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    code: String,
    pub(super) message: String,
    detail: Option<String>,
    /// The server ends the connection, perhaps after a COMMIT that was carried out.
    pub(super) is_last_word: bool,
}

impl Refusal {
    /// Reads the fields of an error: each a letter and a text that ends with a zero.
    pub(super) fn read(body: &[u8]) -> Self {
        let mut refusal = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((letter, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match letter {
                b'V' => refusal.is_last_word = text == "FATAL" || text == "PANIC",
                b'C' => refusal.code = text,
                b'M' => refusal.message = text,
                b'D' => refusal.detail = Some(text),
                _ => {}
            }
        }
        refusal
    }

    /// What it means for who was doing `what`.
    pub(super) fn fault(&self, what: &str) -> Fault {
        refused(&self.code, &self.message, self.detail.as_deref(), what)
    }
}

fn refused(code: &str, message: &str, detail: Option<&str>, what: &str) -> Fault {
    let detail = detail.map(|detail| format!(", {detail}")).unwrap_or_default();
    let said = format!("{what}: {message}{detail} (SQLSTATE {code})");
    if code == SqlState::DIVISION_BY_ZERO.code() {
        return Fault::LostEpoch(what.to_owned());
    }
    if code == SqlState::DISK_FULL.code() {
        return Fault::Full(format!("{said}; free some space on the disk of PostgreSQL"));
    }
    match code.get(..2).unwrap_or_default() {
        // Data that does not fit, constraints, and what a trigger refuses.
        "22" | "23" | "P0" => Fault::Item(said),
        // Connections, conflicts, resources, time-outs, shutdown and start.
        "08" | "25" | "40" | "53" | "55" | "57" => Fault::Transient(said),
        "26" => Fault::Transient(format!("{said}; a PgBouncer in front must be in session mode")),
        "28" | "3D" | "42" | "3F" => Fault::Fatal(format!(
            "{said}; the user of store.url must exist, may log in, and owns the schema"
        )),
        _ => Fault::Fatal(format!("{said}; look at the log of PostgreSQL")),
    }
}

/// Whether the connection broke, or was never made.
fn is_io(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The error with its causes.
pub(super) fn text_of(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
