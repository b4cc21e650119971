//! The same books on PostgreSQL: the same rules find the same breaches, and what its schema must promise
//! is missed when it is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jangbu_audit::{Error, Finding, Options, Report, Step, Store, prove};
use rusqlite::{Connection, types::ValueRef};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use crate::{
    breaches::{ENGINE, SQL},
    corrupt::{copy, fill, without_guards},
    coupons, people, points,
};

/// A database of its own.
struct Server {
    url: String,
    client: Client,
    runtime: Runtime,
}

impl Server {
    fn new(name: &str) -> Self {
        let url = jangbu_cluster::shared::postgres().database(name).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(&url, NoTls)).unwrap();
        drop(runtime.spawn(connection));
        let server = Self { url, client, runtime };
        server.run("CREATE SCHEMA jangbu; SET search_path = jangbu");
        server
    }

    fn run(&self, sql: &str) {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.unwrap_or_else(|error| panic!("{error:?}: {}", &sql[..sql.len().min(300)]));
    }

    fn rows(&self, sql: &str) -> Vec<(String, String)> {
        let rows = self.runtime.block_on(self.client.query(sql, &[])).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// With the gateway's log of `dir`.
    fn options(&self, dir: &Path) -> Options {
        let store = Store::Postgres { url: self.url.clone(), schema: "jangbu".to_owned() };
        Options { store, ..Options::new(dir) }
    }

    fn prove(&self, dir: &Path) -> Report {
        prove(&self.options(dir)).unwrap()
    }
}

/// The rows of each table as PostgreSQL writes them; `None` if it cannot have them.
fn written(db: &Connection) -> Option<BTreeMap<String, String>> {
    let rows = tables(db).into_iter().map(|table| Some((table.clone(), values(db, &table)?)));
    rows.collect()
}

