//! The embedded log as a source: the outbox itself, read once for all consumers that stand at the
//! same place.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{By, Fault, Fields, Read, Reader};
use jangbu_kernel::{Time, Trace};
use parking_lot::Mutex;

use super::{Delivered, Source};
use crate::events::names;

/// The end of the outbox, as the last one who asked has seen it.
pub struct Tail {
    truth: Box<dyn Reader>,
    /// The topics that nobody here wants. A payload of one that is not known is always read.
    unwanted: Vec<&'static str>,
    /// After which event was read, and what, unless that is too long ago.
    seen: Option<(i64, u32, Arc<[Delivered]>)>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("unwanted", &self.unwanted).finish_non_exhaustive()
    }
}

impl Tail {
    /// Reads the outbox by `truth`, without the payloads of topics that nobody `wants`.
    pub fn new(truth: Box<dyn Reader>, wants: impl Fn(&str) -> bool) -> Arc<Mutex<Self>> {
        let unwanted = names().filter(|topic| !wants(topic)).collect();
        Arc::new(Mutex::new(Self { truth, unwanted, seen: None }))
    }

    /// What was read is old now.
    pub(super) fn renew(&mut self) {
        self.seen = None;
    }

    fn after(&mut self, after: i64, most: u32) -> Result<Arc<[Delivered]>, Fault> {
        if let Some((at, limit, events)) = &self.seen
            && (*at, *limit) == (after, most)
        {
            return Ok(Arc::clone(events));
        }
        let unwanted = &self.unwanted;
        let events = read(&mut *self.truth, after, most, |topic| !unwanted.contains(&topic))?;
        let events: Arc<[Delivered]> = events.into();
        self.seen = Some((after, most, Arc::clone(&events)));
        Ok(events)
    }
}

/// The events of the embedded log after a place.
#[derive(Debug)]
pub struct Log {
    tail: Arc<Mutex<Tail>>,
    after: i64,
}

impl Log {
    /// Follows the log behind `tail`.
    pub fn new(tail: &Arc<Mutex<Tail>>) -> Self {
        Self { tail: Arc::clone(tail), after: 0 }
    }
}

impl Source for Log {
    fn next(&mut self, most: u32) -> Result<Arc<[Delivered]>, Fault> {
        self.tail.lock().after(self.after, most)
    }

    fn taken(&mut self, place: &[(i32, i64)]) {
        let own = place.iter().find(|(stream, _)| *stream == 0);
        self.after = own.map_or(0, |(_, seq)| *seq);
    }

    fn is_log(&self) -> bool {
        true
    }
}

/// Events of the outbox behind one of them, with the payloads of topics that somebody `wants`.
pub(super) fn read(
    truth: &mut dyn Reader,
    after: i64,
    most: u32,
    wants: impl Fn(&str) -> bool,
) -> Result<Vec<Delivered>, Fault> {
    let mut events = Vec::new();
    let (from, to) = ([after + 1, 0, 0], [i64::MAX; 3]);
    let by = By::Range { from, to, descending: false, limit: most };
    truth
        .read(&[Read { table: &OUTBOX, by }], &mut |_, row| events.push(delivered(row, &wants)))?;
    Ok(events)
}

/// One event of the outbox.
pub(super) fn find(truth: &mut dyn Reader, seq: i64) -> Result<Option<Delivered>, Fault> {
    let mut found = None;
    let by = By::Keys(vec![[seq, 0, 0]]);
    truth.read(&[Read { table: &OUTBOX, by }], &mut |_, row| {
        found = Some(delivered(row, |_| true));
    })?;
    Ok(found)
}

fn delivered(row: &dyn Fields, wants: impl Fn(&str) -> bool) -> Delivered {
    let topic = row.text(3);
    // Names that are known need no copy.
    let known = names().find(|known| *known == topic);
    Delivered {
        stream: 0,
        offset: row.int(0),
        seq: row.int(0),
        at: Time(row.int(2)),
        topic: known.map_or_else(|| Cow::Owned(topic.to_owned()), Cow::Borrowed),
        key: row.int(4),
        version: row.int(5),
        correlation: row.opt_text(6).map(str::to_owned),
        trace: row.opt_text(8).and_then(Trace::parse),
        payload: if wants(topic) { row.blob(7).to_vec() } else { Vec::new() },
    }
}
