//! The inputs that fuzzing found worth keeping, once more; those of the crate's own readers are in
//! `src/fuzzing.rs`.

use std::path::Path;

use crate::fuzzed::{bodies, stored};

/// Every kept input of a target; none at all is a mistake.
fn replay(target: &str, run: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
    assert!(files.len() > 10, "{target}: {} inputs", files.len());
    for file in files {
        run(&std::fs::read(file.path()).unwrap());
    }
}

#[test]
fn kept_inputs_of_bodies_find_nothing() {
    replay("bodies", bodies);
}

#[test]
fn kept_inputs_of_stored_payloads_find_nothing() {
    replay("stored", stored);
}
