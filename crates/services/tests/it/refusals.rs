//! Every way to be refused, and a shop in which each is: a list per domain.

use jangbu_domain::catalog::category::{along, id_of};
use jangbu_domain::catalog::command::{About, Command as Shelf, NewSku};
use jangbu_domain::inventory::command::{Command as Stock, Line};
use jangbu_domain::ledger::Draft;
use jangbu_domain::ledger::command::{Command as Books, Leg};
use jangbu_domain::merchant::command::Command as Sellers;
use jangbu_domain::merchant::fees::Fee;
use jangbu_domain::order::command::{Command as Buy, Verb};
use jangbu_domain::order::model::PayMode;
use jangbu_domain::payment::command::{Command as Pay, Intent, Part, Purpose, Verdict};
use jangbu_domain::user::command::Command as Accounts;
use jangbu_domain::user::model::{EmailIndex, Profile, Sealed};
use jangbu_domain::{catalog, ledger, merchant, user};
use jangbu_kernel::id::{JournalId, MovementId};
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CategoryId, Currency, Envelope, KeyId, Money, OrderId, Origin, PaymentId, ProductId, Secret,
    SkuId, Time, UserId,
};

use crate::history::{product, sku};
use crate::rig::Bench;
use crate::stage::{
    PRICE, buy, cancel, confirm, create, create_at, deliver, hold, operate, pay, place, place_with,
    receive, refund, ship, stock, take_back, units, won,
};

const SOLD: i64 = 1;
pub(crate) const AWAITS: i64 = 2;
const CANCELLED: i64 = 3;
const EXPIRED: i64 = 4;
const REFUNDED: i64 = 5;
const DECLINED: i64 = 6;
const CHARGING: i64 = 7;
const MANY: i64 = 8;
const SENT: i64 = 9;
const NOBODY: i64 = 99;

/// Orders in every state that the refusals need.
pub(crate) fn world() -> Bench {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(EXPIRED, &[(1, 1)])).is_done());
    bench.rig.advance(Span::mins(16));
    bench.settle_with_gateway();
    assert!(bench.run(place(SOLD, &[(0, 2)], "ok")).is_done());
    assert!(bench.run(hold(CANCELLED, &[(1, 1)])).is_done());
    assert!(bench.run(cancel(CANCELLED)).is_done());
    assert!(bench.run(place(REFUNDED, &[(1, 1)], "ok")).is_done());
    bench.settle_with_gateway();
    assert!(bench.run(refund(REFUNDED, None)).is_done());
    assert!(bench.run(place(DECLINED, &[(1, 1)], "declined")).is_done());
    bench.settle_with_gateway();
    assert!(bench.run(create_at(4, 1_000_000_000_000)).is_done());
    assert!(bench.run(create(5)).is_done());
    assert!(bench.run(receive(50, 5, 2_000)).is_done());
    assert!(bench.run(place(MANY, &[(5, 1_000)], "ok")).is_done());
    bench.settle_with_gateway();
    let refunds = (0..999).map(|_| refund(MANY, Some(&[(5, 1)]))).collect();
    bench.batch(refunds);
    assert!(bench.run(place(SENT, &[(5, 1_000)], "ok")).is_done());
    bench.settle_with_gateway();
    bench.batch((0..999).map(|_| ship(SENT, Some(&[(5, 1)]))).collect());
    assert!(bench.run(hold(AWAITS, &[(2, 1)])).is_done());
    assert!(bench.run(place(CHARGING, &[(2, 1)], "ok")).is_done());
    let post = post(70, &[(RECEIVABLE, i64::MAX / 2), (PAYABLE, -(i64::MAX / 2))]);
    assert!(bench.run(post).is_done());
    fill_the_catalog(&mut bench);
    fill_the_directory(&mut bench);
    fill_the_market(&mut bench);
    bench.rig.record().jobs.clear();
    bench
}

/// Five levels of categories, and a SKU whose next twenty prices are planned.
fn fill_the_catalog(bench: &mut Bench) {
    for level in 0..5 {
        assert!(bench.run(category_below(level, "deep")).is_done());
    }
    for n in 0..20 {
        assert!(bench.run(plan(n)).is_done());
    }
}

