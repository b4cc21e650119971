//! One run from an empty directory to a certificate.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::args::{Args, Preset};
use crate::certificate::{Certificate, Paid, Posted, Proof};
use crate::certify::certify;
use crate::desk::Desk;
use crate::issues::Issues;
use crate::journal::Journal;
use crate::journals::{Journals, Shape};
use crate::load::Load;
use crate::marks::{Aim, marks};
use crate::passes::Passes;
use crate::payment_requests::{MERCHANTS, Requests};
use crate::payments::Payments;
use crate::progress::bar;
use crate::purse::{CAMPAIGNS, Purse};
use crate::seed::{self, Seeding};
use crate::signature::Signer;
use crate::stage::Stage;
use crate::world::{Door, Goods, World};
use crate::{Done, Error, Hooks, Verdict};

/// Units of every product that must not run out.
const ENOUGH: u64 = 1_000_000_000;
/// Coupons of a campaign that does not run out during a warm-up.
const MANY: u64 = 1_000_000;

/// Runs a preset to its certificate. Progress goes to standard error, if that is a terminal.
pub fn run(args: &Args, hooks: &Hooks<'_>) -> Result<Done, Error> {
    args.check()?;
    let mut signer = None;
    let mut stage = Stage::open(args, hooks, &mut |keys| {
        if args.signed {
            signer = Some(Signer::create(args.seed, MERCHANTS, keys)?);
        }
        Ok(())
    })?;
    let journal = Journal::create(&stage.acks()).map_err(Error::io("creating the journal"))?;
    let mut certificate = match args.preset {
        Preset::Payments => payments(args, &stage, hooks, signer, journal)?,
        Preset::Ledger => journals(args, &stage, hooks, journal)?,
        Preset::Coupons => issues(args, &stage, hooks, journal)?,
        _ => orders(args, &stage, hooks, journal)?,
    };
    let proof = stage.prove(hooks);
    let verdict = judge(args, &mut certificate, proof);
    if matches!(verdict, Verdict::Finding | Verdict::Unproven) {
        stage.keep();
    }
    let kept = stage.is_kept().then(|| stage.path().to_owned());
    Ok(Done { certificate, verdict, kept })
}

fn orders(
    args: &Args,
    stage: &Stage,
    hooks: &Hooks<'_>,
    journal: Journal,
) -> Result<Certificate, Error> {
    let tag = tag(args);
    let goods = goods(args, stage, &tag)?;
    let (products, coupons) = (goods.products.len(), goods.purse.coupons());
    let sessions = goods.passes.is_some();
    let door = Door { host: &stage.address.host, client_key: &stage.client_key };
    let desk = Desk::new(World::new(args.seed, tag, goods, &door), journal);
    let mut load = Load::new(args, stage, desk)?;
    let (measured, aged) = match args.preset {
        Preset::Overload => (load.overload()?, None),
        Preset::Aged => load.aged()?,
        _ => (load.steady()?, None),
    };
    let mut certificate = certify(args, stage, hooks, &measured);
    certificate.overload = (args.preset == Preset::Overload)
        .then(|| crate::overload::overload(&measured.tally, &certificate));
    certificate.aged = aged;
    certificate.conditions.products = products;
    certificate.conditions.coupons = coupons;
    certificate.conditions.sessions = sessions;
    certificate.search = load.probes;
    Ok(certificate)
}

fn payments(
    args: &Args,
    stage: &Stage,
    hooks: &Hooks<'_>,
    signer: Option<Signer>,
    journal: Journal,
) -> Result<Certificate, Error> {
    let requests = Requests::new(args.seed, tag(args), &stage.address.host, signer);
    let mut load = Load::new(args, stage, Payments::new(args.mix, requests, journal))?;
    let measured = load.steady()?;
    let mut certificate = certify(args, stage, hooks, &measured);
    certificate.payments = Some(Paid { mix: args.mix.name(), signed: args.signed });
    certificate.search = load.probes;
    Ok(certificate)
}

fn journals(
    args: &Args,
    stage: &Stage,
    hooks: &Hooks<'_>,
    journal: Journal,
) -> Result<Certificate, Error> {
    let shape = Shape { seed: args.seed, tag: tag(args), postings: args.postings, hot: args.hot };
    let trade = Journals::new(shape, &stage.address.host, &stage.operator_key, journal);
    let mut load = Load::new(args, stage, trade)?;
    let measured = load.steady()?;
    let mut certificate = certify(args, stage, hooks, &measured);
    certificate.search = std::mem::take(&mut load.probes);
    let mut client = stage.operator();
    let balances = load.into_trade().check(&mut client)?;
    certificate.ledger = Some(Posted {
        postings: args.postings,
        hot: args.hot,
        entries_per_second: certificate.throughput * entries(args.postings),
        balances,
    });
    Ok(certificate)
}

