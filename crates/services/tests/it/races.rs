//! A running shop with threads: many clients want the same thing at the same time, some of them
//! hang up, and the auditor looks at the end.

mod perks;

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use jangbu_domain::order::model::{Order, Outcome};
use jangbu_engine::clock::SystemClock;
use jangbu_engine::port::Backend;
use jangbu_kernel::{Envelope, OrderId};
use jangbu_psp::simulator::Latency;
use jangbu_psp::{SimConfig, Simulator};
use jangbu_services::queries::Queries;
use jangbu_services::registry::{MIGRATIONS, TABLES};
use jangbu_services::shop::{Layout, Shop};
use jangbu_store::Sqlite;

use crate::promises::{
    assert_books_balance, assert_money_is_limited, assert_sagas_ended, assert_stock_is_kept,
};
use crate::rig::{Seen, memory, rows};
use crate::stage::{PRICE, cancel, create, keyed, place, receive, refund};

/// Longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A shop with a gateway that answers at once.
pub(crate) struct World {
    pub(crate) shop: Shop,
    backend: Arc<dyn Backend>,
    pub(crate) queries: Queries,
    next: AtomicI64,
}

impl World {
    fn open(backend: Arc<dyn Backend>, dir: &Path) -> Self {
        Self::made(backend, dir, |_| {})
    }

    /// With a layout of its own.
    pub(crate) fn made(
        backend: Arc<dyn Backend>,
        dir: &Path,
        how: impl FnOnce(&mut Layout),
    ) -> Self {
        let latency = Latency { min_ms: 0, max_ms: 1, ..Latency::default() };
        let config = SimConfig { latency, ..SimConfig::default() };
        let gateway = Simulator::start(&dir.join("psp.log"), config, None).unwrap();
        let mut layout =
            Layout::one_cell(Arc::clone(&backend), Arc::new(gateway), Arc::new(SystemClock));
        how(&mut layout);
        let shop = Shop::open(layout).unwrap();
        let queries = Queries::new(Arc::clone(&backend), Arc::clone(&backend));
        let next = AtomicI64::new(shop.mint());
        let world = Self { shop, backend, queries, next };
        for n in 0..3 {
            assert!(world.run(create(n)).is_done());
        }
        world
    }

