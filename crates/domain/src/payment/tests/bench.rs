//! One payment on a bench: text in, text out, through the same steps as the engine's.

use std::sync::Arc;

use jangbu_kernel::time::Span;
use jangbu_kernel::{
    Coded, Ctx, Currency, Domain, OrderId, Out, PaymentId, RefundId, RowSet, Secret, Time, UserId,
};

use crate::payment::command::{
    Ask, Call, Event, Gift, Intent, Part, Purpose, Reject, Reply, Said, Verdict,
};
use crate::payment::model::{Payment, after};
use crate::payment::{Command, Payments, Rows, Rules};

/// The payment on the bench.
pub(super) const ID: PaymentId = PaymentId(7);
/// Second 0 of the tables.
pub(super) const START: Time = Time(1_800_000_000_000_000);

pub(super) struct Bench {
    pub(super) rows: Rows,
    pub(super) now: Time,
    /// What the latest command caused.
    pub(super) out: Out<Event>,
    order: Option<OrderId>,
}

/// Runs a table.
pub(super) fn check(table: &str) {
    let mut bench = Bench::new(true);
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once("=>") {
            Some((command, expected)) => {
                let words: Vec<_> = expected.split_whitespace().collect();
                assert_eq!(bench.run(command.trim()), words.join(" "), "{line}");
            }
            None => _ = bench.run(line),
        }
    }
}

impl Bench {
    /// A bench for a payment with or without an order.
    pub(super) fn new(with_order: bool) -> Self {
        let order = with_order.then_some(OrderId(ID.0));
        Self { rows: Rows::new(Rules::new("sim")), now: START, out: Out::default(), order }
    }

    pub(super) fn row(&self) -> Option<&Payment> {
        self.rows.payment.get(ID)
    }

