//! Two hundred requests in one TCP packet: the attack that finds checks which are not one with the
//! write.

use std::collections::BTreeSet;

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
    for world in World::both() {
        let served = Served::by(&world, jangbu_api::Connections::default()).await;
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
