//! The outbox: gapless, in commit order, and exactly the events that the rows promise.
//!
//! | row | `placed` | `completed` | `cancelled` | `order.refunded` |
//! |---|---|---|---|---|
//! | COMPLETED | 1 | 1 | 0 | one per DONE refund |
//! | CANCELLED | 1, or 0 if refused at placing | 0 | 1 | reversals may have one |
//! | open | 1 once the stock is held | 0 | 0 | |
//!
//! Events are trimmed from the front, up to the number in the shard row. What an event before the
//! [`Head`] told is not missed; that none is told twice or invented holds for those that are left.
//!
//! A CAPTURED payment has one `payment.captured`, each of its DONE refunds a `payment.refunded`. A journal
//! has one `journal.posted`.

use crate::{
    Error,
    book::{Book, Rule, rules},
    engine::Shard,
    ids,
    order::{Order, refund_state as order_refund, state as order_state},
    payment::{Payment, refund_state, state as pay},
    rows::{Source, scan},
    told::Told,
    walk::Case,
};

rules! {
    GAP = "outbox.gap", Lost, "Events are numbered from 1, or from the trimmed head, without gaps.";
    ORDER = "outbox.order", Mismatched, "Events stand in the order of their commits.";
    TOPIC = "outbox.topic", Mismatched, "An event has one of the known topics.";
    TRACE = "outbox.trace", Mismatched, "The trace of an event is a sampled W3C traceparent, if it has one.";
    MISSING = "event.missing", Lost, "Every change that promises an event has it, unless it may be trimmed.";
    DOUBLED = "event.doubled", Doubled, "No promised event stands twice.";
    INVENTED = "event.invented", Mismatched, "No event tells what its row does not.";
    VERSION = "event.version", Mismatched, "The versions of an aggregate's events grow, up to that of its row.";
}

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    OrderPlaced,
    OrderCompleted,
    OrderCancelled,
    OrderRefunded,
    OrderAdvanced,
    OrderShipped,
    OrderDelivered,
    PaymentAuthorized,
    PaymentCaptureRequested,
    PaymentCaptured,
    PaymentRefundRequested,
    PaymentRefunded,
    PaymentSetAside,
    PaymentReleased,
    JournalPosted,
    /// Not about an order or payment.
    Catalog,
    Category,
    Stock,
    Coupon,
    Point,
}

impl Topic {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "order.placed" => Self::OrderPlaced,
            "order.completed" => Self::OrderCompleted,
            "order.cancelled" => Self::OrderCancelled,
            "order.refunded" => Self::OrderRefunded,
            "order.advanced" => Self::OrderAdvanced,
            "order.shipped" => Self::OrderShipped,
            "order.delivered" => Self::OrderDelivered,
            "payment.authorized" => Self::PaymentAuthorized,
            "payment.capture-requested" => Self::PaymentCaptureRequested,
            "payment.captured" => Self::PaymentCaptured,
            "payment.refund-requested" => Self::PaymentRefundRequested,
            "payment.refunded" => Self::PaymentRefunded,
            "payment.set-aside" => Self::PaymentSetAside,
            "payment.released" => Self::PaymentReleased,
            "journal.posted" => Self::JournalPosted,
            "product.changed" => Self::Catalog,
            "category.changed" => Self::Category,
            "stock.changed" => Self::Stock,
            "coupon.changed" => Self::Coupon,
            "point.changed" => Self::Point,
            _ => return None,
        })
    }

    fn is_of_order(self) -> bool {
        matches!(
            self,
            Self::OrderPlaced
                | Self::OrderCompleted
                | Self::OrderCancelled
                | Self::OrderRefunded
                | Self::OrderAdvanced
                | Self::OrderShipped
                | Self::OrderDelivered
        )
    }
}

/// An event about an order, a payment or a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) key: i64,
    pub(crate) commit: i64,
    version: u32,
    pub(crate) topic: Topic,
}

/// Where the outbox begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Events of lower commits are trimmed, and perhaps some of this one; 0: none is.
    pub(crate) commit: i64,
    /// An event of a later time is there. The times of events do not go up strictly.
    horizon: i64,
}

/// `00-` trace `-` span `-` flags: neither id is zero, and the flag "sampled" is set.
fn is_sampled(trace: &str) -> bool {
    let hex = |part: &str, length| {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.len() == length && part.bytes().all(digit)
    };
    let id = |part: &str, length| hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let parts: Vec<&str> = trace.split('-').collect();
    let ["00", trace, span, flags] = parts[..] else { return false };
    let sampled = flags.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']);
    id(trace, 32) && id(span, 16) && hex(flags, 2) && sampled
}

/// By how much the time of an event may be behind that of an earlier one.
const SLACK: i64 = 3_600_000_000;

impl Head {
    /// Whether an event of commit `commit` may be trimmed.
    pub(crate) fn hides(self, commit: i64) -> bool {
        commit <= self.commit
    }

    /// Whether an event about something made at the time in `id` may be trimmed.
    pub(crate) fn hides_id(self, id: i64) -> bool {
        self.commit > 0 && ids::minted_at(id) <= self.horizon
    }

