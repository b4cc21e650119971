//! Which process is meant: its number, and when it began. Numbers are used again.

use std::{
    fs,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// How often it is looked whether a process is still there.
const LOOK: Duration = Duration::from_millis(10);

/// A process, and no other one that gets its number later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it began, in the kernel's ticks since the machine was started.
    pub started: u64,
}

/// What the kernel says of a process.
struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { state, parent, started })
    }
}

impl Identity {
    /// The process that has this number now, if it has not ended.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Stat::of(pid)?;
        (!matches!(stat.state, 'Z' | 'X')).then_some(Self { pid, started: stat.started })
    }

    /// The processes that this one has started and that still run.
    pub(crate) fn children(self) -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
        let ours = pids.filter(|&pid| Stat::of(pid).is_some_and(|s| s.parent == self.pid));
        ours.filter_map(Self::of).collect()
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends it a signal; false if it is gone.
    pub fn signal(self, signal: Signal) -> bool {
        self.open().is_some_and(|fd| pidfd_send_signal(fd, signal).is_ok())
    }

    /// Waits until it has ended; false if it has not by then.
    pub fn ended(self, patience: Duration) -> bool {
        let began = Instant::now();
        while self.is_alive() {
            if began.elapsed() > patience {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    /// A handle of the process. What is asked after it was opened is true of the process that it is
    /// a handle of, so nobody else can be hit.
    fn open(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        self.is_alive().then_some(fd)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_its_beginning() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let namesake = Identity { started: identity.started + 1, ..identity };
        assert!(identity.is_alive() && !namesake.is_alive());
        assert!(!namesake.signal(Signal::KILL), "who began at another time is another");
        assert!(identity.is_alive());
        assert!(identity.signal(Signal::KILL));
        assert!(identity.ended(Duration::from_secs(20)), "a zombie has ended");
        child.wait().unwrap();
        assert!(!identity.signal(Signal::KILL));
    }
}
