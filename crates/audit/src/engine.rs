//! The engine's own rows: the shard's counters, and requests with the keys that find them again.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::{
    Error,
    book::{Book, rules},
    chain::Chain,
    ids,
    outbox::Outbox,
    rows::{Source, scan},
    walk::Case,
};

rules! {
    COUNTERS = "shard.counters", Mismatched, "The shard counts its commits, events and requests, and there is one shard row.";
    CLOCK = "shard.clock", Mismatched, "No event is younger than the shard's clock.";
    IDEM_MISSING = "idem.missing", Lost, "Every request is found again by the hash of its scope and key.";
    IDEM_ORPHAN = "idem.orphan", Mismatched, "Every remembered hash leads to a request with that scope and key.";
    KEY_DOUBLED = "request.doubled", Doubled, "One key of one scope has one request.";
    BODY = "request.body", Mismatched, "A request keeps version 1 and 16 bytes of its command's hash.";
    PURGED = "request.purged", Lost, "The requests up to `purged`, and no others, have lost their keys, fifteen days old.";
    RESOURCE = "request.resource", Lost, "What a request made exists.";
    UNASKED = "order.unasked", Mismatched, "Every order was asked for by a request.";
    ASKED_TWICE = "order.asked-twice", Mismatched, "An order was asked for once.";
    PAYMENT_ASKED = "payment.asked", Mismatched, "A payment without an order was asked for by one request.";
}

/// The operation that makes orders, at the end of a scope.
const PLACE: &str = "order.place";
/// Those of merchants' payments and refunds.
const AUTHORIZE: &str = "payment.authorize";
const CHARGE_POINTS: &str = "point.charge";
const GIVE_BACK: &str = "payment.refund";
const REFUND_POINTS: &str = "point.refund";

/// The shard row.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) commits: i64,
    pub(crate) events: i64,
    pub(crate) requests: i64,
    pub(crate) clock: i64,
    /// Events up to this number are trimmed.
    pub(crate) trimmed: i64,
    /// Requests up to this number have lost their keys.
    purged: i64,
    key: [u8; 16],
}

/// A request, seen from what it made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) resource: i64,
    pub(crate) request: i64,
    /// Hash of the key alone, to compare with acknowledgements.
    key: u64,
    pub(crate) made: Made,
}

/// Instead of the hash of a key that is purged.
const LOST_KEY: u64 = 0;

impl Ask {
    /// Whether it may have come with the key of this hash.
    pub(crate) fn may_be_of(&self, key: u64) -> bool {
        self.key == key || self.key == LOST_KEY
    }
}

/// What kind of thing a request has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Order,
    Payment,
    Refund,
    Other,
}

impl Made {
    fn by(scope: &str) -> Self {
        let (pays, charges) = ((AUTHORIZE, Self::Payment), (CHARGE_POINTS, Self::Payment));
        let (gives, returns) = ((GIVE_BACK, Self::Refund), (REFUND_POINTS, Self::Refund));
        [(PLACE, Self::Order), pays, charges, gives, returns]
            .into_iter()
            .find_map(|(operation, made)| scope.ends_with(operation).then_some(made))
            .unwrap_or(Self::Other)
    }
}

/// For so long a request keeps its key, in microseconds: fifteen days.
const KEPT: i64 = 15 * 86_400_000_000;

/// Requests without a key, from 1 on: whether a hash leads to each. Which hash it should be nobody
/// can tell any more.
#[derive(Debug)]
struct Bare(Vec<bool>);

impl Bare {
    fn new(purged: i64) -> Self {
        Self(vec![false; usize::try_from(purged).unwrap_or(0).min(50_000_000)])
    }

    /// Takes down that a hash leads to `request`; false if it has its key, or one led to it before.
    fn found(&mut self, request: i64) -> bool {
        let at = usize::try_from(request).ok().and_then(|number| number.checked_sub(1));
        let place = at.and_then(|at| self.0.get_mut(at));
        place.is_some_and(|found| !std::mem::replace(found, true))
    }

    fn missing(&self) -> impl Iterator<Item = i64> + '_ {
        (1_i64..).zip(&self.0).filter(|(_, found)| !**found).map(|(request, _)| request)
    }
}

