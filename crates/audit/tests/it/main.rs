//! `prove` over directories written by hand: clean ones, and every kind of breach.

mod clean;
mod corrupt;
mod shop;
mod stories;
