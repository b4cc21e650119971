//! Text tables: `command => answer`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that overflows or misses its index fails, as it should"
)]

mod bench;
mod chain;
mod property;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use jangbu_kernel::{Coded, Currency, Domain};

use super::command::{Reject, Reply};
use super::model::{AccountId, EntryKey, Kind};
use super::{Ledger, chart};
use bench::{Books, Store, check, parse};

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
    book 9                                  => POSTINGS_INVALID
    book 9 bank=1                           => 0 POSTINGS_INVALID
    book 9 bank=1 fee=-1;                   => 1/2
    book 8 bank=1 fee=-1;bank=2 fee=-1      => 1 UNBALANCED
    book 8 bank=1 fee=-1;bank=0 fee=0       => 1.0 UNBALANCED
    book 8 bank=1 fee=-1;bank=1 cash=-1     => 1.1 ACCOUNT_CODE_UNKNOWN
    book 8 cash=1 fee=-1;bank=1 cash=-1     => 0.0 ACCOUNT_CODE_UNKNOWN
    book 8 bank=1 fee=-1;bank=1 suspense=-1 => 1.1 ACCOUNT_ID_TAKEN
    book 8 bank=1 fee=-1;loss=1 fee=-1      => 1.0 BALANCE_OVERFLOW
    book 8 bank=9223372036854775807 fee=-9223372036854775807;bank=1 fee=-1 => 1.0 BALANCE_OVERFLOW
    book 8 bank=1 fee=9223372036854775807 loss=-9223372036854775808 => 0.2 BALANCE_OVERFLOW
    book 9 bank=1 fee=-1 loss=-1            => POSTING_DIFFERS
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
    CodeUnknown { code: "x".into() },
    PostingsInvalid,
    At { posting: 0, leg: None, why: Box::new(Reject::PostingsInvalid) },
);

#[test]
fn every_reject_has_a_line() {
    check(REJECTS);
    for reject in every_reject() {
        let line = format!("{}\n", reject.code());
        assert!(REJECTS.contains(&line), "no line for {}", reject.code());
    }
}

#[test]
fn a_journal_is_booked_whole_or_not_at_all() {
    check(
        "
        post 7/1 psp:sim:receivable=100 merchant:m-1:payable=-100 => posted
        book 9 bank=90 psp:fee=10 psp:sim:receivable=-100;merchant:m-1:payable=5 fee=-5 => 2/5
        book 9 bank=90 psp:fee=10 psp:sim:receivable=-100;merchant:m-1:payable=5 fee=-5 => 2/5
        book 9 bank=90 psp:fee=10 psp:sim:receivable=-100 => POSTING_DIFFERS
        book 8 bank=1 suspense=-1;bank=2 cash=-2 => 1.1 ACCOUNT_CODE_UNKNOWN
        book 10 memo:a usd bank=3 suspense=-3;bank=3 suspense=-3 => 2/4
        commit                              => 11
        balance bank                        => 93 ASSET
        balance psp:sim:receivable          => 0 ASSET
        balance merchant:m-1:payable        => 95 LIABILITY
        balance suspense                    => 3 LIABILITY
        book 9 bank=90 psp:fee=10 psp:sim:receivable=-100;merchant:m-1:payable=5 fee=-5 => 2/5
        book 10 memo:b usd bank=3 suspense=-3;bank=3 suspense=-3 => POSTING_DIFFERS
        commit                              => no entries
        ",
    );
}

#[test]
fn a_journal_has_at_most_500_postings_of_20_legs() {
    let posting = |legs: usize| format!("bank={} {}", legs - 1, "fee=-1 ".repeat(legs - 1));
    let journal = |postings: usize, legs: usize| vec![posting(legs); postings].join(";");
    check(&format!("book 9 {} => 500/10000", journal(500, 20)));
    check(&format!("book 9 {} => POSTINGS_INVALID", journal(501, 2)));
    check(&format!("book 9 {} => 1 POSTINGS_INVALID", [posting(2), posting(21)].join(";")));
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
        ("customer:refundable", Some(Liability)),
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
