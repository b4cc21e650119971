//! The sold-out gate: what was sold out a moment ago is refused before it costs a commit.
//!
//! Two things keep it honest. What it knows is at most [`Settings::gate`](crate::Settings) old,
//! and forgotten as soon as stock comes in here. And it never answers for a request that was taken
//! before: a repeated key must get its first answer, so a key that is under way, or that the store
//! knows, passes. The look-up in the store is one read by key, done where the request is: a jump
//! to another thread would cost more.
//!
//! Processes of one shop share what they find out ([`Shared`]), with the time for which it may be
//! believed: a mark ends by itself, wherever it is. It ends at once when the tail of the outbox says
//! that there is stock again; a process that has just opened a SKU does not believe marks about it.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jangbu_engine::books::{IDEM, SHARD};
use jangbu_engine::port::{Backend, By, Fault, Read, Reader};
use jangbu_kernel::{IdemKey, SkuId};
use jangbu_services::events::Fact;
use jangbu_services::shared::Shared;
use jangbu_services::tail::{Event, Follower};
use parking_lot::{Mutex, RwLock};
use siphasher::sip::SipHasher24;

/// What is known to be sold out.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Until when.
    closed: RwLock<HashMap<SkuId, Instant>>,
    /// Until when nobody is believed who says that it is closed.
    opened: Mutex<HashMap<SkuId, Instant>>,
    shared: Option<Arc<dyn Shared>>,
    /// How many, so that an open gate costs nothing.
    count: AtomicUsize,
    age: Duration,
    keys: Keys,
}

impl Gate {
    pub(crate) fn new(
        age: Duration,
        truth: Arc<dyn Backend>,
        shared: Option<Arc<dyn Shared>>,
    ) -> Self {
        let keys = Keys {
            truth,
            idle: Mutex::default(),
            sip: OnceLock::new(),
            under_way: Mutex::default(),
        };
        let (closed, opened) = (RwLock::default(), Mutex::default());
        Self { closed, opened, shared, count: AtomicUsize::new(0), age, keys }
    }

    /// Nothing of this SKU was left just now.
    pub(crate) fn close(&self, sku: SkuId) {
        self.shut(sku, self.age);
        if let Some(shared) = &self.shared {
            shared.close(sku, self.age);
        }
    }

    fn shut(&self, sku: SkuId, age: Duration) {
        let now = Instant::now();
        let mut closed = self.closed.write();
        closed.retain(|_, until| *until > now);
        closed.insert(sku, now + age.min(self.age));
        self.count.store(closed.len(), Ordering::Relaxed);
    }

    /// There may be some of it again.
    pub(crate) fn open(&self, sku: SkuId) {
        if let Some(shared) = &self.shared {
            let now = Instant::now();
            let mut opened = self.opened.lock();
            opened.retain(|_, until| *until > now);
            opened.insert(sku, now + self.age);
            shared.open(&[sku]);
        }
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut closed = self.closed.write();
            closed.remove(&sku);
            self.count.store(closed.len(), Ordering::Relaxed);
        }
    }

    /// Believes from now on what other processes have found out.
    pub(crate) fn listen(self: &Arc<Self>) {
        let Some(shared) = &self.shared else { return };
        let gate = Arc::downgrade(self);
        shared.listen(Box::new(move |closed| {
            if let Some(gate) = gate.upgrade() {
                gate.hear(closed);
            }
        }));
    }

    fn hear(&self, closed: &[(SkuId, Duration)]) {
        let now = Instant::now();
        let opened = self.opened.lock();
        let believed = |sku: &SkuId| opened.get(sku).is_none_or(|until| *until <= now);
        for (sku, left) in closed.iter().filter(|(sku, _)| believed(sku)) {
            self.shut(*sku, *left);
        }
    }

    /// Whether it is closed for anything.
    fn is_busy(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// The first of `skus` that is sold out.
    pub(crate) fn refused(&self, mut skus: impl Iterator<Item = SkuId>) -> Option<SkuId> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let now = Instant::now();
        let closed = self.closed.read();
        skus.find(|sku| closed.get(sku).is_some_and(|until| *until > now))
    }

    /// Whether a request came before. When in doubt, yes.
    pub(crate) fn knows(&self, key: &IdemKey) -> bool {
        self.keys.hash(key).is_none_or(|hash| {
            self.keys.under_way.lock().contains(&hash) || self.keys.stored(hash).unwrap_or(true)
        })
    }

    /// Marks a request as under way until the guard is dropped, after its commit.
    pub(crate) fn begin(self: &Arc<Self>, key: &IdemKey) -> UnderWay {
        let hash = self.keys.hash(key);
        if let Some(hash) = hash {
            self.keys.under_way.lock().insert(hash);
        }
        UnderWay { gate: Arc::clone(self), hash }
    }
}

