//! The certificate as a page: one file that needs nothing else, for people and for print.

use std::fmt::Write as _;

use crate::certificate::Certificate;
use crate::plot::{Line, Plot, escaped, short};
use crate::series::Second;
use crate::tally::Quantiles;

const STYLE: &str = include_str!("page.css");

/// Renders a certificate.
pub fn page(of: &Certificate) -> String {
    let mut out = String::with_capacity(64 << 10);
    let title = format!("jangbu bench {}", of.preset);
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>\n<h1>{title} <span class={}>{}</span></h1>",
        if of.pass { "pass" } else { "miss" },
        if of.pass { "passed" } else { "not passed" },
    );
    let _ = writeln!(
        out,
        "<p>{} arrivals a second ({}) for {} s: <strong>{} {}/s</strong>. {}</p>",
        short(of.rate),
        of.rate_source,
        short(of.duration_s),
        short(of.throughput),
        of.goal(),
        escaped(&of.date)
    );
    marks(of, &mut out);
    proof(of, &mut out);
    latencies(of, &mut out);
    special(of, &mut out);
    out.push_str("<h2>By the second</h2>\n");
    for plot in plots(&of.series) {
        plot.draw(&mut out);
    }
    search(of, &mut out);
    figures(of, &mut out);
    conditions(of, &mut out);
    out.push_str("</main></body></html>\n");
    out
}

/// A table with a caption; every cell is text.
fn table(caption: &str, head: &[&str], rows: &[Vec<String>], out: &mut String) {
    let _ = write!(out, "<table><caption>{}</caption><thead><tr>", escaped(caption));
    for name in head {
        let _ = write!(out, "<th scope=col>{}", escaped(name));
    }
    out.push_str("</thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            out.push_str(if at == 0 { "<th scope=row>" } else { "<td>" });
            out.push_str(&escaped(cell));
        }
        out.push('\n');
    }
    out.push_str("</tbody></table>\n");
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "not measured".to_owned(), short)
}

fn marks(of: &Certificate, out: &mut String) {
    let row = |mark: &crate::Mark| {
        let verdict = if mark.pass { "passed" } else { "MISSED" };
        vec![mark.name.to_owned(), mark.measured(short), mark.wanted(short), verdict.to_owned()]
    };
    let rows: Vec<Vec<String>> = of.marks.iter().map(row).collect();
    table("Pass marks", &["mark", "measured", "wanted", "verdict"], &rows, out);
}

fn proof(of: &Certificate, out: &mut String) {
    match (&of.proof, &of.proof_error) {
        (Some(sums), _) => {
            let _ = writeln!(
                out,
                "<p class=proof>Proof over the books and every acknowledgement: <strong>lost {}, \
                 doubled {}, mismatched {}</strong>. Repeated keys: {} checked, {} answered \
                 differently.</p>",
                sums.lost, sums.doubled, sums.mismatched, of.replays.checked, of.replays.different
            );
        }
        (None, why) => {
            let why = why.as_deref().unwrap_or("unknown");
            let _ = writeln!(out, "<p class=proof>The proof did not run: {}.</p>", escaped(why));
        }
    }
}

fn latencies(of: &Certificate, out: &mut String) {
    let row = |name: String, quantiles: Option<Quantiles>| {
        let value = |of: fn(&Quantiles) -> f64| shown(quantiles.as_ref().map(of));
        vec![name, value(|q| q.p50), value(|q| q.p95), value(|q| q.p99), value(|q| q.max)]
    };
    let mut rows = vec![
        row("accepted".to_owned(), of.accepted),
        row("settled".to_owned(), of.settled),
        row("generator's lateness".to_owned(), of.generator_lateness),
    ];
    let named = of.settled_by_outcome.iter().map(|(name, q)| row((*name).to_owned(), Some(*q)));
    rows.extend(named);
    rows.extend(of.latency_by_step.iter().map(|(name, q)| row((*name).to_owned(), Some(*q))));
    let head = ["milliseconds from the intended start", "p50", "p95", "p99", "max"];
    table("Latency", &head, &rows, out);
    let counts = [
        ("offered", of.offered),
        ("issued", of.issued),
        ("completed", of.completed),
        ("dropped", of.dropped),
    ];
    let named = counts.into_iter().chain(of.outcomes.iter().map(|(name, n)| (*name, *n)));
    let rows: Vec<Vec<String>> =
        named.map(|(name, n)| vec![name.to_owned(), n.to_string()]).collect();
    table("Requests and outcomes", &["count", "requests"], &rows, out);
}

