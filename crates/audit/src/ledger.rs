//! Ledger: every posting against the payment that caused it, every balance against its entries.
//!
//! Postings of journals are counted against their own rows ([`crate::journal`]).
//!
//! A capture debits the gateway's receivable, points and coupons, each with its share, and credits
//! each merchant of the split; a refund reverses that for its parts. Balances are compared with payments and with the gateway, not with
//! themselves. The chain of hashes is in [`crate::chain`].

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use crate::{
    Error,
    book::{Book, rules},
    chain::Chain,
    gateway, ids,
    outbox::Topic,
    payment::{Part, Payment, Refund, refund_state, state, sum_of},
    rows::{Cells, Source, Unreadable, scan},
    walk::Case,
};

rules! {
    BALANCE = "ledger.balance", Mismatched, "Every posting balances in every currency.";
    NUMBERS = "ledger.numbers", Mismatched, "Postings of a source are numbered from 1, legs of a posting from 0 or 1, without gaps.";
    ACCOUNT = "ledger.account", Lost, "The account of every leg exists.";
    ACCOUNT_ID = "ledger.account-id", Mismatched, "An account's id is the hash of its code and currency, its kind the one of its code.";
    SOURCE = "ledger.source", Mismatched, "Every posting has a payment, a journal, or points as its source.";
    MISSING = "ledger.missing", Lost, "Every capture, every refund that is DONE, and all that is set aside or released has its posting.";
    DOUBLED = "ledger.doubled", Doubled, "No capture and no refund is posted twice.";
    INVENTED = "ledger.invented", Mismatched, "Every posting is that of a capture or of a refund, leg by leg.";
    COUNTER = "ledger.counter", Mismatched, "A payment counts its postings.";
    RECEIVABLE = "ledger.receivable", Mismatched, "What a payment leaves on the gateway's receivable is what the gateway's log says it owes.";
    COMMIT = "ledger.commit", Mismatched, "A posting shares the commit of the event that it belongs to.";
    TOTALS = "ledger.totals", Mismatched, "Debits and credits of an account are the sums of its entries.";
    TRIAL = "ledger.trial", Mismatched, "Over all accounts of a currency debits equal credits.";
}

/// The columns that are walked, by source.
pub(crate) const SQL: &str = "SELECT source, seq, leg, account, amount, at, commit_no FROM entry \
     ORDER BY source, seq, leg";

/// One leg of a posting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    pub(crate) seq: i64,
    pub(crate) number: i64,
    pub(crate) account: i64,
    pub(crate) amount: i64,
    pub(crate) at: i64,
    pub(crate) commit: i64,
}

impl Leg {
    /// Reads the columns of [`SQL`] after the source.
    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            seq: cells.int()?,
            number: cells.int()?,
            account: cells.int()?,
            amount: cells.int()?,
            at: cells.int()?,
            commit: cells.int()?,
        })
    }
}

#[derive(Debug)]
struct Account {
    code: String,
    currency: String,
    debits: i64,
    credits: i64,
    folded: [i128; 2],
}

/// The accounts, folded while the books are walked, and the chain.
#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: HashMap<i64, Account>,
    pub(crate) chain: Chain,
}

/// A posting that a payment must have: the parts of merchants, credited (1) or given back (-1). The
/// card's shares go by way of the gateway or of what is owed to the customer, the others by way of
/// accounts of their own.
#[derive(Debug)]
struct Expected<'p> {
    sign: i128,
    aside: bool,
    amount: i64,
    deduct: i64,
    parts: &'p [Part],
    points: bool,
    found: bool,
}

