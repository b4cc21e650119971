//! `jangbu move`: a shop from a directory to a PostgreSQL schema, or back, while nobody serves it.
//!
//! 1. Both sides are locked, and nobody may serve them from here on: the lock of the directory; the lock of
//!    the cell's owner, without a live lease.
//! 2. The source is proven. Its tables are read once for counts and checksums.
//! 3. The target gets its schema and the mark of a move, or goes on where a move of the same shop at the same
//!    commit was killed: the highest key of each table says how far it had come.
//! 4. Each table goes over in the order of its keys, some thousand rows in one transaction.
//! 5. The target is read, and counts and checksums are compared; projections are made anew from its rows; it
//!    is proven.
//! 6. The source gets the mark "away", then the target loses its own. So a kill at any moment leaves one
//!    side that may be served, or none and a move that goes on when it is run again.
//!
//! The gateway's log and the keys are not part of the store: they stay in the data directory, which a server
//! on PostgreSQL has, too.

mod directory;
mod schema;
mod side;
mod told;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jangbu_audit::Report;
use jangbu_engine::books::SHARD;
use jangbu_engine::port::{Fault, Fields, Kind, Mode, RowWriter, Table, WritePlan};
use jangbu_services::registry;
use jangbu_store::{Checksum, Mark, Way};

use crate::args;
use crate::exit::{self, Exit, Usage};
use crate::prove;
use crate::rebuild;

use directory::Directory;
use schema::Schema;
use side::{Side, all, following};
use told::Told;

pub(crate) fn relocate(args: &args::Move) -> Result<Exit> {
    let begun = Instant::now();
    let (mut source, mut target) = sides(args)?;
    if let Some(mark) = source.mark()? {
        return settle(&*source, &*target, &mark);
    }
    let books = source.books();
    let log = books.log();
    let before = prove::report(books, !args.json)?;
    if !before.clean() && !args.despite_findings {
        exit::print(&before.to_string())?;
        if !log.exists() {
            exit::print(&prove::no_log(&log, "--data"))?;
        }
        exit::print("nothing was moved: mend this first, or move it --despite-findings\n")?;
        return Ok(Exit::Finding);
    }
    let sums = sums(&mut *source, "reading", None)?;
    let mark = mark(&mut *source)?;
    target.prepare(&mark)?;
    copy(&mut *source, &mut *target, &sums, args.chunk)?;
    target.filled()?;
    compare(&sums, &self::sums(&mut *target, "comparing", Some(&sums))?)?;
    rebuild::fill(&target.truth()?, &target.new_derived()?)?;
    let after = prove::report(target.books(), !args.json)?;
    if found(&before) != found(&after) {
        exit::print(&after.to_string())?;
        bail!("the books of the target are not those of the source: it stays where it was");
    }
    let away = Mark { way: Way::Away, other: target.shown(), ..mark };
    source.set(&away)?;
    target.clear()?;
    let told = Told { from: source.shown(), to: target.shown(), commit: away.commit, sums, begun };
    exit::print(&told.text(&target.advice(), args.json)?)
}

/// Opens both sides. One is a directory, the other a database.
fn sides(args: &args::Move) -> Result<(Box<dyn Side>, Box<dyn Side>)> {
    let is_url = |side: &str| side.starts_with("postgres://") || side.starts_with("postgresql://");
    let dir = if is_url(&args.from) { &args.to } else { &args.from };
    let data = args.data.clone().unwrap_or_else(|| PathBuf::from(dir));
    let server = |url| Schema::open(url, &args.schema, &data);
    match (is_url(&args.from), is_url(&args.to)) {
        (false, true) => {
            let source = Directory::source(dir.as_ref())?;
            Ok((Box::new(source), Box::new(server(&args.to)?)))
        }
        (true, false) => {
            let source = server(&args.from)?;
            source.ready()?;
            Ok((Box::new(source), Box::new(Directory::target(dir.as_ref(), &data)?)))
        }
        _ => {
            let why = "one of --from and --to is a data directory, the other postgres://…";
            Err(Usage(anyhow::anyhow!(why)).into())
        }
    }
}

/// A source with a mark: the move has come to its end, or nearly; or there is nothing here to be moved.
fn settle(source: &dyn Side, target: &dyn Side, mark: &Mark) -> Result<Exit> {
    let there = target.mark()?;
    let mine = |there: &Mark| there.way == Way::Arriving && there.shop == mark.shop;
    if mark.way == Way::Away && there.as_ref().is_some_and(mine) {
        target.clear()?;
        let done = format!("moved to {} with commit {}\n", target.shown(), mark.commit);
        return exit::print(&(done + &target.advice()));
    }
    let refusal = format!("{} is not moved: {}", source.shown(), mark.refusal());
    Err(Usage(anyhow::anyhow!(refusal)).into())
}

