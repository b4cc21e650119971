//! kill -9 while merchants authorise, capture and refund: a call to the gateway whose answer nobody
//! heard is looked into after the start, and nothing that was acknowledged is lost or done twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{Reply, Server, prove};

const MERCHANTS: usize = 16;
const ROUNDS: u64 = 6;

/// Tokens in turn: most are authorised, some declined, some get no answer.
const TOKENS: [&str; 8] =
    ["", "", "tok_ok", "", "tok_declined", "tok_timeout_authorized", "", "tok_duplicate"];

/// What was told, and to whom: the journal that `prove --acks` reads, and the payment of each key.
struct Told {
    file: Mutex<File>,
    payments: Mutex<BTreeMap<usize, String>>,
}

impl Told {
    fn create(path: &Path) -> Self {
        let mut file = File::create(path).unwrap();
        writeln!(file, "key,order_id,outcome,amount").unwrap();
        Self { file: Mutex::new(file), payments: Mutex::default() }
    }

    /// Remembers an answer; one key never gets two payments.
    fn note(&self, plan: usize, reply: &Reply) {
        let Some(id) = reply.body["paymentId"].as_str() else { return };
        let before = self.payments.lock().unwrap().insert(plan, id.to_owned());
        assert!(before.is_none_or(|before| before == id), "plan {plan} got a second payment");
        let status = reply.body["status"].as_str().unwrap_or_default();
        if reply.status == 200 && matches!(status, "AUTHORIZED" | "CAPTURED") {
            let mut file = self.file.lock().unwrap();
            writeln!(file, "pay-{plan},{id},{status},{}", amount(plan)).unwrap();
        }
    }
}

fn merchant(plan: usize) -> String {
    (1 + plan % 50).to_string()
}

fn amount(plan: usize) -> usize {
    1_000 * (1 + plan % 50)
}

fn authorize(server: &Server, plan: usize) -> Option<Reply> {
    let body = json!({
        "merchantId": merchant(plan), "amount": amount(plan), "token": TOKENS[plan % TOKENS.len()],
    });
    server.post("/api/payments/authorize", &format!("pay-{plan}"), &body)
}

fn capture(server: &Server, plan: usize, id: &str) -> Option<Reply> {
    let body = json!({ "merchantId": merchant(plan) });
    server.post(&format!("/api/payments/capture/{id}"), "unused", &body)
}

fn refund(server: &Server, plan: usize, id: &str) -> Option<Reply> {
    let body = json!({ "merchantId": merchant(plan), "reason": "broken", "amount": 400 });
    server.post(&format!("/api/payments/refund/{id}"), &format!("back-{plan}"), &body)
}

/// One payment from its authorisation to its refund; none: the server is gone.
fn pay(server: &Server, plan: usize, told: &Told) -> Option<()> {
    let held = authorize(server, plan)?;
    told.note(plan, &held);
    let Some(id) = held.body["paymentId"].as_str().filter(|_| held.status == 200) else {
        return Some(());
    };
    let taken = capture(server, plan, id)?;
    told.note(plan, &taken);
    if taken.status == 200 && plan.is_multiple_of(3) {
        refund(server, plan, id)?;
    }
    Some(())
}

fn kill_during_storm(server: Server, told: &Told, next: &AtomicUsize, moment: Duration) {
    let stop = AtomicBool::new(false);
    let pid = server.pid().to_string();
    let merchant = || {
        while !stop.load(Ordering::Relaxed) {
            let plan = next.fetch_add(1, Ordering::Relaxed);
            if pay(&server, plan, told).is_none() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..MERCHANTS {
            scope.spawn(merchant);
        }
        std::thread::sleep(moment);
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        stop.store(true, Ordering::Relaxed);
    });
    server.kill();
}

/// Repeats `ask` until it is answered for good.
fn settled(ask: impl Fn() -> Option<Reply>) -> Reply {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let reply = ask().unwrap();
        if reply.status != 202 && reply.status != 503
            || reply.body["paymentId"].is_string() && reply.status == 503
        {
            return reply;
        }
        assert!(Instant::now() < deadline, "never settled: {reply:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything that was ever asked is asked again, until it has its end.
fn finish(server: &Server, told: &Told, plans: usize) {
    for plan in 0..plans {
        let held = settled(|| authorize(server, plan));
        told.note(plan, &held);
        if held.status != 200 {
            assert!(matches!(held.status, 402 | 503), "plan {plan}: {held:?}");
            continue;
        }
        let id = held.body["paymentId"].as_str().unwrap().to_owned();
        let taken = settled(|| capture(server, plan, &id));
        assert_eq!(taken.status, 200, "plan {plan}: {taken:?}");
        told.note(plan, &taken);
        if plan.is_multiple_of(3) {
            let given = settled(|| refund(server, plan, &id));
            assert_eq!(
                (given.status, &given.body["refundAmount"]),
                (200, &json!(400)),
                "{given:?}"
            );
        }
    }
}

#[test]
fn defect_1_a_server_killed_between_charge_and_record_asks_the_gateway_and_loses_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, acks) = (dir.path().join("data"), dir.path().join("acks.csv"));
    let (told, next) = (Told::create(&acks), AtomicUsize::new(0));
    let settings = [("SERVER__WAIT_MS", "300"), ("PAYMENTS__UNSIGNED", "true")];
    let mut random = u64::from(std::process::id()) | 1;
    for round in 0..ROUNDS {
        let server = Server::start(&data, &settings);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
        let moment = Duration::from_millis(200 + (random >> 33) % 600);
        kill_during_storm(server, &told, &next, moment);
        let (code, report) = prove(&data, Some(&acks));
        assert_eq!(code, 0, "round {round}: {report:#}");
    }
    let server = Server::start(&data, &settings);
    let plans = next.load(Ordering::Relaxed);
    finish(&server, &told, plans);
    assert!(server.stop().success());
    let (code, report) = prove(&data, Some(&acks));
    assert_eq!(code, 0, "{report:#}");
    let open = |what: &str| report["in_flight"][what].as_u64();
    assert_eq!((open("payments_open"), open("refunds_pending")), (Some(0), Some(0)), "{report:#}");
    assert!(plans > 100, "the storm was a breeze: {plans}");
}
