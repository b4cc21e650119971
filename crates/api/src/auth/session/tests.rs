use super::*;

const NOW: Time = Time(1_795_000_000_000_000);
const HOUR: i64 = 3_600 * SECOND;

fn later(micros: i64) -> Time {
    Time(NOW.0 + micros)
}

fn key(id: &str, secret: &str) -> (Arc<str>, Secret) {
    (id.into(), Secret::new(secret))
}

fn sessions() -> Sessions {
    Sessions::new(&[key("0001", "first-session-key-00000000000000")])
}

fn token(sessions: &Sessions, user: i64, ver: i64) -> Vec<u8> {
    let token = sessions.issue(UserId(user), ver, NOW, later(HOUR)).unwrap();
    token.reveal().as_bytes().to_vec()
}

fn who(sessions: &Sessions, token: &[u8], now: Time) -> Option<UserId> {
    sessions.caller(token, now).and_then(|caller| caller.customer)
}

#[test]
fn a_token_is_good_until_its_end_and_is_verified_once() {
    let sessions = sessions();
    let token = token(&sessions, 4_096, 0);
    for _ in 0..2 {
        assert_eq!(who(&sessions, &token, NOW), Some(UserId(4_096)));
        assert_eq!(sessions.known.read().young.len(), 1);
    }
    assert!(who(&sessions, &token, later(HOUR - SECOND)).is_some());
    assert!(who(&sessions, &token, later(HOUR)).is_none(), "remembered, and over");
    let caller = sessions.caller(&token, NOW).unwrap();
    assert_eq!((caller.role, &*caller.name), (Role::Customer, &*UserId(4_096).to_string()));
    let late = self::sessions();
    assert!(who(&late, &token, later(HOUR)).is_none());
    assert!(late.known.read().young.is_empty(), "what has ended is not remembered");
}

#[test]
fn no_byte_of_a_token_may_differ() {
    let sessions = sessions();
    let token = token(&sessions, 4_096, 0);
    assert!(who(&sessions, &token, NOW).is_some());
    for at in 0..token.len() {
        let mut other = token.clone();
        other[at] = if other[at] == b'A' { b'Q' } else { b'A' };
        assert!(who(&sessions, &other, NOW).is_none(), "byte {at}");
        assert!(who(&sessions, &token[..at], NOW).is_none(), "cut at {at}");
    }
}

#[test]
fn the_newest_key_signs_and_all_keys_verify() {
    let old = sessions();
    let both = Sessions::new(&[
        key("0001", "first-session-key-00000000000000"),
        key("0002", "other-session-key-00000000000000"),
    ]);
    let new = Sessions::new(&[key("0002", "other-session-key-00000000000000")]);
    let (of_old, of_both) = (token(&old, 1, 0), token(&both, 2, 0));
    assert_eq!(who(&both, &of_old, NOW), Some(UserId(1)), "an old one lives on");
    assert_eq!(who(&new, &of_both, NOW), Some(UserId(2)), "signed by the newest");
    assert!(who(&new, &of_old, NOW).is_none(), "a key that was removed ends its sessions");
    assert!(who(&old, &of_both, NOW).is_none());
    assert!(Sessions::new(&[]).issue(UserId(1), 0, NOW, later(HOUR)).is_none());
}

#[test]
fn a_bar_ends_the_sessions_of_older_generations_at_once() {
    let sessions = sessions();
    let (first, second, other) =
        (token(&sessions, 1, 0), token(&sessions, 1, 1), token(&sessions, 2, 0));
    assert!(who(&sessions, &first, NOW).is_some(), "in memory now");
    sessions.bar(UserId(1), 1);
    assert!(who(&sessions, &first, NOW).is_none());
    assert!(who(&sessions, &second, NOW).is_some() && who(&sessions, &other, NOW).is_some());
    sessions.bar(UserId(1), i64::MAX);
    sessions.bar(UserId(1), 0);
    assert!(who(&sessions, &second, NOW).is_none(), "bars only rise");
    assert!(who(&sessions, &other, NOW).is_some());
    sessions.refuse_all();
    assert!(who(&sessions, &other, NOW).is_none());
}

/// Claims signed by the right key are still read strictly, and no other algorithm counts.
#[test]
fn what_is_signed_must_still_make_sense() {
    let sessions = sessions();
    let sign = |header: &Header, claims: &serde_json::Value| {
        jsonwebtoken::encode(header, claims, &sessions.keys[0].sign).unwrap()
    };
    let header =
        |kid: Option<&str>| Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::HS256) };
    let user = UserId(7).to_string();
    let good = serde_json::json!({ "sub": user, "iat": 1, "exp": 9_000_000_000_i64 });
    let known = header(Some("0001"));
    assert!(who(&sessions, sign(&known, &good).as_bytes(), NOW).is_some(), "ver may be left out");
    for (field, value) in [
        ("sub", serde_json::json!("ord_0000000000007")),
        ("sub", serde_json::json!(7)),
        ("exp", serde_json::json!("soon")),
        ("exp", serde_json::Value::Null),
        ("ver", serde_json::json!("x")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(who(&sessions, sign(&known, &bad).as_bytes(), NOW).is_none(), "{bad}");
    }
    for kid in [None, Some("0002"), Some("")] {
        assert!(who(&sessions, sign(&header(kid), &good).as_bytes(), NOW).is_none(), "{kid:?}");
    }
    // {"alg":"none","kid":"0001"} and {"alg":"HS512","kid":"0001"} over the same claims.
    let signed = sign(&known, &good);
    let (_, rest) = signed.split_once('.').unwrap();
    for head in ["eyJhbGciOiJub25lIiwia2lkIjoiMDAwMSJ9", "eyJhbGciOiJIUzUxMiIsImtpZCI6IjAwMDEifQ"] {
        assert!(who(&sessions, format!("{head}.{rest}").as_bytes(), NOW).is_none(), "{head}");
    }
}

#[test]
fn memory_is_bounded_and_those_who_come_back_are_kept() {
    let sessions = sessions();
    let kept = token(&sessions, 1, 0);
    let session = || sessions.caller(&kept, NOW);
    assert!(session().is_some());
    let other = Session { caller: session().unwrap(), user: UserId(9), exp: i64::MAX, ver: 0 };
    for n in 0..3 * HALF {
        sessions.remember(print(&n.to_be_bytes()), &other);
        if n % (HALF / 2) == 0 {
            assert!(sessions.remembered(print(&kept)).is_some(), "at {n}");
        }
    }
    let known = sessions.known.read();
    assert!(known.young.len() <= HALF && known.old.len() <= HALF);
}
