//! Ports of servers.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

use crate::error::{Error, Result};

/// The lowest port that is tried.
const LOWEST: u16 = 10_240;
/// Where the kernel usually begins to give ports to outgoing connections.
const USUAL: u16 = 32_768;

static TRIED: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that nobody listens on, given to nobody else by this process.
///
/// A server that is killed and started again must find its port still free. The kernel gives ports
/// of a certain range to outgoing connections, and a load generator has thousands of them, so the
/// port is below that range; each candidate is tried by listening on it.
pub fn free_port() -> Result<u16> {
    let width = ephemeral().saturating_sub(LOWEST).max(1);
    // Test binaries that run at the same time begin at different places.
    let start = u32::from(width) * (process::id() % 211) / 211;
    for _ in 0..width {
        let offset = (start + u32::from(TRIED.fetch_add(1, Relaxed))) % u32::from(width);
        let port = LOWEST + u16::try_from(offset).unwrap_or(0);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    any().map_err(Error::io("looking for a free port"))
}

/// Any free port at all, for machines whose every port is for outgoing connections.
fn any() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The first port that outgoing connections may get.
fn ephemeral() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(USUAL)
}
