//! What is kept of the catalogue, and what processes share.

use super::Page;
use crate::Api;

pub(super) fn page(page: &mut Page, api: &Api) {
    let stats = api.front.stats();
    let name = "jangbu_cache_reads_total";
    page.family(name, "counter", "Reads of the catalogue by where they were answered.");
    for (from, count) in [
        ("near", stats.near),
        ("far", stats.far),
        ("joined", stats.joined),
        ("store", stats.loads),
        ("blind", stats.blind),
    ] {
        page.line(&format!("{name}{{from=\"{from}\"}}"), count);
    }
    page.gauge("jangbu_cache_values", "Values in this process.", stats.values);
    page.gauge("jangbu_cache_bytes", "Their bytes.", stats.bytes);
    let Some(shared) = &api.shared else { return };
    let link = shared.link();
    let help = "Whether what processes share can be reached.";
    page.gauge("jangbu_shared_up", help, u64::from(link.up));
    let help = "How often it came up.";
    page.counter("jangbu_shared_connects_total", help, link.connects);
    let name = "jangbu_shared_calls_total";
    page.family(name, "counter", "Calls to it by what became of them.");
    for (result, count) in [
        ("answered", link.answered),
        ("late", link.late),
        ("failed", link.failed),
        ("away", link.away),
    ] {
        page.line(&format!("{name}{{result=\"{result}\"}}"), count);
    }
    let [together, alone] = api.limits.decided();
    let name = "jangbu_rate_decisions_total";
    page.family(name, "counter", "Checks of rate limits by who decided.");
    page.line(&format!("{name}{{by=\"all\"}}"), together);
    page.line(&format!("{name}{{by=\"alone\"}}"), alone);
}
