//! Which payments the gateway holds in memory: the latest, and those that somebody asked for again.
//!
//! ```text
//!                     ids ─────────────────────────────►
//!  the log            ■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■  everything, for ever
//!  the index          ▪   ▪   ▪   ▪   ▪   ▪   ▪   ▪   ▪  where in it
//!  recalled               □        □  □                  asked for lately
//!  recent                              gone │□□□□□□□□□□  everything above `gone`
//! ```
//!
//! 1. Every payment above `gone` is in memory: a new one needs no look at the log, nor at the index.
//! 2. Of a payment up to `gone`, nothing or all is in memory. Before a request about it is decided, all
//!    its records are read back, in order, from the blocks that the [index](Index) names.
//! 3. Nothing leaves memory before it is on stable storage; so the log, memory and [`undo`](Memory::undo)
//!    never disagree.
//!
//! At the start the log is read once, and memory and index are built together. Records about payments
//! that have left memory by then are checked afterwards, thousands in one more pass over the log.

use std::{collections::HashSet, fs::File, io};

use super::{
    book::{Book, Decision, Verdict},
    index::{Index, begins},
};
use crate::{
    gateway::Request,
    log::{End, OpenError, Record, offset, scan_file, select},
};

/// How much is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Accounts and refunds of the latest payments.
    pub(super) recent: usize,
    /// Accounts and refunds of older ones.
    pub(super) recalled: usize,
    /// Records in a block of the log.
    pub(super) block: usize,
    /// Payments that wait for their check while the log is read.
    pub(super) late: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { recent: 1 << 17, recalled: 1 << 14, block: 1 << 12, late: 1 << 17 }
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    limits: Limits,
    recent: Book,
    recalled: Book,
    /// The highest payment that has left `recent`.
    gone: Option<i64>,
    index: Index,
    payments: u64,
}

impl Memory {
    fn new(limits: Limits) -> Self {
        let (recent, recalled) = (Book::default(), Book::default());
        let index = Index::new(limits.block);
        Self { limits, recent, recalled, gone: None, index, payments: 0 }
    }

    /// Reads a log, and tells how it ends.
    pub(super) fn read(file: &File, limits: Limits) -> Result<(Self, End), OpenError> {
        let mut reading = Reading { memory: Self::new(limits), late: HashSet::new() };
        let mut checked = Ok(());
        let end = scan_file(file, &mut |record| {
            let agrees = reading.enter(&record);
            if agrees && reading.late.len() >= limits.late {
                checked = reading.check(file);
            }
            agrees && checked.is_ok()
        });
        checked?;
        // Whatever ended the scan, a contradiction that is found now stands before it.
        reading.check(file)?;
        Ok((reading.memory, end?))
    }

    /// How many payments have arrived or are fenced, ever.
    pub(super) fn payments(&self) -> u64 {
        self.payments
    }

    /// Whether the request was decided before, so that it only asks for its answer again.
    pub(super) fn knows(&mut self, log: &File, request: &Request) -> io::Result<bool> {
        Ok(self.recall(log, request.payment)?.knows(request))
    }

    /// Decides a request and enters what it does; the record must be stored before anybody hears of it.
    pub(super) fn decide(
        &mut self,
        log: &File,
        request: &Request,
        verdict: Verdict,
    ) -> io::Result<Decision> {
        let book = self.recall(log, request.payment)?;
        let (said, record) = book.decide(request, verdict);
        if let Some(record) = &record {
            let applied = book.apply(record);
            debug_assert!(applied, "a decision contradicts the books it was made from");
            self.payments += u64::from(begins(record));
        }
        Ok((said, record))
    }

    /// Takes the last record of its payment back, because it could not be stored.
    pub(super) fn undo(&mut self, record: &Record) {
        self.page(record.payment).undo(record);
        self.payments -= u64::from(begins(record));
    }

    /// The records are on stable storage, in this order, and with them all that was decided.
    pub(super) fn stored(&mut self, records: &[Record]) {
        for record in records {
            self.index.push(record);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.recent.entries() > self.limits.recent {
            self.gone = self.gone.max(self.recent.forget_lowest());
        }
        if self.recalled.entries() > self.limits.recalled {
            self.recalled = Book::default();
        }
    }

    fn is_recent(&self, payment: i64) -> bool {
        self.gone.is_none_or(|gone| payment > gone)
    }

    fn page(&mut self, payment: i64) -> &mut Book {
        if self.is_recent(payment) { &mut self.recent } else { &mut self.recalled }
    }

    /// The book in which everything about the payment stands.
    fn recall(&mut self, log: &File, payment: i64) -> io::Result<&mut Book> {
        if !self.is_recent(payment) && !self.recalled.mentions(payment) {
            let found = self.look_up(log, payment)?;
            self.recalled.absorb(found);
        }
        Ok(self.page(payment))
    }

    /// What the log holds about the payment.
    fn look_up(&self, log: &File, payment: i64) -> io::Result<Book> {
        let mut book = Book::default();
        for block in self.index.find(payment) {
            let wrong = select(log, block, |other| other == payment, |record| book.apply(record))?;
            if wrong.is_some() {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(book)
    }

    /// The entries in `recent` and in `recalled`, and the bytes of the index.
    #[cfg(test)]
    fn held(&self) -> (usize, usize, usize) {
        (self.recent.entries(), self.recalled.entries(), self.index.bytes())
    }
}

/// A log that is being read.
struct Reading {
    memory: Memory,
    /// Payments up to `gone` of which there were records that have not been checked.
    late: HashSet<i64>,
}

impl Reading {
    /// Enters the next record; false if it contradicts what is in memory.
    fn enter(&mut self, record: &Record) -> bool {
        let memory = &mut self.memory;
        if !memory.is_recent(record.payment) {
            self.late.insert(record.payment);
        } else if !memory.recent.apply(record) {
            return false;
        }
        memory.payments += u64::from(begins(record));
        memory.index.push(record);
        memory.trim();
        true
    }

    /// Goes over the log up to here for those payments.
    fn check(&mut self, file: &File) -> Result<(), OpenError> {
        if self.late.is_empty() {
            return Ok(());
        }
        let mut book = Book::default();
        let records = 0..self.memory.index.records();
        let late = |payment| self.late.contains(&payment);
        if let Some(number) = select(file, records, late, |record| book.apply(record))? {
            return Err(OpenError::Contradiction { offset: offset(number) });
        }
        self.late.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
