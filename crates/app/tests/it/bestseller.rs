//! Rankings that are shared by Redis: whatever happens to it, what is told follows the rows.

use jangbu_cluster::Redis;
use jangbu_engine::clock::{Clock as _, SystemClock};
use jangbu_services::bestseller::day;
use serde_json::json;

use crate::notification::until;
use crate::server::Server;

/// Units of what sells best.
pub(crate) fn units(server: &Server) -> i64 {
    let list = server.get("/api/v1/bestsellers?window=day").body;
    list["items"][0]["units"].as_i64().unwrap_or(0)
}

/// Sells one unit.
pub(crate) fn order(server: &Server, sku: &str, key: &str) -> String {
    let sold = server.order(key, sku, 1, "tok_ok").unwrap();
    assert_eq!(sold.status, 201, "{sold:?}");
    sold.body["id"].as_str().unwrap().to_owned()
}

/// Gives back the unit of an order.
pub(crate) fn refund(server: &Server, order: &str) {
    let body = json!({ "reason": "too small" });
    let back = server.operate(&format!("/api/v1/orders/{order}/refund"), order, &body);
    assert!(back.status < 300, "{back:?}");
}

/// Asks until Redis has a ranking.
fn await_shared(server: &Server, redis: &Redis) {
    let look = || {
        units(server);
        let key = format!("EXISTS jangbu:best:day:{}", day(SystemClock.now()));
        redis.ask(&key).is_ok_and(|there| there == "1")
    };
    until("a ranking in Redis", look, |shared| *shared);
}

#[test]
fn rankings_follow_the_rows_whatever_redis_has_lost() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let redis = Redis::start(&dir.path().join("redis")).unwrap();
    let url = redis.url();
    // A busy machine is no slow server.
    let given = [("REDIS__URL", &*url), ("REDIS__PATIENCE_MS", "1000")];
    let server = Server::start(&dir.path().join("data"), &given);
    let sku = server.seed(1, 100).remove(0);
    let first = order(&server, &sku, "first");
    order(&server, &sku, "second");
    let is = |wanted: i64| {
        until("the ranking", || units(&server), |seen| *seen == wanted);
    };
    is(2);
    await_shared(&server, &redis);
    refund(&server, &first);
    is(1);
    await_shared(&server, &redis);
    redis.ask("FLUSHALL").unwrap();
    assert_eq!(units(&server), 1, "it was emptied");
    await_shared(&server, &redis);
    redis.kill();
    order(&server, &sku, "third");
    is(2);
    redis.start_again().unwrap();
    await_shared(&server, &redis);
    assert_eq!(units(&server), 2);
    assert!(server.stop().success());
}
