//! What people want of the shop: buyers, merchants and operators, few of them on few SKUs, so that
//! they get in each other's way. They repeat themselves, change their mind, and change a request
//! without changing its key.

use std::hash::{DefaultHasher, Hash, Hasher};

use jangbu_domain::order::Orders;
use jangbu_domain::order::command::{Command as Order, SagaEvent, Units, Verb};
use jangbu_domain::order::model::PayMode;
use jangbu_domain::payment::command::{Command as Payment, Gift, Intent, Part, Purpose, SOON};
use jangbu_domain::{catalog, coupon, inventory, order, payment, point};
use jangbu_engine::desk;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{
    CampaignId, CouponId, Currency, Domain, Envelope, IdemKey, Lane, Money, Operator, OrderId,
    Origin, PaymentId, ProductId, RefundId, Secret, SkuId, UserId,
};

use crate::auditor::Views;
use crate::dice::Dice;

pub(crate) const KRW: Currency = Currency::KRW;

/// The command of some unit, as a person sends it.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Catalog(catalog::command::Command),
    Inventory(inventory::command::Command),
    Order(Order),
    Payment(Payment),
    Point(point::command::Command),
    Coupon(coupon::command::Command),
    Desk(desk::Command),
}

impl Body {
    /// As it goes out; operators' commands carry who and why.
    pub(crate) fn envelope(&self, origin: Origin) -> Envelope {
        let mut envelope = match self.clone() {
            Self::Catalog(body) => Envelope::new(catalog::command::UNIT, origin, body),
            Self::Inventory(body) => Envelope::new(inventory::command::UNIT, origin, body),
            Self::Order(body) => Envelope::new(order::command::UNIT, origin, body),
            Self::Payment(body) => Envelope::new(payment::UNIT, origin, body),
            Self::Point(body) => Envelope::new(point::command::UNIT, origin, body),
            Self::Coupon(body) => Envelope::new(coupon::command::UNIT, origin, body),
            Self::Desk(body) => Envelope::new(desk::UNIT, origin, body),
        };
        if matches!(self, Self::Catalog(_) | Self::Inventory(_)) {
            envelope.lane = Lane::Normal;
        }
        if origin == Origin::Client && self.is_operators() {
            let operation = "sim.operation";
            let operator = Operator {
                who: "kim".into(),
                why: "simulated".into(),
                operation: operation.into(),
            };
            envelope.operator = Some(Box::new(operator));
        }
        envelope
    }

    fn is_operators(&self) -> bool {
        match self {
            Self::Catalog(_) | Self::Inventory(_) | Self::Point(_) | Self::Desk(_) => true,
            Self::Order(command) => matches!(command, Order::Operate { .. }),
            Self::Coupon(command) => !matches!(command, coupon::command::Command::Issue { .. }),
            Self::Payment(command) => {
                matches!(command, Payment::Resolve { .. } | Payment::ResolveRefund { .. })
            }
        }
    }

    /// The same for every repetition, whatever id the edge has given it.
    fn print(&self) -> [u8; 17] {
        let mut same = self.clone();
        if let Self::Order(command @ Order::Place { .. }) = &mut same {
            Orders::adopt(command, 0);
        }
        let mut hasher = DefaultHasher::new();
        format!("{same:?}").hash(&mut hasher);
        let mut print = [1; 17];
        print[1..9].copy_from_slice(&hasher.finish().to_le_bytes());
        print
    }
}

/// A request as its sender remembers it: under this key nothing else may ever happen.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) name: String,
    body: Body,
    /// The fingerprint and the resource of what was carried out under the key.
    pub(crate) accepted: Option<([u8; 17], i64)>,
}

/// Something to be asked.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) body: Body,
    /// Which promise it repeats or makes.
    pub(crate) promise: Option<usize>,
    pub(crate) print: [u8; 17],
}

