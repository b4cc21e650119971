//! `prove` over directories written by hand: clean ones, and every kind of breach.

#![expect(clippy::unwrap_used, reason = "the code that writes test directories may fail loudly")]

mod breaches;
mod clean;
mod columns;
mod corrupt;
mod coupons;
mod full;
mod live;
mod people;
mod points;
mod postgres;
mod schema;
mod shop;
mod stories;
