//! Requests that arrive at one moment: the attack that finds checks which are not one with the
//! write. Two hundred in one TCP packet; and many connections that hold back the last byte of
//! their request until all the others have come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jangbu_api::{Connections, Settings};
use jangbu_kernel::UserId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::coupons::campaign;
use crate::wire::Served;
use crate::world::{CLIENT, World};

/// A request of user `user`, as it goes over the wire.
fn request(campaign: &str, key: &str, user: &str) -> String {
    let body = json!({ "userId": user }).to_string();
    format!(
        "POST /api/v1/campaigns/{campaign}/issue HTTP/1.1\r\nHost: x\r\n\
         Authorization: Bearer {CLIENT}\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
}

/// Sends everything in one write, and reads `count` answers: status and body.
async fn at_once(served: &Served, text: &str, count: usize) -> Vec<(u16, Value)> {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let (mut bytes, mut answers) = (Vec::new(), Vec::new());
    while answers.len() < count {
        let mut part = vec![0; 65_536];
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "{} answers", answers.len());
        bytes.extend_from_slice(&part[..read]);
        while let Some((answer, rest)) = first(&bytes) {
            answers.push(answer);
            bytes.drain(..rest);
        }
    }
    answers
}

/// The first answer in `bytes`, if it is whole, and how long it is.
fn first(bytes: &[u8]) -> Option<((u16, Value), usize)> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let whole = end + length.parse::<usize>().unwrap();
    let body = serde_json::from_slice(bytes.get(end..whole)?).unwrap();
    Some(((head[9..12].parse().unwrap(), body), whole))
}

