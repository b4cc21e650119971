//! Hot standbys: who looks at them, and readers on them.
//!
//! One task for the primary and one for each replica run beside the readers' I/O, each with a connection of its own, and
//! ask one question every fifth of the longest delay. Whoever reads asks nobody: [`PgReplica::sight`] is a
//! comparison in memory.

use std::{
    fmt::{Debug, Formatter},
    sync::Arc,
    time::{Duration, Instant},
};

use jangbu_engine::{
    books::SHARD,
    port::{Fault, Reader, Replica, Sight},
    position::Position,
};
use parking_lot::Mutex;
use tokio::{
    sync::watch::{Sender, channel},
    time::{sleep, timeout},
};
use tokio_postgres::{Client, Row};

use super::{
    READERS,
    fault::fault_of,
    link::{Setup, away},
    reader::{Io, PgReader},
    sight::{Head, Heads, Identity, Standby, end_of_log},
};

/// Which data a server has.
const IDENTITY: &str = "(SELECT system_identifier FROM pg_control_system()), \
     (SELECT oid::int8 FROM pg_database WHERE datname = current_database())";

/// A look at the primary. What was committed and not waited for counts, too: it can be seen.
const HEAD: &str = "(pg_current_wal_insert_lsn() - '0/0')::int8, \
     pg_size_bytes(current_setting('wal_segment_size')), \
     substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)";

/// A look at a replica. What it streams is told to members of `pg_read_all_stats` alone; the others learn of a new
/// timeline with the next point at which it could restart.
const STANDBY: &str = "pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::int8, \
     greatest((SELECT timeline_id FROM pg_control_checkpoint()), \
              (SELECT min_recovery_end_timeline FROM pg_control_recovery()), \
              (SELECT max(received_tli) FROM pg_stat_wal_receiver))::int8";

/// Longest wait for an answer to a look.
const PATIENCE: Duration = Duration::from_secs(1);

/// A hot standby.
pub(super) struct PgReplica {
    name: String,
    io: Arc<Io>,
    truth: Setup,
    derived: Setup,
    most: Duration,
    heads: Arc<Mutex<Heads>>,
    seen: Arc<Mutex<Option<(Instant, Standby)>>>,
    lost: Arc<Sender<bool>>,
}

impl Debug for PgReplica {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgReplica").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The replicas at `setups` (of the truth, and of what is derived) of the server at `primary`. They are looked at for as
/// long as the thread of `io` lives.
pub(super) fn follow(
    io: &Arc<Io>,
    primary: &Setup,
    setups: Vec<[Setup; 2]>,
    most: Duration,
) -> Vec<Arc<dyn Replica>> {
    let pause = (most / 5).clamp(Duration::from_millis(20), Duration::from_millis(250));
    let heads: Arc<Mutex<Heads>> = Arc::default();
    let told = Arc::clone(&heads);
    let look = Looking { setup: primary.clone(), what: format!("{HEAD}, {IDENTITY}"), pause };
    io.spawn(look.run(move |asked, row| {
        if let Some(head) = row.map(head_of) {
            told.lock().add(asked, head);
        }
    }));
    let replica = |[mut truth, mut derived]: [Setup; 2]| {
        for setup in [&mut truth, &mut derived] {
            setup.hosts = setup.hosts.clone().any();
            "jangbu replica".clone_into(&mut setup.name);
        }
        let name = truth.hosts.names();
        let (lost, _) = channel(false);
        let (seen, lost) = (Arc::default(), Arc::new(lost));
        let replica = PgReplica {
            name,
            io: Arc::clone(io),
            truth,
            derived,
            most,
            heads: Arc::clone(&heads),
            seen,
            lost,
        };
        replica.look(pause);
        Arc::new(replica) as Arc<dyn Replica>
    };
    setups.into_iter().map(replica).collect()
}

impl PgReplica {
    fn look(&self, pause: Duration) {
        let shard = SHARD.name;
        let what = format!(
            "{STANDBY}, {IDENTITY}, (SELECT commits FROM {shard} WHERE id = 0), \
             (SELECT events FROM {shard} WHERE id = 0)"
        );
        let look = Looking { setup: self.truth.clone(), what, pause };
        let (seen, lost) = (Arc::clone(&self.seen), Arc::clone(&self.lost));
        let name = self.name.clone();
        self.io.spawn(look.run(move |asked, row| {
            let standby = row.map(standby_of);
            let is_lost = standby.is_none();
            match (lost.send_replace(is_lost), is_lost) {
                (true, false) => tracing::info!(replica = name, "the replica answers"),
                (false, true) => tracing::warn!(replica = name, "the replica does not answer"),
                (true, true) | (false, false) => {}
            }
            *seen.lock() = standby.map(|standby| (asked, standby));
        }));
    }

