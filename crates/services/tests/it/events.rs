//! What the outside gets of an event: the JSON says all that the outbox says, and is what the
//! committed schema of its topic says.

use std::collections::BTreeSet;

use jangbu_kernel::Time;
use jangbu_services::events::{DEAD, Fact, PUBLISHED, PointMove, Record, Row, Taken};
use proptest::prelude::*;
use serde_json::Value;

use crate::rig::cases;

/// A fact whose text is its own.
#[derive(Debug, Clone)]
struct Told {
    payload: Vec<u8>,
    key: i64,
}

fn told(key: i64, fact: &Fact<'_>) -> Told {
    Told { payload: postcard::to_stdvec(fact).unwrap(), key }
}

fn id() -> impl Strategy<Value = i64> {
    1..i64::MAX
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_-]{0,12}", "\\PC{0,6}", Just("\"\\\n\u{1f}티".to_owned())]
}

fn currency() -> impl Strategy<Value = String> {
    "[A-Z]{3}"
}

/// What most facts are made of: aggregate, three ids, three numbers, two texts, a currency.
fn parts() -> impl Strategy<Value = Parts> {
    let ids = (id(), id(), id(), id());
    let numbers = (0..=i64::MAX, 0..=i64::MAX, any::<u32>());
    (ids, numbers, text(), text(), currency(), any::<bool>()).prop_map(
        |((key, a, b, c), (m, n, no), s, t, currency, yes)| Parts {
            key,
            ids: [a, b, c],
            amounts: [m, n],
            no,
            texts: [s, t],
            currency,
            yes,
        },
    )
}

#[derive(Debug, Clone)]
struct Parts {
    key: i64,
    ids: [i64; 3],
    amounts: [i64; 2],
    no: u32,
    texts: [String; 2],
    currency: String,
    yes: bool,
}

/// Number of different facts in [`fact`].
const KINDS: usize = 20;

fn fact(kind: usize, parts: &Parts) -> Fact<'_> {
    let Parts { ids: [user, sku, order], amounts: [amount, seq], no, currency, yes, .. } = parts;
    let (total, amount, seq, no, user, currency) =
        (*amount, *amount, *seq, *no, *user, &**currency);
    let [one, two] = &parts.texts;
    let (one, two) = (&**one, &**two);
    let maybe = yes.then_some(*sku);
    match kind {
        0 => {
            let lines = vec![(*sku, 1 + total % 9, amount, one), (*order, 1, seq, two)];
            Fact::OrderPlaced { user, total, currency, lines }
        }
        1 => Fact::OrderCompleted { user, total, currency },
        2 => Fact::OrderCancelled { user, outcome: one, reason: two },
        3 => Fact::OrderRefunded { no, amount, currency },
        4 => Fact::OrderShipped { no },
        5 => Fact::OrderDelivered { no },
        6 => Fact::PaymentAuthorized { amount, currency },
        7 => Fact::PaymentCaptureRequested { amount, currency },
        8 => Fact::PaymentCaptured { seq, amount, currency },
        9 => Fact::PaymentRefundRequested { no, amount, currency },
        10 => Fact::PaymentRefunded { no, seq, amount, currency },
        11 => Fact::PaymentSetAside { no, seq, amount, currency },
        12 => Fact::PaymentReleased { no, seq, amount, currency },
        13 => {
            let (sku, on_sale) = (*sku, *yes);
            Fact::ProductChanged { sku, merchant: one, price: amount, currency, on_sale }
        }
        14 => Fact::ProductEdited { name: one, category: maybe },
        15 => Fact::CategoryChanged { parent: maybe, code: one, name: two },
        16 => Fact::StockChanged { stocks: vec![(*sku, amount), (*order, 0)] },
        17 => {
            let state = 1 + amount % 4;
            let held = (*sku, user, state, if *yes { *order } else { 0 });
            let tally = [amount, seq, 0, 1, 2];
            Fact::CouponChanged { tally, issued: vec![held], moved: vec![held, (1, 2, 3, 0)] }
        }
        18 => {
            // By number: 8 is expiry, which is about nothing.
            let moves = (1..=10).map(|what| PointMove {
                user,
                what,
                about: if what == 8 { 0 } else { *order },
                paid: -amount,
                earned: amount,
                seq,
                balance: amount,
            });
            Fact::PointChanged { moves: moves.collect() }
        }
        _ => Fact::JournalPosted { postings: amount, entries: seq },
    }
}

