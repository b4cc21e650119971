//! The ledger: double-entry books that nobody can edit.
//!
//! ```text
//! payment event ──rules──▶ Post(source, seq, legs) ──▶ entries (source, seq, leg)   immutable
//!                                                 └──▶ accounts: debits, credits    running up
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
//!
//! | file | holds |
//! |---|---|
//! | [`model`] | accounts, entries, chain rows and their keys |
//! | [`command`] | commands, answers, rejects |
//! | [`chart`] | the chart of accounts: which codes exist, of what kind they are |
//! | [`rules`] | which legs a payment's events post |
//! | `decide` | posting |
//! | `chain` | sealing a commit |

mod chain;
pub mod chart;
pub mod command;
mod decide;
pub mod model;
pub mod rules;
#[cfg(test)]
mod tests;

use jangbu_kernel::{Ctx, Domain, Out, UnitId};

pub use chain::Chain;
pub use command::{Command, Event, Reject, Reply, UNIT};
pub use model::{Account, AccountId, Entry, EntryKey, Link};

/// The bounded context.
#[derive(Clone, Copy, Debug)]
pub struct Ledger;

/// What the ledger owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Table `account`.
    pub account: jangbu_kernel::Rows<AccountId, Account>,
    /// Table `entry`.
    pub entry: jangbu_kernel::Rows<EntryKey, Entry>,
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
        decide::want(command, rows);
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        _out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        decide::post(command, ctx, rows)
    }

    fn resource(command: &Command) -> i64 {
        let Command::Post { source, .. } = command;
        *source
    }

    fn adopt(command: &mut Command, resource: i64) {
        let Command::Post { source, .. } = command;
        *source = resource;
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let Command::Post { source, seq, .. } = command;
        let first = EntryKey { source: *source, seq: *seq, leg: 0 };
        rows.entry.get(first).map(|_| Reply::Posted)
    }

    fn wake(table: &str, key: i64) -> Command {
        panic!("the ledger has no timers, but {table} {key} is due")
    }

    fn seal(ctx: &Ctx, rows: &mut Rows, _out: &mut Out<Event>) {
        chain::seal(ctx, rows);
    }
}
