//! The socket of a connection: opened here, so that it can be used by somebody else than the library that has
//! logged in on it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_postgres::{Config, config::Host};

/// What bytes go in and out of.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// A socket. Clones are the same one.
#[derive(Clone)]
pub(super) struct Socket(Arc<Mutex<Box<dyn Bytes>>>);

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens a socket to the one host of `config`.
    pub(super) async fn open(config: &Config) -> io::Result<Self> {
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let stream: Box<dyn Bytes> = match (config.get_hostaddrs(), config.get_hosts()) {
            ([address, ..], _) => {
                Box::new(tuned(TcpStream::connect((*address, port)).await?, config)?)
            }
            (_, [Host::Unix(directory), ..]) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                Box::new(UnixStream::connect(path).await?)
            }
            (_, [Host::Tcp(name), ..]) => {
                Box::new(tuned(TcpStream::connect((name.as_str(), port)).await?, config)?)
            }
            _ => return Err(io::Error::other("the address has no host")),
        };
        Ok(Self(Arc::new(Mutex::new(stream))))
    }
}

/// The kernel finds a peer that is gone, as the settings say.
fn tuned(stream: TcpStream, config: &Config) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, config.get_keepalives())?;
    sockopt::set_tcp_keepidle(&stream, config.get_keepalives_idle())?;
    if let Some(interval) = config.get_keepalives_interval() {
        sockopt::set_tcp_keepintvl(&stream, interval)?;
    }
    if let Some(retries) = config.get_keepalives_retries() {
        sockopt::set_tcp_keepcnt(&stream, retries)?;
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(&stream, limit)?;
    }
    Ok(stream)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(context, out)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(context)
    }
}