/// Opens a gate when the outbox says that there is stock again.
#[derive(Debug)]
pub(crate) struct Opening {
    gate: Arc<Gate>,
    /// What the last look has said of SKUs, the last word of each.
    available: HashMap<SkuId, i64>,
}

impl Opening {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, available: HashMap::new() }
    }
}

impl Follower for Opening {
    fn topics(&self) -> &'static [&'static str] {
        &["stock.changed"]
    }

    fn take(&mut self, event: &Event<'_>) {
        // Nearly always nothing is sold out, and nobody has to know what the event says.
        if !self.gate.is_busy() {
            return;
        }
        if let Ok(Fact::StockChanged { stocks }) = Fact::decode(event.payload) {
            self.available.extend(stocks.into_iter().map(|(sku, left)| (SkuId(sku), left)));
        }
    }

    fn reached(&mut self, _place: i64) {
        for (sku, left) in self.available.drain() {
            if left > 0 && self.gate.refused(std::iter::once(sku)).is_some() {
                self.gate.open(sku);
            }
        }
    }

    /// A mark ends by itself.
    fn missed(&mut self, _place: i64) {}
}

/// A request that the store may not know yet.
#[derive(Debug)]
pub(crate) struct UnderWay {
    gate: Arc<Gate>,
    hash: Option<i64>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(hash) = self.hash {
            self.gate.keys.under_way.lock().remove(&hash);
        }
    }
}

/// Which requests came before.
struct Keys {
    truth: Arc<dyn Backend>,
    idle: Mutex<Vec<Box<dyn Reader>>>,
    sip: OnceLock<[u8; 16]>,
    under_way: Mutex<HashSet<i64>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("truth", &self.truth).finish_non_exhaustive()
    }
}

impl Keys {
    /// As the engine hashes it; none: the store cannot be read.
    fn hash(&self, key: &IdemKey) -> Option<i64> {
        let sip = if let Some(sip) = self.sip.get() {
            sip
        } else {
            let read = self.sip_key().ok().flatten()?;
            self.sip.get_or_init(|| read)
        };
        let mut hasher = SipHasher24::new_with_key(sip);
        hasher.write(key.scope.as_bytes());
        hasher.write(&[0]);
        hasher.write(key.key.as_bytes());
        Some(hasher.finish().cast_signed())
    }

    fn sip_key(&self) -> Result<Option<[u8; 16]>, Fault> {
        let mut found = None;
        let read = Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) };
        let mut reader = self.reader()?;
        reader.read(&[read], &mut |_, row| found = row.blob(5).try_into().ok())?;
        self.idle.lock().push(reader);
        Ok(found)
    }

    /// Whether the place of this hash is taken; by another key of the same hash counts, too.
    fn stored(&self, hash: i64) -> Result<bool, Fault> {
        let mut found = false;
        let read = Read { table: &IDEM, by: By::Keys(vec![[hash, 0, 0]]) };
        let mut reader = self.reader()?;
        reader.read(&[read], &mut |_, _| found = true)?;
        self.idle.lock().push(reader);
        Ok(found)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        let idle = self.idle.lock().pop();
        idle.map_or_else(|| self.truth.reader(), Ok)
    }
}

