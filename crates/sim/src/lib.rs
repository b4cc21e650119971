//! Deterministic simulation of the whole core: one thread, one seed, a clock that jumps.
//!
//! A world has the real domains behind the real registry, real cells driven by `step(now)` on the
//! in-memory store, and around them everything that can go wrong: stores that are busy, full,
//! broken or lose the answer of a commit, processes that die at any moment, messages between cells
//! that are lost, doubled and overtaken, and a payment gateway that declines, is silent, late or
//! wrong about what it knows. An independent auditor (`auditor`) reads what was written after
//! everything that happens. The same seed is the same world, down to every line of its trace
//! (test: `the_same_seed_twice_is_the_same_trace`).
//!
//! ```text
//! cargo run --release -p jangbu-sim -- --seeds 100000 --from 0
//! cargo run --release -p jangbu-sim -- --trace 4711
//! ```
//!
//! # Does it find anything?
//!
//! Promises broken on purpose in a copy of the tree (recipes of `crates/xtask/mutations`), and the
//! first seed from 0 on that noticed:
//!
//! | recipe | seed | it said |
//! |---|---|---|
//! | `P1-event-lost` | 0 | committed, and never published |
//! | `P1-called-before-commit` | 30 | was charged without a row |
//! | `P2-key-forgotten` | 0 | refused, but done before |
//! | `P3-silence-is-failure` | 7 | of a cancelled order the gateway has 4148 |
//! | `P4-posted-twice` | 8 | a command was set aside: the entry exists |
//!
//! | file | is |
//! |---|---|
//! | `world` | the queue of happenings and the four phases of a world |
//! | `plan` | what kind of world a seed is |
//! | `people`, `gifts` | buyers, merchants, operators; their coupons and points |
//! | `gateway`, `calls` | the payment gateway, and the way there and back |
//! | `station`, `tape` | a cell on its store, which notes what was written |
//! | `storms` | faults of stores, deaths of processes, fates of messages |
//! | `auditor` | the laws |
//! | `dice`, `trace`, `tally` | chance, what happened, how often |

mod auditor;
mod calls;
mod dice;
mod gateway;
mod gifts;
mod people;
mod plan;
mod station;
mod storms;
mod tally;
mod tape;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use tally::Tally;
use world::World;

/// What became of one world.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Of every line of its trace.
    pub hash: u64,
    /// How much happened.
    pub events: u32,
    /// The law that was broken, if one was.
    pub finding: Option<String>,
    /// How often what happened.
    pub tally: Tally,
    /// The lines, if they were wanted.
    pub lines: Vec<String>,
}

/// Lives through the world of `seed`; `keep`: with every line of its trace.
pub fn run(seed: u64, keep: bool) -> Report {
    let mut world = World::new(seed, keep);
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    let finding = match lived {
        Ok(lived) => lived.err(),
        Err(panic) => Some(format!("the simulator panicked: {}", text(&*panic))),
    };
    if let Some(finding) = &finding {
        world.say(format_args!("BROKEN: {finding}"));
    }
    Report {
        seed,
        hash: world.trace.hash(),
        events: world.events,
        finding,
        lines: world.trace.kept.take().unwrap_or_default(),
        tally: world.tally,
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}
