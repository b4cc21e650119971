//! Programs that serve: what is said of one that does not come up, and that others may stop.

use std::{process::Command, time::Duration};

use jangbu_cluster::{Error, Part, Result, Service, State, service::Launch};

use crate::LONG;

/// A shell that runs a script, with its log in `dir`.
fn shell(dir: &std::path::Path, script: &str) -> Result<Service> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    let log = dir.join("log");
    let farewell = rustix::process::Signal::TERM;
    Service::spawn(Launch { name: "shell", command, log: &log, farewell, remove: None })
}

#[test]
fn a_program_that_ends_or_says_nothing_is_told_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let short = shell(dir.path(), "echo no disk; exit 1");
    // It may have ended before anybody looked.
    let error = short.and_then(|mut short| short.ready("ready", LONG)).unwrap_err();
    assert!(matches!(&error, Error::Died { tail, .. } if tail == "no disk"), "{error}");
    let mut silent = shell(dir.path(), "echo hm; exec sleep 600").unwrap();
    let error = silent.ready("ready", Duration::from_millis(300)).unwrap_err();
    assert!(matches!(&error, Error::Late { tail, .. } if tail == "hm"), "{error}");
}

#[test]
fn what_was_left_running_is_stopped_by_what_was_written_down_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = shell(dir.path(), "echo ready; exec sleep 600").unwrap();
    service.ready("ready", LONG).unwrap();
    let bystander = shell(dir.path(), "exec sleep 600").unwrap();
    let identity = service.identity();
    let part = Part::of(service, "sleep", "");
    assert!(identity.is_alive(), "left, not stopped");

    // A process that has the number of another one, which ended.
    let mut namesake = Part { name: "gone".into(), identity: bystander.identity(), ..part.clone() };
    namesake.identity.started -= 1;
    let state = State::new(vec![namesake, part.clone()]);
    state.write(dir.path()).unwrap();
    let state = State::read(dir.path()).unwrap().unwrap();
    assert!(state.runs(&part));
    assert_eq!(state.stop(dir.path()).unwrap(), [part]);
    assert!(!identity.is_alive() && bystander.is_alive());
    assert_eq!(State::read(dir.path()).unwrap(), None);
}