/// A category on the level after `level`.
fn category_below(level: usize, code: &str) -> Envelope {
    let parent = along(vec!["deep"; level]).pop();
    let (category, code, name) = (id_of(parent, code), code.into(), Some("x".into()));
    shelf(Shelf::CreateCategory { category, parent, code, name })
}

fn category_called(code: &str, name: &str) -> Envelope {
    let (category, code, name) = (id_of(None, code), code.into(), Some(name.into()));
    shelf(Shelf::CreateCategory { category, parent: None, code, name })
}

fn plan(n: i64) -> Envelope {
    let from = Time(LATER.0 - n);
    shelf(Shelf::PlanPrice { sku: sku(0), price: won(n), from })
}

const RECEIVABLE: &str = "psp:other:receivable";
const PAYABLE: &str = "merchant:m-9:payable";

fn shelf(command: Shelf) -> Envelope {
    Envelope::new(catalog::command::UNIT, Origin::Client, command)
}

fn make(n: i64, name: &str, prices: &[Money]) -> Envelope {
    let new = |(at, price): (i64, &Money)| {
        let sku = SkuId(n * 10 + at);
        NewSku::new(sku, "one", *price)
    };
    shelf(Shelf::Create {
        product: ProductId(n),
        merchant: "m-1".into(),
        name: name.into(),
        about: About::default(),
        skus: (0..).zip(prices).map(new).collect(),
        publish: true,
    })
}

/// A new product with an option, if its SKUs have values, and two SKUs that are spoilt alike.
fn twins(spoil: fn(&mut NewSku)) -> Envelope {
    let mut skus =
        vec![NewSku::new(SkuId(5_020), "a", won(1)), NewSku::new(SkuId(5_021), "b", won(1))];
    skus.iter_mut().for_each(spoil);
    let options = skus[0].values.iter().map(|_| "size".into()).collect();
    let (product, about) = (ProductId(502), About { options, ..About::default() });
    let (merchant, name) = ("m-1".into(), "x".into());
    shelf(Shelf::Create { product, merchant, name, about, skus, publish: true })
}

const LATER: Time = Time(i64::MAX);

/// A new product whose description or only SKU is spoilt.
fn with(n: i64, spoil: fn(&mut About, &mut NewSku)) -> Envelope {
    let (mut about, mut new) = (About::default(), NewSku::new(SkuId(n * 10), "one", won(1)));
    spoil(&mut about, &mut new);
    let (product, merchant, name) = (ProductId(n), "m-1".into(), "x".into());
    shelf(Shelf::Create { product, merchant, name, about, skus: vec![new], publish: true })
}

fn catalog_refusals() -> Vec<(&'static str, Envelope)> {
    let usd = Money::new(5, Currency::parse("USD").unwrap());
    vec![
        ("NAME_INVALID", make(500, "", &[won(1)])),
        ("PRICE_INVALID", make(500, "x", &[won(-1)])),
        ("SKU_COUNT_INVALID", make(500, "x", &[])),
        ("CURRENCY_MIXED", make(500, "x", &[won(1), usd])),
        ("PRODUCT_UNKNOWN", shelf(Shelf::Publish { product: ProductId(NOBODY) })),
        ("SKU_UNKNOWN", shelf(Shelf::SetPrice { sku: SkuId(NOBODY), price: won(1) })),
        ("PRODUCT_DIFFERS", make(product(0).0, "another", &[won(1)])),
        ("DESCRIPTION_INVALID", with(501, |about, _| about.description = "x".repeat(4_001).into())),
        ("OPTIONS_INVALID", with(501, |about, _| about.options = vec!["size".into()])),
        ("CATEGORY_UNKNOWN", with(501, |about, _| about.category = Some(CategoryId(NOBODY)))),
        ("SKU_CODE_INVALID", with(501, |_, new| new.code = Some("a b".into()))),
        ("SKU_UNKNOWN", shelf(Shelf::PlanPrice { sku: SkuId(NOBODY), price: won(1), from: LATER })),
        ("PRODUCT_UNKNOWN", shelf(Shelf::Unpublish { product: ProductId(NOBODY) })),
        ("CATEGORY_INVALID", category_below(0, "a/b")),
        ("CATEGORY_TOO_DEEP", category_below(5, "sixth")),
        ("CATEGORY_EXISTS", category_called("deep", "another")),
        ("PRICE_PLANS_FULL", plan(20)),
        ("VARIANT_TAKEN", twins(|new| new.values = vec!["M".into()])),
        ("SKU_CODE_TAKEN", twins(|new| new.code = Some("T-1".into()))),
        ("IMPORT_REFUSED", shelf(Shelf::Rehearse { entries: Vec::new() })),
    ]
}

