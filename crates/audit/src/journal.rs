//! Journals: what operators booked, against its entries. A journal has no payment and no record of
//! the gateway to be compared with, so its own row is the witness: who, why, how many.

use crate::{
    book::{Book, Rule, rules},
    ids,
    outbox::Topic,
    rows::{Cells, Unreadable},
    walk::Case,
};

rules! {
    COUNT = "journal.count", Mismatched, "A journal has as many postings and entries as its row says.";
    SIZE = "journal.size", Mismatched, "A journal has 1 to 500 postings of 2 to 20 legs.";
    NAMED = "journal.named", Mismatched, "A journal says who booked it and why.";
    MEMO = "journal.memo", Mismatched, "A memo belongs to a posting of its journal, each to another one.";
    COMMIT = "journal.commit", Mismatched, "The entries of a journal share its time, and one commit with its event.";
    SOURCE = "journal.source", Mismatched, "No journal has the id of a payment.";
}

/// The columns that are walked, by id.
pub(crate) const SQL: &str =
    "SELECT id, at, who, reason, postings, entries, memos FROM journal ORDER BY id";

/// A journal's row.
#[derive(Debug)]
pub(crate) struct Journal {
    at: i64,
    /// Whether it says who and why.
    named: bool,
    postings: i64,
    entries: i64,
    memos: Vec<(i64, String)>,
}

impl Journal {
    /// Reads the columns of [`SQL`] after the id.
    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        let (at, who, reason) = (cells.int()?, cells.text()?, cells.text()?);
        let named = ![who, reason].iter().any(|text| text.trim().is_empty());
        let (postings, entries, memos) = (cells.int()?, cells.int()?, cells.json()?);
        Ok(Self { at, named, postings, entries, memos })
    }
}

/// Compares a journal with its entries and its event.
pub(crate) fn check(case: &Case<'_>, book: &mut Book) {
    let Some(journal) = &case.journal else { return };
    let mut find = |rule: Rule, detail| book.find(rule, ids::journal(case.id), detail);
    if case.payment.is_some() {
        find(SOURCE, format!("{} is a payment", ids::payment(case.id)));
    }
    if !journal.named {
        find(NAMED, "who or why is blank".to_owned());
    }
    let postings = || case.legs.chunk_by(|a, b| a.seq == b.seq);
    let (found, legs) = (postings().count(), case.legs.len());
    if [found, legs].map(|n| i64::try_from(n).unwrap_or(i64::MAX))
        != [journal.postings, journal.entries]
    {
        let Journal { postings, entries, .. } = journal;
        let wanted = format!("{postings} postings and {entries} entries");
        find(COUNT, format!("its row says {wanted}, there are {found} and {legs}"));
    }
    let odd = postings().find(|legs| !(2..=20).contains(&legs.len()));
    if let Some(odd) = odd {
        find(SIZE, format!("posting {} has {} legs", odd[0].seq, odd.len()));
    } else if !(1..=500).contains(&found) {
        find(SIZE, format!("{found} postings"));
    }
    let numbers: Vec<i64> = journal.memos.iter().map(|(no, _)| *no).collect();
    let inside = numbers.iter().all(|no| (1..=journal.postings).contains(no));
    if !inside || !numbers.is_sorted_by(|a, b| a < b) {
        find(MEMO, format!("memos of the postings {numbers:?}"));
    }
    let event = case.events.iter().find(|event| event.topic == Topic::JournalPosted);
    let commit = event.map(|event| event.commit).or_else(|| Some(case.legs.first()?.commit));
    let apart = |leg: &&crate::ledger::Leg| leg.at != journal.at || Some(leg.commit) != commit;
    if let Some(leg) = case.legs.iter().find(apart) {
        let when = format!("commit {} at {}", leg.commit, leg.at);
        find(COMMIT, format!("posting {}: {when}, wanted {commit:?} at {}", leg.seq, journal.at));
    }
}
