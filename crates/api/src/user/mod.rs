//! Users: register, log in, read, change, deactivate.

mod act;
mod form;
mod session;

use serde_json::{Value, json};

pub(crate) use session::Strangers;

use act::{deactivate, find, get, password, register, update};
use session::login;

use crate::auth::Role;
use crate::route::{Doc, Route};
use crate::schemas::{id, nullable, object, optional, time, words};

/// What every command of this module can meet.
const COMMAND: [&str; 7] = [
    "SHED",
    "DEADLINE_EXCEEDED",
    "READ_ONLY",
    "STORE_FAILED",
    "POISONED",
    "STOPPING",
    "UNANSWERED",
];

/// [`COMMAND`], a failed read, too many hashes at a time, and what else there is.
macro_rules! codes {
    ($($code:literal),* $(,)?) => {
        &[
            COMMAND[0], COMMAND[1], COMMAND[2], COMMAND[3], COMMAND[4], COMMAND[5], COMMAND[6],
            "READ_FAILED", "RATE_LIMITED", $($code),*
        ]
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/v1/users",
        name: "user.register",
        role: Role::Anybody,
        keyed: false,
        run: |api, call| Box::pin(async move { register(&api, &call).await }),
        doc: Doc {
            summary: "Register a user; an e-mail address belongs to one user",
            query: &[],
            body: Some(("RegisterUser", REGISTER)),
            answers: &[(201, "User", "The user")],
            codes: codes!["EMAIL_TAKEN"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/users",
        name: "user.find",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { find(&api, &call).await }),
        doc: Doc {
            summary: "The user with an e-mail address",
            query: &["email!"],
            body: None,
            answers: &[(200, "User", "The user")],
            codes: &["USER_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/sessions",
        name: "session.create",
        role: Role::Anybody,
        keyed: false,
        run: |api, call| Box::pin(async move { login(&api, &call).await }),
        doc: Doc {
            summary: "Begin a session: the token that a customer shows",
            query: &[],
            body: Some(("Login", LOGIN)),
            answers: &[(201, "Session", "The token, and until when it is good")],
            codes: codes!["LOGIN_FAILED", "LOGIN_LOCKED"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/users/{id}",
        name: "user.get",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "A user",
            query: &[],
            body: None,
            answers: &[(200, "User", "The user")],
            codes: &["USER_UNKNOWN"],
        },
    },
    Route {
        method: "PATCH",
        path: "/api/v1/users/{id}",
        name: "user.update",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { update(&api, &call).await }),
        doc: Doc {
            summary: "Change what a user says of itself; what is not sent stays",
            query: &[],
            body: Some(("UpdateUser", UPDATE)),
            answers: &[(200, "User", "The user as it is now")],
            codes: codes!["USER_UNKNOWN", "USER_DEACTIVATED", "EMAIL_TAKEN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/users/{id}/password",
        name: "user.password",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { password(&api, &call).await }),
        doc: Doc {
            summary: "Set a new password; sessions of the old one end",
            query: &[],
            body: Some(("ChangePassword", PASSWORD)),
            answers: &[(200, "User", "The user")],
            codes: codes!["USER_UNKNOWN", "USER_DEACTIVATED", "LOGIN_FAILED", "LOGIN_LOCKED"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/users/{id}/deactivate",
        name: "user.deactivate",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { deactivate(&api, &call).await }),
        doc: Doc {
            summary: "End a user for good; its sessions end at once",
            query: &[],
            body: Some(("DeactivateUser", DEACTIVATE)),
            answers: &[(200, "User", "The user")],
            codes: codes!["USER_UNKNOWN"],
        },
    },
];

const REGISTER: &str = r#"{"email":"kim@example.com","password":"correct horse","name":"Kim Jangbu","phone":"+82 10 1234 5678","address":"1 Sejong-daero, Seoul"}"#;
const LOGIN: &str = r#"{"email":"kim@example.com","password":"correct horse"}"#;
const UPDATE: &str = r#"{"name":"Kim Jangbu","phone":null}"#;
const PASSWORD: &str = r#"{"current":"correct horse","password":"battery staple"}"#;
const DEACTIVATE: &str = r#"{"reason":"asked for it"}"#;

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let line = |most: usize| json!({ "type": "string", "minLength": 1, "maxLength": most });
    let may =
        |most: usize| json!({ "type": ["string", "null"], "minLength": 1, "maxLength": most });
    let email = json!({ "type": "string", "format": "email", "maxLength": 254 });
    let may_email = json!({ "type": ["string", "null"], "format": "email", "maxLength": 254 });
    let password = json!({ "type": "string", "minLength": 8, "maxLength": 128 });
    let phone = json!({
        "type": ["string", "null"], "maxLength": 40,
        "description": "5 to 20 digits; + - ( ) and blanks may stand between.",
    });
    let user = json!({
        "id": id("usr"), "state": words(&["ACTIVE", "DEACTIVATED"]), "email": line(254),
        "name": line(100), "phone": nullable("string"), "address": nullable("string"),
        "lockedUntil": nullable("string"), "createdAt": time(), "changedAt": time(),
    });
    let register = json!({
        "email": email, "password": password, "name": line(100), "phone": phone, "address": may(300),
    });
    let update =
        json!({ "email": may_email, "name": may(100), "phone": phone, "address": may(300) });
    let change = json!({ "current": nullable("string"), "password": password });
    let session = json!({ "token": line(1_024), "expiresAt": time(), "userId": id("usr") });
    json!({
        "User": object(&user),
        "RegisterUser": optional(&register, &["phone", "address"]),
        "UpdateUser": optional(&update, &["email", "name", "phone", "address"]),
        "ChangePassword": optional(&change, &["current"]),
        "DeactivateUser": optional(&json!({ "reason": nullable("string") }), &["reason"]),
        "Login": object(&json!({ "email": line(254), "password": line(1_024) })),
        "Session": object(&session),
    })
}
