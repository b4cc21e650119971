//! What is paid: merchants, amounts and keys of payments, rendered as requests of the compatible
//! payment API.
//!
//! Payment `n` is a pure function of the seed and `n`, like an order (see `world`). Merchants are
//! the numbers 1 to 1,000, amounts are 1,000 to 50,000 won in thousands: the load of the script
//! that the compatible API was made for.

use crate::dice::Dice;
use crate::signature::Signer;
use crate::world::{Id, push_number};

/// Merchants of the load.
pub(crate) const MERCHANTS: u64 = 1_000;
/// One payment in so many is given back after its capture.
const REFUND_ONE_IN: u64 = 10;
/// One payment in so many is asked for again with the same key, once it has ended.
const REPEAT_ONE_IN: u64 = 1_000;

/// Renders requests about payments.
#[derive(Debug)]
pub(crate) struct Requests {
    seed: u64,
    /// Start of every idempotency key of this run.
    tag: String,
    /// From the version of HTTP to the length of the body.
    head: Vec<u8>,
    /// Everything after the path of a look-up.
    look_tail: Vec<u8>,
    /// Signs each request, unless the server takes unsigned ones.
    signer: Option<Signer>,
    body: Vec<u8>,
}

impl Requests {
    pub(crate) fn new(seed: u64, tag: String, host: &str, signer: Option<Signer>) -> Self {
        let head = format!(
            " HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
        );
        let look_tail = format!(" HTTP/1.1\r\nHost: {host}");
        Self {
            seed,
            tag,
            head: head.into_bytes(),
            look_tail: look_tail.into_bytes(),
            signer,
            body: Vec::with_capacity(256),
        }
    }

