//! The journal of acknowledgements: what the server said to whom, for `prove --acks`.
//!
//! CSV, one line per answer: `key,order_id,outcome,amount`, where the id may be one of a payment. It
//! is written as answers arrive, so that a run that is cut short leaves what had been acknowledged
//! until then.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::world::{Id, push_number};

/// An open journal. Write errors are kept and reported by [`Journal::flush`].
#[derive(Debug)]
pub(crate) struct Journal {
    file: BufWriter<File>,
    line: Vec<u8>,
    broken: Option<io::Error>,
}

impl Journal {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(128 << 10, File::create(path)?);
        file.write_all(b"key,order_id,outcome,amount\n")?;
        Ok(Self { file, line: Vec::with_capacity(128), broken: None })
    }

    /// One answer; `key` appends the idempotency key of the request.
    pub(crate) fn note(&mut self, key: impl FnOnce(&mut Vec<u8>), ack: &Ack) {
        self.line.clear();
        key(&mut self.line);
        self.line.push(b',');
        if let Some(id) = &ack.id {
            self.line.extend_from_slice(id);
        }
        self.line.push(b',');
        self.line.extend_from_slice(ack.outcome.as_bytes());
        self.line.push(b',');
        push_number(ack.amount.unsigned_abs(), &mut self.line);
        self.line.push(b'\n');
        if let Err(error) = self.file.write_all(&self.line) {
            self.broken.get_or_insert(error);
        }
    }

    /// Hands everything to the operating system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.file.flush()
    }
}

/// One acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ack {
    /// Of the order or the payment.
    pub(crate) id: Option<Id>,
    pub(crate) outcome: &'static str,
    pub(crate) amount: i64,
}
