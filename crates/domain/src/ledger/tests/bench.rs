//! Books over a store of their own, so that commits, aborts and forgotten rows are real.

use std::collections::BTreeMap;

use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Coded, Ctx, Currency, Domain, Out, RowSet, Time};

use crate::ledger::command::{Command, Leg, Reject, Reply};
use crate::ledger::journal::Draft;
use crate::ledger::model::{Account, AccountId, Entry, EntryKey, Journal, Kind, Link};
use crate::ledger::{Ledger, Rows};

pub(super) const NOW: Time = Time(1_800_000_000_000_000);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Store {
    pub(super) account: BTreeMap<AccountId, (Account, i64)>,
    pub(super) entry: BTreeMap<EntryKey, (Entry, i64)>,
    pub(super) chain: BTreeMap<i64, (Link, i64)>,
    pub(super) journal: BTreeMap<JournalId, (Journal, i64)>,
}

#[derive(Default)]
pub(super) struct Books {
    pub(super) rows: Rows,
    pub(super) store: Store,
    /// The number of the commit under way, less one.
    pub(super) commits: i64,
}

impl Books {
    pub(super) fn ctx(&self) -> Ctx {
        Ctx { now: NOW, commit: self.commits + 1, correlation: None, trace: None }
    }

    /// Reads what is wanted, twice, as the engine does.
    pub(super) fn fetch(&mut self, command: &Command) {
        for _ in 0..2 {
            Ledger::want(command, &mut self.rows);
            for key in self.rows.account.take_wanted() {
                self.rows.account.load(key, self.store.account.get(&key).cloned());
            }
            for key in self.rows.entry.take_wanted() {
                self.rows.entry.load(key, self.store.entry.get(&key).copied());
            }
            for key in self.rows.chain.take_wanted() {
                self.rows.chain.load(key, self.store.chain.get(&key).copied());
            }
            for key in self.rows.journal.take_wanted() {
                self.rows.journal.load(key, self.store.journal.get(&key).cloned());
            }
        }
    }

    pub(super) fn post(&mut self, command: &Command) -> Result<Reply, Reject> {
        self.fetch(command);
        let before = self.dirty();
        self.rows.account.mark();
        self.rows.entry.mark();
        self.rows.journal.mark();
        self.rows.booked.mark();
        let answer = Ledger::decide(command, &self.ctx(), &mut self.rows, &mut Out::default());
        if answer.is_err() {
            assert_eq!(self.dirty(), before, "a reject changed something before the roll-back");
            self.rows.account.rollback();
            self.rows.entry.rollback();
            self.rows.journal.rollback();
            self.rows.booked.rollback();
            assert_eq!(self.dirty(), before, "a reject changed something");
        }
        answer
    }

    /// What the commit under way would write.
    pub(super) fn dirty(&self) -> Store {
        let mut dirty = Store::default();
        dirty.account.extend(
            self.rows.account.changed().map(|row| (*row.key, (row.row.clone(), row.version))),
        );
        dirty
            .entry
            .extend(self.rows.entry.changed().map(|row| (*row.key, (*row.row, row.version))));
        dirty.entry.extend(self.rows.booked.added().iter().map(|(key, row)| (*key, (*row, 1))));
        let journals = self.rows.journal.changed();
        dirty.journal.extend(journals.map(|row| (*row.key, (row.row.clone(), row.version))));
        dirty
            .chain
            .extend(self.rows.chain.changed().map(|row| (*row.key, (*row.row, row.version))));
        dirty
    }

    pub(super) fn seal(&mut self) -> Option<Link> {
        self.rows.chain.mark();
        Ledger::seal(&self.ctx(), &mut self.rows, &mut Out::default());
        self.dirty().chain.remove(&(self.commits + 1)).map(|(link, _)| link)
    }

    /// Seals and writes; the rows still believe that it is under way.
    pub(super) fn write(&mut self) -> Option<Link> {
        let link = self.seal();
        let dirty = self.dirty();
        self.store.account.extend(dirty.account);
        self.store.entry.extend(dirty.entry);
        self.store.chain.extend(dirty.chain);
        self.store.journal.extend(dirty.journal);
        self.commits += 1;
        link
    }

