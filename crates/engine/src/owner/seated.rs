//! What the thread of a cell does in each role.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use super::{Seat, Shared};
use crate::cell::{Cell, Step};
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::lease::{Lease, Renewal, Renewer};
use crate::port::{Fault, Store, Tenure};
use crate::role::Role;

/// Longest sleep: due rows are looked for at least so often.
const NAP: Duration = Duration::from_millis(20);

/// Sleep after the store was busy or full.
const BACK_OFF: Duration = Duration::from_millis(50);

/// How long the owner that hands over lets others take the cell.
const GRACE: Duration = Duration::from_millis(400);

/// How long a follower waits before it looks again for an owner that it does not reach.
const AGAIN: Duration = Duration::from_millis(50);

/// Who closes and does not reach the store any more tries so often.
const LAST_TRIES: u32 = 100;

/// Under load a batch begins not sooner than this after the one before: what a commit costs whatever is in
/// it (a flush, the last page of each table) is then shared by more orders, and no order is later for
/// it, since the processors have more time for the rest. See crates/bench/README.md for what it brought.
const LINGER: Duration = Duration::from_millis(3);

/// A batch of so many items is load.
const LOAD: u64 = 32;

/// How long to leave the mailbox alone after a batch of `items` that took so long.
fn pause(items: u64, took: Duration) -> Duration {
    if items < LOAD { Duration::ZERO } else { LINGER.saturating_sub(took) }
}

/// Why a cell is no longer driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The mailbox is closed and empty.
    Stopped,
    /// The copy that was open is no longer worked at.
    Copied,
    /// The lease is lost.
    Lost,
    /// It is handed over.
    Left,
}

/// What the thread has.
pub(super) struct Seated {
    pub(super) seat: Seat,
    pub(super) make: Box<dyn Fn() -> Cell + Send>,
    pub(super) opened: SyncSender<()>,
    pub(super) leave: Arc<AtomicBool>,
}

impl Seated {
    /// Drives a cell that is nobody else's.
    pub(super) fn alone(&self) -> Result<(), Fault> {
        let mut ended = Ok(Ended::Stopped);
        let result = self.seat.backend.with(&mut |store| {
            self.began(0);
            ended = self.drive(&mut (self.make)(), store, None);
        });
        result?;
        ended.map(|_| ())
    }

    fn began(&self, epoch: i64) {
        self.seat.standing.set(Role::Owner { epoch });
        self.ready();
    }

    /// Whoever started the thread may go on. That it has gone on before is no fault.
    fn ready(&self) {
        let _ = self.opened.try_send(());
    }

    /// Owns the cell or follows its owner, whichever it is, until the mailbox is closed and empty.
    pub(super) fn in_turns(&self, mut shared: Shared) -> Result<(), Fault> {
        let (mut known, mut started, mut stopped, mut tries) = (None, false, false, 0);
        loop {
            let begun = self.seat.clock.now();
            let found = known.take().map_or_else(
                || self.seat.backend.claim(&shared.address).map(|tenure| (begun, tenure)),
                Ok,
            );
            match found {
                Ok((begun, Tenure::Mine { epoch })) => {
                    stopped = self.own(&mut shared, epoch, begun)? == Ended::Stopped;
                }
                Ok((_, Tenure::Theirs { address, left })) => {
                    known = self.follow(&mut shared, &address, left);
                }
                Err(fault) if !started => return Err(fault),
                Err(fault) => self.unreached(fault, &mut tries)?,
            }
            started = true;
            let mailbox = &self.seat.mailbox;
            if stopped || (mailbox.is_closed() && mailbox.is_empty()) {
                return Ok(());
            }
        }
    }

    /// The store does not say whose the cell is: that is waited for, but not for ever by who closes.
    fn unreached(&self, fault: Fault, tries: &mut u32) -> Result<(), Fault> {
        tracing::warn!(%fault, "the store does not say whose the cell is");
        let mailbox = &self.seat.mailbox;
        *tries += u32::from(mailbox.is_closed());
        if *tries > LAST_TRIES {
            return Err(fault);
        }
        self.stay_away(AGAIN);
        Ok(())
    }

    /// Owns the cell until it is lost, handed over, or closed.
    fn own(&self, shared: &mut Shared, epoch: i64, begun: Time) -> Result<Ended, Fault> {
        let Seat { backend, mailbox, clock, standing, .. } = &self.seat;
        let lease = Arc::new(Lease::new(begun, shared.lease));
        let renewal = Renewal {
            backend: Arc::clone(backend),
            clock: Arc::clone(clock),
            mailbox: Arc::clone(mailbox),
            address: shared.address.clone(),
            epoch,
            every: shared.lease / 3,
        };
        let renewer = Renewer::start(renewal, Arc::clone(&lease))?;
        self.leave.store(false, Ordering::Release);
        tracing::info!(epoch, "this process owns the cell");
        let mut ended = Ok(Ended::Lost);
        let opened = backend.with(&mut |store| {
            shared.deputy.began(epoch);
            self.began(epoch);
            let mut cell = (self.make)().shared();
            ended = self.drive(&mut cell, store, Some(&lease));
            cell.leave();
        });
        standing.set(Role::Joining);
        // Nothing renews the lease any more when it is given up, and it is given up when others hear
        // that they may take it.
        drop(renewer);
        let ended = match opened.and(ended) {
            Err(Fault::LostEpoch(_)) => Ok(Ended::Lost),
            Err(Fault::Transient(why)) => {
                tracing::warn!(why, "the store is busy");
                self.stay_away(BACK_OFF);
                Ok(Ended::Lost)
            }
            other => other,
        };
        tracing::info!(epoch, ?ended, "this process owns the cell no more");
        let released = match ended {
            Ok(Ended::Lost | Ended::Copied) => Ok(()),
            // After a fault, too: another process may have more luck with the store.
            Ok(Ended::Stopped | Ended::Left) | Err(_) => backend.release(),
        };
        shared.deputy.ended();
        if let Err(fault) = released {
            tracing::warn!(%fault, "the lease is not given up: it runs out");
        }
        if matches!(ended, Ok(Ended::Left)) {
            self.stay_away(GRACE);
        }
        ended
    }

