//! `jangbu merchant …`

use anyhow::Result;
use serde_json::json;

use super::client::{Client, escaped};
use super::print;
use super::table::{Column, page, show};
use crate::args::{Desk, MerchantCommand, MerchantKeysCommand};
use crate::exit::Exit;

const MERCHANTS: &[Column] =
    &[("MERCHANT", "/merchantId"), ("NAME", "/name"), ("STATE", "/state"), ("SINCE", "/createdAt")];

/// Merchants, their keys and their fees.
pub(crate) fn merchant(desk: &Desk, command: &MerchantCommand) -> Result<Exit> {
    let client = Client::open(desk)?;
    match command {
        MerchantCommand::Create { merchant, name } => {
            let body = json!({ "merchantId": merchant, "name": name });
            print(desk, &client.post("/api/v1/merchants", &body)?, show)
        }
        MerchantCommand::List { page: at } => {
            let answer = client.list("/api/v1/merchants", &[], at)?;
            print(desk, &answer, |answer| page(answer, MERCHANTS))
        }
        MerchantCommand::Show { merchant } => print(desk, &client.get(&path(merchant, ""))?, show),
        MerchantCommand::Keys { command: MerchantKeysCommand::Add { merchant, legacy } } => {
            let body = json!({ "legacy": legacy });
            print(desk, &client.post(&path(merchant, "/keys"), &body)?, show)
        }
        MerchantCommand::Keys { command: MerchantKeysCommand::Revoke { merchant, id, reason } } => {
            let path = path(merchant, &format!("/keys/{}/revoke", escaped(id)));
            print(desk, &client.post(&path, &json!({ "reason": reason }))?, show)
        }
        MerchantCommand::Fees { merchant, from, to, rate_bp, fixed, vat_bp } => {
            let fee = json!({
                "from": from, "to": to, "rateBp": rate_bp, "fixed": fixed, "vatBp": vat_bp,
            });
            let body = json!({ "fees": [fee] });
            print(desk, &client.put(&path(merchant, "/fees"), &body)?, show)
        }
        MerchantCommand::Suspend(verb) => {
            let body = json!({ "reason": verb.reason });
            print(desk, &client.post(&path(&verb.id, "/suspend"), &body)?, show)
        }
        MerchantCommand::Resume(verb) => {
            let body = json!({ "reason": verb.reason });
            print(desk, &client.post(&path(&verb.id, "/resume"), &body)?, show)
        }
    }
}

fn path(merchant: &str, rest: &str) -> String {
    format!("/api/v1/merchants/{}{rest}", escaped(merchant))
}
