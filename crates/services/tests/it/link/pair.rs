//! Processes of a shop in one test.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use jangbu_domain::order::model::{Order, Outcome};
use jangbu_engine::clock::{Clock, SystemClock};
use jangbu_engine::mailbox::Limits;
use jangbu_engine::port::Backend;
use jangbu_engine::role::Role;
use jangbu_kernel::{Envelope, OrderId, Secret};
use jangbu_psp::simulator::Latency;
use jangbu_psp::{Gateway, SimConfig, Simulator};
use jangbu_services::link::{LinkStats, Sharing};
use jangbu_services::shop::{Layout, Shop};
use jangbu_store::Memory;
use parking_lot::Mutex;

use super::lease::{Leased, Leases};
use crate::promises::{
    assert_books_balance, assert_money_is_limited, assert_sagas_ended, assert_stock_is_kept,
};
use crate::races::{PATIENCE, by_client};
use crate::rig::{Seen, memory};
use crate::stage::{create, place, receive};

pub(super) const SECRET: &str = "a secret of this test";

/// A process of a shop.
pub(super) struct Process {
    pub(super) shop: Shop,
    pub(super) lease: Leased,
}

/// Fills bytes; nobody attacks this test.
pub(super) fn random(bytes: &mut [u8]) {
    bytes.fill(7);
}

pub(super) fn sharing(secret: &str, lease: Duration) -> Sharing {
    let listen = "127.0.0.1:0".parse().unwrap();
    Sharing { listen, advertise: None, secret: Secret::new(secret), lease, random }
}

impl Process {
    pub(super) fn open(
        (leases, me): (&Leases, u8),
        gateway: &Arc<dyn Gateway>,
        clock: Arc<dyn Clock>,
        secret: &str,
    ) -> Self {
        let lease = leases.of(me);
        let backend: Arc<dyn Backend> = Arc::new(lease.clone());
        let defaults = Layout::one_cell(backend, Arc::clone(gateway), clock);
        let sharing = Some(sharing(secret, leases.length()));
        // Nobody is refused because this machine is busy.
        let limits = Limits { age: PATIENCE, ..Limits::default() };
        let shop = Shop::open(Layout { sharing, limits, ..defaults }).unwrap();
        Self { shop, lease }
    }

    pub(super) fn ask(&self, envelope: Envelope) -> Receiver<Seen> {
        let (sent, wait) = channel();
        let waiter = move |answer| drop(sent.send(Seen::of(answer)));
        self.shop.ask(envelope, Box::new(waiter));
        wait
    }

    pub(super) fn run(&self, envelope: Envelope) -> Seen {
        self.ask(envelope).recv_timeout(PATIENCE).unwrap()
    }

    pub(super) fn is(&self, wanted: impl Fn(&Role) -> bool) {
        let standing = self.shop.standing();
        assert!(standing.wait(PATIENCE, wanted), "it is {:?}", standing.role());
    }

    pub(super) fn owns(&self) {
        self.is(|role| matches!(role, Role::Owner { .. }));
    }

    pub(super) fn is_linked(&self) {
        self.is(|role| matches!(role, Role::Follower { linked: true, .. }));
    }

    /// Hears when an order ends.
    pub(super) fn watch(&self, id: i64) -> Receiver<Order> {
        let (sent, wait) = channel();
        self.shop.hub().watch(OrderId(id), move |order: &Order| drop(sent.send(order.clone())));
        wait
    }

    /// An order that is sold, as this process sees it.
    pub(super) fn sell(&self, n: u8) -> Seen {
        let id = self.shop.mint();
        let ended = self.watch(id);
        let seen = self.run(order(id, n));
        assert_eq!(ended.recv_timeout(PATIENCE).unwrap().outcome, Some(Outcome::Sold));
        seen
    }

    pub(super) fn close(&self) {
        self.shop.close(PATIENCE).unwrap();
    }

    pub(super) fn link(&self) -> LinkStats {
        self.shop.link().unwrap()
    }
}

/// An order with a key of its own.
pub(super) fn order(id: i64, n: u8) -> Envelope {
    by_client(place(id, &[(n, 1)], "tok_visa"), &format!("k-{id}"))
}

/// Two processes, the first of which owns the cell, and one gateway.
pub(super) struct Pair {
    memory: Memory,
    pub(super) one: Process,
    pub(super) two: Process,
    _dir: tempfile::TempDir,
}

impl Pair {
    pub(super) fn open(length: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let latency = Latency { min_ms: 0, max_ms: 1, ..Latency::default() };
        let config = SimConfig { latency, ..SimConfig::default() };
        let gateway = Simulator::start(&dir.path().join("psp.log"), config, None).unwrap();
        let gateway: Arc<dyn Gateway> = Arc::new(gateway);
        let memory = memory();
        let leases = Leases::new(memory.clone(), length);
        let clock = || Arc::new(SystemClock) as Arc<dyn Clock>;
        let one = Process::open((&leases, 1), &gateway, clock(), SECRET);
        one.owns();
        let two = Process::open((&leases, 2), &gateway, clock(), SECRET);
        two.is_linked();
        let pair = Self { memory, one, two, _dir: dir };
        for n in 0..3 {
            assert!(pair.two.run(create(n)).is_done());
            assert!(pair.two.run(receive(pair.two.shop.mint(), n, 100_000)).is_done());
        }
        pair
    }

    /// Ends both, and looks at what they leave: `sold` orders, and everything in order.
    pub(super) fn close(self, sold: usize) {
        self.one.close();
        self.two.close();
        let dump = self.memory.dump();
        assert_stock_is_kept(&dump);
        assert_money_is_limited(&dump);
        assert_books_balance(&dump);
        assert_sagas_ended(&dump);
        assert_eq!(dump.keys().filter(|(table, _)| *table == "orders").count(), sold);
    }
}

/// A gateway that never answers.
#[derive(Default)]
pub(super) struct Silent(Mutex<Vec<jangbu_psp::gateway::Done>>);

impl Gateway for Silent {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn submit(&self, _request: jangbu_psp::Request, done: jangbu_psp::gateway::Done) {
        self.0.lock().push(done);
    }
}
