//! The walk: all rows about one order, side by side, for every order in ascending id.
//!
//! Orders, reservations, payments and ledger entries share their key and stand in its order in the
//! file; events, gateway records, requests and acknowledgements are small structs sorted by it. So
//! the walk is a merge of eleven ordered sequences that reads each row once and looks nothing up.

use rusqlite::Connection;

use crate::{
    Error,
    acks::{self, Ack},
    book::Book,
    catalog::Catalog,
    coupon::Coupons,
    engine::{self, Ask},
    gateway,
    inventory::{self, Laws, Reservation},
    journal::{self, Journal},
    ledger::{self, Ledger, Leg},
    merchant::Merchants,
    order::{self, Order, state},
    outbox::{self, Event, Head},
    payment::{self, Payment, state as pay},
    point::{
        Points,
        case::{self as point, Use},
        credit::{CREDITS, Credit},
    },
    psp_log::Record,
    report::{Conditions, InFlight},
    rows::{Source, Stream},
};

/// Everything about one id.
#[derive(Debug)]
pub(crate) struct Case<'c> {
    pub(crate) id: i64,
    pub(crate) order: Option<Order>,
    pub(crate) reservation: Option<Reservation>,
    pub(crate) payment: Option<Payment>,
    pub(crate) journal: Option<Journal>,
    /// What the order or account has spent and earned, or an operator has given, as points.
    pub(crate) used: Option<Use>,
    pub(crate) credit: Option<Credit>,
    pub(crate) legs: &'c [Leg],
    /// Those that points have posted by themselves.
    pub(crate) point_legs: &'c [Leg],
    pub(crate) psp: &'c [Record],
    pub(crate) events: &'c [Event],
    pub(crate) asks: &'c [Ask],
    pub(crate) acks: &'c [Ack],
}

/// What does not depend on the case.
#[derive(Debug)]
pub(crate) struct World<'w> {
    pub(crate) clock: i64,
    pub(crate) catalog: &'w Catalog,
    pub(crate) coupons: &'w Coupons,
    pub(crate) head: Head,
    pub(crate) merchants: &'w Merchants,
}

/// The sequences that are in memory, each sorted by id.
#[derive(Debug)]
pub(crate) struct Sorted<'s> {
    pub(crate) psp: Cursor<'s, Record>,
    pub(crate) events: Cursor<'s, Event>,
    pub(crate) asks: Cursor<'s, Ask>,
    pub(crate) acks: Cursor<'s, Ack>,
}

/// What is summed over all cases.
#[derive(Debug)]
pub(crate) struct Sums<'s> {
    pub(crate) laws: &'s mut Laws,
    pub(crate) ledger: &'s mut Ledger,
    pub(crate) points: &'s mut Points,
    pub(crate) conditions: &'s mut Conditions,
    pub(crate) in_flight: &'s mut InFlight,
    /// Names of the refunds that merchants gave.
    pub(crate) given: &'s mut Vec<i64>,
}

/// A sorted slice that is consumed by key.
#[derive(Debug)]
pub(crate) struct Cursor<'s, T> {
    rest: &'s [T],
    key: fn(&T) -> i64,
}

impl<'s, T> Cursor<'s, T> {
    /// Starts at the beginning of `all`.
    pub(crate) fn new(all: &'s [T], key: fn(&T) -> i64) -> Self {
        Self { rest: all, key }
    }

    fn key(&self) -> Option<i64> {
        self.rest.first().map(self.key)
    }