    fn reader(&self, setup: &Setup) -> Box<dyn Reader> {
        let reader = PgReader::new(Arc::clone(&self.io), setup.clone());
        Box::new(reader.unless(self.lost.subscribe()))
    }
}

impl Replica for PgReplica {
    fn name(&self) -> &str {
        &self.name
    }

    fn sight(&self) -> Sight {
        let seen = *self.seen.lock();
        self.heads.lock().judge(seen, Instant::now(), self.most)
    }

    fn truth(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(self.reader(&self.truth))
    }

    fn derived(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(self.reader(&self.derived))
    }

    fn most_readers(&self) -> usize {
        READERS
    }
}

/// Asks a server the same again and again.
struct Looking {
    setup: Setup,
    what: String,
    pause: Duration,
}

impl Looking {
    /// For ever; `tell` hears each answer with the moment before it was asked for, or that there is none.
    async fn run(self, mut tell: impl FnMut(Instant, Option<&Row>) + Send + 'static) {
        loop {
            // Ends with a fault alone.
            if let Err(fault) = self.follow(&mut tell).await {
                tracing::debug!(%fault, "a server is not seen");
            }
            tell(Instant::now(), None);
            sleep(self.pause).await;
        }
    }

    async fn follow(
        &self,
        tell: &mut (impl FnMut(Instant, Option<&Row>) + Send),
    ) -> Result<(), Fault> {
        let (client, driver, _) = self.setup.connect().await?;
        let asking = async {
            self.setup.settle(&client).await?;
            self.ask(&client, tell).await
        };
        // The connection is driven here: it ends with whoever asks.
        let (asking, driver) = (std::pin::pin!(asking), std::pin::pin!(driver));
        match futures_util::future::select(asking, driver).await {
            futures_util::future::Either::Left((ended, _)) => ended,
            futures_util::future::Either::Right(((), _)) => {
                Err(away("looking", "the connection has ended"))
            }
        }
    }

    async fn ask(
        &self,
        client: &Client,
        tell: &mut (impl FnMut(Instant, Option<&Row>) + Send),
    ) -> Result<(), Fault> {
        let wrap = |error| fault_of(&error, "looking");
        let late = |_| away("looking", "no answer");
        let sql = format!("SELECT {}", self.what);
        let prepared = timeout(PATIENCE, client.prepare(&sql)).await;
        let statement = prepared.map_err(late)?.map_err(wrap)?;
        loop {
            let asked = Instant::now();
            let answered = timeout(PATIENCE, client.query_one(&statement, &[])).await;
            let row = answered.map_err(late)?.map_err(wrap)?;
            tell(asked, Some(&row));
            sleep(self.pause).await;
        }
    }
}

fn head_of(row: &Row) -> Head {
    let (next, segment): (i64, i64) = (row.get(0), row.get(1));
    let timeline = i64::from_str_radix(row.get(2), 16).unwrap_or_default();
    let identity = Identity { system: row.get(3), database: row.get(4), timeline };
    Head { identity, lsn: end_of_log(next, segment) }
}

fn standby_of(row: &Row) -> Standby {
    let identity = Identity { system: row.get(3), database: row.get(4), timeline: row.get(2) };
    let number = |at| row.get::<_, Option<i64>>(at).unwrap_or_default();
    let reached = Position { commit: number(5), event: number(6) };
    Standby { follows: row.get(0), identity, lsn: row.get(1), reached }
}
