//! The certificate against its published schema, and the verdicts.

use jangbu_bench::{Sums, Verdict};
use serde_json::{Value, json};

use crate::toy::{Toy, Ways};
use crate::{CLEAN, against};

fn verdict(proof: Option<&'static str>) -> (Verdict, Value) {
    let dir = tempfile::tempdir().unwrap();
    let toy = Toy::open(Ways { proof, ..Ways::default() });
    let done = against(&toy, dir.path(), "spread --rate 100 --duration 300ms --warmup 0");
    (done.verdict, serde_json::to_value(&done.certificate).unwrap())
}

#[test]
fn a_clean_proof_passes() {
    let (verdict, certificate) = verdict(CLEAN);
    assert_eq!(verdict, Verdict::Passed, "{:#}", certificate["marks"]);
    assert_eq!(verdict.exit_code(true), 0);
    assert_eq!(certificate["proof"], json!({ "lost": 0, "doubled": 0, "mismatched": 0 }));
}

#[test]
fn a_finding_is_exit_code_1() {
    let (verdict, certificate) = verdict(Some(r#"{"lost":["ord_1"],"doubled":[],"mismatched":0}"#));
    assert_eq!((verdict, verdict.exit_code(false)), (Verdict::Finding, 1));
    assert_eq!(certificate["proof"]["lost"], 1);
    assert_eq!(certificate["pass"], false);
}

#[test]
fn a_proof_that_did_not_run_is_null_and_not_zero() {
    for proof in [None, Some("{}")] {
        let (verdict, certificate) = verdict(proof);
        assert_eq!((verdict, verdict.exit_code(false)), (Verdict::Unproven, 4));
        assert_eq!(certificate["proof"], Value::Null);
        assert!(certificate["proof_error"].is_string());
        assert_eq!(certificate["pass"], false);
    }
}

#[test]
fn missed_marks_fail_only_when_asked() {
    assert_eq!(Verdict::Missed.exit_code(false), 0);
    assert_eq!(Verdict::Missed.exit_code(true), 1);
}

#[test]
fn sums_are_counts_or_lists() {
    let report = json!({ "lost": [], "doubled": [1, 2], "mismatched": 3 });
    assert_eq!(Sums::of_report(&report), Some(Sums { lost: 0, doubled: 2, mismatched: 3 }));
    assert_eq!(Sums::of_report(&json!({ "lost": 0, "doubled": 0 })), None);
}

#[test]
fn figures_per_order_come_from_the_counters_and_absent_ones_are_null() {
    let (_, certificate) = verdict(CLEAN);
    let per_order = &certificate["per_order"];
    assert!((per_order["commits"].as_f64().unwrap() - 2.0).abs() < 0.1, "{per_order}");
    assert!((per_order["rows"].as_f64().unwrap() - 24.0).abs() < 1.0, "{per_order}");
    assert_eq!(per_order["fsyncs"], Value::Null);
    let phases = &certificate["phase_us_per_order"];
    assert!((phases["decide"].as_f64().unwrap() - 15.0).abs() < 1.0, "{phases}");
    assert_eq!(phases["read"], Value::Null);
    assert_eq!(certificate["batch"], json!({ "p50": 7.0, "p99": null }));
    assert_eq!(certificate["projection_lag"], json!({ "orders": 3 }));
    assert_eq!(certificate["events_unsent"], 3);
    assert_eq!(certificate["events"]["behind_after_drain"], 3);
    assert!(certificate["events"]["lag_p99_ms"].as_f64().unwrap() <= 10.0);
    let kafka = &certificate["kafka"];
    assert!((50.0..=100.0).contains(&kafka["lag_p99_ms"].as_f64().unwrap()), "{kafka}");
    assert!(kafka["acknowledged"].as_u64() > Some(0) && kafka["drain_s"].is_f64(), "{kafka}");
    let second = &certificate["series"][0];
    assert_eq!((&second["waiting"], &second["server_cpu"]), (&Value::Null, &Value::Null));
    assert_eq!(certificate["cpu_us_per_order"]["server"], Value::Null);
    assert!(certificate["cpu_us_per_order"]["generator"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_certificate_is_what_the_schema_says() {
    let (_, certificate) = verdict(CLEAN);
    conforms(&certificate).unwrap();
    // The other shapes: without a proof, and every field missing or misnamed in turn.
    conforms(&verdict(None).1).unwrap();
    for name in certificate.as_object().unwrap().keys() {
        let mut broken = certificate.clone();
        let value = broken.as_object_mut().unwrap().remove(name).unwrap();
        assert!(conforms(&broken).is_err(), "{name} is not required");
        broken[format!("{name}_")] = value;
        assert!(conforms(&broken).is_err(), "{name}_ is allowed");
        let mut wrong = certificate.clone();
        wrong[name] = json!([{ "wrong": "type" }]);
        assert!(name == "proof_report" || conforms(&wrong).is_err(), "{name} takes anything");
    }
}

/// Checks a certificate against the published schema.
pub(crate) fn conforms(certificate: &Value) -> Result<(), String> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/certificate.schema.json"));
    let schema: Value = serde_json::from_str(&text.unwrap()).unwrap();
    check(&schema, &schema, certificate, "certificate")
}

/// The keywords that our schema uses; any other one is an error, so none is silently skipped.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "minItems" | "maxItems" => true,
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().trim_start_matches('#'));
                check(root, target.unwrap(), value, at)?;
                true
            }
            "type" => match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is(value, kind)),
                kind => is(value, kind),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "required" => match value.as_object() {
                Some(fields) => rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|n| fields.contains_key(n.as_str().unwrap())),
                None => true,
            },
            "anyOf" => {
                let mut rules = rule.as_array().unwrap().iter();
                rules.any(|rule| check(root, rule, value, at).is_ok())
            }
            "properties" | "additionalProperties" => {
                fields(root, schema, value, at)?;
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            other => panic!("the checker does not know {other}"),
        };
        if !holds {
            return Err(format!("{at}: {keyword} {rule} is broken by {value}"));
        }
    }
    Ok(())
}

fn fields(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let named = schema.get("properties").and_then(Value::as_object);
    let other = schema.get("additionalProperties");
    for (name, field) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match (named.and_then(|named| named.get(name)), other) {
            (None, Some(Value::Bool(false))) => return Err(format!("{at} is not in the schema")),
            (Some(rule), _) | (None, Some(rule @ Value::Object(_))) => {
                check(root, rule, field, &at)?;
            }
            (None, _) => {}
        }
    }
    Ok(())
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    }
}
