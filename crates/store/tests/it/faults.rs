//! The faults that the in-memory store can be told to have.

use jangbu_engine::port::{CommitError, Fault};
use jangbu_store::{Memory, On};

use crate::shop::{ITEM, Source, by_ids, commit, insert, item, refused};

fn busy() -> Fault {
    Fault::Transient("planned".to_owned())
}

#[test]
fn calls_fail_as_often_as_planned() {
    let memory = Memory::new();
    for on in [On::Begin, On::Write, On::Commit] {
        memory.faults().fail(on, 2, busy());
        let mut store = memory.open();
        assert_eq!(refused(&mut store, insert(&[item(1, "a")])), busy(), "{on:?}");
        assert_eq!(refused(&mut store, insert(&[item(1, "a")])), busy(), "{on:?}");
        assert!(memory.dump().is_empty() && memory.faults().is_spent());
    }
    commit(&mut memory.open(), insert(&[item(1, "a")])).unwrap();
    assert_eq!(memory.dump().len(), 1);
}

#[test]
fn a_lost_answer_is_done_and_a_lost_commit_is_not() {
    let memory = Memory::new();
    memory.faults().lose_answers(1, 1);
    let mut store = memory.open();
    commit(&mut store, insert(&[item(1, "known")])).unwrap();
    let lost = commit(&mut store, insert(&[item(2, "done")]));
    assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
    memory.faults().lose_commits(0, 1);
    let lost = commit(&mut store, insert(&[item(3, "not done")]));
    assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
    drop(store);
    let reopened: &mut dyn jangbu_engine::port::Store = &mut memory.open();
    assert_eq!(reopened.ids(&by_ids(&[1, 2, 3])), [1, 2]);
}

#[test]
fn a_poisoned_row_is_refused_until_cleared() {
    let memory = Memory::new();
    memory.faults().poison(&ITEM, [2, 0, 0]);
    let mut store = memory.open();
    let fault = refused(&mut store, insert(&[item(1, "a"), item(2, "poison")]));
    assert!(matches!(&fault, Fault::Item(text) if text.contains("poison")), "{fault:?}");
    commit(&mut store, insert(&[item(1, "a")])).unwrap();
    memory.faults().clear();
    commit(&mut store, insert(&[item(2, "b")])).unwrap();
}

#[test]
fn only_one_owner_writes_at_a_time() {
    use jangbu_engine::port::Store;
    let memory = Memory::new();
    let (mut one, mut two) = (memory.open(), memory.open());
    let open = one.begin().unwrap();
    assert!(matches!(two.begin().err(), Some(Fault::Transient(_))));
    drop(open);
    assert!(two.begin().is_ok());
}
