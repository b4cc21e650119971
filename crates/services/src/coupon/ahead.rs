//! What will probably follow from a command of coupon: a sweep looks at places one by one.

use jangbu_domain::coupon::SLICE;
use jangbu_domain::coupon::command::{Command, UNIT};
use jangbu_domain::coupon::model::Rows;
use jangbu_engine::unit::Hints;

/// Names it.
pub(super) fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
    let Command::Sweep { campaign } = *command else { return };
    let Some(row) = rows.campaign.peek(campaign) else { return };
    let last = row.tally.issued.min(row.swept.saturating_add(i64::from(SLICE) + 1));
    for position in row.swept + 1..=last {
        hints.add(UNIT, Command::Expire { campaign, position, left: 0 });
    }
}
