//! Properties over generated postings.

use proptest::prelude::*;

use jangbu_kernel::Currency;

use super::audit;
use super::bench::{Books, NOW, Store};
use super::chain::verify;
use crate::ledger::command::{Command, Leg};
use crate::ledger::model::{Entry, EntryKey};

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
