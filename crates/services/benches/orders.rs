//! The whole order path without HTTP: how many orders a second, and where the time goes.
//!
//! `cargo bench -p jangbu-services --bench orders -- [IN_FLIGHT] [SECONDS] [DIR]`: a closed loop of
//! `IN_FLIGHT` orders (default 256) for SECONDS (default 10) on a SQLite file in DIR (default: a
//! temporary directory below the current one), gateway latency 5–15 ms, 10,000 products; 3 orders
//! of 10 redeem a coupon and 3 of 10 spend points, every sale earns 1 % (`PLAIN=1`: no coupons,
//! no points spent).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "a program that is run by hand and measures real time"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jangbu_domain::coupon::command as coupon;
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid};
use jangbu_domain::order::command::{Command, UNIT, Units};
use jangbu_domain::order::model::{Order, Outcome, PayMode};
use jangbu_domain::point::command as point;
use jangbu_domain::{catalog, inventory};
use jangbu_engine::clock::SystemClock;
use jangbu_engine::mailbox::Answer;
use jangbu_engine::port::Backend;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{
    CampaignId, CouponId, Currency, Envelope, GrantId, IdemKey, Money, OrderId, Origin, ProductId,
    Secret, SkuId, Time, UserId,
};
use jangbu_psp::{SimConfig, Simulator};
use jangbu_services::projections::{self, Projections};
use jangbu_services::registry;
use jangbu_services::shop::{Layout, Shop};

use jangbu_store::{Durability, Options, Sqlite};

const PRODUCTS: i64 = 10_000;
const USERS: i64 = 100_000;

