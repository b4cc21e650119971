//! The interface over a real shop: on the store in memory and on a SQLite file, with the simulated
//! gateway. Every good answer and every problem is held against the OpenAPI document.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit_log;
mod auth;
mod bestseller;
mod books;
mod burst;
mod catalog;
mod charge;
mod corpus;
mod coupons;
mod defects;
mod desk;
mod dlq;
mod document;
mod forms;
mod fuzzed;
mod goods;
mod hostile;
mod journals;
mod keep;
mod kept;
mod keys;
mod merchants;
mod net;
mod notification;
mod orders;
mod overload;
mod perks;
mod points;
mod positions;
mod schema;
mod server;
mod sessions;
mod signed;
mod sold_out;
mod traces;
mod users;
mod wire;
mod world;
