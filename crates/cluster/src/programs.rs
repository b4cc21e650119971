//! Where programs are.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Names the directory that replaces `.tools`.
const TOOLS: &str = "JANGBU_TOOLS";

/// A file or directory of the tools that `./test` installs.
pub(crate) fn tool(path: &str, install: &'static str) -> Result<PathBuf> {
    let given = env::var_os(TOOLS).map(PathBuf::from);
    let here = env::current_dir().unwrap_or_default();
    let above = here.ancestors().map(|dir| dir.join(".tools"));
    let found = given.into_iter().chain(above).map(|tools| tools.join(path)).find(|p| p.exists());
    found.ok_or_else(|| Error::Missing { program: format!(".tools/{path}"), install })
}

/// A program on the path.
pub(crate) fn program(name: &str, install: &'static str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| Error::Missing { program: name.to_owned(), install })
}

/// The directories below `dir` whose name is a number of at least `least`, the highest first.
pub(crate) fn versions(dir: &Path, least: u32) -> Vec<PathBuf> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<_> = paths.filter(|path| number(path) >= Some(least)).collect();
    found.sort_by_key(|path| std::cmp::Reverse(number(path)));
    found
}
