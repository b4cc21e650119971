//! The auditor's own book: rules, and what was found against them.
//!
//! A rule is a constant with a stable name; each domain file lists its rules in one [`rules!`]
//! table. A finding costs memory only up to a limit; the counters count on.

use serde::Serialize;

/// What kind of harm a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Acknowledged by the server or by the gateway, and absent in the store.
    Lost,
    /// Two effects of what was asked once.
    Doubled,
    /// An amount, a state or a law does not hold.
    Mismatched,
}

/// One thing that always holds in sound books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Stable name, such as `stock.equation`.
    pub name: &'static str,
    /// The class of its findings.
    pub class: Class,
    /// What holds, in one sentence.
    pub meaning: &'static str,
}

/// A breach of a rule, with the exact id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The class of its rule.
    pub class: Class,
    /// The name of the broken rule.
    pub rule: &'static str,
    /// What is wrong: `ord_…`, `pay_…`, `sku_…`, an account code, `commit 7`.
    pub subject: String,
    /// The two sides that do not agree.
    pub detail: String,
}

/// How many findings are kept with their detail; all are counted.
pub(crate) const KEPT: usize = 10_000;

/// Findings so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) findings: Vec<Finding>,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) mismatched: u64,
}

impl Book {
    /// Writes down a breach of `rule` by `subject`.
    pub(crate) fn find(&mut self, rule: Rule, subject: String, detail: String) {
        match rule.class {
            Class::Lost => self.lost += 1,
            Class::Doubled => self.doubled += 1,
            Class::Mismatched => self.mismatched += 1,
        }
        if self.findings.len() < KEPT {
            self.findings.push(Finding { class: rule.class, rule: rule.name, subject, detail });
        }
    }
}

/// Declares the rules of a file: a constant each, and the list `RULES` of all of them.
macro_rules! rules {
    ($($name:ident = $text:literal, $class:ident, $meaning:literal;)+) => {
        $(pub(crate) const $name: crate::book::Rule = crate::book::Rule {
            name: $text,
            class: crate::book::Class::$class,
            meaning: $meaning,
        };)+
        /// Every rule of this file.
        pub(crate) const RULES: &[crate::book::Rule] = &[$($name),+];
    };
}
pub(crate) use rules;