    /// Whether an event of this time, or of none that is known, may be trimmed.
    pub(crate) fn hides_time(self, at: Option<i64>) -> bool {
        self.commit > 0 && at.is_none_or(|at| at <= self.horizon)
    }
}

/// What the outbox has, for orders and payments sorted by key.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) events: Vec<Event>,
    /// Events about products, by key.
    pub(crate) products: Vec<i64>,
    /// Campaigns that events are about, with the version in the last of them.
    pub(crate) campaigns: std::collections::BTreeMap<i64, i64>,
    /// Events about categories, by key.
    pub(crate) categories: Vec<i64>,
    pub(crate) count: u64,
    pub(crate) last_seq: i64,
    pub(crate) last_commit: i64,
    pub(crate) latest: i64,
    pub(crate) head: Head,
    /// What was told of stock and points.
    pub(crate) told: Told,
}

impl Default for Head {
    /// Nothing is trimmed.
    fn default() -> Self {
        Self { commit: 0, horizon: i64::MIN }
    }
}

impl Outbox {
    /// Reads all events; as many as the shard counts, so that the memory is taken once.
    pub(crate) fn load(from: Source<'_>, shard: &Shard, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("events");
        let mut outbox = Self { last_seq: shard.trimmed, ..Self::default() };
        if shard.trimmed > 0 {
            outbox.head = Head { commit: shard.commits, horizon: shard.clock };
        }
        // A damaged counter must not take all memory.
        let expected = shard.events.saturating_sub(shard.trimmed);
        let room = usize::try_from(expected).unwrap_or(0).min(50_000_000);
        outbox.events.reserve_exact(room);
        outbox.told.whole = shard.trimmed == 0;
        let sql = "SELECT seq, commit_no, at, trace, topic, key, version, payload FROM outbox ORDER BY seq";
        let count = scan(from, book, sql, |cells, book| {
            let (seq, commit, at) = (cells.int()?, cells.int()?, cells.int()?);
            if let Some(trace) = cells.text_or_null()?.filter(|trace| !is_sampled(trace)) {
                book.find(TRACE, format!("event {seq}"), format!("is {trace:?}"));
            }
            let (topic, key, version) = (cells.text()?, cells.int()?, cells.int()?);
            if shard.trimmed > 0 && outbox.last_commit == 0 {
                outbox.head = Head { commit, horizon: at.saturating_add(SLACK) };
            }
            outbox.number(seq, commit, book);
            outbox.latest = outbox.latest.max(at);
            match Topic::read(topic) {
                None => book.find(TOPIC, format!("event {seq}"), format!("is a {topic:?}")),
                Some(Topic::Stock) => outbox.told.stock(seq, cells.blob()?, book),
                Some(Topic::Point) => outbox.told.point(seq, cells.blob()?, book),
                Some(Topic::Coupon) => outbox.campaign(key, version, book),
                Some(Topic::Catalog) => outbox.products.push(key),
                Some(Topic::Category) => outbox.categories.push(key),
                Some(topic) => {
                    let version = u32::try_from(version).unwrap_or(u32::MAX);
                    outbox.events.push(Event { key, commit, version, topic });
                }
            }
            Ok(())
        })?;
        outbox.count = count;
        outbox.events.sort_by_key(|event| event.key);
        Ok(outbox)
    }

    fn campaign(&mut self, key: i64, version: i64, book: &mut Book) {
        let last = self.campaigns.insert(key, version).unwrap_or(0);
        if version <= last {
            book.find(VERSION, ids::show("cmp", key), format!("{version} after {last}"));
        }
    }

    fn number(&mut self, seq: i64, commit: i64, book: &mut Book) {
        if seq != self.last_seq + 1 {
            let detail = format!("{} is followed by {seq}", self.last_seq);
            book.find(GAP, format!("event {}", self.last_seq + 1), detail);
        }
        if commit < self.last_commit.max(1) {
            let detail = format!("of commit {commit} stands behind commit {}", self.last_commit);
            book.find(ORDER, format!("event {seq}"), detail);
        }
        self.last_seq = seq;
        self.last_commit = self.last_commit.max(commit);
    }
}

/// How many events of a topic a row promises.
#[derive(Debug, Clone, Copy)]
struct Promise {
    topic: Topic,
    least: usize,
    most: usize,
}

