//! The file format of a mutation: plain text, search and replace.
//!
//! ```text
//! # What breaks, in a sentence or two.
//! promise: P5
//! test: cargo test -p jangbu-domain limits_hold
//! file: crates/domain/src/inventory/decide.rs
//! find:
//!     if stock.available < quantity {
//! replace:
//!     if false {
//! ```
//!
//! `find:` and `replace:` may repeat, below the same `file:` or a new one. The text to find
//! must occur exactly once; white space does not count, so reformatting does not hurt.
//! `seconds: 120` changes the limit of one test run (600).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    ops::Range,
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};

/// One way to break one promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// The file name without its ending.
    pub(crate) name: String,
    /// The promise that it breaks.
    pub(crate) promise: String,
    /// Arguments to `cargo`, from `test` on; the last one is the name of the test.
    pub(crate) test: Vec<String>,
    /// Limit of one run of the test, building included.
    pub(crate) seconds: u64,
    /// What to change.
    pub(crate) edits: Vec<Edit>,
}

/// One replacement in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Path from the root.
    pub(crate) file: String,
    /// The text that must occur once.
    pub(crate) find: String,
    /// What takes its place.
    pub(crate) replace: String,
}

/// Reads a mutation; `name` is the name of its file.
pub(crate) fn parse(name: &str, text: &str) -> Result<Mutation> {
    let name = name.strip_suffix(".mutation").unwrap_or(name);
    read(name, text).with_context(|| format!("mutation {name}"))
}

fn read(name: &str, text: &str) -> Result<Mutation> {
    let mut mutation = Mutation {
        name: name.to_owned(),
        promise: String::new(),
        test: Vec::new(),
        seconds: 600,
        edits: Vec::new(),
    };
    let mut lines = text.lines().peekable();
    let mut file = "";
    while let Some(line) = lines.next() {
        match line.split_once(':').map(|(key, value)| (key, value.trim())) {
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            Some(("promise", value)) => value.clone_into(&mut mutation.promise),
            Some(("test", value)) => mutation.test = command(value)?,
            Some(("seconds", value)) => mutation.seconds = value.parse()?,
            Some(("file", value)) => file = value,
            Some(("find", "")) => {
                let find = block(&mut lines);
                ensure!(lines.next() == Some("replace:"), "`find:` is not followed by `replace:`");
                let edit = Edit { file: file.to_owned(), find, replace: block(&mut lines) };
                mutation.edits.push(edit);
            }
            _ => bail!("cannot read the line `{line}`"),
        }
    }
    mutation.complete()?;
    Ok(mutation)
}

/// `cargo test …` without the `cargo`.
fn command(line: &str) -> Result<Vec<String>> {
    let mut words = line.split_whitespace().map(str::to_owned);
    ensure!(words.next().as_deref() == Some("cargo"), "`test:` is a `cargo test` command");
    Ok(words.collect())
}

/// The lines up to the next keyword.
fn block<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> String {
    let keyword = |line: &&str| matches!(*line, "find:" | "replace:") || line.starts_with("file: ");
    let mut taken = Vec::new();
    while let Some(line) = lines.next_if(|line| !keyword(line)) {
        taken.push(line);
    }
    taken.join("\n").trim_end().to_owned()
}

impl Mutation {
    fn complete(&self) -> Result<()> {
        ensure!(!self.promise.is_empty(), "no `promise:`");
        ensure!(
            self.name.starts_with(&format!("{}-", self.promise)),
            "the file name does not start with its promise, `{}-`",
            self.promise
        );
        ensure!(self.test.len() > 1 && self.test[0] == "test", "no `test: cargo test … name`");
        ensure!(!self.edits.is_empty(), "no `file:`, `find:` and `replace:`");
        for edit in &self.edits {
            ensure!(!edit.file.is_empty(), "`find:` before the first `file:`");
            ensure!(!edit.find.trim().is_empty(), "nothing to find in {}", edit.file);
        }
        Ok(())
    }

    /// The name of the test function, with the path that the command gives.
    pub(crate) fn test_name(&self) -> &str {
        let last = self.test.iter().take_while(|word| *word != "--").last();
        last.map_or("", |name| name.rsplit("::").next().unwrap_or(name))
    }