/// What people know of the shop.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) promises: Vec<Promise>,
    /// Orders that somebody was told of, and those that were only sent.
    pub(crate) orders: Vec<OrderId>,
    /// Payments without an order.
    pub(crate) charges: Vec<PaymentId>,
    /// Charges of points, with who has bought them.
    pub(crate) bought: Vec<(PaymentId, UserId)>,
    pub(crate) campaigns: Vec<CampaignId>,
    pub(crate) coupons: Vec<(CouponId, UserId)>,
    prices: Vec<i64>,
    ids: i64,
}

pub(crate) fn sku(n: usize) -> SkuId {
    SkuId(1_000 + i64::try_from(n).unwrap_or(0))
}

fn product(n: usize) -> ProductId {
    ProductId(100 + i64::try_from(n).unwrap_or(0))
}

pub(crate) fn card() -> Secret {
    Secret::new("card")
}

impl People {
    /// Products on sale, each with so many units: before anybody comes.
    pub(crate) fn stock_up(&mut self, skus: i64, units: i64) -> Vec<Body> {
        let mut bodies = Vec::new();
        for n in 0..usize::try_from(skus).unwrap_or(0) {
            let price = 1_000 * (1 + i64::try_from(n).unwrap_or(0)) + 37;
            self.prices.push(price);
            let price = Money::new(price, KRW);
            let skus = vec![catalog::command::NewSku::new(sku(n), "one", price)];
            let merchant = format!("m-{}", n % 2).into();
            let (product, name) = (product(n), format!("thing {n}").into());
            bodies.push(Body::Catalog(catalog::command::Command::Create {
                product,
                merchant,
                name,
                about: catalog::command::About::default(),
                skus,
                publish: true,
            }));
            if units > 0 {
                bodies.push(self.receive(n, units));
            }
        }
        bodies
    }

    pub(crate) fn id(&mut self) -> i64 {
        self.ids += 1;
        10_000 + self.ids
    }

    fn receive(&mut self, n: usize, quantity: i64) -> Body {
        let (movement, sku) = (MovementId(self.id()), sku(n));
        let reason = "purchase".into();
        Body::Inventory(inventory::command::Command::Receive { movement, sku, quantity, reason })
    }

    /// The next thing that somebody wants; sometimes nothing comes to mind.
    pub(crate) fn want(&mut self, dice: &mut Dice, views: &Views) -> Option<Asking> {
        match dice.below(100) {
            0..28 => Some(self.place(dice)),
            28..40 => self.repeat(dice),
            40..54 => self.confirm(dice, views),
            54..62 => self.cancel(dice),
            62..72 => self.refund(dice),
            72..76 => self.send(dice),
            76..82 => self.operate(dice),
            82..88 => Some(self.keep_stock(dice)),
            88..90 => Some(self.price(dice)),
            90..93 => Some(self.points(dice)),
            93..97 => self.coupon(dice),
            _ => Some(self.merchant(dice)),
        }
    }

    pub(crate) fn promise(&mut self, name: &str, body: Body) -> Asking {
        let (at, print) = (self.promises.len(), body.print());
        self.promises.push(Promise {
            name: format!("{name}-{at}"),
            body: body.clone(),
            accepted: None,
        });
        Asking { body, promise: Some(at), print }
    }

    fn place(&mut self, dice: &mut Dice) -> Asking {
        let line = |dice: &mut Dice, prices: &[i64]| {
            let n = dice.below(prices.len());
            (Units { sku: sku(n), quantity: dice.between(1, 2) }, prices[n])
        };
        let lines: Vec<_> = (0..dice.between(1, 2)).map(|_| line(dice, &self.prices)).collect();
        let total = lines.iter().map(|(units, price)| units.quantity * price).sum::<i64>();
        let mode = if dice.chance(600) { PayMode::Server } else { PayMode::Client };
        let id = OrderId(self.id());
        self.orders.push(id);
        let coupon = if dice.chance(350) { dice.pick(&self.coupons).copied() } else { None };
        // Mostly one's own.
        let own = coupon.filter(|_| dice.chance(950)).map(|(_, user)| user);
        let user = own.unwrap_or_else(|| UserId(dice.between(1, 3)));
        let points = if dice.chance(350) { dice.between(1, 2_500) } else { 0 };
        let pay = dice.chance(50).then(|| total - points);
        let place = Order::Place {
            order: id,
            user,
            lines: lines.into_iter().map(|(units, _)| units).collect(),
            expected: Money::new(total, KRW),
            mode,
            token: (mode == PayMode::Server).then(card),
            coupon: coupon.map(|(coupon, _)| coupon),
            points,
            pay,
        };
        self.promise("place", Body::Order(place))
    }

