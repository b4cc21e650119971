//! One load for all who want the same value at the same time.
//!
//! Whoever comes first loads; who comes while that is under way waits for what is loaded. Nobody joins
//! a load that began before a change of which he may know: its mark must be the mark of now. When
//! who loads gives up (its client hangs up, the store fails), those who wait begin anew, and the
//! first of them loads.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// What was loaded: the answer, or that there is nothing to keep.
pub(super) type Landed = Option<Arc<[u8]>>;

/// Loads that are under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Box<str>, Arc<Flight>>>>);

/// One of them.
#[derive(Debug)]
struct Flight {
    /// The change of its group that was the last one when it began.
    mark: i64,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Under(Vec<Waker>),
    Landed(Landed),
    GivenUp,
}

/// A part in a load.
#[derive(Debug)]
pub(super) enum Part {
    /// Load it, and say so.
    Lead(Lead),
    /// Somebody loads it.
    Wait(Wait),
}

impl Flights {
    pub(super) fn join(&self, name: &str, mark: i64) -> Part {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(name).filter(|flight| flight.mark == mark) {
            return Part::Wait(Wait(Arc::clone(flight)));
        }
        let flight = Arc::new(Flight { mark, state: Mutex::new(State::Under(Vec::new())) });
        flights.insert(name.into(), Arc::clone(&flight));
        Part::Lead(Lead { flights: Arc::clone(&self.0), name: name.into(), flight })
    }
}

/// Who loads.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Arc<Mutex<HashMap<Box<str>, Arc<Flight>>>>,
    name: Box<str>,
    flight: Arc<Flight>,
}

impl Lead {
    /// It is there.
    pub(super) fn land(self, landed: Landed) {
        self.end(State::Landed(landed));
    }

    fn end(&self, end: State) {
        let mut flights = self.flights.lock();
        // A later load of the same name may have taken the place.
        if flights.get(&self.name).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.name);
        }
        drop(flights);
        let mut state = self.flight.state.lock();
        let State::Under(waiting) = &mut *state else { return };
        let waiting = std::mem::take(waiting);
        *state = end;
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.end(State::GivenUp);
    }
}

/// Who waits; none: who loaded has given up.
#[derive(Debug)]
pub(super) struct Wait(Arc<Flight>);

impl Future for Wait {
    type Output = Option<Landed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self.0.state.lock() {
            State::Landed(landed) => Poll::Ready(Some(landed.clone())),
            State::GivenUp => Poll::Ready(None),
            State::Under(waiting) => {
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(wait: &mut Wait) -> Poll<Option<Landed>> {
        Pin::new(wait).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn lead(part: Part) -> Lead {
        match part {
            Part::Lead(lead) => lead,
            Part::Wait(_) => panic!("somebody loads already"),
        }
    }

    fn wait(part: Part) -> Wait {
        match part {
            Part::Wait(wait) => wait,
            Part::Lead(_) => panic!("nobody loads"),
        }
    }

    #[test]
    fn one_loads_and_the_others_hear_of_it() {
        let flights = Flights::default();
        let first = lead(flights.join("tee", 1));
        let mut others = [wait(flights.join("tee", 1)), wait(flights.join("tee", 1))];
        assert!(others.iter_mut().all(|other| poll(other).is_pending()));
        drop(lead(flights.join("mug", 1)));
        first.land(Some(b"tee"[..].into()));
        for other in &mut others {
            assert_eq!(poll(other), Poll::Ready(Some(Some(b"tee"[..].into()))));
        }
        drop(lead(flights.join("tee", 1)));
        assert!(flights.0.lock().is_empty());
    }

    #[test]
    fn nobody_joins_a_load_from_before_a_change() {
        let flights = Flights::default();
        let before = lead(flights.join("tee", 1));
        let after = lead(flights.join("tee", 2));
        let mut waiting = wait(flights.join("tee", 2));
        before.land(Some(b"old"[..].into()));
        assert!(poll(&mut waiting).is_pending());
        after.land(Some(b"new"[..].into()));
        assert_eq!(poll(&mut waiting), Poll::Ready(Some(Some(b"new"[..].into()))));
    }

    #[test]
    fn who_gives_up_is_followed_by_one_of_those_who_wait() {
        let flights = Flights::default();
        let first = lead(flights.join("tee", 1));
        let mut waiting = wait(flights.join("tee", 1));
        drop(first);
        assert_eq!(poll(&mut waiting), Poll::Ready(None));
        drop(lead(flights.join("tee", 1)));
    }
}
