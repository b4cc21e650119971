//! Hostile input: every endpoint of the document × every kind of attack. What is attacked is made
//! from the good requests of [`forms`](crate::forms), so an endpoint cannot be left out: one
//! without a good request fails there.
//!
//! An attack is refused with 4xx, a code and, where a field is attacked, its name; never with 5xx,
//! and never with an answer that the document does not know (`World::send` sees to that). Attacks
//! that are legal for a field are listed in [`LEGAL`](spoil::LEGAL), and an entry that is not needed fails too.

mod envelope;
mod spoil;

use std::collections::BTreeSet;

use axum::body::Body;
use serde_json::{Map, Value, json};

use self::spoil::{ATTACKS, LEGAL, Spoil, places};
use crate::forms::{CASES, Case, filled, ids, request};
use crate::schema::DOCUMENT;
use crate::world::{OPERATOR, World};

fn parent<'a>(body: &'a mut Value, place: &str) -> (&'a mut Value, String) {
    let (parent, name) = place.rsplit_once('/').unwrap_or_default();
    (body.pointer_mut(parent).unwrap(), name.to_owned())
}

/// A good request whose body has fields.
struct Target {
    case: &'static Case,
    path: String,
    body: Value,
}

fn targets(ids: &[(&str, String)]) -> Vec<Target> {
    let with_fields = CASES.iter().filter(|case| case.body.starts_with('{') && case.body != "{}");
    with_fields
        .map(|case| Target {
            case,
            path: filled(case.path, ids),
            body: serde_json::from_str(&filled(case.body, ids)).unwrap(),
        })
        .collect()
}

/// Sends `body`, each time under a new key.
async fn attack(world: &World, target: &Target, body: &str, no: &mut u32) -> crate::world::Answer {
    *no += 1;
    let key = format!("attack-{no}");
    // Payments of merchants have their key in the body.
    let own = body.replace("form-1", &key).replace("form-2", &key);
    let mut request = request(target.case, &target.path, &own, OPERATOR);
    if request.headers().contains_key("idempotency-key") {
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    }
    world.send(request).await
}

fn name_of(place: &str) -> &str {
    let fields = place.rsplit('/').find(|part| part.parse::<usize>().is_err());
    fields.unwrap_or_default()
}

/// One attack on one field.
struct Attack {
    place: String,
    name: &'static str,
    body: Value,
}

fn attacks(target: &Target) -> Vec<Attack> {
    let mut all = Vec::new();
    places(&target.body, "", &mut all);
    let on = |place: &String, (name, spoil): &(&'static str, Spoil)| {
        let values = spoil(target.body.pointer(place).unwrap());
        let with = |value| {
            let mut body = target.body.clone();
            *body.pointer_mut(place).unwrap() = value;
            Attack { place: place.clone(), name, body }
        };
        values.into_iter().map(with).collect::<Vec<_>>()
    };
    all.iter().flat_map(|place| ATTACKS.iter().flat_map(move |attack| on(place, attack))).collect()
}

