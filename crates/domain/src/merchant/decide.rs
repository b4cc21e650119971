//! The rules of merchants. Each function checks everything first and then changes the row.

use std::sync::Arc;

use jangbu_kernel::{Ctx, Domain, KeyId, Out, UnitId};

use super::Merchants;
use super::command::{self, Command, Event, Reject, Reply};
use super::fees::{self, Fee};
use super::model::{Key, LIVE, Merchant, REMEMBERED, Rows, State};

/// Characters of a name.
const NAME: usize = 100;
/// Characters of a code.
const CODE: usize = 32;

impl Domain for Merchants {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        rows.merchant.want(command.merchant());
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        let id = command.merchant();
        let before = rows.merchant.get(id);
        let after = match (command, before) {
            (Command::Create { code, name, .. }, None) => create(code, name, ctx)?,
            (Command::Create { .. }, Some(_)) => return Err(Reject::Exists),
            (_, None) => return Err(Reject::Unknown),
            (Command::AddKey { key, sealed, legacy, .. }, Some(row)) => {
                add_key(row.clone(), (*key, sealed, *legacy), ctx)?
            }
            (Command::RevokeKey { key, .. }, Some(row)) => revoke(row.clone(), *key, ctx)?,
            (Command::SetFees { fees, .. }, Some(row)) => set_fees(row.clone(), fees, ctx)?,
            (Command::Suspend { .. }, Some(row)) => {
                Merchant { state: State::Suspended, ..row.clone() }
            }
            (Command::Resume { .. }, Some(row)) => Merchant { state: State::Active, ..row.clone() },
        };
        if before != Some(&after) {
            match rows.merchant.edit(id) {
                Some(row) => row.clone_from(&after),
                None => rows.merchant.insert(id, after.clone()),
            }
            out.emit(Event::Changed { merchant: id });
        }
        Ok(reply(command, after))
    }

    fn resource(command: &Command) -> i64 {
        if let Command::AddKey { key, .. } = command { key.0 } else { command.merchant().0 }
    }

    fn adopt(command: &mut Command, resource: i64) {
        // The row follows from the code, which the same request names again.
        if let Command::AddKey { key, .. } = command {
            *key = KeyId(resource);
        }
    }

    fn wake(table: &str, _key: i64) -> Command {
        panic!("no row of merchant has a timer: {table}")
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        rows.merchant.get(command.merchant()).map(|row| reply(command, row.clone()))
    }
}

fn reply(command: &Command, row: Merchant) -> Reply {
    let key = if let Command::AddKey { key, .. } = command { Some(*key) } else { None };
    Reply { merchant: Box::new(row), key }
}

fn create(code: &Arc<str>, name: &str, ctx: &Ctx) -> Result<Merchant, Reject> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !(1..=CODE).contains(&code.len()) || !code.bytes().all(plain) {
        return Err(Reject::CodeInvalid);
    }
    if !jangbu_kernel::words::is_line(name, NAME) {
        return Err(Reject::NameInvalid);
    }
    Ok(Merchant {
        code: Arc::clone(code),
        name: name.into(),
        state: State::Active,
        keys: Vec::new(),
        fees: Vec::new(),
        at: ctx.now,
    })
}

fn add_key(
    mut row: Merchant,
    (id, sealed, legacy): (KeyId, &[u8], bool),
    ctx: &Ctx,
) -> Result<Merchant, Reject> {
    if row.keys.iter().any(|key| key.id == id) {
        return Ok(row);
    }
    if row.live().count() >= LIVE || row.keys.len() >= REMEMBERED {
        return Err(Reject::KeysFull);
    }
    let (made_at, sealed) = (ctx.now, sealed.into());
    row.keys.push(Key { id, legacy, made_at, revoked_at: None, sealed });
    Ok(row)
}

fn revoke(mut row: Merchant, id: KeyId, ctx: &Ctx) -> Result<Merchant, Reject> {
    let key = row.keys.iter_mut().find(|key| key.id == id).ok_or(Reject::KeyUnknown)?;
    if key.is_live() {
        key.revoked_at = Some(ctx.now);
        key.sealed = Box::default();
    }
    Ok(row)
}

fn set_fees(mut row: Merchant, new: &[Fee], ctx: &Ctx) -> Result<Merchant, Reject> {
    if !(1..=fees::MOST).contains(&new.len()) {
        return Err(Reject::FeesInvalid { at: 0, why: "a schedule has 1 to 20 periods".into() });
    }
    if let Some((at, why)) = fees::fault(new) {
        return Err(Reject::FeesInvalid { at, why: why.into() });
    }
    let all = fees::merged(&row.fees, new);
    if all.len() > fees::REMEMBERED {
        return Err(Reject::FeesInvalid { at: 0, why: "too many periods in the past".into() });
    }
    let stays = fees::until(&row.fees, ctx.now).eq(fees::until(&all, ctx.now));
    if !row.fees.is_empty() && !stays {
        return Err(Reject::FeesPast);
    }
    row.fees = all;
    Ok(row)
}
