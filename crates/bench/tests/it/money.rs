//! The toy's payments and journals.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::toy::{Request, with};

/// How the toy behaves about money.
#[derive(Debug, Clone, Default)]
pub(crate) struct MoneyWays {
    /// Every so many captures are answered 202, and stand as captured when asked for.
    pub(crate) later: Option<u64>,
    /// Every so many authorizations are declined.
    pub(crate) decline: Option<u64>,
    /// A repeated authorization is answered with what the payment is now.
    pub(crate) renders_anew: bool,
    /// Every so many journals are answered and forgotten.
    pub(crate) forgets: Option<u64>,
}

/// What the toy knows about money.
#[derive(Debug, Default)]
pub(crate) struct Money(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    /// By id: merchant, amount, status.
    payments: HashMap<String, (String, i64, &'static str)>,
    /// By key: the id, and the first answer.
    keys: HashMap<String, (String, String)>,
    counts: [u64; 3],
    authorizations: Vec<String>,
    journals: HashMap<String, u64>,
    accounts: BTreeMap<String, [i64; 2]>,
}

impl Money {
    /// How many were authorised, captured and refunded.
    pub(crate) fn counts(&self) -> [u64; 3] {
        self.0.lock().unwrap().counts
    }

    /// The Authorization headers of all requests about payments.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.0.lock().unwrap().authorizations.clone()
    }

    pub(crate) fn payment(
        &self,
        method: &str,
        path: &str,
        request: &Request,
        ways: &MoneyWays,
    ) -> Option<String> {
        let mut books = self.0.lock().unwrap();
        books.authorizations.push(request.authorization.clone());
        let verb = path.strip_prefix("/api/payments/")?;
        if method == "GET" {
            let id = verb.split('?').next()?;
            return Some(books.answer("200 OK", id));
        }
        let body: Value = serde_json::from_str(&request.body).ok()?;
        let merchant = body["merchantId"].as_str()?;
        match verb.split_once('/') {
            None => Some(books.authorize(&body, merchant, ways)),
            Some((verb, id)) => {
                assert_eq!(books.payments[id].0, merchant, "the merchant of the payment");
                Some(books.step(verb, id, ways))
            }
        }
    }

    pub(crate) fn ledger(&self, path: &str, request: &Request, ways: &MoneyWays) -> Option<String> {
        let mut books = self.0.lock().unwrap();
        if path.ends_with("/trial-balance") {
            let account = |(code, [debits, credits]): (&String, &[i64; 2])| json!({ "code": code, "debits": debits, "credits": credits });
            let accounts: Vec<Value> = books.accounts.iter().map(account).collect();
            let answer = json!({ "accounts": accounts, "balanced": true });
            return Some(with("200 OK", "", &answer.to_string()));
        }
        let next = books.journals.len() as u64 + 1;
        let n = *books.journals.entry(request.key.clone()).or_insert(next);
        if n == next && ways.forgets.is_none_or(|every| !n.is_multiple_of(every)) {
            let body: Value = serde_json::from_str(&request.body).ok()?;
            let postings = body["postings"].as_array()?;
            for leg in postings.iter().filter_map(|posting| posting["legs"].as_array()).flatten() {
                let amount = leg["amount"].as_i64()?;
                let sums = books.accounts.entry(leg["account"].as_str()?.to_owned()).or_default();
                sums[usize::from(amount < 0)] += amount.abs();
            }
        }
        Some(with("201 Created", "", &format!(r#"{{"journalId":"jnl_{n:013}"}}"#)))
    }
}

impl Books {
    fn authorize(&mut self, body: &Value, merchant: &str, ways: &MoneyWays) -> String {
        let (key, amount) = (body["idempotencyKey"].as_str().unwrap(), &body["amount"]);
        if let Some((id, first)) = self.keys.get(key) {
            return if ways.renders_anew { self.answer("200 OK", id) } else { first.clone() };
        }
        self.counts[0] += 1;
        let n = self.counts[0];
        let id = format!("pay_{n:013}");
        let declined = ways.decline.is_some_and(|every| n.is_multiple_of(every));
        let status = if declined { "AUTH_FAILED" } else { "AUTHORIZED" };
        let row = (merchant.to_owned(), amount.as_i64().unwrap(), status);
        self.payments.insert(id.clone(), row);
        let answer = if declined {
            let body = format!(r#"{{"code":"PAYMENT_DECLINED","paymentId":"{id}","status":402}}"#);
            with("402 Payment Required", "", &body)
        } else {
            self.answer("200 OK", &id)
        };
        self.keys.insert(key.to_owned(), (id, answer.clone()));
        answer
    }

    fn step(&mut self, verb: &str, id: &str, ways: &MoneyWays) -> String {
        let (at, from, to) = match verb {
            "capture" => (1, "AUTHORIZED", "CAPTURED"),
            _ => (2, "CAPTURED", "REFUNDED"),
        };
        let payment = self.payments.get_mut(id).unwrap();
        assert_eq!(payment.2, from, "{verb} of {id}");
        payment.2 = to;
        self.counts[at] += 1;
        if at == 1 && ways.later.is_some_and(|every| self.counts[1].is_multiple_of(every)) {
            let body = format!(r#"{{"paymentId":"{id}","status":"UNKNOWN"}}"#);
            return with("202 Accepted", "", &body);
        }
        self.answer("200 OK", id)
    }

    fn answer(&self, line: &str, id: &str) -> String {
        let (_, amount, status) = &self.payments[id];
        let body = format!(r#"{{"paymentId":"{id}","status":"{status}","amount":{amount}}}"#);
        with(line, "", &body)
    }
}
