//! Apache Kafka without `ZooKeeper`: each broker is a controller, too.
//!
//! The jars come from Maven (`e2e/kafka/pom.xml`); there are no shell scripts in them, so the main
//! classes are called. Each broker has three listeners: for clients, for the other brokers, and for
//! controllers. Only the one for clients can stand behind a proxy ([`Kafka::start_behind`]), because
//! a client goes to the address that the broker advertises.
//!
//! With one broker everything is kept once; with three, three times, and a write is good when two have
//! it, so that one may die.

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::Signal;

use crate::{
    error::{Error, Result},
    port::free_port,
    programs,
    service::{self, Launch, Service},
    state::Part,
    toxiproxy::Toxiproxy,
};

const INSTALL_JAVA: &str = "apt-get install --no-install-recommends default-jre-headless";
const INSTALL_JARS: &str = "mvn -q -B -f e2e/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
     -DoutputDirectory=$PWD/.tools/kafka/lib";
/// How long a start may take on a very busy machine; on a quiet one it is two seconds.
const START: Duration = Duration::from_mins(5);
/// What a broker says when it takes requests.
const READY: &str = "Kafka Server started";

/// The line that is waited for, and warnings.
const LOG4J: &str = "rootLogger.level = WARN
rootLogger.appenderRef.c.ref = C
appender.c.type = Console
appender.c.name = C
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = [%d] %p %m (%c)%n
logger.s.name = kafka.server.KafkaRaftServer
logger.s.level = INFO
";

/// What all brokers have in common. A dead broker is noticed after three seconds, not nine.
const COMMON: &str = "process.roles=broker,controller
controller.listener.names=CONTROLLER
listener.security.protocol.map=CLIENT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
num.partitions=6
offsets.topic.num.partitions=6
transaction.state.log.num.partitions=3
auto.create.topics.enable=false
unclean.leader.election.enable=false
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
replica.lag.time.max.ms=3000
num.network.threads=2
num.io.threads=2
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=8388608
";

/// How the machine code is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// Soon ready, slower for ever: tests.
    Quick,
    /// For whoever measures.
    Thorough,
}

/// A Kafka of one or more brokers. Dropping it kills them; their files stay.
#[derive(Debug)]
pub struct Kafka {
    java: PathBuf,
    lib: PathBuf,
    dir: PathBuf,
    compiler: Compiler,
    brokers: Vec<Broker>,
}

#[derive(Debug)]
struct Broker {
    dir: PathBuf,
    client: u16,
    /// For the others.
    inner: u16,
    controller: u16,
    /// Where clients are sent.
    advertised: u16,
    service: Mutex<Option<Service>>,
}

impl Kafka {
    /// Starts so many brokers whose files are in `dir`, for tests.
    pub fn start(dir: &Path, brokers: usize) -> Result<Self> {
        Self::start_with(dir, brokers, Compiler::Quick)
    }

    /// As [`start`](Self::start), with a choice of compiler.
    pub fn start_with(dir: &Path, brokers: usize, compiler: Compiler) -> Result<Self> {
        let ports = (0..brokers).map(|_| free_port().map(|port| (port, port)));
        Self::begin(dir, compiler, ports.collect::<Result<_>>()?)
    }

    /// As [`start`](Self::start), and clients get at broker `i` only through the proxy `kafka-i`.
    pub fn start_behind(dir: &Path, brokers: usize, proxy: &Toxiproxy) -> Result<Self> {
        let mut ports = Vec::new();
        for broker in 0..brokers {
            let port = free_port()?;
            let front = proxy.proxy(&format!("kafka-{broker}"), &format!("127.0.0.1:{port}"))?;
            ports.push((port, front));
        }
        Self::begin(dir, Compiler::Quick, ports)
    }

    fn begin(dir: &Path, compiler: Compiler, ports: Vec<(u16, u16)>) -> Result<Self> {
        let lib = programs::tool("kafka/lib", INSTALL_JARS)?;
        let dir = service::directory(dir)?;
        let mut brokers = Vec::new();
        for (number, (client, advertised)) in ports.into_iter().enumerate() {
            let dir = service::directory(&dir.join(format!("broker-{number}")))?;
            let (inner, controller, service) = (free_port()?, free_port()?, Mutex::new(None));
            brokers.push(Broker { dir, client, inner, controller, advertised, service });
        }
        let kafka = Self { java: java()?, lib, dir, compiler, brokers };
        kafka.prepare()?;
        (0..kafka.brokers.len()).try_for_each(|number| kafka.boot(number))?;
        (0..kafka.brokers.len()).try_for_each(|number| kafka.await_ready(number))?;
        Ok(kafka)
    }

    /// Writes the settings, and makes the directories of new brokers, with one id for all.
    fn prepare(&self) -> Result<()> {
        write(&self.log4j(), LOG4J)?;
        let mut id = None;
        for (number, broker) in self.brokers.iter().enumerate() {
            write(&broker.settings(), &self.properties(number))?;
            let known = fs::read_to_string(broker.dir.join("data/meta.properties")).ok();
            if let Some(meta) = known {
                id = meta.lines().find_map(|l| l.strip_prefix("cluster.id=")).map(str::to_owned);
                continue;
            }
            let cluster = match &id {
                Some(id) => id,
                None => id.insert(self.random_id()?),
            };
            let mut format = self.java("128m");
            format.args(["kafka.tools.StorageTool", "format", "-t", cluster, "-c"]);
            service::run("kafka.tools.StorageTool", {
                format.arg(broker.settings());
                format
            })?;
        }
        Ok(())
    }

