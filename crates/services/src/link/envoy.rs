//! What the thread of a cell does by way of the link, in either role.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use jangbu_engine::counters::Counters;
use jangbu_engine::mailbox::Mailbox;
use jangbu_engine::owner::Deputy;
use jangbu_engine::role::{Role, Standing};
use jangbu_kernel::Mint;

use super::door::{self, Door};
use super::greeting::{self, Credentials};
use super::session::{Session, Tell};
use super::slot;
use super::stats::Stats;
use super::{Bound, Sharing, credentials};
use crate::hub::Hub;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(1);

/// Speaks for one cell.
pub(crate) struct Envoy {
    cell: u16,
    door: Arc<Door>,
    mailbox: Arc<Mailbox>,
    standing: Arc<Standing>,
    credentials: Credentials,
    stats: Arc<Stats>,
    counters: Arc<Counters>,
    hub: Arc<Hub>,
    tell: Arc<Tell>,
    /// Of the first cell: its owner keeps the ids of all processes apart.
    mint: Option<Arc<Mint>>,
    slot: u16,
}

/// What an envoy of a cell needs besides the link.
pub(crate) struct Post {
    pub(crate) cell: u16,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tell: Arc<Tell>,
    pub(crate) mint: Arc<Mint>,
}

impl Envoy {
    /// The envoy of a cell; it brings its door.
    pub(crate) fn new(
        post: Post,
        bound: &Bound,
        sharing: &Sharing,
        clock: Arc<dyn jangbu_engine::clock::Clock>,
    ) -> (Self, Arc<Door>) {
        let Post { cell, mailbox, standing, counters, hub, tell, mint } = post;
        let stats = Arc::clone(&bound.stats);
        let told = (Arc::clone(&stats), Arc::clone(&counters));
        let door = Arc::new(Door::new(Arc::clone(&mailbox), clock, told));
        let slot = slot::stranger(&bound.address);
        let mint = Some(mint).filter(|_| cell == 0);
        if let Some(mint) = &mint {
            mint.assign(slot);
        }
        let credentials = credentials(sharing);
        let open = Arc::clone(&door);
        let envoy = Self {
            cell,
            door,
            mailbox,
            standing,
            credentials,
            stats,
            counters,
            hub,
            tell,
            mint,
            slot,
        };
        (envoy, open)
    }

    fn has_slot(&mut self, slot: u16) {
        self.slot = slot;
        if let Some(mint) = &self.mint {
            mint.assign(slot);
        }
    }

    /// A connection to the owner, greeted.
    fn connect(&mut self, address: &str) -> io::Result<TcpStream> {
        let nowhere = || io::Error::new(io::ErrorKind::NotFound, "no such address");
        let address: SocketAddr = address.to_socket_addrs()?.next().ok_or_else(nowhere)?;
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        door::tuned(&stream)?;
        let slot = greeting::ask(&mut &stream, &self.credentials, (self.cell, self.slot))?;
        self.has_slot(slot);
        Ok(stream)
    }
}

impl Deputy for Envoy {
    fn began(&mut self, epoch: i64) {
        self.has_slot(slot::owner(epoch));
        self.hub.again();
        self.door.open(epoch);
    }

    fn ended(&mut self) {
        self.door.close();
    }

    fn forward(&mut self, address: &str, go_on: &mut dyn FnMut() -> bool) -> bool {
        let stream = match self.connect(address) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(address, %error, "the owner is not reached");
                return false;
            }
        };
        tracing::info!(address, "linked to the owner");
        Stats::add(&self.stats.links, 1);
        // From here on signals come; what was signalled before is read.
        self.hub.again();
        self.standing.set(Role::Follower { owner: address.to_owned(), linked: true });
        let mailbox = Arc::clone(&self.mailbox);
        let counted = (Arc::clone(&self.stats), Arc::clone(&self.counters));
        let session = Session::new(stream, mailbox, counted, Arc::clone(&self.tell));
        Arc::new(session).run(go_on)
    }
}
