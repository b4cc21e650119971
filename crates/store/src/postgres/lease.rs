//! Who owns the cell, and how everybody else is kept from writing.
//!
//! Table `owner` has one row for each cell: the epoch, who holds it, where that process can be reached, and
//! until when. Whoever takes the cell over raises the epoch. Every transaction begins with a lock that
//! only one transaction has at a time, and then compares the epoch: an owner that slept through its lease
//! and wakes up finds another epoch, and writes nothing. The clock is the server's.
//!
//! A transaction that passed the comparison holds the lock until it ends; the next owner's first transaction
//! waits for it, and so reads what it wrote.

use std::time::Duration;

use jangbu_engine::port::{Fault, Tenure};
use tokio_postgres::types::ToSql;

use super::link::Link;

/// First part of the keys of our advisory locks; the second is made of the schema.
const SPACE: i32 = 0x6a61_6e67;

/// The table, made before the first migration.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS owner (cell INT PRIMARY KEY, epoch BIGINT \
    NOT NULL, holder TEXT NOT NULL, address TEXT NOT NULL, until TIMESTAMPTZ NOT NULL)";

/// Begins a transaction of the owner of `epoch`; fails by a division by zero when there is another.
pub(super) fn fence(schema: &str, epoch: i64) -> String {
    format!(
        "BEGIN; SELECT pg_advisory_xact_lock({SPACE}, hashtext('{schema}')); \
         SELECT 1 / (COALESCE((SELECT epoch FROM owner WHERE cell = 0), 0) = {epoch})::int"
    )
}

/// Takes the lock of an owner's transactions for as long as the connection lives.
pub(super) fn lock_session(schema: &str) -> String {
    format!("SELECT pg_advisory_lock({SPACE}, hashtext('{schema}'))")
}

/// Locks the schema against everybody else who migrates it or makes it.
pub(super) fn lock_schema(schema: &str) -> String {
    format!("SELECT pg_advisory_xact_lock({SPACE} + 1, hashtext('{schema}'))")
}

/// Takes the lease for `holder`, or renews it. A holder is `name/instance`: another instance of a name takes over
/// at once, under another epoch.
pub(super) fn claim(
    link: &Link,
    holder: &str,
    address: &str,
    lease: Duration,
) -> Result<Tenure, Fault> {
    let what = "claiming the cell";
    let seconds = lease.as_secs_f64();
    let params: [&(dyn ToSql + Sync); 3] = [&holder, &address, &seconds];
    let claimed = link.client().query_opt(
        "INSERT INTO owner (cell, epoch, holder, address, until)
           VALUES (0, 1, $1, $2, clock_timestamp() + $3 * interval '1 second')
         ON CONFLICT (cell) DO UPDATE
           SET epoch = owner.epoch + (owner.holder <> excluded.holder)::int,
               holder = excluded.holder, address = excluded.address, until = excluded.until
           WHERE split_part(owner.holder, '/', 1) = split_part(excluded.holder, '/', 1)
              OR owner.until <= clock_timestamp()
         RETURNING epoch",
        &params,
    );
    if let Some(row) = link.ask(claimed, what)? {
        return Ok(Tenure::Mine { epoch: row.get(0) });
    }
    let others = "SELECT address, EXTRACT(EPOCH FROM until - clock_timestamp())::float8 \
                  FROM owner WHERE cell = 0";
    let row = link.ask(link.client().query_one(others, &[]), what)?;
    let left = Duration::try_from_secs_f64(row.get(1)).unwrap_or_default();
    Ok(Tenure::Theirs { address: row.get(0), left })
}

/// Gives the lease up, if `holder` has it.
pub(super) fn release(link: &Link, holder: &str) -> Result<(), Fault> {
    let sql = "UPDATE owner SET until = clock_timestamp() WHERE cell = 0 AND holder = $1";
    let params: [&(dyn ToSql + Sync); 1] = [&holder];
    link.ask(link.client().execute(sql, &params), "releasing the cell").map(drop)
}

/// Ends the connections of owners before this one, which may be half-open and hold the lock. Refused with a
/// lost epoch for whoever is not the owner.
pub(super) fn evict(link: &Link, schema: &str, epoch: i64) -> Result<(), Fault> {
    link.ask(link.client().batch_execute(&fence_only(epoch)), "the epoch of this owner")?;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 \
               AND datname = current_database() AND usename = current_user \
               AND pid <> pg_backend_pid()";
    let name = owner_name(schema);
    let params: [&(dyn ToSql + Sync); 1] = [&name];
    let what = "ending the connection of the last owner";
    link.ask(link.client().execute(sql, &params), what).map(drop)
}

/// Waits until everything that the owners before have committed is as durable as a commit of ours would be.
///
/// A commit that waits for a synchronous standby is already on the disk of the primary; when its connection
/// ends meanwhile, or the primary starts again, it is seen there although no standby has it, and would be
/// lost with the primary. So whoever comes after such an owner may not believe what it sees yet. The lock is free
/// when the last of them has ended; the row that is written then stands in the log behind everything of
/// theirs, and its own commit waits for the standby.
pub(super) fn settle(link: &Link, schema: &str, epoch: i64) -> Result<(), Fault> {
    let sql = format!(
        "BEGIN; SELECT pg_advisory_xact_lock({SPACE}, hashtext('{schema}')); \
         UPDATE owner SET until = until WHERE cell = 0 AND epoch = {epoch}; COMMIT"
    );
    link.ask(link.client().batch_execute(&sql), "waiting for what was committed")
}

fn fence_only(epoch: i64) -> String {
    format!("SELECT 1 / (COALESCE((SELECT epoch FROM owner WHERE cell = 0), 0) = {epoch})::int")
}

/// What an owner's connection is called; PostgreSQL cuts names at 63 bytes.
pub(super) fn owner_name(schema: &str) -> String {
    format!("jangbu owner of {schema}").chars().take(60).collect()
}
