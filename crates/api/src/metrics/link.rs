//! Several processes on one database.

use super::page::Page;
use crate::Api;

/// What this process is to the others of the shop, and what passes between them.
pub(super) fn link(page: &mut Page, api: &Api) {
    let standing = api.shop.standing();
    let help = "Whether this process writes the database.";
    page.gauge("jangbu_owner", help, u64::from(standing.is_owner()));
    let help = "How often the database has come to this process or gone to another one.";
    page.counter("jangbu_owner_changes_total", help, standing.changes());
    let Some(stats) = api.shop.link() else { return };
    page.gauge("jangbu_link_followers", "Followers that are linked to it.", stats.followers);
    let help = "Commands that are sent to the owner and not answered.";
    page.gauge("jangbu_link_in_flight", help, stats.in_flight);
    for (name, help, value) in [
        ("batches", "Batches sent to an owner.", stats.batches),
        ("commands", "Commands sent to an owner.", stats.sent),
        ("connects", "How often an owner was reached; all but the first again.", stats.links),
        ("resent", "Commands sent again after a link broke.", stats.again),
        ("unsure", "Commands without a key whose fate was lost with a link.", stats.unsure),
        ("refused", "Processes of another version or secret that were refused.", stats.refused),
        ("received_batches", "Batches that came from followers.", stats.received_batches),
        ("received_commands", "Commands that came from followers.", stats.received),
    ] {
        page.counter(&format!("jangbu_link_{name}_total"), help, value);
    }
}
