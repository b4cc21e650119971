//! Readers of one database, and of projections that must have come so far.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jangbu_engine::port::{Backend, By, Fault, Fields, Read, Reader, Walk};
use parking_lot::{Condvar, Mutex};

use crate::consumer::OFFSET;

type Open = dyn Fn() -> Result<Box<dyn Reader>, Fault> + Send + Sync;

/// Readers of one database, opened as they are needed and used again; no more than it has room for.
pub(crate) struct Readers {
    open: Box<Open>,
    most: usize,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Box<dyn Reader>>,
    /// Those that are idle, and those that are at work.
    open: usize,
}

impl Debug for Readers {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let pool = self.pool.lock();
        write!(f, "Readers({} of {} idle)", pool.idle.len(), pool.open)
    }
}

impl Readers {
    /// Readers of `backend`.
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        let most = backend.most_readers();
        Self::opened(most, move || backend.reader())
    }

    /// At most `most` readers that `open` opens.
    pub(super) fn opened(
        most: usize,
        open: impl Fn() -> Result<Box<dyn Reader>, Fault> + Send + Sync + 'static,
    ) -> Self {
        Self { open: Box::new(open), most, pool: Mutex::default(), freed: Condvar::new() }
    }

    pub(crate) fn read(
        &self,
        reads: &[Read],
        each: &mut dyn FnMut(usize, &dyn Fields),
    ) -> Result<(), Fault> {
        self.with(|reader| reader.read(reads, each))
    }

    pub(crate) fn walk(
        &self,
        walks: &[Walk],
        each: &mut dyn FnMut(usize, &dyn Fields),
    ) -> Result<(), Fault> {
        self.with(|reader| reader.walk(walks, each))
    }

    fn with(&self, work: impl FnOnce(&mut dyn Reader) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut place = self.place();
        let mut reader = match place.reader.take() {
            Some(reader) => reader,
            None => (self.open)()?,
        };
        let result = work(&mut *reader);
        place.reader = result.is_ok().then_some(reader);
        result
    }

    /// Waits for a place in the pool; it may have a reader already.
    fn place(&self) -> Place<'_> {
        let mut pool = self.pool.lock();
        while pool.idle.is_empty() && pool.open >= self.most {
            self.freed.wait(&mut pool);
        }
        let reader = pool.idle.pop();
        pool.open += usize::from(reader.is_none());
        drop(pool);
        Place { readers: self, reader }
    }
}

/// A place in the pool, given back when it is dropped, also by a panic.
struct Place<'r> {
    readers: &'r Readers,
    reader: Option<Box<dyn Reader>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool.lock();
        match self.reader.take() {
            Some(reader) => pool.idle.push(reader),
            None => pool.open -= 1,
        }
        drop(pool);
        self.readers.freed.notify_one();
    }
}

/// The projections of a database, which must have taken in an event before they are read. That is looked at
/// with the first read, and not at all when nothing is asked for.
#[derive(Debug)]
pub(crate) struct Derived {
    readers: Arc<Readers>,
    least: i64,
    met: AtomicBool,
    behind: AtomicBool,
}

impl Derived {
    pub(super) fn new(readers: Arc<Readers>, least: i64) -> Self {
        Self { readers, least, met: AtomicBool::new(least <= 0), behind: AtomicBool::default() }
    }

    /// The same, when event `least` is in them.
    pub(super) fn after(&self, least: i64) -> Self {
        Self::new(Arc::clone(&self.readers), least)
    }

    /// Whether a read failed because they have not come so far.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    pub(crate) fn read(
        &self,
        reads: &[Read],
        each: &mut dyn FnMut(usize, &dyn Fields),
    ) -> Result<(), Fault> {
        self.meet()?;
        self.readers.read(reads, each)
    }

    pub(crate) fn walk(
        &self,
        walks: &[Walk],
        each: &mut dyn FnMut(usize, &dyn Fields),
    ) -> Result<(), Fault> {
        self.meet()?;
        self.readers.walk(walks, each)
    }

    /// The latest event that they have taken in.
    pub(super) fn projected(&self) -> Result<i64, Fault> {
        let mut seq = 0;
        let by = By::Keys(vec![[0; 3]]);
        self.readers.read(&[Read { table: &OFFSET, by }], &mut |_, row| seq = row.int(1))?;
        Ok(seq)
    }

    fn meet(&self) -> Result<(), Fault> {
        if self.met.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (seq, least) = (self.projected()?, self.least);
        if seq < least {
            self.behind.store(true, Ordering::Relaxed);
            let why = format!("the projections have come to event {seq}, not yet to {least}");
            return Err(Fault::Transient(why));
        }
        self.met.store(true, Ordering::Relaxed);
        Ok(())
    }
}
