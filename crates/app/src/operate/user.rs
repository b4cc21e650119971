//! `jangbu user …`

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::client::{self, Client};
use super::print;
use super::table::show;
use crate::args::{Desk, UserCommand};
use crate::exit::{Exit, Usage};

pub(crate) fn user(desk: &Desk, command: &UserCommand) -> Result<Exit> {
    let client = Client::open(desk)?;
    match command {
        UserCommand::Create { email, name, phone, address } => {
            let mut body = json!({ "email": email, "name": name, "password": password()? });
            for (field, value) in [("phone", phone), ("address", address)] {
                if let Some(value) = value {
                    body[field] = json!(value);
                }
            }
            print(desk, &client.post("/api/v1/users", &body)?, show)
        }
        UserCommand::Show { user } => print(desk, &found(&client, user)?, show),
        UserCommand::Deactivate(verb) => {
            let path = format!("/api/v1/users/{}/deactivate", client::escaped(&verb.id));
            print(desk, &client.post(&path, &json!({ "reason": verb.reason }))?, show)
        }
        UserCommand::Password { user } => {
            let path = format!("/api/v1/users/{}/password", client::escaped(user));
            print(desk, &client.post(&path, &json!({ "password": password()? }))?, show)
        }
    }
}

/// By id, or by e-mail address.
fn found(client: &Client, user: &str) -> Result<Value> {
    let user = client::escaped(user);
    if user.contains("%40") {
        return client.get(&format!("/api/v1/users?email={user}"));
    }
    client.get(&format!("/api/v1/users/{user}"))
}

/// The first line of standard input: arguments stand in lists of processes and in histories.
fn password() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("reading the password")?;
    let password = line.trim_end_matches(['\n', '\r']);
    let none = "send the password as a line on standard input";
    let given = || -> Result<()> {
        ensure!(!password.is_empty(), none);
        Ok(())
    };
    given().map_err(Usage)?;
    Ok(password.to_owned())
}
