//! What payment asks becomes a request of the gateway, and its answer a command, number for number;
//! a webhook is such an answer that comes by itself.

use std::sync::Arc;

use jangbu_domain::order::model::Outcome;
use jangbu_domain::payment;
use jangbu_domain::payment::command::{Ask, Call, Command, REVERSAL, Said};
use jangbu_engine::executor::Caller;
use jangbu_kernel::time::Span;
use jangbu_kernel::{Currency, Envelope, Job, PaymentId, Secret, Time};
use jangbu_psp::{Done, Gateway, Op, Request, Webhook, gateway};
use jangbu_services::gateway::{PaymentCaller, webhook};
use parking_lot::Mutex;

use crate::rig::{Bench, same_rows};
use crate::stage::{PRICE, place};

/// A gateway that writes down what it is asked and always says the same.
struct Parrot {
    says: gateway::Said,
    heard: Mutex<Vec<Request>>,
}

impl Gateway for Parrot {
    fn name(&self) -> &'static str {
        "parrot"
    }

    fn submit(&self, request: Request, done: Done) {
        self.heard.lock().push(request);
        done(self.says.clone());
    }
}

fn job(ask: Ask) -> Job {
    let (payment, currency, token) = (PaymentId(7), Currency::KRW, Some(Secret::new("tok")));
    let call = Call { payment, ask, amount: 500, currency, token };
    let (to, deadline, body) = (payment::UNIT, Time(0), Box::new(call));
    Job { to, deadline, correlation: None, trace: None, body }
}

/// What the gateway is asked, what payment is told of the answer, whether the gateway is well.
fn call(ask: Ask, says: gateway::Said) -> (Request, Command, bool) {
    let parrot = Arc::new(Parrot { says, heard: Mutex::default() });
    let caller = PaymentCaller::new(Arc::clone(&parrot) as Arc<dyn Gateway>);
    let (told, heard) = std::sync::mpsc::channel();
    caller.start(&job(ask), Box::new(move |heard| told.send(heard).unwrap()));
    let heard = heard.recv().unwrap();
    let request = parrot.heard.lock().pop().unwrap();
    (request, heard.answer.expect_ref::<Command>().clone(), heard.healthy)
}

fn said(ask: Ask, said: Said) -> Command {
    Command::Said { payment: PaymentId(7), ask, said }
}

/// A refund that reverses the payment has a number at the gateway that no refund of units has.
const ASKS: [(Ask, Op, u32); 10] = [
    (Ask::Charge, Op::Charge, 0),
    (Ask::Authorize, Op::Authorize, 0),
    (Ask::Capture, Op::Capture, 0),
    (Ask::Void, Op::Void, 0),
    (Ask::Refund(0), Op::Refund, REVERSAL),
    (Ask::Refund(3), Op::Refund, 3),
    (Ask::Inquire, Op::Inquire, 0),
    (Ask::InquireRefund(0), Op::Inquire, REVERSAL),
    (Ask::InquireRefund(3), Op::Inquire, 3),
    (Ask::Fence, Op::Fence, 0),
];

#[test]
fn every_question_has_its_request_and_its_webhook() {
    for (ask, op, no) in ASKS {
        let (request, answer, _) = call(ask, gateway::Said::NotFound);
        let currency = gateway::Currency(*b"KRW");
        let wanted = Request { payment: 7, op, no, amount: 500, currency, token: "tok".into() };
        assert_eq!(request, wanted);
        assert_eq!(answer, said(ask, Said::NotFound));
        let news = webhook(Webhook { payment: 7, op, no, said: gateway::Said::NotFound });
        assert_eq!((news.to, news.body.expect_ref::<Command>()), (payment::UNIT, &answer));
    }
}

#[test]
fn every_answer_is_told_as_it_was_given_and_only_faults_are_unhealthy() {
    use gateway::Said as S;
    let psp_ref = || Box::<str>::from("ref-1");
    for (says, told, healthy) in [
        (
            S::Captured { psp_ref: psp_ref(), amount: 5 },
            Said::Captured { psp_ref: psp_ref(), amount: 5 },
            true,
        ),
        (
            S::Authorized { psp_ref: psp_ref(), amount: 6 },
            Said::Authorized { psp_ref: psp_ref(), amount: 6 },
            true,
        ),
        (S::Voided, Said::Voided, true),
        (S::Refunded { amount: 7 }, Said::Refunded { amount: 7 }, true),
        (S::Declined { code: "limit".into() }, Said::Declined { code: "limit".into() }, true),
        (S::Refused { code: "late".into() }, Said::Refused { code: "late".into() }, true),
        (S::NotFound, Said::NotFound, true),
        (S::Fenced, Said::Fenced, true),
        (S::Unknown { why: "reset".into() }, Said::Unknown { why: "reset".into() }, false),
        (S::NotSent { why: "down".into() }, Said::NotSent { why: "down".into() }, false),
    ] {
        let (_, answer, well) = call(Ask::Charge, says);
        assert_eq!((answer, well), (said(Ask::Charge, told), healthy));
    }
}

#[test]
fn silence_is_unknown_and_what_was_held_back_was_not_sent() {
    let parrot = Parrot { says: gateway::Said::Voided, heard: Mutex::default() };
    let caller = PaymentCaller::new(Arc::new(parrot));
    assert_eq!(caller.name(), "parrot");
    for (ask, _, _) in ASKS {
        let silence = caller.timed_out(&job(ask));
        let unknown = Said::Unknown { why: "timeout".into() };
        assert_eq!(silence.expect_ref::<Command>(), &said(ask, unknown));
        let held = caller.not_sent(&job(ask), "breaker");
        let not_sent = Said::NotSent { why: "breaker".into() };
        assert_eq!(held.expect_ref::<Command>(), &said(ask, not_sent));
        let question = matches!(ask, Ask::Inquire | Ask::InquireRefund(_) | Ask::Fence);
        assert_eq!(caller.guarded(&job(ask)), !question, "{ask:?}");
    }
}

#[test]
fn a_webhook_settles_a_charge_whose_answer_was_lost_once() {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(1, &[(0, 1)], "ok")).is_done());
    bench.rig.record().jobs.clear();
    bench.rig.advance(Span::secs(60));
    bench.settle();
    let outcome = |bench: &Bench| bench.order(1).unwrap().outcome;
    assert_eq!(outcome(&bench), None, "nobody knows");
    let news = || -> Envelope {
        let said = gateway::Said::Captured { psp_ref: "late".into(), amount: PRICE };
        webhook(Webhook { payment: 1, op: Op::Charge, no: 0, said })
    };
    bench.rig.tell(news());
    bench.settle();
    assert_eq!(outcome(&bench), Some(Outcome::Sold));
    bench.rig.record().jobs.clear();
    let before = bench.memory.dump();
    bench.rig.tell(news());
    bench.settle();
    same_rows(&before, &bench.memory.dump());
}