    /// A request once more: with a new id from the edge, and sometimes not quite the same.
    fn repeat(&mut self, dice: &mut Dice) -> Option<Asking> {
        let at = dice.below(self.promises.len());
        let mut body = self.promises.get(at)?.body.clone();
        let id = self.id();
        if let Body::Order(command @ Order::Place { .. }) = &mut body {
            Orders::adopt(command, id);
        }
        if dice.chance(200) {
            change(&mut body);
        }
        let print = body.print();
        Some(Asking { body, promise: Some(at), print })
    }

    fn order(&self, dice: &mut Dice) -> Option<OrderId> {
        dice.pick(&self.orders).copied()
    }

    fn confirm(&mut self, dice: &mut Dice, views: &Views) -> Option<Asking> {
        let order = self.order(dice)?;
        if dice.chance(150) {
            return Some(loose(Body::Order(Order::Hear { order, event: SagaEvent::PaidHint })));
        }
        let due = views.due(order.0).unwrap_or(0);
        let amount = Money::new(due + i64::from(dice.chance(50)), KRW);
        Some(self.promise("confirm", Body::Order(Order::Confirm { order, amount, token: card() })))
    }

    fn cancel(&mut self, dice: &mut Dice) -> Option<Asking> {
        let (order, reason) = (self.order(dice)?, "changed my mind".into());
        Some(self.promise("cancel", Body::Order(Order::Cancel { order, reason })))
    }

    fn refund(&mut self, dice: &mut Dice) -> Option<Asking> {
        let (order, reason) = (self.order(dice)?, "broken".into());
        let unit = |dice: &mut Dice| Units { sku: sku(dice.below(3)), quantity: 1 };
        let units = dice.chance(700).then(|| vec![unit(dice)]);
        let (restock, returned) = (dice.chance(500), dice.chance(200));
        let refund = Order::Refund { order, units, restock, reason, returned };
        Some(self.promise("refund", Body::Order(refund)))
    }

    /// A merchant sends something, or hears that it has arrived.
    fn send(&mut self, dice: &mut Dice) -> Option<Asking> {
        let order = self.order(dice)?;
        if dice.chance(300) {
            let no = u32::try_from(dice.between(1, 2)).unwrap_or(1);
            return Some(loose(Body::Order(Order::Deliver { order, no })));
        }
        let unit = |dice: &mut Dice| Units { sku: sku(dice.below(3)), quantity: 1 };
        let units = dice.chance(500).then(|| vec![unit(dice)]);
        let (carrier, tracking) = ("cj".into(), "1".into());
        Some(self.promise("ship", Body::Order(Order::Ship { order, units, carrier, tracking })))
    }

    fn operate(&mut self, dice: &mut Dice) -> Option<Asking> {
        let order = self.order(dice)?;
        let verb = Verb::ALL[dice.below(Verb::ALL.len())];
        Some(loose(operation(order, verb)))
    }

    fn keep_stock(&mut self, dice: &mut Dice) -> Asking {
        let n = dice.below(self.prices.len());
        if dice.chance(600) {
            let quantity = dice.between(1, 4);
            let body = self.receive(n, quantity);
            return self.promise("receive", body);
        }
        let (movement, sku, reason) = (MovementId(self.id()), sku(n), "count".into());
        let delta = dice.between(-3, 3);
        let adjust = inventory::command::Command::Adjust { movement, sku, delta, reason };
        self.promise("adjust", Body::Inventory(adjust))
    }

