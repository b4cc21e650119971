//! Starting everything, in the order in which one needs the other.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use jangbu_cluster::kafka::Compiler;
use jangbu_cluster::service::Launch;
use jangbu_cluster::{Kafka, Part, Postgres, Redis, Service, State, free_port};
use rustix::process::Signal;

use super::status;
use crate::args::Up;
use crate::exit::{self, Exit, Usage};

/// The database of the shops.
const DATABASE: &str = "shop";
/// The servers' addresses as settings, for a process that is started by hand.
const SETTINGS: &str = "servers.env";
/// How long a process of ours may take to be ready; after a crash it looks at its books.
const START: Duration = Duration::from_mins(1);

pub(super) fn up(dir: &Path, wanted: &Up) -> Result<Exit> {
    check(dir, wanted).map_err(Usage)?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let dir = dir.canonicalize()?;
    // If anything fails on the way, what was started is dropped, and so stopped.
    let stack = Stack::start(&dir, wanted)?;
    let state = State::new(stack.leave());
    state.write(&dir)?;
    status::write_page(&dir, &state)?;
    exit::print(&welcome(&dir, &state))
}

fn check(dir: &Path, wanted: &Up) -> Result<()> {
    ensure!(matches!(wanted.brokers, 0 | 1 | 3), "--brokers is 0, 1 or 3");
    ensure!(wanted.shops <= 8, "--shops is 0 to 8");
    if let Some(state) = State::read(dir)? {
        let running = state.parts.iter().any(|part| state.runs(part));
        ensure!(!running, "the cluster in {} is up: see jangbu cluster status", dir.display());
    }
    Ok(())
}

/// Everything that runs; dropped from the top, so that nobody loses what it needs.
struct Stack {
    shops: Vec<Service>,
    addresses: Vec<String>,
    gateway: Option<(Service, String)>,
    redis: Option<Redis>,
    kafka: Option<Kafka>,
    postgres: Postgres,
}

impl Stack {
    fn start(dir: &Path, wanted: &Up) -> Result<Self> {
        let (sizes, files) = (sizes(), dir.join("postgres"));
        let sizes: Vec<_> = sizes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let postgres = told("PostgreSQL", || Ok(Postgres::start_with(&files, &sizes)?))?;
        let brokers = wanted.brokers;
        let kafka = (brokers > 0).then(|| {
            let dir = dir.join("kafka");
            told("Kafka", || Ok(Kafka::start_with(&dir, brokers, Compiler::Thorough)?))
        });
        let kafka = kafka.transpose()?;
        let redis = (!wanted.no_redis)
            .then(|| told("Redis", || Ok(Redis::start(&dir.join("redis"))?)))
            .transpose()?;
        let gateway = (wanted.shops > 0).then(|| told("the payment gateway", || gateway(dir)));
        let gateway = gateway.transpose()?;
        let mut settings = servers(&postgres, kafka.as_ref(), redis.as_ref())?;
        remember(&dir.join(SETTINGS), &settings)?;
        if let Some((_, url)) = &gateway {
            settings.extend(among_shops(dir, url)?);
        }
        let (mut shops, mut addresses) = (Vec::new(), Vec::new());
        for number in 1..=wanted.shops {
            let (service, address) =
                told(&format!("Jangbu {number}"), || shop(dir, number, &settings))?;
            shops.push(service);
            addresses.push(address);
        }
        Ok(Self { shops, addresses, gateway, redis, kafka, postgres })
    }

    /// Lets all of it live on.
    fn leave(self) -> Vec<Part> {
        let Self { shops, addresses, gateway, redis, kafka, postgres } = self;
        let mut parts = postgres.leave();
        parts.extend(kafka.into_iter().flat_map(Kafka::leave));
        parts.extend(redis.into_iter().flat_map(Redis::leave));
        parts.extend(gateway.map(|(service, url)| Part::of(service, "gateway", &url)));
        let shops = shops.into_iter().zip(addresses).enumerate();
        parts.extend(
            shops.map(|(n, (shop, address))| Part::of(shop, &format!("shop-{}", n + 1), &address)),
        );
        parts
    }
}

/// Does something, and says how long it took.
fn told<T>(what: &str, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let started = start()?;
    exit::print(&format!("{what} is up after {:.1} s\n", began.elapsed().as_secs_f32()))?;
    Ok(started)
}

