//! Acknowledgements: what clients were told, compared with what is stored.
//!
//! The journal is a CSV file with the header `key,order_id,outcome,amount`, one line per answer that
//! a client has received.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use crate::{
    Error,
    book::{Book, rules},
    engine::key_hash,
    gateway, ids,
    order::{Order, state},
    walk::Case,
    watch::Watch,
};

rules! {
    LINE = "ack.line", Mismatched, "A line has a key, an order id or nothing, an outcome and an amount; SOLD and PENDING name their order.";
    LOST = "ack.lost", Lost, "An order that a client was told about exists.";
    DOUBLED = "ack.doubled", Doubled, "One key never got two orders.";
    KEY = "ack.key", Mismatched, "The order belongs to the key that the client sent.";
    OUTCOME = "ack.outcome", Mismatched, "The order has the outcome that the client was told, SOLD is COMPLETED.";
    AMOUNT = "ack.amount", Mismatched, "SOLD for an amount: it is the total, it was captured, and the gateway took it.";
    CHARGED = "ack.charged", Mismatched, "An order that was refused keeps no money, at the payment and at the gateway.";
}

const HEADER: &str = "key,order_id,outcome,amount";

/// One answer with an order.
#[derive(Debug, Clone)]
pub(crate) struct Ack {
    pub(crate) order: i64,
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
                    ids::order(other.order),
                    one.line
                );
                book.find(DOUBLED, ids::order(one.order), detail);
            }
        }
    }
}

/// Compares the acknowledgements of a case with its rows.
pub(crate) fn check(case: &Case<'_>, book: &mut Book) {
    for ack in case.acks {
        let mut find = |rule, detail: String| {
            let Ack { line, outcome, amount, .. } = ack;
            let told = format!("line {line} says {outcome} {amount}");
            book.find(rule, ids::order(case.id), format!("{told}; {detail}"));
        };
        let Some(order) = &case.order else {
            find(LOST, "the order is absent".to_owned());
            continue;
        };
        if !case.asks.iter().any(|ask| ask.places && ask.key == ack.key) {
            find(KEY, "another key placed it".to_owned());
        }
        match &*ack.outcome {
            "SOLD" => sold(case, order, ack, &mut find),
            "PENDING" => {}
            _ => refused(case, order, ack, &mut find),
        }
    }
}

fn sold(case: &Case<'_>, order: &Order, ack: &Ack, find: &mut impl FnMut(crate::Rule, String)) {
    if order.state != state::COMPLETED {
        find(OUTCOME, format!("it is {}", state::name(order.state)));
        return;
    }
    let captured = case.payment.as_ref().map_or(0, |payment| payment.captured);
    let taken = case
        .psp
        .iter()
        .filter(|r| matches!(r.kind, gateway::kind::CHARGE | gateway::kind::CAPTURE));
    let taken = gateway::net(taken);
    if [order.total, captured] != [ack.amount; 2] || taken != i128::from(ack.amount) {
        let detail =
            format!("total {}, captured {captured}, the gateway took {taken}", order.total);
        find(AMOUNT, detail);
    }
}

fn refused(case: &Case<'_>, order: &Order, ack: &Ack, find: &mut impl FnMut(crate::Rule, String)) {
    if order.outcome.as_deref() != Some(&*ack.outcome) {
        let ours = order.outcome.as_deref().unwrap_or("none");
        find(OUTCOME, format!("it is {} with outcome {ours}", state::name(order.state)));
        return;
    }
    let kept = case.payment.as_ref().map_or(0, crate::payment::Payment::kept);
    let refunding = case.payment.as_ref().is_some_and(|p| p.in_flight() || p.refunds_pending() > 0);
    let at_gateway = gateway::net(case.psp.iter());
    if kept != 0 || (at_gateway != 0 && !refunding) {
        find(CHARGED, format!("the payment keeps {kept}, the gateway {at_gateway}"));
    }
}

/// The acknowledgement of a line; none if it names no order and does not have to.
fn parse(line: &str, number: u32) -> Result<Option<Ack>, &'static str> {
    // A key may hold commas, the other three cannot.
    let mut fields = line.rsplitn(4, ',');
    let amount = fields.next().unwrap_or_default();
    let outcome = fields.next().ok_or("four fields are wanted")?;
    let order = fields.next().ok_or("four fields are wanted")?;
    let key = fields.next().ok_or("four fields are wanted")?;
    let amount = if amount.is_empty() { Ok(0) } else { amount.parse() };
    let amount = amount.map_err(|_| "the amount is not a number")?;
    if outcome.is_empty() || key.is_empty() {
        return Err("the key or the outcome is missing");
    }
    if order.is_empty() {
        let named = matches!(outcome, "SOLD" | "PENDING");
        return if named { Err("the order is missing") } else { Ok(None) };
    }
    let order = ids::read("ord", order).ok_or("this is no order id")?;
    let key = key_hash(key.trim_matches('"'));
    Ok(Some(Ack { order, key, amount, line: number, outcome: outcome.into() }))
}
