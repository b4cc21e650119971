//! The list of everything that a cell can have. A new domain is one line in [`units`], one in
//! [`TABLES`], and its module.

use jangbu_domain::{catalog, coupon, inventory, ledger, merchant, order, payment, point, user};
use jangbu_engine::books;
use jangbu_engine::desk;
use jangbu_engine::port::Table;
use jangbu_engine::unit::Unit;
use jangbu_kernel::UnitId;
use jangbu_store::Migration;

use crate::adapter::DomainUnit;

/// Deadlines, patience and names that a deployment may change.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Of the order saga.
    pub order: order::saga::Rules,
    /// Of payments.
    pub payment: payment::Rules,
    /// Of points.
    pub point: point::rules::Rules,
}

impl Rules {
    /// The usual patience with gateway `psp`.
    pub fn new(psp: &str) -> Self {
        Self {
            order: order::saga::Rules::default(),
            payment: payment::Rules::new(psp),
            point: point::rules::Rules::default(),
        }
    }

    /// Every deadline and pause multiplied by `percent`: drills and tests cannot wait a minute
    /// for a time-out.
    #[must_use]
    pub fn scaled(mut self, percent: u32) -> Self {
        let (order, payment) = (&mut self.order, &mut self.payment);
        let spans = [
            &mut order.ask,
            &mut order.hold,
            &mut order.call,
            &mut order.grace,
            &mut order.again,
            &mut order.again_max,
            &mut order.refund,
            &mut payment.call_timeout,
            &mut payment.not_found_age,
            &mut payment.give_up,
        ];
        let lists = order.inquiries.iter_mut().chain(&mut payment.inquiries);
        for span in spans.into_iter().chain(lists) {
            span.0 = span.0.saturating_mul(i64::from(percent)) / 100;
        }
        self
    }
}

/// All units, each with its name.
pub const UNITS: &[UnitId] = &[
    user::command::UNIT,
    merchant::command::UNIT,
    catalog::command::UNIT,
    inventory::command::UNIT,
    point::command::UNIT,
    coupon::command::UNIT,
    order::command::UNIT,
    payment::UNIT,
    ledger::UNIT,
    desk::UNIT,
];

/// Builds the units named in `wanted`. Called on the thread that will own them.
pub fn units(wanted: &[UnitId], rules: &Rules) -> Vec<Box<dyn Unit>> {
    let orders = order::Rows { rules: rules.order.clone(), ..order::Rows::default() };
    let payments = payment::Rows::new(rules.payment.clone());
    let points = point::model::Rows { rules: rules.point.clone(), ..Default::default() };
    let all: Vec<Box<dyn Unit>> = vec![
        Box::new(DomainUnit::<crate::user::UserService>::new(user::model::Rows::default())),
        Box::new(DomainUnit::<crate::merchant::MerchantService>::new(
            merchant::model::Rows::default(),
        )),
        Box::new(
            DomainUnit::<crate::catalog::CatalogService>::new(catalog::model::Rows::default()),
        ),
        Box::new(DomainUnit::<crate::inventory::InventoryService>::new(
            inventory::model::Rows::default(),
        )),
        Box::new(DomainUnit::<crate::point::PointService>::new(points)),
        Box::new(DomainUnit::<crate::coupon::CouponService>::new(coupon::model::Rows::default())),
        Box::new(DomainUnit::<crate::order::OrderService>::new(orders)),
        Box::new(DomainUnit::<crate::payment::PaymentService>::new(payments)),
        Box::new(DomainUnit::<crate::ledger::LedgerService>::new(ledger::Rows::default())),
        Box::new(desk::Desk::default()),
    ];
    all.into_iter().filter(|unit| wanted.contains(&unit.id())).collect()
}

/// The tables of the truth, the engine's own included.
pub const TABLES: &[&Table] = &[
    books::TABLES[0],
    books::TABLES[1],
    books::TABLES[2],
    books::TABLES[3],
    books::TABLES[4],
    books::TABLES[5],
    &crate::catalog::CATEGORY,
    &crate::user::USERS,
    &crate::user::USER_EMAIL,
    &crate::merchant::MERCHANT,
    &crate::catalog::PRODUCT,
    &crate::catalog::SKU,
    &crate::catalog::SKU_CODE,
    &crate::catalog::PRICE,
    &crate::inventory::STOCK,
    &crate::inventory::MOVEMENT,
    &crate::inventory::RESERVATION,
    &crate::point::ACCOUNT,
    &crate::point::TIMER,
    &crate::point::CREDIT,
    &crate::point::USE,
    &crate::coupon::CAMPAIGN,
    &crate::coupon::USER_COUPON,
    &crate::coupon::COUPON_HOLDER,
    &crate::coupon::COUPON_ISSUE,
    &crate::order::OFFER,
    &crate::order::ORDERS,
    &crate::payment::PAYMENT,
    &crate::ledger::ACCOUNT,
    &crate::ledger::ENTRY,
    &crate::ledger::CHAIN,
    &crate::ledger::JOURNAL,
];

/// The schema of the truth.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "init", sql: include_str!("../migrations/0001_init.sql") },
    Migration { version: 2, name: "edges", sql: include_str!("../migrations/0002_edges.sql") },
    Migration { version: 3, name: "shop", sql: include_str!("../migrations/0003_shop.sql") },
    Migration { version: 4, name: "trace", sql: include_str!("../migrations/0004_trace.sql") },
];