impl Expected<'_> {
    /// What stands on an account of this code, as if the sign were 1; none: it has no place here.
    fn on(&self, code: &str, psp: &str) -> Option<i128> {
        let amount = i128::from(self.amount);
        let wanted = match code {
            POINTS_PAID if self.points => -amount,
            POINTS_PAID => sum_of(self.parts, |part| part.paid),
            POINTS_EARNED => sum_of(self.parts, |part| part.earned),
            PROMO_COUPON => sum_of(self.parts, |part| part.coupon),
            PROMO_POINTS => i128::from(self.deduct),
            ASIDE if self.aside => amount,
            _ if psp_of(code) == Some(psp) && !self.aside => amount,
            _ => {
                let merchant = merchant_of(code)?;
                let theirs = self.parts.iter().filter(|part| part.merchant == merchant);
                -theirs.map(Part::payable).sum::<i128>()
            }
        };
        Some(wanted)
    }

    /// How many accounts it moves.
    fn width(&self) -> usize {
        let shares = [
            sum_of(self.parts, |part| part.paid),
            sum_of(self.parts, |part| part.earned),
            sum_of(self.parts, |part| part.coupon),
            i128::from(self.amount),
            i128::from(self.deduct),
        ];
        let merchants = self.parts.iter().filter(|part| part.payable() != 0).count();
        usize::from(self.points) + shares.iter().filter(|share| **share != 0).count() + merchants
    }
}

impl Ledger {
    /// Reads accounts and chain, and checks both in themselves.
    pub(crate) fn load(from: Source<'_>, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("ledger");
        let mut accounts = HashMap::new();
        let sql = "SELECT id, code, currency, kind, debits, credits FROM account";
        scan(from, book, sql, |cells, book| {
            let (id, code, currency) = (cells.int()?, cells.text()?, cells.text()?);
            let kind = cells.int()?;
            if id != account_id(code, currency) || !kind_fits(code, kind) {
                let detail = format!("id {id}, kind {kind} in {currency}");
                book.find(ACCOUNT_ID, code.to_owned(), detail);
            }
            let (debits, credits) = (cells.int()?, cells.int()?);
            let (code, currency) = (code.to_owned(), currency.to_owned());
            accounts.insert(id, Account { code, currency, debits, credits, folded: [0; 2] });
            Ok(())
        })?;
        Ok(Self { accounts, chain: Chain::load(from, book)? })
    }

    /// Folds the postings of a case and checks them against its payment.
    pub(crate) fn walk(&mut self, case: &Case<'_>, book: &mut Book) {
        let mut postings = 0;
        for posting in case.legs.chunk_by(|a, b| a.seq == b.seq) {
            postings += 1;
            self.post(case, posting, postings, book);
        }
        for posting in case.point_legs.chunk_by(|a, b| a.seq == b.seq) {
            self.post(case, posting, posting[0].seq, book); // numbered by what they are about
        }
        match &case.payment {
            Some(payment) => self.against_payment(case, payment, postings, book),
            None if postings > 0 && case.journal.is_none() => {
                let detail = format!("{postings} postings, and neither payment nor journal");
                book.find(SOURCE, ids::payment(case.id), detail);
            }
            None => {}
        }
    }

    fn post(&mut self, case: &Case<'_>, posting: &[Leg], number: i64, book: &mut Book) {
        let subject = || match &case.journal {
            Some(_) => ids::journal(case.id),
            None => ids::payment(case.id),
        };
        let seq = posting[0].seq;
        let first = posting[0].number.clamp(0, 1);
        if seq != number || !(first..).zip(posting).all(|(wanted, leg)| leg.number == wanted) {
            let legs: Vec<i64> = posting.iter().map(|leg| leg.number).collect();
            let detail = format!("posting {seq} with legs {legs:?}, wanted posting {number}");
            book.find(NUMBERS, subject(), detail);
        }
        for leg in posting {
            self.chain.absorb(case.id, leg, book);
            if let Some(account) = self.accounts.get_mut(&leg.account) {
                let amount = i128::from(leg.amount);
                account.folded[usize::from(amount < 0)] += amount.abs();
            } else {
                let detail = format!("account {} of leg {} is absent", leg.account, leg.number);
                book.find(ACCOUNT, subject(), detail);
            }
        }
        let mut sums: Vec<(&str, i128)> = Vec::with_capacity(1);
        for (account, amount) in self.amounts(posting) {
            match sums.iter_mut().find(|(known, _)| *known == account.currency) {
                Some((_, sum)) => *sum += amount,
                None => sums.push((&account.currency, amount)),
            }
        }
        for (currency, sum) in sums.iter().filter(|(_, sum)| *sum != 0) {
            book.find(BALANCE, subject(), format!("posting {seq} is off by {sum} {currency}"));
        }
    }

