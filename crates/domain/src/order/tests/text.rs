//! The words of the tables: a line is `row: command => answer`. The row is that of the saga's
//! table; a line without one is a set-up, a refusal, or an event that changes nothing.

use std::sync::Arc;

use jangbu_kernel::domain::{Coded, Send};
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CouponId, Ctx, Currency, Domain, Money, OrderId, Out, Secret, SkuId, Time, UserId,
};

use super::engine::{decide, order_rows};
use super::world::{ID, START};
use crate::coupon::command as coupon;
use crate::inventory::command as stock;
use crate::order::command::{Command, Event, Reject, SagaEvent, Units, Verb};
use crate::order::model::{Offer, Order, PayMode, Step};
use crate::order::{Orders, Rows, saga};
use crate::payment::command as pay;
use crate::point::command as point;

pub(super) fn check(table: &str) {
    let mut bench = Bench { rows: Rows::default(), now: START };
    bench.rows.rules.earn_bp = 0;
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (row, rest) = row_of(line);
        let (asked, expected) = rest.split_once(" => ").unwrap_or((rest, ""));
        assert_eq!(bench.answer(row, asked.trim()), expected.trim(), "{line}");
    }
}

/// The row that a line names, and the rest of the line.
pub(super) fn row_of(line: &str) -> (Option<u8>, &str) {
    match line.split_once(": ") {
        Some((row, rest)) if row.parse::<u8>().is_ok() => (row.parse().ok(), rest),
        _ => (None, line),
    }
}

struct Bench {
    rows: Rows,
    now: Time,
}

impl Bench {
    fn order(&self) -> Option<&Order> {
        let rows = &self.rows.order;
        if rows.holds(ID) { rows.get(ID) } else { None }
    }

    fn answer(&mut self, row: Option<u8>, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["earning", bp] => {
                self.rows.rules.earn_bp = number(bp);
                return String::new();
            }
            ["refunds"] => return show_refunds(self.order().unwrap()),
            ["reason"] => return self.order().unwrap().reason.as_deref().unwrap_or("none").into(),
            ["steps"] => return show_steps(self.order().unwrap()),
            ["timers", times] => {
                for _ in 1..number(times) {
                    self.due();
                    let row = saga::row(self.order().unwrap(), &SagaEvent::Timer, &self.rules());
                    _ = self.run(row, &Orders::wake("orders", ID.0));
                }
                self.due();
                return self.run(row, &Orders::wake("orders", ID.0));
            }
            ["timer"] => self.due(),
            _ => {}
        }
        self.run(row, &command(&words))
    }

    fn due(&mut self) {
        self.now = self.order().and_then(|order| order.next_at).expect("a timer");
    }

    fn run(&mut self, row: Option<u8>, command: &Command) -> String {
        if let Command::Hear { event, .. } = command
            && let Some(order) = self.order()
        {
            let taken = saga::concerns(order, event, &self.rules(), self.now);
            let found = saga::row(order, event, &self.rules()).filter(|_| taken || row.is_some());
            assert_eq!(found, row, "{event:?}");
        }
        let before = self.order().cloned();
        let ctx = Ctx { now: self.now, commit: 1, correlation: None, trace: None };
        match decide::<Orders>(command, &ctx, &mut self.rows, order_rows) {
            Err(reject) => {
                assert_eq!(self.order(), before.as_ref());
                show_reject(&reject)
            }
            Ok(_) if matches!(command, Command::Learn { .. }) => String::new(),
            Ok((_, out)) => {
                let order = self.order().unwrap();
                let silent = out.sends.is_empty() && out.events.is_empty();
                if silent && Some(order) == before.as_ref() {
                    return "nothing".to_owned();
                }
                show(order, &out, self.now)
            }
        }
    }

    fn rules(&self) -> saga::Rules {
        self.rows.rules.clone()
    }
}

