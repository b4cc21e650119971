//! The keys of a shop, readable by its user alone. Those of clients and of the first operator are
//! made at the first start; more operators and merchants are files that somebody makes.
//!
//! ```text
//! keys/client.key  keys/operator.key  keys/operators/NAME.key  keys/merchants/MERCHANT_ID.toml
//! keys/sealing/ID.key     sealed columns: the highest id (001 to 255) seals, all of them open
//! keys/index.key          blind indexes; a new one would find nothing that is stored
//! keys/sessions/KID.key   customers' sessions: the last name signs, all of them verify
//! ```

mod merchant;
mod rotate;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use jangbu_api::Keys;
use jangbu_kernel::Secret;
use jangbu_services::sealing::Sealing;

use merchant::merchant_key;
pub(crate) use rotate::keys;

use crate::args;
use crate::exit::{self, Exit, Usage};

const LENGTH_MIN: usize = 20;
/// The first session key: names are ordered as text, so that the next one is `0002.key`.
const FIRST: &str = "0001.key";
const FIRST_SEALING: &str = "001.key";
/// Bytes of a sealing key.
const SEALING: usize = 32;

/// Where the keys of a data directory are.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    pub client: PathBuf,
    pub operator: PathBuf,
    operators: PathBuf,
    merchants: PathBuf,
    sessions: PathBuf,
    sealing: PathBuf,
    index: PathBuf,
    webhook: PathBuf,
}

impl KeyFiles {
    /// Below `data`.
    pub(crate) fn of(data: &Path) -> Self {
        let dir = data.join("keys");
        Self {
            client: dir.join("client.key"),
            operator: dir.join("operator.key"),
            operators: dir.join("operators"),
            merchants: dir.join("merchants"),
            sessions: dir.join("sessions"),
            sealing: dir.join("sealing"),
            index: dir.join("index.key"),
            webhook: dir.join("webhook.key"),
        }
    }

    /// The file of a merchant's keys.
    pub(crate) fn merchant(&self, merchant: &str) -> PathBuf {
        self.merchants.join(format!("{merchant}.toml"))
    }

    /// Reads all keys, making those of the client and of the first operator if they are missing.
    pub(crate) fn open(&self) -> Result<Keys> {
        let mut keys = Keys::new(open(&self.client, "jbc_")?, open(&self.operator, "jbo_")?);
        for (name, file) in files(&self.operators, "key")? {
            let key = read(&file)?;
            keys.add_operator(&name, key)
                .map_err(|why| anyhow!("the operator's key {}: {why}", file.display()))?;
        }
        for (merchant, file) in files(&self.merchants, "toml")? {
            for key in merchant::read(&merchant, &file)? {
                keys.add_merchant(key)
                    .map_err(|why| anyhow!("the merchant's keys {}: {why}", file.display()))?;
            }
        }
        for (id, file) in self.session_files()? {
            let key = read(&file)?;
            keys.add_session(&id, key)
                .map_err(|why| anyhow!("the session key {}: {why}", file.display()))?;
        }
        Ok(keys)
    }

    /// What seals personal data and credentials. The first keys are made as long as nothing is
    /// sealed: a shop whose keys are lost must not begin to write what fits to nothing.
    pub(crate) fn sealing(&self, sealed: bool) -> Result<Sealing> {
        let found = files(&self.sealing, "key")?;
        if found.is_empty() && !self.index.exists() {
            ensure!(
                !sealed,
                "the sealing keys in {} and {} are missing, and users are sealed with them: \
                 restore both",
                self.sealing.display(),
                self.index.display()
            );
            write_key(&self.index, "", SEALING)?;
            write_key(&self.sealing.join(FIRST_SEALING), "", SEALING)?;
        }
        let mut keys = Vec::new();
        for (name, file) in files(&self.sealing, "key")? {
            let id = name.parse::<u8>().ok().filter(|id| name == format!("{id:03}"));
            let id = id.with_context(|| {
                format!("{} is no sealing key: names are 001.key to 255.key", file.display())
            })?;
            keys.push((id, read(&file)?));
        }
        let index = read(&self.index)?;
        Sealing::new(&keys, &index, random_bytes).map_err(|why| anyhow!("{why}"))
    }

