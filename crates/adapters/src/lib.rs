//! The servers that a growing shop has beside its store, behind ports of `services`. Each is a
//! feature; none is needed, and none that is away stops an order.
//!
//! | feature | module | port |
//! |---|---|---|
//! | `redis` | `redis` | [`Cache`](jangbu_services::cache::Cache), [`Shared`](jangbu_services::shared::Shared): what processes share |

#[cfg(feature = "redis")]
pub mod redis;
