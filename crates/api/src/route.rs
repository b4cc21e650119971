//! The routes, as data: one table that the router, the documentation and the tests read.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;

/// An endpoint at work.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// One endpoint.
pub(crate) struct Route {
    /// `GET`, `POST`, `PUT` or `PATCH`.
    pub(crate) method: &'static str,
    /// With parameters in braces.
    pub(crate) path: &'static str,
    /// Its name: operation id, label of metrics, last part of an idempotency scope.
    pub(crate) name: &'static str,
    /// Who may call it.
    pub(crate) role: Role,
    /// Whether it wants an idempotency key.
    pub(crate) keyed: bool,
    /// What it does.
    pub(crate) run: fn(Arc<Api>, Call) -> Work,
    /// What the documentation says of it.
    pub(crate) doc: Doc,
}

/// What the documentation cannot read off the route itself.
pub(crate) struct Doc {
    /// One line.
    pub(crate) summary: &'static str,
    /// Names of query parameters, from the list in `openapi`.
    pub(crate) query: &'static [&'static str],
    /// Schema and example of the body.
    pub(crate) body: Option<(&'static str, &'static str)>,
    /// Good answers: status, schema, meaning.
    pub(crate) answers: &'static [(u16, &'static str, &'static str)],
    /// Codes of problems beyond those that its form implies.
    pub(crate) codes: &'static [&'static str],
}

/// What gives way to what when there is too much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Operators, health, metrics: never refused.
    Vital,
    /// Orders and payments: refused last.
    Checkout,
    /// Reading: gives way to checkout.
    Browse,
    /// What tools and reports read: gives way to everything.
    Batch,
}

impl Route {
    /// Its class. It follows from what the route says anyway, so that no row can forget it.
    pub(crate) fn class(&self) -> Class {
        match (self.role, self.method) {
            (Role::Operator, _) => Class::Vital,
            // Strangers who want to be let in: never before those who buy.
            (Role::Anybody, "POST") => Class::Browse,
            (Role::Anybody, _) if !matches!(self.name, "openapi" | "docs") => Class::Vital,
            (_, "GET") if matches!(self.name, "openapi" | "docs" | "order.timeline") => {
                Class::Batch
            }
            (_, "GET") => Class::Browse,
            _ => Class::Checkout,
        }
    }

    /// Whether it is one of the compatible payment API, whose key comes in the body or in the
    /// header, and whose errors have fields of their own.
    pub(crate) fn is_compatible(&self) -> bool {
        self.path.starts_with("/api/payments/")
    }

    /// Whether it takes an idempotency key that it does not insist on.
    pub(crate) fn may_be_keyed(&self) -> bool {
        self.is_compatible() && self.method == "POST"
    }

    /// Names in braces, in order.
    pub(crate) fn params(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

const TABLES: &[&[Route]] = &[
    crate::order::ROUTES,
    crate::user::ROUTES,
    crate::merchant::ROUTES,
    crate::catalog::ROUTES,
    crate::bestseller::ROUTES,
    crate::inventory::ROUTES,
    crate::coupon::ROUTES,
    crate::point::ROUTES,
    crate::payment::ROUTES,
    crate::charge::ROUTES,
    crate::inbox::ROUTES,
    crate::saga::ROUTES,
    crate::ledger::ROUTES,
    crate::journal::ROUTES,
    crate::admin::ROUTES,
    crate::audit_log::ROUTES,
    crate::poison::ROUTES,
    crate::explain_key::ROUTES,
    crate::dlq::ROUTES,
    crate::notification::ROUTES,
    crate::backups::ROUTES,
    crate::health::ROUTES,
    crate::openapi::ROUTES,
    crate::docs::ROUTES,
];

/// Every endpoint, in a fixed order.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    TABLES.iter().copied().flatten()
}
