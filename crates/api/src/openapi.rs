//! The OpenAPI 3.1 document, made from the table of routes: what a route does not have cannot be
//! documented, and a route without a description does not compile.

use serde_json::{Map, Value, json};

use crate::auth::Role;
use crate::codes::{Own, row_of};
use crate::reply::Reply;
use crate::route::{self, Class, Doc, Route};
use crate::schemas;
use crate::view::reads_after;

pub(crate) const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/openapi.json",
    name: "openapi",
    role: Role::Anybody,
    keyed: false,
    run: |_, _| Box::pin(async { Ok(Reply::ok(&document())) }),
    doc: Doc {
        summary: "This document",
        query: &[],
        body: None,
        answers: &[(200, "OpenApi", "OpenAPI 3.1")],
        codes: &[],
    },
}];

/// The document as text, indented.
pub fn openapi_json() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

pub(crate) fn document() -> Value {
    let schemas = schemas::all();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Jangbu",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Orders that are paid, stock that is right, books that balance. \
                API.md explains the conventions: keys, money, pages, errors, waiting.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:7070" }],
        "paths": paths(&schemas),
        "components": {
            "securitySchemes": {
                "merchant": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "JANGBU-HMAC-SHA256 keyId=…, ts=…, nonce=…, sig=…: API.md, Signing.",
                },
                "customer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The token of a customer's session: POST /api/v1/sessions.",
                },
                "client": {
                    "type": "http", "scheme": "bearer",
                    "description": "The client key (keys/client.key), or the operator key.",
                },
                "operator": {
                    "type": "http", "scheme": "bearer",
                    "description": "An operator's key (keys/operator.key, keys/operators/NAME.key).",
                },
            },
            "parameters": parameters(),
            "schemas": schemas,
        },
    })
}

fn paths(schemas: &Value) -> Value {
    let mut paths = Map::new();
    for route in route::all() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(route, schemas);
    }
    Value::Object(paths)
}

fn operation(route: &Route, schemas: &Value) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "tags": [route.name.split('.').next().unwrap_or_default()],
        "summary": route.doc.summary,
        "parameters": parameters_of(route),
        "responses": responses(route),
        "security": security(route.role),
    });
    if let Some((schema, example)) = route.doc.body {
        let example: Value = serde_json::from_str(example).unwrap_or_default();
        operation["requestBody"] = json!({
            // No body is one without fields, which is enough if none must be there.
            "required": schemas[schema]["required"] != json!([]),
            "content": { "application/json": { "schema": reference(schema), "example": example } },
        });
    }
    operation
}