/// What only one preset has.
fn special(of: &Certificate, out: &mut String) {
    if let Some(ledger) = &of.ledger {
        let _ = writeln!(
            out,
            "<p>{} entries a second in journals of {} postings. {} accounts, {} differ.</p>",
            short(ledger.entries_per_second),
            ledger.postings,
            ledger.balances.accounts,
            ledger.balances.differing
        );
    }
    if let Some(overload) = &of.overload {
        let row = |step: &crate::Step| {
            vec![
                format!("{:.0} %", step.factor * 100.0),
                short(step.goodput),
                short(step.refused * 100.0),
                short(step.dropped * 100.0),
                shown(step.accepted.map(|q| q.p99)),
                shown(step.served.map(|q| q.p99)),
                shown(step.refusals.map(|q| q.p99)),
                shown(step.lateness.map(|q| q.p99)),
                shown(step.server_cpu),
                shown(step.generator_cpu),
            ]
        };
        let rows: Vec<Vec<String>> = overload.steps.iter().map(row).collect();
        let head = [
            "offered",
            "good/s",
            "refused %",
            "dropped %",
            "p99 accepted ms",
            "p99 from sending ms",
            "p99 refused ms",
            "p99 lateness ms",
            "server CPUs",
            "generator CPUs",
        ];
        table("Overload, step by step", &head, &rows, out);
    }
    if let Some(aged) = &of.aged {
        let row = |age: &crate::Age| {
            vec![
                age.stored.to_string(),
                shown(age.server_us),
                shown(age.per_order.rows),
                shown(age.per_order.pages),
                shown(age.settled_p99),
            ]
        };
        let head = ["stored orders", "server CPU us", "rows", "pages", "settled p99 ms"];
        table("Cost of an order by age", &head, &[row(&aged.young), row(&aged.old)], out);
    }
}

