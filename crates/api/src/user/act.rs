//! Register, read, change, deactivate. Personal data are sealed here, before the command.

use std::sync::Arc;

use jangbu_domain::user::command::{Changes, Command, Reply as Answer, UNIT};
use jangbu_domain::user::model::{Account, EmailIndex, Profile, Sealed};
use jangbu_kernel::{Envelope, Origin, Secret, UserId};
use jangbu_services::sealing::Unopened;
use jangbu_services::user::column;
use serde::Serialize;

use super::form::{self, DeactivateIn, PasswordIn, RegisterIn, UpdateIn, email, normal, user_id};
use super::session::{failed, tried};
use crate::Api;
use crate::ask::{normal as give_way, operated};
use crate::auth::{Role, owner};
use crate::call::Call;
use crate::codes::Own;
use crate::order::reason;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, shown};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: UserId,
    state: &'static str,
    email: &'a str,
    name: &'a str,
    phone: Option<&'a str>,
    address: Option<&'a str>,
    locked_until: Option<At>,
    created_at: At,
    changed_at: At,
}

pub(super) async fn register(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: RegisterIn<'_> = call.json()?;
    let plain = email(&body.email)?;
    let (name, password) = (form::name(&body.name)?, form::password(&body.password)?);
    let phone = body.phone.as_deref().map(form::phone).transpose()?;
    let address = body.address.as_deref().map(form::address).transpose()?;
    let index = EmailIndex::from(api.sealing.index(column::EMAIL, &plain));
    api.limits.login(index.0).await?;
    let user = UserId(api.shop.mint());
    let seal = |column, text: &str| Sealed::from(api.sealing.seal(column, user.0, text));
    let profile = Profile {
        email: seal(column::EMAIL, &body.email),
        name: seal(column::NAME, name),
        phone: phone.map(|text| seal(column::PHONE, text)),
        address: address.map(|text| seal(column::ADDRESS, text)),
    };
    let password = hashed(api, user, password).await?;
    let command = Command::Register { user, index, profile, password };
    ask(api, call, command, "").await?;
    let reply = render(201, api, user).await?;
    Ok(reply.at(format!("/api/v1/users/{user}")))
}

pub(super) async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let user = user_id(call)?;
    owner(call, user)?;
    render(200, api, user).await
}

pub(super) async fn find(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let text = query.required("email")?;
    let none = || query.bad("email", "must be an e-mail address".to_owned());
    let index = api.sealing.index(column::EMAIL, &normal(text).ok_or_else(none)?);
    let found = api.read(move |queries| queries.user_of(index.into())).await?;
    let (user, account) = found.ok_or_else(|| unknown("nobody has this address".to_owned()))?;
    shown_user(200, api, user, &account)
}

pub(super) async fn update(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: UpdateIn<'_> = call.json()?;
    let user = user_id(call)?;
    owner(call, user)?;
    let seal = |column, text: &str| Sealed::from(api.sealing.seal(column, user.0, text));
    let mut changes = Changes::default();
    if let Some(text) = body.email.as_deref() {
        let index = EmailIndex::from(api.sealing.index(column::EMAIL, &email(text)?));
        api.limits.login(index.0).await?;
        changes.email = Some((index, seal(column::EMAIL, text)));
    }
    if let Some(text) = body.name.as_deref() {
        changes.name = Some(seal(column::NAME, form::name(text)?));
    }
    changes.phone = form::to(&body.phone, |text| Ok(seal(column::PHONE, form::phone(text)?)))?;
    let address = |text: &str| Ok(seal(column::ADDRESS, form::address(text)?));
    changes.address = form::to(&body.address, address)?;
    ask(api, call, Command::Update { user, changes }, "").await?;
    render(200, api, user).await
}

