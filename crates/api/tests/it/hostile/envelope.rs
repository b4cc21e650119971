//! Everything about a request but its body: keys, headers, methods, paths.

use axum::body::Body;
use axum::http::{HeaderValue, Request};

use super::targets;
use crate::forms::{CASES, Case, filled, ids, request};
use crate::schema::operation;
use crate::world::{CLIENT, OPERATOR, World};

#[tokio::test]
async fn without_the_right_key_nothing_is_reached() {
    let world = World::new();
    let ids = ids(&world).await;
    let values = [
        "",
        "Bearer",
        "Bearer ",
        "bearer  x",
        "Basic am86am8=",
        "Bearer \u{7f}",
        "JANGBU-HMAC-SHA256",
    ];
    let closed = |case: &&Case| {
        operation(case.method, case.template).unwrap()["security"] != serde_json::json!([])
    };
    for case in CASES.iter().filter(closed) {
        let (path, body) = (filled(case.path, &ids), filled(case.body, &ids));
        for value in values {
            let mut request = request(case, &path, &body, CLIENT);
            match HeaderValue::from_bytes(value.as_bytes()) {
                Ok(value) => request.headers_mut().insert("authorization", value),
                Err(_) => request.headers_mut().remove("authorization"),
            };
            let answer = world.send(request).await;
            assert_eq!(answer.status, 401, "{} {path} {value:?}: {}", case.method, answer.text);
        }
    }
}

#[tokio::test]
async fn headers_of_every_kind_of_nonsense_are_refused() {
    let world = World::new();
    let ids = ids(&world).await;
    let target = targets(&ids).into_iter().next().unwrap();
    let text = target.body.to_string();
    for (name, value, wanted) in [
        ("idempotency-key", "", 400),
        ("idempotency-key", "a b", 400),
        ("idempotency-key", "\u{e9}", 400),
        ("x-correlation-id", "a\tb", 400),
        ("content-type", "text/plain", 415),
        ("content-type", "application/x-www-form-urlencoded", 415),
        ("content-type", "multipart/form-data; boundary=x", 415),
        ("content-type", "\u{ff}", 415),
    ] {
        let mut request = request(target.case, &target.path, &text, OPERATOR);
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().insert(name, value);
        let answer = world.send(request).await;
        assert_eq!(answer.status, wanted, "{name}: {}", answer.text);
    }
}

/// Requests that are no requests of this API at all.
#[tokio::test]
async fn other_methods_and_paths_find_nothing() {
    let world = World::new();
    for (method, path) in [
        ("TRACE", "/api/v1/orders"),
        ("PATCH", "/api/v1/orders"),
        ("DELETE", "/api/v1/products"),
        ("PROPFIND", "/"),
        ("GET", "//api/v1/orders"),
        ("GET", "/api/v1/../../etc/passwd"),
        ("GET", "/api/v1/orders/"),
        ("GET", "/.env"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {OPERATOR}"));
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert!([404, 405].contains(&answer.status), "{method} {path}: {}", answer.text);
    }
}
