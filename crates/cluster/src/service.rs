//! A program that serves: started, waited for, stopped.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{Read, Seek, SeekFrom},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    error::{Error, Result},
    guard::Guard,
    identity::Identity,
};

/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long a server may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);
/// What others may do in a directory of a server: look.
const PASSABLE: u32 = 0o755;
/// Lines of the log that an error shows.
const TAIL: usize = 15;

/// What is to be started.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What people call it.
    pub name: &'a str,
    /// The program and its arguments.
    pub command: Command,
    /// Where what it prints goes, behind what is there.
    pub log: &'a Path,
    /// What asks it to end.
    pub farewell: Signal,
    /// A directory that goes when this process ends without stopping it.
    pub remove: Option<&'a Path>,
}

/// A program that runs. Dropping it ends the program.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    identity: Identity,
    guard: Option<Guard>,
    log: PathBuf,
    /// Where in the log its own lines begin.
    begun: u64,
    farewell: Signal,
}

impl Service {
    /// Starts a program. It is in a process group of its own, so that an interrupt from the keyboard
    /// does not reach it.
    pub fn spawn(launch: Launch<'_>) -> Result<Self> {
        let Launch { name, mut command, log, farewell, remove } = launch;
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.map_err(Error::at("opening", log))?;
        let begun = file.metadata().map_err(Error::at("reading", log))?.len();
        let second = file.try_clone().map_err(Error::at("opening", log))?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(second).process_group(0);
        let mut child = child.spawn().map_err(Error::io(format!("starting {name}")))?;
        let Some(identity) = Identity::of(child.id()) else {
            _ = child.wait();
            return Err(died(name, log, begun));
        };
        let (name, log) = (name.to_owned(), log.to_owned());
        let mut service = Self { name, child, identity, guard: None, log, begun, farewell };
        service.guard = Some(Guard::over(identity, farewell, remove)?);
        Ok(service)
    }

    /// Waits until its log has `wanted`, and gives that line from there on.
    pub fn ready(&mut self, wanted: &str, patience: Duration) -> Result<String> {
        let began = Instant::now();
        loop {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if let Some(line) = self.line_with(wanted) {
                return Ok(line);
            }
            if ended {
                return Err(died(&self.name, &self.log, self.begun));
            }
            if began.elapsed() > patience {
                let (name, log) = (self.name.clone(), self.log.clone());
                let tail = tail(&log, self.begun);
                return Err(Error::Late { name, seconds: patience.as_secs(), log, tail });
            }
            thread::sleep(LOOK);
        }
    }

    fn line_with(&self, wanted: &str) -> Option<String> {
        let text = since(&self.log, self.begun);
        let at = text.find(wanted)?;
        // A line that is not whole yet is not read yet.
        let (line, _) = text[at..].split_once('\n')?;
        Some(line.to_owned())
    }

    /// Which process it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Where what it prints goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What asks it to end.
    pub fn farewell(&self) -> Signal {
        self.farewell
    }

    /// Whether it runs.
    pub fn is_alive(&self) -> bool {
        self.identity.is_alive()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.end(Signal::KILL);
    }

    /// Asks it to end, and kills it if it does not.
    pub fn stop(self) {
        drop(self);
    }

    /// Lets it live on after this process has ended.
    pub fn leave(mut self) -> Identity {
        self.guard = None;
        self.identity
    }

    fn end(&mut self, signal: Signal) {
        self.identity.signal(signal);
        if !self.identity.ended(PATIENCE) {
            self.identity.signal(Signal::KILL);
        }
        // Without this it would stay a zombie; it has ended, so nothing is waited for.
        _ = self.child.wait();
        self.guard = None;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Without a guard it was ended, or left.
        if self.guard.is_some() {
            self.end(self.farewell);
        }
    }
}

fn died(name: &str, log: &Path, begun: u64) -> Error {
    Error::Died { name: name.to_owned(), log: log.to_owned(), tail: tail(log, begun) }
}

/// The last lines behind `begun`.
fn tail(log: &Path, begun: u64) -> String {
    let text = since(log, begun);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// What stands in the log behind `begun`; nothing if it cannot be read.
fn since(log: &Path, begun: u64) -> String {
    let read = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(begun))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

/// Makes a directory that others may pass, if it is not there, and gives its whole path.
pub(crate) fn directory(dir: &Path) -> Result<PathBuf> {
    if !dir.exists() {
        fs::create_dir_all(dir).map_err(Error::at("making", dir))?;
        fs::set_permissions(dir, Permissions::from_mode(PASSABLE))
            .map_err(Error::at("opening", dir))?;
    }
    dir.canonicalize().map_err(Error::at("finding", dir))
}

/// Runs a tool to its end, and gives what it prints.
pub(crate) fn run(program: &str, mut command: Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output();
    let out = out.map_err(Error::io(format!("starting {program}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if out.status.success() {
        return Ok(text(&out.stdout));
    }
    let message = format!("{}; {} {}", out.status, text(&out.stderr), text(&out.stdout));
    Err(Error::Failed { program: program.to_owned(), message })
}
