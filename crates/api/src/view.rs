//! Reads that may be a moment old, and reads that must not be older than a write.
//!
//! ```text
//! POST ─▶ commit ─▶ Jangbu-Position: 4711.9182
//! GET  Jangbu-Read-After: 4711.9182 ─▶ a replica that has come so far, else the store;
//!                                      lists wait until their projections have
//! ```
//!
//! [`Api::read`] sees the store itself and is for what commands do afterwards, and for what a client acts upon:
//! one order, one payment, points, stock, keys. [`Api::view`] is for a request alone, and gives a
//! [`View`](jangbu_services::queries::View), which cannot ask for the others.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jangbu_engine::port::Fault;
use jangbu_engine::position::Position;
use jangbu_services::queries::{Missed, Needs, View};

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;
use crate::route::Route;

const POSITION: HeaderName = HeaderName::from_static("jangbu-position");
const READ_AFTER: HeaderName = HeaderName::from_static("jangbu-read-after");

/// How often lists are looked at again that have not come so far, and how long between.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Whether it is a read that may bring a position.
pub(crate) fn reads_after(route: &Route) -> bool {
    route.method == "GET" && route.role > Role::Anybody
}

/// The position that a read brings; none: any state is good.
pub(crate) fn brought(route: &Route, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let value = headers.get(READ_AFTER).filter(|_| reads_after(route));
    let Some(value) = value else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    let detail = "Jangbu-Read-After is the Jangbu-Position of an earlier answer, as it came; leave it out to \
                  read whatever is there";
    position.map(Some).ok_or_else(|| Problem::of(Own::PositionInvalid, detail))
}

/// Puts the position of `api` on the answer to a write.
pub(crate) fn mark(api: &Api, headers: &mut HeaderMap) {
    let position = api.shop.position();
    if position != Position::default()
        && let Ok(value) = HeaderValue::try_from(position.to_string())
    {
        headers.insert(POSITION, value);
    }
}

impl Call {
    /// What a state must have before this read may see it.
    pub(crate) fn needs(&self) -> Needs {
        let reached = self.after.unwrap_or_default();
        Needs { reached, projected: reached.event }
    }
}

impl Api {
    /// Makes sure that the store has come to `after`. A position of a commit always is behind what can be read
    /// afterwards, so another one is not of this store.
    pub(crate) async fn reach(&self, after: Option<Position>) -> Result<(), Problem> {
        let Some(after) = after else { return Ok(()) };
        if self.shop.position().covers(after) {
            return Ok(());
        }
        let now = self.read(|queries| queries.position()).await?;
        self.shop.seen_at(now);
        if now.covers(after) {
            return Ok(());
        }
        let detail = format!(
            "this shop is at {now}, before {after}: the position is of another shop, or what it stands for was \
             lost with a server; leave Jangbu-Read-After out to read what is there"
        );
        Err(Problem::of(Own::PositionAhead, detail))
    }

    /// Reads what may be a moment old, but not older than what the request brings.
    pub(crate) async fn view<T: Send + 'static>(
        &self,
        call: &Call,
        read: impl Fn(&View) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        self.look(call.needs(), read, |_| true).await
    }

    /// The same of one thing. That it is not there only the store can say.
    pub(crate) async fn view_found<T: Send + 'static>(
        &self,
        call: &Call,
        read: impl Fn(&View) -> Result<Option<T>, Fault> + Send + Sync + 'static,
    ) -> Result<Option<T>, Problem> {
        self.look(call.needs(), read, Option::is_some).await
    }

    /// Reads a state that has what is needed; what a replica gives must be `whole`.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        needs: Needs,
        read: impl Fn(&View) -> Result<T, Fault> + Send + Sync + 'static,
        whole: fn(&T) -> bool,
    ) -> Result<T, Problem> {
        let read = Arc::new(read);
        let mut looks = 0;
        loop {
            let (views, read) = (Arc::clone(&self.views), Arc::clone(&read));
            let looked = tokio::task::spawn_blocking(move || views.read(needs, &*read, whole));
            match looked.await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(Missed::Behind(_))) if looks < LOOKS => {
                    looks += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(Err(missed)) => return Err(unread(missed)),
                Err(_) => return Err(damaged()),
            }
        }
    }
}

fn unread(missed: Missed) -> Problem {
    match missed {
        Missed::Behind(fault) => {
            let detail = "the lists have not taken in yet what Jangbu-Read-After stands for; try again, or leave \
                          it out to read what they have";
            Problem::of(Own::ReadBehind, detail).because(fault)
        }
        Missed::Fault(fault) => failed(fault),
    }
}

/// The store could not be read.
pub(crate) fn failed(fault: Fault) -> Problem {
    Problem::of(Own::ReadFailed, "nothing was changed; try again").because(fault)
}

/// What was read makes no sense.
pub(crate) fn damaged() -> Problem {
    Problem::of(Own::Internal, "a row cannot be read; run `jangbu prove`")
}