    /// The idempotency key of payment `n`.
    pub(crate) fn push_key(&self, n: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.as_bytes());
        out.push(b'-');
        push_number(n, out);
    }

    /// Whether payment `n` is one of those that are asked for twice.
    pub(crate) fn repeats(&self, n: u64) -> bool {
        Dice::of(self.seed ^ 0x5EED, n).below(REPEAT_ONE_IN) == 0
    }

    /// Whether payment `n` is given back.
    pub(crate) fn refunds(&self, n: u64) -> bool {
        Dice::of(self.seed ^ 0xBACC, n).below(REFUND_ONE_IN) == 0
    }

    /// Merchant and amount of payment `n`.
    pub(crate) fn of(&self, n: u64) -> (u64, i64) {
        let mut dice = Dice::of(self.seed, n);
        let merchant = dice.below(MERCHANTS) + 1;
        let thousands = i64::try_from(dice.below(50) + 1).unwrap_or(1);
        (merchant, thousands * 1_000)
    }

    /// The request that authorises payment `n`.
    pub(crate) fn authorize(&mut self, n: u64, out: &mut Vec<u8>) {
        let (merchant, amount) = self.of(n);
        let mut body = self.begin(merchant);
        body.extend_from_slice(b"\",\"amount\":");
        push_number(amount.unsigned_abs(), &mut body);
        body.extend_from_slice(b",\"currency\":\"KRW\",\"idempotencyKey\":\"");
        self.push_key(n, &mut body);
        body.extend_from_slice(b"\"}");
        out.extend_from_slice(b"POST /api/payments/authorize");
        self.finish(merchant, body, out);
    }

    /// The request that captures payment `n`.
    pub(crate) fn capture(&mut self, n: u64, id: &Id, out: &mut Vec<u8>) {
        let (merchant, _) = self.of(n);
        let mut body = self.begin(merchant);
        body.extend_from_slice(b"\"}");
        out.extend_from_slice(b"POST /api/payments/capture/");
        out.extend_from_slice(id);
        self.finish(merchant, body, out);
    }

    /// The request that gives payment `n` back.
    pub(crate) fn refund(&mut self, n: u64, id: &Id, out: &mut Vec<u8>) {
        let (merchant, _) = self.of(n);
        let mut body = self.begin(merchant);
        body.extend_from_slice(b"\",\"reason\":\"load test\"}");
        out.extend_from_slice(b"POST /api/payments/refund/");
        out.extend_from_slice(id);
        self.finish(merchant, body, out);
    }

    /// The request that asks how payment `n` stands.
    pub(crate) fn look(&mut self, n: u64, id: &Id, out: &mut Vec<u8>) {
        let (merchant, _) = self.of(n);
        let start = out.len();
        out.extend_from_slice(b"GET /api/payments/");
        out.extend_from_slice(id);
        out.extend_from_slice(b"?merchantId=");
        push_number(merchant, out);
        let line = start..out.len();
        out.extend_from_slice(&self.look_tail);
        if let Some(signer) = &mut self.signer {
            signer.sign(merchant, line, b"", out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn begin(&mut self, merchant: u64) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.extend_from_slice(b"{\"merchantId\":\"");
        push_number(merchant, &mut body);
        body
    }

    /// Head, signature and body after method and path.
    fn finish(&mut self, merchant: u64, body: Vec<u8>, out: &mut Vec<u8>) {
        let line = 0..out.len();
        out.extend_from_slice(&self.head);
        push_number(body.len() as u64, out);
        if let Some(signer) = &mut self.signer {
            signer.sign(merchant, line, &body, out);
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&body);
        self.body = body;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = *b"pay_0000000000007";

    fn rendered(render: impl FnOnce(&mut Requests, &mut Vec<u8>)) -> (String, serde_json::Value) {
        let mut requests = Requests::new(1, "t".to_owned(), "h", None);
        let mut out = Vec::new();
        render(&mut requests, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        if let Some(declared) = head.split("Content-Length: ").nth(1) {
            assert_eq!(declared.parse::<usize>().unwrap(), body.len());
        }
        (head.to_owned(), serde_json::from_str(body).unwrap_or_default())
    }

    #[test]
    fn the_requests_of_one_payment() {
        let (head, body) = rendered(|requests, out| requests.authorize(7, out));
        assert!(head.starts_with("POST /api/payments/authorize HTTP/1.1\r\nHost: h\r\n"), "{head}");
        let merchant = body["merchantId"].as_str().unwrap().to_owned();
        assert!((1..=1_000).contains(&merchant.parse::<u64>().unwrap()));
        let amount = body["amount"].as_i64().unwrap();
        assert!(amount % 1_000 == 0 && (1_000..=50_000).contains(&amount), "{amount}");
        assert_eq!((&body["currency"], &body["idempotencyKey"]), (&"KRW".into(), &"t-7".into()));
        let (head, body) = rendered(|requests, out| requests.capture(7, &ID, out));
        assert!(head.starts_with("POST /api/payments/capture/pay_0000000000007 HTTP/1.1\r\n"));
        assert_eq!(body["merchantId"], merchant.as_str());
        let (head, body) = rendered(|requests, out| requests.refund(7, &ID, out));
        assert!(head.starts_with("POST /api/payments/refund/pay_0000000000007 HTTP/1.1\r\n"));
        assert_eq!(body["reason"], "load test");
        let (head, _) = rendered(|requests, out| requests.look(7, &ID, out));
        let line = format!("GET /api/payments/pay_0000000000007?merchantId={merchant} HTTP/1.1");
        assert!(head.starts_with(&line), "{head}");
    }

    #[test]
    fn one_in_ten_is_given_back_and_one_in_a_thousand_repeats() {
        let requests = Requests::new(1, "t".to_owned(), "h", None);
        let refunds = (0..100_000).filter(|&n| requests.refunds(n)).count();
        assert!((9_500..=10_500).contains(&refunds), "{refunds}");
        let repeats = (0..100_000).filter(|&n| requests.repeats(n)).count();
        assert!((60..=140).contains(&repeats), "{repeats}");
    }
}
