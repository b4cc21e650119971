//! Redis: one server, or a master with a replica and three sentinels that promote it.
//!
//! Nothing is written to a disk: Redis is a cache here, and one that was killed comes back empty.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::process::Signal;

use crate::{
    error::{Error, Result},
    port::free_port,
    programs,
    service::{self, Launch, Service},
    state::Part,
};

const INSTALL: &str = "apt-get install --no-install-recommends redis-server";
const INSTALL_SENTINEL: &str = "apt-get install --no-install-recommends redis-sentinel";
/// How long a start may take.
const START: Duration = Duration::from_secs(30);
/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Sentinels, of which two must agree.
const SENTINELS: usize = 3;

/// A Redis server. Dropping it stops it.
#[derive(Debug)]
pub struct Redis {
    dir: PathBuf,
    program: PathBuf,
    port: u16,
    master: Option<u16>,
    service: Mutex<Option<Service>>,
}

impl Redis {
    /// Starts a server.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::begin(dir, None)
    }

    /// Starts a master, a replica, and three sentinels that watch them.
    pub fn sentinels(dir: &Path) -> Result<Sentinels> {
        Sentinels::start(dir)
    }

    fn begin(dir: &Path, master: Option<u16>) -> Result<Self> {
        let program = programs::program("redis-server", INSTALL)?;
        let dir = service::directory(dir)?;
        let redis = Self { dir, program, port: free_port()?, master, service: Mutex::new(None) };
        redis.start_again()?;
        Ok(redis)
    }

    /// For clients.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, the same for all its life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL.
    pub fn kill(&self) {
        if let Some(service) = self.service.lock().take() {
            service.kill();
        }
    }

    /// Starts it on its old port, empty; first it is killed, if it runs.
    pub fn start_again(&self) -> Result<()> {
        self.kill();
        let mut command = Command::new(&self.program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.arg("--dir").arg(&self.dir).args(["--save", "", "--appendonly", "no"]);
        // Who copies from this server gets its copy at once, and over the connection.
        command.args(["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]);
        if let Some(master) = self.master {
            command.args(["--replicaof", &format!("127.0.0.1 {master}")]);
        }
        let log = self.dir.join("redis.log");
        let launch =
            Launch { name: "Redis", command, log: &log, farewell: Signal::TERM, remove: None };
        let mut service = Service::spawn(launch)?;
        service.ready("Ready to accept connections", START)?;
        *self.service.lock() = Some(service);
        Ok(())
    }

    /// What the server says to a command without blanks in its words; bulk and simple answers only.
    pub fn ask(&self, command: &str) -> Result<String> {
        ask(self.port, command)
    }

    /// Lets it live on; what it is, for those who will stop it.
    pub fn leave(self) -> Vec<Part> {
        let address = format!("127.0.0.1:{}", self.port);
        self.service.lock().take().into_iter().map(|s| Part::of(s, "redis", &address)).collect()
    }
}

/// A master, a replica and three sentinels. Dropping it stops all of them.
#[derive(Debug)]
pub struct Sentinels {
    servers: [Redis; 2],
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    /// Held so that it runs.
    _service: Service,
}

impl Sentinels {
    /// What the sentinels call the master.
    pub const MASTER: &str = "jangbu";

    fn start(dir: &Path) -> Result<Self> {
        let dir = service::directory(dir)?;
        let master = Redis::start(&dir.join("master"))?;
        let replica = Redis::begin(&dir.join("replica"), Some(master.port))?;
        let program = programs::program("redis-sentinel", INSTALL_SENTINEL)?;
        let mut sentinels = Vec::new();
        for number in 1..=SENTINELS {
            let dir = service::directory(&dir.join(format!("sentinel-{number}")))?;
            sentinels.push(Sentinel::start(&program, &dir, master.port)?);
        }
        let all = Self { servers: [master, replica], sentinels };
        all.await_acquaintance()?;
        Ok(all)
    }

    /// Each sentinel must know the replica and the others before it can help.
    fn await_acquaintance(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let known = format!("slaves=1,sentinels={SENTINELS}");
            let mut ready = true;
            for sentinel in &self.sentinels {
                ready &= ask(sentinel.port, "INFO sentinel")?.contains(&known);
            }
            if ready {
                return Ok(());
            }
            if began.elapsed() > START {
                let message = "they do not find each other".to_owned();
                return Err(Error::Failed { program: "redis-sentinel".into(), message });
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Addresses of the sentinels, for clients.
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect()
    }

    /// The port of the master, as a sentinel sees it now.
    pub fn master(&self) -> Result<u16> {
        let info = ask(self.sentinels[0].port, "INFO sentinel")?;
        let address = info.split("address=").nth(1).and_then(|rest| rest.split(',').next());
        let port = address.and_then(|address| address.rsplit_once(':')?.1.parse().ok());
        let message = || format!("no master in {info:?}");
        port.ok_or_else(|| Error::Failed { program: "redis-sentinel".into(), message: message() })
    }

    /// Kills the server that is the master now; which of the two it was.
    pub fn kill_master(&self) -> Result<usize> {
        let port = self.master()?;
        let which = self.servers.iter().position(|server| server.port == port).unwrap_or(0);
        self.servers[which].kill();
        Ok(which)
    }

    /// Starts a server (0 or 1) again; the sentinels tell it its place.
    pub fn start_again(&self, server: usize) -> Result<()> {
        self.servers[server].start_again()
    }
}

impl Sentinel {
    fn start(program: &Path, dir: &Path, master: u16) -> Result<Self> {
        let (port, name) = (free_port()?, Sentinels::MASTER);
        let settings = dir.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n",
            dir.display()
        );
        fs::write(&settings, text).map_err(Error::at("writing", &settings))?;
        let mut command = Command::new(program);
        command.arg(&settings);
        let log = dir.join("sentinel.log");
        let launch = Launch {
            name: "Redis Sentinel",
            command,
            log: &log,
            farewell: Signal::TERM,
            remove: None,
        };
        let mut service = Service::spawn(launch)?;
        service.ready("Sentinel ID is", START)?;
        Ok(Self { port, _service: service })
    }
}

/// One command on a connection of its own.
fn ask(port: u16, command: &str) -> Result<String> {
    let talk = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(ANSWER))?;
        write!(stream, "{command}\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        let Some(length) = line.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) else {
            return Ok(line.trim_start_matches(['+', ':']).to_owned());
        };
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    talk().map_err(Error::io(format!("asking Redis on port {port}")))
}
