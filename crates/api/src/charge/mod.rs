//! Payments without an order, for merchants: authorise, capture, void, refund, look at one. The
//! paths, fields and status names are those that existing payment clients and load scripts use.
//!
//! ```text
//! form ─▶ watch(payment) ─▶ ask ─▶ commit ─▶ already answered? ──yes──▶ told
//!                                                  │ no
//!                                                  ▼
//!                               signal after the gateway's answer, or the wait limit ──▶ told
//! ```
//!
//! A request is told from the payment's row by what *it* asked for, not by what came later: the
//! same authorisation again says AUTHORIZED also after the capture. The row's present status is
//! told by GET.
//!
//! | file | holds |
//! |---|---|
//! | `form` | bodies as they come, and their rules |
//! | `act` | the five calls |
//! | `wait` | from a command to the gateway's answer |
//! | `told` | status names, ledger legs, bodies as they leave |

mod act;
mod form;
mod told;
pub(crate) mod wait;

use crate::auth::Role;
use crate::route::{Doc, Route};

pub(crate) use act::gateway_open;
pub(crate) use told::{merchant_schema, schemas};

use act::{authorize, capture, get, refund, void};

const AUTHORIZE: &str =
    r#"{"merchantId":"17","amount":12000,"currency":"KRW","idempotencyKey":"basket-4711"}"#;
const MERCHANT: &str = r#"{"merchantId":"17"}"#;
const REFUND: &str =
    r#"{"merchantId":"17","reason":"broken","amount":3000,"idempotencyKey":"return-12"}"#;

/// What a command may be refused with besides its own reasons. (Keyed routes have these anyway.)
macro_rules! codes {
    ($($own:literal),+) => {
        &[
            $($own,)+
            "GATEWAY_UNAVAILABLE",
            "FORBIDDEN",
            "IDEMPOTENCY_KEY_INVALID",
            "SHED",
            "DEADLINE_EXCEEDED",
            "READ_ONLY",
            "STORE_FAILED",
            "POISONED",
            "STOPPING",
            "UNANSWERED",
            "READ_FAILED",
        ]
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/payments/authorize",
        name: "payment.authorize",
        role: Role::Merchant,
        keyed: false,
        run: |api, call| Box::pin(async move { authorize(&api, &call).await }),
        doc: Doc {
            summary: "Hold an amount on a customer's card, and wait for the gateway's answer",
            query: &[],
            body: Some(("AuthorizePayment", AUTHORIZE)),
            answers: &[
                (200, "MerchantPayment", "The amount is held"),
                (202, "MerchantPayment", "Not known yet: READY or UNKNOWN; look again later"),
            ],
            codes: codes!("PAYMENT_DECLINED", "IDEMPOTENCY_KEY_REQUIRED", "IDEMPOTENCY_KEY_REUSED"),
        },
    },
    Route {
        method: "POST",
        path: "/api/payments/capture/{id}",
        name: "payment.capture",
        role: Role::Merchant,
        keyed: false,
        run: |api, call| Box::pin(async move { capture(&api, &call).await }),
        doc: Doc {
            summary: "Take what was authorised; again, it is taken once",
            query: &[],
            body: Some(("ChangePayment", MERCHANT)),
            answers: &[
                (200, "MerchantPayment", "The money is ours, with its ledger entries"),
                (202, "MerchantPayment", "Not known yet; look again later"),
            ],
            codes: codes!("PAYMENT_UNKNOWN", "CAPTURE_CONFLICT"),
        },
    },
    Route {
        method: "POST",
        path: "/api/payments/void/{id}",
        name: "payment.void",
        role: Role::Merchant,
        keyed: false,
        run: |api, call| Box::pin(async move { void(&api, &call).await }),
        doc: Doc {
            summary: "Let go what was authorised",
            query: &[],
            body: Some(("ChangePayment", MERCHANT)),
            answers: &[
                (200, "MerchantPayment", "Nothing is held"),
                (202, "MerchantPayment", "Not known yet; look again later"),
            ],
            codes: codes!("PAYMENT_UNKNOWN", "VOID_CONFLICT"),
        },
    },
    Route {
        method: "POST",
        path: "/api/payments/refund/{id}",
        name: "payment.refund",
        role: Role::Merchant,
        keyed: false,
        run: |api, call| Box::pin(async move { refund(&api, &call).await }),
        doc: Doc {
            summary: "Give captured money back: what is left, or an amount under a key",
            query: &[],
            body: Some(("RefundPayment", REFUND)),
            answers: &[
                (200, "MerchantPayment", "The money went back, with its ledger entries"),
                (202, "MerchantPayment", "The gateway is asked; look again later"),
            ],
            codes: codes!(
                "PAYMENT_UNKNOWN",
                "REFUND_CONFLICT",
                "REFUND_EXCEEDS_CAPTURED",
                "REFUND_REFUSED",
                "TOO_MANY_REFUNDS",
                "IDEMPOTENCY_KEY_REQUIRED",
                "IDEMPOTENCY_KEY_REUSED"
            ),
        },
    },
    Route {
        method: "GET",
        path: "/api/payments/{id}",
        name: "payment.look",
        role: Role::Merchant,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "A payment of a merchant as it is now, with all its ledger entries",
            query: &["merchantId!"],
            body: None,
            answers: &[(200, "MerchantPayment", "The payment")],
            codes: &["PAYMENT_UNKNOWN", "INVALID_FIELD", "FORBIDDEN"],
        },
    },
];