    /// What signs the calls of hooks; made if it is missing.
    pub(crate) fn webhook(&self) -> Result<Secret> {
        open(&self.webhook, "jbw_")
    }

    /// Name and file of the session keys, oldest first; the first one is made if there is none.
    fn session_files(&self) -> Result<Vec<(String, PathBuf)>> {
        let found = files(&self.sessions, "key")?;
        if !found.is_empty() {
            return Ok(found);
        }
        open(&self.sessions.join(FIRST), "jbs_")?;
        files(&self.sessions, "key")
    }
}

/// `jangbu merchant-key`.
pub(crate) fn make(args: &args::MerchantKey) -> Result<Exit> {
    let args::MerchantKey { merchant, data, legacy } = args;
    let made = merchant_key(data, merchant, *legacy).map_err(Usage)?;
    exit::print(&format!(
        "keyId  {}\nsecret {}\n\nHand both to {merchant}; they stand in {} as well.\nA server that \
         runs on this directory knows the key after its next start.\n",
        made.id,
        made.secret.reveal(),
        KeyFiles::of(data).merchant(merchant).display(),
    ))
}

/// Stem and path of the files with this ending, in order. Another file is a mistake that would go
/// unnoticed; one that begins with a dot is none of ours.
fn files(dir: &Path, ending: &str) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("the directory {}", dir.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        let Some(stem) = name.strip_suffix(ending).and_then(|stem| stem.strip_suffix('.')) else {
            bail!("{} is no key: its name must end with .{ending}", path.display());
        };
        found.push((stem.to_owned(), path.clone()));
    }
    found.sort();
    Ok(found)
}

fn open(file: &Path, prefix: &str) -> Result<Secret> {
    match read(file) {
        Err(error) if is_missing(&error) => {
            let key = format!("{}\n", random(prefix)?);
            write_new(file, &key).with_context(|| format!("making the key {}", file.display()))?;
            read(file)
        }
        key => key,
    }
}

/// Reads a key.
pub(crate) fn read(file: &Path) -> Result<Secret> {
    let text = text(file).with_context(|| format!("the key {}", file.display()))?;
    let key = text.trim();
    ensure!(
        key.len() >= LENGTH_MIN,
        "the key {} is shorter than {LENGTH_MIN} characters; remove it to get a new one",
        file.display()
    );
    Ok(Secret::new(key))
}

/// The text of a file that nobody else may read.
fn text(file: &Path) -> Result<String> {
    let mode = fs::metadata(file)?.permissions().mode();
    let others = mode & 0o077;
    ensure!(
        others == 0,
        "others may read it (mode {:o}); if they have not, `chmod 600 {}`, else make a new one",
        mode & 0o777,
        file.display()
    );
    Ok(fs::read_to_string(file)?)
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::NotFound)
}

/// Bytes that nobody can guess. Without them nothing may be sealed.
#[expect(clippy::panic, reason = "a nonce or salt that can be guessed is worse than no answer")]
pub(crate) fn random_bytes(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        panic!("no randomness: {error}");
    }
}

/// A prefix that says what it is, and 24 random bytes in hexadecimal.
fn random(prefix: &str) -> Result<String> {
    random_of(prefix, 24)
}

fn random_of(prefix: &str, length: usize) -> Result<String> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().fold(prefix.to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

/// Makes a key of so many random bytes.
fn write_key(file: &Path, prefix: &str, length: usize) -> Result<()> {
    let key = format!("{}\n", random_of(prefix, length)?);
    write_new(file, &key).with_context(|| format!("making the key {}", file.display()))
}

/// Makes a file, and the directory above it, for this user alone.
fn write_new(file: &Path, text: &str) -> Result<()> {
    if let Some(dir) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    out.write_all(text.as_bytes())?;
    Ok(out.sync_all()?)
}

#[cfg(test)]
mod tests;
