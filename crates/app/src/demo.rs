//! `jangbu demo`: a small shop to play with, made over HTTP. Run twice, it changes nothing: every
//! call has its own idempotency key.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::args;
use crate::exit::{self, Exit};
use crate::keys::{self, KeyFiles};

/// Name, merchant, price in won, units.
const PRODUCTS: [(&str, &str, i64, i64); 6] = [
    ("Cotton tee", "hanok-wear", 19_000, 500),
    ("Linen shirt", "hanok-wear", 49_000, 200),
    ("Barley tea, 20 bags", "seoul-tea", 6_500, 1_000),
    ("Celadon cup", "icheon-kiln", 32_000, 80),
    ("Hanji notebook", "jeonju-paper", 8_000, 300),
    ("Last umbrella", "seoul-tea", 15_000, 1),
];

pub(crate) fn demo(args: &args::Demo) -> Result<Exit> {
    let files = KeyFiles::of(&args.data);
    let shop = Target {
        url: args.target.trim_end_matches('/').to_owned(),
        operator: keys::read(&files.operator)?.reveal().to_owned(),
        agent: agent(),
    };
    let mut products = Vec::new();
    for (at, product) in PRODUCTS.iter().enumerate() {
        products.push(shop.product(at, product)?);
    }
    let text = if args.json {
        serde_json::to_string_pretty(&products)? + "\n"
    } else {
        welcome(&shop.url, &files, &products)
    };
    exit::print(&text)
}

struct Target {
    url: String,
    operator: String,
    agent: ureq::Agent,
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

impl Target {
    fn product(
        &self,
        at: usize,
        (name, merchant, price, stock): &(&str, &str, i64, i64),
    ) -> Result<Value> {
        let price = json!({ "amount": price, "currency": "KRW" });
        let sku = json!({ "name": "one size", "price": price, "stock": stock });
        let body = json!({ "merchantId": merchant, "name": name, "publish": true, "skus": [sku] });
        let url = format!("{}/api/v1/products", self.url);
        let mut answer = self
            .agent
            .post(&url)
            .header("Authorization", format!("Bearer {}", self.operator))
            .header("Idempotency-Key", format!("demo-product-{at}"))
            .send_json(&body)
            .with_context(|| format!("POST {url}; is the shop running?"))?;
        let product: Value = answer.body_mut().read_json().context("the answer is no JSON")?;
        let made = answer.status().as_u16();
        anyhow::ensure!(made == 200 || made == 201, "{name} was refused ({made}): {product}");
        Ok(product)
    }
}

/// Lines that sign a payment of the first product's merchant, if `./run` has made its key.
fn signed(url: &str, files: &KeyFiles) -> String {
    let merchant = PRODUCTS[0].1;
    let file = files.merchant(merchant);
    if !file.exists() {
        return String::new();
    }
    format!(
        r#"# a payment that a merchant signs (once more: sign again, with a new nonce)
key() {{ sed -n "s/^$1 = \"\(.*\)\"/\1/p" {} | head -n 1; }}
body='{{"merchantId":"{merchant}","amount":19000,"currency":"KRW","idempotencyKey":"first-payment"}}'
ts=$(date +%s) nonce=$(openssl rand -hex 12)
hash=$(printf %s "$body" | openssl dgst -sha256 -r | cut -d' ' -f1)
sig=$(printf 'JANGBU-HMAC-SHA256\nPOST\n/api/payments/authorize\n%s\n%s\n%s' "$ts" "$nonce" "$hash" |
  openssl dgst -sha256 -hmac "$(key secret)" -r | cut -d' ' -f1)
curl -s {url}/api/payments/authorize -H 'Content-Type: application/json' -d "$body" \
  -H "Authorization: JANGBU-HMAC-SHA256 keyId=$(key id), ts=$ts, nonce=$nonce, sig=$sig"

"#,
        file.display()
    )
}

/// What to open, and lines to copy.
fn welcome(url: &str, files: &KeyFiles, products: &[Value]) -> String {
    let sku = |at: usize| products[at]["skus"][0]["id"].as_str().unwrap_or_default().to_owned();
    let (client, operator) = (files.client.display(), files.operator.display());
    let order = |key: &str, sku: &str, amount: i64, token: &str| {
        format!(
            "curl -s {url}/api/v1/orders -H \"Authorization: Bearer $(cat {client})\" \\\n  \
             -H 'Idempotency-Key: {key}' -H 'Content-Type: application/json' \\\n  \
             -d '{{\"userId\":\"usr_0000000000001\",\"lines\":[{{\"skuId\":\"{sku}\",\"quantity\":1}}],\
             \"expectedTotal\":{{\"amount\":{amount},\"currency\":\"KRW\"}},\
             \"payment\":{{\"mode\":\"SERVER\",\"token\":\"{token}\"}}}}'\n"
        )
    };
    let jangbu = std::env::current_exe();
    let jangbu = jangbu.map_or_else(|_| "jangbu".to_owned(), |path| path.display().to_string());
    let mut text = String::new();
    let _ = write!(
        text,
        "\nThe shop is open. {} products are on sale.\n\n\
         # an order that is sold (run it twice: the second answer is the first one again)\n{}\n\
         # a card that is declined\n{}\n\
         # the books, for operators\n\
         curl -s {url}/api/v1/ledger/trial-balance -H \"Authorization: Bearer $(cat {operator})\"\n\n\
         {}\
         # prove that nothing is lost, doubled or invented\n\
         {jangbu} prove --data {}\n\n\
         Documentation: {url}/openapi.json, API.md. Counters: {url}/metrics\n",
        products.len(),
        order("first-order", &sku(0), PRODUCTS[0].2, "tok_demo"),
        order("declined-order", &sku(2), PRODUCTS[2].2, "tok_declined"),
        signed(url, files),
        files
            .client
            .parent()
            .and_then(std::path::Path::parent)
            .map_or_else(String::new, |p| p.display().to_string()),
    );
    text
}
