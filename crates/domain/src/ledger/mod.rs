//! The ledger: double-entry books that nobody can edit.
//!
//! ```text
//! payment event ──rules──▶ Post(source, seq, legs) ──▶ entries (source, seq, leg)   immutable
//!                                                 └──▶ accounts: debits, credits    running up
//! an operator ──▶ Book(draft of postings) ────┘
//! commit ──seal──▶ chain row: digest of the commit's entries, hash over the row before
//! ```
//!
//! 1. Every posting balances to 0 in its one currency; no leg is 0; there are at least two
//!    (test: `the_books_always_balance`).
//! 2. A posting is named by its source and number: the same again is the same posting, with other
//!    legs it is refused (tests: `the_same_posting_again_is_recognised_in_the_batch_and_after_it`,
//!    `defect_6_ledger_not_idempotent`). An entry is never changed and never removed.
//! 3. An account's debits and credits are the sums of its entries, and only grow. Debit and credit
//!    are different accounts of one posting, so the sums over all accounts can really disagree,
//!    and `prove` compares them with the payments and the gateway, not with themselves
//!    (test: `defect_14_a_books_check_that_can_fail`).
//! 4. An account is a code of the [`chart`] in one currency and opens with its first posting
//!    (test: `the_chart_knows_its_codes_and_no_other`).
//! 5. Each commit that posts adds one chain row. Its hash covers the row before, so that a byte
//!    changed in any entry, ever, breaks every hash after it
//!    (tests: `any_byte_of_a_leg_shows_in_the_hash`,
//!    `abort_and_rerun_give_the_same_row_and_a_lost_commit_is_found`).
//! 6. A journal is booked whole or not at all, and says who booked it and why
//!    (test: `a_journal_is_booked_whole_or_not_at_all`).
//!
//! | file | holds |
//! |---|---|
//! | [`model`] | accounts, entries, chain rows and their keys |
//! | [`command`] | commands, answers, rejects |
//! | [`chart`] | the chart of accounts: which codes exist, of what kind they are |
//! | [`rules`] | which legs a payment's events post |
//! | [`points`] | which legs points post that no payment carries |
//! | [`journal`] | what an operator books |
//! | `decide` | posting |
//! | `chain` | sealing a commit |

mod chain;
pub mod chart;
pub mod command;
mod decide;
pub mod journal;
pub mod model;
pub mod points;
pub mod rules;
#[cfg(test)]
mod tests;

use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Appends, Ctx, Domain, Out, UnitId};

pub use chain::Chain;
use decide::Posting;

pub use command::{Command, Event, Reject, Reply, UNIT};
pub use journal::Draft;
pub use model::{Account, AccountId, Entry, EntryKey, Journal, Link};

/// The bounded context.
#[derive(Clone, Copy, Debug)]
pub struct Ledger;

/// What the ledger owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Table `account`.
    pub account: jangbu_kernel::Rows<AccountId, Account>,
    /// Table `entry`, as far as payments are concerned.
    pub entry: jangbu_kernel::Rows<EntryKey, Entry>,
    /// Table `entry` again: what journals add to it.
    pub booked: Appends<EntryKey, Entry>,
    /// Table `journal`.
    pub journal: jangbu_kernel::Rows<JournalId, Journal>,
    /// Table `chain`, by commit number.
    pub chain: jangbu_kernel::Rows<i64, Link>,
    /// Where the chain ends. To be [resumed](Chain::resume) at the start.
    pub end: Chain,
    ids: chart::Ids,
}

impl Domain for Ledger {
    const UNIT: UnitId = UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        match command {
            Command::Post { source, seq, currency, at: _, legs } => {
                decide::want(
                    &Posting { source: *source, seq: *seq, currency: *currency, legs },
                    rows,
                );
            }
            Command::Book(draft) => journal::want(draft, rows),
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        match command {
            Command::Post { source, seq, currency, at, legs } => {
                let posting = Posting { source: *source, seq: *seq, currency: *currency, legs };
                decide::post(&posting, (*at, ctx.commit), rows)
            }
            Command::Book(draft) => journal::book(draft, ctx, rows, out),
        }
    }

    fn resource(command: &Command) -> i64 {
        match command {
            Command::Post { source, .. } => *source,
            Command::Book(draft) => draft.id.0,
        }
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::Post { source, .. } => *source = resource,
            Command::Book(draft) => draft.id = JournalId(resource),
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        match command {
            Command::Post { source, seq, .. } => {
                let first = EntryKey { source: *source, seq: *seq, leg: 0 };
                rows.entry.get(first).map(|_| Reply::Posted)
            }
            Command::Book(draft) => rows.journal.get(draft.id).map(|row| row.reply(draft.id)),
        }
    }

    fn wake(table: &str, key: i64) -> Command {
        panic!("the ledger has no timers, but {table} {key} is due")
    }

    fn seal(ctx: &Ctx, rows: &mut Rows, _out: &mut Out<Event>) {
        chain::seal(ctx, rows);
    }
}