#[cfg(test)]
mod tests {
    use jangbu_engine::port::{Mode, WritePlan};
    use jangbu_store::Memory;

    use super::*;

    fn gate() -> Arc<Gate> {
        let memory = Memory::new();
        let found = |plan: &mut WritePlan| {
            let mut row = plan.row(&SHARD, Mode::Insert);
            row.int(0).int(0).int(0).int(0).int(0).blob(&[7; 16]).int(0).int(0).int(1);
        };
        let mut write = |store: &mut dyn jangbu_engine::port::Store| {
            let (mut tx, mut plan) = (store.begin().unwrap(), WritePlan::default());
            found(&mut plan);
            tx.write(&plan).unwrap();
            tx.commit().unwrap();
        };
        memory.with(&mut write).unwrap();
        Arc::new(Gate::new(Duration::from_mins(1), Arc::new(memory), None))
    }

    fn key(text: &str) -> IdemKey {
        IdemKey { scope: "client:order.place".into(), key: text.into(), body: [1; 17] }
    }

    #[test]
    fn a_key_is_known_while_its_request_is_under_way() {
        let gate = gate();
        assert!(!gate.knows(&key("a")));
        let under_way = gate.begin(&key("a"));
        assert_eq!((gate.knows(&key("a")), gate.knows(&key("b"))), (true, false));
        drop(under_way);
        assert!(!gate.knows(&key("a")), "it was refused, so the store does not know it");
    }

    #[test]
    fn a_store_that_cannot_be_read_lets_everything_pass() {
        let gate = Gate::new(Duration::from_mins(1), Arc::new(Memory::new()), None);
        assert!(gate.knows(&key("a")), "without the hash key nobody can tell");
    }

    #[test]
    fn closed_for_one_sku_until_stock_comes_in() {
        let gate = gate();
        let refused = |gate: &Gate| gate.refused([SkuId(1), SkuId(2)].into_iter());
        assert_eq!(refused(&gate), None);
        gate.close(SkuId(2));
        assert_eq!(refused(&gate), Some(SkuId(2)));
        gate.open(SkuId(2));
        assert_eq!(refused(&gate), None);
    }

    #[test]
    fn the_outbox_opens_what_has_stock_again_by_its_last_word() {
        let gate = gate();
        let refused = |sku| gate.refused(std::iter::once(SkuId(sku))).is_some();
        let mut opening = Opening::new(Arc::clone(&gate));
        let mut tell = |stocks: &[(i64, i64)]| {
            let fact = Fact::StockChanged { stocks: stocks.to_vec() };
            let payload = postcard::to_allocvec(&fact).unwrap();
            opening.take(&Event { seq: 1, topic: "stock.changed", key: 0, payload: &payload });
        };
        gate.close(SkuId(1));
        gate.close(SkuId(2));
        tell(&[(1, 5), (2, 5), (3, 5)]);
        tell(&[(2, 0)]);
        assert!(refused(1), "not before the end of the look");
        opening.reached(2);
        assert_eq!((refused(1), refused(2)), (false, true));
    }

    #[test]
    fn what_others_say_is_believed_as_long_as_they_say_and_never_against_ones_own_word() {
        let gate = gate();
        let refused = |sku| gate.refused(std::iter::once(SkuId(sku))).is_some();
        gate.hear(&[(SkuId(1), Duration::from_secs(30)), (SkuId(2), Duration::ZERO)]);
        assert_eq!((refused(1), refused(2)), (true, false));
        gate.opened.lock().insert(SkuId(3), Instant::now() + Duration::from_secs(30));
        gate.hear(&[(SkuId(3), Duration::from_secs(30))]);
        assert!(!refused(3), "stock came in here a moment ago");
    }
}