fn tables(db: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'hot_log'";
    let mut found = db.prepare(sql).unwrap();
    found.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Name, declared type and place in the key of each column.
fn columns(db: &Connection, table: &str) -> Vec<(String, String, i64)> {
    let mut found = db.prepare("SELECT name, type, pk FROM pragma_table_info(?1)").unwrap();
    let rows = found.query_map([table], |row| row.try_into()).unwrap();
    rows.map(Result::unwrap).collect()
}

fn values(db: &Connection, table: &str) -> Option<String> {
    let columns = columns(db, table);
    let mut found = db.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
    let (mut rows, mut all) = (found.query([]).unwrap(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        let value = |(at, (_, kind, _)): (usize, &(String, String, i64))| {
            literal(kind, row.get_ref(at).unwrap())
        };
        let row: Option<Vec<String>> = columns.iter().enumerate().map(value).collect();
        all.push(format!("({})", row?.join(",")));
    }
    Some(all.join(","))
}

fn literal(kind: &str, value: ValueRef<'_>) -> Option<String> {
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    match (kind, value) {
        (_, ValueRef::Null) => Some("NULL".to_owned()),
        ("INTEGER", ValueRef::Integer(n)) => Some(format!("'{n}'")),
        ("TEXT", ValueRef::Text(bytes)) => Some(format!("'{}'", text(bytes)?.replace('\'', "''"))),
        ("BLOB", ValueRef::Blob(bytes)) => {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            Some(format!("'\\x{hex}'"))
        }
        _ => None,
    }
}

/// The tables of a file, without anything that would refuse a wrong row.
fn bare(server: &Server, dir: &Path) {
    let db = Connection::open(dir.join("jangbu.db")).unwrap();
    for table in tables(&db) {
        let columns = columns(&db, &table);
        let kind = |kind: &str| match kind {
            "INTEGER" => "BIGINT",
            "BLOB" => "BYTEA",
            _ => "TEXT",
        };
        let column = |(name, of, _): &(String, String, i64)| format!("\"{name}\" {}", kind(of));
        let all: Vec<String> = columns.iter().map(column).collect();
        let mut key: Vec<_> = columns.iter().filter(|(_, _, pk)| *pk > 0).collect();
        key.sort_by_key(|(_, _, pk)| *pk);
        let key: Vec<String> = key.iter().map(|(name, _, _)| format!("\"{name}\"")).collect();
        server.run(&format!(
            "CREATE TABLE \"{table}\" ({}, PRIMARY KEY ({}))",
            all.join(", "),
            key.join(", ")
        ));
    }
    let steps = "INSERT INTO migration VALUES (1, 'a', 'x', 0), (2, 'b', 'y', 0)";
    server.run(&format!("{MIGRATION}; {steps}"));
}

const MIGRATION: &str =
    "CREATE TABLE migration (version BIGINT PRIMARY KEY, name TEXT, sha256 TEXT, at BIGINT)";

fn replace(server: &Server, table: &str, rows: &str) {
    let insert = match rows {
        "" => String::new(),
        rows => format!("; INSERT INTO \"{table}\" VALUES {rows}"),
    };
    server.run(&format!("TRUNCATE \"{table}\"{insert}"));
}

/// What is found about the books, whichever store they are in.
fn about_books(report: &Report) -> Vec<(&str, &str, &str)> {
    let own = ["store.hot", "store.constraint", "store.step"];
    let of = |f: &'_ Finding| !own.contains(&f.rule);
    let mut found: Vec<_> = report.findings.iter().filter(|f| of(f)).collect();
    found.sort_by_key(|f| (f.rule, &f.subject, &f.detail));
    found.iter().map(|f| (f.rule, f.subject.as_str(), f.detail.as_str())).collect()
}

/// Does to a file what a breach does, if both stores can have what comes of it.
fn breach(db: &Connection, sql: &str) -> Option<BTreeMap<String, String>> {
    db.execute_batch("SAVEPOINT breach").unwrap();
    let done = sql.split("; ").try_for_each(|statement| db.execute(statement, []).map(|_| ()));
    let rows = done.ok().and_then(|()| written(db));
    let end = if rows.is_some() { "RELEASE breach" } else { "ROLLBACK TO breach; RELEASE breach" };
    db.execute_batch(end).unwrap();
    rows
}

#[test]
fn a_breach_is_found_on_postgresql_as_in_a_file() {
    let server = Server::new("audit_breaches");
    let (sound, names) = copy();
    bare(&server, sound.path());
    let clean = written(&Connection::open(sound.path().join("jangbu.db")).unwrap()).unwrap();
    for (table, rows) in &clean {
        replace(&server, table, rows);
    }
    let report = server.prove(sound.path());
    assert_eq!(about_books(&report), [], "{report}");
    let file = prove(&Options::new(sound.path())).unwrap();
    assert_eq!(report.conditions.entries, file.conditions.entries);
    let all = SQL.iter().chain(ENGINE).chain(points::SQL).chain(people::SQL).chain(coupons::SQL);
    let all: Vec<_> = all.filter(|(_, sql, _)| !sql.contains("hot_log")).collect();
    let (mut rules, mut breaches, mut there) = (BTreeSet::new(), 0, clean);
    // Many at a time, because each proof copies the whole shop.
    for several in all.chunks(12) {
        let (dir, _) = copy();
        let db = without_guards(dir.path());
        let mut wanted = None;
        for (_, sql, _) in several {
            let rows = breach(&db, &fill(sql, names));
            breaches += usize::from(rows.is_some());
            wanted = rows.or(wanted);
        }
        let wanted = wanted.unwrap();
        for (table, rows) in wanted.iter().filter(|(table, rows)| there[*table] != **rows) {
            replace(&server, table, rows);
        }
        there = wanted;
        drop(db);
        let (file, copy) = (prove(&Options::new(dir.path())).unwrap(), server.prove(dir.path()));
        assert_eq!(about_books(&copy), about_books(&file), "{several:?}");
        rules.extend(about_books(&file).into_iter().map(|(rule, ..)| rule.to_owned()));
    }
    // The others need a value that PostgreSQL's types refuse.
    assert!(breaches > 200 && rules.len() > 80, "{breaches} breaches of {} rules", rules.len());
}

/// The steps of the schema, in their order.
fn migrations() -> Vec<String> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../services/migrations");
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let is_step = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("00");
    let mut files: Vec<PathBuf> = files.filter(is_step).collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// The schema as the server makes it, and a shop in which nothing has happened yet.
fn schema(server: &Server) {
    for step in &migrations() {
        let (step, refusals) = without_triggers(step);
        let step = step
            .replace("INTEGER", "BIGINT")
            .replace("BLOB", "BYTEA")
            .replace(" WITHOUT ROWID", "")
            .replace(" user BIGINT", " \"user\" BIGINT")
            .replace("randomblob(16)", "uuid_send(gen_random_uuid())");
        server.run(&step);
        for (name, event) in refusals {
            server.run(&format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'no'; END $$;
                 CREATE TRIGGER {name} BEFORE {event} ON audit_log FOR EACH ROW EXECUTE FUNCTION {name}()"
            ));
        }
    }
    server.run(&format!(
        "{MIGRATION}; INSERT INTO migration VALUES (1, 'a', 'x', 0), (2, 'b', 'y', 0)"
    ));
}

fn without_triggers(sql: &str) -> (String, Vec<(&str, &str)>) {
    let is_trigger = |line: &&str| line.starts_with("CREATE TRIGGER");
    let rest: Vec<&str> = sql.lines().filter(|line| !is_trigger(line)).collect();
    let found = sql.lines().filter(is_trigger).map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[2], words[4])
    });
    (rest.join("\n"), found.collect())
}

