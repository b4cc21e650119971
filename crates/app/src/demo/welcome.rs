//! What the demo prints: what to open, and lines to copy.

use std::fmt::Write;

use serde_json::Value;

use super::{PASSWORD, Shop};
use crate::keys::KeyFiles;

/// The merchant whose key `./run` makes.
const MERCHANT: &str = super::goods::MERCHANTS[0].0;

/// Lines that sign a payment of the first product's merchant, if `./run` has made its key.
fn signed(url: &str, files: &KeyFiles) -> String {
    let merchant = MERCHANT;
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

/// What to open, and lines to copy: a customer logs in, takes a coupon, pays with it, with points
/// and a card, and gets a unit refunded.
pub(super) fn text(url: &str, files: &KeyFiles, shop: &Shop) -> String {
    let Shop { products, campaigns, users } = shop;
    let mut text = format!(
        "\nThe shop is open: {} products, {} campaigns, {} customers.\n\n",
        products.len(),
        campaigns.len(),
        users.len()
    );
    let product = products.first().map(|product| &product["skus"][0]);
    if let (Some(sku), Some(campaign), Some(user)) = (product, campaigns.first(), users.first()) {
        let field = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        let price = sku["price"]["amount"].as_i64().unwrap_or_default();
        let _ = write!(
            text,
            r#"# a customer logs in and takes a coupon
json='Content-Type: application/json'
field() {{ sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }}
token=$(curl -s {url}/api/v1/sessions -H "$json" \
  -d '{{"email":"{email}","password":"{PASSWORD}"}}' | field token)
coupon=$(curl -s {url}/api/v1/campaigns/{campaign}/issue -H "Authorization: Bearer $token" \
  -H "$json" -H 'Idempotency-Key: first-coupon' -d '{{}}' | field couponId)

# an order that is paid with the coupon, with 1,000 points and by card (twice: the first answer again)
order=$(curl -s {url}/api/v1/orders -H "Authorization: Bearer $token" \
  -H "$json" -H 'Idempotency-Key: first-order' -d '{{"couponId":"'$coupon'","points":1000,
  "lines":[{{"skuId":"{sku}","quantity":1}}],"expectedTotal":{{"amount":{price},"currency":"KRW"}},
  "payment":{{"mode":"SERVER","token":"tok_demo"}}}}'); echo "$order"

# the shop gives it back: card, points and coupon, and the unit to its shelf
curl -s {url}/api/v1/orders/$(echo "$order" | field id)/refund -H "Authorization: Bearer $(cat {operator})" \
  -H "$json" -H 'Idempotency-Key: first-refund' -d '{{"restock":true,"reason":"wrong size"}}'

# the books, for operators
curl -s {url}/api/v1/ledger/trial-balance -H "Authorization: Bearer $(cat {operator})"

"#,
            email = field(user, "email"),
            campaign = field(campaign, "id"),
            sku = field(sku, "id"),
            operator = files.operator.display(),
        );
    }
    text.push_str(&signed(url, files));
    let jangbu = std::env::current_exe();
    let jangbu = jangbu.map_or_else(|_| "jangbu".to_owned(), |path| path.display().to_string());
    let data = files.client.parent().and_then(std::path::Path::parent);
    let _ = write!(
        text,
        "# prove that nothing is lost, doubled or invented\n{jangbu} prove --data {}\n\n\
         To read: {url}/docs (the interface), README.md. Counters: {url}/metrics\n",
        data.map_or_else(String::new, |data| data.display().to_string()),
    );
    text
}