fn row<'a>(told: &'a Told, topic: &'a str) -> Row<'a> {
    Row {
        seq: 4_711,
        at: Time(1_795_000_000_123_456),
        topic,
        key: told.key,
        version: 3,
        correlation: Some("corr-1"),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        payload: &told.payload,
    }
}

fn value(record: &Record) -> Value {
    serde_json::from_slice(&record.value).unwrap()
}

fn schema(topic: &str) -> Value {
    let topic = PUBLISHED.iter().find(|known| known.name == topic).unwrap();
    serde_json::from_str(topic.schema).unwrap()
}

/// Asserts that an event goes out by its schema, and comes back as it was.
fn assert_survives(kind: usize, parts: &Parts) {
    let fact = fact(kind, parts);
    let told_once_for_a_commit = matches!(kind, 16 | 18);
    let told = told(if told_once_for_a_commit { 0 } else { parts.key }, &fact);
    let row = row(&told, fact.topic());
    let record = row.record().unwrap();
    assert_eq!(record.topic.name, fact.topic());
    if let Err(why) = fits(&schema(fact.topic()), &value(&record), "$") {
        panic!("{why} in {}", value(&record));
    }
    let taken = Taken::read(&record.value).unwrap();
    assert_eq!(Fact::decode(&taken.payload), Ok(fact));
    assert_eq!(
        (taken.seq, taken.at, taken.topic, taken.key, taken.version),
        (row.seq, row.at, row.topic, row.key, row.version)
    );
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn an_event_goes_out_by_its_schema_and_comes_back_as_it_was(parts in parts()) {
        for kind in 0..KINDS {
            assert_survives(kind, &parts);
        }
    }

    #[test]
    fn what_is_no_event_is_told_and_never_panics(bytes in any::<Vec<u8>>(), text in "\\PC{0,80}") {
        prop_assert!(Taken::read(&bytes).is_err());
        prop_assert!(Taken::read(text.as_bytes()).is_err());
    }
}

/// The committed examples are what this version writes, to the letter.
#[test]
fn the_examples_of_the_schemas_are_what_is_published() {
    for topic in PUBLISHED {
        let schema = schema(topic.name);
        assert_eq!(schema["title"], topic.name);
        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{}", topic.name);
        for example in examples {
            fits(&schema, example, topic.name).unwrap();
            if topic.name == DEAD.name {
                continue;
            }
            let taken = Taken::read(example.to_string().as_bytes()).unwrap();
            let told = Told { payload: taken.payload, key: taken.key };
            let record = row(&told, taken.topic).record().unwrap();
            assert_eq!(value(&record), *example);
        }
    }
}

#[test]
fn every_topic_has_an_example_of_each_kind_of_event() {
    let seen: BTreeSet<_> = (0..KINDS).map(|kind| fact(kind, &some()).topic()).collect();
    let published: BTreeSet<_> =
        PUBLISHED.iter().map(|topic| topic.name).filter(|name| *name != DEAD.name).collect();
    assert_eq!(seen, published);
}

fn some() -> Parts {
    Parts {
        key: 1,
        ids: [2, 3, 4],
        amounts: [5, 6],
        no: 1,
        texts: ["a".to_owned(), "b".to_owned()],
        currency: "KRW".to_owned(),
        yes: true,
    }
}