struct Load {
    shop: Shop,
    stop: AtomicBool,
    settled: AtomicU64,
    sold: AtomicU64,
    seq: AtomicU64,
    skus: Vec<SkuId>,
    /// Each coupon with its owner.
    coupons: Vec<(CouponId, UserId)>,
    points: bool,
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let in_flight: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(256);
    let seconds: u64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(10);
    let dir = args.next().map_or_else(
        || tempfile::tempdir_in(".").map(tempfile::TempDir::keep).unwrap(),
        std::path::PathBuf::from,
    );
    std::fs::create_dir_all(&dir).unwrap();
    let truth: Arc<dyn Backend> =
        Arc::new(Sqlite::new(dir.join("jangbu.db"), registry::TABLES, registry::MIGRATIONS));
    let derived = Sqlite::new(dir.join("derived.db"), projections::TABLES, projections::MIGRATIONS)
        .with_options(Options { durability: Durability::Normal, ..Options::default() });
    let gateway = Simulator::start(&dir.join("psp.log"), SimConfig::default(), None).unwrap();
    let mut layout = Layout::one_cell(Arc::clone(&truth), Arc::new(gateway), Arc::new(SystemClock));
    layout.rules.order.earn_bp = 100;
    let shop = Shop::open(layout).unwrap();
    let projections =
        Projections::follow(&*truth, Arc::new(derived), Arc::new(SystemClock)).unwrap();
    let skus = seed(&shop);
    let plain = std::env::var_os("PLAIN").is_some();
    let coupons = if plain { Vec::new() } else { give(&shop, seconds) };
    let load = Arc::new(Load {
        shop,
        stop: AtomicBool::new(false),
        settled: AtomicU64::new(0),
        sold: AtomicU64::new(0),
        seq: AtomicU64::new(1),
        skus,
        coupons,
        points: !plain,
    });
    for _ in 0..in_flight {
        place(&load);
    }
    std::thread::sleep(Duration::from_secs(2));
    let before = load.shop.counters()[0].clone();
    let (settled, start) = (load.settled.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let after = load.shop.counters()[0].clone();
    let settled = load.settled.load(Ordering::Relaxed) - settled;
    let took = start.elapsed();
    load.stop.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    let n = settled.max(1) as f64;
    let us = |a: u64, b: u64| (a - b) as f64 / 1e3 / n;
    println!("{:.0} orders/s ({} sold)", n / took.as_secs_f64(), load.sold.load(Ordering::Relaxed));
    println!(
        "us/order: read {:.1} decide {:.1} write {:.1} commit {:.1} between {:.1} deliver {:.1}",
        us(after.read_ns, before.read_ns),
        us(after.decide_ns, before.decide_ns),
        us(after.write_ns, before.write_ns),
        us(after.commit_ns, before.commit_ns),
        us(after.between_ns, before.between_ns),
        us(after.deliver_ns, before.deliver_ns),
    );
    let per = |a: u64, b: u64| (a - b) as f64 / n;
    println!(
        "per order: commits {:.3} commands {:.1} rows {:.1} read {:.1} in {:.3} rounds, events {:.1} pages {:.2} wal {:.0} B",
        per(after.commits, before.commits),
        per(after.commands, before.commands),
        per(after.rows, before.rows),
        per(after.rows_read, before.rows_read),
        per(after.reads, before.reads),
        per(after.events, before.events),
        per(after.pages, before.pages),
        per(after.wal_bytes, before.wal_bytes),
    );
    println!("batch p50 {} p99 {}", after.batch_quantile(500), after.batch_quantile(990));
    println!("projected {} of {}", projections.seq(), after.events);
}

fn seed(shop: &Shop) -> Vec<SkuId> {
    let mut skus = Vec::new();
    for n in 0..PRODUCTS {
        let (product, sku) = (ProductId(shop.mint()), SkuId(shop.mint()));
        let price = Money::new(1_000 * (1 + n % 50), Currency::KRW);
        let new = catalog::command::NewSku::new(sku, "one", price);
        let merchant: Arc<str> = format!("m-{}", n % 1_000).into();
        let create = catalog::command::Command::Create {
            product,
            merchant,
            name: "thing".into(),
            about: catalog::command::About::default(),
            skus: vec![new],
            publish: true,
        };
        shop.ask(Envelope::new(catalog::command::UNIT, Origin::Client, create), Box::new(|_| {}));
        let receive = inventory::command::Command::Receive {
            movement: MovementId(shop.mint()),
            sku,
            quantity: 1_000_000,
            reason: "seed".into(),
        };
        let envelope = Envelope::new(inventory::command::UNIT, Origin::Client, receive);
        let (sent, wait) = std::sync::mpsc::channel();
        let waiter = move |answer: Answer| {
            assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
            let _ = sent.send(());
        };
        shop.ask(envelope, Box::new(waiter));
        if n % 256 == 0 {
            wait.recv().unwrap();
        }
        skus.push(sku);
    }
    while shop.waiting() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    skus
}

/// Points for every user, and coupons for as many orders as there may be.
fn give(shop: &Shop, seconds: u64) -> Vec<(CouponId, UserId)> {
    for user in 1..=USERS {
        let grant = point::Command::Grant {
            grant: GrantId(shop.mint()),
            user: UserId(user),
            amount: 100_000_000,
            currency: Currency::KRW,
            expires_at: None,
            reason: "seed".into(),
        };
        done(shop, Envelope::new(point::UNIT, Origin::Client, grant), user % 256 == 0);
    }
    let mut all = Vec::new();
    let per_campaign = i64::try_from(seconds + 3).unwrap() * 90;
    for n in 0..100 {
        let campaign = CampaignId(shop.mint());
        let terms = terms(n, per_campaign);
        let create = coupon::Command::CreateCampaign { campaign, terms };
        done(shop, Envelope::new(coupon::UNIT, Origin::Client, create), true);
        for first in (0..per_campaign).step_by(coupon::GRANT_MAX) {
            let last = per_campaign.min(first + i64::try_from(coupon::GRANT_MAX).unwrap());
            let owner = |k: i64| UserId(1 + (k * 7_919 + n * 104_729) % USERS);
            let coupons: Vec<_> =
                (first..last).map(|k| (CouponId(shop.mint()), owner(k))).collect();
            all.extend_from_slice(&coupons);
            let grant = coupon::Command::Grant { campaign, coupons };
            done(shop, Envelope::new(coupon::UNIT, Origin::Client, grant), true);
        }
    }
    // Neighbours are of different campaigns, and far from each other in their table.
    let rows = usize::try_from(per_campaign).unwrap();
    (0..all.len()).map(|k| all[k % 100 * rows + k / 100]).collect()
}

/// Half take off 500 won, half a tenth up to 500.
fn terms(n: i64, total: i64) -> Terms {
    let kind = match n % 2 {
        0 => Kind::Fixed { amount: 500 },
        _ => Kind::Percent { bp: 1_000, cap: Some(500) },
    };
    Terms {
        name: "campaign".into(),
        kind,
        currency: Currency::KRW,
        minimum: 0,
        starts: Time(0),
        ends: Time(4_000_000_000_000_000),
        valid: Valid::Until(Time(4_000_000_000_000_000)),
        per_user: total,
        total,
        funding: Funding::Platform,
        scope: None,
    }
}

fn done(shop: &Shop, envelope: Envelope, wait: bool) {
    let (sent, heard) = std::sync::mpsc::channel();
    let waiter = move |answer: Answer| {
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
        let _ = sent.send(());
    };
    shop.ask(envelope, Box::new(waiter));
    if wait {
        heard.recv().unwrap();
    }
}

fn place(load: &Arc<Load>) {
    if load.stop.load(Ordering::Relaxed) {
        return;
    }
    let n = load.seq.fetch_add(1, Ordering::Relaxed);
    let mut random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = |below: u64| {
        random ^= random >> 29;
        random = random.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (random >> 33) % below
    };
    let user = UserId(1 + i64::try_from(draw(USERS as u64)).unwrap());
    let given = (n % 10 < 3).then(|| usize::try_from(n / 10 * 3 + n % 10).unwrap());
    let given = given.and_then(|at| load.coupons.get(at).copied());
    let user = given.map_or(user, |(_, owner)| owner);
    let coupon = given.map(|(coupon, _)| coupon);
    let points = if load.points && draw(10) < 3 { 100 * (1 + draw(4) as i64) } else { 0 };
    let mut lines = Vec::new();
    let mut total = 0;
    for _ in 0..=draw(3) {
        let at = usize::try_from(draw(PRODUCTS as u64)).unwrap();
        total += 1_000 * (1 + at as i64 % 50);
        lines.push(Units { sku: load.skus[at], quantity: 1 });
    }
    let order = OrderId(load.shop.mint());
    let expected = Money::new(total, Currency::KRW);
    let token = Some(Secret::new("tok_visa"));
    let (mode, pay) = (PayMode::Server, None);
    let command = Command::Place { order, user, lines, expected, mode, token, coupon, points, pay };
    let mut envelope = Envelope::new(UNIT, Origin::Client, command);
    let key = format!("bench-{n}").into();
    envelope.key =
        Some(Box::new(IdemKey { scope: "client:order.place".into(), key, body: [1; 17] }));
    let again = Arc::clone(load);
    load.shop.hub().watch(order, move |ended: &Order| {
        again.settled.fetch_add(1, Ordering::Relaxed);
        if ended.outcome == Some(Outcome::Sold) {
            again.sold.fetch_add(1, Ordering::Relaxed);
        }
        place(&again);
    });
    load.shop.ask(
        envelope,
        Box::new(|answer| {
            assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
        }),
    );
}
