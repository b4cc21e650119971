//! Acknowledgements: what clients were told, compared with what is stored.
//!
//! The journal is a CSV file with the header `key,order_id,outcome,amount`, one line per answer that
//! a client has received. The id is one of an order (`ord_…`), of a payment (`pay_…`) or of a coupon
//! (`cpn_…`, whose amount is its position); a payment that went further than its client was told is
//! no lie.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use crate::{
    Error,
    book::{Book, rules},
    coupon::Coupons,
    engine::{Made, key_hash},
    gateway, ids,
    order::{Order, state},
    payment::{Payment, state as pay},
    walk::Case,
    watch::Watch,
};

rules! {
    LINE = "ack.line", Mismatched, "A line has a key, the id of an order, a payment or a coupon or nothing, an outcome that such a thing can have, and an amount; SOLD and PENDING name their order, and what was told about a payment or a coupon names it.";
    LOST = "ack.lost", Lost, "An order, a payment or a coupon that a client was told about exists.";
    DOUBLED = "ack.doubled", Doubled, "One key never got two orders, two payments or two coupons.";
    KEY = "ack.key", Mismatched, "The order, the payment or the coupon belongs to the key that the client sent.";
    OUTCOME = "ack.outcome", Mismatched, "The order has the outcome that the client was told, SOLD is COMPLETED; the payment is as far as its client was told, AUTH_FAILED is DECLINED.";
    AMOUNT = "ack.amount", Mismatched, "SOLD for an amount: it is the total, it was captured, and the gateway took it. The same for CAPTURED and REFUNDED, and AUTHORIZED for an amount is for all of it.";
    POSITION = "ack.position", Mismatched, "A coupon stands in the position that its owner was told.";
    CHARGED = "ack.charged", Mismatched, "An order that was refused keeps no money, at the payment and at the gateway, nor does a payment that failed.";
}

/// Outcomes that only a payment can have.
const PAYMENT_WORDS: [&str; 5] =
    ["AUTHORIZED", "CAPTURED", "REFUNDED", "PARTIAL_REFUNDED", "AUTH_FAILED"];

const HEADER: &str = "key,order_id,outcome,amount";

/// What an answer was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Order,
    Payment,
    Coupon,
}

impl About {
    /// What can only be said of one of them.
    fn by_outcome(outcome: &str) -> Option<Self> {
        match outcome {
            "SOLD" => Some(Self::Order),
            "ISSUED" => Some(Self::Coupon),
            outcome => PAYMENT_WORDS.contains(&outcome).then_some(Self::Payment),
        }
    }

    fn by_prefix(id: &str) -> Option<Self> {
        [Self::Order, Self::Payment, Self::Coupon]
            .into_iter()
            .find(|about| id.starts_with(about.prefix()))
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Order => "ord",
            Self::Payment => "pay",
            Self::Coupon => "cpn",
        }
    }

    fn show(self, id: i64) -> String {
        ids::show(self.prefix(), id)
    }
}

/// One answer with an order, a payment or a coupon.
#[derive(Debug, Clone)]
pub(crate) struct Ack {
    /// The integer that an order shares with its payment, or that of the coupon.
    pub(crate) order: i64,
    about: About,
    key: u64,
    amount: i64,
    line: u32,
    outcome: Box<str>,
}

/// The journal, sorted by order.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    pub(crate) acks: Vec<Ack>,
    pub(crate) count: u64,
}