    /// Runs one line and says what came of it.
    pub(super) fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["alone"] => self.order = None,
            ["at", time] => self.now = after(START, seconds(time)),
            ["money"] => {
                let p = self.row().unwrap();
                return format!("{}/{}/{}/{}", p.authorized, p.captured, p.refunded, p.pending);
            }
            ["ref"] => return self.row().and_then(|row| row.psp_ref.clone()).unwrap().into(),
            ["next"] => {
                self.rows.payment.want(ID);
                self.load();
                let next = self.row().and_then(|row| row.next_at);
                let age = next.map(|next| (next - START).as_millis() / 1_000);
                return age.map_or_else(|| "none".to_owned(), |age| format!("{age}s"));
            }
            ["wake"] => {
                let due = self.row().and_then(|row| row.next_at).is_some_and(|at| at <= self.now);
                assert!(due, "nothing is due");
                let said = self.act(&Payments::wake("payment", ID.0));
                let due = self.row().and_then(|row| row.next_at).is_some_and(|at| at <= self.now);
                assert!(!due, "a wake that leaves its timer due would never end");
                return said;
            }
            _ => return self.act(&self.parse(line)),
        }
        String::new()
    }

    fn load(&mut self) {
        for id in self.rows.payment.take_wanted() {
            self.rows.payment.load(id, None);
        }
    }

    /// Decides one command as the engine does, and once more.
    fn act(&mut self, command: &Command) -> String {
        let first = self.decide(command);
        let before = self.row().cloned();
        if let Some(finding) = before.as_ref().and_then(Payment::unsound) {
            panic!("{finding} after {command:?}: {before:#?}");
        }
        let out = std::mem::take(&mut self.out);
        assert_eq!(self.decide(command), first, "the same command again");
        assert_eq!(self.row().cloned(), before, "{command:?} again changed the row");
        let again = self.out.events.len() + self.out.calls.len();
        assert_eq!(again, 0, "{command:?} again: {:?}", self.out);
        self.out = out;
        self.describe(&first)
    }

    /// Decides one command; a reject takes everything back.
    pub(super) fn decide(&mut self, command: &Command) -> Result<Reply, Reject> {
        let ctx = Ctx { now: self.now, commit: 1, correlation: None, trace: None };
        Payments::want(command, &mut self.rows);
        self.load();
        let before = (self.row().cloned(), self.rows.payment.version(ID));
        self.out.clear();
        self.rows.payment.mark();
        let answer = Payments::decide(command, &ctx, &mut self.rows, &mut self.out);
        if answer.is_err() {
            let quiet = self.out.events.is_empty() && self.out.calls.is_empty();
            assert!(quiet, "a reject had effects: {:?}", self.out);
            self.rows.payment.rollback();
            let now = (self.row().cloned(), self.rows.payment.version(ID));
            assert_eq!(now, before, "a reject changed the row");
        }
        answer
    }

    fn describe(&self, answer: &Result<Reply, Reject>) -> String {
        let mut words = vec![match answer {
            Err(Reject::RefundExceedsCaptured { left }) => {
                format!("REFUND_EXCEEDS_CAPTURED:{left}")
            }
            Err(reject) => reject.code().to_owned(),
            Ok(Reply { state, reason, refund, .. }) => {
                let reason = reason.as_ref().map_or(String::new(), |reason| format!(":{reason}"));
                let refund = refund.map_or(String::new(), |refund| format!("/{}", refund.name()));
                format!("{}{reason}{refund}", state.name())
            }
        }];
        words.extend(self.out.events.iter().map(event));
        words.extend(self.out.calls.iter().map(|job| {
            assert!(job.deadline > self.now, "a call without time");
            call(job.body.expect_ref())
        }));
        words.join(" ")
    }

    pub(super) fn parse(&self, line: &str) -> Command {
        let words: Vec<&str> = line.split_whitespace().collect();
        let deadline = after(self.now, Span::secs(10));
        let token = Secret::new("tok_1");
        let payment = ID;
        match words[..] {
            ["intend", ..] => self.intend(&words, deadline),
            ["authorize"] => Command::Authorize { payment, token, deadline },
            ["capture"] => Command::Capture { payment, merchant: None, deadline },
            ["withdraw", ..] => Command::Withdraw { intent: self.intent(&words), deadline },
            ["void"] => Command::Void { payment, merchant: None, deadline },
            ["refund", no, ..] => {
                let (parts, amount) = parts(&words);
                let deduct = number(&words, "deduct").unwrap_or(0);
                let (no, amount) = (no.parse().unwrap(), amount.wrapping_sub(deduct));
                Command::Refund { payment, no, amount, parts, deduct, deadline }
            }
            ["aside", no, ..] => {
                let (parts, amount) = parts(&words);
                Command::SetAside { payment, no: no.parse().unwrap(), amount, parts }
            }
            ["resolve-refund", no, verdict, evidence] => {
                let (no, evidence) = (no.parse().unwrap(), evidence.into());
                Command::ResolveRefund { payment, no, given: verdict == "given", evidence }
            }
            ["return", id, amount] => Command::ReturnPoints {
                payment,
                refund: RefundId(id.parse().unwrap()),
                amount: amount.parse().unwrap(),
                reason: "unspent".into(),
            },
            ["ask-now"] => Command::AskNow { payment },
            ["inquire"] => Command::Inquire { payment, refund: None, deadline },
            ["inquire", no] => {
                Command::Inquire { payment, refund: Some(no.parse().unwrap()), deadline }
            }
            ["give", ref wish @ ..] => give(wish, deadline),
            ["capture", merchant] => {
                Command::Capture { payment, merchant: Some(merchant.into()), deadline }
            }
            ["void", merchant] => {
                Command::Void { payment, merchant: Some(merchant.into()), deadline }
            }
            ["said", asked, ref what @ ..] => {
                Command::Said { payment, ask: ask(asked), said: said(what) }
            }
            ["resolve", verdict, evidence] => {
                let captured = verdict == "captured";
                let verdict = if captured { Verdict::Captured } else { Verdict::NotCharged };
                Command::Resolve { payment, verdict, evidence: evidence.into() }
            }
            _ => panic!("not a command: {line}"),
        }
    }

    fn intend(&self, words: &[&str], deadline: Time) -> Command {
        let token = words.contains(&"token").then(|| Secret::new("tok_1"));
        Command::Intend { intent: self.intent(words), token, deadline }
    }

    fn intent(&self, words: &[&str]) -> Intent {
        let (split, amount) = parts(words);
        let currency = if words.contains(&"usd") { "USD" } else { "KRW" };
        Intent {
            payment: ID,
            order: self.order,
            purpose: number(words, "points")
                .map_or(Purpose::Sale, |user| Purpose::Points { user: UserId(user) }),
            amount,
            currency: Currency::parse(currency).unwrap(),
            split,
            capture_later: words.contains(&"later"),
        }
    }
}

/// `give 9 a=30` gives 30 of merchant a as refund 9, `give 9 a` whatever is left.
fn give(words: &[&str], deadline: Time) -> Command {
    let [id, merchant] = words else { panic!("not a gift: {words:?}") };
    let (merchant, amount) = match merchant.split_once('=') {
        None => (*merchant, None),
        Some((merchant, amount)) => (merchant, Some(amount.parse().unwrap())),
    };
    let gift = Gift {
        payment: ID,
        refund: RefundId(id.parse().unwrap()),
        merchant: merchant.into(),
        amount,
        reason: "broken".into(),
    };
    Command::GiveBack { gift, deadline }
}

fn seconds(text: &str) -> Span {
    let (number, unit) = text.split_at(text.len() - 1);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => panic!("not a time: {text}"),
    };
    Span::secs(number.parse::<i64>().unwrap() * factor)
}

/// The number of `name=…`.
fn number(words: &[&str], name: &str) -> Option<i64> {
    let value = |word: &&str| Some(word.strip_prefix(name)?.strip_prefix('=')?.parse().unwrap());
    words.iter().find_map(value)
}

