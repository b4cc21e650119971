//! Points in a running shop: many orders want the same ones, refunds give them back, time takes them.

use std::sync::Arc;

use jangbu_audit::Options;
use jangbu_domain::order::command::Command as Buy;
use jangbu_domain::order::model::{Order, Outcome, PayMode};
use jangbu_domain::payment::command::{Command as Pay, Intent, Purpose, SOON};
use jangbu_domain::point::command::{Command, UNIT};
use jangbu_domain::point::model::Account;
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    Currency, Envelope, GrantId, OrderId, Origin, PaymentId, RefundId, Secret, Time, UserId,
};
use jangbu_services::point::{ACCOUNT, TIMER};
use jangbu_services::registry::{MIGRATIONS, TABLES};
use jangbu_services::shop::Layout;
use jangbu_store::Sqlite;

use crate::promises::assert_books_balance;
use crate::races::{PATIENCE, World, at_once, by_client};
use crate::rig::{Bench, START, int, rows};
use crate::stage::{PRICE, buy, keyed, pay, refund, units, won};

fn grant(id: i64, user: i64, amount: i64, until: Option<Time>) -> Envelope {
    let (grant, user, currency) = (GrantId(id), UserId(user), Currency::KRW);
    let grant =
        Command::Grant { grant, user, amount, currency, expires_at: until, reason: "x".into() };
    Envelope::new(UNIT, Origin::Client, grant)
}

/// One unit of SKU 0, partly for points.
fn with_points(id: i64, user: i64, points: i64) -> Envelope {
    buy(Buy::Place {
        order: OrderId(id),
        user: UserId(user),
        lines: units(&[(0, 1)]),
        expected: won(PRICE),
        mode: PayMode::Server,
        token: Some(Secret::new("tok_visa")),
        coupon: None,
        points,
        pay: None,
    })
}

fn account(world: &World, user: i64) -> Account {
    world.queries.points(UserId(user)).unwrap().unwrap()
}

/// What a sold order of one unit earns: a hundredth of what its card pays.
fn earned(points: i64) -> i64 {
    (PRICE - points) / 100
}

/// Places `n` orders at once, each with so many of the user's points; those that were sold.
fn compete(world: &World, user: i64, n: usize, points: i64) -> Vec<i64> {
    let ended = at_once(n, |_| {
        let id = world.id();
        let ended = world.watch(id);
        let order = by_client(with_points(id, user, points), &format!("k-{id}"));
        assert!(world.run(order).is_done());
        (id, ended.recv_timeout(PATIENCE).unwrap())
    });
    let outcome = |order: &Order| (order.outcome, order.reason.as_deref().map(str::to_owned));
    for (id, order) in &ended {
        let (outcome, why) = outcome(order);
        let lost = why.as_deref() == Some("POINTS_INSUFFICIENT");
        assert!(
            outcome == Some(Outcome::Sold) || (outcome == Some(Outcome::Limit) && lost),
            "{id}: {order:?}"
        );
    }
    let sold = ended.iter().filter(|(_, order)| order.outcome == Some(Outcome::Sold));
    sold.map(|(id, _)| *id).collect()
}

/// Runs on a file, and has the auditor look at the directory afterwards.
fn on_disk(race: impl FnOnce(&World)) {
    let dir = tempfile::tempdir().unwrap();
    let file = Sqlite::new(dir.path().join("jangbu.db"), TABLES, MIGRATIONS);
    let earning = |layout: &mut Layout| layout.rules.order.earn_bp = 100;
    let world = World::made(Arc::new(file), dir.path(), earning);
    race(&world);
    assert_books_balance(&rows(&*world.end()));
    let report = jangbu_audit::prove(&Options::new(dir.path())).unwrap();
    assert_eq!((report.lost, report.doubled, report.mismatched), (0, 0, 0), "{report}");
}

#[test]
fn the_last_point_is_spent_once() {
    on_disk(|world| {
        for _ in 0..1_000 {
            let user = world.id();
            world.stock(0, 8);
            assert!(world.run(grant(world.id(), user, 300, None)).is_done());
            assert_eq!(compete(world, user, 8, 300).len(), 1);
            assert_eq!(account(world, user).left.sum(), earned(300));
        }
    });
}

#[test]
fn points_are_not_spent_by_two_orders() {
    on_disk(|world| {
        for _ in 0..1_000 {
            let user = world.id();
            world.stock(0, 2);
            assert!(world.run(grant(world.id(), user, 100, None)).is_done());
            assert_eq!(compete(world, user, 2, 60).len(), 1);
            assert_eq!(account(world, user).left.sum(), 40 + earned(60));
        }
    });
}