/// Which of the seven coupons an answer gives, if it is not a refusal that must be.
fn given((status, body): &(u16, Value)) -> Option<(i64, String)> {
    let code = body["code"].as_str().unwrap_or_default();
    let refused = ["COUPON_EXHAUSTED", "COUPON_LIMIT_REACHED"].contains(&code);
    assert!(*status == 201 || refused, "{status} {body}");
    if refused {
        return None;
    }
    let position = body["position"].as_i64().unwrap();
    assert_eq!(body["remaining"], 7 - position);
    Some((position, body["couponId"].to_string()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_in_one_packet_get_no_coupon_too_many() {
    for world in World::all() {
        let served = Served::by(&world, Connections::default()).await;
        for round in 0..5 {
            let id = campaign(&world, &format!("c{round}"), 7, 1).await;
            let user = |n: usize| format!("usr_00000000030{:02}", n % 100);
            let one = |n: usize| request(&id, &format!("k-{round}-{n}"), &user(n));
            let text: String = (0..200).map(one).collect();
            let (left, right) =
                tokio::join!(at_once(&served, &text, 200), at_once(&served, &text, 200));
            let positions: BTreeSet<_> = left.iter().chain(&right).filter_map(given).collect();
            assert_eq!(
                positions.len(),
                7,
                "each place has one coupon, whoever is told: {positions:?}"
            );
            let stands = world.get(&format!("/api/v1/campaigns/{id}")).await.json;
            assert_eq!((&stands["issued"], &stands["remaining"]), (&json!(7), &json!(0)));
        }
    }
}

/// Who asks for a coupon in a round, on a connection of their own.
struct Asker {
    stream: TcpStream,
    user: UserId,
    key: String,
    answer: (u16, Value),
}

/// Users and connections of a burst. Each user asks twice, and the last of them twice with one key.
const USERS: usize = 12;
const ASKERS: usize = 2 * USERS;

impl Asker {
    async fn all(served: &Served) -> Vec<Self> {
        let mut all = Vec::new();
        for _ in 0..ASKERS {
            let stream = TcpStream::connect(served.address).await.unwrap();
            // Else the last byte waits until the other end has said that it has the rest.
            stream.set_nodelay(true).unwrap();
            let (user, key, answer) = (UserId(0), String::new(), (0, Value::Null));
            all.push(Self { stream, user, key, answer });
        }
        all
    }

    /// Reads the answer, and nothing must come after it.
    async fn hear(&mut self) {
        let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
        while first(&bytes).is_none() {
            let read = self.stream.read(&mut part).await.unwrap();
            assert!(read > 0, "closed after {}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&part[..read]);
        }
        let (answer, length) = first(&bytes).unwrap();
        assert_eq!(length, bytes.len(), "one answer to one request");
        self.answer = answer;
    }
}

/// All ask for a coupon of `campaign`. Everything but the last byte of every request is on its way
/// before the first of these bytes; they leave without a pause.
async fn burst(campaign: &str, round: usize, askers: &mut [Asker]) {
    let mut last = Vec::new();
    for (at, asker) in askers.iter_mut().enumerate() {
        let user = at % USERS;
        let time = if user == USERS - 1 { 0 } else { at / USERS };
        asker.user = UserId(i64::try_from(1_000_000 + round * USERS + user).unwrap());
        asker.key = format!("b-{round}-{user}-{time}");
        let text = request(campaign, &asker.key, &asker.user.to_string());
        let (most, end) = text.as_bytes().split_at(text.len() - 1);
        asker.stream.write_all(most).await.unwrap();
        last.extend_from_slice(end);
    }
    for (asker, byte) in askers.iter().zip(&last) {
        assert_eq!(asker.stream.try_write(&[*byte]).unwrap(), 1);
    }
    for asker in askers {
        asker.hear().await;
    }
}

/// What the campaign had, and what came of it.
struct Stake {
    total: i64,
    each: i64,
    issued: i64,
}

/// Checks what a burst was told: whoever has a coupon has a place of their own, places go from 1
/// without a gap, the rest was counted down at each, and nobody has more than their share.
fn judge(stake: &Stake, askers: &[Asker]) {
    let (mut places, mut of_user) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<_>>::new());
    let mut of_key = BTreeMap::new();
    for Asker { user, key, answer: (status, body), .. } in askers {
        let code = body["code"].as_str().unwrap_or_default();
        if *status != 201 {
            assert_eq!(*status, 409, "{body}");
            assert!(["COUPON_EXHAUSTED", "COUPON_LIMIT_REACHED"].contains(&code), "{body}");
            continue;
        }
        let place = body["position"].as_i64().unwrap();
        let coupon = body["couponId"].to_string();
        assert_eq!(body["remaining"], stake.total - place, "{body}");
        assert_eq!(body["userId"], user.to_string(), "{body}");
        let has = places.entry(place).or_insert_with(|| (coupon.clone(), key));
        assert_eq!(*has, (coupon.clone(), key), "two have place {place}");
        assert_eq!(of_key.entry(key).or_insert_with(|| coupon.clone()), &coupon, "one key");
        of_user.entry(*user).or_default().insert(coupon);
    }
    assert!(places.keys().copied().eq(1..=stake.issued), "{:?}", places.keys());
    let most = of_user.values().map(BTreeSet::len).max().unwrap_or_default();
    assert!(most <= usize::try_from(stake.each).unwrap(), "{of_user:?}");
}

/// Races for the coupons of `rounds` campaigns: in turn there are too few for the users, the last
/// ones go to those who may have two, and it is the limit of each user that decides.
async fn bursts(world: &World, rounds: usize) {
    let served = Served::by(world, Connections::default()).await;
    let mut askers = Asker::all(&served).await;
    for round in 0..rounds {
        let (total, each, issued) = [(7, 1, 7), (20, 2, 20), (50, 1, 12)][round % 3];
        let stake = Stake { total, each, issued };
        let id = campaign(world, &format!("b{round}"), total, each).await;
        burst(&id, round, &mut askers).await;
        judge(&stake, &askers);
        let stands = world.get(&format!("/api/v1/campaigns/{id}")).await.json;
        let told = (&stands["issued"], &stands["remaining"]);
        assert_eq!(told, (&json!(issued), &json!(total - issued)), "round {round}");
    }
}

/// Nothing is refused for being late, however busy the machine is; and fewer ask at a time than are
/// always let in.
fn patient() -> Settings {
    let minute = Duration::from_mins(1);
    Settings { start: minute, request: minute, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_thousand_bursts_over_http_no_coupon_is_issued_twice_or_too_many() {
    bursts(&World::with(patient(), true), 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_bursts_over_http_the_auditor_finds_nothing_on_disk() {
    let world = World::with(patient(), false);
    bursts(&world, 60).await;
    let options =
        jangbu_audit::Options { live: true, ..jangbu_audit::Options::new(world.dir.path()) };
    let report = jangbu_audit::prove(&options).unwrap();
    assert_eq!((report.lost, report.doubled, report.mismatched), (0, 0, 0), "{report:?}");
}
