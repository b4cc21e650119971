//! Whether the process lives, and whether it takes orders.

use std::sync::Arc;

use jangbu_engine::mailbox::Why;
use jangbu_engine::role::Role;
use jangbu_services::queries::Usage;
use serde::Serialize;

use crate::Api;
use crate::auth;
use crate::metrics;
use crate::reply::Reply;
use crate::route::{Doc, Route};

const fn get(
    path: &'static str,
    name: &'static str,
    run: fn(Arc<Api>, crate::call::Call) -> crate::route::Work,
    doc: Doc,
) -> Route {
    Route { method: "GET", path, name, role: auth::Role::Anybody, keyed: false, run, doc }
}

const fn doc(summary: &'static str, answers: &'static [(u16, &'static str, &'static str)]) -> Doc {
    Doc { summary, query: &[], body: None, answers, codes: &[] }
}

const READY: &[(u16, &str, &str)] = &[
    (200, "Health", "It takes orders, or an operator has switched to read-only"),
    (
        503,
        "Health",
        "It does not: the store has failed, the disk is full, its owner is not reached, or it is going down",
    ),
];

pub(crate) const ROUTES: &[Route] = &[
    get(
        "/livez",
        "health.live",
        |_, _| Box::pin(async { Ok(Reply::ok(&Health { status: "UP", ..Health::default() })) }),
        doc("Whether the process lives", &[(200, "Health", "It does")]),
    ),
    get(
        "/readyz",
        "health.ready",
        |api, _| Box::pin(async move { Ok(ready(&api)) }),
        doc("Whether it takes orders", READY),
    ),
    get(
        "/actuator/health",
        "health.actuator",
        |api, _| Box::pin(async move { Ok(ready(&api)) }),
        doc("The same as /readyz", READY),
    ),
    get(
        "/metrics",
        "metrics",
        |api, call| Box::pin(async move { metrics::get(&api, &call).await }),
        doc("Counters in Prometheus text", &[(200, "", "The counters")]),
    ),
];

#[derive(Default, Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// What this process is to the shop's database.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Where the owner hears the other processes; none: nothing is shared, or nobody is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Cache>,
    /// Servers beside the store. None of them is needed for orders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
}

/// What is kept of the catalogue. Without it everything is slower and nothing is wrong, so it says
/// nothing about whether orders are taken.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cache {
    /// None: nobody has read yet.
    hit_percent: Option<u64>,
    shared: &'static str,
}

impl Cache {
    fn of(api: &Api) -> Self {
        let shared = match api.shared.as_ref().map(|shared| shared.link().up) {
            None => "OFF",
            Some(true) => "UP",
            Some(false) => "DOWN",
        };
        Self { hit_percent: api.front.stats().hit_percent(), shared }
    }
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// What is known of the servers that are used.
fn parts(api: &Api) -> Vec<Part> {
    let kafka = api.relay.as_ref().map(|watch| {
        let reason = match (watch.is_up(), watch.finding()) {
            (false, _) => Some("events cannot be published now; they are kept"),
            (true, Some(_)) => Some("topics are not as they are set; the log says which"),
            (true, None) => None,
        };
        Part { name: "kafka", status: word(watch.is_up()), reason }
    });
    let replica = |replica: Usage| {
        let reason = replica.sight.away;
        Part { name: "replica", status: word(reason.is_none()), reason }
    };
    kafka.into_iter().chain(api.views.replicas().map(replica)).collect()
}

fn word(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

fn ready(api: &Api) -> Reply {
    let (status, reason) = match api.shop.read_only() {
        None => (200, None),
        Some(Why::ReadOnly) => (200, Some("an operator has switched to read-only")),
        Some(Why::Full) => (503, Some("the disk is full: read-only until there is room")),
        Some(Why::StoreFailed | Why::Unsure) => {
            (503, Some("the store has failed; the log says why"))
        }
        Some(Why::Stopping | Why::Moved) => (503, Some("going down")),
        Some(Why::Shed | Why::TooLate | Why::Poison) => (503, Some("no new business is taken")),
    };
    let (role, owner, away) = place(api);
    let (status, reason) = match away {
        Some(away) if status == 200 => (503, Some(away)),
        _ => (status, reason),
    };
    let cache = Some(Cache::of(api));
    Reply::json(
        status,
        &Health {
            status: word(status == 200),
            reason,
            role: Some(role),
            owner,
            cache,
            parts: parts(api),
        },
    )
}

/// The role, the owner's address, and why the owner is not there, if it is not.
fn place(api: &Api) -> (&'static str, Option<String>, Option<&'static str>) {
    match api.shop.role() {
        Role::Owner { .. } => ("OWNER", api.shop.address().map(str::to_owned), None),
        Role::Follower { owner, linked: true } => ("FOLLOWER", Some(owner), None),
        Role::Follower { owner, linked: false } => {
            ("FOLLOWER", Some(owner), Some("the process that owns the database is not reached"))
        }
        Role::Joining => ("JOINING", None, Some("it is looking for the owner of the database")),
        Role::Ended => ("ENDED", None, Some("going down")),
    }
}
