//! What goes wrong when servers are started.

use std::{
    io,
    path::{Path, PathBuf},
};

/// As [`std::result::Result`], with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not on this machine.
    #[error("{program} is missing; install it with: {install}")]
    Missing {
        /// What was looked for.
        program: String,
        /// The line that installs it.
        install: &'static str,
    },
    /// It ended by itself.
    #[error("{name} ended before it was ready; {} ends with:\n{tail}", log.display())]
    Died {
        /// Who.
        name: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It did not say in time that it is ready.
    #[error("{name} is not ready after {seconds} s; {} ends with:\n{tail}", log.display())]
    Late {
        /// Who.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A tool that comes with a server said no.
    #[error("{program} failed: {message}")]
    Failed {
        /// Which.
        program: String,
        /// What it said.
        message: String,
    },
    /// The user that the server runs as cannot get at its directory.
    #[error(
        "{} cannot be reached by the user {user}, as whom the server runs; \
         let others pass it (chmod o+x), or choose another directory",
        path.display()
    )]
    Unreachable {
        /// The first directory that bars the way.
        path: PathBuf,
        /// Who is barred.
        user: &'static str,
    },
    /// The system said no.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Makes an error of the system say what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// As [`Error::io`], about a path.
    pub(crate) fn at(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{verb} {}", path.display()))
    }
}