    pub(super) fn commit(&mut self) -> Option<Link> {
        let link = self.write();
        self.rows.account.settle();
        self.rows.entry.settle();
        self.rows.chain.settle();
        self.rows.journal.settle();
        self.rows.booked.settle();
        link
    }

    /// The transaction is gone, or nobody knows: nothing is held any more.
    pub(super) fn forget(&mut self) {
        self.rows.account.clear();
        self.rows.entry.clear();
        self.rows.chain.clear();
        self.rows.journal.clear();
        self.rows.booked.clear();
    }

    pub(super) fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["post" | "book", ..] => match self.post(&parse(line)) {
                Ok(Reply::Posted) => "posted".to_owned(),
                Ok(Reply::Booked { postings, entries, .. }) => format!("{postings}/{entries}"),
                Err(Reject::At { posting, leg: Some(leg), why }) => {
                    format!("{posting}.{leg} {}", why.code())
                }
                Err(Reject::At { posting, leg: None, why }) => format!("{posting} {}", why.code()),
                Err(reject) => reject.code().to_owned(),
            },
            ["balance", code] => {
                let account = &self.store.account[&AccountId::of(code, Currency::KRW)].0;
                format!("{} {}", account.balance(), account.kind.name())
            }
            ["commit"] => {
                self.commit().map_or_else(|| "no entries".to_owned(), |l| l.entries.to_string())
            }
            ["taken", code] => {
                let id = AccountId::of(code, Currency::KRW);
                self.store.account.insert(id, (account("bank", 0, 0), 1));
                self.forget();
                String::new()
            }
            ["full", code] => {
                let id = AccountId::of(code, Currency::KRW);
                self.store.account.insert(id, (account(code, i64::MAX - 9, 0), 1));
                self.forget();
                String::new()
            }
            _ => panic!("not a line: {line}"),
        }
    }
}

pub(super) fn account(code: &str, debits: i64, credits: i64) -> Account {
    Account { code: code.into(), currency: Currency::KRW, kind: Kind::Asset, debits, credits }
}

/// `book 9 code=amount … ; [usd] code=amount …`
fn journal(line: &str) -> Command {
    let (head, rest) = line[5..].split_once(' ').unwrap_or_else(|| (&line[5..], ""));
    let mut draft = Draft::new(JournalId(head.parse().unwrap()), "kim".into(), "statement");
    for posting in rest.split(';').filter(|posting| !posting.is_empty()) {
        let currency = if posting.contains("usd") { "USD" } else { "KRW" };
        let memo = posting.split_whitespace().find_map(|word| word.strip_prefix("memo:"));
        draft.posting(Currency::parse(currency).unwrap(), memo);
        for (code, amount) in posting.split_whitespace().filter_map(|word| word.split_once('=')) {
            draft.leg(code, amount.parse().unwrap());
        }
    }
    Command::Book(Box::new(draft))
}

/// `post 7/1 [usd] code=amount …`, or a journal
pub(super) fn parse(line: &str) -> Command {
    if line.starts_with("book ") {
        return journal(line);
    }
    let mut words = line.split_whitespace().skip(1);
    let (source, seq) = words.next().unwrap().split_once('/').unwrap();
    let currency = if line.contains(" usd ") { "USD" } else { "KRW" };
    let leg =
        |(code, amount): (&str, &str)| Leg { code: code.into(), amount: amount.parse().unwrap() };
    Command::Post {
        source: source.parse().unwrap(),
        seq: seq.parse().unwrap(),
        currency: Currency::parse(currency).unwrap(),
        at: NOW,
        legs: words.filter_map(|word| word.split_once('=')).map(leg).collect(),
    }
}

pub(super) fn check(table: &str) {
    let mut books = Books::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once("=>").unwrap_or((line, ""));
        assert_eq!(books.run(command.trim()), expected.trim(), "{line}");
    }
}
