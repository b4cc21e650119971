//! Campaigns and coupons.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::world::{Answer, CLIENT, OPERATOR, USER, World, post, session};

const OTHER: &str = "usr_0000000001001";

/// A campaign of `total` coupons, `each` for one user: its id.
pub(crate) async fn campaign(world: &World, key: &str, total: i64, each: i64) -> String {
    let body = json!({
        "name": "Spring <sale>", "discount": { "type": "FIXED", "amount": 500 },
        "currency": "KRW", "total": total, "perUser": each,
    });
    made(world, key, &body).await
}

async fn made(world: &World, key: &str, body: &Value) -> String {
    let made = world.post("/api/v1/campaigns", key, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.json["id"].as_str().unwrap().to_owned()
}

/// Asks for a coupon, as a client.
pub(crate) async fn issue(world: &World, campaign: &str, key: &str, user: &str) -> Answer {
    let path = format!("/api/v1/campaigns/{campaign}/issue");
    world.send(post(&path, key, CLIENT, &json!({ "userId": user }))).await
}

fn user(n: i64) -> String {
    format!("usr_00000000020{n:02}")
}

async fn shown(world: &World, campaign: &str) -> Value {
    world.get(&format!("/api/v1/campaigns/{campaign}")).await.json
}

#[tokio::test]
async fn a_campaign_is_made_once_and_says_where_its_coupons_are() {
    for world in World::all() {
        let body = json!({
            "name": "Spring", "discount": { "type": "PERCENT", "basisPoints": 1_000, "cap": 500 },
            "currency": "KRW", "minimum": 1_000, "total": 2, "funding": "MERCHANT",
            "merchantId": "m-1", "validUntil": "2099-01-01T00:00:00Z",
        });
        let first = world.post("/api/v1/campaigns", "k", &body).await;
        assert_eq!((first.status, &first.json["state"]), (201, &json!("OPEN")), "{}", first.text);
        let again = world.post("/api/v1/campaigns", "k", &body).await;
        assert_eq!((&again.json, again.header("idempotency-replayed")), (&first.json, "true"));
        let id = first.json["id"].as_str().unwrap();
        assert_eq!(shown(&world, id).await, first.json);
        let list = world.get("/api/v1/campaigns").await;
        assert_eq!(list.json["items"], json!([first.json]));
        let path = format!("/api/v1/campaigns/{id}/end");
        let ended = world.post(&path, "end", &json!({ "reason": "a mistake" })).await;
        assert_eq!((ended.status, &ended.json["state"]), (200, &json!("ENDED")));
        let late = issue(&world, id, "late", USER).await;
        assert_eq!(late.problem(), (409, "CAMPAIGN_NOT_OPEN"));
        let unknown = world.get("/api/v1/campaigns/cmp_0000000001000").await;
        assert_eq!(unknown.problem(), (404, "CAMPAIGN_UNKNOWN"));
        let unknown = issue(&world, "cmp_0000000001000", "u", USER).await;
        assert_eq!(unknown.problem(), (404, "CAMPAIGN_UNKNOWN"));
    }
}

#[tokio::test]
async fn terms_that_make_no_sense_name_their_field() {
    let world = World::new();
    let good = json!({
        "name": "x", "discount": { "type": "FIXED", "amount": 5 }, "currency": "KRW", "total": 2,
    });
    for (at, (field, value, code, named)) in [
        ("name", json!(""), "CAMPAIGN_INVALID", "name"),
        ("discount", json!({ "type": "FIXED" }), "INVALID_FIELD", "discount"),
        ("discount", json!({ "type": "GIFT", "amount": 1 }), "INVALID_FIELD", "discount"),
        ("discount", json!({ "type": "FIXED", "amount": 0 }), "INVALID_FIELD", "discount.amount"),
        ("currency", json!("won"), "INVALID_FIELD", "currency"),
        ("startsAt", json!("soon"), "INVALID_FIELD", "startsAt"),
        ("endsAt", json!("2020-01-01T00:00:00Z"), "CAMPAIGN_INVALID", "endsAt"),
        ("validUntil", json!("2020-01-01T00:00:00Z"), "CAMPAIGN_INVALID", "validUntil"),
        ("validDays", json!(0), "INVALID_FIELD", "validDays"),
        ("perUser", json!(3), "CAMPAIGN_INVALID", "perUser"),
        ("total", json!(0), "CAMPAIGN_INVALID", "total"),
        ("funding", json!("MERCHANT"), "CAMPAIGN_INVALID", "merchantId"),
        ("funding", json!("BANK"), "INVALID_FIELD", "funding"),
        ("merchantId", json!(""), "INVALID_FIELD", "merchantId"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = good.clone();
        body[field] = value;
        let refused = world.post("/api/v1/campaigns", &format!("k{at}"), &body).await;
        assert_eq!((refused.problem(), refused.field()), ((422, code), named), "{}", refused.text);
    }
    assert_eq!(world.post("/api/v1/campaigns", "good", &good).await.status, 201);
}

#[tokio::test]
async fn exactly_so_many_are_issued_and_what_is_told_to_be_left_is_left() {
    for world in World::all() {
        let id = campaign(&world, "c", 3, 1).await;
        let mut positions = BTreeSet::new();
        for n in 0..3 {
            let got = issue(&world, &id, &format!("k{n}"), &user(n)).await;
            assert_eq!(got.status, 201, "{}", got.text);
            let position = got.json["position"].as_i64().unwrap();
            assert_eq!(got.json["remaining"], 3 - position);
            assert_eq!(shown(&world, &id).await["remaining"], 3 - position);
            positions.insert(position);
        }
        assert_eq!(positions, BTreeSet::from([1, 2, 3]));
        let late = issue(&world, &id, "late", &user(9)).await;
        assert_eq!((late.problem(), late.field()), ((409, "COUPON_EXHAUSTED"), "remaining"));
        let stands = shown(&world, &id).await;
        let counts = ["issued", "remaining", "free", "used"].map(|name| stands[name].clone());
        assert_eq!(counts, [json!(3), json!(0), json!(3), json!(0)]);
        assert_eq!(stands["state"], "EXHAUSTED");
    }
}

#[tokio::test]
async fn a_user_gets_no_more_than_one_may_have_and_a_repeat_gets_the_first() {
    let world = World::new();
    let id = campaign(&world, "c", 9, 1).await;
    let first = issue(&world, &id, "a", USER).await;
    let again = issue(&world, &id, "a", USER).await;
    assert_eq!((&again.json, again.header("idempotency-replayed")), (&first.json, "true"));
    assert_eq!(issue(&world, &id, "b", USER).await.problem(), (409, "COUPON_LIMIT_REACHED"));
    assert_eq!(issue(&world, &id, "a", OTHER).await.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(issue(&world, &id, "c", OTHER).await.json["position"], 2);
}

/// Waits until a refusal of the campaign takes no command.
async fn closed(world: &World, id: &str) {
    for n in 0..500 {
        let gated = gated(world).await;
        issue(world, id, &format!("closing-{n}"), "usr_0000000009999").await;
        if self::gated(world).await > gated {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the campaign does not close");
}

async fn gated(world: &World) -> u64 {
    let page = world.get("/metrics").await.text;
    let line = page.lines().find(|line| line.starts_with("jangbu_coupon_gate_refusals_total "));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_exhausted_is_refused_before_the_mailbox_and_owners_get_their_first_answer() {
    for world in World::all() {
        let id = campaign(&world, "c", 2, 1).await;
        let first = issue(&world, &id, "a", USER).await;
        assert_eq!(issue(&world, &id, "b", OTHER).await.json["remaining"], 0);
        closed(&world, &id).await;
        let before = gated(&world).await;
        let late = issue(&world, &id, "late", &user(1)).await;
        assert_eq!((late.problem(), late.field()), ((409, "COUPON_EXHAUSTED"), "remaining"));
        assert_eq!(gated(&world).await, before + 1);
        let again = issue(&world, &id, "a", USER).await;
        assert_eq!((&again.json, again.header("idempotency-replayed")), (&first.json, "true"));
        let more = issue(&world, &id, "a2", USER).await;
        assert_eq!(more.problem(), (409, "COUPON_EXHAUSTED"));
        assert_eq!(gated(&world).await, before + 1, "owners are answered by the domain");
    }
}

#[tokio::test]
async fn what_has_not_begun_or_was_ended_is_refused_before_the_mailbox() {
    let world = World::new();
    let body = json!({
        "name": "x", "discount": { "type": "FIXED", "amount": 5 }, "currency": "KRW", "total": 2,
        "startsAt": "2098-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
    });
    let early = made(&world, "early", &body).await;
    assert_eq!(shown(&world, &early).await["state"], "UPCOMING");
    closed(&world, &early).await;
    assert_eq!(issue(&world, &early, "a", USER).await.problem(), (409, "CAMPAIGN_NOT_OPEN"));
    let ended = campaign(&world, "c", 2, 1).await;
    let first = issue(&world, &ended, "k", USER).await;
    let path = format!("/api/v1/campaigns/{ended}/end");
    assert_eq!(world.post(&path, "end", &json!({})).await.status, 200);
    closed(&world, &ended).await;
    let again = issue(&world, &ended, "k", USER).await;
    assert_eq!((&again.json, again.status), (&first.json, 201));
}

#[tokio::test]
async fn a_grant_gives_all_or_none_and_its_repeat_the_same_coupons() {
    for world in World::all() {
        let id = campaign(&world, "c", 4, 2).await;
        let path = format!("/api/v1/campaigns/{id}/grants");
        let body = json!({ "userIds": [USER, OTHER, USER], "reason": "a late parcel" });
        let given = world.post(&path, "g", &body).await;
        assert_eq!((given.status, &given.json["remaining"]), (201, &json!(1)), "{}", given.text);
        let owners: Vec<_> =
            given.json["coupons"].as_array().unwrap().iter().map(|c| c["userId"].clone()).collect();
        assert_eq!(owners, [USER, OTHER, USER]);
        let again = world.post(&path, "g", &body).await;
        assert_eq!((&again.json, again.header("idempotency-replayed")), (&given.json, "true"));
        let more = world.post(&path, "h", &json!({ "userIds": [USER] })).await;
        assert_eq!(more.problem(), (409, "COUPON_LIMIT_REACHED"));
        let many = world.post(&path, "i", &json!({ "userIds": [user(1), user(2)] })).await;
        assert_eq!(many.problem(), (409, "COUPON_EXHAUSTED"));
        let none = world.post(&path, "j", &json!({ "userIds": [] })).await;
        assert_eq!(none.problem(), (422, "GRANT_INVALID"));
        assert_eq!(shown(&world, &id).await["issued"], 3);
    }
}

#[tokio::test]
async fn users_see_their_own_coupons_newest_first() {
    let world = World::new();
    let id = campaign(&world, "c", 9, 3).await;
    let mut own = Vec::new();
    for n in 0..3 {
        let got = issue(&world, &id, &format!("k{n}"), USER).await;
        own.insert(0, got.json["couponId"].clone());
    }
    issue(&world, &id, "other", OTHER).await;
    let list = format!("/api/v1/users/{USER}/coupons");
    let all = |json: &Value| json["items"].as_array().is_some_and(|items| items.len() == 3);
    let found = world.until(&list, all).await;
    let ids: Vec<_> = found["items"].as_array().unwrap().iter().map(|c| c["id"].clone()).collect();
    assert_eq!(ids, own);
    let page = world.get(&format!("{list}?limit=2")).await;
    let cursor = page.json["nextCursor"].as_str().unwrap();
    let rest = world.get(&format!("{list}?limit=2&cursor={cursor}")).await;
    assert_eq!((&rest.json["items"][0]["id"], &rest.json["nextCursor"]), (&own[2], &Value::Null));

    let one = format!("/api/v1/coupons/{}", own[0].as_str().unwrap());
    let revoked = world.post(&format!("{one}/revoke"), "r", &json!({ "reason": "abuse" })).await;
    assert_eq!((revoked.status, &revoked.json["state"]), (200, &json!("REVOKED")));
    assert_eq!(world.get(&one).await.json, revoked.json);
    let free = world.get(&format!("{list}?state=FREE")).await;
    assert_eq!(free.json["items"].as_array().unwrap().len(), 2);
    let gone = world.get(&format!("{list}?state=REVOKED")).await;
    assert_eq!(gone.json["items"], json!([revoked.json]));

    let (mine, theirs) = (session(USER), session(OTHER));
    assert_eq!(world.get_as(&mine, &one).await.status, 200);
    assert_eq!(world.get_as(&theirs, &one).await.problem(), (404, "COUPON_UNKNOWN"));
    assert_eq!(world.get_as(&theirs, &list).await.problem(), (403, "FORBIDDEN"));
    let path = format!("/api/v1/campaigns/{id}/issue");
    let for_other = world.send(post(&path, "s", &theirs, &json!({ "userId": USER }))).await;
    assert_eq!(for_other.problem(), (403, "FORBIDDEN"));
    let own = world.send(post(&path, "t", &theirs, &Value::Null)).await;
    assert_eq!((own.status, &own.json["userId"]), (201, &json!(OTHER)), "{}", own.text);
}

#[tokio::test]
async fn the_proof_lists_every_place_and_can_be_computed_again() {
    use sha2::{Digest as _, Sha256};
    for world in World::all() {
        let id = campaign(&world, "c", 3, 1).await;
        for n in 0..3 {
            issue(&world, &id, &format!("k{n}"), &user(n)).await;
        }
        let path = format!("/api/v1/campaigns/{id}/proof");
        let proof = world.get(&path).await.json;
        let facts = ["issued", "total", "mostPerUser"].map(|name| proof[name].clone());
        assert_eq!(facts, [json!(3), json!(3), json!(1)]);
        assert_eq!((&proof["gapless"], &proof["nextCursor"]), (&json!(true), &Value::Null));
        let lines: Vec<&str> =
            proof["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        let whole: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let digest = Sha256::digest(whole.as_bytes());
        let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = hex.concat();
        assert_eq!(proof["sha256"], digest);
        let rest = world.get(&format!("{path}?cursor=2")).await.json;
        assert_eq!((&rest["lines"], &rest["sha256"]), (&json!([lines[2]]), &proof["sha256"]));

        let request = Request::get(&path)
            .header("authorization", format!("Bearer {OPERATOR}"))
            .header("accept", "text/html,application/xhtml+xml");
        let page = world.send(request.body(Body::empty()).unwrap()).await;
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.text.contains(&digest) && page.text.contains(lines[0]));
        assert!(page.text.contains("Spring &lt;sale&gt;") && !page.text.contains("<script"));
        assert!(!page.text.contains("http"), "it needs nothing from elsewhere");
    }
}