fn issues(
    args: &Args,
    stage: &Stage,
    hooks: &Hooks<'_>,
    journal: Journal,
) -> Result<Certificate, Error> {
    let (tag, total) = (tag(args), args.units());
    let (address, operator_key) = (&stage.address, &stage.operator_key);
    let seeding = Seeding { address, operator_key, tag: &tag };
    let campaigns = seed::campaigns_of(&seeding, [total, MANY])?;
    let door = (stage.address.host.as_str(), stage.client_key.as_str());
    let trade = Issues::new(tag, door, &campaigns, total, journal);
    let mut load = Load::new(args, stage, trade)?;
    let measured = load.steady()?;
    let mut certificate = certify(args, stage, hooks, &measured);
    certificate.positions = Some(load.into_trade().positions());
    Ok(certificate)
}

/// Entries of a journal.
#[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
fn entries(postings: u64) -> f64 {
    (postings * 2) as f64
}

/// Start of all keys: by the seed; against a target also by the time, since its keys live on.
fn tag(args: &Args) -> String {
    let run = match args.target {
        Some(_) => format!("-{:x}", jiff::Timestamp::now().as_millisecond()),
        None => String::new(),
    };
    format!("{}-{}{run}", args.preset.name(), args.seed)
}

fn goods(args: &Args, stage: &Stage, tag: &str) -> Result<Goods, Error> {
    let stock = match args.preset {
        Preset::Flash => vec![args.units(), ENOUGH],
        _ => vec![ENOUGH; args.products],
    };
    let seeding = Seeding { address: &stage.address, operator_key: &stage.operator_key, tag };
    let bar = bar("products", stock.len() as u64);
    let products = seed::products(&seeding, &stock, &bar)?;
    bar.finish_and_clear();
    let purse = if args.is_full() { purse(args, &seeding)? } else { Purse::empty(args.users) };
    let passes = stage.keys().filter(|_| args.is_full()).map(|keys| {
        let now = jiff::Timestamp::now().as_second();
        Passes::mint(&keys, args.users, now)
    });
    Ok(Goods { products, purse, passes: passes.transpose()? })
}

/// Points for every user, and coupons for three orders of ten.
fn purse(args: &Args, seeding: &Seeding<'_>) -> Result<Purse, Error> {
    let given = bar("points", args.users);
    seed::points(seeding, args.users, &given)?;
    given.finish_and_clear();
    let count = coupons_for(args);
    let given = bar("coupons", (count / 500) as u64);
    let coupons = seed::coupons(seeding, ((args.seed, args.users), count), &given)?;
    given.finish_and_clear();
    Ok(Purse::full((args.seed, args.users), coupons))
}

/// As many coupons as the arguments say, or as three orders of ten can bring, and a few more; the
/// same number in each campaign.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a run are positive and far below 2^53"
)]
fn coupons_for(args: &Args) -> usize {
    let wanted = args.coupons.unwrap_or_else(|| (args.arrivals() * 0.306) as usize);
    wanted.div_ceil(CAMPAIGNS).max(1) * CAMPAIGNS
}

/// Enters the proof, measures the marks, says how it went.
fn judge(args: &Args, certificate: &mut Certificate, proof: anyhow::Result<Proof>) -> Verdict {
    match proof {
        Ok(proof) => {
            certificate.proof = Some(proof.sums);
            certificate.proof_report = Some(proof.report);
        }
        Err(error) => certificate.proof_error = Some(format!("{error:#}")),
    }
    certificate.marks = marks(Aim { preset: args.preset, units: args.units() }, certificate);
    let reached = certificate.marks.iter().all(|mark| mark.pass);
    let verdict = match certificate.proof {
        _ if certificate.replays.different > 0 => Verdict::Finding,
        None => Verdict::Unproven,
        Some(sums) if !sums.is_clean() => Verdict::Finding,
        Some(_) if reached => Verdict::Passed,
        Some(_) => Verdict::Missed,
    };
    certificate.pass = verdict == Verdict::Passed;
    verdict
}

/// Prints the table for people and writes the JSON where the arguments say.
pub fn publish(args: &Args, done: &Done) -> io::Result<()> {
    let json = serde_json::to_string_pretty(&done.certificate)? + "\n";
    let kept = |path: &PathBuf| format!("  kept        {}\n", path.display());
    let kept = done.kept.as_ref().map(kept).unwrap_or_default();
    let table = format!("{}{kept}", done.certificate);
    if let Some(page) = args.page() {
        fs::write(page, crate::page::page(&done.certificate))?;
    }
    match &args.json {
        Some(path) if path == Path::new("-") => {
            io::stdout().lock().write_all(json.as_bytes())?;
            return io::stderr().lock().write_all(table.as_bytes());
        }
        Some(path) => fs::write(path, json)?,
        None => {}
    }
    io::stdout().lock().write_all(table.as_bytes())
}