/// Compares the events of a case with what its rows promise.
pub(crate) fn check(case: &Case<'_>, head: Head, book: &mut Book) {
    let subject = |topic: Topic| match topic {
        Topic::JournalPosted => ids::journal(case.id),
        topic if topic.is_of_order() => ids::order(case.id),
        _ => ids::payment(case.id),
    };
    let mut find = |rule: Rule, topic: Topic, detail| book.find(rule, subject(topic), detail);
    let (order, payment) = (case.order.as_ref(), case.payment.as_ref());
    let absent = |topic: Topic| match topic {
        Topic::JournalPosted => case.journal.is_none(),
        topic if topic.is_of_order() => order.is_none(),
        _ => payment.is_none(),
    };
    if let Some(stray) = case.events.iter().find(|event| absent(event.topic)) {
        find(INVENTED, stray.topic, format!("{:?}, and the row is absent", stray.topic));
    }
    if let Some(order) = order {
        let settled = head.hides_time(order.settled_at);
        let hidden = |topic| match topic {
            Topic::OrderCompleted | Topic::OrderCancelled => settled,
            _ => head.hides_id(case.id),
        };
        keep(case, &order_promises(case, order), hidden, &mut find);
        versions(case, true, order.version, &mut find);
    }
    if case.journal.is_some() {
        let posted = Promise { topic: Topic::JournalPosted, least: 1, most: 1 };
        keep(case, &[posted], |_| posted_before(case, head), &mut find);
    }
    if let Some(payment) = payment {
        let hidden = |topic| match topic {
            Topic::PaymentCaptured => posted_before(case, head),
            _ => head.hides_id(case.id),
        };
        keep(case, &payment_promises(payment), hidden, &mut find);
        versions(case, false, payment.version, &mut find);
    }
}

/// Whether the event of the first posting may be trimmed.
fn posted_before(case: &Case<'_>, head: Head) -> bool {
    let first = case.legs.first();
    first.map_or_else(|| head.hides_id(case.id), |leg| head.hides(leg.commit))
}

fn keep(
    case: &Case<'_>,
    promises: &[Promise],
    hidden: impl Fn(Topic) -> bool,
    find: &mut impl FnMut(Rule, Topic, String),
) {
    for &Promise { topic, least, most } in promises {
        let least = if hidden(topic) { 0 } else { least };
        let found = case.events.iter().filter(|event| event.topic == topic).count();
        if found < least {
            find(MISSING, topic, format!("{found} of {least} {topic:?}"));
        } else if found > most && most > 0 {
            find(DOUBLED, topic, format!("{found} {topic:?}, and {most} to tell"));
        } else if found > most {
            find(INVENTED, topic, format!("{topic:?}, and the row does not say so"));
        }
    }
}

fn order_promises(case: &Case<'_>, order: &Order) -> [Promise; 6] {
    let state = order.standing();
    let held =
        case.payment.is_some() || case.reservation.as_ref().is_some_and(|r| !r.is_tombstone());
    let placed = match state {
        order_state::HOLDING | order_state::UNWINDING => false,
        order_state::CANCELLED => held,
        _ => true,
    };
    let exactly = |topic, wanted: bool| {
        let wanted = usize::from(wanted);
        Promise { topic, least: wanted, most: wanted }
    };
    let number = |topic, n| Promise { topic, least: n, most: n };
    let refunds = |least: i64, no: i64| {
        let done = |r: &&_| order_refund_between(r, least, no);
        order.refunds.iter().filter(done).count()
    };
    [
        Promise { topic: Topic::OrderPlaced, least: usize::from(placed), most: 1 },
        exactly(Topic::OrderCompleted, state == order_state::COMPLETED),
        exactly(Topic::OrderCancelled, state == order_state::CANCELLED),
        Promise {
            topic: Topic::OrderRefunded,
            least: refunds(order_refund::DONE, 1),
            most: refunds(order_refund::RESTORING, 0),
        },
        number(Topic::OrderShipped, order.shipped()),
        number(Topic::OrderDelivered, order.delivered()),
    ]
}

fn order_refund_between(refund: &crate::order::Refund, least: i64, no: i64) -> bool {
    let counts = no == 0 || !crate::order::is_reversal(refund.no);
    counts && (least..=order_refund::DONE).contains(&refund.state)
}

fn payment_promises(payment: &Payment) -> [Promise; 7] {
    let captured = payment.state == pay::CAPTURED;
    let two_step = payment.mode == 2;
    let count = |state: i64| payment.refunds.iter().filter(|r| r.state == state).count();
    let (aside, released) = (count(refund_state::SET_ASIDE), count(refund_state::RELEASED));
    let done = count(refund_state::DONE);
    let asked = payment.refunds.len();
    let promise = |topic, least, most| Promise { topic, least, most };
    let authorized = usize::from(two_step && payment.state == pay::AUTHORIZED);
    [
        promise(Topic::PaymentAuthorized, authorized, 1),
        // A capture that has not happened may be asked for again.
        promise(Topic::PaymentCaptureRequested, 0, usize::MAX),
        promise(
            Topic::PaymentCaptured,
            usize::from(captured && payment.moves_money()),
            usize::from(captured),
        ),
        promise(Topic::PaymentRefundRequested, 0, asked),
        promise(Topic::PaymentRefunded, done, done),
        promise(Topic::PaymentSetAside, aside + released, aside + released),
        promise(Topic::PaymentReleased, released, released),
    ]
}

fn versions(
    case: &Case<'_>,
    of_order: bool,
    version: i64,
    find: &mut impl FnMut(Rule, Topic, String),
) {
    let mut last = 0;
    for event in case.events.iter().filter(|event| event.topic.is_of_order() == of_order) {
        if event.version < last || i64::from(event.version) > version {
            let detail = format!("{:?} has version {}", event.topic, event.version);
            find(VERSION, event.topic, format!("{detail} after {last}, its row {version}"));
            return;
        }
        last = event.version;
    }
}
