//! Two processes on one store, here two shops: one owns the cell, the other forwards to it and takes
//! over. The lease is in memory (`lease`), everything above it is real: threads, sockets, batches.

mod lease;
mod pair;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jangbu_domain::order::model::Outcome;
use jangbu_engine::clock::{Clock, SystemClock};
use jangbu_engine::mailbox::Why;
use jangbu_engine::port::Backend;
use jangbu_engine::role::Role;
use jangbu_kernel::{OrderId, Secret};
use jangbu_psp::Gateway;
use jangbu_services::link::Sharing;
use proptest::prelude::*;

use crate::history::{Sent, compile, everything, history};
use crate::races::{PATIENCE, at_once, by_client};
use crate::rig::{Hand, ONE, Rig, START, Seen, memories, memory, open_all, rows};
use crate::split::compare;
use crate::stage::{create, place};
use lease::Leases;
use pair::{Pair, Process, SECRET, Silent, order, sharing};

/// Runs a history by the owner alone, one by one.
fn by_owner(sent: &[Sent]) -> (Vec<Seen>, jangbu_store::Dump) {
    let (mut rig, backends) = (Rig::new(ONE), memories(1));
    open_all(&backends, &mut |stores| {
        for sent in sent {
            rig.send(sent);
            rig.settle(stores);
        }
    });
    (rig.answers(), rows(&*backends[0]))
}

/// Runs a history through a follower, as fast as it goes.
fn by_follower(sent: &[Sent]) -> (Vec<Seen>, jangbu_store::Dump) {
    let gateway: Arc<dyn Gateway> = Arc::new(Silent::default());
    let memory = memory();
    let leases = Leases::new(memory.clone(), Duration::from_mins(1));
    let clock = || Arc::new(Hand::at(START)) as Arc<dyn Clock>;
    let one = Process::open((&leases, 1), &gateway, clock(), SECRET);
    let two = Process::open((&leases, 2), &gateway, clock(), SECRET);
    two.is_linked();
    let mut answers = Vec::new();
    for sent in sent {
        if sent.waits {
            answers.push(two.ask(sent.envelope()));
        } else {
            two.shop.tell(sent.envelope());
        }
    }
    let hear = |wait: Receiver<Seen>| wait.recv_timeout(PATIENCE).unwrap();
    let seen = answers.into_iter().map(hear).collect();
    two.shop.close(Duration::ZERO).unwrap();
    assert_eq!(one.link().received, sent.len() as u64, "nothing went past the owner");
    one.shop.close(Duration::ZERO).unwrap();
    (seen, memory.dump())
}

proptest! {
    #![proptest_config(crate::rig::cases(16))]

    #[test]
    fn commands_through_a_follower_are_answered_as_by_the_owner(
        ops in history(everything(), 10..60),
    ) {
        let sent = compile(&ops);
        compare(&by_owner(&sent), &by_follower(&sent));
    }
}

#[test]
fn a_key_is_one_request_whichever_process_it_comes_to() {
    let pair = Pair::open(Duration::from_secs(5));
    let (one, two) = (&pair.one, &pair.two);
    let id = two.shop.mint();
    let ended = two.watch(id);
    assert!(two.run(order(id, 0)).is_done());
    let order_of = |seen: &Seen| match seen {
        Seen::Done { reply, replayed } => (reply.split(',').next().unwrap().to_owned(), *replayed),
        other => panic!("{other:?}"),
    };
    assert_eq!(ended.recv_timeout(PATIENCE).unwrap().outcome, Some(Outcome::Sold));
    let again = |of: &Process| of.run(by_client(order(of.shop.mint(), 0), &format!("k-{id}")));
    let (here, there) = (again(one), again(two));
    assert_eq!(order_of(&here), order_of(&there));
    assert!(order_of(&here).1, "the first answer again");
    let mut other = order(two.shop.mint(), 1);
    let key = other.key.as_mut().unwrap();
    (key.key, key.body) = (format!("k-{id}").into(), [9; 17]);
    assert_eq!(two.run(other), Seen::KeyReused(id));
    let refused = two.run(place(two.shop.mint(), &[(9, 1)], "tok_visa"));
    assert!(matches!(refused, Seen::Refused("SKU_NOT_ON_SALE", _)), "{refused:?}");
    pair.close(1);
}