    fn price(&mut self, dice: &mut Dice) -> Asking {
        let n = dice.below(self.prices.len());
        self.prices[n] += dice.between(-20, 20);
        let price = Money::new(self.prices[n], KRW);
        loose(Body::Catalog(catalog::command::Command::SetPrice { sku: sku(n), price }))
    }

    /// Payments without an order: charged, taken later, let go, given back in parts.
    fn merchant(&mut self, dice: &mut Dice) -> Asking {
        let merchant = "m-1".into();
        let charge = dice.pick(&self.charges).copied();
        let (Some(payment), false) = (charge, dice.chance(400)) else {
            return self.charge(dice);
        };
        let body = match dice.below(3) {
            0 => Payment::Capture { payment, merchant: Some(merchant), deadline: SOON },
            1 => Payment::Void { payment, merchant: Some(merchant), deadline: SOON },
            _ => {
                let amount = dice.chance(700).then(|| dice.between(1, 900));
                let (refund, reason) = (RefundId(self.id()), "goodwill".into());
                let gift = Gift { payment, refund, merchant, amount, reason };
                Payment::GiveBack { gift, deadline: SOON }
            }
        };
        self.promise("merchant", Body::Payment(body))
    }

    fn charge(&mut self, dice: &mut Dice) -> Asking {
        let payment = PaymentId(self.id());
        self.charges.push(payment);
        let amount = dice.between(1, 2_000);
        let intent = Intent {
            payment,
            order: None,
            amount,
            currency: KRW,
            purpose: Purpose::Sale,
            split: vec![Part::card("m-1".into(), amount)],
            capture_later: dice.chance(500),
        };
        let intend = Payment::Intend { intent, token: Some(card()), deadline: SOON };
        self.promise("charge", Body::Payment(intend))
    }

    /// What goes along with a request that has a promise.
    pub(crate) fn key(&self, asking: &Asking) -> Option<Box<IdemKey>> {
        let promise = self.promises.get(asking.promise?)?;
        let (scope, key) = ("client:sim".into(), promise.name.as_str().into());
        Some(Box::new(IdemKey { scope, key, body: asking.print }))
    }
}

/// A request without a key.
pub(crate) fn loose(body: Body) -> Asking {
    Asking { body, promise: None, print: [0; 17] }
}

/// What an operator asks of a saga.
pub(crate) fn operation(order: OrderId, verb: Verb) -> Body {
    Body::Order(Order::Operate { order, verb, reason: "simulated".into() })
}

/// Another request under the same key.
fn change(body: &mut Body) {
    match body {
        Body::Order(Order::Place { user, .. })
        | Body::Coupon(coupon::command::Command::Issue { user, .. }) => user.0 += 10,
        Body::Order(Order::Cancel { reason, .. } | Order::Refund { reason, .. }) => {
            *reason = "something else".into();
        }
        Body::Order(Order::Confirm { amount, .. }) => amount.amount += 1,
        Body::Inventory(inventory::command::Command::Receive { quantity, .. }) => *quantity += 1,
        Body::Inventory(inventory::command::Command::Adjust { delta, .. }) => *delta += 1,
        Body::Payment(Payment::Intend { intent, .. }) => {
            intent.capture_later = !intent.capture_later;
        }
        Body::Point(point::command::Command::Grant { amount, .. }) => *amount += 1,
        Body::Payment(Payment::GiveBack { gift, .. }) => gift.reason = "something else".into(),
        Body::Payment(Payment::Capture { merchant, .. } | Payment::Void { merchant, .. }) => {
            *merchant = Some("m-2".into());
        }
        Body::Catalog(_)
        | Body::Inventory(_)
        | Body::Order(_)
        | Body::Payment(_)
        | Body::Point(_)
        | Body::Coupon(_)
        | Body::Desk(_) => {}
    }
}
