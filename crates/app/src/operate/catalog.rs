//! `jangbu catalog`: products from a CSV file, and into one. A file of any length is sent in parts of
//! whole products; what was done stays done, so a run that was broken off is simply started again.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use jangbu_api::sheet;
use serde_json::{Value, json};

use super::client::{Client, escaped};
use crate::args::{CatalogCommand, Desk};
use crate::exit::{self, Exit};

/// Rows and bytes of a part.
const PART: (usize, usize) = (500, 400_000);
/// Products of a page of an export.
const PAGE: usize = 100;
/// Errors that are printed.
const SHOWN: usize = 100;

/// `jangbu catalog …`
pub(crate) fn catalog(desk: &Desk, command: &CatalogCommand) -> Result<Exit> {
    match command {
        CatalogCommand::Import { file, dry_run } => import(desk, file, *dry_run),
        CatalogCommand::Export { to } => export(desk, to.as_deref()),
    }
}

/// What the parts have said so far.
#[derive(Default)]
struct Sum {
    counts: [u64; 5],
    errors: Vec<Value>,
    left_out: u64,
}

const COUNTS: [&str; 5] = ["lines", "created", "updated", "unchanged", "failed"];

impl Sum {
    fn add(&mut self, report: &Value) {
        for (count, name) in self.counts.iter_mut().zip(COUNTS) {
            *count += report[name].as_u64().unwrap_or(0);
        }
        self.left_out += report["errorsLeftOut"].as_u64().unwrap_or(0);
        for error in report["errors"].as_array().into_iter().flatten() {
            if self.errors.len() < SHOWN {
                self.errors.push(error.clone());
            } else {
                self.left_out += 1;
            }
        }
    }

    fn json(&self, dry_run: bool) -> Value {
        let mut all =
            json!({ "dryRun": dry_run, "errors": self.errors, "errorsLeftOut": self.left_out });
        for (name, count) in COUNTS.iter().zip(self.counts) {
            all[*name] = json!(count);
        }
        all
    }

    fn text(&self, dry_run: bool) -> String {
        let [lines, created, updated, unchanged, failed] = self.counts;
        let would = if dry_run { " (a rehearsal: nothing was done)" } else { "" };
        let mut text = format!(
            "{lines} lines: {created} created, {updated} updated, {unchanged} unchanged, {failed} failed{would}"
        );
        for error in &self.errors {
            let word = |name: &str| error[name].as_str().unwrap_or("-").to_owned();
            let (line, column) = (&error["line"], word("column"));
            let _ = write!(text, "\nline {line}, {column}: {} ({})", word("code"), word("message"));
        }
        if self.left_out > 0 {
            let _ = write!(text, "\nand {} more", self.left_out);
        }
        text
    }
}

fn import(desk: &Desk, file: &Path, dry_run: bool) -> Result<Exit> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let client = Client::open(desk)?;
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {pos} of {len} bytes")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(text.len() as u64).with_style(style);
    let (mut sum, mut stopped) = (Sum::default(), None);
    let cut = sheet::parts(&text, PART, &mut |part, first, _rows| {
        let body = json!({ "csv": part, "dryRun": dry_run, "firstLine": first });
        match client.post("/api/v1/catalog/import", &body) {
            Ok(report) => {
                sum.add(&report);
                bar.inc(part.len() as u64);
                true
            }
            Err(error) => {
                stopped = Some(error);
                false
            }
        }
    });
    bar.finish_and_clear();
    if let Err(wrong) = cut {
        let wrong = json!(wrong);
        sum.add(&json!({ "failed": 1, "errors": [wrong] }));
    }
    let shown = if desk.json { sum.json(dry_run).to_string() } else { sum.text(dry_run) };
    exit::print(&shown)?;
    if let Some(error) = stopped {
        return Err(error.context("broken off; start it again to go on"));
    }
    Ok(if sum.counts[4] > 0 { Exit::Finding } else { Exit::Fine })
}

fn export(desk: &Desk, to: Option<&Path>) -> Result<Exit> {
    let client = Client::open(desk)?;
    let mut out: Box<dyn std::io::Write> = match to {
        Some(path) => {
            let file = std::fs::File::create(path);
            Box::new(file.with_context(|| format!("writing {}", path.display()))?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut query = format!("/api/v1/catalog/export?limit={PAGE}");
    loop {
        let page = client.get(&query)?;
        out.write_all(page["csv"].as_str().unwrap_or_default().as_bytes())?;
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("/api/v1/catalog/export?limit={PAGE}&cursor={}", escaped(cursor));
    }
    out.flush()?;
    Ok(Exit::Fine)
}
