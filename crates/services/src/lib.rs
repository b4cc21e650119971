//! Where domains meet the store, the gateway and each other: the only place that knows them all.
//!
//! | module | holds |
//! |---|---|
//! | [`adapter`], [`bound`] | the one adapter between a domain and the loop; its rows and the store |
//! | [`catalog`], [`inventory`], [`point`], [`order`], [`payment`], [`ledger`] | tables, row mapping and routing of each domain |
//! | [`catalog`], [`coupon`], [`inventory`], [`order`], [`payment`], [`ledger`] | tables, row mapping and routing of each domain |
//! | [`registry`] | the list of units and tables, and the schema |
//! | [`events`] | what leaves through the outbox, and its JSON for the outside |
//! | [`relay`] | publishes the outbox |
//! | [`shop`] | a running shop: cells, executor, who waits |
//! | [`link`] | the way to other processes of the same shop |
//! | [`gateway`], [`hub`] | the way to the payment gateway; who waits for an order |
//! | [`requests`] | requests that were carried out, by their idempotency key |
//! | [`consumer`] | whoever follows the outbox: places, parked keys, the thread |
//! | [`bestseller`] | units sold, by day and SKU, and what sells best |
//! | [`notification`] | what buyers and hooks are told |
//! | [`projections`], [`lag`], [`queries`] | `derived.db`, how far it is behind, and what can be read |
//! | [`backup`] | copies of everything, made while serving; restored, kept for a while |
//! | [`desk`] | what operators read of the engine's own rows |
//! | [`tail`], [`cache`], [`shared`] | events for what is only in memory; kept answers; what processes know together |

pub mod adapter;
pub mod backup;
pub mod bestseller;
pub mod bound;
pub mod cache;
pub mod catalog;
pub mod consumer;
pub mod coupon;
pub mod desk;
pub mod events;
pub mod gateway;
pub mod hub;
pub mod inventory;
pub mod lag;
pub mod ledger;
pub mod link;
pub mod merchant;
pub mod notification;
pub mod order;
mod packed;
pub mod payment;
pub mod point;
pub mod projections;
pub mod queries;
pub mod registry;
pub mod relay;
pub mod requests;
pub mod sealing;
pub mod shared;
pub mod shop;
pub mod tail;
pub mod user;
