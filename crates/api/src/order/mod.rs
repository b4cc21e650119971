//! Orders: place, confirm, cancel, refund, ship, deliver, return, get, list, timeline.

mod change;
mod differ;
mod form;
mod out;
mod place;
mod read;
mod schema;
mod ship;

use jangbu_kernel::OrderId;

use crate::auth::Role;
use crate::call::Call;
use crate::problem::Problem;
use crate::route::{Doc, Route};
use crate::text::id;

pub(crate) use schema::schemas;

pub(crate) use form::{REASON, reason, secret, sku_id};

use change::{cancel, refund};
use place::{confirm, place};
use read::{get, list, timeline};
use ship::{deliver, ship, take_back};

const PATH: &str = "/api/v1/orders";

/// What ends a place or a confirm without a sale.
const OUTCOMES: [&str; 6] =
    ["SOLD_OUT", "PAYMENT_DECLINED", "ORDER_EXPIRED", "ORDER_CANCELLED", "ORDER_FAILED", "SHED"];
/// And a place with a coupon or points.
const LIMITS: [&str; 3] = ["ORDER_PAY_CHANGED", "ORDER_LIMIT", "POINTS_AMOUNT_INVALID"];

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/v1/orders",
        name: "order.place",
        role: Role::Customer,
        keyed: true,
        run: |api, call| Box::pin(async move { place(&api, &call).await }),
        doc: Doc {
            summary: "Place an order, and wait for its outcome",
            query: &[],
            body: Some(("PlaceOrder", PLACE)),
            answers: &[
                (201, "Order", "Sold; or, in mode CLIENT, held until it is confirmed"),
                (202, "Order", "Taken, and not settled within the wait limit: follow Location"),
            ],
            codes: &[
                OUTCOMES[0],
                OUTCOMES[1],
                OUTCOMES[2],
                OUTCOMES[3],
                OUTCOMES[4],
                LIMITS[0],
                LIMITS[1],
                LIMITS[2],
                "PRICE_CHANGED",
                "SKU_NOT_ON_SALE",
                "CURRENCY_MISMATCH",
                "LINES_INVALID",
                "QUANTITY_INVALID",
                "TOKEN_REQUIRED",
                "TOTAL_TOO_LARGE",
            ],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/orders",
        name: "order.list",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { list(&api, &call).await }),
        doc: Doc {
            summary: "The orders of a user, newest first",
            query: &["userId", "cursor", "limit"],
            body: None,
            answers: &[(200, "OrderPage", "A page; a new order appears within milliseconds")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/orders/{id}",
        name: "order.get",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "An order as it is now",
            query: &[],
            body: None,
            answers: &[(200, "Order", "The order")],
            codes: &["ORDER_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/confirm",
        name: "order.confirm",
        role: Role::Customer,
        keyed: true,
        run: |api, call| Box::pin(async move { confirm(&api, &call).await }),
        doc: Doc {
            summary: "Pay an order that was placed in mode CLIENT",
            query: &[],
            body: Some(("ConfirmOrder", CONFIRM)),
            answers: &[
                (201, "Order", "Sold"),
                (202, "Order", "Not settled within the wait limit: follow Location"),
            ],
            codes: &[
                OUTCOMES[1],
                OUTCOMES[2],
                OUTCOMES[3],
                OUTCOMES[4],
                "ORDER_UNKNOWN",
                "NOT_AWAITING_PAYMENT",
                "AMOUNT_DIFFERS",
            ],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/cancel",
        name: "order.cancel",
        role: Role::Customer,
        keyed: true,
        run: |api, call| Box::pin(async move { cancel(&api, &call).await }),
        doc: Doc {
            summary: "Cancel an order; one that is sold is refunded in full",
            query: &[],
            body: Some(("CancelOrder", CANCEL)),
            answers: &[
                (200, "Order", "Cancelled, or refunded in full"),
                (202, "Order", "Under way: follow Location"),
            ],
            codes: &["ORDER_UNKNOWN", "ORDER_NOT_CANCELLABLE"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/refund",
        name: "order.refund",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { refund(&api, &call).await }),
        doc: Doc {
            summary: "Give money back for some units, or for everything that is left",
            query: &[],
            body: Some(("RefundOrder", REFUND)),
            answers: &[
                (200, "Order", "Every refund of the order has ended"),
                (202, "Order", "The gateway is asked: follow Location"),
            ],
            codes: &[
                "ORDER_UNKNOWN",
                "ORDER_NOT_REFUNDABLE",
                "REFUND_EXCEEDS_ORDER",
                "NOTHING_TO_REFUND",
                "QUANTITY_INVALID",
                "TOO_MANY_REFUNDS",
            ],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/shipments",
        name: "order.ship",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { ship(&api, &call).await }),
        doc: Doc {
            summary: "Hand units of a sold order to a carrier: some, or all that are still here",
            query: &[],
            body: Some(("ShipOrder", SHIP)),
            answers: &[(200, "Order", "Sent"), UNDER_WAY],
            codes: &[
                "ORDER_UNKNOWN",
                "ORDER_NOT_SHIPPABLE",
                "SHIPMENT_EXCEEDS_ORDER",
                "NOTHING_TO_SHIP",
                "QUANTITY_INVALID",
                "TOO_MANY_SHIPMENTS",
            ],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/shipments/{no}/deliver",
        name: "order.deliver",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { deliver(&api, &call).await }),
        doc: Doc {
            summary: "A shipment has arrived",
            query: &[],
            body: None,
            answers: &[(200, "Order", "Noted"), UNDER_WAY],
            codes: &["ORDER_UNKNOWN", "SHIPMENT_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/returns",
        name: "order.return",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { take_back(&api, &call).await }),
        doc: Doc {
            summary: "Units that were sent come back, and their money and points go back",
            query: &[],
            body: Some(("ReturnOrder", RETURN)),
            answers: &[(200, "Order", "Every refund of the order has ended"), UNDER_WAY],
            codes: &[
                "ORDER_UNKNOWN",
                "ORDER_NOT_REFUNDABLE",
                "RETURN_EXCEEDS_SHIPPED",
                "NOTHING_TO_REFUND",
                "QUANTITY_INVALID",
                "TOO_MANY_REFUNDS",
            ],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/orders/{id}/timeline",
        name: "order.timeline",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { timeline(&api, &call).await }),
        doc: Doc {
            summary: "What happened to an order, oldest first",
            query: &[],
            body: None,
            answers: &[(200, "Timeline", "Its moments, and how it stands in one sentence")],
            codes: &["ORDER_UNKNOWN"],
        },
    },
];

const PLACE: &str = r#"{"userId":"usr_01H9Z8D0G4000","lines":[{"skuId":"sku_01H9Z8D0G8000","quantity":1}],"expectedTotal":{"amount":12000,"currency":"KRW"},"payment":{"mode":"SERVER","token":"tok_visa"},"couponId":"cpn_01H9Z8D0GC000","points":2000,"expectedPay":{"amount":9000,"currency":"KRW"}}"#;
const UNDER_WAY: (u16, &str, &str) = (202, "Order", "Something is under way: follow Location");
const SHIP: &str = r#"{"lines":[{"skuId":"sku_01H9Z8D0G8000","quantity":1}],"carrier":"CJ Logistics","tracking":"688012345678"}"#;
const RETURN: &str =
    r#"{"reason":"too small","lines":[{"skuId":"sku_01H9Z8D0G8000","quantity":1}],"restock":true}"#;
const CONFIRM: &str = r#"{"amount":{"amount":12000,"currency":"KRW"},"token":"tok_visa"}"#;
const CANCEL: &str = r#"{"reason":"changed my mind"}"#;
const REFUND: &str =
    r#"{"reason":"broken","lines":[{"skuId":"sku_01H9Z8D0G8000","quantity":1}],"restock":false}"#;

fn location(id: OrderId) -> String {
    format!("{PATH}/{id}")
}

/// The order that the path names.
pub(crate) fn order_id(call: &Call) -> Result<OrderId, Problem> {
    id(OrderId::parse, OrderId::PREFIX, call.param(), || "id".into())
}
