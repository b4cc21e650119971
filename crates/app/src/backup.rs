//! `jangbu backup | restore | verify`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jangbu_engine::clock::{Clock, SystemClock};
use jangbu_services::backup::{self, From, Manifest};
use jangbu_store::DataDir;
use serde_json::{Value, json};

use crate::args;
use crate::config::Config;
use crate::consumers;
use crate::exit::{self, Exit, Usage};
use crate::operate::Client;
use crate::prove;
use crate::rebuild;
use crate::serve::whole;
use crate::stores::{Stores, here, truth};

/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// `jangbu backup TO`: the server makes it, or this process if there is none.
pub(crate) fn backup(args: &args::Backup) -> Result<Exit> {
    if !args.data.join("jangbu.db").exists() {
        let missing = anyhow!("there is no shop in {} (--data)", args.data.display());
        return Err(Usage(missing).into());
    }
    let manifest = if prove::is_served(&args.data) { by_server(args)? } else { alone(args)? };
    told(&manifest, &args.to, "backed up to", args.json)
}

fn alone(args: &args::Backup) -> Result<Manifest> {
    let dir = DataDir::open(&args.data)?;
    whole(&dir)?;
    here(&dir)?;
    let config = Config::load(None, None)?;
    let from = From { data: args.data.clone(), keys: args.keys };
    Ok(backup::make_stopped(&from, &args.to, SystemClock.now(), &truth(&dir, &config))?)
}

/// The server keeps its backups where its settings say; this is a copy of the new one.
fn by_server(args: &args::Backup) -> Result<Manifest> {
    if args.to.exists() {
        return Err(backup::Error::Taken(args.to.clone()).into());
    }
    let client = Client::open(&args::Desk {
        server: args.server.clone(),
        key: args.key.clone().unwrap_or_else(|| args.data.join("keys/operator.key")),
        json: args.json,
    })?;
    let begun = client.post("/api/v1/backups", &json!({}))?;
    let word = |name: &str| begun[name].as_str().map(str::to_owned);
    let (name, directory) = word("name").zip(word("directory")).context("no backup's name")?;
    loop {
        std::thread::sleep(LOOK);
        let known = client.get("/api/v1/backups")?;
        let mut items = known["items"].as_array().into_iter().flatten();
        let item = items.find(|item| item["name"] == *name);
        match item.map(|item| (item["state"].as_str().unwrap_or_default(), &item["error"])) {
            Some(("RUNNING", _)) => {}
            Some(("WHOLE", _)) => break,
            Some((_, error)) => bail!("the backup has failed: {}", error.as_str().unwrap_or("?")),
            None => bail!("the server does not know its backup {name} any more"),
        }
    }
    let keys = args.keys.then(|| args.data.join("keys"));
    Ok(backup::carry(Path::new(&directory), &args.to, keys.as_deref())?)
}

/// `jangbu restore FROM --data NEW`
pub(crate) fn restore(args: &args::Restore) -> Result<Exit> {
    let manifest = restored(&args.from, &args.data)?;
    told(&manifest, &args.data, "restored into", args.json)
}

/// A directory that can be served, from a backup.
fn restored(from: &Path, data: &Path) -> Result<Manifest> {
    let manifest = backup::restore(from, data)?;
    let dir = DataDir::open(data)?;
    let mut config = Config::load(None, None)?;
    // What is restored is a directory, wherever the shop lives else.
    config.store.url.clear();
    rebuild::catch_up(&dir, &Stores::of(&dir, &config)?, &consumers::running(&config))?;
    Ok(manifest)
}

/// `jangbu verify FROM`: restored into a scratch directory, and proven there.
pub(crate) fn verify(args: &args::Verify) -> Result<Exit> {
    let parent = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Scratch::new(&parent)?;
    let data = scratch.0.join("data");
    let manifest = restored(&args.from, &data)?;
    let (store, schema, config, psp_log) = (None, None, None, None);
    let proof = args::Prove { data, acks: None, store, schema, config, psp_log, json: args.json };
    if !args.json {
        told(&manifest, &args.from, "the files are those of", false)?;
    }
    prove::prove_directory(&proof)
}

/// A directory that goes when it is not needed any more.
struct Scratch(PathBuf);

impl Scratch {
    fn new(parent: &Path) -> Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| anyhow!("no randomness: {error}"))?;
        let path = parent.join(format!("jangbu-verify-{:016x}", u64::from_le_bytes(random)));
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn told(manifest: &Manifest, at: &Path, what: &str, json: bool) -> Result<Exit> {
    let Manifest { commit, bytes, files, keys, .. } = manifest;
    if json {
        let told: Value = serde_json::to_value(manifest)?;
        return exit::print(&(serde_json::to_string_pretty(&told)? + "\n"));
    }
    let keys = if *keys { "with keys" } else { "without keys" };
    let (count, megabytes) = (files.len(), bytes.div_ceil(1_000_000));
    let at = at.display();
    exit::print(&format!("{what} {at}: commit {commit}, {count} files, {megabytes} MB, {keys}\n"))
}