/// All requests, by resource.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    pub(crate) asks: Vec<Ask>,
    last: i64,
}

impl Shard {
    /// Reads the shard row.
    pub(crate) fn load(from: Source<'_>, book: &mut Book) -> Result<Self, Error> {
        let mut shard = Self::default();
        let sql =
            "SELECT id, commits, events, requests, clock, idem_key, trimmed, purged FROM shard";
        let rows = scan(from, book, sql, |cells, book| {
            let id = cells.int()?;
            (shard.commits, shard.events) = (cells.int()?, cells.int()?);
            (shard.requests, shard.clock) = (cells.int()?, cells.int()?);
            let key = cells.blob()?;
            (shard.trimmed, shard.purged) = (cells.int()?, cells.int()?);
            if id != 0 {
                book.find(COUNTERS, "shard".to_owned(), format!("its row has the id {id}"));
            }
            if let Ok(key) = key.try_into() {
                shard.key = key;
            } else {
                let detail = format!("the key of row {id} has {} bytes", key.len());
                book.find(COUNTERS, "shard".to_owned(), detail);
            }
            Ok(())
        })?;
        if rows != 1 {
            book.find(COUNTERS, "shard".to_owned(), format!("{rows} shard rows"));
        }
        Ok(shard)
    }

    /// Compares the counters with what they count.
    pub(crate) fn check(&self, outbox: &Outbox, asks: &Asks, chain: &Chain, book: &mut Book) {
        let commits = outbox.last_commit.max(chain.last_commit());
        if self.commits < commits || self.events != outbox.last_seq || self.requests != asks.last {
            let detail = format!(
                "counts {} commits, {} events, {} requests; the rows reach {commits}, {}, {}",
                self.commits, self.events, self.requests, outbox.last_seq, asks.last
            );
            book.find(COUNTERS, "shard".to_owned(), detail);
        }
        if outbox.latest > self.clock {
            let detail = format!("the clock is {}, an event is of {}", self.clock, outbox.latest);
            book.find(CLOCK, "shard".to_owned(), detail);
        }
    }
}

impl Asks {
    /// Reads requests and hashes, and checks them one to one.
    pub(crate) fn load(from: Source<'_>, shard: &Shard, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("requests");
        let mut asks = Self::default();
        let room = usize::try_from(shard.requests).unwrap_or(0).min(50_000_000);
        asks.asks.reserve_exact(room);
        let mut hashes: Vec<(i64, i64)> = Vec::with_capacity(room);
        let mut bare = Bare::new(shard.purged.min(shard.requests));
        let keyed = SipHasher24::new_with_key(&shard.key);
        let sql = "SELECT id, scope, key, body, resource, at FROM request ORDER BY id";
        scan(from, book, sql, |cells, book| {
            let (id, scope, key) = (cells.int()?, cells.text()?, cells.text()?);
            let body = cells.blob()?;
            let purged = key.is_empty() && body.is_empty();
            if purged != (id <= shard.purged) {
                let upto = shard.purged;
                let detail = format!("without its key: {purged}; purged are those up to {upto}");
                book.find(PURGED, format!("request {id}"), detail);
            }
            if !purged && (body.len() != 17 || body[0] != 1) {
                let detail = format!("{} bytes, beginning with {:?}", body.len(), body.first());
                book.find(BODY, format!("request {id}"), detail);
            }
            let mut hasher = keyed;
            hasher.write(scope.as_bytes());
            hasher.write(&[0]);
            hasher.write(key.as_bytes());
            if !purged {
                hashes.push((hasher.finish().cast_signed(), id));
            }
            let made = Made::by(scope);
            let key = if purged { LOST_KEY } else { key_hash(key) };
            asks.asks.push(Ask { resource: cells.int()?, request: id, key, made });
            let at = cells.int()?;
            if purged && at > shard.clock - KEPT {
                let detail = format!("lost its key although it is of {at}");
                book.find(PURGED, format!("request {id}"), detail);
            }
            asks.last = id;
            Ok(())
        })?;
        hashes.sort_unstable();
        match_hashes(from, &hashes, &mut bare, book)?;
        asks.asks.sort_unstable_by_key(|ask| (ask.resource, ask.request));
        Ok(asks)
    }
}