#[tokio::test]
async fn every_field_of_every_endpoint_withstands_every_attack() {
    let world = World::new();
    let ids = ids(&world).await;
    let (mut no, mut legal) = (0, BTreeSet::new());
    let mut wrong = Vec::new();
    for target in targets(&ids) {
        for Attack { place, name, body } in attacks(&target) {
            let answer = attack(&world, &target, &body.to_string(), &mut no).await;
            let known = (target.case.template, &*place, name);
            let allowed = LEGAL.iter().find(|entry| **entry == known);
            legal.extend(allowed);
            let fine = allowed.is_some() || is_null_option(&target, &place, &body);
            let sound = match answer.status {
                400..=499 => fine || answer.text.contains(name_of(&place)),
                status => fine && (200..300).contains(&status),
            };
            let what = || format!("{} {place} {name}: {body}", target.case.template);
            wrong.extend((!sound).then(|| format!("{}: {}", what(), answer.text)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(legal, LEGAL.iter().collect(), "an entry of LEGAL is not needed");
    assert!(no > 400, "{no}");
}

/// Null stands for an optional field that is not there.
fn is_null_option(target: &Target, place: &str, body: &Value) -> bool {
    body.pointer(place) == Some(&Value::Null) && !required(target, place)
}

/// Whether the schema says that the field at `place` must be there.
fn required(target: &Target, place: &str) -> bool {
    let operation = crate::schema::operation(target.case.method, target.case.template);
    let mut schema = &operation.unwrap()["requestBody"]["content"]["application/json"]["schema"];
    let mut required = false;
    for part in place.split('/').skip(1) {
        while let Some(target) = schema["$ref"].as_str() {
            schema = DOCUMENT.pointer(target.trim_start_matches('#')).unwrap();
        }
        if part.parse::<usize>().is_ok() {
            (schema, required) = (&schema["items"], true);
        } else {
            let names = schema["required"].as_array();
            required = names.is_some_and(|names| names.iter().any(|name| name == part));
            schema = &schema["properties"][part];
        }
    }
    required
}

#[tokio::test]
async fn a_missing_field_and_an_unknown_one_are_named() {
    let world = World::new();
    let ids = ids(&world).await;
    let mut no = 0;
    for target in targets(&ids) {
        let mut all = Vec::new();
        places(&target.body, "", &mut all);
        for place in
            all.iter().filter(|place| place.rsplit('/').next().unwrap().parse::<usize>().is_err())
        {
            let what = format!("{} {place}", target.case.template);
            let mut body = target.body.clone();
            let (object, name) = parent(&mut body, place);
            object.as_object_mut().unwrap().remove(&name);
            let answer = attack(&world, &target, &body.to_string(), &mut no).await;
            let missed =
                answer.code() == "MISSING_FIELD" && answer.field().ends_with(name_of(place));
            let fine = missed || !required(&target, place) && answer.status < 500;
            assert!(fine, "{what}: {}", answer.text);
            let mut body = target.body.clone();
            let (object, _) = parent(&mut body, place);
            object["surprise"] = json!(1);
            let answer = attack(&world, &target, &body.to_string(), &mut no).await;
            assert_eq!(answer.problem(), (422, "UNKNOWN_FIELD"), "{what}: {}", answer.text);
            assert!(answer.field().ends_with("surprise"), "{what}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn what_is_not_json_is_refused_by_every_endpoint_with_a_body() {
    let world = World::new();
    let ids = ids(&world).await;
    let deep = "[".repeat(60_000);
    let twice = |body: &Value| {
        let (name, value) = body.as_object().and_then(|fields| fields.iter().next()).unwrap();
        let text = body.to_string();
        format!("{{\"{name}\":{value},{}", &text[1..])
    };
    let mut no = 0;
    for target in targets(&ids) {
        let text = target.body.to_string();
        let half = &text[..text.len() / 2];
        let twice = twice(&target.body);
        for body in [half, "{", "nonsense", "[]", "7", "\"x\"", &deep, "\u{feff}{}", "{}x", &twice]
        {
            let answer = attack(&world, &target, body, &mut no).await;
            let what = format!("{}: {:.40}", target.case.template, body);
            assert!([400, 422].contains(&answer.status), "{what}: {}", answer.text);
            assert!(!answer.code().is_empty(), "{what}");
        }
        let mut binary = request(target.case, &target.path, "", OPERATOR);
        *binary.body_mut() = Body::from(vec![0xff, 0xfe, b'{', 0x80]);
        assert_eq!(world.send(binary).await.problem(), (400, "MALFORMED_JSON"));
    }
}

/// The path of `case` with `bad` for its parameters.
fn bad_path(case: &Case, bad: &str) -> String {
    let query = case.path.find('?').map_or("", |at| &case.path[at..]);
    let part = |part: &str| if part.starts_with('{') { bad } else { part }.to_owned();
    let path: Vec<_> = case.template.split('/').map(part).collect();
    path.join("/") + query
}

#[tokio::test]
async fn every_parameter_of_a_path_withstands_nonsense() {
    let world = World::new();
    let long = "x".repeat(4_000);
    let nonsense = [
        "0",
        "-1",
        "ord_",
        "ord_!!!!!!!!!!!!!",
        "usr_0000000000001",
        "%00",
        "%FF%FE",
        "..%2f..",
        "%E2%98%83",
        &long,
    ];
    let mut seen = 0;
    for case in CASES.iter().filter(|case| case.template.contains('{')) {
        // Any id of a user is one whose things can be asked for.
        let is_good = |bad: &&&str| case.template.contains("/users/") && bad.starts_with("usr_");
        let bad = nonsense.iter().filter(|bad| !is_good(bad));
        for path in bad.map(|bad| bad_path(case, bad)) {
            let answer = world.send(request(case, &path, case.body, OPERATOR)).await;
            let refused = (400..500).contains(&answer.status) && !answer.code().is_empty();
            assert!(refused, "{} {path}: {} {}", case.method, answer.status, answer.text);
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

/// Names of the query parameters of a read, and one that nobody knows.
fn parameters(case: &Case) -> Vec<String> {
    let operation = crate::schema::operation("GET", case.template).unwrap();
    let mut names = vec!["nobody-knows-me".to_owned()];
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = match parameter["$ref"].as_str() {
            Some(target) => DOCUMENT.pointer(target.trim_start_matches('#')).unwrap(),
            None => parameter,
        };
        let is_query = parameter["in"] == "query";
        names.extend(is_query.then(|| parameter["name"].as_str().unwrap().to_owned()));
    }
    names
}

/// The path with bad values of each parameter: alone, and twice beside the good ones.
fn bad_queries(case: &Case, path: &str) -> Vec<String> {
    let base = path.split('?').next().unwrap();
    let glue = if path.contains('?') { "&" } else { "?" };
    let long = "9".repeat(2_000);
    let values = ["%00", "%FF", "%zz", "-1", "99999999999999999999", "%27%20OR%201=1", &long];
    let mut found = Vec::new();
    for name in parameters(case) {
        found.extend(values.iter().map(|value| format!("{base}?{name}={value}")));
        found.extend(values.iter().map(|v| format!("{path}{glue}{name}={v}&{name}={v}")));
    }
    found
}

#[tokio::test]
async fn every_parameter_of_a_query_withstands_nonsense() {
    let world = World::new();
    let ids = ids(&world).await;
    for case in CASES.iter().filter(|case| case.method == "GET" && !case.code.is_empty()) {
        for query in bad_queries(case, &filled(case.path, &ids)) {
            let answer = world.get(&query).await;
            assert!(answer.status < 500, "{query}: {}", answer.text);
            let unknown = query.contains("nobody-knows-me");
            assert!(!unknown || answer.status >= 400, "{query}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_key_that_comes_with_another_body_is_refused_by_every_endpoint() {
    let world = World::new();
    let ids = ids(&world).await;
    let mut seen = 0;
    for target in targets(&ids) {
        let operation = crate::schema::operation(target.case.method, target.case.template).unwrap();
        let codes = &operation["responses"]["422"]["description"];
        if !codes.as_str().unwrap_or_default().contains("IDEMPOTENCY_KEY_REUSED") {
            continue;
        }
        let text = target.body.to_string();
        let first = world.send(request(target.case, &target.path, &text, OPERATOR)).await;
        if !(200..300).contains(&first.status) {
            continue; // a refusal that made nothing uses up no key
        }
        let again = world.send(request(target.case, &target.path, &text, OPERATOR)).await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{text}: {}", again.text);
        let Some(other) = another(&target.body) else { continue };
        let other = world.send(request(target.case, &target.path, &other, OPERATOR)).await;
        assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"), "{text}: {}", other.text);
        seen += 1;
    }
    assert!(seen > 4, "{seen}");
}

/// A body that is as good as `body` and means something else.
fn another(body: &Value) -> Option<String> {
    let mut all = Vec::new();
    places(body, "", &mut all);
    let mut other = body.clone();
    let names = ["reason", "name", "token", "amount", "quantity", "delta", "evidence", "stock"];
    let place = all.iter().find(|place| {
        let leaf = !body.pointer(place).is_some_and(|value| value.is_object() || value.is_array());
        leaf && names.contains(&name_of(place))
    })?;
    let value = other.pointer_mut(place)?;
    *value = match &*value {
        Value::String(text) => json!(format!("{text}-other")),
        value => json!(value.as_i64()? * 2),
    };
    Some(other.to_string())
}

/// The fields of the good requests are those of the document: what a client may send is attacked.
#[test]
fn every_field_of_the_document_is_attacked() {
    let mut missed = Vec::new();
    for case in CASES.iter().filter(|case| case.method != "GET") {
        let operation = crate::schema::operation(case.method, case.template).unwrap();
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let body: Value = serde_json::from_str(case.body).unwrap_or_default();
        unattacked(schema, &body, case.template, &mut missed);
    }
    missed.sort();
    missed.dedup();
    assert_eq!(missed, [""; 0], "add the field to the good request in forms.rs");
}

fn unattacked(schema: &Value, body: &Value, at: &str, missed: &mut Vec<String>) {
    let mut schema = schema;
    while let Some(target) = schema["$ref"].as_str() {
        schema = DOCUMENT.pointer(target.trim_start_matches('#')).unwrap();
    }
    if let Some(item) = body.as_array().and_then(|items| items.first()) {
        return unattacked(&schema["items"], item, at, missed);
    }
    let none = Map::new();
    for (name, schema) in schema["properties"].as_object().unwrap_or(&none) {
        match body.get(name) {
            Some(value) => unattacked(schema, value, &format!("{at} {name}"), missed),
            None => missed.push(format!("{at} {name}")),
        }
    }
}
