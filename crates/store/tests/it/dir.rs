//! One process per data directory.

use std::{fs, os::unix::fs::PermissionsExt};

use jangbu_store::{DataDir, DirError};

#[test]
fn a_second_owner_is_told_who_holds_the_directory() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("deep/data");
    let first = DataDir::open(&path).unwrap();
    let second = DataDir::open(&path).unwrap_err();
    assert!(matches!(second, DirError::InUse { .. }), "{second:?}");
    let text = second.to_string();
    assert!(text.contains(&std::process::id().to_string()) && text.contains("--data"), "{text}");
    drop(first);
    let third = DataDir::open(&path).unwrap();
    assert_eq!(third.file("jangbu.db"), path.join("jangbu.db"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let temp = tempfile::NamedTempFile::new().unwrap();
    let error = DataDir::open(temp.path()).unwrap_err();
    assert!(matches!(error, DirError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains("may write"), "{error}");
}