/// The hash under which acknowledgements and requests of a key meet.
pub(crate) fn key_hash(key: &str) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(key.as_bytes());
    hasher.finish()
}

/// Checks who asked for the order of a case, and that what was asked for exists.
pub(crate) fn check(case: &Case<'_>, known: impl Fn(i64) -> bool, book: &mut Book) {
    let mut places = case.asks.iter().filter(|ask| ask.made == Made::Order);
    let (first, second) = (places.next(), places.next());
    match (&case.order, first, second) {
        (Some(_), None, _) => {
            let detail = "no request placed it".to_owned();
            book.find(UNASKED, ids::order(case.id), detail);
        }
        (Some(_), Some(first), Some(second)) => {
            let detail = format!("requests {} and {} placed it", first.request, second.request);
            book.find(ASKED_TWICE, ids::order(case.id), detail);
        }
        _ => {}
    }
    if case.order.is_some() {
        return;
    }
    if case.payment.as_ref().is_some_and(|payment| payment.order.is_none()) {
        let asked = case.asks.iter().filter(|ask| ask.made == Made::Payment).count();
        if asked != 1 {
            let detail = format!("{asked} requests authorised it");
            book.find(PAYMENT_ASKED, ids::payment(case.id), detail);
        }
    }
    let other = case.id == 0 || case.payment.is_some() || case.journal.is_some() || known(case.id);
    let lacks = |ask: &&Ask| match ask.made {
        Made::Order => true,
        // Refunds are no rows of their own: `refunds` looks for them.
        Made::Refund => false,
        Made::Payment | Made::Other => !other,
    };
    for ask in case.asks.iter().filter(lacks) {
        let (what, prefix) = match ask.made {
            Made::Order => ("order", "ord"),
            Made::Payment => ("payment", "pay"),
            Made::Refund | Made::Other => ("resource", "id"),
        };
        let detail = format!("its {what} {} is absent", ids::show(prefix, case.id));
        book.find(RESOURCE, format!("request {}", ask.request), detail);
    }
}

/// Checks that every refund that a merchant asked for stands in a payment. `given` are the names of
/// those that do.
pub(crate) fn refunds(asks: &Asks, mut given: Vec<i64>, book: &mut Book) {
    given.sort_unstable();
    for ask in asks.asks.iter().filter(|ask| ask.made == Made::Refund) {
        if given.binary_search(&ask.resource).is_err() {
            let detail = format!("its refund {} is absent", ids::refund(ask.resource));
            book.find(RESOURCE, format!("request {}", ask.request), detail);
        }
    }
}

/// Merges the hashes that the requests should have with the stored ones, both ascending.
fn match_hashes(
    from: Source<'_>,
    wanted: &[(i64, i64)],
    bare: &mut Bare,
    book: &mut Book,
) -> Result<(), Error> {
    let mut next = 0;
    let missing = |(_, request): (i64, i64), book: &mut Book| {
        let detail = "no hash leads to it; a retry would run it again".to_owned();
        book.find(IDEM_MISSING, format!("request {request}"), detail);
    };
    let sql = "SELECT hash, request FROM idem ORDER BY hash";
    scan(from, book, sql, |cells, book| {
        let (hash, request) = (cells.int()?, cells.int()?);
        while let Some(lower) = wanted.get(next).filter(|(theirs, _)| *theirs < hash) {
            missing(*lower, book);
            next += 1;
        }
        let from = next;
        while wanted.get(next).is_some_and(|(theirs, _)| *theirs == hash) {
            next += 1;
        }
        let same = &wanted[from..next];
        if let [(_, first), second, ..] = same {
            let detail = format!("request {} has the scope and key of {first}", second.1);
            book.find(KEY_DOUBLED, format!("request {}", second.1), detail);
        }
        if bare.found(request) {
            return Ok(());
        }
        if !same.iter().any(|(_, theirs)| *theirs == request) {
            let detail = format!("leads to request {request}, which has not that scope and key");
            book.find(IDEM_ORPHAN, format!("hash {hash}"), detail);
        }
        Ok(())
    })?;
    for left in &wanted[next..] {
        missing(*left, book);
    }
    for request in bare.missing() {
        missing((0, request), book);
    }
    Ok(())
}
