//! Hot rows: whatever way they take to their places, everybody sees what memory would show.

use std::{fs, path::Path, time::Duration};

use jangbu_engine::port::{
    Backend, By, Col, CommitError, Each, Fault, Mode, Read, Reader, Store, Table, WritePlan,
};
use jangbu_store::{Memory, Migration, Options, Sqlite, dump};
use rusqlite::Connection;

use crate::shop::row;

static SHELF: Table = Table {
    rank: 5,
    name: "shelf",
    key: &["id"],
    cols: &[Col::int("count"), Col::text("word").or_null()],
    versioned: true,
    due: false,
    lists: &[],
    hot: true,
};

static SEAT: Table = Table {
    rank: 6,
    name: "seat",
    key: &["line", "no"],
    cols: &[Col::text("who")],
    versioned: true,
    due: false,
    lists: &[],
    hot: true,
};

static CODE: Table = Table {
    rank: 7,
    name: "code",
    key: &["hash"],
    cols: &[Col::int("means")],
    versioned: false,
    due: false,
    lists: &[],
    hot: true,
};

static TABLES: [&Table; 3] = [&SHELF, &SEAT, &CODE];

static MIGRATIONS: [Migration; 1] = [Migration {
    version: 1,
    name: "hot",
    sql: "CREATE TABLE shelf (id INTEGER PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0),
            word TEXT, version INTEGER NOT NULL);
          CREATE TABLE seat (line INTEGER NOT NULL, no INTEGER NOT NULL, who TEXT NOT NULL,
            version INTEGER NOT NULL, PRIMARY KEY (line, no)) WITHOUT ROWID;
          CREATE TABLE code (hash INTEGER PRIMARY KEY, means INTEGER NOT NULL);",
}];

/// A file whose owner is idle as soon as it has nothing to write.
fn sqlite(dir: &Path) -> Sqlite {
    busy(dir).with_options(Options { idle: Duration::ZERO, ..Options::default() })
}

fn busy(dir: &Path) -> Sqlite {
    Sqlite::new(dir.join("hot.db"), &TABLES, &MIGRATIONS)
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn int(&mut self, n: u64) -> i64 {
        i64::try_from(self.below(n)).unwrap()
    }
}

/// What a test knows of the rows: versions by id, and by seat, and how many codes there are.
#[derive(Clone, Default)]
struct Known {
    shelf: Vec<i64>,
    seats: Vec<i64>,
    codes: i64,
}

fn hash(code: i64) -> i64 {
    code.wrapping_mul(0x5851_f42d_4c95_7f2d)
}

impl Known {
    /// A plan with some new rows, and with changes of a few rows or of many.
    fn next(&mut self, random: &mut Random) -> WritePlan {
        let mut plan = WritePlan::default();
        let new = if self.shelf.len() < 300 { random.below(30) } else { 0 };
        let changes = [0, 3, 20, 60][usize::try_from(random.below(4)).unwrap()];
        let (shelves, seats) = (self.shelf.len() as u64, self.seats.len() as u64);
        for _ in 0..new {
            let id = i64::try_from(self.shelf.len()).unwrap();
            row(&mut plan, &SHELF, Mode::Insert, &[id * 7]).int(5).opt_text(None).int(1);
            row(&mut plan, &SEAT, Mode::Insert, &[id % 5, id]).text("nobody").int(1);
            self.shelf.push(1);
            self.seats.push(1);
        }
        for _ in 0..changes / 2 {
            self.codes += 1;
            row(&mut plan, &CODE, Mode::Insert, &[hash(self.codes)]).int(self.codes);
        }
        let mut changed = Vec::new();
        for _ in 0..changes.min(shelves) {
            let (id, seat) = (random.below(shelves), random.below(seats));
            if !changed.contains(&(0, id)) {
                changed.push((0, id));
                self.put_shelf(id, random, &mut plan);
            }
            if random.below(2) == 0 && !changed.contains(&(1, seat)) {
                changed.push((1, seat));
                self.put_seat(seat, &mut plan);
            }
        }
        plan.sort();
        plan
    }

    fn put_shelf(&mut self, id: u64, random: &mut Random, plan: &mut WritePlan) {
        let version = &mut self.shelf[usize::try_from(id).unwrap()];
        let mode = Mode::Update { version: *version };
        // A command counts, and one commit may hold several.
        *version += 1 + random.int(3);
        let words = ["\"양말\" \\ \u{1}", "", "plain"];
        let word = words.get(usize::try_from(random.below(4)).unwrap()).copied();
        row(plan, &SHELF, mode, &[id.cast_signed() * 7])
            .int(random.int(1 << 40))
            .opt_text(word)
            .int(*version);
    }

    fn put_seat(&mut self, no: u64, plan: &mut WritePlan) {
        let version = &mut self.seats[usize::try_from(no).unwrap()];
        let mode = Mode::Update { version: *version };
        *version += 1;
        let no = no.cast_signed();
        row(plan, &SEAT, mode, &[no % 5, no]).text(&format!("guest {version}")).int(*version);
    }
}

