//! Ledger, payments and administration.

use serde_json::{Value, json};

use crate::world::{World, order};

const RECEIVABLE: &str = "psp:sim:receivable";

async fn accounts(world: &World) -> Vec<Value> {
    let page = world.get("/api/v1/ledger/accounts").await;
    page.json["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_books_balance_and_tell_every_entry() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 50).await;
        for n in 0..3 {
            let sold = world.place(&format!("o{n}"), &order(&sku, 2, 2_000, "tok_visa")).await;
            assert_eq!(sold.status, 201);
        }
        // Three orders, and for each 1 % of it in points, which are booked after its answer.
        let both = 3 * (2_000 + 2_000 / 100);
        let path = "/api/v1/ledger/trial-balance";
        world.until(path, |trial| trial["totals"][0]["debits"] == both).await;
        let trial = world.get(path).await.json;
        let total = json!({ "currency": "KRW", "debits": both, "credits": both, "balanced": true });
        assert_eq!((&trial["balanced"], &trial["totals"][0]), (&json!(true), &total));
        let codes: Vec<_> = accounts(&world).await.iter().map(|a| a["code"].clone()).collect();
        assert!(codes.contains(&json!("merchant:m-1:payable")), "{codes:?}");
        let receivable =
            codes.iter().filter_map(Value::as_str).find(|c| c.ends_with(":receivable"));
        let receivable = receivable.unwrap_or(RECEIVABLE).to_owned();

        let path = "/api/v1/ledger/accounts/merchant:m-1:payable";
        let account = world.get(&format!("{path}?currency=KRW")).await.json;
        assert_eq!(
            (&account["balance"], &account["normalSide"]),
            (&json!(6_000), &json!("CREDIT"))
        );
        let all = format!("{path}/entries?currency=KRW");
        world.until(&all, |page| page["items"].as_array().is_some_and(|i| i.len() == 3)).await;
        let first = world.get(&format!("{all}&limit=2")).await.json;
        assert_eq!(first["items"][0]["balance"]["amount"], 6_000, "newest first");
        assert_eq!(first["items"][0]["side"], "CREDIT");
        let cursor = first["nextCursor"].as_str().unwrap();
        let second = world.get(&format!("{all}&limit=2&cursor={cursor}")).await.json;
        assert_eq!(second["items"][0]["balance"]["amount"], 2_000);
        assert_eq!(second["nextCursor"], Value::Null);

        let at = second["items"][0]["at"].as_str().unwrap();
        let then = world.get(&format!("{path}/balance?currency=KRW&at={at}")).await.json;
        assert_eq!(then["balance"]["amount"], 2_000, "{then}");
        let before = format!("{path}/balance?currency=KRW&at=2024-01-01T00:00:00Z");
        assert_eq!(world.get(&before).await.json["balance"]["amount"], 0);
        let path = format!("/api/v1/ledger/accounts/{receivable}/balance?currency=KRW");
        let now = world.get(&path).await.json;
        assert_eq!(
            (&now["balance"]["amount"], &now["debits"]["amount"]),
            (&json!(6_000), &json!(6_000))
        );
    }
}

#[tokio::test]
async fn accounts_are_named_by_code_and_currency() {
    let world = World::new();
    for (path, problem, field) in [
        ("bank?currency=KRW", (404, "ACCOUNT_UNKNOWN"), ""),
        ("bank", (400, "INVALID_PARAMETER"), "currency"),
        ("bank?currency=WON", (422, "INVALID_FIELD"), "currency"),
        ("bank/balance?currency=KRW&at=yesterday", (400, "INVALID_PARAMETER"), "at"),
    ] {
        let answer = world.get(&format!("/api/v1/ledger/accounts/{path}")).await;
        assert_eq!((answer.problem(), answer.field()), (problem, field), "{path}");
    }
}

#[tokio::test]
async fn a_payment_is_seen_and_resolved_only_when_its_outcome_is_unknown() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 5).await;
        let sold = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
        let path = format!("/api/v1/payments/{}", sold.json["paymentId"].as_str().unwrap());
        let payment = world.get(&path).await.json;
        assert_eq!(
            (&payment["state"], &payment["captured"]["amount"]),
            (&json!("CAPTURED"), &json!(1_000))
        );
        assert_eq!(payment["orderId"], sold.json["id"]);
        assert_eq!(payment["split"][0]["merchantId"], "m-1");
        let body = json!({ "verdict": "NOT_CHARGED", "evidence": "settlement file" });
        let known = world.post(&format!("{path}/resolve"), "v", &body).await;
        assert_eq!(known.problem(), (409, "NOT_UNKNOWN"));
        let no = json!({ "verdict": "MAYBE", "evidence": "x" });
        let no = world.post(&format!("{path}/resolve"), "w", &no).await;
        assert_eq!((no.problem(), no.field()), ((422, "INVALID_FIELD"), "verdict"));
        let no = json!({ "verdict": "CAPTURED", "evidence": "" });
        assert_eq!(world.post(&format!("{path}/resolve"), "x", &no).await.field(), "evidence");
        let unknown = world.get("/api/v1/payments/pay_0000000001000").await;
        assert_eq!(unknown.problem(), (404, "PAYMENT_UNKNOWN"));
    }
}

#[tokio::test]
async fn a_proof_is_carried_out_on_request() {
    let world = World::new();
    let report = world.post("/api/v1/admin/prove", "", &Value::Null).await;
    assert_eq!((report.status, &report.json), (200, &json!({ "findings": [] })));
}
