//! Journals: booked whole or refused with the place, once, and seen among the entries.

use axum::body::Body;
use serde_json::{Value, json};

use crate::world::{CLIENT, OPERATOR, World, post};

const JOURNALS: &str = "/api/v1/ledger/journals";

fn posting(legs: &[(&str, i64)]) -> Value {
    let leg = |&(account, amount): &(&str, i64)| json!({ "account": account, "amount": amount });
    json!({ "currency": "KRW", "legs": legs.iter().map(leg).collect::<Vec<_>>() })
}

fn journal(postings: &[Value]) -> Value {
    json!({ "reason": "statement of 20 November", "postings": postings })
}

#[tokio::test]
async fn a_journal_is_booked_once_and_seen_among_the_entries() {
    for world in World::all() {
        let mut second = posting(&[("suspense", 1_000), ("merchant:m-1:payable", -1_000)]);
        second["memo"] = json!("line 18");
        let body = journal(&[posting(&[("bank", 1_000), ("suspense", -1_000)]), second.clone()]);
        let made = world.post(JOURNALS, "k", &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!((&made.json["postings"], &made.json["entries"]), (&json!(2), &json!(4)));
        let again = world.post(JOURNALS, "k", &body).await;
        assert_eq!((again.status, &again.json), (201, &made.json));
        assert_eq!(again.header("idempotency-replayed"), "true");
        let mut other = body.clone();
        other["postings"][0]["legs"][0]["amount"] = json!(999);
        other["postings"][0]["legs"][1]["amount"] = json!(-999);
        let other = world.post(JOURNALS, "k", &other).await;
        assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));

        let id = made.json["journalId"].as_str().unwrap();
        let shown = world.get(&format!("{JOURNALS}/{id}")).await.json;
        assert_eq!((&shown["who"], &shown["reason"]), (&json!("operator"), &body["reason"]));
        assert_eq!((&shown["at"], &shown["entries"]), (&made.json["at"], &json!(4)));
        assert_eq!(shown["postings"], body["postings"]);

        let all = "/api/v1/ledger/accounts/suspense/entries?currency=KRW";
        let wanted = |page: &Value| page["items"].as_array().is_some_and(|i| i.len() == 2);
        let page = world.until(all, wanted).await;
        let newest = &page["items"][0];
        assert_eq!((&newest["source"], &newest["posting"]), (&json!(id), &json!(2)));
        assert_eq!((&newest["side"], &newest["balance"]["amount"]), (&json!("DEBIT"), &json!(0)));
        assert_eq!(page["items"][1]["balance"]["amount"], 1_000);
        let trial = world.get("/api/v1/ledger/trial-balance").await.json;
        assert_eq!(
            (&trial["balanced"], &trial["totals"][0]["debits"]),
            (&json!(true), &json!(2_000))
        );
    }
}

#[tokio::test]
async fn a_journal_is_booked_whole_or_refused_with_its_place() {
    let world = World::new();
    let good = posting(&[("bank", 5), ("suspense", -5)]);
    let with = |bad: Value| journal(&[good.clone(), bad]);
    let spoilt = |name: &str, value: Value| {
        let mut bad = good.clone();
        bad[name] = value;
        with(bad)
    };
    let mut blank = journal(std::slice::from_ref(&good));
    blank["reason"] = json!("");
    let leg = || json!({ "account": "bank", "amount": 1 });
    for (body, problem, field) in [
        (journal(&[]), "POSTINGS_INVALID", "postings"),
        (journal(&vec![good.clone(); 501]), "POSTINGS_INVALID", "postings"),
        (with(posting(&[("bank", 1)])), "POSTINGS_INVALID", "postings[1].legs"),
        (spoilt("legs", json!(vec![leg(); 21])), "POSTINGS_INVALID", "postings[1].legs"),
        (with(posting(&[("bank", 5), ("fee", -4)])), "UNBALANCED", "postings[1].legs"),
        (with(posting(&[("bank", 0), ("fee", 0)])), "UNBALANCED", "postings[1].legs[0].amount"),
        (
            with(posting(&[("bank", 5), ("cash", -5)])),
            "ACCOUNT_CODE_UNKNOWN",
            "postings[1].legs[1].account",
        ),
        (
            with(posting(&[("bank", i64::MAX), ("loss", -i64::MAX)])),
            "BALANCE_OVERFLOW",
            "postings[1].legs[0].account",
        ),
        (spoilt("currency", json!("WON")), "INVALID_FIELD", "postings[1].currency"),
        (spoilt("memo", json!("")), "INVALID_FIELD", "postings[1].memo"),
        (spoilt("note", json!("x")), "UNKNOWN_FIELD", "postings[1].note"),
        (
            with(posting(&[("bank", 5), (&"x".repeat(256), -5)])),
            "INVALID_FIELD",
            "postings[1].legs[1].account",
        ),
        (blank, "INVALID_FIELD", "reason"),
        (json!({ "reason": "x" }), "MISSING_FIELD", "postings"),
    ] {
        let answer = world.post(JOURNALS, "k", &body).await;
        assert_eq!((answer.problem(), answer.field()), ((422, problem), field), "{}", answer.text);
    }
    let trial = world.get("/api/v1/ledger/trial-balance").await.json;
    assert_eq!(trial["accounts"], json!([]), "nothing of a refused journal is booked");
    let strange =
        world.send(post(JOURNALS, "k", CLIENT, &journal(std::slice::from_ref(&good)))).await;
    assert_eq!(strange.problem(), (403, "FORBIDDEN"));
    let none = world.get("/api/v1/ledger/journals/jnl_0000000001000").await;
    assert_eq!(none.problem(), (404, "JOURNAL_UNKNOWN"));
}

#[tokio::test]
async fn the_largest_journal_fits_its_body_and_more_than_that_does_not() {
    let world = World::new();
    let payable = |n: i64| format!("merchant:a-merchant-with-a-name-of-some-length-{n:03}:payable");
    let legs = |n: i64| -> Vec<(String, i64)> {
        let payables = (1..20).map(|leg| (payable((n * 19 + leg) % 997), -1));
        std::iter::once(("bank".to_owned(), 19)).chain(payables).collect()
    };
    let posting_of = |n| {
        let legs = legs(n);
        posting(&legs.iter().map(|(code, amount)| (code.as_str(), *amount)).collect::<Vec<_>>())
    };
    let body = journal(&(0..500).map(posting_of).collect::<Vec<_>>());
    let length = body.to_string().len();
    assert!((600_000..1 << 20).contains(&length), "{length}");
    let made = world.post(JOURNALS, "k", &body).await;
    assert_eq!((made.status, &made.json["entries"]), (201, &json!(10_000)), "{}", made.text);
    let id = made.json["journalId"].as_str().unwrap();
    let shown = world.get(&format!("{JOURNALS}/{id}")).await.json;
    assert_eq!(shown["postings"], body["postings"]);
    let all = "/api/v1/ledger/accounts/bank/entries?currency=KRW&limit=100";
    let full = |page: &Value| page["items"].as_array().is_some_and(|i| i.len() == 100);
    let page = world.until(all, full).await;
    assert_eq!(page["items"][0]["balance"]["amount"], 500 * 19);
    let mut large = post(JOURNALS, "l", OPERATOR, &Value::Null);
    *large.body_mut() = Body::from("x".repeat((1 << 20) + 1));
    assert_eq!(world.send(large).await.problem(), (413, "BODY_TOO_LARGE"));
}