    /// The legs whose account is known, with it.
    fn amounts<'a>(&'a self, legs: &'a [Leg]) -> impl Iterator<Item = (&'a Account, i128)> {
        legs.iter()
            .filter_map(|leg| Some((self.accounts.get(&leg.account)?, i128::from(leg.amount))))
    }

    fn against_payment(&self, case: &Case<'_>, payment: &Payment, postings: i64, book: &mut Book) {
        let mut find = |rule, detail| book.find(rule, ids::payment(case.id), detail);
        if postings != payment.postings {
            let detail = format!("counts {} postings, has {postings}", payment.postings);
            find(COUNTER, detail);
        }
        let mut expected = expected(payment);
        for posting in case.legs.chunk_by(|a, b| a.seq == b.seq) {
            let fits = |wanted: &&mut Expected<'_>| self.fits(payment, wanted, posting);
            let found = expected.iter_mut().filter(fits).min_by_key(|wanted| wanted.found);
            match found {
                Some(wanted) if !wanted.found => wanted.found = true,
                Some(_) => find(DOUBLED, format!("posting {} repeats one", posting[0].seq)),
                None => {
                    let detail = format!("posting {}: {}", posting[0].seq, self.show(posting));
                    find(INVENTED, detail);
                }
            }
        }
        for wanted in expected.iter().filter(|wanted| !wanted.found) {
            let what = if wanted.sign > 0 { "capture" } else { "refund" };
            let all: i128 = wanted.parts.iter().map(Part::payable).sum();
            find(MISSING, format!("the {what} of {} in {all} is not posted", wanted.amount));
        }
        self.receivable(case, payment, &mut find);
        commits(case, &mut find);
    }

    /// Whether a posting is the expected one: it has a leg on each account that it moves and on no
    /// other, and each account has its sum.
    fn fits(&self, payment: &Payment, wanted: &Expected<'_>, posting: &[Leg]) -> bool {
        let on = |code: &str| -> i128 {
            let on_it = self.amounts(posting).filter(|(account, _)| account.code == code);
            on_it.map(|(_, amount)| amount).sum()
        };
        let fits = |account: &Account| {
            let wants = wanted.on(&account.code, &payment.psp).map(|amount| wanted.sign * amount);
            account.currency == payment.currency && wants == Some(on(&account.code))
        };
        let all: i128 = self.amounts(posting).map(|(_, amount)| amount).sum();
        let known = self.amounts(posting).filter(|(account, _)| fits(account)).count();
        let first = |(at, leg): &(usize, &Leg)| {
            posting[..*at].iter().all(|other| other.account != leg.account)
        };
        let accounts = posting.iter().enumerate().filter(first).count();
        all == 0 && known == posting.len() && accounts == wanted.width()
    }

    fn receivable(
        &self,
        case: &Case<'_>,
        payment: &Payment,
        find: &mut impl FnMut(crate::Rule, String),
    ) {
        let newer = case.psp.iter().any(|record| record.newer);
        if newer || payment.in_flight() || payment.refunds_pending() > 0 {
            return;
        }
        let on_it = self.amounts(case.legs).filter(|(account, _)| psp_of(&account.code).is_some());
        let posted: i128 = on_it.map(|(_, amount)| amount).sum();
        let owed = gateway::net(case.psp.iter());
        if posted != owed {
            find(RECEIVABLE, format!("{posted} on the receivable, the gateway owes {owed}"));
        }
    }

    fn show(&self, posting: &[Leg]) -> String {
        let legs: Vec<String> = self
            .amounts(posting)
            .map(|(account, amount)| format!("{} {amount} {}", account.code, account.currency))
            .collect();
        legs.join(", ")
    }

    /// Compares the balances with what was folded, and closes the chain.
    pub(crate) fn close(self, book: &mut Book) {
        let mut trial: BTreeMap<&str, i128> = BTreeMap::new();
        for account in self.accounts.values() {
            let [debits, credits] = account.folded;
            if [debits, credits] != [i128::from(account.debits), i128::from(account.credits)] {
                let detail = format!(
                    "{} debits and {} credits, its entries sum to {debits} and {credits} {}",
                    account.debits, account.credits, account.currency
                );
                book.find(TOTALS, account.code.clone(), detail);
            }
            *trial.entry(&account.currency).or_default() +=
                i128::from(account.debits) - i128::from(account.credits);
        }
        for (currency, off) in trial.into_iter().filter(|(_, off)| *off != 0) {
            book.find(TRIAL, currency.to_owned(), format!("debits exceed credits by {off}"));
        }
        self.chain.close(book);
    }
}