fn command(words: &[&str]) -> Command {
    let (order, reason) = (ID, Box::from("changed_my_mind"));
    let won = |word: &str| Money::new(number(word), Currency::KRW);
    match *words {
        ["offer", sku, price, ref more @ ..] => {
            let currency = if more.contains(&"USD") { "USD" } else { "KRW" };
            let merchant = more.iter().find(|word| word.starts_with("m-")).unwrap_or(&"m-1");
            let version = more.iter().find_map(|word| word.strip_prefix('v')).map_or(1, number);
            let offer = Offer {
                merchant: (*merchant).into(),
                currency: Currency::parse(currency).unwrap(),
                price: number(price),
                on_sale: !more.contains(&"off"),
                price_version: version,
            };
            Command::Learn { offers: vec![(SkuId(number(sku)), offer)] }
        }
        ["place", mode, ref given @ .., total] => {
            let client = mode.starts_with("client");
            let (perks, given): (Vec<&str>, Vec<&str>) =
                given.iter().copied().partition(|word| word.contains('='));
            let perk = |name: &str| {
                perks.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(number)
            };
            let mode_of = if client { PayMode::Client } else { PayMode::Server };
            Command::Place {
                order,
                user: UserId(3),
                lines: units(&given),
                expected: won(total.trim_start_matches('@')),
                mode: mode_of,
                token: (mode == "server").then(|| Secret::new("tok")),
                coupon: perk("coupon").map(CouponId),
                points: perk("points").unwrap_or(0),
                pay: perk("pay"),
            }
        }
        ["confirm", amount] => {
            Command::Confirm { order, amount: won(amount), token: Secret::new("tok") }
        }
        ["operate", verb] => {
            let verb = Verb::ALL.iter().copied().find(|known| known.name() == verb).unwrap();
            Command::Operate { order, verb, reason: "lost_parcel".into() }
        }
        ["cancel"] => Command::Cancel { order, reason },
        ["refund", "all"] => {
            Command::Refund { order, units: None, restock: true, reason, returned: false }
        }
        [verb @ ("refund" | "return"), ref given @ .., how] => {
            let (restock, returned) = (how == "restock", verb == "return");
            let units = Some(units(given));
            Command::Refund { order, units, restock, reason, returned }
        }
        ["ship", ref given @ ..] => {
            let units = (!given.is_empty()).then(|| units(given));
            Command::Ship { order, units, carrier: "post".into(), tracking: "1".into() }
        }
        ["deliver", no] => Command::Deliver { order, no: u32::try_from(number(no)).unwrap() },
        ["timer" | "early"] => Orders::wake("orders", ID.0),
        ["hear", name, ref more @ ..] => Command::Hear { order, event: event(name, more) },
        _ => panic!("no command: {words:?}"),
    }
}

fn event(name: &str, more: &[&str]) -> SagaEvent {
    use SagaEvent as E;
    let word = more.first().copied().unwrap_or("0");
    let text = || Box::<str>::from(word);
    let code = || match word {
        "INSUFFICIENT_STOCK" => "INSUFFICIENT_STOCK",
        "RESERVATION_EXPIRED" => "RESERVATION_EXPIRED",
        "RESERVATION_RELEASED" => "RESERVATION_RELEASED",
        "COUPON_USED" => "COUPON_USED",
        "POINTS_INSUFFICIENT" => "POINTS_INSUFFICIENT",
        _ => "QUANTITY_OVERFLOW",
    };
    let second = || more.get(1).map_or(0, |word| number(word));
    let no = u32::try_from(word.parse::<i64>().unwrap_or(0)).unwrap();
    match name {
        "reserved" => E::StockReserved,
        "refused" => E::StockRefused { code: code().into() },
        "pinned" => E::StockPinned,
        "not-pinned" => E::StockNotPinned { code: code().into() },
        "committed" => E::StockCommitted,
        "not-committed" => E::StockNotCommitted { code: code().into() },
        "released" => E::StockReleased,
        "not-released" => E::StockNotReleased { code: code().into() },
        "returned" => E::StockReturned { no },
        "authorized" => E::PayAuthorized,
        "captured" => E::PayCaptured { amount: 2_500 },
        "declined" => E::PayDeclined { code: text() },
        "not-sent" => E::PayNotSent { why: text() },
        "unknown" => E::PayUnknown { why: text() },
        "not-found" => E::PayNotFound,
        "voided" => E::PayVoided,
        "hint" => E::PaidHint,
        "refunded" => E::Refunded { no },
        "refund-unknown" => E::RefundUnknown { no },
        "set-aside" => E::SetAside { no },
        "refund-refused" => E::RefundRefused { no, code: "too_old".into() },
        "redeemed" => E::CouponRedeemed {
            discount: number(word),
            scope: more.iter().find(|word| word.starts_with("m-")).map(|word| Arc::from(*word)),
            merchant_funded: more.contains(&"merchant-funded"),
        },
        "coupon-refused" => E::CouponRefused { code: code().into() },
        "coupon-restored" => E::CouponRestored,
        "coupon-not-restored" => E::CouponNotRestored { code: code().into() },
        "spent" => E::PointsSpent { paid: number(word), earned: second() },
        "points-refused" => E::PointsRefused { code: code().into() },
        "points-restored" => E::PointsRestored { no },
        "points-not-restored" => E::PointsNotRestored { no, code: code().into() },
        "earned" => E::PointsEarned,
        "clawed" => E::Clawed { no, taken: second() },
        "unclawed" => E::UnClawed { no },
        _ => panic!("no event: {name}"),
    }
}

