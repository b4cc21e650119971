//! An event whose key was parked, taken in after later ones of the same accounts: its entries stand
//! where they belong, and the running balances after them move.

use jangbu_engine::port::{By, Fault, Mode, Read, Reader, Tx, WritePlan};

use super::{ACCOUNT_ENTRY, ACCOUNT_TAIL, Projections};
use crate::consumer::{Consumer, Delivered, Work};
use crate::ledger::Made;

/// An entry that comes after others of its account were taken in.
#[derive(Clone, Copy)]
struct Late {
    account: i64,
    at: i64,
    n: i64,
    source: (i64, i64),
    leg: i64,
    amount: i64,
}

impl Projections {
    pub(super) fn take_late(
        &mut self,
        event: &Delivered,
        work: &mut Work<'_>,
    ) -> Result<(), Fault> {
        self.take(event, work.plan)?;
        self.look(work.truth, work.plan)?;
        let entries = self.entries(work.truth)?;
        work.tx.write(work.plan)?;
        for entry in &entries {
            self.insert(work.tx, entry, work.plan)?;
        }
        work.plan.clear();
        Ok(())
    }

    /// The entries of the postings that the event has named.
    fn entries(&mut self, truth: &mut dyn Reader) -> Result<Vec<Late>, Fault> {
        let postings = std::mem::take(&mut self.postings);
        let mut entries = Vec::new();
        let mut place = 0;
        let reads: Vec<_> = postings.iter().map(Made::read).collect();
        truth.read(&reads, &mut |at, row| {
            let n = postings[at].number(place);
            place += 1;
            entries.push(Late {
                account: row.int(3),
                at: row.int(5),
                n,
                source: (row.int(0), row.int(1)),
                leg: row.int(2),
                amount: row.int(4),
            });
        })?;
        Ok(entries)
    }

    /// Inserts an entry where it belongs: the running balances after it move by its amount.
    fn insert(&mut self, tx: &mut dyn Tx, late: &Late, plan: &mut WritePlan) -> Result<(), Fault> {
        let Late { account, at, n, source, leg, amount } = *late;
        let (low, high) = ([account, i64::MIN, i64::MIN], [account, i64::MAX, i64::MAX]);
        let before = Read {
            table: &ACCOUNT_ENTRY,
            by: By::Range { from: low, to: [account, at, n - 1], descending: true, limit: 1 },
        };
        let from = [account, at, n + 1];
        let after = Read {
            table: &ACCOUNT_ENTRY,
            by: By::Range { from, to: high, descending: false, limit: u32::MAX },
        };
        plan.clear();
        let mut balance = amount;
        tx.read(&[before], &mut |_, row| balance += row.int(7))?;
        let mut row = plan.row(&ACCOUNT_ENTRY, Mode::Upsert);
        row.int(account).int(at).int(n).int(source.0).int(source.1).int(leg);
        row.int(amount).int(balance);
        tx.read(&[after], &mut |_, row| {
            balance = row.int(7) + amount;
            let mut moved = plan.row(&ACCOUNT_ENTRY, Mode::Upsert);
            for column in 0..7 {
                moved.int(row.int(column));
            }
            moved.int(balance);
        })?;
        plan.row(&ACCOUNT_TAIL, Mode::Upsert).int(account).int(balance);
        self.balances.insert(account, balance);
        tx.write(plan)
    }
}