/// What is no merchant's.
const NUMBERS: [&str; 3] = ["total", "deduct", "points"];

/// `a=60 b=40` by card, `a=60,5,4,3` by card, paid points, earned points and coupon; and the sum of
/// the cards unless `total=…` says otherwise.
fn parts(words: &[&str]) -> (Vec<Part>, i64) {
    let part = |(merchant, shares): (&str, &str)| {
        let mut shares = shares.split(',').map(|share| share.parse().unwrap());
        let mut next = || shares.next().unwrap_or(0);
        let [card, paid, earned, coupon] = [next(), next(), next(), next()];
        Part { merchant: Arc::from(merchant), card, paid, earned, coupon }
    };
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    let parts: Vec<Part> = pairs.filter(|(name, _)| !NUMBERS.contains(name)).map(part).collect();
    let sum = parts.iter().fold(0_i64, |sum, part| sum.wrapping_add(part.card));
    (parts, number(words, "total").unwrap_or(sum))
}

fn ask(text: &str) -> Ask {
    match text {
        "charge" => Ask::Charge,
        "authorize" => Ask::Authorize,
        "capture" => Ask::Capture,
        "void" => Ask::Void,
        "inquire" => Ask::Inquire,
        "fence" => Ask::Fence,
        other => match other.strip_prefix("refund") {
            Some(no) => Ask::Refund(no.parse().unwrap()),
            None => Ask::InquireRefund(other.strip_prefix("inquire").unwrap().parse().unwrap()),
        },
    }
}

fn said(words: &[&str]) -> Said {
    let psp_ref: Box<str> = "psp-1".into();
    match *words {
        ["captured", amount] => Said::Captured { psp_ref, amount: amount.parse().unwrap() },
        ["authorized", amount] => Said::Authorized { psp_ref, amount: amount.parse().unwrap() },
        ["voided"] => Said::Voided,
        ["refunded", amount] => Said::Refunded { amount: amount.parse().unwrap() },
        ["declined", code] => Said::Declined { code: code.into() },
        ["refused", code] => Said::Refused { code: code.into() },
        ["not_found"] => Said::NotFound,
        ["fenced"] => Said::Fenced,
        ["unknown", why] => Said::Unknown { why: why.into() },
        ["not_sent", why] => Said::NotSent { why: why.into() },
        _ => panic!("nothing that a gateway says: {words:?}"),
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::Authorized { amount, .. } => format!("+authorized:{amount}"),
        Event::CaptureRequested { amount, .. } => format!("+capture-requested:{amount}"),
        Event::Captured { about, seq, amount, split } => {
            let card = split.iter().map(|part| part.card).sum::<i64>();
            assert_eq!(if about.purpose == Purpose::Sale { card } else { *amount }, *amount);
            format!("+captured#{seq}:{amount}")
        }
        Event::Declined { code, .. } => format!("+declined:{code}"),
        Event::NotSent { why, .. } => format!("+not-sent:{why}"),
        Event::Unknown { why, .. } => format!("+unknown:{why}"),
        Event::NotFound { .. } => "+not-found".to_owned(),
        Event::Voided { .. } => "+voided".to_owned(),
        Event::RefundRequested { no, amount, .. } => format!("+refund-requested{no}:{amount}"),
        Event::Refunded { about, seq, no, amount, parts, deduct } => {
            let card = parts.iter().map(|part| part.card).sum::<i64>();
            assert_eq!(
                if about.purpose == Purpose::Sale { card } else { *amount },
                amount + deduct
            );
            format!("+refunded{no}#{seq}:{amount}")
        }
        Event::SetAside { seq, no, amount, .. } => format!("+set-aside{no}#{seq}:{amount}"),
        Event::Released { seq, no, amount, .. } => format!("+released{no}#{seq}:{amount}"),
        Event::RefundRefused { no, code, .. } => format!("+refund-refused{no}:{code}"),
        Event::RefundUnknown { no, why, .. } => format!("+refund-unknown{no}:{why}"),
    }
}

fn call(call: &Call) -> String {
    let Call { payment, ask, amount, currency: _, token } = call;
    assert_eq!(*payment, ID);
    assert_eq!(token.is_some(), matches!(ask, Ask::Charge | Ask::Authorize), "{call:?}");
    match ask {
        Ask::Charge => format!(">charge:{amount}"),
        Ask::Authorize => format!(">authorize:{amount}"),
        Ask::Capture => format!(">capture:{amount}"),
        Ask::Void => format!(">void:{amount}"),
        Ask::Refund(no) => format!(">refund{no}:{amount}"),
        Ask::Inquire => format!(">inquire:{amount}"),
        Ask::InquireRefund(no) => format!(">inquire{no}:{amount}"),
        Ask::Fence => format!(">fence:{amount}"),
    }
}
