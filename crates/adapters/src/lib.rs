//! The servers that a growing shop has beside its store, behind ports of `services`. Each is a
//! feature; none is needed, and none that is away stops an order.
//!
//! | feature | module | port |
//! |---|---|---|
//! | `mail` | `mail` | [`Channel`](jangbu_services::notification::Channel): mails by SMTP |
//! | `kafka` | `kafka` | [`Publisher`](jangbu_services::relay::Publisher): where the relay publishes events; [`Source`](jangbu_services::consumer::Source): where consumers read them |
//! | `redis` | `redis` | [`Cache`](jangbu_services::cache::Cache), [`Shared`](jangbu_services::shared::Shared): what processes share |
//! | `webhook` | `webhook` | [`Channel`](jangbu_services::notification::Channel): hooks by HTTP, signed |

#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "mail")]
pub mod mail;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "webhook")]
pub mod webhook;