    /// A number that is free: ids of this test are its own.
    pub(crate) fn id(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn ask(&self, envelope: Envelope) -> Receiver<Seen> {
        let (sent, wait) = channel();
        let waiter = move |answer| {
            let _ = sent.send(Seen::of(answer));
        };
        self.shop.ask(envelope, Box::new(waiter));
        wait
    }

    pub(crate) fn run(&self, envelope: Envelope) -> Seen {
        self.ask(envelope).recv_timeout(PATIENCE).unwrap()
    }

    /// Hears when order `id` ends.
    pub(crate) fn watch(&self, id: i64) -> Receiver<Order> {
        let (sent, wait) = channel();
        self.shop.hub().watch(OrderId(id), move |order: &Order| {
            let _ = sent.send(order.clone());
        });
        wait
    }

    pub(crate) fn stock(&self, n: u8, quantity: i64) {
        assert!(self.run(receive(self.id(), n, quantity)).is_done());
    }

    fn sell(&self, n: u8, quantity: i64) -> i64 {
        let id = self.id();
        let ended = self.watch(id);
        assert!(self.run(an_order(id, n, quantity)).is_done());
        assert_eq!(ended.recv_timeout(PATIENCE).unwrap().outcome, Some(Outcome::Sold));
        id
    }

    fn order(&self, id: i64) -> Order {
        self.queries.order(OrderId(id)).unwrap().unwrap()
    }

    /// Waits until `done` is true of an order.
    fn until(&self, id: i64, done: impl Fn(&Order) -> bool) -> Order {
        for _ in 0..PATIENCE.as_millis() {
            let order = self.order(id);
            if done(&order) {
                return order;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        panic!("order {id} does not get there: {:?}", self.order(id));
    }

    /// Ends the shop, without a look at what it leaves.
    pub(crate) fn end(self) -> Arc<dyn Backend> {
        self.shop.close(PATIENCE).unwrap();
        self.backend
    }

    fn close(self) {
        let backend = self.end();
        let dump = rows(&*backend);
        assert_stock_is_kept(&dump);
        assert_money_is_limited(&dump);
        assert_books_balance(&dump);
        assert_sagas_ended(&dump);
    }
}

/// An order with a key of its own, as the API would send it.
fn an_order(id: i64, n: u8, quantity: i64) -> Envelope {
    by_client(place(id, &[(n, quantity)], "tok_visa"), &format!("k-{id}"))
}

/// The scope says which operation of which principal the key belongs to.
pub(crate) fn by_client(envelope: Envelope, key: &str) -> Envelope {
    let mut envelope = keyed(envelope, key, 1);
    if let Some(key) = &mut envelope.key {
        key.scope = "client:order.place".into();
    }
    envelope
}

pub(crate) fn in_memory(race: impl FnOnce(&World)) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(Arc::new(memory()), dir.path());
    race(&world);
    world.close();
}

/// Runs on a file, and has the auditor look at the directory afterwards.
pub(crate) fn on_disk(race: impl FnOnce(&World)) {
    let dir = tempfile::tempdir().unwrap();
    let file = Sqlite::new(dir.path().join("jangbu.db"), TABLES, MIGRATIONS);
    let world = World::open(Arc::new(file), dir.path());
    race(&world);
    world.close();
    let report = jangbu_audit::prove(&jangbu_audit::Options::new(dir.path())).unwrap();
    assert_eq!((report.lost, report.doubled, report.mismatched), (0, 0, 0), "{report:?}");
    assert!(report.conditions.orders > 0);
}

/// Runs `n` clients at once.
pub(crate) fn at_once<T: Send>(n: usize, client: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (barrier, client) = (&Barrier::new(n), &client);
    std::thread::scope(|scope| {
        let run = |at| {
            scope.spawn(move || {
                barrier.wait();
                client(at)
            })
        };
        let threads: Vec<_> = (0..n).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn the_last_unit(world: &World, rounds: usize) {
    for _ in 0..rounds {
        world.stock(0, 1);
        let ended = at_once(8, |_| {
            let id = world.id();
            let ended = world.watch(id);
            assert!(world.run(an_order(id, 0, 1)).is_done());
            ended.recv_timeout(PATIENCE).unwrap().outcome
        });
        let count = |outcome| ended.iter().filter(|ended| **ended == Some(outcome)).count();
        assert_eq!((count(Outcome::Sold), count(Outcome::SoldOut)), (1, 7));
    }
}

fn partial_refunds(world: &World, rounds: usize) {
    for _ in 0..rounds {
        world.stock(0, 8);
        let id = world.sell(0, 8);
        let asked: Vec<_> = (0..64).map(|_| world.ask(refund(id, Some(&[(0, 1)])))).collect();
        let seen: Vec<_> = asked.iter().map(|wait| wait.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(seen.iter().filter(|seen| seen.is_done()).count(), 8);
        let refused = |seen: &&Seen| matches!(seen, Seen::Refused("REFUND_EXCEEDS_ORDER", _));
        assert_eq!(seen.iter().filter(refused).count(), 56);
        let order = world.until(id, |order| order.next_at.is_none());
        assert_eq!(order.refunded, 8 * PRICE);
    }
}

fn cancel_against_capture(world: &World, rounds: usize) -> [usize; 2] {
    let kinds = [AtomicUsize::new(0), AtomicUsize::new(0)];
    for round in 0..rounds {
        world.stock(1, 1);
        let id = world.id();
        let ended = world.watch(id);
        assert!(world.run(an_order(id, 1, 1)).is_done());
        if round % 2 == 1 {
            std::thread::park_timeout(Duration::from_micros((round as u64 * 37) % 2_500));
        }
        let seen = world.run(cancel(id));
        let outcome = ended.recv_timeout(PATIENCE).unwrap().outcome;
        assert!(seen.is_done(), "{seen:?}");
        let order = world.until(id, |order| order.next_at.is_none());
        assert_eq!(order.refunded, PRICE, "the money is back either way: {order:?}");
        kinds[usize::from(outcome == Some(Outcome::Sold))].fetch_add(1, Ordering::Relaxed);
        assert!(matches!(outcome, Some(Outcome::Sold | Outcome::Cancelled)), "{outcome:?}");
    }
    kinds.map(AtomicUsize::into_inner)
}

fn one_key_from_64_clients(world: &World, rounds: usize) {
    for _ in 0..rounds {
        world.stock(2, 2);
        let before = world.queries.stock(crate::history::sku(2)).unwrap().unwrap().available;
        let key = format!("k-{}", world.id());
        let order = || by_client(place(world.id(), &[(2, 2)], "tok_visa"), &key);
        let asked: Vec<_> = (0..64).map(|_| world.ask(order())).collect();
        let seen: Vec<_> = asked.iter().map(|wait| wait.recv_timeout(PATIENCE).unwrap()).collect();
        let resource = |seen: &Seen| match seen {
            Seen::Done { reply, replayed } => {
                (reply.split(',').next().unwrap().to_owned(), *replayed)
            }
            other => panic!("{other:?}"),
        };
        let seen: Vec<_> = seen.iter().map(resource).collect();
        assert!(seen.iter().all(|(order, _)| *order == seen[0].0), "one order: {seen:?}");
        assert_eq!(seen.iter().filter(|(_, replayed)| !replayed).count(), 1);
        let after = world.queries.stock(crate::history::sku(2)).unwrap().unwrap().available;
        assert_eq!(before - after, 2, "two units, not 128");
    }
}

/// Everybody asks and leaves at once.
fn clients_that_hang_up(world: &World, orders: i64) {
    world.stock(0, orders);
    let ids: Vec<_> = (0..orders).map(|_| world.id()).collect();
    for id in &ids {
        drop(world.ask(an_order(*id, 0, 1)));
        let ticket = world.shop.hub().watch(OrderId(*id), |_: &Order| panic!("nobody is there"));
        world.shop.hub().forget(ticket);
    }
    assert!(world.run(receive(world.id(), 0, 1)).is_done());
    for id in ids {
        let order = world.until(id, |order| order.outcome.is_some());
        assert_eq!(order.outcome, Some(Outcome::Sold));
    }
}

#[test]
fn of_many_who_want_the_last_unit_exactly_one_gets_it() {
    in_memory(|world| the_last_unit(world, 1_000));
}

#[test]
fn parallel_refunds_never_give_back_more_than_was_captured() {
    in_memory(|world| partial_refunds(world, 1_000));
}

#[test]
fn cancel_against_capture_ends_right_either_way() {
    in_memory(|world| {
        let [cancelled, sold] = cancel_against_capture(world, 1_000);
        assert!(cancelled > 0 && sold > 0, "both happen: {cancelled} and {sold}");
    });
}

#[test]
fn the_same_key_from_64_clients_makes_one_order() {
    in_memory(|world| one_key_from_64_clients(world, 1_000));
}

#[test]
fn a_client_that_hangs_up_changes_nothing() {
    in_memory(|world| clients_that_hang_up(world, 300));
}

#[test]
fn after_every_race_on_disk_the_auditor_finds_nothing() {
    on_disk(|world| {
        the_last_unit(world, 20);
        partial_refunds(world, 3);
        cancel_against_capture(world, 40);
        one_key_from_64_clients(world, 20);
        clients_that_hang_up(world, 100);
        perks::one_coupon_twice(world, 20);
        perks::points_from_two_orders(world, 20);
        perks::partial_refunds(world, 3);
        perks::cancel_against_ship(world, 20);
    });
}
