//! The server under test: an own process in a fresh directory, watched through `/proc`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::Error;
use crate::control::Address;
use crate::machine::{field, kilobytes};

const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// A running server process; killed when dropped without [`Server::stop`].
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: Address,
    pub(crate) started: Started,
    pub(crate) log: PathBuf,
    data: PathBuf,
}

/// How long the server took to serve.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// From the start of the process to its ready line, milliseconds.
    pub ready_ms: f64,
    /// What the server says of itself.
    pub reported_ms: Option<f64>,
}

impl Server {
    /// Starts `binary serve` on a free loopback port and waits until it serves.
    pub(crate) fn start(
        binary: &Path,
        data: &Path,
        extra: &[String],
        settings: &[(&str, String)],
    ) -> Result<Self, Error> {
        let log = data.with_extension("log");
        let fail = |why: String| Error::Server(format!("{}: {why}", binary.display()));
        let stderr = File::create(&log).map_err(|error| fail(error.to_string()))?;
        let clock = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(extra)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| fail(error.to_string()))?;
        let ready = child.stdout.take().and_then(first_ready_line);
        let ready_ms = clock.elapsed().as_secs_f64() * 1e3;
        let Some((url, reported_ms)) = ready else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(fail(format!("did not get ready; its log ends:\n{}", tail(&log))));
        };
        let address = match Address::of_url(&url) {
            Ok(address) => address,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let started = Started { ready_ms, reported_ms };
        Ok(Self { child, address, started, log, data: data.to_owned() })
    }

    /// CPU time so far in microseconds, user and system.
    pub(crate) fn cpu_us(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        let per_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?);
        Some((user + system) * 1e6 / per_second)
    }

    /// Resident memory now, megabytes.
    pub(crate) fn memory_mb(&self) -> Option<f64> {
        self.status("VmRSS")
    }

    /// The most resident memory there ever was, megabytes.
    pub(crate) fn peak_memory_mb(&self) -> Option<f64> {
        self.status("VmHWM")
    }

    /// Size of a file of the data directory, megabytes.
    pub(crate) fn file_mb(&self, name: &str) -> Option<f64> {
        fs::metadata(self.data.join(name)).ok().map(|file| megabytes(file.len()))
    }

    /// Size of all files of the data directory, megabytes.
    pub(crate) fn files_mb(&self) -> Option<f64> {
        let files = fs::read_dir(&self.data).ok()?.flatten();
        let files = files.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
        Some(megabytes(files.map(|file| file.len()).sum()))
    }

    #[expect(clippy::cast_precision_loss, reason = "kilobytes of memory")]
    fn status(&self, name: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        Some(kilobytes(&field(&status, name)?)? as f64 / 1024.0)
    }

    /// Asks the server to drain and waits until it is gone.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let fail = |why: String| Error::Server(format!("the server {why}"));
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| fail("has no process id".to_owned()))?;
        kill_process(pid, Signal::TERM).map_err(|error| fail(format!("is gone: {error}")))?;
        let clock = Instant::now();
        while clock.elapsed() < STOP_LIMIT {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(fail(format!("ended with {status}:\n{}", tail(&self.log))));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(fail(error.to_string())),
            }
        }
        Err(fail(format!("did not stop within {} s of SIGTERM", STOP_LIMIT.as_secs())))
    }
}

#[expect(clippy::cast_precision_loss, reason = "the size of a file")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Waits for `ready http://ADDR in N ms`; later lines are read and forgotten.
fn first_ready_line(stdout: ChildStdout) -> Option<(String, Option<f64>)> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(ready) = ready_line(&line) {
                let _ = send.send(ready);
            }
        }
    });
    receive.recv_timeout(START_LIMIT).ok()
}

fn ready_line(line: &str) -> Option<(String, Option<f64>)> {
    let mut words = line.strip_prefix("ready ")?.split_ascii_whitespace();
    let url = words.next()?.to_owned();
    let ms = words.nth(1).and_then(|number| number.parse().ok());
    Some((url, ms))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line() {
        let ready = ready_line("ready http://127.0.0.1:40123 in 12 ms");
        assert_eq!(ready, Some(("http://127.0.0.1:40123".to_owned(), Some(12.0))));
        assert_eq!(ready_line("starting"), None);
    }
}
