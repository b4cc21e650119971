//! An idempotency key explained: what its first request did, who sent it again, and who sent
//! something else under it.
//!
//! The first request is a row. A key is looked up together with its scope, so every scope that a
//! caller can have is tried: kind of caller × keyed operation, and for merchants each that has a
//! key. A merchant without one (unsigned mode) is found by the query parameter `scope`, or because
//! its key came again.

use std::sync::Arc;

use jangbu_engine::port::Fault;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{GrantId, OrderId, PaymentId, ProductId, RefundId, SkuId};
use jangbu_services::queries::Queries;
use jangbu_services::requests::Carried;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;
use crate::repeats::{Conflict, Difference, Repeated};
use crate::reply::Reply;
use crate::route::{self, Doc, Route};
use crate::schemas::{list, nullable, object, of, text, time, whole};
use crate::text::{At, hex};

pub(crate) const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/api/v1/idempotency/{key}",
    name: "idempotency.get",
    role: Role::Operator,
    keyed: false,
    run: |api, call| Box::pin(async move { get(&api, &call).await }),
    doc: Doc {
        summary: "What was done under an idempotency key, who repeated it, and what differed",
        query: &["scope"],
        body: None,
        answers: &[(200, "KeyExplained", "Every scope in which the key is known")],
        codes: &["IDEMPOTENCY_KEY_UNKNOWN"],
    },
}];

#[derive(Serialize)]
struct Explained<'a> {
    key: &'a str,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    scope: Box<str>,
    operation: String,
    resource: String,
    fingerprint: String,
    at: At,
    replays: ReplaysOut,
    conflicts: Vec<ConflictOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplaysOut {
    count: u64,
    last_at: Option<At>,
    last_request: Option<Arc<str>>,
}

#[derive(Serialize)]
struct ConflictOut {
    at: At,
    request: Option<Arc<str>>,
    fingerprint: String,
    differences: Vec<DifferenceOut>,
}

#[derive(Serialize)]
struct DifferenceOut {
    field: &'static str,
    first: String,
    later: String,
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let key = call.param().to_owned();
    let repeats = api.repeats.of(&key);
    let scopes = match call.query()?.get("scope") {
        Some(scope) => vec![scope.to_owned()],
        None => scopes(api, repeats.iter().map(|(scope, _)| &**scope)),
    };
    let wanted = key.clone();
    let found = api.read(move |queries| queries.requests(&scopes, &wanted)).await?;
    if found.is_empty() {
        let detail = "no request was carried out under this key; a refused one leaves none";
        return Err(Problem::of(Own::KeyUnknown, detail));
    }
    let item = |carried: Carried| {
        let of_scope = repeats.iter().find(|(scope, _)| *scope == carried.key.scope);
        Item::new(carried, of_scope.map(|(_, repeated)| repeated.clone()).unwrap_or_default())
    };
    Ok(Reply::ok(&Explained { key: &key, items: found.into_iter().map(item).collect() }))
}

/// Every scope that a caller can have, and those that were seen.
fn scopes<'a>(api: &Api, seen: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scopes: Vec<String> = seen.map(str::to_owned).collect();
    for route in route::all().filter(|route| route.keyed || route.role == Role::Merchant) {
        for role in [Role::Client, Role::Operator] {
            scopes.push(format!("{}:{}", role.name(), route.name));
        }
        if route.role == Role::Merchant {
            let of = |merchant| format!("merchant:{merchant}:{}", route.name);
            scopes.extend(api.keys.merchants().map(of));
        }
    }
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

impl Item {
    fn new(carried: Carried, repeated: Repeated) -> Self {
        let operation = carried.key.scope.rsplit(':').next().unwrap_or_default().to_owned();
        let (last_at, last_request) = repeated.last.unzip();
        Self {
            resource: resource(&operation, carried.resource),
            operation,
            fingerprint: hex(&carried.key.body),
            at: At(carried.at),
            replays: ReplaysOut {
                count: repeated.replays,
                last_at: last_at.map(At),
                last_request: last_request.flatten(),
            },
            conflicts: repeated.conflicts.into_iter().map(ConflictOut::from).collect(),
            scope: carried.key.scope,
        }
    }
}

impl From<Conflict> for ConflictOut {
    fn from(conflict: Conflict) -> Self {
        let difference = |Difference { field, first, later }| DifferenceOut { field, first, later };
        Self {
            at: At(conflict.at),
            request: conflict.request,
            fingerprint: hex(&conflict.body),
            differences: conflict.differences.into_iter().map(difference).collect(),
        }
    }
}

/// The id of what an operation makes, as its own endpoint shows it.
pub(crate) fn resource(operation: &str, id: i64) -> String {
    match operation.split('.').next().unwrap_or_default() {
        "order" | "saga" => OrderId(id).to_string(),
        "payment" => PaymentId(id).to_string(),
        "product" => ProductId(id).to_string(),
        "sku" => SkuId(id).to_string(),
        "stock" => MovementId(id).to_string(),
        "point" if operation == "point.charge" => PaymentId(id).to_string(),
        "point" if operation == "point.refund" => RefundId(id).to_string(),
        "point" => GrantId(id).to_string(),
        _ => id.to_string(),
    }
}

impl Api {
    /// Names the fields in which a command differs from the first one of its key: `compare` looks
    /// at what that one made. Any other problem stays as it is.
    pub(crate) async fn differ(
        &self,
        mut problem: Problem,
        compare: impl FnOnce(&Queries, i64) -> Result<Vec<Difference>, Fault> + Send + 'static,
    ) -> Problem {
        let Some(reused) = problem.reused.take() else { return problem };
        let resource = reused.resource;
        // Without the first one the refusal stands all the same.
        let Ok(found) = self.read(move |queries| compare(queries, resource)).await else {
            return problem;
        };
        self.repeats.differs(&reused, &found);
        for Difference { field, first, later } in found {
            problem = problem.at(field, format!("was {first} in the first request, now {later}"));
        }
        problem
    }
}

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let difference = json!({ "field": text(), "first": text(), "later": text() });
    let conflict = json!({
        "at": time(), "request": nullable("string"), "fingerprint": text(),
        "differences": list("KeyDifference"),
    });
    let replays = json!({ "count": whole(), "lastAt": nullable("string"), "lastRequest": nullable("string") });
    let item = json!({
        "scope": text(), "operation": text(), "resource": text(), "fingerprint": text(),
        "at": time(), "replays": of("KeyReplays"), "conflicts": list("KeyConflict"),
    });
    json!({
        "KeyDifference": object(&difference), "KeyConflict": object(&conflict),
        "KeyReplays": object(&replays), "KeyUse": object(&item),
        "KeyExplained": object(&json!({ "key": text(), "items": list("KeyUse") })),
    })
}
