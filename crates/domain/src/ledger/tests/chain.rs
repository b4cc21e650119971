//! The chain: computed anew from the rows alone, and through aborts and lost commits.

use sha2::{Digest, Sha256};

use jangbu_kernel::{RowSet, Time};

use super::bench::{Books, NOW, Store, parse};
use crate::ledger::command::Command;
use crate::ledger::model::{EntryKey, Link};

/// The chain of the contract, computed from the store alone.
pub(super) fn verify(store: &Store) {
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
        let Command::Post { at: when, .. } = &mut command else { panic!("a posting") };
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