#[test]
fn the_headers_say_what_a_reader_wants_to_know_before_the_value() {
    let parts = some();
    let fact = fact(1, &parts);
    let told = told(1, &fact);
    let record = row(&told, fact.topic()).record().unwrap();
    let headers: Vec<_> = record.headers().collect();
    let wanted = [
        ("event-id", "4711"),
        ("event-type", "order.completed"),
        ("schema-version", "1"),
        ("aggregate-version", "3"),
        ("correlation-id", "corr-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    assert_eq!(headers, wanted.map(|(name, value)| (name, value.to_owned())));
    assert_eq!(record.key, "ord_0000000000001");
}

#[test]
fn a_field_that_is_not_known_is_passed_over() {
    let mut example = schema("order.completed")["examples"][0].clone();
    let before = Taken::read(example.to_string().as_bytes()).unwrap();
    example["gift"] = Value::from(true);
    assert_eq!(Taken::read(example.to_string().as_bytes()), Ok(before));
}

#[test]
fn internal_events_stay_inside() {
    let fact = Fact::OrderAdvanced { from: "HOLDING", to: "PAYING", why: "" };
    assert_eq!(row(&told(1, &fact), fact.topic()).record(), None);
}

/// An event that cannot be told is not left out: it is a dead letter, with all that there is of it.
#[test]
fn what_cannot_be_told_is_a_dead_letter() {
    let older = [1, 4, 192, 178, 4];
    assert_eq!(
        Fact::decode(&older),
        Ok(Fact::OrderCompleted { user: 2, total: 36_000, currency: "" })
    );
    for payload in [&older[..], &[99, 1, 2], &[]] {
        let told = Told { payload: payload.to_vec(), key: 1 };
        let record = row(&told, "order.completed").record().unwrap();
        let value = value(&record);
        fits(&schema(DEAD.name), &value, "$").unwrap();
        assert_eq!((record.topic.name, record.seq), (DEAD.name, 4_711));
        assert_eq!(value["topic"], "order.completed");
    }
}

/// Where `value` is not what `schema` says. A small reader of the part of JSON Schema that the
/// schemas use: a word that it does not know fails, so that nothing is silently not checked, and so
/// does a field that the schema does not have.
fn fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (word, rule) in schema.as_object().unwrap() {
        let fine = match word.as_str() {
            "type" => match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "const" => rule == value,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_i64() >= rule.as_i64(),
            "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
            "oneOf" => {
                let choices = rule.as_array().unwrap();
                choices.iter().filter(|choice| fits(choice, value, at).is_ok()).count() == 1
            }
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, field) in value.as_object().unwrap() {
                    let at = format!("{at}.{name}");
                    let rule =
                        rule.get(name).ok_or_else(|| format!("{at} is not in the schema"))?;
                    fits(rule, field, &at)?;
                }
                true
            }
            "items" => {
                for (n, item) in value.as_array().unwrap().iter().enumerate() {
                    fits(rule, item, &format!("{at}[{n}]"))?;
                }
                true
            }
            "format" => value.as_str().and_then(Time::parse).is_some(),
            "$schema" | "$id" | "title" | "description" | "examples" => true,
            other => return Err(format!("the schemas use `{other}`")),
        };
        if !fine {
            return Err(format!("{at} is {value}, but {word} is {rule}"));
        }
    }
    Ok(())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the schemas use type `{other}`"),
    }
}

/// The four shapes of pattern that the schemas have.
fn matches(pattern: &str, text: &str) -> bool {
    let every = |fine: fn(u8) -> bool| text.bytes().all(fine);
    match pattern {
        "^[A-Z]{3}$" => text.len() == 3 && every(|b| b.is_ascii_uppercase()),
        "^[0-9]+$" => !text.is_empty() && every(|b| b.is_ascii_digit()),
        "^[0-9a-f]*$" => every(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        id => {
            let prefix = id.strip_prefix('^').unwrap();
            let prefix = prefix.strip_suffix("_[0-9A-HJKMNP-TV-Z]{13}$").unwrap();
            let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
            let digit =
                |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase() && !b"ILOU".contains(&b);
            digits.is_some_and(|digits| digits.len() == 13 && digits.bytes().all(digit))
        }
    }
}
