//! Where the master is: an address, or sentinels that know.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, cmd};

/// A connection is there within this, and a sentinel has answered within this.
const SOON: Duration = Duration::from_millis(500);

/// What cannot be an address of Redis. It does not say the address: there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable(pub String);

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// Where Redis is. What it prints has no password in it.
#[derive(Clone)]
pub struct Nodes {
    /// With sentinels, what stands here besides the address (name, password, database) is for the
    /// master that they name.
    url: Parts,
    sentinels: Vec<String>,
    master: String,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, sentinels, master } = self;
        f.debug_struct("Nodes")
            .field("address", &url.address)
            .field("sentinels", sentinels)
            .field("master", master)
            .finish()
    }
}

/// `redis://`, who asks, where, and which database.
#[derive(Clone, Default)]
struct Parts {
    who: String,
    address: String,
    rest: String,
}

impl Parts {
    fn of(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("redis://")?;
        let (authority, rest) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (who, address) = match authority.rfind('@') {
            Some(at) => authority.split_at(at + 1),
            None => ("", authority),
        };
        Some(Self { who: who.into(), address: address.into(), rest: rest.into() })
    }

    fn at(&self, address: &str) -> String {
        format!("redis://{}{address}{}", self.who, self.rest)
    }
}

impl Nodes {
    /// The server at `url`; or, if there are sentinels (`host:port`), the one that they call
    /// `master`, and `url` (which may be empty) only says who asks and for which database.
    pub fn new(url: &str, sentinels: Vec<String>, master: &str) -> Result<Self, Unusable> {
        let bad = |what: &str| Unusable(what.to_owned());
        let url = match Parts::of(url) {
            Some(parts) => parts,
            None if url.is_empty() && !sentinels.is_empty() => Parts::default(),
            None => return Err(bad("redis.url must be redis://[user:password@]host[:port][/db]")),
        };
        let address = if sentinels.is_empty() { &*url.address } else { "127.0.0.1" };
        Client::open(url.at(address))
            .map_err(|error| Unusable(format!("redis.url cannot be used: {}", error.category())))?;
        let is_address = |text: &String| {
            text.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
            })
        };
        if !sentinels.iter().all(is_address) {
            return Err(bad("redis.sentinels must be addresses such as 127.0.0.1:26379"));
        }
        if !sentinels.is_empty() && master.is_empty() {
            return Err(bad("redis.master must name what the sentinels watch"));
        }
        Ok(Self { url, sentinels, master: master.to_owned() })
    }

    /// A connection to where the master should be.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        if self.sentinels.is_empty() {
            return connect(&self.url.at(&self.url.address), None).await;
        }
        let mut last = RedisError::from((ErrorKind::Client, "no sentinel knows the master"));
        for sentinel in &self.sentinels {
            match self.ask(sentinel).await {
                Ok(Some((host, port))) => {
                    return connect(&self.url.at(&address(&host, port)), None).await;
                }
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask(&self, sentinel: &str) -> Result<Option<(String, u16)>, RedisError> {
        let mut connection = connect(&format!("redis://{sentinel}"), Some(SOON)).await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        question.query_async(&mut connection).await
    }
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Without `answers`, who asks says how long he waits.
async fn connect(
    url: &str,
    answers: Option<Duration>,
) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(SOON))
        .set_response_timeout(answers);
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(url: &str, sentinels: &[&str]) -> Result<Nodes, Unusable> {
        Nodes::new(url, sentinels.iter().map(|&text| text.to_owned()).collect(), "jangbu")
    }

    #[test]
    fn addresses_are_read_strictly_and_passwords_are_not_printed() {
        let found = nodes("redis://me:secret@10.0.0.1:6379/2", &[]).unwrap();
        assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        assert_eq!(found.url.at("h:1"), "redis://me:secret@h:1/2");
        assert!(nodes("redis://localhost", &[]).is_ok());
        assert!(nodes("", &["127.0.0.1:26379", "[::1]:26379"]).is_ok());
        for (url, sentinels) in [
            ("", &[][..]),
            ("http://localhost", &[]),
            ("redis://localhost:port", &[]),
            ("redis://localhost/base", &[]),
            ("", &["localhost"]),
            ("", &["redis://localhost:1"]),
        ] {
            let error = nodes(url, sentinels).unwrap_err();
            assert!(error.to_string().starts_with("redis."), "{error}");
        }
        assert!(Nodes::new("", vec!["h:1".into()], "").is_err());
        let secret = nodes("redis://me:secret@host:port", &[]).unwrap_err();
        assert!(!secret.to_string().contains("secret"), "{secret}");
    }
}
