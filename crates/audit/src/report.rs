//! What `prove` answers: conditions, counters, what is in flight, and each finding with its id.

use std::fmt;

use serde::Serialize;

use crate::book::Finding;

/// The result of a proof.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was read, and how.
    pub conditions: Conditions,
    /// Findings of things acknowledged and absent.
    pub lost: u64,
    /// Findings of two effects of one cause.
    pub doubled: u64,
    /// Findings of amounts, states and laws that do not hold.
    pub mismatched: u64,
    /// What had not ended at the watermark. Never a finding.
    pub in_flight: InFlight,
    /// The findings; at most 10,000 of them are kept, the counters above count all.
    pub findings: Vec<Finding>,
}

/// The conditions under which a proof was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Conditions {
    /// Number of the last commit in the snapshot.
    pub watermark: i64,
    /// The shard's clock in the snapshot, microseconds since 1970.
    pub clock_us: i64,
    /// Whether a server might have been writing meanwhile.
    pub live: bool,
    /// False when the file was too damaged to walk the books; then there is a `store.page` finding.
    pub walked: bool,
    /// Orders walked.
    pub orders: u64,
    /// Reservations walked.
    pub reservations: u64,
    /// Payments walked.
    pub payments: u64,
    /// Journals walked.
    pub journals: u64,
    /// Ledger entries walked.
    pub entries: u64,
    /// Outbox events walked.
    pub events: u64,
    /// Remembered requests walked.
    pub requests: u64,
    /// Records of the gateway's log.
    pub psp_records: u64,
    /// Bytes of a torn record at the end of the gateway's log (a crash while writing).
    pub psp_torn_bytes: u64,
    /// Acknowledgements compared.
    pub acks: u64,
    /// Wall time of the proof.
    pub seconds: f64,
    /// How much the write-ahead log grew at most while the snapshot was held.
    pub wal_growth_bytes: u64,
}

/// Work that had not ended at the watermark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Orders between HOLDING and UNWINDING.
    pub orders_open: u64,
    /// Orders that wait for an operator.
    pub orders_stuck: u64,
    /// Orders that an operator has given up; money that could not go back is set aside for the
    /// customer.
    pub orders_abandoned: u64,
    /// Payments about which the gateway was or will be asked: SENT, AUTHORIZED, UNKNOWN and so on.
    pub payments_open: u64,
    /// Refunds whose money has not moved yet.
    pub refunds_pending: u64,
    /// Gateway records that may be younger than the snapshot.
    pub psp_newer: u64,
    /// Offers that have not seen the latest change of their SKU yet.
    pub offers_behind: u64,
    /// Commands that the engine put aside, waiting for their owner.
    pub poison: u64,
}

impl Report {
    /// Whether nothing was lost, doubled or mismatched.
    pub fn clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.mismatched == 0
    }

    fn total(&self) -> u64 {
        self.lost + self.doubled + self.mismatched
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.clean() { "The books balance" } else { "The books do NOT balance" };
        writeln!(
            f,
            "{verdict}: {} lost, {} doubled, {} mismatched.",
            self.lost, self.doubled, self.mismatched
        )?;
        write!(f, "{}{}", self.conditions, self.in_flight)?;
        for Finding { class, rule, subject, detail } in &self.findings {
            writeln!(f, "  {class:?}  {rule}  {subject}: {detail}")?;
        }
        let kept = u64::try_from(self.findings.len()).unwrap_or(u64::MAX);
        if kept < self.total() {
            writeln!(f, "  … and {} more", self.total() - kept)?;
        }
        Ok(())
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = if self.live { "running server" } else { "stopped directory" };
        writeln!(f, "  watermark  commit {}, {source}", self.watermark)?;
        if !self.walked {
            writeln!(f, "  NOT WALKED: the file is damaged")?;
        }
        writeln!(
            f,
            "  read       {} orders, {} payments, {} journals, {} entries, {} events, {} requests, \
             {} gateway records, {} acknowledgements in {:.1} s",
            self.orders,
            self.payments,
            self.journals,
            self.entries,
            self.events,
            self.requests,
            self.psp_records,
            self.acks,
            self.seconds
        )?;
        if self.psp_torn_bytes > 0 {
            writeln!(f, "  gateway    {} bytes torn at the log's end", self.psp_torn_bytes)?;
        }
        writeln!(f, "  WAL        grew by {} bytes meanwhile", self.wal_growth_bytes)
    }
}

impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  in flight  {} orders open, {} stuck, {} abandoned, {} payments, {} refunds, \
             {} newer gateway records, {} offers behind, {} poisoned commands",
            self.orders_open,
            self.orders_stuck,
            self.orders_abandoned,
            self.payments_open,
            self.refunds_pending,
            self.psp_newer,
            self.offers_behind,
            self.poison
        )
    }
}
