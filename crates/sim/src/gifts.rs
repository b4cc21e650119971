//! What makes an order cheaper: coupons of small campaigns, and points that are bought or given.

use jangbu_domain::coupon::command::Command as Coupon;
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid};
use jangbu_domain::payment::command::{Command as Payment, Intent, Purpose, SOON};
use jangbu_domain::point;
use jangbu_kernel::time::Span;
use jangbu_kernel::{CampaignId, CouponId, GrantId, Mint, PaymentId, RefundId, Time, UserId};

use crate::dice::Dice;
use crate::people::{Asking, Body, KRW, People, card};

impl People {
    /// Campaigns with few coupons, of which some are given out, and points: before anybody comes.
    pub(crate) fn gifts(&mut self, dice: &mut Dice, now: i64) -> Vec<Body> {
        let mut bodies: Vec<_> =
            (0..dice.between(1, 2)).map(|_| self.campaign(dice, now)).collect();
        for _ in 0..dice.between(0, 4) {
            bodies.push(self.issue(dice));
        }
        for _ in 0..dice.between(0, 3) {
            bodies.push(self.grant(dice));
        }
        bodies
    }

    fn issue(&mut self, dice: &mut Dice) -> Body {
        let campaign = self.campaigns[dice.below(self.campaigns.len())];
        let (coupon, user) = (CouponId(self.id()), UserId(dice.between(1, 3)));
        self.coupons.push((coupon, user));
        Body::Coupon(Coupon::Issue { campaign, coupon, user })
    }

    fn grant(&mut self, dice: &mut Dice) -> Body {
        let (grant, amount) = (GrantId(self.id()), dice.between(1, 3_000));
        let (user, expires_at, reason) = (UserId(dice.between(1, 3)), None, "welcome".into());
        let currency = KRW;
        Body::Point(point::command::Command::Grant {
            grant,
            user,
            amount,
            currency,
            expires_at,
            reason,
        })
    }

    fn campaign(&mut self, dice: &mut Dice, now: i64) -> Body {
        let campaign = CampaignId(self.id());
        self.campaigns.push(campaign);
        let (fixed, amount) = (dice.chance(500), dice.between(1, 3_000));
        let kind = if fixed {
            Kind::Fixed { amount }
        } else {
            let cap = dice.chance(500).then_some(700);
            Kind::Percent { bp: dice.between(1, 10_000), cap }
        };
        let total = dice.between(1, 6);
        let merchants = dice.chance(300);
        let spans = [Span::secs(30), Span::mins(20), Span::mins(60 * 24 * 30)];
        let terms = Terms {
            name: "welcome".into(),
            kind,
            currency: KRW,
            minimum: if dice.chance(300) { 2_500 } else { 0 },
            starts: Time(now - 1),
            ends: Time(now) + spans[1 + dice.below(2)],
            valid: Valid::For(spans[dice.below(3)]),
            per_user: dice.between(1, 2).min(total),
            total,
            funding: if merchants { Funding::Merchant } else { Funding::Platform },
            scope: (merchants || dice.chance(200)).then(|| "m-1".into()),
        };
        Body::Coupon(Coupon::CreateCampaign { campaign, terms })
    }

    /// Somebody wants a coupon, or an operator does something about them.
    pub(crate) fn coupon(&mut self, dice: &mut Dice) -> Option<Asking> {
        let campaign = *dice.pick(&self.campaigns)?;
        match dice.below(20) {
            0 => Some(self.promise("end", Body::Coupon(Coupon::EndCampaign { campaign }))),
            1 | 2 => {
                let (coupon, _) = *dice.pick(&self.coupons)?;
                let revoke = Coupon::Revoke { coupon, reason: "simulated".into() };
                Some(self.promise("revoke", Body::Coupon(revoke)))
            }
            3 => {
                let ids = Mint::block(self.id()).take(1 + dice.below(3)).map(CouponId);
                let coupons: Vec<_> = ids.map(|id| (id, UserId(dice.between(1, 3)))).collect();
                self.coupons.extend(&coupons);
                let grant = Coupon::Grant { campaign, coupons };
                Some(self.promise("coupons", Body::Coupon(grant)))
            }
            _ => {
                let issue = self.issue(dice);
                Some(self.promise("coupon", issue))
            }
        }
    }

    /// Points that are bought and perhaps regretted, or given by an operator.
    pub(crate) fn points(&mut self, dice: &mut Dice) -> Asking {
        let user = UserId(dice.between(1, 3));
        if dice.chance(400) {
            let payment = PaymentId(self.id());
            self.charges.push(payment);
            self.bought.push((payment, user));
            let intent = Intent {
                payment,
                order: None,
                purpose: Purpose::Points { user },
                amount: dice.between(1, 5_000),
                currency: KRW,
                split: Vec::new(),
                capture_later: false,
            };
            let intend = Payment::Intend { intent, token: Some(card()), deadline: SOON };
            return self.promise("points", Body::Payment(intend));
        }
        if dice.chance(800)
            && let Some((payment, user)) = dice.pick(&self.bought).copied()
        {
            let amount = dice.chance(700).then(|| dice.between(1, 2_000));
            let (refund, reason) = (RefundId(self.id()), "regretted".into());
            let refund = point::command::Command::Refund { refund, payment, user, amount, reason };
            return self.promise("regret", Body::Point(refund));
        }
        let grant = self.grant(dice);
        self.promise("grant", grant)
    }
}