/// Sizes that a PostgreSQL has on a machine that it shares: a quarter of the memory, at most 4 GiB, and a log
/// that is not full before its time.
fn sizes() -> [(&'static str, String); 7] {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let quarter = (kib.unwrap_or(1 << 20) / 4 / 1024).clamp(128, 4096);
    [
        ("shared_buffers", format!("{quarter}MB")),
        ("max_wal_size", "16GB".to_owned()),
        ("min_wal_size", "2GB".to_owned()),
        ("wal_level", "replica".to_owned()),
        ("wal_log_hints", "off".to_owned()),
        ("checkpoint_timeout", "15min".to_owned()),
        ("wal_compression", "lz4".to_owned()),
    ]
}

/// The servers, as names and values of the environment.
fn servers(
    postgres: &Postgres,
    kafka: Option<&Kafka>,
    redis: Option<&Redis>,
) -> Result<Vec<(&'static str, String)>> {
    let known = format!("select 1 from pg_database where datname = '{DATABASE}'");
    if postgres.sql(&[&known])?.is_empty() {
        postgres.database(DATABASE)?;
    }
    let mut settings = vec![("JANGBU__STORE__URL", postgres.url_of(DATABASE))];
    if let Some(kafka) = kafka {
        settings.push(("JANGBU__KAFKA__BOOTSTRAP", kafka.bootstrap()));
        settings.push(("JANGBU__KAFKA__REPLICATION", kafka.brokers().to_string()));
    }
    settings.extend(redis.map(|redis| ("JANGBU__REDIS__URL", redis.url())));
    Ok(settings)
}

/// What shops beside each other must know besides.
fn among_shops(dir: &Path, gateway: &str) -> Result<[(&'static str, String); 3]> {
    Ok([
        ("JANGBU__LINK__SECRET", secret(&dir.join("link.key"))?),
        ("JANGBU__GATEWAY__URL", gateway.to_owned()),
        ("JANGBU__GATEWAY__LOG", dir.join("gateway/psp.log").display().to_string()),
    ])
}

/// Writes settings down as a shell reads them.
fn remember(file: &Path, settings: &[(&str, String)]) -> Result<()> {
    let lines: Vec<_> =
        settings.iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
    fs::write(file, lines.concat()).with_context(|| file.display().to_string())
}

/// A secret of the cluster's own, readable by its user alone.
fn secret(file: &Path) -> Result<String> {
    if !file.exists() {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
        let hex = format!("{:032x}", u128::from_le_bytes(bytes));
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        io::Write::write_all(&mut opened?, hex.as_bytes())?;
    }
    Ok(fs::read_to_string(file)?.trim().to_owned())
}

fn gateway(dir: &Path) -> Result<(Service, String)> {
    let (data, log) = (dir.join("gateway"), dir.join("gateway/gateway.log"));
    fs::create_dir_all(&data)?;
    let mut command = jangbu()?;
    command.arg("gateway").arg("--data").arg(&data).args(["--listen", &free()?]);
    serve("gateway", command, &log)
}

fn shop(dir: &Path, number: usize, settings: &[(&str, String)]) -> Result<(Service, String)> {
    let name = format!("shop-{number}");
    let data = dir.join(&name);
    fs::create_dir_all(&data)?;
    let (first, keys) = (dir.join("shop-1/keys"), data.join("keys"));
    if number > 1 && !keys.exists() {
        // All of them answer the same callers, and open what another has sealed.
        copy(&first, &keys).with_context(|| format!("copying {}", first.display()))?;
    }
    let mut command = jangbu()?;
    command.arg("serve").arg("--data").arg(&data).args(["--listen", &free()?]);
    for (setting, value) in settings {
        command.env(setting, value);
    }
    serve(&name, command, &data.join("shop.log"))
}

/// Starts a process of ours, and gives it with its URL.
fn serve(name: &str, command: Command, log: &Path) -> Result<(Service, String)> {
    let launch = Launch { name, command, log, farewell: Signal::TERM, remove: None };
    let mut service = Service::spawn(launch)?;
    let line = service.ready("ready http://", START)?;
    let url = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    Ok((service, url))
}

/// This program.
fn jangbu() -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

fn free() -> Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}

/// Copies a directory with what is below it, for the same eyes only.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn welcome(dir: &Path, state: &State) -> String {
    let address = |name: &str| {
        let part = state.parts.iter().find(|part| part.name == name);
        part.map_or("", |part| part.address.as_str())
    };
    let (shop, table, dir) = (address("shop-1"), status::table(state), dir.display());
    let tools = format!(
        "who runs         {dir}/status.html\n\
         the books        psql postgres://postgres@{}/{DATABASE}\n\
         stop it          jangbu cluster down --dir {dir}\n",
        address("postgres"),
    );
    if shop.is_empty() {
        return format!(
            "\n{table}\nuse the servers  . {dir}/{SETTINGS}; jangbu bench seed1000\n{tools}"
        );
    }
    format!(
        "\n{table}\n\
         the interface    {shop}/docs\n\
         an operator key  {dir}/shop-1/keys/operator.key\n\
         goods to sell    jangbu demo --data {dir}/shop-1 --target {shop}\n\
         {tools}",
    )
}
