//! Chance, without a generator: every draw is a hash of (seed, payment, op, number, purpose), so an
//! outcome depends on nothing that happened before it, nor on the order in which requests arrive.

use super::{
    book::Verdict,
    code::Code,
    config::{Latency, Rates, SimConfig},
};
use crate::gateway::{Op, Request};

/// How a request and its answer travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journey {
    /// There and back.
    Prompt,
    /// There, and the answer is never given.
    Silent,
    /// There, and the answer comes when nobody waits any more.
    Late,
    /// Never there.
    Lost,
    /// There when nobody waits any more.
    Delayed,
}

/// All that chance decides about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) verdict: Verdict,
    pub(super) journey: Journey,
    /// From the request to its answer.
    pub(super) latency_us: u64,
    /// From the answer to its repetition.
    pub(super) duplicate_us: Option<u64>,
    /// Whether a token wants the journey, so that the rates do not count and repeating does not help.
    pub(super) forced: bool,
}

/// One question to chance each: draws for different purposes are independent.
#[derive(Clone, Copy)]
enum Purpose {
    Latency = 1,
    Tail = 2,
    Decline = 3,
    WhichDecline = 4,
    RefuseRefund = 5,
    Journey = 6,
    Duplicate = 7,
    DuplicateAfter = 8,
}

/// The finalizer of a 64-bit mixing generator: each input bit changes half of the output bits.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Draws(u64);

impl Draws {
    fn of(seed: u64, request: &Request) -> Self {
        let key = (u64::from(request.no) << 8) | u64::from(request.op as u8);
        Self(mix(mix(mix(seed) ^ request.payment.cast_unsigned()) ^ key))
    }

    fn draw(&self, purpose: Purpose) -> u32 {
        (mix(self.0 ^ ((purpose as u64) << 56)) >> 32) as u32
    }

    /// Uniform in 0 ≤ x < 1.
    fn share(&self, purpose: Purpose) -> f64 {
        f64::from(self.draw(purpose)) / 4_294_967_296.0
    }

    /// Uniform between the two bounds.
    fn between(&self, purpose: Purpose, low: u64, high: u64) -> u64 {
        low + ((u64::from(self.draw(purpose)) * (high - low)) >> 32)
    }
}

impl Fate {
    pub(super) fn of(config: &SimConfig, request: &Request) -> Self {
        let draws = Draws::of(config.seed, request);
        let rates = &config.rates;
        let mut fate = Self {
            verdict: verdict(&draws, rates, request.op),
            journey: Journey::Prompt,
            latency_us: latency(&draws, &config.latency),
            duplicate_us: None,
            forced: false,
        };
        if request.op.moves_money() {
            fate.journey = journey(draws.share(Purpose::Journey), rates);
            let after = draws.between(Purpose::DuplicateAfter, 0, 20_000);
            fate.duplicate_us =
                (draws.share(Purpose::Duplicate) < rates.duplicate).then_some(after);
            fate.obey_token(request, config);
        }
        fate
    }

    /// Tokens that want a certain outcome: of the opening request, or of the refunds.
    fn obey_token(&mut self, request: &Request, config: &SimConfig) {
        let Some(wish) = request.token.strip_prefix("tok_") else { return };
        let opening = matches!(request.op, Op::Charge | Op::Authorize);
        let refund = request.op == Op::Refund;
        match wish {
            "refund_refused" if opening => self.force(Journey::Prompt).bar_refunds = true,
            "refund_refused" if refund => self.force(Journey::Prompt).refuse_refund = true,
            "refund_timeout" if refund => _ = self.force(Journey::Silent),
            "refund_lost" if refund => _ = self.force(Journey::Lost),
            _ if !opening => {}
            "declined" => self.force(Journey::Prompt).decline = Some(Code::CardDeclined),
            "authorized_only" => self.force(Journey::Prompt).only_authorize = true,
            "timeout_captured" => _ = self.force(Journey::Silent),
            "timeout_authorized" => self.force(Journey::Silent).only_authorize = true,
            "timeout_declined" => {
                self.force(Journey::Silent).decline = Some(Code::CardDeclined);
            }
            "timeout_lost" => _ = self.force(Journey::Lost),
            "late" => _ = self.force(Journey::Late),
            "delayed" => _ = self.force(Journey::Delayed),
            "slow" => {
                self.force(Journey::Prompt);
                self.latency_us = u64::from(config.slow_ms) * 1000;
            }
            "duplicate" => {
                self.force(Journey::Prompt);
                self.duplicate_us = Some(1000);
            }
            _ => {}
        }
    }

    fn force(&mut self, journey: Journey) -> &mut Verdict {
        (self.journey, self.forced, self.verdict) = (journey, true, Verdict::default());
        &mut self.verdict
    }
}

fn verdict(draws: &Draws, rates: &Rates, op: Op) -> Verdict {
    let opening = matches!(op, Op::Charge | Op::Authorize);
    let declines = opening && draws.share(Purpose::Decline) < rates.decline;
    let code = || match draws.draw(Purpose::WhichDecline) >> 30 {
        0 => Code::CardDeclined,
        1 => Code::ExpiredCard,
        2 => Code::LimitExceeded,
        _ => Code::InsufficientFunds,
    };
    Verdict {
        decline: declines.then(code),
        refuse_refund: op == Op::Refund
            && draws.share(Purpose::RefuseRefund) < rates.refund_refused,
        ..Verdict::default()
    }
}

fn journey(share: f64, rates: &Rates) -> Journey {
    let Rates { silent, late, lost, delayed, .. } = *rates;
    if share < silent {
        Journey::Silent
    } else if share < silent + late {
        Journey::Late
    } else if share < silent + late + lost {
        Journey::Lost
    } else if share < silent + late + lost + delayed {
        Journey::Delayed
    } else {
        Journey::Prompt
    }
}

fn latency(draws: &Draws, latency: &Latency) -> u64 {
    let (low, high) = (u64::from(latency.min_ms) * 1000, u64::from(latency.max_ms) * 1000);
    let usual = draws.between(Purpose::Latency, low, high);
    let in_tail = draws.share(Purpose::Tail) < latency.tail_rate;
    usual + if in_tail { u64::from(latency.tail_ms) * 1000 } else { 0 }
}
