//! User: who may buy, how they prove who they are, and how they are stopped.
//!
//! ```text
//!            Register              Deactivate
//!   (none) ───────────▶ ACTIVE ───────────────▶ DEACTIVATED
//!                        │  ▲
//!         fifth failure  │  │ 15 minutes, or a new password
//!                        ▼  │
//!                      locked (until)
//! ```
//!
//! What a person is called and where they live comes here sealed, and so does the hash of the
//! password: this domain neither reads nor makes any of it. Whether a password was right is found
//! out before the command ([`Command::Login`](command::Command::Login) says it); what follows from
//! it is decided here, so that guesses count, however many come at once.
//!
//! Invariants, pinned by `tests`:
//!
//! 1. A blind index leads to one user at most, and every user is found by the index of its e-mail
//!    address, deactivated ones included. An address that was given up leads to nobody.
//! 2. A lock follows the fifth failure in a row and refuses right passwords, too; whatever was
//!    guessed at the same time counts before the answer.
//! 3. The generation rises with each new password. What was issued for a lower one, and everything
//!    that was issued for a deactivated user, is worth nothing ([`command::Event::Barred`]).
//! 4. A deactivated user stays as it was: nothing changes it any more.

pub mod command;
pub mod decide;
pub mod model;

#[cfg(test)]
mod tests;

/// The bounded context of users and their credentials.
#[derive(Clone, Copy, Debug)]
pub struct User;