    fn take(&mut self, id: i64) -> &'s [T] {
        let end = self.rest.iter().take_while(|item| (self.key)(item) == id).count();
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// Walks every case of the snapshot.
pub(crate) fn walk(
    from: Source<'_>,
    sorted: &mut Sorted<'_>,
    world: &World<'_>,
    sums: &mut Sums<'_>,
    book: &mut Book,
) -> Result<(), Error> {
    from.watch.phase("books");
    let prepare = |sql| Connection::prepare(from.db, sql);
    let (mut orders, mut reservations) = (prepare(order::SQL)?, prepare(inventory::SQL)?);
    let (mut payments, mut entries) = (prepare(payment::SQL)?, prepare(ledger::SQL)?);
    let mut journals = prepare(journal::SQL)?;
    let (mut uses, mut credits) = (prepare(point::USES)?, prepare(CREDITS)?);
    let watch = from.watch;
    let mut orders = Stream::new(order::SQL, orders.query([])?, Order::read, watch);
    let mut reservations =
        Stream::new(inventory::SQL, reservations.query([])?, Reservation::read, watch);
    let mut payments = Stream::new(payment::SQL, payments.query([])?, Payment::read, watch);
    let mut journals = Stream::new(journal::SQL, journals.query([])?, Journal::read, watch);
    let mut uses = Stream::new(point::USES, uses.query([])?, Use::read, watch);
    let mut credits = Stream::new(CREDITS, credits.query([])?, Credit::read, watch);
    let mut entries = Stream::new(ledger::SQL, entries.query([])?, Leg::read, watch);
    orders.advance(book)?;
    reservations.advance(book)?;
    payments.advance(book)?;
    journals.advance(book)?;
    uses.advance(book)?;
    credits.advance(book)?;
    entries.advance(book)?;
    let mut legs = Vec::new();
    loop {
        let rows = [
            orders.key(),
            reservations.key(),
            payments.key(),
            journals.key(),
            uses.key(),
            credits.key(),
            entries.key(),
        ];
        let held = [sorted.psp.key(), sorted.events.key(), sorted.asks.key(), sorted.acks.key()];
        let Some(id) = rows.into_iter().chain(held).flatten().min() else { break };
        legs.clear();
        while let Some(leg) = entries.take(id, book)? {
            legs.push(leg);
        }
        let (payment, journal) = (payments.take(id, book)?, journals.take(id, book)?);
        let credit = credits.take(id, book)?;
        let alone = payment.is_none() && journal.is_none();
        let all = alone && sums.points.has_all_postings(id, credit.as_ref());
        let of_points = |leg: &Leg| all || leg.seq >= point::FIRST;
        let (legs, point_legs) = legs.split_at(legs.partition_point(|leg| !of_points(leg)));
        let case = Case {
            id,
            order: orders.take(id, book)?,
            reservation: reservations.take(id, book)?,
            payment,
            journal,
            used: uses.take(id, book)?,
            credit,
            legs,
            point_legs,
            psp: sorted.psp.take(id),
            events: sorted.events.take(id),
            asks: sorted.asks.take(id),
            acks: sorted.acks.take(id),
        };
        check(&case, world, sums, book);
    }
    sums.conditions.orders = orders.count;
    sums.conditions.reservations = reservations.count;
    sums.conditions.payments = payments.count;
    sums.conditions.journals = journals.count;
    sums.conditions.entries = entries.count;
    Ok(())
}

fn check(case: &Case<'_>, world: &World<'_>, sums: &mut Sums<'_>, book: &mut Book) {
    order::check(case, world, book);
    payment::check(case, world.clock, book);
    sums.laws.walk(case, book);
    sums.ledger.walk(case, book);
    sums.points.walk(case, book);
    world.coupons.walk(case, book);
    journal::check(case, book);
    gateway::check(case, book);
    outbox::check(case, world.head, book);
    let known = |id| {
        world.catalog.knows(id)
            || world.merchants.knows(id)
            || world.coupons.knows(id)
            || sums.laws.knows(id)
            || case.credit.is_some()
    };
    engine::check(case, known, book);
    acks::check(case, world.coupons, book);
    let refunds = case.payment.iter().flat_map(|payment| &payment.refunds);
    sums.given.extend(refunds.map(|refund| refund.id).filter(|id| *id != 0));
    count(case, sums.in_flight);
}

fn count(case: &Case<'_>, in_flight: &mut InFlight) {
    if let Some(order) = &case.order {
        in_flight.orders_open += u64::from(order.is_open());
        in_flight.orders_abandoned += u64::from(order.is_abandoned());
        in_flight.orders_stuck += u64::from(order.state == state::STUCK);
    }
    if let Some(payment) = &case.payment {
        let open = payment.in_flight() || payment.state == pay::AUTHORIZED;
        in_flight.payments_open += u64::from(open);
        in_flight.refunds_pending += u64::try_from(payment.refunds_pending()).unwrap_or(0);
    }
    in_flight.psp_newer += gateway::newer(case.psp);
}