/// A new password. Who is no operator shows the one that it replaces.
pub(super) async fn password(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: PasswordIn<'_> = call.json()?;
    let user = user_id(call)?;
    owner(call, user)?;
    let new = form::password(&body.password)?;
    let seen = match body.current.as_deref() {
        Some(current) => {
            let account = account(api, user).await?;
            let tried = tried(api, call, (user, &account), Secret::new(current)).await;
            Some(tried.map_err(|problem| problem.at("current", "was not taken"))?)
        }
        None if call.caller.role == Role::Operator => None,
        None => {
            let detail = "current is missing";
            return Err(Problem::of(Own::MissingField, detail).at("current", "is missing"));
        }
    };
    let password = hashed(api, user, new).await?;
    match ask(api, call, Command::ChangePassword { user, seen, password }, "").await {
        Err(problem) if problem.code == "PASSWORD_CHANGED" => return Err(failed()),
        other => other?,
    };
    barred(api, user).await
}

pub(super) async fn deactivate(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: DeactivateIn<'_> = call.json()?;
    let user = user_id(call)?;
    owner(call, user)?;
    let why = reason(body.reason.as_deref().unwrap_or_default())?;
    ask(api, call, Command::Deactivate { user }, &why).await?;
    barred(api, user).await
}

/// The user after sessions of it were ended. The bar comes with the commit, too; who hears the
/// answer must not be able to use an old session any more.
async fn barred(api: &Arc<Api>, user: UserId) -> Result<Reply, Problem> {
    let account = account(api, user).await?;
    if let Some(least) = account.bar() {
        api.sessions.bar(user, least);
    }
    shown_user(200, api, user, &account)
}

/// Gives a command to the domain. What an operator does is audited; a log-in is never an
/// operator's.
pub(super) async fn ask(
    api: &Arc<Api>,
    call: &Call,
    command: Command,
    why: &str,
) -> Result<Answer, Problem> {
    let audited = call.caller.role == Role::Operator && !matches!(command, Command::Login { .. });
    let mut envelope = give_way(Envelope::new(UNIT, Origin::Client, command));
    call.mark(&mut envelope);
    envelope.bytes = 512 + call.length();
    if audited {
        envelope = operated(envelope, call, why);
    }
    Ok(api.ask_soon::<Answer>(envelope).await?.reply)
}

/// The hash of a new password, sealed.
async fn hashed(api: &Arc<Api>, user: UserId, password: Secret) -> Result<Sealed, Problem> {
    let mut salt = [0; 16];
    api.sealing.random(&mut salt);
    let hash = api.passwords.hash(password, salt).await?;
    Ok(api.sealing.seal_bytes(column::PASSWORD, user.0, &hash).into())
}

async fn account(api: &Arc<Api>, user: UserId) -> Result<Account, Problem> {
    let found = api.read(move |queries| queries.user(user)).await?;
    found.ok_or_else(|| unknown(format!("there is no user {user}")))
}

fn unknown(detail: String) -> Problem {
    Problem::coded("USER_UNKNOWN", detail)
}

async fn render(status: u16, api: &Arc<Api>, user: UserId) -> Result<Reply, Problem> {
    let account = account(api, user).await?;
    shown_user(status, api, user, &account)
}

fn shown_user(status: u16, api: &Api, user: UserId, account: &Account) -> Result<Reply, Problem> {
    let Profile { email, name, phone, address } = &account.profile;
    let open = |column, sealed: &Sealed| opened(api.sealing.open(column, user.0, &sealed.0));
    let (email, name) = (open(column::EMAIL, email)?, open(column::NAME, name)?);
    let phone = phone.as_ref().map(|sealed| open(column::PHONE, sealed)).transpose()?;
    let address = address.as_ref().map(|sealed| open(column::ADDRESS, sealed)).transpose()?;
    let out = UserOut {
        id: user,
        state: account.state.name(),
        email: email.reveal(),
        name: name.reveal(),
        phone: phone.as_ref().map(Secret::reveal),
        address: address.as_ref().map(Secret::reveal),
        locked_until: account.locked(api.shop.now()).map(At),
        created_at: At(account.created_at),
        changed_at: At(account.changed_at),
    };
    Ok(Reply::json(status, &out))
}

/// What cannot be opened is a defect of this installation: a key file is missing, or a row is
/// damaged. The log says which.
pub(super) fn opened<T>(text: Result<T, Unopened>) -> Result<T, Problem> {
    text.map_err(|why| {
        let detail = "a sealed column cannot be opened; the server's log says why";
        Problem::of(Own::Internal, detail).because(why)
    })
}
