use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_kernel::{Envelope, Lane, Origin, Time, UnitId};
use proptest::prelude::*;

use super::{Answer, Item, Limits, Mailbox, Waiter, Why};
use crate::clock::Clock;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time(1_000)
    }
}

fn mailbox(batch: usize, items: usize) -> Mailbox {
    Mailbox::new(Limits { items, batch, ..Limits::default() }, Arc::new(Still))
}

fn command(share: Option<i64>, number: u64) -> Envelope {
    let mut envelope = Envelope::new(UnitId("order"), Origin::Client, number);
    envelope.share = share;
    envelope.bytes = 1;
    envelope
}

fn nobody() -> Waiter {
    Box::new(|_| {})
}

fn number(item: &Item) -> u64 {
    *item.envelope.body.expect_ref::<u64>()
}

fn take(mailbox: &Mailbox) -> Vec<Item> {
    let mut batch = Vec::new();
    mailbox.take(&mut batch);
    batch
}

#[test]
fn one_order_does_not_wait_for_ten_thousand_of_a_noisy_user() {
    let mailbox = mailbox(256, 50_000);
    for n in 0..10_000 {
        mailbox.ask(command(Some(1), n), nobody());
    }
    mailbox.ask(command(Some(2), 10_000), nobody());
    let first = take(&mailbox);
    let at = first.iter().position(|item| item.envelope.share == Some(2));
    assert!(at.is_some_and(|at| at <= 32), "behind one share of the noisy one: {at:?}");
    assert_eq!(first.len(), 256, "what is left of the batch is the noisy one's");
    assert_eq!(mailbox.len(), 10_001 - 256);
}

#[test]
fn whoever_is_alone_gets_whole_batches_in_order() {
    let mailbox = mailbox(64, 50_000);
    for n in 0..1_000 {
        mailbox.ask(command(Some(7), n), nobody());
    }
    let mut seen = Vec::new();
    while !mailbox.is_empty() {
        let batch = take(&mailbox);
        assert_eq!(batch.len(), 64.min(1_000 - seen.len()));
        seen.extend(batch.iter().map(number));
    }
    assert!(seen.iter().copied().eq(0..1_000));
}

#[test]
fn long_work_that_is_alone_shares_a_commit_up_to_so_many_bytes() {
    let mailbox = mailbox(64, 50_000);
    let long = |bytes| {
        let mut envelope = command(None, 0);
        (envelope.lane, envelope.bytes) = (Lane::Batch, bytes);
        mailbox.ask(envelope, nobody());
    };
    (0..10).for_each(|_| long(super::LONG / 4));
    assert_eq!(take(&mailbox).len(), 4, "a quarter each");
    mailbox.ask(command(None, 1), nobody());
    assert_eq!(take(&mailbox).len(), 2, "one beside an order");
    assert_eq!([take(&mailbox).len(), take(&mailbox).len()], [4, 1]);
    (0..2).for_each(|_| long(2 * super::LONG));
    assert_eq!([take(&mailbox).len(), take(&mailbox).len()], [1, 1], "a large one is alone");
}

#[test]
fn nobody_fills_more_than_half_of_the_mailbox() {
    let mailbox = mailbox(16, 100);
    let refused = Arc::new(parking_lot::Mutex::new(0));
    let ask = |share| {
        let refused = Arc::clone(&refused);
        let count = move |answer| {
            assert!(matches!(answer, Answer::NotRun(Why::Shed)));
            *refused.lock() += 1;
        };
        mailbox.ask(command(Some(share), 0), Box::new(count));
    };
    (0..200).for_each(|_| ask(1));
    assert_eq!((mailbox.len(), *refused.lock()), (50, 150));
    (2..52).for_each(ask);
    assert_eq!((mailbox.len(), *refused.lock()), (100, 150), "the rest is for others");
    ask(99);
    assert_eq!(*refused.lock(), 151);
}

#[derive(Debug, Clone)]
enum Do {
    Ask(Option<i64>, Lane),
    Tell(Lane),
    Take,
    /// Takes and gives some of it back, as after a fault of the store.
    Fail(usize),
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![3 => Just(Lane::Checkout), 1 => Just(Lane::Normal), 1 => Just(Lane::Batch)]
}

fn does() -> impl Strategy<Value = Do> {
    prop_oneof![
        12 => (proptest::option::weighted(0.9, 0_i64..4), lane()).prop_map(|(s, l)| Do::Ask(s, l)),
        2 => lane().prop_map(Do::Tell),
        1 => Just(Do::Take),
        1 => (0_usize..20).prop_map(Do::Fail),
    ]
}

/// Numbers of items by lane and share, in the order in which they came, or were taken.
type Orders = BTreeMap<(Lane, Option<i64>), Vec<u64>>;

fn note(orders: &mut Orders, envelope: &Envelope) {
    let number = *envelope.body.expect_ref::<u64>();
    orders.entry((envelope.lane, envelope.share)).or_default().push(number);
}

fn note_all(orders: &mut Orders, items: &[Item]) {
    for item in items {
        note(orders, &item.envelope);
    }
}

fn run(mailbox: &Mailbox, what: &Do, number: u64, came: &mut Orders, taken: &mut Orders) {
    match *what {
        Do::Ask(share, lane) => {
            let mut envelope = command(share, number);
            envelope.lane = lane;
            note(came, &envelope);
            mailbox.ask(envelope, nobody());
        }
        Do::Tell(lane) => {
            let mut envelope = command(None, number);
            envelope.lane = lane;
            note(came, &envelope);
            mailbox.tell([envelope]);
        }
        Do::Take => note_all(taken, &take(mailbox)),
        Do::Fail(keep) => {
            let mut batch = take(mailbox);
            let back = batch.split_off(keep.min(batch.len()));
            note_all(taken, &batch);
            mailbox.put_back(back);
        }
    }
}

proptest! {
    /// The commands of one user in one lane are taken in the order in which they came, each of
    /// them once; so are those that count against nobody.
    #[test]
    fn each_share_keeps_its_order_and_nothing_is_lost(
        plan in proptest::collection::vec(does(), 1..200),
        batch in 1_usize..40,
    ) {
        let mailbox = mailbox(batch, 100_000);
        let (mut came, mut taken) = (Orders::new(), Orders::new());
        for (number, what) in (0..).zip(plan) {
            run(&mailbox, &what, number, &mut came, &mut taken);
        }
        while !mailbox.is_empty() {
            run(&mailbox, &Do::Take, 0, &mut came, &mut taken);
        }
        prop_assert_eq!(came, taken);
        let queues = mailbox.queues.lock();
        prop_assert_eq!((queues.clients, queues.bytes), (0, 0));
    }

    /// A user's only command is overtaken by at most one share of each other user.
    #[test]
    fn nobody_waits_for_more_than_a_share_of_each_other(
        noise in proptest::collection::vec(0_i64..5, 0..2_000),
        batch in 8_usize..300,
    ) {
        let mailbox = mailbox(batch, 100_000);
        for share in &noise {
            mailbox.ask(command(Some(*share), 0), nobody());
        }
        mailbox.ask(command(Some(99), 1), nobody());
        let mut before = BTreeMap::<i64, usize>::new();
        let mut found = false;
        while !found {
            let batch = take(&mailbox);
            prop_assert!(!batch.is_empty());
            for item in batch {
                match item.envelope.share {
                    Some(99) => found = true,
                    Some(share) if !found => *before.entry(share).or_default() += 1,
                    _ => {}
                }
            }
        }
        let share = (batch / 8).max(1);
        prop_assert!(before.values().all(|count| *count <= share), "{:?} of {}", before, share);
    }
}
