//! `jangbu serve`: everything in one process on one data directory.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use jangbu_adapters::redis::Redis;
use jangbu_api::{AdmissionRules, Api, Connections, Parts, PasswordCost, Settings};
use jangbu_engine::clock::SystemClock;
use jangbu_engine::executor::ExecutorLimits;
use jangbu_engine::keep::{Floor, lowest};
use jangbu_engine::mailbox;
use jangbu_engine::trace::{Tracer, Tracing};
use jangbu_otlp::Exporter;
use jangbu_services::backup::{Backups, Scheduler, UNFINISHED};
use jangbu_services::cache::{Cache, Front};
use jangbu_services::consumer::{Running, Terms};
use jangbu_services::link::Sharing;
use jangbu_services::notification::{Office, Post};
use jangbu_services::queries::Queries;
use jangbu_services::registry::Rules;
use jangbu_services::relay::{self, Bell};
use jangbu_services::shared::Shared;
use jangbu_services::shop::{Delivery, Layout, Shop};
use jangbu_services::tail::{Place, Tail};
use jangbu_store::DataDir;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::args;
use crate::config::Config;
use crate::consumers;
use crate::exit::{Exit, Usage};
use crate::gateway::{self, Hearer};
use crate::keys::KeyFiles;
use crate::prove;
use crate::publish;
use crate::rebuild;
use crate::stores::Stores;

/// How long a stop waits for answers of the gateway.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn serve(args: &args::Serve) -> Result<Exit> {
    let started = Instant::now();
    let config = Config::load(args.config.as_deref(), args.listen).map_err(Usage)?;
    let level = config.log.checked()?;
    tracing_subscriber::fmt().json().with_max_level(level).with_writer(std::io::stderr).init();
    std::panic::set_hook(Box::new(log_panic));
    let dir = DataDir::open(&args.data)?;
    whole(&dir)?;
    let mut builder = match threads(config.server.threads) {
        // Tasks that never change threads need no locks to be woken.
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(threads(config.server.threads))
        .enable_all()
        .thread_name("jangbu-http")
        .build()
        .context("no threads")?;
    let (deliveries, answers) = mpsc::unbounded_channel();
    let (tracer, exporter) = exporter(&config)?.unzip();
    let house = House::open(&dir, &config, (deliveries, tracer))?;
    runtime.block_on(house.serve(&config, answers, started))?;
    house.close()?;
    if let Some(exporter) = exporter {
        exporter.stop();
    }
    drop(runtime);
    Ok(Exit::Fine)
}

/// A panic is a line of the log as any other. What it was about stands in the line of whoever
/// caught it.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("a panic without a text");
    let place = panic.location().map(tracing::field::display);
    let thread = std::thread::current();
    tracing::error!(text, place, thread = thread.name(), "a panic");
}

/// Where the spans of traced requests go, if anywhere.
pub(crate) fn exporter(config: &Config) -> Result<Option<(Arc<dyn Tracer>, Exporter)>> {
    let Some(endpoint) = config.tracing.endpoint() else { return Ok(None) };
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| anyhow!("no random numbers: {error}"))?;
    let (endpoint, sample) = (endpoint.to_owned(), config.tracing.per_million());
    Ok(Some(Exporter::start(jangbu_otlp::Settings { endpoint, sample, key })?))
}

/// Whether a restore has come to its end here.
pub(crate) fn whole(dir: &DataDir) -> Result<()> {
    if dir.file(UNFINISHED).exists() {
        let why = "a restore was broken off here: remove the directory and restore it again";
        return Err(Usage(anyhow!("{}: {why}", dir.path().display())).into());
    }
    Ok(())
}

fn threads(wanted: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if wanted > 0 { wanted } else { (cores / 2).max(1) }
}

/// Everything that lives as long as the server.
struct House {
    api: Arc<Api>,
    consumers: Running,
    /// Publishes events.
    relay: Option<relay::Running>,
    shop: Arc<Shop>,
    /// Makes backups by themselves.
    scheduler: Option<Scheduler>,
    /// Sends mails and calls hooks.
    post: Option<Post>,
    /// Tells what is only kept in memory what has changed.
    tail: Tail,
}