/// What tells this state of this shop from every other.
fn mark(source: &mut dyn Side) -> Result<Mark> {
    let (mut sum, mut commit) = (Checksum::default(), 0);
    source.rows(&SHARD, ([i64::MIN; 3], 1), &mut |row| {
        sum.add(&SHARD, row);
        commit = row.int(1);
    })?;
    let other = source.shown();
    Ok(Mark { way: Way::Arriving, shop: sum.to_string(), commit, other })
}

/// Every table with its count and checksum.
type Sums = Vec<(&'static Table, Checksum)>;

fn sums(side: &mut dyn Side, doing: &'static str, wanted: Option<&Sums>) -> Result<Sums> {
    let bar = bar(wanted.map(total));
    let mut sums = Sums::new();
    for table in registry::TABLES {
        bar.set_message(format!("{doing} {}", table.name));
        let mut sum = Checksum::default();
        all(side, table, PAGE, &mut |row| sum.add(table, row), &bar)?;
        sums.push((table, sum));
    }
    bar.finish_and_clear();
    Ok(sums)
}

/// Rows that are read at a time where nothing depends on it.
const PAGE: u32 = 20_000;

fn total(sums: &Sums) -> u64 {
    sums.iter().map(|(_, sum)| sum.rows).sum()
}

fn copy(source: &mut dyn Side, target: &mut dyn Side, sums: &Sums, chunk: u32) -> Result<()> {
    let bar = bar(Some(total(sums)));
    for (table, _) in sums {
        bar.set_message(format!("moving {}", table.name));
        copy_table(source, target, table, chunk, &bar)
            .with_context(|| format!("moving the table {}", table.name))?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn copy_table(
    source: &mut dyn Side,
    target: &mut dyn Side,
    table: &'static Table,
    chunk: u32,
    bar: &ProgressBar,
) -> Result<(), Fault> {
    let mut plan = WritePlan::default();
    let mut from = match target.last(table)? {
        None => Some([i64::MIN; 3]),
        Some(last) => following(last, table.key.len()),
    };
    while let Some(first) = from.take() {
        plan.clear();
        let mut last = None;
        source.rows(table, (first, chunk), &mut |row| {
            last = Some(table.key_of(row));
            add(&mut plan, table, row);
        })?;
        if plan.is_empty() {
            break;
        }
        target.put(table, &plan)?;
        bar.inc(plan.len() as u64);
        from = last.and_then(|last| following(last, table.key.len()));
    }
    Ok(())
}

/// Puts a row into the plan. Bytes that may be null are null where there are none: no reader can tell them
/// apart.
fn add(plan: &mut WritePlan, table: &'static Table, row: &dyn Fields) {
    let mut to = plan.row(table, Mode::Insert);
    for at in 0..table.width() {
        let col = at.checked_sub(table.key.len()).and_then(|at| table.cols.get(at));
        let (kind, null) = col.map_or((Kind::Int, false), |col| (col.kind, col.null));
        value(&mut to, (kind, null), row, at);
    }
}

fn value(to: &mut RowWriter<'_>, (kind, null): (Kind, bool), row: &dyn Fields, at: usize) {
    match kind {
        Kind::Int => to.opt_int(row.opt_int(at)),
        Kind::Text => to.opt_text(row.opt_text(at)),
        Kind::Blob => to.opt_blob(Some(row.blob(at)).filter(|bytes| !(null && bytes.is_empty()))),
    };
}

fn compare(source: &Sums, target: &Sums) -> Result<()> {
    for ((table, here), (_, there)) in source.iter().zip(target) {
        if here != there {
            bail!(
                "the table {} has {} rows with the checksum {here} at the source, and {} with \
                 {there} at the target: the shop stays where it was",
                table.name,
                here.rows,
                there.rows
            );
        }
    }
    Ok(())
}

/// What a proof has found, without its words.
fn found(report: &Report) -> Vec<(&'static str, &str)> {
    let mut found: Vec<_> =
        report.findings.iter().map(|finding| (finding.rule, finding.subject.as_str())).collect();
    found.sort_unstable();
    found
}

/// A bar over so many rows, or one that only counts; nothing where nobody looks.
fn bar(rows: Option<u64>) -> ProgressBar {
    let style = match rows {
        Some(_) => "{bar:30} {percent:>3}% {pos}/{len} rows, {msg}",
        None => "{spinner} {pos} rows, {msg}",
    };
    let style = ProgressStyle::with_template(style);
    let bar = rows.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