fn plots(series: &[Second]) -> Vec<Plot> {
    let line =
        |name: &str, value: fn(&Second) -> Option<f64>| Line::new(name, series.iter().map(value));
    let mut names: Vec<&str> = series.iter().flat_map(|s| s.outcomes.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let outcome = |name: &&str| {
        let count = |second: &Second| second.outcomes.get(*name).copied().unwrap_or(0);
        Line::new(name, series.iter().map(|second| Some(f64::from(count(second)))))
    };
    vec![
        Plot {
            title: "Rate",
            unit: "requests a second",
            lines: vec![
                line("offered", |s| Some(f64::from(s.offered))),
                line("good answers", |s| Some(f64::from(s.good))),
            ],
        },
        Plot {
            title: "Latency by the second of the intended start",
            unit: "ms",
            lines: vec![line("p50", |s| s.p50), line("p99", |s| s.p99)],
        },
        Plot {
            title: "Outcomes",
            unit: "answers a second",
            lines: names.iter().map(outcome).collect(),
        },
        Plot {
            title: "Queue",
            unit: "commands that wait",
            lines: vec![line("mailbox", |s| s.waiting)],
        },
        Plot { title: "Commit", unit: "ms", lines: vec![line("mean commit", |s| s.commit_ms)] },
        Plot {
            title: "Events not delivered yet",
            unit: "events",
            lines: vec![line("behind", |s| s.events_behind)],
        },
        Plot {
            title: "Memory of the server",
            unit: "MB",
            lines: vec![line("resident", |s| s.memory_mb)],
        },
        Plot {
            title: "Files",
            unit: "MB",
            lines: vec![line("all files", |s| s.files_mb), line("log of the truth", |s| s.wal_mb)],
        },
        Plot {
            title: "Processors in use",
            unit: "processors",
            lines: vec![line("server", |s| s.server_cpu), line("generator", |s| s.generator_cpu)],
        },
    ]
}

fn search(of: &Certificate, out: &mut String) {
    if of.search.is_empty() {
        return;
    }
    let row = |probe: &crate::Probe| {
        vec![
            probe.kind.to_owned(),
            short(probe.rate),
            short(probe.throughput),
            short(probe.completed * 100.0),
            shown(probe.settled_p99),
            short(probe.drain_s),
            (if probe.sustained { "yes" } else { "no" }).to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = of.search.iter().map(row).collect();
    let head = ["try", "offered/s", "good/s", "completed %", "p99 ms", "drain s", "sustained"];
    table("Search for the highest rate", &head, &rows, out);
}

fn figures(of: &Certificate, out: &mut String) {
    let (cpu, per, phase) = (&of.cpu_us_per_order, &of.per_order, &of.phase_us_per_order);
    let rows: Vec<Vec<String>> = [
        ("server CPU, us", cpu.server),
        ("generator CPU, us", cpu.generator),
        ("rows", per.rows),
        ("pages", per.pages),
        ("WAL bytes", per.wal_bytes),
        ("fsyncs", per.fsyncs),
        ("writer: read, us", phase.read),
        ("writer: decide, us", phase.decide),
        ("writer: write, us", phase.write),
        ("writer: commit, us", phase.commit),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.to_owned(), shown(value)])
    .collect();
    table("Per order, payment or journal", &["figure", "value"], &rows, out);
    let events = &of.events;
    let count = |count: Option<u64>| count.map_or_else(|| shown(None), |n| n.to_string());
    let kafka = of.kafka.map(|kafka| {
        [
            ("records acknowledged by Kafka", count(kafka.acknowledged)),
            ("Kafka: lag p50, ms", shown(kafka.lag_p50_ms)),
            ("Kafka: lag p99, ms", shown(kafka.lag_p99_ms)),
            ("Kafka: all of it after, s", shown(kafka.drain_s)),
        ]
    });
    let rows: Vec<Vec<String>> = [
        ("events written until the last arrival", count(events.written)),
        ("events delivered until then", count(events.delivered)),
        ("behind after the drain", count(events.behind_after_drain)),
        ("lag p50, ms", shown(events.lag_p50_ms)),
        ("lag p99, ms", shown(events.lag_p99_ms)),
        ("memory idle, MB", shown(of.memory_mb.idle)),
        ("memory peak, MB", shown(of.memory_mb.peak)),
    ]
    .into_iter()
    .chain(kafka.into_iter().flatten())
    .map(|(name, value)| vec![name.to_owned(), value])
    .collect();
    table("Events and memory", &["figure", "value"], &rows, out);
}

/// Every condition, flattened as it stands in the JSON.
fn conditions(of: &Certificate, out: &mut String) {
    let mut rows = Vec::new();
    let value = serde_json::to_value(&of.conditions).unwrap_or_default();
    flatten("", &value, &mut rows);
    table("Conditions", &["condition", "value"], &rows, out);
}

fn flatten(name: &str, value: &serde_json::Value, rows: &mut Vec<Vec<String>>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, rows);
            }
        }
        serde_json::Value::Null => rows.push(vec![name.to_owned(), shown(None)]),
        serde_json::Value::String(text) => rows.push(vec![name.to_owned(), text.clone()]),
        other => rows.push(vec![name.to_owned(), other.to_string()]),
    }
}