impl House {
    fn open(
        dir: &DataDir,
        config: &Config,
        (deliveries, tracer): (mpsc::UnboundedSender<Delivery>, Tracing),
    ) -> Result<Self> {
        let files = KeyFiles::of(dir.path());
        let keys = files.open().map_err(Usage)?;
        let stores = Stores::of(dir, config)?;
        // Lists can be asked for as soon as the server is ready: their tables must be there.
        rebuild::catch_up(dir, &stores, &consumers::running(config))?;
        let replicas = stores.replicas(config)?;
        let Stores { truth, derived, .. } = stores;
        let webhooks = Hearer::default();
        let gateway = gateway::open(dir, config, &webhooks)?;
        let bell: Arc<Bell> = Arc::default();
        let defaults = Layout::one_cell(Arc::clone(&truth), gateway, Arc::new(SystemClock));
        let layout = layout(config, defaults, (deliveries, Arc::clone(&bell), tracer.clone()));
        let shop = Arc::new(Shop::open(layout)?);
        let _ = webhooks.set(Arc::downgrade(&shop));
        let channels = consumers::channels(config, &files)?;
        let terms = Terms {
            clock: Arc::new(SystemClock),
            patience: config.retention.derived().parked,
            standing: shop.standing(),
            tracer: tracer.clone(),
        };
        let members = consumers::members(config, &channels)?;
        let consumers = Running::start(&*truth, Arc::clone(&derived), terms, members)?;
        let stores = (Arc::clone(&truth), Arc::clone(&derived));
        let beside = (bell, shop.standing(), tracer);
        let relay = publish::start(stores, consumers.handle(), beside, config)?;
        let queries = Arc::new(Queries::new(Arc::clone(&truth), derived));
        let sealing = Arc::new(files.sealing(queries.has_users()?).map_err(Usage)?);
        let office = Office {
            queries: Arc::clone(&queries),
            sealing: Arc::clone(&sealing),
            consumers: consumers.handle(),
            clock: Arc::new(SystemClock),
            standing: shop.standing(),
            shop: config.notification.shop.clone(),
            language: config.notification.language()?,
        };
        let post = config.notification.is_on().then(|| office.open(channels)).transpose()?;
        let consumer = consumers.handle();
        let watch = relay.as_ref().map(relay::Running::watch);
        let mut floors = vec![Arc::new(move || consumer.floor()) as Floor];
        floors.extend(watch.clone().map(|watch| Arc::new(move || watch.floor()) as Floor));
        shop.keep(config.retention.keep(), lowest(floors));
        let schedule = config.backup.schedule(dir.path());
        let backups = Arc::new(Backups::new(Arc::clone(&shop), dir.path(), schedule));
        let scheduler = backups.follow()?;
        let place: Arc<Place> = Arc::default();
        let (front, shared) = caching(config, &place)?;
        let api = Api::new(Parts {
            shop: Arc::clone(&shop),
            queries,
            replicas,
            sealing: Arc::clone(&sealing),
            truth: Arc::clone(&truth),
            keys,
            settings: settings(config)?,
            consumer: consumers.handle(),
            relay: watch,
            post: post.as_ref().map(Post::tallies).unwrap_or_default(),
            prove: prover(dir, config),
            backups,
            front,
            shared,
        });
        let tail = Tail::follow(truth, Arc::new(SystemClock), place, api.followers())?;
        Ok(Self { api, consumers, relay, shop, scheduler, post, tail })
    }

    /// Serves until a signal comes, then lets those who wait finish.
    async fn serve(
        &self,
        config: &Config,
        mut answers: mpsc::UnboundedReceiver<Delivery>,
        started: Instant,
    ) -> Result<()> {
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            while let Some(delivery) = answers.recv().await {
                delivery.run();
            }
        });
        let listener = listen(config.server.listen)
            .with_context(|| format!("listening on {}", config.server.listen))?;
        say_ready(listener.local_addr()?, started)?;
        let warming = Arc::clone(&self.api);
        let warmed = tokio::task::spawn_blocking(move || match warming.warm() {
            Ok(products) => tracing::info!(products, "read ahead"),
            Err(fault) => tracing::warn!(%fault, "nothing is read ahead"),
        });
        let limits = connections(config);
        open_files(limits.most);
        let shop = Arc::clone(&self.shop);
        let until = async move {
            stopped().await;
            // Who shares its database hands it over while those who wait here are answered.
            tokio::task::spawn_blocking(move || shop.hand_over());
        };
        jangbu_api::serve(listener, Arc::clone(&self.api), limits, until).await?;
        Ok(warmed.await?)
    }

    fn close(self) -> Result<()> {
        let Self { api, consumers, relay, shop, scheduler, post, tail } = self;
        drop(tail);
        drop(api);
        let closed = shop.close(PATIENCE);
        // A backup that was being made is given up with its shop.
        drop(scheduler);
        closed?;
        if let Some(post) = post {
            post.stop();
        }
        // The consumers keep its place.
        if let Some(relay) = relay {
            relay.stop();
        }
        consumers.stop()?;
        Ok(())
    }
}