fn inventory_refusals() -> Vec<(&'static str, Envelope)> {
    let adjust = |sku, delta| {
        stock(Stock::Adjust { movement: MovementId(900), sku, delta, reason: "count".into() })
    };
    let line = |n, quantity| vec![Line { sku: sku(n), quantity }];
    let reserve = |order, lines| {
        let expires_at = Time(i64::MAX);
        stock(Stock::Reserve { order: OrderId(order), lines, pin: true, expires_at })
    };
    let give_back =
        |order, no, lines| stock(Stock::Return { order: OrderId(order), no, lines, restock: true });
    vec![
        ("QUANTITY_INVALID", receive(900, 0, 0)),
        ("INSUFFICIENT_STOCK", adjust(sku(0), -100)),
        ("STOCK_UNKNOWN", adjust(SkuId(NOBODY), 1)),
        ("RESERVATION_DIFFERS", reserve(SOLD, line(1, 1))),
        ("RESERVATION_EXPIRED", stock(Stock::Pin { order: OrderId(EXPIRED) })),
        ("RESERVATION_RELEASED", stock(Stock::Pin { order: OrderId(CANCELLED) })),
        ("RESERVATION_UNKNOWN", stock(Stock::Pin { order: OrderId(NOBODY) })),
        ("RESERVATION_COMMITTED", stock(Stock::Release { order: OrderId(SOLD) })),
        ("RESERVATION_NOT_PINNED", stock(Stock::Commit { order: OrderId(AWAITS) })),
        ("RETURN_EXCEEDS_SOLD", give_back(SOLD, 1, line(0, 3))),
        ("RETURN_DIFFERS", give_back(REFUNDED, 1, line(1, 2))),
        ("QUANTITY_OVERFLOW", receive(900, 0, 1_000_000_000_001)),
        ("MOVEMENT_DIFFERS", receive(1, 0, 5)),
    ]
}

fn order_refusals() -> Vec<(&'static str, Envelope)> {
    let wants = |lines: &[(u8, i64)], expected: Money, token: Option<&str>| {
        buy(Buy::Place {
            order: OrderId(600),
            user: UserId(1),
            lines: units(lines),
            expected,
            mode: PayMode::Server,
            token: token.map(Secret::new),
            coupon: None,
            points: 0,
            pay: None,
        })
    };
    let usd = Money::new(PRICE, Currency::parse("USD").unwrap());
    vec![
        ("LINES_INVALID", place(600, &[], "ok")),
        ("QUANTITY_INVALID", place(600, &[(0, 0)], "ok")),
        ("SKU_NOT_ON_SALE", place(600, &[(77, 1)], "ok")),
        ("CURRENCY_MISMATCH", wants(&[(0, 1)], usd, Some("ok"))),
        ("PRICE_CHANGED", wants(&[(0, 1)], won(PRICE + 1), Some("ok"))),
        ("TOTAL_TOO_LARGE", wants(&[(4, 10_000)], won(1), Some("ok"))),
        ("TOKEN_REQUIRED", wants(&[(0, 1)], won(PRICE), None)),
        ("ORDER_DIFFERS", place(SOLD, &[(1, 1)], "ok")),
        ("ORDER_UNKNOWN", cancel(NOBODY)),
        ("NOT_AWAITING_PAYMENT", confirm(SOLD, 2 * PRICE, "ok")),
        ("AMOUNT_DIFFERS", confirm(AWAITS, PRICE + 1, "ok")),
        ("ORDER_NOT_CANCELLABLE", cancel(REFUNDED)),
        ("ORDER_NOT_REFUNDABLE", refund(CANCELLED, None)),
        ("REFUND_EXCEEDS_ORDER", refund(SOLD, Some(&[(0, 3)]))),
        ("NOTHING_TO_REFUND", refund(REFUNDED, None)),
        ("TOO_MANY_REFUNDS", refund(MANY, Some(&[(5, 1)]))),
        ("POINTS_AMOUNT_INVALID", place_with((600, 1), &[(0, 1)], (Some("ok"), None, -1, None))),
        ("RETURN_EXCEEDS_SHIPPED", take_back(SOLD, Some(&[(0, 1)]))),
        ("ORDER_NOT_SHIPPABLE", ship(AWAITS, None)),
        ("SHIPMENT_EXCEEDS_ORDER", ship(SOLD, Some(&[(0, 3)]))),
        ("NOTHING_TO_SHIP", ship(REFUNDED, None)),
        ("TOO_MANY_SHIPMENTS", ship(SENT, None)),
        ("SHIPMENT_UNKNOWN", deliver(SOLD, 1)),
        ("VERB_NOT_ALLOWED", operate(SOLD, Verb::Abandon)),
    ]
}

