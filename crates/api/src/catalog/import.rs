//! An import: a file of up to [`BODY`] bytes, in slices of up to [`SLICE`] rows that wait in the
//! batch lane, so that orders go first. Each slice is rehearsed, which says what it would do and what
//! is wrong; what would change is then done in one commit. The same file again changes nothing,
//! so an import that was broken off is simply sent again.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::catalog::command::{Command, Reject, UNIT};
use jangbu_domain::catalog::import::{Entry, Fate, Verdict};
use jangbu_engine::mailbox::Answer;
use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Envelope, Lane, Origin};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::kept;
use super::sheet::{self, Group, Wrong};
use crate::Api;
use crate::ask::{operated, unanswered};
use crate::call::Call;
use crate::codes::Own;
use crate::explain;
use crate::problem::Problem;
use crate::reply::Reply;

/// The longest body.
pub(crate) const BODY: usize = 1 << 20;
/// Its route, which takes such a body.
pub(crate) const NAME: &str = "catalog.import";
/// Rows of a slice.
const SLICE: usize = 100;
/// Errors that are told.
pub(super) const ERRORS: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ImportIn<'a> {
    #[serde(borrow)]
    csv: Cow<'a, str>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    first_line: Option<u32>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    lines: usize,
    created: usize,
    updated: usize,
    unchanged: usize,
    failed: usize,
    errors: Vec<Wrong>,
    errors_left_out: usize,
}

impl Report {
    fn tell(&mut self, wrong: Wrong) {
        if self.errors.len() < ERRORS {
            self.errors.push(wrong);
        } else {
            self.errors_left_out += 1;
        }
    }

    fn count(&mut self, fates: &[Fate]) {
        for fate in fates {
            match fate {
                Fate::Created => self.created += 1,
                Fate::Updated => self.updated += 1,
                Fate::Unchanged => self.unchanged += 1,
            }
        }
    }

    fn fail(&mut self, entry: &Entry, line: u32, reject: &Reject) {
        self.failed += entry.items.len();
        let (column, code) = (column(reject), reject.code());
        let message = "see the code in API.md; the other lines of the product are left alone, too";
        self.tell(Wrong { line: line.into(), column: Some(column), code, message: message.into() });
    }
}

/// The column that a refusal is about.
fn column(reject: &Reject) -> &'static str {
    match reject {
        Reject::NameInvalid => "name",
        Reject::DescriptionInvalid => "description",
        Reject::PriceInvalid => "price",
        Reject::CurrencyMixed => "currency",
        Reject::OptionsInvalid | Reject::VariantTaken => "options",
        Reject::CategoryInvalid
        | Reject::CategoryTooDeep
        | Reject::CategoryUnknown
        | Reject::CategoryNamed { .. } => "category",
        Reject::SkusMissing => "published",
        Reject::ProductUnknown | Reject::ProductDiffers | Reject::SkuCountInvalid => "product",
        Reject::SkuCodeInvalid
        | Reject::SkuCodeTaken
        | Reject::SkuUnknown
        | Reject::PricePlansFull
        | Reject::Import(_) => "sku",
    }
}

pub(super) async fn import(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ImportIn<'_> = call.json()?;
    let first = body.first_line.unwrap_or(2).max(2);
    let mut report = Report { dry_run: body.dry_run, ..Report::default() };
    let groups = match sheet::read(&body.csv, first.into(), &|| api.shop.mint()) {
        Ok(groups) => groups,
        Err(Wrong { line, message, .. }) => {
            let message = format!("line {line}: {message}");
            return Err(Problem::coded(sheet::code(), message.clone()).at("csv", message));
        }
    };
    let turn =
        tokio::time::timeout(api.settings.request, Arc::clone(&api.journals).acquire_owned());
    let Ok(Ok(_turn)) = turn.await else {
        return Err(Problem::of(Own::Shed, "too much long work waits; send it again later"));
    };
    let mut slice = Vec::new();
    for Group { entry, wrong } in groups {
        report.lines += entry.items.len();
        if !wrong.is_empty() {
            report.failed += entry.items.len();
            for wrong in wrong {
                report.tell(wrong);
            }
            continue;
        }
        let rows: usize = slice.iter().map(|entry: &Entry| entry.items.len()).sum();
        if rows > 0 && rows + entry.items.len() > SLICE {
            run(api, call, std::mem::take(&mut slice), &mut report).await?;
        }
        slice.push(entry);
    }
    if !slice.is_empty() {
        run(api, call, slice, &mut report).await?;
    }
    if !report.dry_run {
        kept::all_written(api).await;
    }
    report.errors.sort_by_key(|wrong| wrong.line);
    Ok(Reply::ok(&report))
}

/// Rehearses a slice, and does what would change.
async fn run(
    api: &Arc<Api>,
    call: &Call,
    entries: Vec<Entry>,
    report: &mut Report,
) -> Result<(), Problem> {
    let rehearse = Command::Rehearse { entries: entries.clone() };
    let verdicts = ask(api, envelope(call, rehearse, &entries)).await?.unwrap_or_default();
    let (mut changes, mut fates) = (Vec::new(), Vec::new());
    for (entry, verdict) in entries.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Wrong(line, reject) => report.fail(&entry, line, &reject),
            Verdict::Done(done) if report.dry_run || done.iter().all(|f| *f == Fate::Unchanged) => {
                report.count(&done);
            }
            Verdict::Done(done) => {
                changes.push(entry);
                fates.push(done);
            }
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    let import = Command::Import { entries: changes.clone() };
    let audited = operated(envelope(call, import, &changes), call, "");
    let Some(verdicts) = ask(api, audited).await? else {
        for done in &fates {
            report.count(done);
        }
        return Ok(());
    };
    // Somebody was faster: nothing of the slice was done.
    for (entry, verdict) in changes.iter().zip(verdicts) {
        let line = entry.items.first().map_or(0, |item| item.line);
        let reject = match verdict {
            Verdict::Wrong(at, reject) => (at, reject),
            Verdict::Done(_) => (line, Reject::Import(Vec::new())),
        };
        report.fail(entry, reject.0, &reject.1);
    }
    Ok(())
}

fn envelope(call: &Call, command: Command, entries: &[Entry]) -> Envelope {
    let rows: usize = entries.iter().map(|entry| entry.items.len()).sum();
    let mut envelope = Envelope::new(UNIT, Origin::Client, command);
    call.mark(&mut envelope);
    envelope.lane = Lane::Batch;
    envelope.bytes = 256 + 512 * rows;
    envelope
}

/// Asks; none: it was done. The codes of the SKUs are the idempotency keys.
async fn ask(api: &Api, envelope: Envelope) -> Result<Option<Vec<Verdict>>, Problem> {
    let (tell, told) = oneshot::channel();
    api.shop.ask(envelope, Box::new(move |answer: Answer| drop(tell.send(answer))));
    let answer = tokio::time::timeout(api.settings.request, told).await;
    match answer.map_err(|_| unanswered())?.map_err(|_| unanswered())? {
        Answer::Done { .. } => Ok(None),
        Answer::Refused(refusal) => match refusal.reject.downcast_ref::<Reject>() {
            Some(Reject::Import(verdicts)) => Ok(Some(verdicts.clone())),
            _ => Err(explain::refusal(&refusal)),
        },
        Answer::KeyReused { .. } | Answer::KeyExpired { .. } => {
            Err(Problem::of(Own::Internal, "an import has no key"))
        }
        Answer::NotRun(why) => Err(Problem::not_run(why)),
    }
}