#[test]
fn a_follower_knows_the_position_of_what_it_answers() {
    let pair = Pair::open(Duration::from_secs(5));
    let (one, two) = (&pair.one, &pair.two);
    let lease: Arc<dyn Backend> = Arc::new(one.lease.clone());
    let queries = jangbu_services::queries::Queries::new(Arc::clone(&lease), lease);
    let mut last = two.shop.position();
    for n in 0..20 {
        let before = queries.position().unwrap();
        let id = two.shop.mint();
        let ended = two.watch(id);
        assert!(two.run(order(id, n % 3)).is_done());
        // An answer is of this commit or a later one, and so is a signal.
        assert!(two.shop.position().commit > before.commit, "{n}");
        ended.recv_timeout(PATIENCE).unwrap();
        let settled = two.shop.position();
        assert!(settled.commit > last.commit && settled.event > last.event, "{settled} {last}");
        assert!(queries.position().unwrap().covers(settled), "nothing is told before it is there");
        last = settled;
    }
    assert!(one.shop.position().covers(last));
    pair.close(20);
}

#[test]
fn ids_of_two_processes_never_meet() {
    let gateway: Arc<dyn Gateway> = Arc::new(Silent::default());
    let leases = Leases::new(memory(), Duration::from_mins(1));
    // One moment for both, for ever.
    let clock = || Arc::new(Hand::at(START)) as Arc<dyn Clock>;
    let open = |me| Process::open((&leases, me), &gateway, clock(), SECRET);
    let (one, two, three) = (open(1), open(2), open(3));
    two.is_linked();
    three.is_linked();
    let ids = |of: &Process| (0..5_000).map(|_| of.shop.mint()).collect::<Vec<_>>();
    let mut all: Vec<_> = [&one, &two, &three].into_iter().flat_map(ids).collect();
    one.shop.hand_over();
    for process in [&one, &two, &three] {
        process.is(|role| !matches!(role, Role::Joining | Role::Follower { linked: false, .. }));
        all.extend(ids(process));
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 30_000);
    for process in [one, two, three] {
        process.shop.close(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_stale_owner_that_wakes_up_is_fenced_and_what_waited_for_it_is_done_by_the_new_one() {
    let pair = Pair::open(Duration::from_secs(2));
    let (one, two) = (&pair.one, &pair.two);
    one.lease.freeze();
    let id = one.shop.mint();
    let (ended, waits) = (one.watch(id), one.ask(order(id, 0)));
    two.owns();
    two.sell(1);
    one.lease.thaw();
    assert!(waits.recv_timeout(PATIENCE).unwrap().is_done());
    assert_eq!(ended.recv_timeout(PATIENCE).unwrap().outcome, Some(Outcome::Sold));
    one.is_linked();
    assert!(pair.one.lease.fenced() > 0, "it tried");
    pair.close(2);
}

#[test]
fn a_follower_takes_over_from_an_owner_that_died_and_answers_what_waited() {
    let pair = Pair::open(Duration::from_secs(2));
    let (one, two) = (&pair.one, &pair.two);
    // Nothing is committed, released or renewed any more by the first.
    one.lease.freeze();
    let before = one.link().received;
    let ids: Vec<_> = (0..5).map(|_| two.shop.mint()).collect();
    let ended: Vec<_> = ids.iter().map(|id| two.watch(*id)).collect();
    let waits: Vec<_> = ids.iter().map(|id| two.ask(order(*id, 0))).collect();
    let keyless = two.ask(place(two.shop.mint(), &[(0, 1)], "tok_visa"));
    while one.link().received < before + 6 {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    for wait in waits {
        assert!(wait.recv_timeout(PATIENCE).unwrap().is_done());
    }
    for ended in ended {
        assert_eq!(ended.recv_timeout(PATIENCE).unwrap().outcome, Some(Outcome::Sold));
    }
    // Nobody knows what became of it, and nobody tries twice.
    assert_eq!(keyless.recv_timeout(PATIENCE).unwrap(), Seen::NotRun(Why::Unsure));
    two.owns();
    assert_eq!((two.link().again, two.link().unsure), (5, 1));
    one.lease.thaw();
    pair.close(5);
}

/// Clients of both processes, while `meanwhile` happens; says how many orders were sold.
fn under_load(pair: &Pair, each: usize, meanwhile: impl FnOnce() + Send) -> usize {
    let clients = 6;
    std::thread::scope(|scope| {
        let disturb = scope.spawn(meanwhile);
        let sold = at_once(clients, |at| {
            let process = if at % 2 == 0 { &pair.one } else { &pair.two };
            (0..each).filter(|_| sold(process)).count()
        });
        disturb.join().unwrap();
        sold.into_iter().sum()
    })
}

/// An order to its end. Its signal may be lost with a link, so its row is looked at, too.
fn sold(process: &Process) -> bool {
    let id = process.shop.mint();
    let seen = process.run(order(id, 0));
    assert!(seen.is_done(), "no request fails: {seen:?}");
    let backend: Arc<dyn Backend> = Arc::new(process.lease.clone());
    let queries = jangbu_services::queries::Queries::new(Arc::clone(&backend), backend);
    for _ in 0..PATIENCE.as_millis() {
        let order = queries.order(OrderId(id)).unwrap().unwrap();
        if let Some(outcome) = order.outcome {
            assert_eq!(outcome, Outcome::Sold);
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("order {id} does not end")
}

#[test]
fn a_hand_over_under_load_fails_loses_and_doubles_nothing() {
    let pair = Pair::open(Duration::from_secs(5));
    let sold = under_load(&pair, 60, || {
        for owner in [&pair.one, &pair.two, &pair.one] {
            owner.owns();
            // On a busy machine it may be back before the other one comes.
            while owner.shop.standing().is_owner() {
                owner.shop.hand_over();
            }
        }
    });
    assert_eq!(sold, 360);
    assert!(pair.one.shop.standing().changes() >= 4, "{:?}", pair.one.shop.standing());
    assert_eq!(pair.one.link().unsure + pair.two.link().unsure, 0);
    pair.close(360);
}

#[test]
fn a_link_that_breaks_under_load_loses_and_doubles_nothing() {
    let pair = Pair::open(Duration::from_secs(5));
    let sold = under_load(&pair, 60, || {
        for _ in 0..8 {
            pair.two.is_linked();
            pair.one.shop.cut_link();
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
    assert_eq!(sold, 360);
    assert!(pair.two.link().links > 2, "{:?}", pair.two.link());
    pair.close(360);
}

#[test]
fn an_owner_that_goes_down_hands_over_first_and_nobody_is_refused() {
    let pair = Pair::open(Duration::from_secs(5));
    let waits: Vec<_> = (0..50)
        .map(|at| {
            let process = if at % 2 == 0 { &pair.one } else { &pair.two };
            let id = process.shop.mint();
            process.ask(order(id, 0))
        })
        .collect();
    pair.one.close();
    pair.two.owns();
    for wait in waits {
        assert!(wait.recv_timeout(PATIENCE).unwrap().is_done());
    }
    pair.two.sell(1);
    pair.close(51);
}

#[test]
fn a_process_with_another_secret_is_not_let_in() {
    let gateway: Arc<dyn Gateway> = Arc::new(Silent::default());
    let leases = Leases::new(memory(), Duration::from_mins(1));
    let clock = || Arc::new(SystemClock) as Arc<dyn Clock>;
    let one = Process::open((&leases, 1), &gateway, clock(), SECRET);
    let two = Process::open((&leases, 2), &gateway, clock(), "another secret, as long");
    while one.link().refused < 2 {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let address = one.shop.address().unwrap().to_owned();
    assert_eq!(two.shop.role(), Role::Follower { owner: address.clone(), linked: false });
    assert_eq!((one.link().followers, two.link().links), (0, 0));
    // What is no greeting at all costs the connection, and nothing else.
    let mut stranger = TcpStream::connect(&*address).unwrap();
    std::io::Write::write_all(&mut stranger, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // Closed in order or not: there is an end.
    drop(std::io::Read::read_to_end(&mut stranger, &mut Vec::new()));
    assert!(one.run(create(0)).is_done());
    one.close();
    two.shop.close(Duration::ZERO).unwrap();
}

#[test]
fn an_owner_that_does_not_speak_is_given_up_and_its_lease_waited_out() {
    let gateway: Arc<dyn Gateway> = Arc::new(Silent::default());
    let leases = Leases::new(memory(), Duration::from_secs(1));
    // Connections are taken, and nothing is ever said: as behind a network that was cut.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    leases.of(9).claim(&address).unwrap();
    let clock = Arc::new(SystemClock) as Arc<dyn Clock>;
    let two = Process::open((&leases, 2), &gateway, clock, SECRET);
    assert!(two.run(create(0)).is_done());
    assert_eq!(two.shop.role(), Role::Owner { epoch: 2 });
    two.close();
}

#[test]
fn a_secret_is_long_and_required_where_others_can_listen() {
    let lease = Duration::from_secs(5);
    let everywhere = Sharing { listen: "0.0.0.0:0".parse().unwrap(), ..sharing("", lease) };
    assert!(everywhere.fault().unwrap().contains("link.secret is required"));
    assert!(sharing("fifteen letters", lease).fault().unwrap().contains("16 bytes"));
    assert_eq!(sharing("", lease).fault(), None, "loopback");
    assert_eq!(Sharing { secret: Secret::new(SECRET), ..everywhere }.fault(), None);
}
