//! Text tables and properties over books that keep a store of their own, so that commits, aborts
//! and forgotten rows are real.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that overflows or misses its index fails, as it should"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use jangbu_kernel::{Coded, Ctx, Currency, Domain, Out, RowSet, Time};

use super::command::{Command, Leg, Reject, Reply};
use super::model::{Account, AccountId, Entry, EntryKey, Kind, Link};
use super::{Ledger, Rows, chart};

const NOW: Time = Time(1_800_000_000_000_000);

#[derive(Clone, Debug, Default, PartialEq)]
struct Store {
    account: BTreeMap<AccountId, (Account, i64)>,
    entry: BTreeMap<EntryKey, (Entry, i64)>,
    chain: BTreeMap<i64, (Link, i64)>,
}

#[derive(Default)]
struct Books {
    rows: Rows,
    store: Store,
    /// The number of the commit under way, less one.
    commits: i64,
}

impl Books {
    fn ctx(&self) -> Ctx {
        Ctx { now: NOW, commit: self.commits + 1, correlation: None }
    }

    /// Reads what is wanted, twice, as the engine does.
    fn fetch(&mut self, command: &Command) {
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
        }
    }

    fn post(&mut self, command: &Command) -> Result<Reply, Reject> {
        self.fetch(command);
        let before = self.dirty();
        self.rows.account.mark();
        self.rows.entry.mark();
        let answer = Ledger::decide(command, &self.ctx(), &mut self.rows, &mut Out::default());
        if answer.is_err() {
            assert_eq!(self.dirty(), before, "a reject changed something before the roll-back");
            self.rows.account.rollback();
            self.rows.entry.rollback();
            assert_eq!(self.dirty(), before, "a reject changed something");
        }
        answer
    }

    /// What the commit under way would write.
    fn dirty(&self) -> Store {
        let mut dirty = Store::default();
        dirty.account.extend(
            self.rows.account.changed().map(|row| (*row.key, (row.row.clone(), row.version))),
        );
        dirty
            .entry
            .extend(self.rows.entry.changed().map(|row| (*row.key, (*row.row, row.version))));
        dirty
            .chain
            .extend(self.rows.chain.changed().map(|row| (*row.key, (*row.row, row.version))));
        dirty
    }

    fn seal(&mut self) -> Option<Link> {
        self.rows.chain.mark();
        Ledger::seal(&self.ctx(), &mut self.rows, &mut Out::default());
        self.dirty().chain.remove(&(self.commits + 1)).map(|(link, _)| link)
    }

    /// Seals and writes; the rows still believe that it is under way.
    fn write(&mut self) -> Option<Link> {
        let link = self.seal();
        let dirty = self.dirty();
        self.store.account.extend(dirty.account);
        self.store.entry.extend(dirty.entry);
        self.store.chain.extend(dirty.chain);
        self.commits += 1;
        link
    }

    fn commit(&mut self) -> Option<Link> {
        let link = self.write();
        self.rows.account.settle();
        self.rows.entry.settle();
        self.rows.chain.settle();
        link
    }

    /// The transaction is gone, or nobody knows: nothing is held any more.
    fn forget(&mut self) {
        self.rows.account.clear();
        self.rows.entry.clear();
        self.rows.chain.clear();
    }

    fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["post", ..] => match self.post(&parse(line)) {
                Ok(Reply::Posted) => "posted".to_owned(),
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

fn account(code: &str, debits: i64, credits: i64) -> Account {
    Account { code: code.into(), currency: Currency::KRW, kind: Kind::Asset, debits, credits }
}

/// `post 7/1 [usd] code=amount …`
fn parse(line: &str) -> Command {
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

fn check(table: &str) {
    let mut books = Books::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once("=>").unwrap_or((line, ""));
        assert_eq!(books.run(command.trim()), expected.trim(), "{line}");
    }
}

#[test]
fn accounts_open_with_their_first_posting_and_run_up() {
    check(
        "
        post 7/1 psp:sim:receivable=100 merchant:m-1:payable=-60 merchant:m-2:payable=-40 => posted
        post 8/1 psp:sim:receivable=5 merchant:m-1:payable=-5 => posted
        post 7/2 psp:sim:receivable=-10 merchant:m-1:payable=10 => posted
        commit                              => 7
        balance psp:sim:receivable          => 95 ASSET
        balance merchant:m-1:payable        => 55 LIABILITY
        balance merchant:m-2:payable        => 40 LIABILITY
        commit                              => no entries
        ",
    );
}

#[test]
fn one_posting_may_name_an_account_twice() {
    check(
        "
        post 7/1 bank=10 bank=-4 suspense=-6 => posted
        commit                              => 3
        balance bank                        => 6 ASSET
        ",
    );
}

#[test]
fn the_same_posting_again_is_recognised_in_the_batch_and_after_it() {
    let once = "
        post 7/1 bank=10 suspense=-10           => posted
        post 7/1 bank=10 suspense=-10           => posted
        post 7/1 bank=9 suspense=-9             => POSTING_DIFFERS
        post 7/1 suspense=-10 bank=10           => POSTING_DIFFERS
        post 7/1 usd bank=10 suspense=-10       => POSTING_DIFFERS
        post 7/1 bank=10 suspense=-9 loss=-1    => POSTING_DIFFERS
        post 7/1 bank=10 suspense=-10 loss=1 fee=-1 => POSTING_DIFFERS
    ";
    let after = once.replacen("posted", "posted\n commit => 2", 1) + "commit => no entries";
    check(once);
    check(&after);
    check(
        "post 7/1 bank=10 suspense=-8 fee=-2 => posted \n post 7/1 bank=8 suspense=-8 => POSTING_DIFFERS",
    );
    check(
        "post 7/1 bank=10 suspense=-10 loss=1 fee=-1 => posted \n commit => 4 \n post 7/1 bank=10 suspense=-10 => POSTING_DIFFERS",
    );
}

/// One line for each code with which the ledger refuses.
const REJECTS: &str = "
    post 7/1 bank=10 suspense=-9            => UNBALANCED
    post 7/1 bank=10                        => UNBALANCED
    post 7/1                                => UNBALANCED
    post 7/1 bank=10 suspense=-10 loss=0    => UNBALANCED
    post 7/1 bank=0 suspense=0              => UNBALANCED
    post 7/1 bank=9223372036854775807 bank=9223372036854775807 suspense=-1 => UNBALANCED
    post 7/1 suspense=-9223372036854775808 bank=1 => UNBALANCED
    post 7/1 bank=1 merchant::payable=-1    => ACCOUNT_UNKNOWN
    post 7/1 bank=1 cash=-1                 => ACCOUNT_UNKNOWN
    taken suspense
    post 7/1 bank=1 suspense=-1             => ACCOUNT_ID_TAKEN
    full loss
    post 7/1 loss=10 fee=-10                => BALANCE_OVERFLOW
    post 7/1 loss=5 loss=5 fee=-10          => BALANCE_OVERFLOW
    post 7/1 loss=9 fee=-9                  => posted
    post 7/1 loss=8 fee=-8                  => POSTING_DIFFERS
";

macro_rules! every_reject {
    ($($variant:ident $({ $($fields:tt)* })?),+ $(,)?) => {
        /// Every reject; one that is missing here does not compile.
        fn every_reject() -> Vec<Reject> {
            fn known(reject: &Reject) {
                match reject { $(Reject::$variant { .. } => {})+ }
            }
            let all = vec![$(Reject::$variant $({ $($fields)* })?),+];
            all.iter().for_each(known);
            all
        }
    };
}

every_reject!(
    Unbalanced,
    PostingDiffers,
    AccountUnknown { code: "x".into() },
    AccountIdTaken { code: "x".into() },
    BalanceOverflow,
);

#[test]
fn every_reject_has_a_line() {
    check(REJECTS);
    for reject in every_reject() {
        let line = format!("=> {}\n", reject.code());
        assert!(REJECTS.contains(&line), "no line for {}", reject.code());
    }
}

#[test]
fn the_chart_knows_its_codes_and_no_other() {
    use Kind::{Asset, Expense, Income, Liability};
    let kinds = [
        ("psp:toss:receivable", Some(Asset)),
        ("merchant:a:b:c:payable", Some(Liability)),
        ("merchant:payable:payable", Some(Liability)),
        ("bank", Some(Asset)),
        ("payout:clearing", Some(Liability)),
        ("points:paid", Some(Liability)),
        ("points:earned", Some(Liability)),
        ("promo:coupon", Some(Expense)),
        ("promo:points", Some(Expense)),
        ("breakage", Some(Income)),
        ("fee", Some(Income)),
        ("psp:fee", Some(Expense)),
        ("vat:input", Some(Asset)),
        ("vat:output", Some(Liability)),
        ("suspense", Some(Liability)),
        ("disputed", Some(Asset)),
        ("loss", Some(Expense)),
        ("psp:receivable", None),
        ("psp::receivable", None),
        ("merchant:m", None),
        ("banks", None),
        ("Bank", None),
        ("", None),
    ];
    for (code, kind) in kinds {
        assert_eq!(chart::kind_of(code), kind, "{code}");
    }
    let known = kinds.iter().filter(|(_, kind)| kind.is_some()).count();
    assert_eq!(known, chart::CHART.len() + 1, "a line for each pattern, two for merchants");
    for &kind in Kind::ALL {
        assert_eq!(Kind::from_code(kind.code()), Some(kind));
    }
}

#[test]
fn an_account_id_is_63_bits_of_sha_256() {
    let digest = Sha256::digest(b"bank\0KRW");
    let first = i64::from_be_bytes(digest[..8].try_into().unwrap());
    assert_eq!(AccountId::of("bank", Currency::KRW).0, first & i64::MAX);
    let mut ids = chart::Ids::default();
    for _ in 0..2 {
        for n in 0..20_000 {
            let code = format!("merchant:{n}:payable");
            assert_eq!(ids.of(&code, Currency::KRW), AccountId::of(&code, Currency::KRW));
        }
        let usd = Currency::parse("USD").unwrap();
        assert_eq!(ids.of("bank", usd), AccountId::of("bank", usd));
        assert_eq!(ids.of("bank", Currency::KRW), AccountId::of("bank", Currency::KRW));
    }
}

/// The chain of the contract, computed from the store alone.
fn verify(store: &Store) {
    let mut before = [0_u8; 32];
    for (commit, (link, _)) in &store.chain {
        let (mut legs, mut count) = (Vec::new(), 0_i64);
        for (key, (entry, _)) in store.entry.iter().filter(|(_, (e, _))| e.commit == *commit) {
            let EntryKey { source, seq, leg } = key;
            for number in [source, seq, leg, &entry.account.0, &entry.amount, &entry.at.0] {
                legs.extend(number.to_be_bytes());
            }
            count += 1;
        }
        let digest: [u8; 32] = Sha256::digest(&legs).into();
        let numbers = [*commit, link.at.0, count].map(i64::to_be_bytes).concat();
        let hash: [u8; 32] = Sha256::digest([&before[..], &numbers, &digest].concat()).into();
        assert_eq!(*link, Link { at: NOW, entries: count, digest, hash }, "commit {commit}");
        before = hash;
    }
    let chained: i64 = store.chain.values().map(|(link, _)| link.entries).sum();
    assert_eq!(chained, i64::try_from(store.entry.len()).unwrap());
}

#[test]
fn the_chain_is_the_one_of_the_contract_and_skips_idle_commits() {
    let mut books = Books::default();
    for n in 1..=5 {
        books.run(&format!("post {n}/1 bank=1 suspense=-1"));
        assert!(books.commit().is_some());
        assert_eq!(books.commit(), None);
        books.rows.chain.evict(0);
    }
    verify(&books.store);
    assert_eq!(books.store.chain.keys().copied().collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
    let mut reopened = Books { store: books.store.clone(), commits: 10, ..Books::default() };
    reopened.rows.end.resume(9);
    reopened.run("post 9/1 bank=1 suspense=-1");
    reopened.commit();
    verify(&reopened.store);
}

#[test]
fn any_byte_of_a_leg_shows_in_the_hash() {
    let sealed = |line: &str, at: Time| {
        let mut books = Books::default();
        let mut command = parse(line);
        let Command::Post { at: when, .. } = &mut command;
        *when = at;
        books.post(&command).unwrap();
        books.seal().unwrap()
    };
    let base = sealed("post 7/1 bank=1 suspense=-1", NOW);
    assert_eq!(sealed("post 7/1 bank=1 suspense=-1", NOW), base);
    let others = [
        "post 8/1 bank=1 suspense=-1",
        "post 7/2 bank=1 suspense=-1",
        "post 7/1 suspense=-1 bank=1",
        "post 7/1 bank=2 suspense=-2",
        "post 7/1 bank=-1 suspense=1",
        "post 7/1 loss=1 suspense=-1",
        "post 7/1 bank=1 suspense=-1 bank=1 suspense=-1",
        "post 7/1 usd bank=1 suspense=-1",
    ];
    for line in others {
        let other = sealed(line, NOW);
        assert!(other.digest != base.digest && other.hash != base.hash, "{line}");
    }
    assert_ne!(sealed("post 7/1 bank=1 suspense=-1", Time(NOW.0 + 1)).hash, base.hash);
}

#[test]
fn abort_and_rerun_give_the_same_row_and_a_lost_commit_is_found() {
    let mut books = Books::default();
    books.run("post 1/1 bank=1 suspense=-1");
    books.commit();
    books.run("post 2/1 bank=2 suspense=-2");
    let sealed = books.seal().unwrap();
    books.forget();
    books.run("post 2/1 bank=2 suspense=-2");
    assert_eq!(books.seal(), Some(sealed), "aborted and run again");
    books.forget();
    books.run("post 2/1 bank=2 suspense=-2");
    assert_eq!(books.write(), Some(sealed), "committed, but nobody heard");
    books.forget();
    assert_eq!(books.run("post 2/1 bank=2 suspense=-2"), "posted");
    assert_eq!(books.seal(), None, "it is in the books");
    books.run("post 3/1 bank=3 suspense=-3");
    books.commit();
    verify(&books.store);
    assert_eq!(books.store.chain.len(), 3);
}

#[test]
fn a_recall_finds_the_posting() {
    let mut books = Books::default();
    books.run("post 7/1 bank=1 suspense=-1");
    let mut command = parse("post 8/1 bank=1 suspense=-1");
    assert_eq!(Ledger::resource(&command), 8);
    books.fetch(&command);
    assert_eq!(Ledger::recall(&command, &books.rows), None);
    Ledger::adopt(&mut command, 7);
    assert_eq!(Ledger::recall(&command, &books.rows), Some(Reply::Posted));
}

#[test]
fn defect_6_ledger_not_idempotent() {
    let mut books = Books::default();
    for _ in 0..3 {
        assert_eq!(books.run("post 7/1 bank=10 suspense=-10"), "posted");
        books.commit();
        books.forget();
    }
    assert_eq!(books.run("balance bank"), "10 ASSET");
    assert_eq!(books.store.entry.len(), 2);
}

/// The findings of an auditor who looks at the rows alone.
fn audit(store: &Store) -> Vec<String> {
    let mut found = Vec::new();
    let mut sums: BTreeMap<AccountId, (i64, i64)> = BTreeMap::new();
    let mut postings: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for (key, (entry, _)) in &store.entry {
        let sum = sums.entry(entry.account).or_default();
        sum.0 += entry.amount.max(0);
        sum.1 -= entry.amount.min(0);
        *postings.entry((key.source, key.seq)).or_default() += entry.amount;
    }
    found.extend(
        postings.iter().filter(|(_, sum)| **sum != 0).map(|(p, _)| format!("posting {p:?}")),
    );
    for (id, (account, _)) in &store.account {
        let kept = (account.debits, account.credits);
        if sums.get(id).copied().unwrap_or_default() != kept {
            found.push(format!("account {}", account.code));
        }
    }
    found
}

#[test]
fn defect_14_a_books_check_that_can_fail() {
    let mut books = Books::default();
    books.run("post 7/1 psp:sim:receivable=10 merchant:m:payable=-10");
    books.commit();
    assert_eq!(audit(&books.store), [""; 0]);
    let key = EntryKey { source: 7, seq: 1, leg: 1 };
    books.store.entry.get_mut(&key).unwrap().0.amount = -11;
    let found = audit(&books.store);
    assert_eq!(found, ["posting (7, 1)", "account merchant:m:payable"]);
}

fn posting() -> impl Strategy<Value = Command> {
    const CODES: [&str; 5] = ["bank", "suspense", "loss", "merchant:m:payable", "no:such:account"];
    let leg = (prop::sample::select(&CODES[..]), prop_oneof![9 => -5..5_i64, 1 => any::<i64>()]);
    (1..6_i64, 1..3_i64, prop::collection::vec(leg, 0..5), any::<bool>()).prop_map(
        |(source, seq, legs, even_out)| {
            let leg = |(code, amount): (&str, i64)| Leg { code: code.into(), amount };
            let mut legs: Vec<Leg> = legs.into_iter().map(leg).collect();
            if even_out {
                let sum = legs.iter().fold(0_i64, |sum, leg| sum.wrapping_add(leg.amount));
                legs.push(Leg { code: "fee".into(), amount: sum.wrapping_neg() });
            }
            Command::Post { source, seq, currency: Currency::KRW, at: NOW, legs }
        },
    )
}

proptest! {
    /// Accepted or not: the books balance, a replay changes nothing, any split into commits gives
    /// the same books.
    #[test]
    fn the_books_always_balance(
        commands in prop::collection::vec((posting(), any::<bool>()), 1..40),
    ) {
        let (mut split, mut whole) = (Books::default(), Books::default());
        for (command, commit) in &commands {
            let answer = split.post(command);
            prop_assert_eq!(whole.post(command), answer.clone());
            if answer.is_ok() {
                let before = split.dirty();
                prop_assert_eq!(split.post(command), answer);
                prop_assert_eq!(split.dirty(), before);
            }
            if *commit {
                split.commit();
                split.forget();
            }
        }
        split.commit();
        whole.commit();
        for books in [&split, &whole] {
            prop_assert_eq!(audit(&books.store), Vec::<String>::new());
            verify(&books.store);
        }
        let (a, b) = (&split.store, &whole.store);
        prop_assert_eq!(&a.account, &b.account);
        let entries = |store: &Store| {
            let same = |(key, (entry, _)): (&EntryKey, &(Entry, i64))| (*key, Entry { commit: 0, ..*entry });
            store.entry.iter().map(same).collect::<Vec<_>>()
        };
        prop_assert_eq!(entries(a), entries(b));
    }

    /// The order of decision within a commit does not show in its hash.
    #[test]
    fn a_commit_has_one_hash(order in Just((1..20_i64).collect::<Vec<_>>()).prop_shuffle()) {
        let sealed = |sources: &[i64]| {
            let mut books = Books::default();
            for source in sources {
                books.run(&format!("post {source}/1 bank={source} suspense=-{source}"));
            }
            books.seal()
        };
        prop_assert_eq!(sealed(&order), sealed(&(1..20).collect::<Vec<_>>()));
    }
}
