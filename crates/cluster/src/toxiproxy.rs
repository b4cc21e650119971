//! A proxy whose connections can be cut, slowed and held (Shopify's Toxiproxy).
//!
//! | method | what the two ends see |
//! |---|---|
//! | [`cut`](Toxiproxy::cut) | connections break, and new ones are refused |
//! | [`slow`](Toxiproxy::slow) | what is sent arrives later, both ways |
//! | [`half_open`](Toxiproxy::half_open) | connections stand, new ones too, and nothing ever arrives |
//! | [`heal`](Toxiproxy::heal) | all is well again, with new connections after [`half_open`](Toxiproxy::half_open) |

use std::{path::Path, process::Command, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};
use ureq::Agent;

use crate::{
    error::{Error, Result},
    port::free_port,
    programs,
    service::{self, Launch, Service},
};

const INSTALL: &str = "GOBIN=$PWD/.tools/bin go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0 && \
     mv .tools/bin/server .tools/bin/toxiproxy-server";
/// How long a start may take.
const START: Duration = Duration::from_secs(30);
/// What it says when it begins; older versions say a little more.
const READY: &str = "HTTP server";
/// Both ways.
const STREAMS: [&str; 2] = ["upstream", "downstream"];

/// A proxy server. Dropping it stops it, and breaks all connections.
#[derive(Debug)]
pub struct Toxiproxy {
    api: String,
    agent: Agent,
    /// Held so that it runs.
    _service: Service,
}

impl Toxiproxy {
    /// Starts the server, without any proxy.
    pub fn start(dir: &Path) -> Result<Self> {
        let program = programs::tool("bin/toxiproxy-server", INSTALL)?;
        let dir = service::directory(dir)?;
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["-host", "127.0.0.1", "-port", &port.to_string()]);
        let log = dir.join("toxiproxy.log");
        let launch =
            Launch { name: "Toxiproxy", command, log: &log, farewell: Signal::TERM, remove: None };
        let mut service = Service::spawn(launch)?;
        service.ready(READY, START)?;
        let config = Agent::config_builder().timeout_global(Some(START));
        let agent: Agent = config.http_status_as_error(false).build().into();
        let proxy = Self { api: format!("http://127.0.0.1:{port}"), agent, _service: service };
        proxy.await_answer()?;
        Ok(proxy)
    }

    /// It says that it starts a moment before it listens.
    fn await_answer(&self) -> Result<()> {
        let began = std::time::Instant::now();
        loop {
            match self.agent.get(format!("{}/version", self.api)).call() {
                Ok(_) => return Ok(()),
                Err(_) if began.elapsed() < START => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    /// Makes a way to `upstream` (`127.0.0.1:5432`), and gives its port.
    pub fn proxy(&self, name: &str, upstream: &str) -> Result<u16> {
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let body = json!({ "name": name, "listen": listen, "upstream": upstream, "enabled": true });
        self.post("/proxies", &body)?;
        Ok(port)
    }

    /// Breaks all connections, and refuses new ones.
    pub fn cut(&self, name: &str) -> Result<()> {
        self.post(&format!("/proxies/{name}"), &json!({ "enabled": false }))
    }

    /// Delays everything by so many milliseconds, each way.
    pub fn slow(&self, name: &str, ms: u32) -> Result<()> {
        self.poison(name, "latency", &json!({ "latency": ms }))
    }

    /// Nothing arrives any more, and nobody is told.
    pub fn half_open(&self, name: &str) -> Result<()> {
        self.poison(name, "timeout", &json!({ "timeout": 0 }))
    }

    /// Makes it well again.
    pub fn heal(&self, name: &str) -> Result<()> {
        let toxics = self.get(&format!("/proxies/{name}/toxics"))?;
        for toxic in toxics.as_array().into_iter().flatten() {
            let toxic = toxic["name"].as_str().unwrap_or_default();
            let path = format!("{}/proxies/{name}/toxics/{toxic}", self.api);
            let answer = self.agent.delete(path).call().map_err(|error| failed(&error))?;
            check(answer).map(drop)?;
        }
        self.post(&format!("/proxies/{name}"), &json!({ "enabled": true }))
    }

    fn poison(&self, name: &str, kind: &str, attributes: &Value) -> Result<()> {
        STREAMS.iter().try_for_each(|stream| {
            let body = json!({ "type": kind, "stream": stream, "attributes": attributes });
            self.post(&format!("/proxies/{name}/toxics"), &body)
        })
    }

    fn post(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.agent.post(format!("{}{path}", self.api)).send_json(body);
        check(answer.map_err(|error| failed(&error))?).map(drop)
    }

    fn get(&self, path: &str) -> Result<Value> {
        let answer = self.agent.get(format!("{}{path}", self.api)).call();
        let text = check(answer.map_err(|error| failed(&error))?)?;
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }
}

/// The body of a good answer.
fn check(mut answer: ureq::http::Response<ureq::Body>) -> Result<String> {
    let text = answer.body_mut().read_to_string().map_err(|error| failed(&error))?;
    if answer.status().is_success() {
        return Ok(text);
    }
    Err(failed(&format!("{} {text}", answer.status())))
}

fn failed(message: &dyn std::fmt::Display) -> Error {
    Error::Failed { program: "toxiproxy".into(), message: message.to_string() }
}