/// The tables about which something is missed.
fn missed(server: &Server, dir: &Path) -> Vec<(String, String)> {
    let report = server.prove(dir);
    let of = |f: &Finding| (f.subject.clone(), f.detail.clone());
    let found = report.findings.iter().inspect(|f| assert_eq!(f.rule, "store.constraint", "{f:?}"));
    found.map(of).collect()
}

#[test]
fn every_constraint_of_the_schema_is_missed_when_it_is_gone() {
    let server = Server::new("audit_constraints");
    schema(&server);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(missed(&server, dir.path()), []);
    let all = "SELECT conrelid::regclass::text, format('%s|%s', conname, pg_get_constraintdef(oid)) \
               FROM pg_constraint WHERE connamespace = 'jangbu'::regnamespace \
               AND contype IN ('p', 'c') AND conrelid <> 'migration'::regclass ORDER BY 1, 2";
    let constraints = server.rows(all);
    assert!(constraints.len() > 80, "{}", constraints.len());
    let mut wanted = BTreeSet::new();
    for (table, constraint) in &constraints {
        let (name, text) = constraint.split_once('|').unwrap();
        server.run(&format!("ALTER TABLE {table} DROP CONSTRAINT \"{name}\""));
        wanted.insert((format!("table {table}"), bare_text(text)));
    }
    let gone = |(subject, detail): (String, String)| {
        let text = detail.strip_suffix(" is not there").unwrap_or_else(|| panic!("{detail}"));
        (subject, bare_text(text))
    };
    let found: BTreeSet<_> = missed(&server, dir.path()).into_iter().map(gone).collect();
    assert_eq!(found, wanted);
}

/// Without what makes no difference.
fn bare_text(text: &str) -> String {
    let text = text.replace("::bigint", "").replace("::text", "");
    text.chars().filter(|c| !matches!(c, ' ' | '(' | ')' | '"')).collect()
}

