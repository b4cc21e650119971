//! The contract of the loop, over every domain. Each file begins with what it pins.

mod gateway;
mod history;
mod rig;
mod split;
