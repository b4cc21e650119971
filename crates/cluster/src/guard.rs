//! Stops a server whose owner has died without stopping it.
//!
//! The guard is a shell that waits on a pipe. The owner is the only one who holds the other end, so
//! the pipe closes when the owner ends, by whatever means. A last word on the pipe sends the guard
//! home.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;

use crate::{
    error::{Error, Result},
    identity::Identity,
};

/// `$1` number, `$2` beginning, `$3` signal, `$4` a directory to remove afterwards, or nothing.
const WATCH: &str = r#"
read -r word
[ "$word" = leave ] && exit 0
runs() {
  fields=$(cut -d' ' -f3,22 "/proc/$1/stat" 2>/dev/null) || return 1
  [ "${fields#* }" = "$2" ] && [ "${fields%% *}" != Z ]
}
runs "$1" "$2" && kill "-$3" "$1"
left=100
while [ $left -gt 0 ] && runs "$1" "$2"; do sleep 0.1; left=$((left - 1)); done
runs "$1" "$2" && kill -9 "$1"
[ -z "$4" ] || rm -rf -- "$4"
"#;

/// A guard on duty.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
}

impl Guard {
    /// Sets a guard over a process. It is ended by `signal`, and then `remove` is removed.
    pub(crate) fn over(it: Identity, signal: Signal, remove: Option<&Path>) -> Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", WATCH, "guard"])
            .args([it.pid.to_string(), it.started.to_string(), signal.as_raw().to_string()])
            .arg(remove.unwrap_or_else(|| Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A key that interrupts the owner is not for the guard.
            .process_group(0)
            .spawn()
            .map_err(Error::io("starting a guard"))?;
        Ok(Self { shell })
    }
}

impl Drop for Guard {
    /// The guard goes home; it does nothing to the process.
    fn drop(&mut self) {
        // If it cannot hear, it has gone already.
        if let Some(mut pipe) = self.shell.stdin.take() {
            _ = pipe.write_all(b"leave\n");
        }
        _ = self.shell.wait();
    }
}
