//! The contract of the loop, over every domain. Each file begins with what it pins.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapter;
mod audit_log;
mod backups;
mod bestseller;
mod caller;
mod cascade;
mod cold;
mod consumer;
mod coupon_races;
mod derived;
mod events;
mod faults;
mod gateway;
mod history;
mod idem;
mod keep;
mod link;
mod lists;
mod outbox;
mod parking;
mod points;
mod poison;
mod pressure;
mod promises;
mod races;
mod refusals;
mod reject;
mod relay;
mod retain;
mod retry;
mod rig;
mod rounds;
mod schema;
mod shelf;
mod shop;
mod slices;
mod split;
mod stage;
mod tail;
mod timers;
mod traces;
mod views;