/// How the shop works: what the settings say, and whom its commits tell.
fn layout(
    config: &Config,
    defaults: Layout,
    (deliveries, bell, tracer): (mpsc::UnboundedSender<Delivery>, Arc<Bell>, Tracing),
) -> Layout {
    Layout {
        rules: Rules::new("sim").scaled(config.saga.patience_percent),
        limits: mailbox::Limits {
            items: config.limits.waiting,
            batch: config.limits.batch,
            ..mailbox::Limits::default()
        },
        calls: ExecutorLimits { in_flight: config.limits.calls, ..ExecutorLimits::default() },
        // The owner hands all answers of a commit over at once; the runtime wakes the rest.
        deliver: Arc::new(move |delivery| {
            drop(deliveries.send(delivery));
            bell.ring();
        }),
        sharing: shared(config),
        tracer,
        ..defaults
    }
}

/// How the database is shared with other processes; none: it is a file, and this one's alone.
fn shared(config: &Config) -> Option<Sharing> {
    let lease = Duration::from_millis(config.store.lease_ms);
    (!config.store.url.is_empty()).then(|| config.link.sharing(lease))
}

/// What reads of the catalogue ask first, and what is shared with other processes.
type Caching = (Arc<Front>, Option<Arc<dyn Shared>>);

fn caching(config: &Config, place: &Arc<Place>) -> Result<Caching> {
    let (limits, clock) = (config.cache.limits(), Arc::new(SystemClock));
    let redis = match config.redis.settings(limits.life)? {
        Some(settings) => Some(Arc::new(Redis::start(settings, clock.clone())?)),
        None => None,
    };
    let far = redis.clone().map(|redis| redis as Arc<dyn Cache>);
    let front = Front::new(limits, far, Arc::clone(place), clock);
    Ok((Arc::new(front), redis.map(|redis| redis as Arc<dyn Shared>)))
}

fn settings(config: &Config) -> Result<Settings> {
    Ok(Settings {
        wait: Duration::from_millis(config.server.wait_ms),
        start: Duration::from_millis(config.server.queue_ms),
        body: config.server.body_bytes,
        rates: config.rates.checked()?,
        admission: AdmissionRules {
            target: config.admission.target(&config.store),
            least: config.admission.least,
            most: config.admission.most,
            browse: config.admission.browse,
            refusals: config.admission.refusals,
        },
        session: Duration::from_secs(config.users.session_minutes * 60),
        passwords: PasswordCost {
            memory: config.users.password_kib,
            passes: config.users.password_passes,
            at_once: config.users.passwords_at_once,
        },
        unsigned_payments: config.payments.unsigned,
        nonces: config.payments.nonces,
        log_every: config.tracing.log_every(),
        ..Settings::default()
    })
}

fn prover(dir: &DataDir, config: &Config) -> jangbu_api::Prove {
    let (data, store, psp_log) =
        (dir.path().to_owned(), config.store.clone(), config.gateway.log());
    Arc::new(move || {
        let books = prove::books(&data, &store.url, &store.schema);
        let options = jangbu_audit::Options { live: true, psp_log: psp_log.clone(), ..books };
        let report = jangbu_audit::prove(&options).map_err(|error| error.to_string())?;
        serde_json::to_value(report).map_err(|error| error.to_string())
    })
}

fn connections(config: &Config) -> Connections {
    Connections {
        most: config.connections.most,
        header: Duration::from_millis(config.connections.header_ms),
        idle: Duration::from_millis(config.connections.idle_ms),
        header_bytes: config.connections.header_bytes,
    }
}

/// Files besides connections: the stores with their readers, logs, keys.
const OTHER_FILES: u64 = 512;

/// Lets the process open as many files as its connections need, as far as it may.
pub(crate) fn open_files(connections: usize) {
    let wanted = connections as u64 + OTHER_FILES;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    } else if limit.current < Some(wanted) {
        tracing::warn!(limit = limit.current, wanted, "too few open files for connections.most");
    }
}

/// Connections that may wait to be accepted: a sale begins with all its buyers at once, and who
/// is dropped here tries again only after a second.
const BACKLOG: u32 = 4_096;

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn say_ready(addr: SocketAddr, started: Instant) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready http://{addr} in {} ms", started.elapsed().as_millis())?;
    Ok(out.flush()?)
}

pub(crate) async fn stopped() {
    let term = async {
        match signal(SignalKind::terminate()) {
            Ok(mut term) => drop(term.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = term => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping: no new connections, those who wait are answered");
}
