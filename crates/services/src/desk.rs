//! What operators read of the engine's own rows: the audit log, and what was set aside.

use jangbu_engine::books::AUDIT;
use jangbu_engine::poison::{Item, OPEN, POISON, State};
use jangbu_engine::port::{By, Fault, Fields, Read};
use jangbu_kernel::Time;

use crate::queries::{Queries, View};

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Time,
    /// The name of the operator's key.
    pub who: String,
    /// What was done, such as `payment.resolve`.
    pub operation: String,
    /// The unit that did it.
    pub unit: String,
    /// To what; empty for the shop as a whole.
    pub resource: String,
    /// The reason that was given.
    pub why: String,
    /// How that was before, as JSON; none: it was not there.
    pub before: Option<String>,
    /// How it was after, as JSON.
    pub after: Option<String>,
    /// Of the request.
    pub correlation: Option<String>,
}

impl AuditLine {
    fn read(row: &dyn Fields) -> Self {
        let text = |at| row.opt_text(at).map(str::to_owned);
        Self {
            id: row.int(0),
            at: Time(row.int(1)),
            who: row.text(2).to_owned(),
            operation: row.text(3).to_owned(),
            unit: row.text(4).to_owned(),
            resource: row.text(5).to_owned(),
            why: row.text(6).to_owned(),
            before: text(7),
            after: text(8),
            correlation: text(9),
        }
    }
}

/// Which lines of the audit log; what is none does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By whom.
    pub who: Option<String>,
    /// Which operation.
    pub operation: Option<String>,
    /// To what.
    pub resource: Option<String>,
}

impl AuditFilter {
    fn wants(&self, line: &AuditLine) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|w| w == text);
        is(&self.who, &line.who)
            && is(&self.operation, &line.operation)
            && is(&self.resource, &line.resource)
    }
}

/// Rows looked at in one read, and in all for one page. What a filter leaves out costs time all
/// the same, so a page may be short, or empty, and still not be the last.
const SLICE: u32 = 500;
const LOOKED_AT: u32 = 20_000;

/// A page of a list, and the key where the next one goes on.
pub type Page<T> = (Vec<T>, Option<i64>);

impl Queries {
    /// An item of the poison table.
    pub fn poison(&self, id: i64) -> Result<Option<Item>, Fault> {
        let mut found = None;
        let by = By::Keys(vec![[id, 0, 0]]);
        self.truth(&[Read { table: &POISON, by }], &mut |row| found = Some(Item::read(row)))?;
        Ok(found)
    }

    /// Items of the poison table above number `after`, oldest first: those that are open from their
    /// own list, others from the whole table.
    pub fn poisons(
        &self,
        state: Option<State>,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Page<(i64, Item)>, Fault> {
        let (mut found, mut after) = (Vec::new(), after.unwrap_or(i64::MIN));
        let slice = if state.is_none_or(|state| state == State::Open) { limit + 1 } else { SLICE };
        for _ in 0..LOOKED_AT / SLICE {
            let from = [after.saturating_add(1), 0, 0];
            let by = match state {
                Some(State::Open) => By::Listed { list: OPEN, after, limit: slice },
                _ => By::Range { from, to: [i64::MAX; 3], descending: false, limit: slice },
            };
            let mut rows = 0;
            self.truth(&[Read { table: &POISON, by }], &mut |row| {
                rows += 1;
                after = row.int(0);
                let item = Item::read(row);
                found.extend(state.is_none_or(|s| s == item.state).then_some((after, item)));
            })?;
            if found.len() > limit as usize {
                found.truncate(limit as usize);
                let next = found.last().map(|(id, _)| *id);
                return Ok((found, next));
            }
            if rows < slice {
                return Ok((found, None));
            }
        }
        Ok((found, Some(after)))
    }
}

impl View {
    /// Lines of the audit log before number `before`, newest first.
    pub fn audit_log(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Page<AuditLine>, Fault> {
        let (mut found, mut to) = (Vec::new(), before.map_or(i64::MAX, |id| id - 1));
        for _ in 0..LOOKED_AT / SLICE {
            let mut rows = 0;
            let (from, last) = ([i64::MIN, 0, 0], [to, 0, 0]);
            let by = By::Range { from, to: last, descending: true, limit: SLICE };
            self.truth(&[Read { table: &AUDIT, by }], &mut |row| {
                rows += 1;
                to = row.int(0) - 1;
                let line = AuditLine::read(row);
                found.extend(filter.wants(&line).then_some(line));
            })?;
            if found.len() > limit as usize {
                found.truncate(limit as usize);
                let next = found.last().map(|line| line.id);
                return Ok((found, next));
            }
            if rows < SLICE {
                return Ok((found, None));
            }
        }
        Ok((found, Some(to + 1)))
    }
}
