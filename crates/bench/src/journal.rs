//! The journal of acknowledgements: what the server said to whom, for `prove --acks`.
//!
//! CSV, one line per answer: `key,order_id,outcome,amount`. It is written as answers arrive, so
//! that a run that is cut short leaves what had been acknowledged until then.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::outcome::Outcome;
use crate::world::{Id, World, push_number};

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

    /// One answer to order `n`.
    pub(crate) fn note(&mut self, world: &World, n: u64, ack: &Ack) {
        self.line.clear();
        world.push_key(n, &mut self.line);
        self.line.push(b',');
        if let Some(order) = &ack.order {
            self.line.extend_from_slice(order);
        }
        self.line.push(b',');
        self.line.extend_from_slice(ack.outcome.name().as_bytes());
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
    pub(crate) order: Option<Id>,
    pub(crate) outcome: Outcome,
    pub(crate) amount: i64,
}