    /// Says whether every edit still fits the tree at `root`.
    pub(crate) fn check(&self, root: &Path) -> Result<()> {
        self.edited(root).map(|_| ())
    }

    /// The files as they look after the edits.
    pub(crate) fn edited(&self, root: &Path) -> Result<BTreeMap<&str, String>> {
        let mut files = BTreeMap::new();
        for edit in &self.edits {
            let text = match files.entry(edit.file.as_str()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let text = fs::read_to_string(root.join(&edit.file));
                    entry.insert(text.with_context(|| self.cannot("read", edit))?)
                }
            };
            let range = locate(text, &edit.find).with_context(|| self.cannot("apply to", edit))?;
            text.replace_range(range, &edit.replace);
        }
        Ok(files)
    }

    fn cannot(&self, verb: &str, edit: &Edit) -> String {
        format!("mutation {} can no longer {verb} {}", self.name, edit.file)
    }
}

/// Where `needle` stands in `text`, white space aside. It must be there once.
pub(crate) fn locate(text: &str, needle: &str) -> Result<Range<usize>> {
    let solid: Vec<(usize, char)> =
        text.char_indices().filter(|(_, c)| !c.is_whitespace()).collect();
    let needle: Vec<char> = needle.chars().filter(|c| !c.is_whitespace()).collect();
    let starts: Vec<usize> = solid
        .windows(needle.len().max(1))
        .enumerate()
        .filter(|(_, window)| window.iter().map(|(_, c)| c).eq(&needle))
        .map(|(start, _)| start)
        .collect();
    match starts[..] {
        [start] => {
            let (last, c) = solid[start + needle.len() - 1];
            Ok(solid[start].0..last + c.len_utf8())
        }
        [] => bail!("the text to find is not there"),
        _ => bail!("the text to find is there {} times; make it longer", starts.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "# The stock check is gone.\npromise: P5\n\
        test: cargo test -p jangbu-domain --lib inventory::tests::limits_hold -- --exact\n\
        file: a.rs\nfind:\n    if a < b {\n        stop()\n    }\nreplace:\n    let x: u8 = 1;\n\
        find:\nc\nreplace:\n\nfile: b.rs\nfind:\nd\nreplace:\ne\n";

    #[test]
    fn all_sections_are_read() {
        let mutation = parse("P5-stock.mutation", SAMPLE).unwrap();
        assert_eq!((mutation.name.as_str(), mutation.promise.as_str()), ("P5-stock", "P5"));
        assert_eq!(mutation.test_name(), "limits_hold");
        assert_eq!(mutation.test[0], "test");
        let edits: Vec<_> =
            mutation.edits.iter().map(|e| (e.file.as_str(), e.replace.as_str())).collect();
        assert_eq!(edits, [("a.rs", "    let x: u8 = 1;"), ("a.rs", ""), ("b.rs", "e")]);
        assert!(mutation.edits[0].find.contains("stop()"));
    }

    #[test]
    fn incomplete_files_are_refused_with_a_reason() {
        let refused = |name: &str, text: &str| format!("{:#}", parse(name, text).unwrap_err());
        assert!(refused("P6-stock", SAMPLE).contains("does not start with its promise"));
        assert!(refused("P5-a", &SAMPLE.replace("cargo test", "make")).contains("cargo test"));
        assert!(refused("P5-a", "promise: P5\ntest: cargo test a\n").contains("no `file:`"));
        assert!(refused("P5-a", &SAMPLE.replace("find:\nc\n", "")).contains("cannot read"));
        assert!(refused("P5-a", "who: me\n").contains("who: me"));
    }

    #[test]
    fn text_is_found_once_whatever_the_layout() {
        let text = "fn f() {\n    g(\n        a,\n        장부,\n    );\n}\n";
        assert_eq!(
            &text[locate(text, "g(a, 장부,)").unwrap()],
            "g(\n        a,\n        장부,\n    )"
        );
        assert!(locate(text, "h(a)").is_err());
        assert!(locate("a + a", "a").unwrap_err().to_string().contains("2 times"));
        assert!(locate("", "a").is_err());
    }
}
