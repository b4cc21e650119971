//! The way to the gateway and back: as the executor of the real shop has it (a deadline for each
//! call, every answer brought back, late ones too), with everything that can happen on the way.

use std::collections::BTreeMap;

use jangbu_domain::payment;
use jangbu_domain::payment::command::{Ask, Call as Request, Command, Said};
use jangbu_kernel::{Envelope, Job, Origin};

use crate::world::{Happening, World};

/// A request on its way to the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    number: u64,
    life: u64,
    request: Request,
    deadline: i64,
}

/// An answer on its way back.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    /// The call that it answers; none: news that the gateway sends by itself.
    call: Option<u64>,
    life: u64,
    request: Request,
    said: Said,
}

/// Calls under way.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    numbers: u64,
    /// How often the process that calls has been started.
    pub(crate) life: u64,
    open: BTreeMap<u64, Request>,
}

impl Calls {
    /// The process is gone, and nobody listens to the answers of its calls.
    pub(crate) fn die(&mut self) {
        self.life += 1;
        self.open.clear();
    }
}

/// Calls that move money may be held back here; questions about open outcomes never are.
fn guarded(ask: Ask) -> bool {
    !matches!(ask, Ask::Inquire | Ask::InquireRefund(_) | Ask::Fence)
}

impl World {
    pub(crate) fn start_call(&mut self, job: &Job) {
        let request = job.body.expect_ref::<Request>().clone();
        let (deadline, risks) = (job.deadline.0, self.plan.gateway.clone());
        self.say(format_args!("call {:?} {:?} {}", request.payment, request.ask, request.amount));
        let late = deadline < self.now;
        if late || guarded(request.ask) && self.dice.chance(risks.not_sent) {
            self.tally.add("gateway: never sent");
            let said = Said::NotSent { why: "breaker open".into() };
            return self.hear_of(&request, said);
        }
        self.calls.numbers += 1;
        let (number, life) = (self.calls.numbers, self.calls.life);
        self.calls.open.insert(number, request.clone());
        self.after((deadline - self.now).max(1), Happening::TimeUp(number));
        if self.dice.chance(risks.lose_request) {
            return self.tally.add("gateway: request lost");
        }
        let slow = self.dice.chance(risks.delay_request);
        let pause = if slow {
            self.dice.between(1_000, 90_000_000)
        } else {
            self.dice.between(200, 200_000)
        };
        if self.now + pause > deadline {
            self.tally.add("gateway: request arrives after its time");
        }
        self.after(pause, Happening::Call(Call { number, life, request, deadline }));
    }

    pub(crate) fn arrive_at_gateway(&mut self, call: &Call) {
        let Call { number, life, request, deadline } = call.clone();
        let risks = self.plan.gateway.clone();
        let said = self.gateway.hear(&request, self.now, (&mut self.dice, &risks));
        self.say(format_args!("gateway {:?} {:?}: {said:?}", request.payment, request.ask));
        self.tally.add(&format!("gateway: {}", kind(&said)));
        let voice = Voice { call: Some(number), life, request, said };
        if self.dice.chance(risks.twice) {
            self.tally.add("gateway: said twice");
            let pause = self.dice.between(1_000, 60_000_000);
            self.after(pause, Happening::Voice(Voice { call: None, ..voice.clone() }));
        }
        if self.now > deadline {
            // Nobody waits any more: what came of it is news, which a gateway repeats until it is
            // heard. (Without that, only the reconciliation of books would find it.)
            let pause = self.dice.between(100, 60_000_000);
            return self.after(pause, Happening::Voice(Voice { call: None, ..voice }));
        }
        if self.dice.chance(risks.lose_answer) {
            return self.tally.add("gateway: answer lost");
        }
        let late = self.dice.chance(risks.late);
        let pause = self.dice.between(100, 50_000);
        let extra =
            if late { (deadline - self.now).max(0) + self.dice.between(0, 120_000_000) } else { 0 };
        self.after(pause + extra, Happening::Voice(voice));
    }

    pub(crate) fn hear_voice(&mut self, voice: Voice) {
        let Voice { call, life, request, said } = voice;
        if let Some(number) = call {
            if life != self.calls.life {
                return self.tally.add("gateway: answer to a dead process");
            }
            if self.calls.open.remove(&number).is_none() {
                self.tally.add("gateway: late answer");
            }
        }
        self.hear_of(&request, said);
    }

    pub(crate) fn time_up(&mut self, number: u64) {
        if let Some(request) = self.calls.open.remove(&number) {
            self.tally.add("gateway: no answer in time");
            self.hear_of(&request, Said::Unknown { why: "timeout".into() });
        }
    }

    fn hear_of(&mut self, request: &Request, said: Said) {
        self.say(format_args!("heard of {:?} {:?}: {said:?}", request.payment, request.ask));
        let said = Command::Said { payment: request.payment, ask: request.ask, said };
        self.tell(Envelope::new(payment::UNIT, Origin::Event, said));
    }
}

fn kind(said: &Said) -> &'static str {
    match said {
        Said::Captured { .. } => "captured",
        Said::Authorized { .. } => "authorized",
        Said::Voided => "voided",
        Said::Refunded { .. } => "refunded",
        Said::Declined { .. } => "declined",
        Said::Refused { .. } => "refused",
        Said::NotFound => "not found",
        Said::Fenced => "fenced",
        Said::Unknown { .. } | Said::NotSent { .. } => "silent",
    }
}