    fn random_id(&self) -> Result<String> {
        let mut command = self.java("128m");
        command.args(["kafka.tools.StorageTool", "random-uuid"]);
        let out = service::run("kafka.tools.StorageTool", command)?;
        Ok(out.lines().last().unwrap_or_default().trim().to_owned())
    }

    fn properties(&self, number: usize) -> String {
        let broker = &self.brokers[number];
        let voters = self.brokers.iter().enumerate();
        let voters = voters.map(|(n, b)| format!("{}@127.0.0.1:{}", n + 1, b.controller));
        let voters = voters.collect::<Vec<_>>().join(",");
        let copies = self.brokers.len().min(3);
        let needed = copies.div_ceil(2);
        let Broker { client, inner, controller, advertised, .. } = broker;
        let mut text = COMMON.to_owned();
        for (name, value) in [
            ("node.id", (number + 1).to_string()),
            ("controller.quorum.voters", voters),
            ("log.dirs", broker.dir.join("data").display().to_string()),
            (
                "listeners",
                format!(
                    "CLIENT://127.0.0.1:{client},BROKER://127.0.0.1:{inner},\
                     CONTROLLER://127.0.0.1:{controller}"
                ),
            ),
            (
                "advertised.listeners",
                format!("CLIENT://127.0.0.1:{advertised},BROKER://127.0.0.1:{inner}"),
            ),
            ("default.replication.factor", copies.to_string()),
            ("min.insync.replicas", needed.to_string()),
            ("offsets.topic.replication.factor", copies.to_string()),
            ("transaction.state.log.replication.factor", copies.to_string()),
            ("transaction.state.log.min.isr", needed.to_string()),
        ] {
            // Writing to a string cannot fail.
            _ = writeln!(text, "{name}={value}");
        }
        text
    }

    fn log4j(&self) -> PathBuf {
        self.dir.join("log4j2.properties")
    }

    fn java(&self, heap: &str) -> Command {
        let mut command = Command::new(&self.java);
        command.arg(format!("-Xmx{heap}")).args(["-Xms64m", "-XX:+UseSerialGC"]);
        if self.compiler == Compiler::Quick {
            command.arg("-XX:TieredStopAtLevel=1");
        }
        command.arg(format!("-Dlog4j2.configurationFile={}", self.log4j().display()));
        command.arg("-cp").arg(self.lib.join("*"));
        command
    }

    fn boot(&self, number: usize) -> Result<()> {
        let broker = &self.brokers[number];
        let mut command = self.java("256m");
        command.arg("kafka.Kafka").arg(broker.settings());
        let log = broker.dir.join("kafka.log");
        let launch =
            Launch { name: "Kafka", command, log: &log, farewell: Signal::TERM, remove: None };
        *broker.service.lock() = Some(Service::spawn(launch)?);
        Ok(())
    }

    fn await_ready(&self, number: usize) -> Result<()> {
        let mut service = self.brokers[number].service.lock();
        service.as_mut().map_or(Ok(()), |service| service.ready(READY, START).map(drop))
    }

    /// Addresses of all brokers, for clients.
    pub fn bootstrap(&self) -> String {
        let addresses = self.brokers.iter().map(|b| format!("127.0.0.1:{}", b.advertised));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// How many brokers there are, running or not.
    pub fn brokers(&self) -> usize {
        self.brokers.len()
    }

    /// Asks a broker (from 0) to end, and waits for it.
    pub fn stop(&self, broker: usize) {
        drop(self.brokers[broker].service.lock().take());
    }

    /// SIGKILL.
    pub fn kill(&self, broker: usize) {
        if let Some(service) = self.brokers[broker].service.lock().take() {
            service.kill();
        }
    }

    /// Makes a broker stand still: it is there, takes connections, and says nothing.
    pub fn pause(&self, broker: usize) {
        self.signal(broker, Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self, broker: usize) {
        self.signal(broker, Signal::CONT);
    }

    fn signal(&self, broker: usize, signal: Signal) {
        if let Some(service) = self.brokers[broker].service.lock().as_ref() {
            service.identity().signal(signal);
        }
    }

    /// Starts a broker again, on its old ports, and waits until it takes requests.
    pub fn start_again(&self, broker: usize) -> Result<()> {
        self.kill(broker);
        self.boot(broker)?;
        self.await_ready(broker)
    }

    /// Lets it live on; what it is, for those who will stop it.
    pub fn leave(self) -> Vec<Part> {
        let name = |n: usize| if n == 0 { "kafka".to_owned() } else { format!("kafka-{}", n + 1) };
        let part = |(n, broker): (usize, &Broker)| {
            let address = format!("127.0.0.1:{}", broker.advertised);
            Some(Part::of(broker.service.lock().take()?, &name(n), &address))
        };
        self.brokers.iter().enumerate().filter_map(part).collect()
    }
}

impl Broker {
    fn settings(&self) -> PathBuf {
        self.dir.join("server.properties")
    }
}

impl Drop for Kafka {
    /// Brokers that say goodbye to each other one after the other take their time.
    fn drop(&mut self) {
        (0..self.brokers.len()).for_each(|broker| self.kill(broker));
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::at("writing", path))
}

fn java() -> Result<PathBuf> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    match home.filter(|java| java.is_file()) {
        Some(java) => Ok(java),
        None => programs::program("java", INSTALL_JAVA),
    }
}