/// `S1` is number 1; `MAX` is the largest amount.
fn number(word: &str) -> i64 {
    if word == "MAX" { Money::MAX } else { word.trim_start_matches('S').parse().unwrap() }
}

/// `S1x2`; `S1x1*101` is the line 101 times.
fn units(words: &[&str]) -> Vec<Units> {
    let parts = words.iter().flat_map(|word| {
        let (line, times) = word.split_once('*').unwrap_or((word, "1"));
        let (sku, quantity) = line.split_once('x').unwrap();
        let one = Units { sku: SkuId(number(sku)), quantity: number(quantity) };
        std::iter::repeat_n(one, times.parse().unwrap())
    });
    parts.collect()
}

fn show_reject(reject: &Reject) -> String {
    let code = reject.code();
    match reject {
        Reject::QuantityInvalid { sku }
        | Reject::SkuNotOnSale { sku }
        | Reject::CurrencyMismatch { sku }
        | Reject::ReturnExceedsShipped { sku }
        | Reject::ShipmentExceedsOrder { sku }
        | Reject::RefundExceedsOrder { sku } => format!("{code} S{}", sku.0),
        Reject::ShipmentUnknown { no } => format!("{code} {no}"),
        Reject::PriceChanged { total } | Reject::AmountDiffers { total } => {
            format!("{code} {total}")
        }
        Reject::NotAwaitingPayment { state }
        | Reject::OrderNotCancellable { state }
        | Reject::OrderNotShippable { state }
        | Reject::OrderNotRefundable { state } => format!("{code} {}", state.name()),
        Reject::VerbNotAllowed { state, allowed } => {
            let allowed: Vec<_> = allowed.iter().map(|verb| verb.name()).collect();
            format!("{code} {}: {}", state.name(), allowed.join(", ")).trim_end().to_owned()
        }
        _ => code.to_owned(),
    }
}

/// `STATE(OUTCOME) cancel-wanted: asks; says; timer`, what there is of it.
fn show(order: &Order, out: &Out<Event>, now: Time) -> String {
    let mut text = order.state.name().to_owned();
    if let Some(from) = order.stuck_in {
        text = format!("{text}[{}]", from.name());
    }
    if let Some(outcome) = order.outcome {
        text = format!("{text}({})", outcome.name());
    }
    if !order.shipments.is_empty() {
        text = format!("{text} {}", order.fulfilment().name());
    }
    if order.cancel_wanted {
        text += " unwanted";
    }
    let asks: Vec<_> = out.sends.iter().map(show_send).collect();
    if !asks.is_empty() {
        text = format!("{text} asks {}", asks.join(", "));
    }
    if let Some(at) = order.next_at {
        text = format!("{text} in {}s", (at - now).as_millis() / 1_000);
    }
    text
}

fn show_send(send: &Send) -> String {
    let said = if send.to == stock::UNIT {
        show_stock(send.body.expect_ref())
    } else if send.to == coupon::UNIT {
        show_coupon(send.body.expect_ref())
    } else if send.to == point::UNIT {
        show_points(send.body.expect_ref())
    } else {
        show_pay(send.body.expect_ref())
    };
    let (parent, step) = send.reply.unwrap();
    assert_eq!(OrderId(parent), ID);
    if step >= 1_000 { format!("{said}/{step}") } else { said }
}