fn write(store: &mut dyn Store, plan: &WritePlan) -> Result<(), CommitError> {
    let mut tx = store.begin()?;
    tx.write(plan)?;
    tx.commit()
}

type Seen = Vec<(i64, i64, Option<String>, i64)>;

fn keys(ids: impl Iterator<Item = i64>) -> [Read; 1] {
    [Read { table: &SHELF, by: By::Keys(ids.map(|id| [id * 7, 0, 0]).collect()) }]
}

fn codes(random: &mut Random, known: i64) -> [Read; 1] {
    let keys = (0..10).map(|_| [hash(random.int(known.cast_unsigned() + 9)), 0, 0]).collect();
    [Read { table: &CODE, by: By::Keys(keys) }]
}

fn meanings(run: impl FnOnce(&mut Each<'_>) -> Result<(), Fault>) -> Vec<(i64, i64)> {
    let mut seen = Vec::new();
    run(&mut |_, row| seen.push((row.int(0), row.int(1)))).unwrap();
    seen.sort_unstable();
    seen
}

fn range() -> [Read; 1] {
    let by = By::Range { from: [0; 3], to: [i64::MAX; 3], descending: true, limit: 99 };
    [Read { table: &SHELF, by }]
}

fn shelves(run: impl FnOnce(&mut Each<'_>) -> Result<(), Fault>) -> Seen {
    let mut seen = Seen::new();
    run(&mut |_, row| {
        seen.push((row.int(0), row.int(1), row.opt_text(2).map(str::to_owned), row.int(3)));
    })
    .unwrap();
    seen
}

/// Owner and readers see the same of both stores.
fn compare(
    stores: [&mut dyn Store; 2],
    readers: &mut [Box<dyn Reader>; 2],
    (random, known): (&mut Random, i64),
) {
    for plan in [keys((0..10).map(|_| random.int(300))), range()] {
        let [memory, sqlite] = readers.each_mut().map(|r| shelves(|each| r.read(&plan, each)));
        assert_eq!(memory, sqlite, "readers: {plan:?}");
    }
    let some: Vec<i64> = (0..10).map(|_| random.int(300)).collect();
    let [memory, sqlite] = stores;
    let plan = codes(random, known);
    let see = |store: &mut dyn Store| meanings(|each| store.begin()?.read(&plan, each));
    let owner = see(memory);
    assert_eq!(owner, see(sqlite), "owners: {plan:?}");
    for reader in readers {
        assert_eq!(owner, meanings(|each| reader.read(&plan, each)), "readers: {plan:?}");
    }
    for plan in [keys(some.into_iter()), range()] {
        let see = |store: &mut dyn Store| shelves(|each| store.begin()?.read(&plan, each));
        assert_eq!(see(memory), see(sqlite), "owners: {plan:?}");
    }
}

/// A kill: the file and its log as they are.
fn copy(from: &Path, to: &Path) {
    for name in ["hot.db", "hot.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn logged(dir: &Path) -> i64 {
    let file = Connection::open(dir.join("hot.db")).unwrap();
    file.query_row("SELECT count(*) FROM hot_log", [], |row| row.get(0)).unwrap()
}

/// Commits at random, some of them rolled back, with pauses; whether the log was ever seen in use.
fn live(
    (memory, file): (&Memory, &Sqlite),
    dir: &Path,
    (known, random): (&mut Known, &mut Random),
) -> bool {
    let mut used = false;
    let mut readers = [memory.reader().unwrap(), file.reader().unwrap()];
    file.with(&mut |store| {
        let mut twin = memory.open();
        for _ in 0..60 {
            let mut after = known.clone();
            let plan = after.next(random);
            if random.below(5) == 0 {
                store.begin().unwrap().write(&plan).unwrap();
                continue;
            }
            write(&mut twin, &plan).unwrap();
            write(store, &plan).unwrap();
            *known = after;
            used |= logged(dir) > 0;
            (0..random.below(2)).for_each(|_| store.between().unwrap());
            compare([&mut twin, store], &mut readers, (random, known.codes));
            (0..random.below(3)).for_each(|_| store.between().unwrap());
        }
        let crashed = tempfile::tempdir().unwrap();
        copy(dir, crashed.path());
        let crashed_file = sqlite(crashed.path());
        let mut unopened = crashed_file.reader().unwrap();
        assert_eq!(dump(&mut *unopened, &TABLES).unwrap(), memory.dump(), "read after a kill");
        crashed_file.with(&mut |_| {}).unwrap();
        assert_eq!(logged(crashed.path()), 0);
        assert_eq!(crashed_file.dump().unwrap(), memory.dump(), "opened after a kill");
    })
    .unwrap();
    used
}

#[test]
fn hot_rows_are_seen_as_if_they_had_no_log_of_their_own() {
    for seed in 1..=8 {
        let dir = tempfile::tempdir().unwrap();
        let (memory, file) = (Memory::new(), sqlite(dir.path()));
        let (mut known, mut random) = (Known::default(), Random(seed * 0x9e37_79b9));
        file.with(&mut |_| {}).unwrap();
        for _ in 0..3 {
            let used = live((&memory, &file), dir.path(), (&mut known, &mut random));
            assert!(used, "seed {seed} never used the log");
            assert_eq!(logged(dir.path()), 0, "a closed file has its rows in their places");
            assert_eq!(file.dump().unwrap(), memory.dump(), "seed {seed}");
        }
    }
}

fn fill(store: &mut dyn Store, rows: i64) {
    let mut plan = WritePlan::default();
    for id in 0..rows {
        row(&mut plan, &SHELF, Mode::Insert, &[id * 7]).int(5).opt_text(None).int(1);
    }
    write(store, &plan).unwrap();
}

fn change(rows: i64, from: i64) -> WritePlan {
    let mut plan = WritePlan::default();
    for id in 0..rows {
        let mode = Mode::Update { version: from };
        row(&mut plan, &SHELF, mode, &[id * 7]).int(from).opt_text(None).int(from + 1);
    }
    plan
}

#[test]
fn the_log_is_short_under_load_and_empty_when_nobody_writes() {
    let dir = tempfile::tempdir().unwrap();
    busy(dir.path())
        .with(&mut |store| {
            fill(store, 1_000);
            let mut longest = 0;
            for version in 1..2_000 {
                write(store, &change(40, version)).unwrap();
                store.between().unwrap();
                longest = longest.max(logged(dir.path()));
            }
            assert!((2..900).contains(&longest), "{longest}");
            std::thread::sleep(Options::default().idle);
            (0..4).for_each(|_| store.between().unwrap());
            assert_eq!(logged(dir.path()), 0);
        })
        .unwrap();
}

#[test]
fn a_changed_hot_row_costs_no_page_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    sqlite(dir.path())
        .with(&mut |store| {
            fill(store, 20_000);
            let before = store.counters().pages;
            for n in 0..100 {
                let mut plan = WritePlan::default();
                for at in 0..100 {
                    let id = (at * 200 + n * 2) * 7;
                    let mode = Mode::Update { version: 1 };
                    row(&mut plan, &SHELF, mode, &[id]).int(n).opt_text(None).int(2);
                }
                write(store, &plan).unwrap();
            }
            let pages = store.counters().pages - before;
            assert!(pages < 1_500, "{pages} pages for 10,000 changed rows in 100 commits");
        })
        .unwrap();
}

#[test]
fn a_stale_owner_is_found_out_in_memory_and_in_the_places() {
    let dir = tempfile::tempdir().unwrap();
    sqlite(dir.path())
        .with(&mut |store| {
            fill(store, 100);
            write(store, &change(40, 1)).unwrap();
            let again = write(store, &change(40, 1));
            assert!(matches!(again, Err(CommitError::Failed(Fault::LostEpoch(_)))), "{again:?}");
            write(store, &change(40, 2)).unwrap();
            // Somebody else writes past the owner.
            let file = Connection::open(dir.path().join("hot.db")).unwrap();
            file.execute("UPDATE shelf SET version = 77", []).unwrap();
            let carried: Result<Vec<()>, Fault> = (0..3).map(|_| store.between()).collect();
            assert!(matches!(carried, Err(Fault::Fatal(_) | Fault::LostEpoch(_))), "{carried:?}");
        })
        .unwrap();
}

#[test]
fn a_new_row_that_is_there_already_is_refused_before_it_has_its_place() {
    let dir = tempfile::tempdir().unwrap();
    sqlite(dir.path())
        .with(&mut |store| {
            let mut plan = WritePlan::default();
            for code in 0..20 {
                row(&mut plan, &CODE, Mode::Insert, &[hash(code)]).int(code);
            }
            write(store, &plan).unwrap();
            let mut one = WritePlan::default();
            row(&mut one, &CODE, Mode::Insert, &[hash(7)]).int(7);
            let refused = |store: &mut dyn Store, plan| {
                let again = write(store, plan);
                assert!(matches!(again, Err(CommitError::Failed(Fault::Item(_)))), "{again:?}");
            };
            refused(store, &plan);
            refused(store, &one);
            (0..3).for_each(|_| store.between().unwrap());
            assert_eq!(logged(dir.path()), 0);
            refused(store, &one);
        })
        .unwrap();
}

#[test]
fn a_row_that_its_place_refuses_stops_the_owner_and_harms_no_other_command() {
    let dir = tempfile::tempdir().unwrap();
    let file = sqlite(dir.path());
    let body = &mut |store: &mut dyn Store| {
        fill(store, 100);
        let mut plan = change(39, 1);
        let mode = Mode::Update { version: 1 };
        row(&mut plan, &SHELF, mode, &[7 * 50]).int(-1).opt_text(None).int(2);
        write(store, &plan).unwrap();
        let carried: Result<Vec<()>, Fault> = (0..3).map(|_| store.between()).collect();
        let said = format!("{carried:?}");
        assert!(matches!(carried, Err(Fault::Fatal(_))) && said.contains("CHECK"), "{said}");
        assert!(store.begin().is_err(), "nothing is written any more");
    };
    file.with(body).unwrap();
    let read = shelves(|each| file.reader().unwrap().read(&keys(50..51), each));
    assert_eq!(read, [(350, -1, None, 2)], "whoever proves the file sees it");
}
