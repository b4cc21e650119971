//! Who runs: as a table, as JSON, and as a page.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;
use jangbu_cluster::State;
use serde_json::{Value, json};

use crate::exit::{self, Exit};
use crate::operate::aligned;

pub(super) fn status(dir: &Path, as_json: bool) -> Result<Exit> {
    let state = super::started(dir)?;
    write_page(dir, &state)?;
    exit::print(&if as_json { json(&state)? } else { table(&state) })?;
    let all = state.parts.iter().all(|part| state.runs(part));
    Ok(if all { Exit::Fine } else { Exit::Finding })
}

/// The words for a part.
fn row(state: &State, at: usize) -> [String; 5] {
    let part = &state.parts[at];
    let runs = if state.runs(part) { "runs" } else { "has ended" };
    let pid = part.identity.pid.to_string();
    let log = part.log.display().to_string();
    [part.name.clone(), runs.to_owned(), pid, part.address.clone(), log]
}

const TITLES: [&str; 5] = ["WHO", "STATE", "PROCESS", "WHERE", "LOG"];

pub(super) fn table(state: &State) -> String {
    let titles = TITLES.map(str::to_owned).to_vec();
    let rows = (0..state.parts.len()).map(|at| row(state, at).to_vec());
    aligned(&std::iter::once(titles).chain(rows).collect::<Vec<_>>())
}

fn json(state: &State) -> Result<String> {
    let part = |at: usize| {
        let [name, _, _, address, log] = row(state, at);
        let part = &state.parts[at];
        let (pid, running) = (part.identity.pid, state.runs(part));
        json!({ "name": name, "running": running, "pid": pid, "address": address, "log": log })
    };
    let parts: Vec<Value> = (0..state.parts.len()).map(part).collect();
    Ok(serde_json::to_string_pretty(&parts)? + "\n")
}

/// Writes `status.html`: who runs at this moment.
pub(super) fn write_page(dir: &Path, state: &State) -> Result<()> {
    let mut rows = String::new();
    for at in 0..state.parts.len() {
        let [name, runs, pid, address, log] = row(state, at).map(|cell| escaped(&cell));
        let class = if state.runs(&state.parts[at]) { "on" } else { "off" };
        let address = match address.strip_prefix("http://") {
            Some(short) => format!("<a href=\"{address}\">{short}</a>"),
            None => address,
        };
        writeln!(
            rows,
            "<tr><td>{name}</td><td class={class}>{runs}</td><td>{pid}</td><td>{address}</td>\
             <td><a href=\"file://{log}\">{log}</a></td></tr>"
        )?;
    }
    Ok(fs::write(dir.join("status.html"), PAGE.replace("ROWS", &rows))?)
}

const PAGE: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>Jangbu cluster</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; }
td, th { text-align: left; padding: .2rem 1.5rem .2rem 0; }
.on { color: #1a6b34; }
.off { color: #a11; font-weight: bold; }
</style>
<h1>Jangbu cluster</h1>
<table>
<thead><tr><th>Who</th><th>State</th><th>Process</th><th>Where</th><th>Log</th></tr></thead>
<tbody>
ROWS</tbody>
</table>
<p>As of the last <code>jangbu cluster status</code>.</p>
</html>
";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