fn expected(payment: &Payment) -> Vec<Expected<'_>> {
    let points = payment.points_of.is_some();
    let moves = |refund: &Refund| -> &'static [(i128, bool)] {
        match refund.state {
            refund_state::DONE => &[(-1, false)],
            refund_state::SET_ASIDE => &[(-1, true)],
            refund_state::RELEASED => &[(-1, true), (1, true)],
            _ => &[],
        }
    };
    let refunds = payment.refunds.iter().flat_map(|refund| {
        moves(refund).iter().map(|&(sign, aside)| {
            let (amount, deduct, parts) = (refund.amount, refund.deduct, &*refund.parts);
            Expected { sign, aside, amount, deduct, parts, points, found: false }
        })
    });
    let capture = || {
        let (amount, parts) = (payment.captured, &*payment.split);
        Expected { sign: 1, aside: false, amount, deduct: 0, parts, points, found: false }
    };
    let captured = payment.state == state::CAPTURED;
    let captures = captured.then(capture).into_iter();
    captures.chain(refunds).filter(|wanted| wanted.width() > 0).collect()
}

/// Captured and refunded events of a payment, and its postings, stand in the same commits.
fn commits(case: &Case<'_>, find: &mut impl FnMut(crate::Rule, String)) {
    let postings = case.legs.chunk_by(|a, b| a.seq == b.seq);
    let mut posted: Vec<i64> = postings.map(|posting| posting[0].commit).collect();
    let moved = |topic| {
        use Topic::{PaymentCaptured, PaymentRefunded, PaymentReleased, PaymentSetAside};
        matches!(topic, PaymentCaptured | PaymentRefunded | PaymentSetAside | PaymentReleased)
    };
    let events = case.events.iter().filter(|event| moved(event.topic));
    let mut told: Vec<i64> = events.map(|event| event.commit).collect();
    posted.sort_unstable();
    told.sort_unstable();
    if posted.len() == told.len() && posted != told {
        find(COMMIT, format!("posted in commits {posted:?}, published in {told:?}"));
    }
}

/// Our debt to customers whose money no gateway gives back.
const ASIDE: &str = "customer:refundable";
const POINTS_PAID: &str = "points:paid";
const POINTS_EARNED: &str = "points:earned";
const PROMO_COUPON: &str = "promo:coupon";
const PROMO_POINTS: &str = "promo:points";

fn psp_of(code: &str) -> Option<&str> {
    code.strip_prefix("psp:")?.strip_suffix(":receivable")
}

fn merchant_of(code: &str) -> Option<&str> {
    code.strip_prefix("merchant:")?.strip_suffix(":payable")
}

/// Assets are 1, debts 2, income 4, expenses 5; a code that is none of the chart has no kind.
fn kind_fits(code: &str, kind: i64) -> bool {
    let wanted = match code {
        _ if psp_of(code).is_some() => 1,
        _ if merchant_of(code).is_some() => 2,
        "bank" | "vat:input" | "disputed" => 1,
        "payout:clearing" | "vat:output" | "suspense" | ASIDE | POINTS_PAID | POINTS_EARNED => 2,
        "breakage" | "fee" => 4,
        PROMO_COUPON | PROMO_POINTS | "psp:fee" | "loss" => 5,
        _ => return false,
    };
    kind == wanted
}

/// The first 8 bytes of the SHA-256 of code, a zero byte and the currency, without the top bit.
fn account_id(code: &str, currency: &str) -> i64 {
    let hash = Sha256::new().chain_update(code).chain_update([0]).chain_update(currency).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first) & i64::MAX
}
