//! What the fuzzer calls (`fuzz/README.md`) beyond the crate's own readers, and the tests call again
//! with every input that it found worth keeping.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use jangbu_psp::{Request as Ask, Said};
use jangbu_services::events::Fact;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::schema::DOCUMENT;
use crate::world::{OPERATOR, World};

/// A shop that has closed: what is understood ends with STOPPING, and nothing is kept.
static CLOSED: LazyLock<Mutex<(World, Runtime)>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new();
    world.shop.close(Duration::ZERO).unwrap();
    Mutex::new((world, runtime))
});

/// Method and path, with an example for each parameter, of every operation that takes a body.
static OPERATIONS: LazyLock<BTreeMap<String, (String, String)>> = LazyLock::new(|| {
    let mut found = BTreeMap::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(m, _)| *m != "get") {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            found.insert(name, (method.to_uppercase(), example(path, operation)));
        }
    }
    found
});

fn example(path: &str, operation: &Value) -> String {
    operation["parameters"].as_array().unwrap().iter().fold(path.to_owned(), |path, parameter| {
        let word = format!("{{{}}}", parameter["name"].as_str().unwrap_or_default());
        path.replace(&word, parameter["example"].as_str().unwrap_or("1"))
    })
}

/// The first line names an operation, the rest is its body, sent as an operator. The answer is held
/// against the document; a good one can only come from what asks the shop for nothing.
pub(crate) fn bodies(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let name = std::str::from_utf8(&data[..end]).unwrap_or_default();
    let Some((method, path)) = OPERATIONS.get(name) else { return };
    let body = data.get(end + 1..).unwrap_or_default().to_vec();
    let request = Request::builder()
        .method(&**method)
        .uri(&**path)
        .header("authorization", format!("Bearer {OPERATOR}"))
        .header("content-type", "application/json")
        .header("idempotency-key", "fuzz")
        .body(Body::from(body))
        .unwrap();
    let closed = CLOSED.lock().unwrap();
    let (world, runtime) = &*closed;
    let answer = runtime.block_on(world.send(request));
    assert_ne!(answer.status, 500, "{name}: {}", answer.text);
}

/// Payloads as stores keep them: what can be decoded can be written, and is decoded as the same.
pub(crate) fn stored(data: &[u8]) {
    let (Some(kind), rest) = (data.first(), data.get(1..).unwrap_or_default()) else { return };
    match kind % 3 {
        0 => {
            let Ok(fact) = Fact::decode(rest) else { return };
            assert!(fact.topic().contains('.'));
            let bytes = postcard::to_allocvec(&fact).unwrap();
            assert_eq!(Fact::decode(&bytes), Ok(fact));
        }
        1 => again::<Ask>(rest),
        _ => again::<Said>(rest),
    }
}

fn again<T: Serialize + for<'a> Deserialize<'a> + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(value) = postcard::from_bytes::<T>(data) else { return };
    let bytes = postcard::to_allocvec(&value).unwrap();
    assert_eq!(postcard::from_bytes::<T>(&bytes), Ok(value));
}
