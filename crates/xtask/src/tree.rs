//! The files of the workspace, read once, and the findings made in them.

use std::{
    collections::BTreeMap,
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::scan::{Scan, scan};

/// Directories that hold nothing written by hand.
const SKIPPED: &[&str] = &[".git", ".tools", "data", "node_modules", "target"];

/// One text file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Path from the root of the workspace, with forward slashes.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// The views of a Rust file; empty for others.
    pub(crate) scan: Scan,
}

/// The workspace as the checks see it: text files by path. Tests build small ones in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
}

/// One violation, with the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule that was broken.
    pub(crate) rule: &'static str,
    /// Path from the root.
    pub(crate) path: String,
    /// Line, from one.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

impl Tree {
    /// Reads every text file below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        for path in walk(root)? {
            // Binary files have no lines to check.
            if let Ok(text) = fs::read_to_string(root.join(&path)) {
                tree.add(path, text);
            }
        }
        Ok(tree)
    }

    /// A tree of samples.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    fn add(&mut self, path: String, text: String) {
        let scan = if is_rust(&path) { scan(&text) } else { Scan::default() };
        self.files.insert(path.clone(), File { path, text, scan });
    }

    /// All files in path order.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// Rust files in path order.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| is_rust(&file.path))
    }

    /// The file with this path.
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Names directly below `dir`, files and directories alike.
    pub(crate) fn names_in(&self, dir: &str) -> Vec<&str> {
        let prefix = format!("{dir}/");
        let mut names: Vec<&str> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('/').next())
            .collect();
        names.dedup();
        names
    }
}

impl File {
    /// A finding at a byte offset of this file.
    pub(crate) fn finding(
        &self,
        rule: &'static str,
        at: usize,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let line = 1 + self.text[..at].matches('\n').count();
        Finding { rule, path: self.path.clone(), line, what: what.into(), remedy: remedy.into() }
    }

    /// The crate directory that the file belongs to (`engine` for `crates/engine/src/x.rs`).
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}: [{}] {}", self.path, self.line, self.rule, self.what)?;
        write!(f, "    {}", self.remedy)
    }
}

/// The root of the workspace: the nearest directory upwards whose Cargo.toml has `[workspace]`.
pub(crate) fn root() -> Result<PathBuf> {
    let start = env::current_dir().context("the current directory is gone")?;
    for dir in start.ancestors() {
        let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("[workspace]") {
            return Ok(dir.to_owned());
        }
    }
    bail!("no Cargo.toml with [workspace] above {}; run this inside the project", start.display())
}

/// Paths of all files below `root`, relative to it, in order; symbolic links are left alone.
pub(crate) fn walk(root: &Path) -> io::Result<Vec<String>> {
    let (mut found, mut dirs) = (Vec::new(), vec![String::new()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if dir.is_empty() { name.clone() } else { format!("{dir}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                dirs.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|ext| ext == "rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_once_and_lines_count_from_one() {
        let tree = Tree::of(&[("a/b/c.rs", "x\ny\n"), ("a/b/d.rs", ""), ("a/e.md", "")]);
        assert_eq!(tree.names_in("a"), ["b", "e.md"]);
        let file = tree.get("a/b/c.rs").unwrap();
        assert_eq!(file.finding("r", 0, "", "").line, 1);
        assert_eq!(file.finding("r", 2, "", "").line, 2);
    }
}
