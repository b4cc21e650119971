//! A merchant's signing keys: one file, up to two keys, so that one can replace the other while
//! both sign.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use jangbu_api::MerchantKey;
use jangbu_kernel::Secret;
use serde::Deserialize;

use super::{KeyFiles, random, text, write_new};

const FORM: &str =
    "it must be `[[key]]` with id = \"…\", secret = \"…\" and, if wanted, legacy = true";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileIn {
    #[serde(default)]
    key: Vec<KeyIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyIn {
    id: String,
    secret: Secret,
    #[serde(default)]
    legacy: bool,
}

/// Reads the keys of `merchant`.
pub(super) fn read(merchant: &str, file: &Path) -> Result<Vec<MerchantKey>> {
    let named = || format!("the merchant's keys {}", file.display());
    let text = text(file).with_context(named)?;
    let parsed: FileIn =
        toml::from_str(&text).map_err(|error| not_understood(file, &text, &error))?;
    let key = |KeyIn { id, secret, legacy }| MerchantKey {
        id,
        merchant: merchant.to_owned(),
        secret,
        legacy,
    };
    Ok(parsed.key.into_iter().map(key).collect())
}

/// The line, and not what stands in it: the reader's own message would show the secret.
fn not_understood(file: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
    anyhow::anyhow!("the merchant's keys {}: line {line} is not understood; {FORM}", file.display())
}

/// A key that was just made.
#[derive(Debug)]
pub(super) struct MadeKey {
    pub id: String,
    pub secret: Secret,
}

/// Makes a key for `merchant`, its first or its second. What is in the file stays as it is.
pub(super) fn merchant_key(data: &Path, merchant: &str, legacy: bool) -> Result<MadeKey> {
    let files = KeyFiles::of(data);
    let mut keys = files.open()?;
    let file = files.merchant(merchant);
    let (id, secret) = (random("")?, random("jbm_")?);
    let id = format!("{merchant}-{}", &id[..8]);
    let made = MadeKey { id: id.clone(), secret: Secret::new(&*secret) };
    let key =
        MerchantKey { id, merchant: merchant.to_owned(), secret: Secret::new(secret), legacy };
    if let Err(why) = keys.add_merchant(key) {
        bail!("{why} ({})", file.display());
    }
    let entry = format!(
        "[[key]]\nid = \"{}\"\nsecret = \"{}\"\nlegacy = {legacy}\n",
        made.id,
        made.secret.reveal()
    );
    store(&file, &entry).with_context(|| format!("the merchant's keys {}", file.display()))?;
    Ok(made)
}

/// Adds `entry` to the file, whole or not at all.
fn store(file: &Path, entry: &str) -> Result<()> {
    if !file.exists() {
        return write_new(file, entry);
    }
    let mut whole = text(file)?;
    ensure!(whole.is_empty() || whole.ends_with('\n'), "its last line does not end");
    whole.push_str(entry);
    let beside = file.with_extension("toml.new");
    let hidden = beside.with_file_name(format!(
        ".{}",
        beside.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    ));
    let _ = fs::remove_file(&hidden);
    write_new(&hidden, &whole)?;
    Ok(fs::rename(&hidden, file)?)
}