fn show_stock(command: &stock::Command) -> String {
    use stock::Command as C;
    match command {
        C::Reserve { pin: true, .. } => "reserve-pinned".to_owned(),
        C::Reserve { expires_at, .. } => {
            assert_eq!(*expires_at, START + Span::mins(15));
            "reserve".to_owned()
        }
        C::Pin { .. } => "pin".to_owned(),
        C::Commit { .. } => "commit".to_owned(),
        C::Release { .. } => "release".to_owned(),
        C::Return { lines, restock, .. } => {
            let lines = lines.iter().map(|line| format!("S{}x{}", line.sku.0, line.quantity));
            let how = if *restock { "restock" } else { "lost" };
            format!("return {} {how}", lines.collect::<Vec<_>>().join(" "))
        }
        other => panic!("not asked by orders: {other:?}"),
    }
}

fn show_coupon(command: &coupon::Command) -> String {
    match command {
        coupon::Command::Redeem { coupon, goods, .. } => {
            let goods = goods.iter().map(|goods| format!("{}={}", goods.merchant, goods.amount));
            format!("redeem {} of {}", coupon.0, goods.collect::<Vec<_>>().join(" "))
        }
        coupon::Command::Restore { .. } => "give-coupon".to_owned(),
        other => panic!("not asked by orders: {other:?}"),
    }
}

fn show_points(command: &point::Command) -> String {
    use point::Command as C;
    match command {
        C::Spend { amount, .. } => format!("spend {amount}"),
        C::Restore { paid, earned, .. } => format!("give-points P{paid} E{earned}"),
        C::Earn { amount, .. } => format!("earn {amount}"),
        C::ClawBack { amount, .. } => format!("claw {amount}"),
        C::UnClaw { .. } => "unclaw".to_owned(),
        other => panic!("not asked by orders: {other:?}"),
    }
}

fn show_pay(command: &pay::Command) -> String {
    use pay::Command as C;
    let shares = |parts: &[pay::Part]| {
        let parts = parts.iter().map(|part| {
            let pay::Part { merchant, card, paid, earned, coupon } = part;
            let more = [("P", paid), ("E", earned), ("C", coupon)];
            let more = more.iter().filter(|(_, share)| **share != 0);
            let more: Vec<_> = more.map(|(name, share)| format!("+{name}{share}")).collect();
            format!("{merchant}={card}{}", more.concat())
        });
        parts.collect::<Vec<_>>().join(" ")
    };
    match command {
        C::Intend { intent, token, .. } => {
            assert_eq!(intent.order, Some(ID));
            let how = if token.is_some() { "charge" } else { "intend" };
            [how, &shares(&intent.split)].join(" ").trim_end().to_owned()
        }
        C::Authorize { .. } => "charge".to_owned(),
        C::Capture { .. } => "capture".to_owned(),
        C::Withdraw { intent, .. } => {
            assert_eq!(intent.order, Some(ID));
            "void".to_owned()
        }
        C::Refund { parts, amount, deduct, .. } => {
            assert_eq!(*amount, parts.iter().map(|part| part.card).sum::<i64>() - deduct);
            let less = if *deduct == 0 { String::new() } else { format!(" less {deduct}") };
            format!("refund {}{less}", shares(parts))
        }
        C::SetAside { parts, .. } => format!("set-aside {}", shares(parts)),
        C::Inquire { refund: None, .. } => "inquire".to_owned(),
        C::Inquire { refund: Some(no), .. } => format!("inquire {no}"),
        other => panic!("not asked by orders: {other:?}"),
    }
}

fn show_refunds(order: &Order) -> String {
    let show = |refund: &crate::order::model::Refund| {
        let more = [("P", refund.paid), ("E", refund.earned), ("clawed ", refund.clawed)];
        let more = more.into_iter().chain([("less ", refund.deduct)]);
        let more: Vec<_> = more.filter(|(_, n)| *n != 0).map(|(w, n)| format!(" {w}{n}")).collect();
        format!("{} {} {}{}", refund.no, refund.state.name(), refund.amount, more.concat())
    };
    let refunds: Vec<_> = order.refunds.iter().map(show).collect();
    format!("{}; {} of {} back", refunds.join(", "), order.refunded, order.total)
}

fn show_steps(order: &Order) -> String {
    let name = |step: Step| step.name();
    let mut text = format!("stock {}, pay {}", name(order.stock), name(order.pay));
    if order.coupon.is_some() {
        text = format!("{text}, coupon {}", name(order.coupon_step()));
    }
    if order.points.wanted > 0 {
        text = format!("{text}, points {}", name(order.points.step));
    }
    if order.earning.points > 0 {
        text = format!("{text}, earning {} {}", order.earning.points, name(order.earning.step));
    }
    text
}
