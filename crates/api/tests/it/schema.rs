//! Holds answers against the OpenAPI document. A small reader of the part of JSON Schema that the
//! document uses: an unknown keyword fails, so that nothing is silently not checked.

use std::sync::LazyLock;

use serde_json::Value;

use crate::world::Answer;

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&jangbu_api::openapi_json()).unwrap());

/// Words of a schema that say nothing about an instance.
const NOTES: [&str; 4] = ["description", "format", "default", "example"];

/// Checks status, kind and body of an answer to a path of the document.
pub(crate) fn check(method: &str, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path) else {
        assert!([404, 405].contains(&answer.status), "{method} {path} is not in the document");
        return check_problem(answer);
    };
    assert!(!answer.header("x-correlation-id").is_empty(), "{method} {path}: no correlation id");
    let response = &operation["responses"][answer.status.to_string()];
    assert!(
        response.is_object(),
        "{method} {path} must not answer {}: {}",
        answer.status,
        answer.text
    );
    let kind = answer.header("content-type").split(';').next().unwrap();
    let content = &response["content"][kind];
    assert!(content.is_object(), "{method} {path}: {} as {kind}", answer.status);
    if kind == "application/problem+json" {
        let listed = response["description"].as_str().unwrap();
        let known = listed.split(", ").any(|code| code == answer.code());
        assert!(known, "{method} {path}: {} is not one of {listed}", answer.code());
        check_problem(answer);
    } else if kind == "application/json" {
        validate(&content["schema"], &answer.json, path);
    }
}

fn check_problem(answer: &Answer) {
    validate(&DOCUMENT["components"]["schemas"]["Problem"], &answer.json, "problem");
    assert_eq!(answer.json["status"], answer.status);
    assert_eq!(answer.json["requestId"], answer.header("x-correlation-id"));
}

/// The operation of a concrete path.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (a, b): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        a.len() == b.len() && a.iter().zip(&b).all(|(t, p)| t.starts_with('{') || t == p)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let exact = paths.get(path);
    let found = exact.or_else(|| paths.iter().find(|(t, _)| fits(t)).map(|(_, item)| item))?;
    found.get(method.to_ascii_lowercase())
}

/// Panics with the place where `value` is not what `schema` says.
pub(crate) fn validate(schema: &Value, value: &Value, at: &str) {
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$ref" => {
                let name = rule.as_str().unwrap().rsplit('/').next().unwrap();
                validate(&DOCUMENT["components"]["schemas"][name], value, at);
            }
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                let fits = types.iter().any(|t| is(t.as_str().unwrap(), value));
                assert!(fits, "{at} is {value}, not {rule}");
            }
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "properties" => properties(rule, value, at),
            "required" => {
                for name in rule.as_array().unwrap() {
                    let there = value.get(name.as_str().unwrap()).is_some();
                    assert!(there || !value.is_object(), "{at}: {name} is missing");
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(rule, item, &format!("{at}[{n}]"));
                }
            }
            "pattern" => pattern(rule.as_str().unwrap(), value, at),
            "additionalProperties" => assert_eq!(rule, false, "only `false` is understood"),
            "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems" => {}
            note => assert!(NOTES.contains(&note), "the document uses `{note}`"),
        }
    }
}

fn properties(rules: &Value, value: &Value, at: &str) {
    for (name, field) in value.as_object().into_iter().flatten() {
        let rule = rules.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the document"));
        validate(rule, field, &format!("{at}.{name}"));
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the document uses type `{other}`"),
    }
}

/// Ids, currencies, keys and merchants: the shapes of pattern that the document has.
fn pattern(pattern: &str, value: &Value, at: &str) {
    let Some(text) = value.as_str() else { return };
    let id =
        pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix("_[0-9A-HJKMNP-TV-Z]{13}$"));
    let fits = match id {
        None if pattern == "^[!-~]+$" => text.bytes().all(|b| b.is_ascii_graphic()),
        None if pattern == "^[A-Za-z0-9_-]+$" => {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        }
        Some(prefix) => prefix
            .trim_matches(['(', ')'])
            .split('|')
            .find_map(|prefix| text.strip_prefix(prefix))
            .and_then(|rest| rest.strip_prefix('_'))
            .is_some_and(|digits| {
                digits.len() == 13
                    && digits.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            }),
        None => text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()),
    };
    assert!(fits, "{at}: {text} does not fit {pattern}");
}