fn security(role: Role) -> Value {
    match role {
        Role::Anybody => json!([]),
        Role::Merchant => json!([{ "merchant": [] }, { "client": [] }, { "operator": [] }]),
        Role::Customer => json!([{ "customer": [] }, { "client": [] }, { "operator": [] }]),
        Role::Client => json!([{ "client": [] }, { "operator": [] }]),
        Role::Operator => json!([{ "operator": [] }]),
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn parameters_of(route: &Route) -> Value {
    let mut found: Vec<Value> = Vec::new();
    for name in route.params() {
        let example = match (name, route.name.split('.').next()) {
            ("sku", _) | (_, Some("sku")) => "sku_01H9Z8D0G8000",
            ("keyId", _) => "key_01H9Z8D0GC000",
            ("code", Some("merchant")) => "m-1",
            ("code", _) => "merchant:m-1:payable",
            ("key", Some("idempotency")) => "order-1",
            ("consumer", _) => "projections",
            ("key", _) => "ord_01H9Z8D0GC000",
            ("no", _) => "1",
            (_, Some("ledger")) => "jnl_01H9Z8D0GC000",
            (_, Some("poison")) => "4711",
            (_, Some("order" | "saga")) => "ord_01H9Z8D0GC000",
            (_, Some("user")) => "usr_01H9Z8D0G4000",
            (_, Some("product")) => "prd_01H9Z8D0GG000",
            (_, Some("category")) => "cat_01H9Z8D0GG000",
            (_, Some("campaign")) | ("id", Some("coupon")) if route.path.contains("campaigns") => {
                "cmp_01H9Z8D0G4000"
            }
            (_, Some("coupon")) if route.path.contains("users") => "usr_01H9Z8D0G4000",
            (_, Some("coupon")) => "cpn_01H9Z8D0G4000",
            ("id", Some("point")) => "usr_01H9Z8D0GM000",
            _ => "pay_01H9Z8D0GC000",
        };
        let schema = match example.split_once('_') {
            // Whatever a consumer calls it: most often an id, of one kind or another.
            Some((prefix, _)) if name != "key" => {
                json!({ "type": "string", "pattern": schemas::id_pattern(prefix) })
            }
            _ => json!({ "type": "string" }),
        };
        found.push(json!({
            "name": name, "in": "path", "required": true, "schema": schema, "example": example,
        }));
    }
    for name in route.doc.query {
        let (name, required) = name.strip_suffix('!').map_or((*name, false), |name| (name, true));
        found.push(query_parameter(route, name, required));
    }
    if route.keyed {
        found.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    if matches!(route.name, "order.place" | "order.confirm" | "order.cancel" | "order.refund") {
        found.push(json!({ "$ref": "#/components/parameters/Prefer" }));
    }
    if reads_after(route) {
        found.push(json!({ "$ref": "#/components/parameters/ReadAfter" }));
    }
    found.push(json!({ "$ref": "#/components/parameters/CorrelationId" }));
    found.push(json!({ "$ref": "#/components/parameters/TraceParent" }));
    Value::Array(found)
}

fn query_parameter(route: &Route, name: &str, required: bool) -> Value {
    let (description, schema) = match name {
        "limit" => (
            "Items on a page",
            json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 }),
        ),
        "cursor" => ("nextCursor of the page before", json!({ "type": "string" })),
        "sort" => (
            "The order",
            json!({ "type": "string", "enum": ["newest", "price", "-price", "name"], "default": "newest" }),
        ),
        "published" => (
            "Only what is on sale, or is not",
            json!({ "type": "string", "enum": ["true", "false"] }),
        ),
        "categoryId" => (
            "In this category or below it",
            json!({ "type": "string", "pattern": schemas::id_pattern("cat") }),
        ),
        "minPrice" | "maxPrice" => (
            "Of the lowest price, in minor units",
            json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        ),
        "prefix" => (
            "How the name begins, whatever its case",
            json!({ "type": "string", "minLength": 1, "maxLength": 200 }),
        ),
        "merchantId" if route.name == "product.list" => {
            ("Who sells it", json!({ "type": "string", "minLength": 1, "maxLength": 200 }))
        }
        "merchantId" => ("Whose payment", crate::charge::merchant_schema()),
        "window" => (
            "Over one, 7 or 30 days of Seoul, today included",
            json!({ "type": "string", "enum": ["day", "week", "month"], "default": "week" }),
        ),
        "consumer" => {
            ("Only what this one has parked", json!({ "type": "string", "enum": consumers() }))
        }
        "scope" => ("As `client:order.place`; all known ones", json!({ "type": "string" })),
        "userId" => (
            "Whose; a session need not say it",
            json!({ "type": "string", "pattern": schemas::id_pattern("usr") }),
        ),
        "email" => ("Whose; in any case", json!({ "type": "string", "maxLength": 254 })),
        "state" => ("Which state", states(route)),
        "currency" => ("Which currency", schemas::currency()),
        _ => ("RFC 3339; that moment included", json!({ "type": "string", "format": "date-time" })),
    };
    json!({
        "name": name, "in": "query", "required": required,
        "description": description, "schema": schema,
    })
}

/// Names of the consumers of events.
fn consumers() -> Vec<&'static str> {
    jangbu_services::consumer::CONSUMERS.iter().map(|(_, name)| *name).collect()
}

/// What a list may be asked for.
fn states(route: &Route) -> Value {
    let open = schemas::STATES.into_iter().chain(["OPEN"]);
    let known: Vec<_> = match route.name {
        "saga.list" => open.collect(),
        "notification.list" => vec!["FAILED", "DEAD"],
        "coupon.list" => vec!["FREE", "USED", "EXPIRED", "REVOKED"],
        _ => vec!["UNKNOWN"],
    };
    json!({ "type": "string", "enum": known })
}

/// A commit and an event.
const POSITION: &str = "^[0-9]{1,18}\\.[0-9]{1,18}$";

fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Names this request. The same key and body again has one effect.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
            "example": "6f1c1f0e-7d0b-4a55-9a5e-2f1f6c6f0a11",
        },
        "ReadAfter": {
            "name": "Jangbu-Read-After", "in": "header", "required": false,
            "description": "The Jangbu-Position of an earlier answer: what is read is not from before it.",
            "schema": { "type": "string", "pattern": POSITION },
        },
        "CorrelationId": {
            "name": "X-Correlation-ID", "in": "header", "required": false,
            "description": "Goes through everything that follows, and comes back with the answer.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$" },
        },
        "TraceParent": {
            "name": "traceparent", "in": "header", "required": false,
            "description": "W3C Trace Context: the request becomes a part of that trace.",
            "schema": { "type": "string" },
            "example": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
        "Prefer": {
            "name": "Prefer", "in": "header", "required": false,
            "description": "`respond-async`: do not wait for the outcome.",
            "schema": { "type": "string" }, "example": "respond-async",
        },
    })
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for (status, schema, description) in route.doc.answers {
        let content = match *schema {
            "CampaignProof" => json!({
                "application/json": { "schema": reference(schema) },
                "text/html": { "schema": { "type": "string" } },
            }),
            "" => json!({ "text/plain": { "schema": { "type": "string" } } }),
            "Page" => json!({ "text/html": { "schema": { "type": "string" } } }),
            schema => json!({ "application/json": { "schema": reference(schema) } }),
        };
        let answer = json!({
            "description": description, "content": content, "headers": headers(route, *status),
        });
        responses.insert(status.to_string(), answer);
    }
    let mut codes = codes(route);
    codes.sort_by_key(|code| row_of(code).status);
    for group in codes.chunk_by(|a, b| row_of(a).status == row_of(b).status) {
        let status = row_of(group[0]).status.to_string();
        let problem = json!({
            "description": group.join(", "),
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        });
        responses.entry(status).or_insert(problem);
    }
    Value::Object(responses)
}

fn headers(route: &Route, status: u16) -> Value {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let mut headers = json!({
        "X-Correlation-ID": text("As sent, or made here"),
        "traceparent": text("The span of this request, if it is traced"),
    });
    if route.keyed || route.may_be_keyed() {
        headers["Idempotency-Replayed"] = text("`true` when an earlier request did it");
    }
    if route.keyed && route.name.starts_with("order.") || route.may_be_keyed() {
        headers["Server-Timing"] = text("accept: first commit; settle: the outcome; milliseconds");
    }
    if route.method != "GET" {
        headers["Jangbu-Position"] = text("For Jangbu-Read-After of a read that must see this");
    }
    if status == 202 {
        headers["Location"] = text("Where to look again");
        headers["Preference-Applied"] = text("`respond-async` when that was asked");
    }
    headers
}

/// Every code that a route can give: what its form implies, and its own.
pub(crate) fn codes(route: &Route) -> Vec<&'static str> {
    let mut own = vec![Own::CorrelationInvalid];
    if route.role > Role::Anybody {
        own.extend([Own::Unauthorized, Own::InvalidParameter, Own::Forbidden]);
    }
    if route.role == Role::Merchant {
        own.extend([Own::SignatureInvalid, Own::SignatureStale, Own::NonceReused]);
        own.extend([Own::NonceStoreFull, Own::LegacyForbidden, Own::MerchantSuspended]);
    }
    if route.method != "GET" {
        own.extend([Own::MalformedJson, Own::UnknownField, Own::MissingField, Own::InvalidField]);
        own.extend([Own::BodyTooLarge, Own::BodyTimeout, Own::BodyBroken, Own::MediaType]);
    }
    if route.params().any(|name| !matches!(name, "code" | "key" | "consumer"))
        || route.name == "order.list"
    {
        own.push(Own::InvalidId);
    }
    if route.params().next().is_some() {
        own.push(Own::NotFound);
    }
    if route.keyed {
        own.extend([Own::KeyRequired, Own::KeyInvalid, Own::KeyReused, Own::KeyExpired]);
        own.extend([Own::Shed, Own::TooLate, Own::ReadOnly, Own::StoreFailed, Own::Poisoned]);
        own.extend([Own::Stopping, Own::Unanswered]);
    } else if route.role > Role::Anybody && route.method == "GET" || route.name == "metrics" {
        own.push(Own::ReadFailed);
    }
    if reads_after(route) {
        own.extend([Own::PositionInvalid, Own::PositionAhead, Own::ReadBehind]);
    }
    if route.class() != Class::Vital {
        own.extend([Own::RateLimited, Own::Shed]);
    }
    own.push(Own::Internal);
    let mut codes: Vec<_> = own.into_iter().map(Own::code).collect();
    codes.extend(route.doc.codes);
    if route.name == "order.place" {
        codes.push(Own::InvalidId.code());
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}
