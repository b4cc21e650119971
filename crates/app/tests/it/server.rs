//! A `jangbu serve` process under test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_jangbu");

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    shop: Shop,
}

impl std::ops::Deref for Server {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

/// A server as its clients and operators see it.
#[derive(Debug)]
pub(crate) struct Shop {
    pub url: String,
    pub client: String,
    pub operator: String,
    agent: ureq::Agent,
}

/// An answer: status, body, and whether it was a replay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Value,
    pub replayed: bool,
}

/// `jangbu` with these arguments and settings.
pub(crate) fn jangbu(args: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BIN);
    command.args(args);
    for (name, value) in settings {
        command.env(format!("JANGBU__{name}"), value);
    }
    command
}

impl Server {
    /// Serves `data` on a free port, with timers a fiftieth of the usual ones.
    pub(crate) fn start(data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("SAGA__PATIENCE_PERCENT", "2")];
        all.extend_from_slice(settings);
        let dir = data.to_str().unwrap();
        let command = jangbu(&["serve", "--data", dir, "--listen", "127.0.0.1:0"], &all);
        Self::spawn(command, data)
    }

    /// As [`Server::start`], with the log in a file.
    pub(crate) fn start_logged(data: &Path, settings: &[(&str, &str)], log: &Path) -> Self {
        let dir = data.to_str().unwrap();
        let mut command = jangbu(&["serve", "--data", dir, "--listen", "127.0.0.1:0"], settings);
        command.stderr(File::create(log).unwrap());
        Self::launch(command, data)
    }

    /// Runs `command`, which serves `data`, until it says that it is ready.
    pub(crate) fn spawn(mut command: Command, data: &Path) -> Self {
        command.stderr(Stdio::null());
        Self::launch(command, data)
    }

    fn launch(mut command: Command, data: &Path) -> Self {
        command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http"));
        let url = url.unwrap_or_else(|| panic!("not ready: {line:?}"));
        Self { child, shop: Shop::at(url, data) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.child.wait().unwrap()
    }

    /// SIGTERM; it goes when it is done.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }
}

impl Shop {
    /// The one that serves `data` at `url`.
    pub(crate) fn at(url: &str, data: &Path) -> Self {
        let key = |name| std::fs::read_to_string(data.join("keys").join(name)).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let (client, operator) = (key("client.key"), key("operator.key"));
        let trim = |key: String| key.trim().to_owned();
        Self { url: url.to_owned(), client: trim(client), operator: trim(operator), agent }
    }

    /// A line of `/metrics`: what stands behind `name`.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        self.find_metric(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The same of one that may not be there.
    pub(crate) fn find_metric(&self, name: &str) -> Option<i64> {
        let page = self.get("/metrics").body;
        let found = page.as_str().unwrap().lines().find_map(|line| line.strip_prefix(name))?;
        Some(found.trim().parse().unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        let request = self.agent.get(format!("{}{path}", self.url));
        reply(request.header("Authorization", format!("Bearer {}", self.operator)).call()).unwrap()
    }

    /// A client's POST; `None` when the connection broke.
    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> Option<Reply> {
        self.send(path, key, body, &self.client)
    }

    /// Any request: the whole answer as text, headers first.
    pub(crate) fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let mut request = ureq::http::Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.uri(format!("{}{path}", self.url)).body(body.to_owned()).unwrap();
        let mut answer = self.agent.run(request).unwrap();
        let mut text = format!("{} {:?}\n", answer.status(), answer.headers());
        answer.body_mut().as_reader().read_to_string(&mut text).unwrap();
        text
    }

    /// An operator's POST.
    pub(crate) fn operate(&self, path: &str, key: &str, body: &Value) -> Reply {
        self.send(path, key, body, &self.operator).unwrap()
    }

    fn send(&self, path: &str, key: &str, body: &Value, bearer: &str) -> Option<Reply> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Authorization", format!("Bearer {bearer}"));
        reply(request.header("Idempotency-Key", key).send_json(body))
    }

    /// Puts `count` SKUs on sale at 1,000 won each, with `stock` units.
    pub(crate) fn seed(&self, count: usize, stock: i64) -> Vec<String> {
        let make = |n| {
            let price = json!({ "amount": 1_000, "currency": "KRW" });
            let sku = json!({ "name": "one", "price": price, "stock": stock });
            let merchant = format!("m-{}", n % 3);
            let body =
                json!({ "merchantId": merchant, "name": "thing", "publish": true, "skus": [sku] });
            let made = self.operate("/api/v1/products", &format!("seed-{n}"), &body);
            assert_eq!(made.status, 201, "{made:?}");
            made.body["skus"][0]["id"].as_str().unwrap().to_owned()
        };
        (0..count).map(make).collect()
    }

    /// Orders `quantity` of `sku`.
    pub(crate) fn order(&self, key: &str, sku: &str, quantity: i64, token: &str) -> Option<Reply> {
        let body = json!({
            "userId": "usr_0000000000001",
            "lines": [{ "skuId": sku, "quantity": quantity }],
            "expectedTotal": { "amount": 1_000 * quantity, "currency": "KRW" },
            "payment": { "mode": "SERVER", "token": token },
        });
        self.post("/api/v1/orders", key, &body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reply(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<Reply> {
    let mut answer = answer.ok()?;
    let status = answer.status().as_u16();
    let replayed = answer.headers().contains_key("idempotency-replayed");
    let mut text = String::new();
    answer.body_mut().as_reader().read_to_string(&mut text).ok()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Some(Reply { status, body, replayed })
}

/// Runs `jangbu prove` over a directory: exit code and report.
pub(crate) fn prove(data: &Path, acks: Option<&Path>) -> (i32, Value) {
    prove_with(data, acks, &[])
}

/// The same, where the settings say that the books are.
pub(crate) fn prove_with(
    data: &Path,
    acks: Option<&Path>,
    settings: &[(&str, &str)],
) -> (i32, Value) {
    let mut command = jangbu(&["prove", "--json", "--data", data.to_str().unwrap()], settings);
    if let Some(acks) = acks {
        command.arg("--acks").arg(acks);
    }
    if let Some((_, log)) = settings.iter().find(|(name, _)| *name == "GATEWAY__LOG") {
        command.arg("--psp-log").arg(log);
    }
    let out = command.output().unwrap();
    let report = serde_json::from_slice(&out.stdout);
    let report =
        report.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&out.stderr).into()));
    (out.status.code().unwrap_or(-1), report)
}
