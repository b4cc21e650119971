//! The contract of the loop, over every domain. Each file begins with what it pins.

mod cascade;
mod faults;
mod gateway;
mod history;
mod idem;
mod outbox;
mod poison;
mod pressure;
mod promises;
mod reject;
mod rig;
mod split;
mod stage;
