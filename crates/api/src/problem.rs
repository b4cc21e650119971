//! What goes wrong, as `application/problem+json`.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use jangbu_engine::mailbox::Why;
use jangbu_kernel::{OrderId, PaymentId};
use serde::Serialize;

use crate::admission::Refusal;
use crate::codes::Own;
use crate::codes::row_of;
use crate::repeats::Reused;
use crate::reply::Timing;
use crate::text::shown;

/// Which field, and what about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// A refusal on its way to the client; small, because every function may return one.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<What>);

/// What a problem says.
#[derive(Debug, Clone)]
pub(crate) struct What {
    pub(crate) code: &'static str,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) details: Vec<Detail>,
    pub(crate) order: Option<OrderId>,
    /// The payment that a request of the compatible payment API, or a charge of points, is about.
    pub(crate) payment: Option<PaymentId>,
    /// Rendered with the fields of the compatible payment API as well.
    pub(crate) compatible: bool,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) timing: Option<Timing>,
    pub(crate) replayed: bool,
    /// Seconds until it is worth another try, when that is known.
    pub(crate) after: Option<u32>,
    /// The key belongs to another command, and nobody has said yet what differs.
    pub(crate) reused: Option<Box<Reused>>,
    /// The answer as it was made beforehand.
    pub(crate) ready: Option<Arc<Refusal>>,
    /// What went wrong inside: for the log alone.
    pub(crate) cause: Option<Box<str>>,
}

impl Deref for Problem {
    type Target = What;

    fn deref(&self) -> &What {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut What {
        &mut self.0
    }
}

impl Problem {
    pub(crate) fn of(own: Own, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::coded(own.code(), detail)
    }

    pub(crate) fn coded(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(What {
            code,
            detail: detail.into(),
            details: Vec::new(),
            order: None,
            payment: None,
            compatible: false,
            outcome: None,
            timing: None,
            replayed: false,
            after: None,
            reused: None,
            ready: None,
            cause: None,
        }))
    }

    /// One whose answer was made beforehand.
    pub(crate) fn ready(refusal: Arc<Refusal>) -> Self {
        let mut problem = Self::coded(refusal.code(), "");
        problem.ready = Some(refusal);
        problem
    }

    /// Says in the log, and nowhere else, what went wrong.
    pub(crate) fn because(mut self, cause: impl Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// Names a field.
    pub(crate) fn at(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.details.push(Detail { field: field.into(), message: message.into() });
        self
    }

    /// A field whose value cannot be.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::of(Own::InvalidField, format!("{field}: {message}")).at(field, message)
    }

    /// The command was not run.
    pub(crate) fn not_run(why: Why) -> Self {
        match why {
            Why::Shed => Self::of(Own::Shed, "too much load; wait a second and send it again"),
            Why::TooLate => Self::of(Own::TooLate, "nothing was done; send it again"),
            Why::ReadOnly => Self::of(Own::ReadOnly, "an operator has switched to read-only"),
            Why::Full => Self::of(Own::ReadOnly, "the disk is full; free some space on the server"),
            Why::StoreFailed => Self::of(
                Own::StoreFailed,
                "nothing can be written until an operator has acted; the server's log says why",
            ),
            Why::Unsure => crate::ask::unanswered(),
            Why::Poison => Self::of(
                Own::Poisoned,
                "the command was set aside for an operator; do not send it again",
            ),
            Why::Stopping | Why::Moved => {
                Self::of(Own::Stopping, "nothing was done; send it again later")
            }
        }
    }

    pub(crate) fn render(&self, request: &str) -> Vec<u8> {
        let row = row_of(self.code);
        let body = Body {
            r#type: Type(self.code),
            title: row.title,
            status: row.status,
            code: self.code,
            detail: &self.detail,
            request_id: request,
            retryable: row.retryable && self.order.is_none() && self.payment.is_none(),
            message: self.compatible.then_some(&*self.detail),
            payment_id: (self.compatible || self.payment.is_some()).then_some(Shown(self.payment)),
            order_id: self.order,
            outcome: self.outcome,
            details: &self.details,
        };
        crate::reply::json(&body)
    }
}

struct Type(&'static str);

impl Serialize for Type {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:jangbu:problem:{}", self.0))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: Type,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    request_id: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown::option")]
    order_id: Option<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<Shown>,
    details: &'a [Detail],
}

/// An id, or `null`.
#[derive(Serialize)]
struct Shown(#[serde(serialize_with = "shown::option")] Option<PaymentId>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_ended_is_not_to_be_retried_with_its_key() {
        let mut problem = Problem::of(Own::Shed, "x");
        let retryable = |problem: &Problem| {
            let body: serde_json::Value = serde_json::from_slice(&problem.render("r")).unwrap();
            body["retryable"].clone()
        };
        assert_eq!(retryable(&problem), true);
        problem.order = Some(OrderId(7));
        assert_eq!(retryable(&problem), false);
    }

    #[test]
    fn a_commit_that_may_have_happened_is_not_called_a_failure() {
        let unsure = Problem::not_run(Why::Unsure);
        let row = row_of(unsure.code);
        assert_eq!((row.status, row.code, row.retryable), (503, "UNANSWERED", true));
        assert!(unsure.detail.contains("same key"), "{}", unsure.detail);
        assert!(!row_of(Problem::not_run(Why::StoreFailed).code).retryable);
    }
}
