//! A small blocking HTTP client for everything around the load: seeding, counters, the proof.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::Error;

/// Longest answer that is read: the report of a proof with many findings.
const ANSWER_LIMIT: usize = 64 << 20;

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) socket: SocketAddr,
    /// As it stands in the Host header.
    pub(crate) host: String,
}

impl Address {
    /// Reads `http://host:port`.
    pub(crate) fn of_url(url: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Usage(format!("{url}: {why}"));
        let host = url
            .strip_prefix("http://")
            .ok_or_else(|| bad("only http:// addresses are understood"))?
            .trim_end_matches('/');
        let full = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let socket = full
            .to_socket_addrs()
            .map_err(|error| bad(&error.to_string()))?
            .next()
            .ok_or_else(|| bad("the name has no address"))?;
        Ok(Self { socket, host: host.to_owned() })
    }
}

/// One keep-alive connection; opened when needed, and again after a failure.
#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    bearer: String,
    limit: Duration,
    stream: Option<BufReader<TcpStream>>,
}

/// A request to the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) body: &'a str,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, key: None, body: "" }
    }
}

impl Client {
    pub(crate) fn new(address: &Address, bearer: &str, limit: Duration) -> Self {
        Self { address: address.clone(), bearer: bearer.to_owned(), limit, stream: None }
    }

    /// Status and body.
    pub(crate) fn call(&mut self, call: &Call<'_>) -> Result<(u16, Vec<u8>), Error> {
        let request = self.render(call);
        let answer = self.exchange(request.as_bytes());
        if answer.is_err() {
            self.stream = None;
        }
        answer.map_err(|error| Error::Http(format!("{} {}: {error}", call.method, call.path)))
    }

    /// The body of a call that has to succeed.
    pub(crate) fn expect(&mut self, call: &Call<'_>) -> Result<Vec<u8>, Error> {
        let (status, body) = self.call(call)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
        Err(Error::Http(format!("{} {} was answered {status}: {text}", call.method, call.path)))
    }

    fn render(&self, call: &Call<'_>) -> String {
        let key = call.key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
        let Call { method, path, body, .. } = call;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{key}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address.host,
            self.bearer,
            body.len(),
        )
    }

    fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let stream = self.stream.insert(stream);
        stream.get_mut().write_all(request)?;
        let (status, length) = read_head(stream)?;
        anyhow::ensure!(length <= ANSWER_LIMIT, "an answer of {length} bytes");
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok((status, body))
    }

    fn connect(&self) -> anyhow::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address.socket, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.limit))?;
        Ok(BufReader::new(stream))
    }
}

/// Reads to the empty line; gives status and length of the body.
fn read_head(stream: &mut BufReader<TcpStream>) -> anyhow::Result<(u16, usize)> {
    let mut head = Vec::with_capacity(512);
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        anyhow::ensure!(head.len() < 64 << 10, "the head of the answer does not end");
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(&head)?;
    let length = parsed
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
    let length = length.ok_or_else(|| anyhow::anyhow!("the answer has no Content-Length"))?;
    Ok((parsed.code.unwrap_or(0), length))
}
