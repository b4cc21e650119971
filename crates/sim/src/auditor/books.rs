//! The ledger: postings, accounts, and whether they say what the payments say.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Row, sum};
use super::{Auditor, Broken, Change, law, money};

/// From this number on, postings of an order are those of its points.
const POINTS: i64 = 1_000_000;

/// What was booked stays as it was booked.
pub(super) fn keeps(change: &Change<'_>) -> Result<(), Broken> {
    law(change.before.is_none(), || "something booked has changed".to_owned())
}

impl Auditor {
    pub(super) fn book_sums(&self) -> Result<(), Broken> {
        let (mut postings, mut accounts) = (BTreeMap::new(), BTreeMap::new());
        for ([source, seq, _], entry) in self.table("entry") {
            let amount = entry.int("amount");
            let account = entry.int("account");
            let currency = self.row("account", account).map_or("", |row| row.text("currency"));
            *postings.entry((*source, *seq, currency)).or_insert(0) += amount;
            let (debits, credits) = accounts.entry(account).or_insert((0, 0));
            *if amount > 0 { debits } else { credits } += amount.abs();
        }
        let open = postings.iter().find(|(_, sum)| **sum != 0);
        law(open.is_none(), || format!("a posting does not balance: {open:?}"))?;
        for (key, row) in self.table("account") {
            let (debits, credits) = accounts.remove(&key[0]).unwrap_or_default();
            let same = (row.int("debits"), row.int("credits")) == (debits, credits);
            law(same, || format!("account {row:?}: entries sum up to {debits} and {credits}"))?;
        }
        law(accounts.is_empty(), || format!("entries without an account: {accounts:?}"))?;
        if self.together("payment", "ledger") && self.together("point", "ledger") {
            self.books_follow()
        } else {
            Ok(())
        }
    }

    /// The books say of each payment what its row says, and of nothing else.
    fn books_follow(&self) -> Result<(), Broken> {
        let mut sources: BTreeSet<i64> = self.table("entry").keys().map(|key| key[0]).collect();
        for (key, row) in self.table("payment") {
            sources.remove(&key[0]);
            self.booked(key[0], row)?;
        }
        let known = ["point_account", "point_credit", "point_use"];
        sources.retain(|id| known.iter().all(|table| self.row(table, *id).is_none()));
        law(sources.is_empty(), || format!("postings of nothing: {sources:?}"))
    }

    fn booked(&self, id: i64, row: &Row) -> Result<(), Broken> {
        let own = [id, i64::MIN, i64::MIN]..[id, POINTS, i64::MIN];
        let (mut seqs, mut balances) = (BTreeSet::new(), BTreeMap::new());
        for ([_, seq, _], entry) in self.table("entry").range(own) {
            seqs.insert(*seq);
            let code = self.row("account", entry.int("account")).map_or("", |a| a.text("code"));
            *balances.entry(code.to_owned()).or_insert(0) += entry.int("amount");
        }
        let postings = row.int("postings");
        let gapless = seqs == (1..=postings).collect();
        law(gapless, || format!("{id}: {postings} postings, not {seqs:?}"))?;
        balances.retain(|_, amount| *amount != 0);
        let expected = money::booked(row);
        law(expected == balances, || format!("{id}: booked {balances:?}, should be {expected:?}"))
    }

    pub(super) fn book_rest(&self) -> Result<(), Broken> {
        let all = sum(self.table("account").values().map(|a| a.int("debits") - a.int("credits")));
        law(all == 0, || format!("all accounts together are {all}"))?;
        self.books_follow()
    }
}