#[test]
fn a_refund_gives_points_back_and_takes_back_what_was_earned() {
    on_disk(|world| {
        let user = world.id();
        world.stock(0, 1);
        assert!(world.run(grant(world.id(), user, 300, None)).is_done());
        let before = account(world, user);
        let sold = compete(world, user, 1, 300);
        assert!(world.run(refund(sold[0], Some(&[(0, 1)]))).is_done());
        for _ in 0..PATIENCE.as_millis() {
            if account(world, user).left == before.left {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        let after = account(world, user);
        assert_eq!((after.left, &after.lots), (before.left, &before.lots));
        assert_eq!((after.spent.sum(), after.restored.sum()), (300, 300));
        assert_eq!((after.rewarded, after.clawed), (earned(300), earned(300)));
    });
}

#[test]
fn points_end_at_their_time_and_not_before_also_after_a_restart() {
    let mut bench = Bench::new();
    let day = Span::mins(24 * 60);
    assert!(bench.run(grant(1, 7, 30, Some(Time(START) + day))).is_done());
    assert!(bench.run(grant(2, 7, 70, None)).is_done());
    let earned = |bench: &Bench| int(&bench.memory.dump()[&(ACCOUNT.name, [7, 0, 0])][4]).unwrap();
    let timer = |bench: &Bench| int(&bench.memory.dump()[&(TIMER.name, [7, 0, 0])][1]).unwrap();
    let ends = timer(&bench);
    assert!(ends >= START + day.0 && ends < START + 2 * day.0);
    bench.rig.set(Time(ends - 1));
    bench.settle();
    assert_eq!(earned(&bench), 100);
    bench.rig.restart();
    bench.rig.set(Time(ends + 30_000));
    bench.settle();
    assert_eq!(earned(&bench), 70);
    assert!(timer(&bench) > ends + 300 * day.0, "the other lot's turn");
    bench.rig.set(Time(timer(&bench) + 30_000));
    bench.settle();
    assert_eq!(earned(&bench), 0);
    assert_books_balance(&bench.memory.dump());
}

/// A bench on which user 7 has bought 500 points by payment 1.
fn bought(token: &str) -> Bench {
    let mut bench = Bench::new();
    let intent = Intent {
        payment: PaymentId(1),
        order: None,
        purpose: Purpose::Points { user: UserId(7) },
        amount: 500,
        currency: Currency::KRW,
        split: Vec::new(),
        capture_later: false,
    };
    let token = Some(Secret::new(token));
    assert!(bench.run(pay(Pay::Intend { intent, token, deadline: SOON })).is_done());
    bench.settle_with_gateway();
    assert_eq!(paid(&bench), 500);
    bench
}

fn paid(bench: &Bench) -> i64 {
    bench.queries().points(UserId(7)).unwrap().unwrap().left.paid
}

fn regret(amount: i64) -> Envelope {
    let (refund, payment, user) = (RefundId(90), PaymentId(1), UserId(7));
    let refund =
        Command::Refund { refund, payment, user, amount: Some(amount), reason: "x".into() };
    keyed(Envelope::new(UNIT, Origin::Client, refund), "back", 1)
}

#[test]
fn the_refund_of_a_charge_survives_the_process_at_every_step() {
    // Dead before the call has left, dead before its answer, alive.
    for (told, answered) in [(false, false), (true, false), (true, true)] {
        let mut bench = bought("ok");
        assert!(bench.run(regret(200)).is_done());
        assert_eq!(paid(&bench), 300, "the points go before the gateway is asked");
        let jobs = std::mem::take(&mut bench.rig.record().jobs);
        assert_eq!(jobs.len(), 1);
        if told {
            let said = bench.gateway.hear(&jobs[0]);
            if answered {
                assert!(bench.run(Envelope::new(jobs[0].to, Origin::Event, said)).is_done());
            }
        }
        bench.rig.restart();
        assert!(bench.run(regret(200)).is_done(), "the same key is the same refund");
        bench.run_out();
        assert_eq!(bench.gateway.kept().get(&1), Some(&300));
        assert_eq!(paid(&bench), 300);
        let payment = bench.queries().payment(PaymentId(1)).unwrap().unwrap();
        assert_eq!((payment.refunded, payment.pending, payment.refunds.len()), (200, 0, 1));
        assert_books_balance(&bench.memory.dump());
    }
}

#[test]
fn a_refused_refund_of_a_charge_brings_the_points_back_once() {
    let mut bench = bought("refund_refused");
    assert!(bench.run(regret(200)).is_done());
    bench.rig.record().jobs.clear();
    bench.rig.restart();
    bench.run_out();
    assert_eq!((paid(&bench), bench.gateway.kept().get(&1)), (500, Some(&500)));
    assert!(bench.run(regret(200)).is_done(), "it is told again, and changes nothing");
    assert_eq!(paid(&bench), 500);
    assert_books_balance(&bench.memory.dump());
}
