//! Who answers reads that may be a moment old.

use std::fmt::Write as _;

use jangbu_services::queries::Usage;

use super::Page;
use crate::Api;

pub(super) fn page(page: &mut Page, api: &Api) {
    let replicas: Vec<Usage> = api.views.replicas().collect();
    let name = "jangbu_view_reads_total";
    page.family(name, "counter", "Reads that may be a moment old, by who answered.");
    page.line(&format!("{name}{{from=\"store\"}}"), api.views.reads());
    for Usage { name: replica, reads, .. } in &replicas {
        page.line(&format!("{name}{{from=\"{replica}\"}}"), *reads);
    }
    if replicas.is_empty() {
        return;
    }
    let name = "jangbu_replica_failed_total";
    page.family(name, "counter", "Reads that failed on a replica; the store answered them.");
    for Usage { name: replica, failed, .. } in &replicas {
        page.line(&format!("{name}{{replica=\"{replica}\"}}"), *failed);
    }
    let name = "jangbu_replica_again_total";
    let help = "Reads that did not find on a replica what they looked for; the store was asked.";
    page.family(name, "counter", help);
    for Usage { name: replica, again, .. } in &replicas {
        page.line(&format!("{name}{{replica=\"{replica}\"}}"), *again);
    }
    let name = "jangbu_replica_used";
    page.family(name, "gauge", "Whether reads go to a replica now.");
    for Usage { name: replica, sight, .. } in &replicas {
        page.line(&format!("{name}{{replica=\"{replica}\"}}"), u64::from(sight.away.is_none()));
    }
    let name = "jangbu_replica_lag_seconds";
    page.family(name, "gauge", "At most so far a replica is behind, as far as is known.");
    for Usage { name: replica, sight, .. } in &replicas {
        if let Some(lag) = sight.lag {
            let seconds = lag.as_secs_f64();
            let _ = writeln!(page.0, "{name}{{replica=\"{replica}\"}} {seconds:.3}");
        }
    }
}