fn payment_refusals() -> Vec<(&'static str, Envelope)> {
    let deadline = Time(i64::MAX / 2);
    let part = |amount| vec![Part::card("m-0".into(), amount)];
    let intend = |id, amount, split| {
        let (payment, currency) = (PaymentId(id), Currency::KRW);
        let (order, purpose, capture_later) = (None, Purpose::Sale, false);
        let intent = Intent { payment, order, purpose, amount, currency, split, capture_later };
        pay(Pay::Intend { intent, token: None, deadline })
    };
    let back = |id, no, amount| {
        let (payment, parts, deduct) = (PaymentId(id), part(amount), 0);
        pay(Pay::Refund { payment, no, amount, parts, deduct, deadline })
    };
    let (sold, declined) = (PaymentId(SOLD), PaymentId(DECLINED));
    let resolve =
        Pay::Resolve { payment: sold, verdict: Verdict::NotCharged, evidence: "none".into() };
    vec![
        ("AMOUNT_INVALID", intend(700, 5, part(4))),
        ("PAYMENT_DIFFERS", intend(SOLD, 5, part(5))),
        (
            "PAYMENT_UNKNOWN",
            pay(Pay::Void { payment: PaymentId(NOBODY), merchant: None, deadline }),
        ),
        ("NOT_AUTHORIZED", pay(Pay::Capture { payment: declined, merchant: None, deadline })),
        ("NOT_CAPTURED", back(DECLINED, 1, 1)),
        ("NOT_VOIDABLE", pay(Pay::Void { payment: sold, merchant: None, deadline })),
        (
            "OPERATION_IN_FLIGHT",
            pay(Pay::Void { payment: PaymentId(CHARGING), merchant: None, deadline }),
        ),
        ("REFUND_EXCEEDS_CAPTURED", back(SOLD, 1, 2 * PRICE + 1)),
        ("REFUND_DIFFERS", back(REFUNDED, 1, 1)),
        ("REFUND_UNKNOWN", pay(Pay::Inquire { payment: sold, refund: Some(9), deadline })),
        ("NOT_UNKNOWN", pay(resolve)),
    ]
}

fn post(source: i64, legs: &[(&str, i64)]) -> Envelope {
    let leg = |(code, amount): &(&str, i64)| Leg { code: (*code).into(), amount: *amount };
    let legs = legs.iter().map(leg).collect();
    let (seq, at) = (1, Time(1));
    let post = Books::Post { source, seq, currency: Currency::KRW, at, legs };
    Envelope::new(ledger::UNIT, Origin::Client, post)
}

fn book(postings: &[&[(&str, i64)]]) -> Envelope {
    let mut draft = Draft::new(JournalId(900), "kim".into(), "statement");
    for legs in postings {
        draft.posting(Currency::KRW, None);
        legs.iter().for_each(|(code, amount)| draft.leg(code, *amount));
    }
    Envelope::new(ledger::UNIT, Origin::Client, Books::Book(Box::new(draft)))
}

fn ledger_refusals() -> Vec<(&'static str, Envelope)> {
    let more = i64::MAX / 2 + 2;
    vec![
        ("UNBALANCED", post(800, &[(RECEIVABLE, 5), (PAYABLE, -4)])),
        ("POSTING_DIFFERS", post(70, &[(RECEIVABLE, 5), (PAYABLE, -5)])),
        ("ACCOUNT_UNKNOWN", post(800, &[(RECEIVABLE, 5), ("piggy:bank", -5)])),
        ("POSTINGS_INVALID", book(&[])),
        ("UNBALANCED", book(&[&[("bank", 5), ("fee", -5)], &[("bank", 5), ("fee", -4)]])),
        ("ACCOUNT_CODE_UNKNOWN", book(&[&[("bank", 5), ("fee", -5)], &[("bank", 5), ("x", -5)]])),
        ("BALANCE_OVERFLOW", post(800, &[(RECEIVABLE, more), (PAYABLE, -more)])),
    ]
}

