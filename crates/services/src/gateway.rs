//! Payment's way to a gateway: calls become requests, answers become commands.

use std::sync::Arc;

use jangbu_domain::payment::command::{Ask, Call, Command, REVERSAL, Said, UNIT};
use jangbu_engine::executor::{Caller, Done, Heard};
use jangbu_kernel::{Envelope, Job, Origin, Payload, PaymentId};
use jangbu_psp::{Gateway, Op, Request, Webhook, gateway};

/// Calls one gateway on behalf of payment.
pub struct PaymentCaller {
    gateway: Arc<dyn Gateway>,
}

impl std::fmt::Debug for PaymentCaller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PaymentCaller").field(&self.gateway.name()).finish()
    }
}

impl PaymentCaller {
    /// Calls `gateway`.
    pub fn new(gateway: Arc<dyn Gateway>) -> Self {
        Self { gateway }
    }
}

fn call(job: &Job) -> &Call {
    job.body.expect_ref()
}

impl Caller for PaymentCaller {
    fn name(&self) -> &str {
        self.gateway.name()
    }

    fn guarded(&self, job: &Job) -> bool {
        // Questions about open outcomes always go through: they are how a sick gateway is noticed
        // to be well again, and no money moves.
        !matches!(call(job).ask, Ask::Inquire | Ask::InquireRefund(_) | Ask::Fence)
    }

    fn asks(&self, job: &Job) -> &'static str {
        match call(job).ask {
            Ask::Charge => "charge",
            Ask::Authorize => "authorize",
            Ask::Capture => "capture",
            Ask::Void => "void",
            Ask::Refund(_) => "refund",
            Ask::Inquire | Ask::InquireRefund(_) => "inquire",
            Ask::Fence => "fence",
        }
    }

    fn start(&self, job: &Job, done: Done) {
        let call = call(job);
        let (payment, ask) = (call.payment, call.ask);
        let answer = Box::new(move |said: gateway::Said| {
            let healthy = !said.is_fault();
            let answer = Box::new(Command::Said { payment, ask, said: heard(said) });
            done(Heard { answer, healthy });
        });
        match job.trace.filter(|trace| trace.is_sampled()) {
            Some(trace) => self.gateway.submit_traced(request(call), trace.to_string(), answer),
            None => self.gateway.submit(request(call), answer),
        }
    }

    fn timed_out(&self, job: &Job) -> Box<dyn Payload> {
        said(call(job), Said::Unknown { why: "timeout".into() })
    }

    fn not_sent(&self, job: &Job, why: &'static str) -> Box<dyn Payload> {
        said(call(job), Said::NotSent { why: why.into() })
    }
}

fn said(call: &Call, said: Said) -> Box<dyn Payload> {
    Box::new(Command::Said { payment: call.payment, ask: call.ask, said })
}

fn request(call: &Call) -> Request {
    let (op, no) = match call.ask {
        Ask::Charge => (Op::Charge, 0),
        Ask::Authorize => (Op::Authorize, 0),
        Ask::Capture => (Op::Capture, 0),
        Ask::Void => (Op::Void, 0),
        Ask::Refund(no) => (Op::Refund, number(no)),
        Ask::Inquire => (Op::Inquire, 0),
        Ask::InquireRefund(no) => (Op::Inquire, number(no)),
        Ask::Fence => (Op::Fence, 0),
    };
    let token = call.token.as_ref().map_or("", |token| token.reveal()).into();
    let currency = gateway::Currency(call.currency.bytes());
    Request { payment: call.payment.0, op, no, amount: call.amount, currency, token }
}

fn number(no: u32) -> u32 {
    if no == 0 { REVERSAL } else { no }
}

fn heard(said: gateway::Said) -> Said {
    use gateway::Said as S;
    match said {
        S::Captured { psp_ref, amount } => Said::Captured { psp_ref, amount },
        S::Authorized { psp_ref, amount } => Said::Authorized { psp_ref, amount },
        S::Voided => Said::Voided,
        S::Refunded { amount } => Said::Refunded { amount },
        S::Declined { code } => Said::Declined { code: (*code).into() },
        S::Refused { code } => Said::Refused { code: (*code).into() },
        S::NotFound => Said::NotFound,
        S::Fenced => Said::Fenced,
        S::Unknown { why } => Said::Unknown { why: (*why).into() },
        S::NotSent { why } => Said::NotSent { why: (*why).into() },
    }
}

/// The command that a webhook stands for: what it says is taken as the late answer to what was
/// asked, which payment knows how to hear twice.
pub fn webhook(news: Webhook) -> Envelope {
    let refund = if news.no == REVERSAL { 0 } else { news.no };
    let ask = match news.op {
        Op::Charge => Ask::Charge,
        Op::Authorize => Ask::Authorize,
        Op::Capture => Ask::Capture,
        Op::Void => Ask::Void,
        Op::Refund => Ask::Refund(refund),
        Op::Inquire if news.no > 0 => Ask::InquireRefund(refund),
        Op::Inquire => Ask::Inquire,
        Op::Fence => Ask::Fence,
    };
    let payment = PaymentId(news.payment);
    let said = Command::Said { payment, ask, said: heard(news.said) };
    Envelope::new(UNIT, Origin::Event, said)
}