impl Acks {
    /// Reads a journal.
    pub(crate) fn load(
        file: Option<&Path>,
        watch: &Watch<'_>,
        book: &mut Book,
    ) -> Result<Self, Error> {
        let mut journal = Self::default();
        let Some(file) = file else { return Ok(journal) };
        watch.phase("acknowledgements");
        let wrap = |source| Error::Read { file: file.to_owned(), source };
        let input = BufReader::new(File::open(file).map_err(wrap)?);
        for (number, line) in (1..).zip(input.lines()) {
            let line = line.map_err(wrap)?;
            let line = line.trim_end();
            if line.is_empty() || (number == 1 && line == HEADER) {
                continue;
            }
            watch.tick();
            journal.count += 1;
            match parse(line, number) {
                Ok(Some(ack)) => journal.acks.push(ack),
                Ok(None) => {}
                Err(why) => book.find(LINE, format!("line {number}"), format!("{why}: {line}")),
            }
        }
        journal.same_key(book);
        journal.acks.sort_by_key(|ack| ack.order);
        Ok(journal)
    }

    fn same_key(&mut self, book: &mut Book) {
        self.acks.sort_by_key(|ack| (ack.key, ack.order));
        for pair in self.acks.windows(2).filter(|pair| pair[0].key == pair[1].key) {
            let [one, other] = pair else { continue };
            if one.order != other.order {
                let detail = format!(
                    "line {} has {} under the key of line {}",
                    other.line,
                    other.about.show(other.order),
                    one.line
                );
                book.find(DOUBLED, one.about.show(one.order), detail);
            }
        }
    }
}

/// Compares the acknowledgements of a case with its rows.
pub(crate) fn check(case: &Case<'_>, coupons: &Coupons, book: &mut Book) {
    for ack in case.acks {
        let mut find = |rule, detail: String| {
            let Ack { line, outcome, amount, .. } = ack;
            let told = format!("line {line} says {outcome} {amount}");
            book.find(rule, ack.about.show(case.id), format!("{told}; {detail}"));
        };
        match ack.about {
            About::Order => about_order(case, ack, &mut find),
            About::Payment => about_payment(case, ack, &mut find),
            About::Coupon => about_coupon(case, coupons, ack, &mut find),
        }
    }
}

fn about_order(case: &Case<'_>, ack: &Ack, find: &mut impl FnMut(crate::Rule, String)) {
    let Some(order) = &case.order else {
        find(LOST, "the order is absent".to_owned());
        return;
    };
    if !case.asks.iter().any(|ask| ask.made == Made::Order && ask.may_be_of(ack.key)) {
        find(KEY, "another key placed it".to_owned());
    }
    match &*ack.outcome {
        "SOLD" => sold(case, order, ack, find),
        "PENDING" => {}
        _ => refused(case, order, ack, find),
    }
}

fn about_payment(case: &Case<'_>, ack: &Ack, find: &mut impl FnMut(crate::Rule, String)) {
    let Some(payment) = &case.payment else {
        find(LOST, "the payment is absent".to_owned());
        return;
    };
    if !case.asks.iter().any(|ask| ask.may_be_of(ack.key)) {
        find(KEY, "another key asked for it".to_owned());
    }
    let Payment { amount, authorized, captured, refunded, .. } = *payment;
    let undone = matches!(payment.state, pay::VOID_SENT | pay::VOIDED);
    let reached = match &*ack.outcome {
        "AUTHORIZED" => authorized > 0 || undone,
        "CAPTURED" => captured > 0,
        "REFUNDED" => captured > 0 && refunded == captured,
        "PARTIAL_REFUNDED" => refunded > 0,
        "AUTH_FAILED" => payment.state == pay::DECLINED,
        _ => return,
    };
    if !reached {
        let name = pay::name(payment.state);
        find(OUTCOME, format!("it is {name}, captured {captured}, refunded {refunded}"));
        return;
    }
    let at_gateway = gateway::net(case.psp.iter());
    let moved = match &*ack.outcome {
        "AUTH_FAILED" if at_gateway != 0 => {
            find(CHARGED, format!("the gateway keeps {at_gateway}"));
            return;
        }
        "AUTH_FAILED" => return,
        "AUTHORIZED" => amount,
        _ => captured.min(taken(case)),
    };
    if [amount, moved] != [ack.amount; 2] {
        let taken = taken(case);
        find(AMOUNT, format!("of {amount}, captured {captured}, the gateway took {taken}"));
    }
}