fn user(command: Accounts) -> Envelope {
    Envelope::new(user::command::UNIT, Origin::Client, command)
}

fn register(id: i64, mail: u8) -> Envelope {
    let sealed = |byte| Sealed(vec![byte; 40].into());
    let (email, name, phone, address) = (sealed(mail), sealed(2), None, Some(sealed(3)));
    let profile = Profile { email, name, phone, address };
    let (index, password) = (EmailIndex([i64::from(mail), -1]), sealed(4));
    user(Accounts::Register { user: UserId(id), index, profile, password })
}

/// User 1 has the address 1; user 2, who had the address 2, is gone.
fn fill_the_directory(bench: &mut Bench) {
    assert!(bench.run(register(1, 1)).is_done());
    assert!(bench.run(register(2, 2)).is_done());
    assert!(bench.run(user(Accounts::Deactivate { user: UserId(2) })).is_done());
}

fn user_refusals() -> Vec<(&'static str, Envelope)> {
    let password = |id, seen| {
        let (user_id, password) = (UserId(id), Sealed(vec![9; 40].into()));
        user(Accounts::ChangePassword { user: user_id, seen, password })
    };
    vec![
        ("USER_EXISTS", register(1, 3)),
        ("EMAIL_TAKEN", register(3, 1)),
        ("USER_UNKNOWN", password(NOBODY, None)),
        ("USER_DEACTIVATED", password(2, None)),
        ("PASSWORD_CHANGED", password(1, Some(77))),
    ]
}

fn seller(command: Sellers) -> Envelope {
    Envelope::new(merchant::command::UNIT, Origin::Client, command)
}

fn open_shop(code: &str, name: &str) -> Envelope {
    seller(Sellers::Create { code: code.into(), name: name.into() })
}

fn key_of(code: &str, key: i64) -> Envelope {
    let (code, key, sealed) = (code.into(), KeyId(key), vec![7; 40].into());
    seller(Sellers::AddKey { code, key, sealed, legacy: false })
}

fn fees_from(from: Time, rate_bp: i64) -> Envelope {
    let fee = Fee { from, to: None, rate_bp, fixed: 0, vat_bp: 1_000 };
    seller(Sellers::SetFees { code: "m-7".into(), fees: vec![fee] })
}

/// Merchant m-7 with as many keys as it may have, and a schedule.
fn fill_the_market(bench: &mut Bench) {
    let made = [open_shop("m-7", "Seven"), key_of("m-7", 71), key_of("m-7", 72)];
    for envelope in made.into_iter().chain([fees_from(Time(i64::MAX / 2), 300)]) {
        assert!(bench.run(envelope).is_done());
    }
}

fn merchant_refusals() -> Vec<(&'static str, Envelope)> {
    let revoke = Sellers::RevokeKey { code: "m-7".into(), key: KeyId(79) };
    vec![
        ("MERCHANT_CODE_INVALID", open_shop("m 7", "x")),
        ("MERCHANT_NAME_INVALID", open_shop("m-8", "")),
        ("MERCHANT_EXISTS", open_shop("m-7", "Another")),
        ("MERCHANT_UNKNOWN", seller(Sellers::Suspend { code: "m-8".into() })),
        ("MERCHANT_KEYS_FULL", key_of("m-7", 73)),
        ("MERCHANT_KEY_UNKNOWN", seller(revoke)),
        ("FEES_INVALID", fees_from(Time(i64::MAX / 2), 10_001)),
        ("FEES_PAST", fees_from(Time(1), 300)),
    ]
}

pub(crate) fn refusals() -> Vec<(&'static str, Envelope)> {
    let domains = [
        catalog_refusals(),
        inventory_refusals(),
        order_refusals(),
        payment_refusals(),
        ledger_refusals(),
        user_refusals(),
        merchant_refusals(),
    ];
    domains.into_iter().flatten().collect()
}
