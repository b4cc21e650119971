//! The operators' desk: what they ask of the engine itself. It is open in read-only mode.

use std::any::Any;

use jangbu_kernel::domain::Ctx;
use jangbu_kernel::{Envelope, Payload, UnitId};

use crate::port::{Fault, Fields, Read, Table, WritePlan};
use crate::unit::{ReadFn, Sink, Unit, Verdict, When};

/// Where the desk's commands go.
pub const UNIT: UnitId = UnitId("desk");

/// What an operator can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Write into the audit log what is no command of any unit, such as the read-only switch. What
    /// was and what is are JSON objects.
    Note {
        /// How it was.
        before: Option<String>,
        /// How it is.
        after: Option<String>,
    },
}

/// What the desk answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It is written down.
    Noted,
}

/// The desk of a cell.
#[derive(Debug, Default)]
pub struct Desk;

impl Unit for Desk {
    fn id(&self) -> UnitId {
        UNIT
    }

    fn timers(&self) -> &[&'static Table] {
        &[]
    }

    fn open(&mut self, _read: &mut ReadFn<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn want(&mut self, _body: &dyn Payload) {}

    fn missing(&mut self, _reads: &mut Vec<Read>) {}

    fn absorb(&mut self, table: &'static Table, _row: &dyn Fields) {
        panic!("the desk did not ask for a row of {}", table.name)
    }

    fn absorbed(&mut self) {}

    fn decide(&mut self, envelope: &Envelope, _ctx: &Ctx, _sink: &mut Sink) -> Verdict {
        let Command::Note { .. } = envelope.body.expect_ref();
        Verdict::Done
    }

    fn resource(&self, _body: &dyn Payload) -> i64 {
        0
    }

    fn adopt(&self, _body: &mut dyn Payload, _resource: i64) {}

    fn recall(&self, _body: &dyn Payload) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(Reply::Noted))
    }

    fn subject(&self, _body: &dyn Payload) -> String {
        String::new()
    }

    fn describe(&self, body: &dyn Payload, when: When) -> Option<String> {
        let Command::Note { before, after } = body.expect_ref();
        match when {
            When::Before => before.clone(),
            When::After => after.clone(),
        }
    }

    fn wake(&self, table: &'static Table, key: i64) -> Box<dyn Payload> {
        panic!("the desk has no timers, but {} {key} is due", table.name)
    }

    fn is_dirty(&mut self) -> bool {
        false
    }

    fn seal(&mut self, _ctx: &Ctx, _sink: &mut Sink) {}

    fn save(&mut self, _plan: &mut WritePlan) {}

    fn committed(&mut self) {}

    fn clear(&mut self) {}
}