fn about_coupon(
    case: &Case<'_>,
    coupons: &Coupons,
    ack: &Ack,
    find: &mut impl FnMut(crate::Rule, String),
) {
    let Some(coupon) = coupons.get(case.id) else {
        find(LOST, "the coupon is absent".to_owned());
        return;
    };
    if !case.asks.iter().any(|ask| ask.may_be_of(ack.key)) {
        find(KEY, "another key asked for it".to_owned());
    }
    if coupon.position != ack.amount {
        find(POSITION, format!("it is in position {}", coupon.position));
    }
}

/// What the gateway took, before it gave anything back.
fn taken(case: &Case<'_>) -> i64 {
    let kinds = [gateway::kind::CHARGE, gateway::kind::CAPTURE];
    let taken = gateway::net(case.psp.iter().filter(|record| kinds.contains(&record.kind)));
    i64::try_from(taken).unwrap_or(i64::MAX)
}

fn sold(case: &Case<'_>, order: &Order, ack: &Ack, find: &mut impl FnMut(crate::Rule, String)) {
    if order.state != state::COMPLETED {
        find(OUTCOME, format!("it is {}", state::name(order.state)));
        return;
    }
    let captured = case.payment.as_ref().map_or(0, |payment| payment.captured);
    let (taken, card) = (taken(case), order.card());
    let moved = [captured, taken].map(i128::from);
    if order.total != ack.amount || moved != [card; 2] {
        let detail = format!(
            "total {}, {card} by card, captured {captured}, the gateway took {taken}",
            order.total
        );
        find(AMOUNT, detail);
    }
}

fn refused(case: &Case<'_>, order: &Order, ack: &Ack, find: &mut impl FnMut(crate::Rule, String)) {
    if order.outcome.as_deref() != Some(&*ack.outcome) {
        let ours = order.outcome.as_deref().unwrap_or("none");
        find(OUTCOME, format!("it is {} with outcome {ours}", state::name(order.state)));
        return;
    }
    let kept = case.payment.as_ref().map_or(0, Payment::kept);
    let refunding = case.payment.as_ref().is_some_and(|p| p.in_flight() || p.refunds_pending() > 0);
    let at_gateway = gateway::net(case.psp.iter());
    if kept != 0 || (at_gateway != 0 && !refunding) {
        find(CHARGED, format!("the payment keeps {kept}, the gateway {at_gateway}"));
    }
}

/// The acknowledgement of a line; none if it names nothing and does not have to.
fn parse(line: &str, number: u32) -> Result<Option<Ack>, &'static str> {
    // A key may hold commas, the other three cannot.
    let mut fields = line.rsplitn(4, ',');
    let amount = fields.next().unwrap_or_default();
    let outcome = fields.next().ok_or("four fields are wanted")?;
    let id = fields.next().ok_or("four fields are wanted")?;
    let key = fields.next().ok_or("four fields are wanted")?;
    let amount = if amount.is_empty() { Ok(0) } else { amount.parse() };
    let amount = amount.map_err(|_| "the amount is not a number")?;
    if outcome.is_empty() || key.is_empty() {
        return Err("the key or the outcome is missing");
    }
    let wanted = About::by_outcome(outcome);
    if id.is_empty() {
        let named = wanted.is_some() || outcome == "PENDING";
        return if named { Err("the id is missing") } else { Ok(None) };
    }
    let read = |about: About| Some((about, ids::read(about.prefix(), id)?));
    let (about, order) = About::by_prefix(id)
        .and_then(read)
        .ok_or("this is no id of an order, a payment or a coupon")?;
    if wanted.map_or(about == About::Coupon, |wanted| wanted != about) {
        return Err("this is no outcome of such a thing");
    }
    let key = key_hash(key.trim_matches('"'));
    Ok(Some(Ack { order, about, key, amount, line: number, outcome: outcome.into() }))
}
