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
            Box::pin(async { Ok(Reply::ok(&Health { status: "UP", reason: None, cache: None })) })
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
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Cache>,
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
    let word = if status == 200 { "UP" } else { "DOWN" };
    Reply::json(status, &Health { status: word, reason, cache: Some(Cache::of(api)) })
}
