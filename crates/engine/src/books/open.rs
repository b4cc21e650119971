//! What is read of the engine's own rows before the first batch.

use jangbu_kernel::Time;

use super::{AUDIT, Books, SHARD, Shard};
use crate::port::{By, Fault, Fields, Read};

/// The books while they are read.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    shard: Option<Shard>,
    audits: i64,
}

impl Opening {
    /// Reads the shard row and the last line of the audit log.
    pub(crate) fn reads() -> Vec<Read> {
        let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
        let last = By::Range { from, to, descending: true, limit: 1 };
        let shard = Read { table: &SHARD, by: By::Keys(vec![[0, 0, 0]]) };
        vec![shard, Read { table: &AUDIT, by: last }]
    }

    /// Takes in a row of the read in place `at`.
    pub(crate) fn take(&mut self, at: usize, row: &dyn Fields) {
        if at == 1 {
            self.audits = row.int(0);
            return;
        }
        let mut idem_key = [0; 16];
        let stored = row.blob(5);
        let n = stored.len().min(16);
        idem_key[..n].copy_from_slice(&stored[..n]);
        self.shard = Some(Shard {
            commits: row.int(1),
            events: row.int(2),
            requests: row.int(3),
            clock: Time(row.int(4)),
            idem_key,
            trimmed: row.int(6),
            purged: row.int(7),
            version: row.int(8),
        });
    }

    /// The books that were read.
    pub(crate) fn books(self) -> Result<Books, Fault> {
        let shard =
            self.shard.ok_or_else(|| Fault::Fatal("the shard row is missing".to_owned()))?;
        let before = shard.clone();
        let (new, found, audited) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Books { shard, before, new, found, audits: self.audits, audited })
    }
}
