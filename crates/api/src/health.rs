//! Whether the process lives, and whether it takes orders.

use std::sync::Arc;

use jangbu_engine::mailbox::Why;
use serde::Serialize;

use crate::Api;
use crate::auth::Role;
use crate::metrics;
use crate::reply::Reply;
use crate::route::{Doc, Route};

const fn get(
    path: &'static str,
    name: &'static str,
    run: fn(Arc<Api>, crate::call::Call) -> crate::route::Work,
    doc: Doc,
) -> Route {
    Route { method: "GET", path, name, role: Role::Anybody, keyed: false, run, doc }
}

const fn doc(summary: &'static str, answers: &'static [(u16, &'static str, &'static str)]) -> Doc {
    Doc { summary, query: &[], body: None, answers, codes: &[] }
}

const READY: &[(u16, &str, &str)] = &[
    (200, "Health", "It takes orders, or an operator has switched to read-only"),
    (503, "Health", "It does not: the store has failed, the disk is full, or it is going down"),
];

pub(crate) const ROUTES: &[Route] = &[
    get(
        "/livez",
        "health.live",
        |_, _| {
            Box::pin(async {
                Ok(Reply::ok(&Health { status: "UP", reason: None, parts: Vec::new() }))
            })
        },
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

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Servers beside the store. None of them is needed for orders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
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
    kafka.into_iter().collect()
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
        Some(Why::Stopping) => (503, Some("going down")),
        Some(Why::Shed | Why::TooLate | Why::Poison) => (503, Some("no new business is taken")),
    };
    Reply::json(status, &Health { status: word(status == 200), reason, parts: parts(api) })
}
