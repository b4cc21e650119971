//! Users over HTTP: what they may do to themselves, and what strangers may find out.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::world::{Answer, CLIENT, OPERATOR, World, post, session};

const PASSWORD: &str = "correct horse";

fn someone(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "name": "Kim", "phone": "010-1234-5678" })
}

impl World {
    /// As nobody in particular.
    async fn open(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn register(&self, email: &str) -> String {
        let made = self.open("/api/v1/users", &someone(email)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json["id"].as_str().unwrap().to_owned()
    }

    async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.open("/api/v1/sessions", &json!({ "email": email, "password": password })).await
    }

    /// The token of a log-in that must succeed.
    async fn token(&self, email: &str, password: &str) -> String {
        let answer = self.log_in(email, password).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json["token"].as_str().unwrap().to_owned()
    }

    async fn change(&self, bearer: &str, user: &str, body: &Value) -> Answer {
        let mut request = post(&format!("/api/v1/users/{user}"), "-", bearer, body);
        *request.method_mut() = axum::http::Method::PATCH;
        self.send(request).await
    }

    async fn act(&self, bearer: &str, user: &str, verb: &str, body: &Value) -> Answer {
        self.send(post(&format!("/api/v1/users/{user}/{verb}"), "-", bearer, body)).await
    }
}

#[tokio::test]
async fn a_user_registers_logs_in_and_changes() {
    for world in World::all() {
        let user = world.register("Kim@Example.com").await;
        let token = world.token("kim@example.COM", PASSWORD).await;
        let path = format!("/api/v1/users/{user}");
        let seen = world.get_as(&token, &path).await.json;
        assert_eq!(
            (&seen["email"], &seen["phone"]),
            (&json!("Kim@Example.com"), &json!("010-1234-5678"))
        );
        assert_eq!((&seen["address"], &seen["state"]), (&Value::Null, &json!("ACTIVE")));
        let changes = json!({ "email": "lee@example.com", "phone": null, "address": "Seoul" });
        let changed = world.change(&token, &user, &changes).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let fields = ["email", "name", "phone", "address"].map(|field| &changed.json[field]);
        assert_eq!(
            fields,
            [&json!("lee@example.com"), &json!("Kim"), &Value::Null, &json!("Seoul")]
        );
        assert_eq!(world.log_in("kim@example.com", PASSWORD).await.code(), "LOGIN_FAILED");
        let found = world.get("/api/v1/users?email=LEE@example.com").await;
        assert_eq!(found.json, changed.json);
        let gone = world.get("/api/v1/users?email=kim@example.com").await;
        assert_eq!(gone.problem(), (404, "USER_UNKNOWN"));
        let other = world.register("kim@example.com").await;
        assert_ne!(other, user, "an address that was given up is free");
        let taken = world.change(&token, &user, &json!({ "email": "KIM@example.com" })).await;
        assert_eq!(taken.problem(), (409, "EMAIL_TAKEN"));
        let twice = world.open("/api/v1/users", &someone("lee@example.com")).await;
        assert_eq!(twice.problem(), (409, "EMAIL_TAKEN"));
    }
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_the_old_one() {
    let world = World::new();
    let user = world.register("kim@example.com").await;
    let path = format!("/api/v1/users/{user}");
    let (first, other) = (
        world.token("kim@example.com", PASSWORD).await,
        world.token("kim@example.com", PASSWORD).await,
    );
    let new = json!({ "current": PASSWORD, "password": "battery staple" });
    let unsaid = json!({ "password": "battery staple" });
    for bearer in [&*first, CLIENT] {
        let refused = world.act(bearer, &user, "password", &unsaid).await;
        assert_eq!((refused.code(), refused.field()), ("MISSING_FIELD", "current"));
    }
    let wrong = json!({ "current": "wrong one", "password": "battery staple" });
    let refused = world.act(&first, &user, "password", &wrong).await;
    assert_eq!(refused.problem(), (401, "LOGIN_FAILED"));
    assert_eq!(world.act(&first, &user, "password", &new).await.status, 200);
    for token in [&first, &other] {
        assert_eq!(world.get_as(token, &path).await.problem(), (401, "UNAUTHORIZED"));
    }
    assert_eq!(world.log_in("kim@example.com", PASSWORD).await.code(), "LOGIN_FAILED");
    let token = world.token("kim@example.com", "battery staple").await;
    assert_eq!(world.get_as(&token, &path).await.status, 200);
    let by_desk = world.act(OPERATOR, &user, "password", &json!({ "password": PASSWORD })).await;
    assert_eq!(by_desk.status, 200, "{}", by_desk.text);
    assert_eq!(world.get_as(&token, &path).await.problem(), (401, "UNAUTHORIZED"));
    world.token("kim@example.com", PASSWORD).await;
}

#[tokio::test]
async fn a_deactivated_user_is_refused_at_once() {
    let world = World::new();
    let user = world.register("kim@example.com").await;
    let path = format!("/api/v1/users/{user}");
    let token = world.token("kim@example.com", PASSWORD).await;
    assert_eq!(world.get_as(&token, &path).await.status, 200);
    let ended = world.act(OPERATOR, &user, "deactivate", &json!({ "reason": "fraud" })).await;
    assert_eq!((ended.status, &ended.json["state"]), (200, &json!("DEACTIVATED")));
    assert_eq!(world.get_as(&token, &path).await.problem(), (401, "UNAUTHORIZED"));
    assert_eq!(world.log_in("kim@example.com", PASSWORD).await.code(), "LOGIN_FAILED");
    let line = world.get("/api/v1/audit?operation=user.deactivate").await;
    let line = &line.json["items"][0];
    assert_eq!((&line["resource"], &line["why"]), (&json!(user), &json!("fraud")));
    let frozen = world.change(OPERATOR, &user, &json!({ "name": "Lee" })).await;
    assert_eq!(frozen.problem(), (409, "USER_DEACTIVATED"));
    let again = world.act(OPERATOR, &user, "deactivate", &json!({})).await;
    assert_eq!(again.status, 200, "it is so already");
}

/// Another server on the same rows: what was ended is known from them.
#[tokio::test]
async fn a_session_that_was_ended_stays_so_after_a_restart() {
    for world in World::all() {
        let (user, kept) =
            (world.register("kim@example.com").await, world.register("lee@example.com").await);
        let changed = world.register("park@example.com").await;
        let tokens = [
            world.token("kim@example.com", PASSWORD).await,
            world.token("park@example.com", PASSWORD).await,
            world.token("lee@example.com", PASSWORD).await,
        ];
        world.act(OPERATOR, &user, "deactivate", &json!({})).await;
        let new = json!({ "password": "battery staple" });
        world.act(OPERATOR, &changed, "password", &new).await;
        let again = world.again();
        for ((token, user), wanted) in
            tokens.iter().zip([&user, &changed, &kept]).zip([401, 401, 200])
        {
            let request = Request::get(format!("/api/v1/users/{user}"))
                .header("authorization", format!("Bearer {token}"));
            let answer =
                tower::ServiceExt::oneshot(again.clone(), request.body(Body::empty()).unwrap());
            assert_eq!(answer.await.unwrap().status(), wanted, "{user}");
        }
    }
}

/// Status, code and details of a refusal, and within how many minutes to come again: a slow machine
/// takes seconds between two answers.
fn told(answer: &Answer) -> (u16, String, Value, Option<u64>) {
    let after =
        answer.header("retry-after").parse::<u64>().ok().map(|seconds| seconds.div_ceil(60));
    (answer.status, answer.code().to_owned(), answer.json["details"].clone(), after)
}

#[tokio::test]
async fn a_stranger_learns_nothing_about_who_is_registered() {
    let world = World::new();
    world.register("kim@example.com").await;
    let ended = world.register("gone@example.com").await;
    world.act(OPERATOR, &ended, "deactivate", &json!({})).await;
    for guess in 1..=7 {
        let known = told(&world.log_in("kim@example.com", "wrong guess").await);
        assert_eq!(known.1, if guess < 5 { "LOGIN_FAILED" } else { "LOGIN_LOCKED" }, "{guess}");
        for other in ["nobody@example.com", "gone@example.com"] {
            let other = told(&world.log_in(other, "wrong guess").await);
            assert_eq!(known, other, "guess {guess}");
        }
    }
    let right = world.log_in("kim@example.com", PASSWORD).await;
    assert_eq!(right.problem(), (429, "LOGIN_LOCKED"), "right ones included");
    let unlocked = json!({ "password": "battery staple" });
    let user = world.get("/api/v1/users?email=kim@example.com").await.json;
    assert!(user["lockedUntil"].is_string(), "{user}");
    world.act(OPERATOR, user["id"].as_str().unwrap(), "password", &unlocked).await;
    world.token("kim@example.com", "battery staple").await;
}

/// 64 guesses in one burst: five are counted, and none of the later ones is told to be right.
#[tokio::test]
async fn a_burst_of_guesses_is_five_guesses() {
    let world = World::new();
    world.register("kim@example.com").await;
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..64 {
        let router = world.router.clone();
        let guess = json!({ "email": "kim@example.com", "password": format!("guess {n:04}") });
        let request = Request::post("/api/v1/sessions").header("content-type", "application/json");
        let request = request.body(Body::from(guess.to_string())).unwrap();
        guesses.spawn(async move {
            tower::ServiceExt::oneshot(router, request).await.unwrap().status().as_u16()
        });
    }
    let mut failed = 0;
    while let Some(status) = guesses.join_next().await {
        failed += usize::from(status.unwrap() == 401);
    }
    assert_eq!(failed, 4, "the fifth is told of the lock");
    assert_eq!(world.log_in("kim@example.com", PASSWORD).await.code(), "LOGIN_LOCKED");
}

#[tokio::test]
async fn personal_data_are_sealed_in_the_file() {
    let world = World::with(jangbu_api::Settings::default(), false);
    world.register("kim.jangbu@example.com").await;
    for file in std::fs::read_dir(world.dir.path()).unwrap() {
        let file = file.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        for text in ["kim.jangbu", "010-1234-5678", PASSWORD] {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "{text} in {}", file.display());
        }
    }
}

#[tokio::test]
async fn fields_of_users_are_read_strictly() {
    let world = World::new();
    let user = world.register("kim@example.com").await;
    for (field, value) in [
        ("email", json!("kim")),
        ("email", json!("")),
        ("name", json!("")),
        ("name", json!(" Kim")),
        ("password", json!("short")),
        ("phone", json!("call me")),
        ("address", json!("x".repeat(301))),
    ] {
        let mut body = someone("lee@example.com");
        body[field] = value.clone();
        let refused = world.open("/api/v1/users", &body).await;
        assert_eq!((refused.code(), refused.field()), ("INVALID_FIELD", field), "{value}");
        if field != "password" {
            let refused = world.change(OPERATOR, &user, &json!({ field: value })).await;
            assert_eq!((refused.code(), refused.field()), ("INVALID_FIELD", field), "{value}");
        }
    }
    let nobody = "usr_0000000009000";
    for (verb, body) in [("deactivate", json!({})), ("password", json!({ "password": PASSWORD }))] {
        let refused = world.act(OPERATOR, nobody, verb, &body).await;
        assert_eq!(refused.problem(), (404, "USER_UNKNOWN"), "{verb}");
    }
    let refused = world.change(OPERATOR, nobody, &json!({ "name": "Lee" })).await;
    assert_eq!(refused.problem(), (404, "USER_UNKNOWN"));
    let absent = world.get(&format!("/api/v1/users/{nobody}")).await;
    assert_eq!(absent.problem(), (404, "USER_UNKNOWN"));
    let foreign = world.get_as(&session(nobody), &format!("/api/v1/users/{user}")).await;
    assert_eq!(foreign.problem(), (403, "FORBIDDEN"));
}
