//! Disks that are full, directories that cannot be used, files that are damaged.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::server::{Server, jangbu, prove};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn serve(data: &std::path::Path) -> Output {
    let args = ["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    jangbu(&args, &[]).output().unwrap()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn a_full_disk_takes_no_new_orders_and_loses_none() {
    let dir = scratch();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[("STORE__MAX_PAGES", "120")]);
    let skus = server.seed(20, 1_000_000);
    let mut sold = 0;
    let refused = loop {
        let reply = server.order(&format!("fill-{sold}"), &skus[sold % 20], 1, "tok_ok").unwrap();
        match reply.status {
            201 | 202 => sold += 1,
            _ => break reply,
        }
        assert!(sold < 20_000, "the disk is never full");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.body["code"], "READ_ONLY", "{refused:?}");
    assert_eq!(server.get("/readyz").status, 503);
    let stock = server.get(&format!("/api/v1/stock/{}", skus[0]));
    assert_eq!(stock.status, 200, "reads go on");
    drop(server);
    // More room: what was under way goes on.
    let server = Server::start(&data, &[]);
    let again = server.order("fill-0", &skus[0], 1, "tok_ok").unwrap();
    assert_eq!((again.status, again.replayed), (201, true), "{again:?}");
    let new = server.order("room", &skus[0], 1, "tok_ok").unwrap();
    assert_eq!(new.status, 201, "{new:?}");
    assert!(server.stop().success());
    let (code, report) = prove(&data, None);
    assert_eq!(code, 0, "{report:#}");
}

#[test]
fn a_second_process_on_a_directory_is_refused_by_name() {
    let dir = scratch();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let out = serve(&data);
    assert_eq!(out.status.code(), Some(3));
    let text = said(&out);
    assert!(text.contains(&format!("in use by process {}", server.pid())), "{text}");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_with_the_remedy() {
    let dir = scratch();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let out = serve(&file);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("must be a directory"), "{}", said(&out));
    let locked = dir.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write everywhere: then there is nothing to refuse.
    if std::fs::write(locked.join("probe"), "").is_err() {
        assert_eq!(serve(&locked).status.code(), Some(3));
    }
}

#[test]
fn a_damaged_page_stops_the_writing_and_is_named() {
    let dir = scratch();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let skus = server.seed(200, 1_000);
    for sku in &skus[..50] {
        assert_eq!(server.order(sku, sku, 1, "tok_ok").unwrap().status, 201);
    }
    assert!(server.stop().success());
    let mut file = std::fs::OpenOptions::new().write(true).open(data.join("jangbu.db")).unwrap();
    let pages = file.metadata().unwrap().len() / 4_096;
    for page in 2..pages {
        file.seek(SeekFrom::Start(page * 4_096)).unwrap();
        file.write_all(&[0xff; 512]).unwrap();
    }
    drop(file);
    let (code, report) = prove(&data, None);
    assert_ne!(code, 0, "damage is never a clean proof: {report}");
    let args = ["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let mut child = jangbu(&args, &[]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    // Either it does not start, or it starts and refuses the first write: never a wrong answer.
    let ended = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        child.try_wait().unwrap()
    });
    if let Some(status) = ended {
        assert!(!status.success());
    } else {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
