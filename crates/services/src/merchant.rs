//! Merchant's rows.

use std::sync::Arc;

use jangbu_domain::merchant::Merchants;
use jangbu_domain::merchant::command::{Command, Event};
use jangbu_domain::merchant::fees::Fee;
use jangbu_domain::merchant::model::{Key, Merchant, MerchantId, Rows, State};
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::{Signal, Sink};
use jangbu_kernel::{Ctx, KeyId, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::packed;

/// What the secret of a key is sealed for; the row is the key's id.
pub const SEALED: &str = "merchant.keys";

/// Merchants with their keys and fee schedules.
pub static MERCHANT: Table = Table {
    rank: 20,
    name: "merchant",
    key: &["id"],
    cols: &[
        Col::text("code"),
        Col::text("name"),
        Col::int("state"),
        Col::text("keys"),
        Col::text("fees"),
        Col::int("at"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

#[derive(Serialize, Deserialize)]
struct PackedKey(i64, u8, i64, i64, String);

#[derive(Serialize, Deserialize)]
struct PackedFee(i64, i64, i64, i64, i64);

fn pack_key(key: &Key) -> PackedKey {
    let Key { id, legacy, made_at, revoked_at, sealed } = key;
    let sealed = sealed.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    PackedKey(id.0, u8::from(*legacy), made_at.0, revoked_at.map_or(0, |at| at.0), sealed)
}

fn unpack_key(PackedKey(id, legacy, made_at, revoked_at, sealed): PackedKey) -> Key {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Option<Box<[u8]>> = sealed.as_bytes().chunks(2).map(byte).collect();
    Key {
        id: KeyId(id),
        legacy: legacy == 1,
        made_at: Time(made_at),
        revoked_at: (revoked_at != 0).then_some(Time(revoked_at)),
        sealed: bytes.unwrap_or_else(|| panic!("column merchant.keys is damaged: key {id}")),
    }
}

fn pack_fee(fee: &Fee) -> PackedFee {
    let Fee { from, to, rate_bp, fixed, vat_bp } = *fee;
    PackedFee(from.0, to.map_or(0, |to| to.0), rate_bp, fixed, vat_bp)
}

fn unpack_fee(PackedFee(from, to, rate_bp, fixed, vat_bp): PackedFee) -> Fee {
    let to = (to != 0).then_some(Time(to));
    Fee { from: Time(from), to, rate_bp, fixed, vat_bp }
}

impl Stored for Merchant {
    type Key = MerchantId;
    const TABLE: &'static Table = &MERCHANT;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        let keys: Vec<PackedKey> = packed::read("merchant.keys", row.text(4));
        let fees: Vec<PackedFee> = packed::read("merchant.fees", row.text(5));
        Self {
            code: Arc::from(row.text(1)),
            name: row.text(2).into(),
            state: packed::coded("merchant.state", row.int(3), State::from_code),
            keys: keys.into_iter().map(unpack_key).collect(),
            fees: fees.into_iter().map(unpack_fee).collect(),
            at: Time(row.int(6)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { code, name, state, keys, fees, at } = self;
        to.text(code).text(name).int(state.code());
        packed::write(to, &keys.iter().map(pack_key).collect::<Vec<_>>());
        packed::write(to, &fees.iter().map(pack_fee).collect::<Vec<_>>());
        to.int(at.0);
    }
}

/// The signal of a merchant that has changed: the row as its commit leaves it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed(pub Merchant);

/// Merchants in a cell.
#[derive(Debug)]
pub struct MerchantService;

impl Service for MerchantService {
    type Domain = Merchants;

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.merchant);
    }

    fn subject(command: &Command) -> String {
        command.code().to_string()
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        let row = rows.merchant.get(command.merchant())?;
        let live: Vec<String> = row.live().map(|key| key.id.to_string()).collect();
        let fees: Vec<PackedFee> = row.fees.iter().map(pack_fee).collect();
        Some(json!({
            "code": row.code, "name": row.name, "state": row.state.name(), "keys": live,
            "fees": fees,
        }))
    }

    fn follow(event: Event, rows: &Rows, _ctx: &Ctx, sink: &mut Sink) {
        let Event::Changed { merchant } = event;
        let Some(row) = rows.merchant.get(merchant) else { return };
        sink.signals.push(Signal { key: merchant.0, body: Box::new(Changed(row.clone())) });
    }
}
