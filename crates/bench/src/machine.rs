//! The conditions that the machine sets: processor, memory, kernel, disk and what a sync costs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::Error;

/// How often the sync is measured.
const SYNCS: usize = 200;

/// The machine of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors that the generator may use; the server shares them.
    pub cores: usize,
    /// Model name of the processor.
    pub cpu: Option<String>,
    /// Memory in megabytes.
    pub ram_mb: Option<u64>,
    /// Kernel release.
    pub kernel: Option<String>,
}

/// The disk under the data directory.
#[derive(Debug, Clone, Serialize)]
pub struct Disk {
    /// Kind of the file system.
    pub filesystem: String,
    /// Median of 200 appends of 4 KiB, each with an fdatasync, in microseconds.
    pub fdatasync_us: f64,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kilobytes = field(&meminfo, "MemTotal").and_then(|text| kilobytes(&text));
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu: field(&cpuinfo, "model name"),
            ram_mb: kilobytes.map(|kilobytes| kilobytes / 1024),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .ok()
                .map(|text| text.trim().to_owned()),
        }
    }
}

impl Disk {
    /// Looks at the disk under `dir`; memory is refused, since nothing is durable there.
    pub(crate) fn under(dir: &Path) -> Result<Self, Error> {
        let filesystem = filesystem(dir).unwrap_or_else(|| "unknown".to_owned());
        if ["tmpfs", "ramfs", "devtmpfs"].contains(&filesystem.as_str()) {
            return Err(Error::Directory(format!(
                "{} is on {filesystem}, which is memory: choose a directory on a disk with --dir",
                dir.display()
            )));
        }
        let fdatasync_us = sync_cost(dir)
            .map_err(|error| Error::Directory(format!("{}: {error}", dir.display())))?;
        Ok(Self { filesystem, fdatasync_us })
    }
}

/// The kind of the file system that holds `dir`, by the longest mount point above it.
fn filesystem(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        dir.starts_with(point).then(|| (point.len(), kind.split(' ').next().map(str::to_owned)))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length)?.1
}

fn sync_cost(dir: &Path) -> io::Result<f64> {
    let path = dir.join("sync-probe");
    let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let costs = sync_costs(file);
    fs::remove_file(&path)?;
    let mut costs = costs?;
    costs.sort_by(f64::total_cmp);
    Ok(costs[costs.len() / 2])
}

fn sync_costs(mut file: File) -> io::Result<Vec<f64>> {
    let page = [0x4A; 4096];
    (0..SYNCS)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&page)?;
            file.sync_data()?;
            Ok(start.elapsed().as_secs_f64() * 1e6)
        })
        .collect()
}

/// The value of the first line `name : value`.
pub(crate) fn field(text: &str, name: &str) -> Option<String> {
    let line =
        text.lines().find(|line| line.split(':').next().is_some_and(|n| n.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `123 kB`
pub(crate) fn kilobytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse().ok()
}