    /// Does nothing for so long, whoever nudges.
    fn stay_away(&self, limit: Duration) {
        let (mut watch, mut left) = (Stopwatch::start(), limit);
        while !left.is_zero() {
            self.seat.mailbox.rest(left);
            left = left.saturating_sub(Duration::from_nanos(watch.lap()));
        }
    }

    /// Forwards to the owner at `address`. The store is asked again when its lease, as it was seen
    /// last, has run out; what it says then, unless it is the same, comes back.
    fn follow(&self, shared: &mut Shared, address: &str, left: Duration) -> Option<(Time, Tenure)> {
        let Seat { backend, clock, standing, .. } = &self.seat;
        let after = |left: Duration| {
            clock.now() + Span(i64::try_from(left.max(AGAIN).as_micros()).unwrap_or(i64::MAX))
        };
        standing.set(Role::Follower { owner: address.to_owned(), linked: false });
        self.ready();
        let (mut look, mut next) = (after(left), None);
        let Shared { address: own, deputy, .. } = shared;
        let reached = deputy.forward(address, &mut || {
            let now = clock.now();
            if now < look {
                return true;
            }
            match backend.claim(own) {
                Ok(Tenure::Theirs { address: same, left }) if same == address => look = after(left),
                Ok(other) => next = Some((now, other)),
                Err(fault) => {
                    tracing::warn!(%fault, "the store does not say whose the cell is");
                    look = after(AGAIN);
                }
            }
            next.is_none()
        });
        if next.is_none() && !reached {
            self.stay_away(AGAIN);
        }
        next
    }

    /// Steps until the mailbox is closed and empty, writing has to stop, the cell is another
    /// process', or the copy that is open is no longer worked at.
    fn drive(
        &self,
        cell: &mut Cell,
        store: &mut dyn Store,
        lease: Option<&Lease>,
    ) -> Result<Ended, Fault> {
        let Seat { mailbox, clock, counters, .. } = &self.seat;
        let copying = cell.copies();
        loop {
            let (mut whole, before) = (Stopwatch::start(), counters.items());
            let now = clock.now();
            if let Some(ended) = lease.and_then(|lease| self.over(lease, now)) {
                return Ok(ended);
            }
            match cell.step(store, now)? {
                Step::Worked => {
                    let mut watch = Stopwatch::start();
                    store.between()?;
                    Counters::add(&counters.between_ns, watch.lap());
                    self.linger(counters.items() - before, Duration::from_nanos(whole.lap()));
                }
                Step::BackOff => mailbox.rest(BACK_OFF),
                Step::Idle if mailbox.is_closed() => return Ok(Ended::Stopped),
                Step::Idle => {
                    store.between()?;
                    mailbox.wait(NAP);
                }
            }
            if copying && !cell.copies() {
                return Ok(Ended::Copied);
            }
            if let Some(to) = cell.wants_copy() {
                self.copy(&to, cell, store, lease)?;
            }
        }
    }

    /// Goes on while a copy to `to` is open, until nobody works at it any more.
    fn copy(
        &self,
        to: &Path,
        cell: &mut Cell,
        store: &mut dyn Store,
        lease: Option<&Lease>,
    ) -> Result<(), Fault> {
        let mut ended = Ok(Ended::Copied);
        let copied = store.copying(to, &mut |store| {
            cell.begin_copy(to);
            ended = self.drive(cell, store, lease);
        });
        cell.end_copy(to, &copied);
        ended.map(|_| ())
    }

    fn linger(&self, items: u64, took: Duration) {
        let pause = pause(items, took);
        if !pause.is_zero() {
            self.seat.mailbox.rest(pause);
        }
    }

    fn over(&self, lease: &Lease, now: Time) -> Option<Ended> {
        if self.leave.load(Ordering::Acquire) {
            return Some(Ended::Left);
        }
        (!lease.holds(now)).then_some(Ended::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_batch_that_was_quick_is_followed_by_a_pause() {
        let ms = Duration::from_millis;
        assert_eq!(pause(LOAD - 1, ms(0)), ms(0));
        assert_eq!(pause(LOAD, ms(1)), ms(2));
        assert_eq!(pause(512, ms(3)), ms(0));
        assert_eq!(pause(512, ms(30)), ms(0));
    }
}