#[test]
fn every_column_that_may_suddenly_be_null_is_named() {
    let server = Server::new("audit_nulls");
    schema(&server);
    let dir = tempfile::tempdir().unwrap();
    let all = "SELECT attrelid::regclass::text, quote_ident(attname) FROM pg_attribute a \
               JOIN pg_class c ON c.oid = attrelid AND relkind = 'r' AND relname <> 'migration' \
               WHERE relnamespace = 'jangbu'::regnamespace AND attnum > 0 AND attnotnull \
               AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = attrelid \
                               AND contype = 'p' AND attnum = ANY (conkey)) ORDER BY 1, 2";
    let columns = server.rows(all);
    assert!(columns.len() > 150, "{}", columns.len());
    for (table, column) in &columns {
        server.run(&format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"));
    }
    let mut found = missed(&server, dir.path());
    found.sort();
    let name = |(table, column): &(String, String)| {
        (format!("table {table}"), format!("the column {} may be null", column.trim_matches('"')))
    };
    let mut wanted: Vec<_> = columns.iter().map(name).collect();
    wanted.sort();
    assert_eq!(found, wanted);
}

#[test]
fn a_check_that_was_never_validated_and_a_trigger_that_is_off_are_named() {
    let server = Server::new("audit_validity");
    schema(&server);
    let dir = tempfile::tempdir().unwrap();
    server.run(
        "ALTER TABLE merchant DROP CONSTRAINT merchant_name_check;
         ALTER TABLE merchant ADD CONSTRAINT merchant_name_check CHECK (name <> '') NOT VALID;
         ALTER TABLE audit_log DISABLE TRIGGER audit_log_keeps;
         DROP TRIGGER audit_log_stays ON audit_log",
    );
    let found = missed(&server, dir.path());
    let about = |table: &str, words: &str| {
        found.iter().any(|(subject, detail)| subject == table && detail.contains(words))
    };
    assert!(about("table merchant", "never validated"), "{found:?}");
    assert!(about("table audit_log", "audit_log_keeps"), "{found:?}");
    assert!(about("table audit_log", "audit_log_stays"), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn steps_that_are_missing_unknown_or_out_of_order_are_named() {
    let server = Server::new("audit_steps");
    schema(&server);
    let dir = tempfile::tempdir().unwrap();
    let step = |version, sha256: &str| Step { version, sha256: sha256.to_owned() };
    let found = |steps: Vec<Step>| {
        let report = prove(&Options { steps, ..server.options(dir.path()) }).unwrap();
        let of = |f: &Finding| (f.rule, f.subject.clone());
        report.findings.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(found(vec![step(1, "x"), step(2, "y")]), []);
    let named = |n: i64| vec![("store.step", format!("step {n}"))];
    assert_eq!(found(vec![step(1, "x"), step(2, "z")]), named(2), "another text");
    assert_eq!(found(vec![step(1, "x")]), named(2), "of a newer program");
    assert_eq!(found(vec![step(1, "x"), step(2, "y"), step(3, "z")]), named(3), "not applied");
    server.run("UPDATE migration SET version = 3 WHERE version = 2");
    assert_eq!(found(Vec::new()), named(2), "a gap");
}

#[test]
fn what_cannot_be_proven_is_said() {
    let server = Server::new("audit_errors");
    let dir = tempfile::tempdir().unwrap();
    let told = || prove(&server.options(dir.path())).unwrap_err();
    assert!(matches!(told(), Error::NoShop(schema) if schema == "jangbu"));
    schema(&server);
    server.run("ALTER TABLE payment DROP COLUMN points_of");
    assert!(matches!(told(), Error::Older(schema) if schema == "jangbu"));
    let url = "postgres://nobody:secret@127.0.0.1:1/none".to_owned();
    let store = Store::Postgres { url, schema: "jangbu".to_owned() };
    let options = Options { store, ..Options::new(dir.path()) };
    assert!(!format!("{options:?}").contains("secret"));
    let error = prove(&options).unwrap_err().to_string();
    assert!(error.contains("PostgreSQL: connecting") && !error.contains("secret"), "{error}");
}
