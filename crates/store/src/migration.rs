//! The steps of a schema, whatever the database: what was applied stands in table `migration` with the
//! SHA-256 of its text, and a step whose text changed since, a gap, or a step that this program
//! does not know is refused.

use std::{
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use jangbu_engine::port::Fault;
use sha2::{Digest, Sha256};

/// A step of the schema. Its text is written for SQLite; [`crate::postgres`] translates it.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// 1, 2, 3, …
    pub version: u32,
    /// A short name.
    pub name: &'static str,
    /// Its statements. Never edited once released.
    pub sql: &'static str,
}

impl Migration {
    /// How it is called in messages.
    pub(crate) fn label(&self) -> String {
        label(self.version, self.name)
    }

    /// The digest of its text, in hexadecimal.
    pub fn sha256(&self) -> String {
        Sha256::digest(self.sql.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// A step that the database has.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) sha256: String,
}

fn label(version: u32, name: &str) -> String {
    format!("migration {version} ({name})")
}

/// The steps of `known` that are still to be applied. Refuses steps that do not count 1, 2, 3, a newer
/// database, a gap, and a step whose text is another one than that applied.
pub(crate) fn missing<'m>(
    applied: &[Applied],
    known: &'m [Migration],
) -> Result<&'m [Migration], Fault> {
    if let Some((at, wrong)) =
        known.iter().enumerate().find(|(at, m)| usize::try_from(m.version) != Ok(at + 1))
    {
        return Err(Fault::Fatal(format!(
            "{} stands at place {}: versions must count 1, 2, 3, …",
            wrong.label(),
            at + 1
        )));
    }
    for (at, old) in applied.iter().enumerate() {
        let step = label(old.version, &old.name);
        let Some(new) = known.get(at) else {
            return Err(Fault::Fatal(format!(
                "the database has {step}, but this program knows only {}: it was written by a \
                 newer version; start that one",
                known.len()
            )));
        };
        if old.version != new.version {
            return Err(Fault::Fatal(format!(
                "the database has {step} where {} is expected: its list of migrations has a gap; \
                 restore the last backup",
                new.label()
            )));
        }
        if old.sha256 != new.sha256() {
            return Err(Fault::Fatal(format!(
                "{step} was changed after it was applied to this database: put its text back and \
                 add the change as a new migration"
            )));
        }
    }
    Ok(&known[applied.len()..])
}

/// Now, in microseconds: when a step was applied.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}
