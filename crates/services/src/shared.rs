//! What processes of one shop know together besides the store: how often somebody has asked, and what
//! is sold out. All of it may be forgotten at any moment, and none of it is waited for.
//!
//! | shared | without it |
//! |---|---|
//! | rate limits | each process counts alone: a caller gets the limit once per process |
//! | sold-out marks | each process finds out by itself, with one refused order a second and SKU |
//! | rankings of best-sellers | each process ranks the rows itself, once a second |
//! | values (see [`cache`](crate::cache)) | each process reads them itself |

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::SkuId;

use crate::bestseller::{Best, Head, Window};
use crate::cache::Soon;

/// A leaky bucket (GCRA): `burst` at once, then `per_second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The limit that it belongs to.
    pub limit: &'static str,
    /// Whom it is about, hashed alike by all processes.
    pub whom: u64,
    /// So many a second; not 0.
    pub per_second: u32,
    /// So many at once; not 0.
    pub burst: u32,
}

/// What all processes together say to one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is within the limit, and counted.
    Passes,
    /// It is beyond the limit, and not counted; this much later it would pass.
    Waits(Duration),
}

/// Hears what others have found sold out, and for how long that may be believed.
pub type Heard = Box<dyn Fn(&[(SkuId, Duration)]) + Send + Sync>;

/// How the connection to what is shared is, and what it has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether it is there.
    pub up: bool,
    /// How often it came up.
    pub connects: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were given up because no answer came in time.
    pub late: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were not even made, because it is away.
    pub away: u64,
}

/// What processes share.
pub trait Shared: Send + Sync + Debug {
    /// Whether one more is within a limit; none: nobody can tell soon enough, decide alone.
    fn pass(&self, bucket: Bucket) -> Soon<Option<Verdict>>;
    /// Nothing of this SKU was left just now; believed by others for `age`.
    fn close(&self, sku: SkuId, age: Duration);
    /// There is some of these SKUs again.
    fn open(&self, skus: &[SkuId]);
    /// The first products of a ranking up to a day, if somebody made it less than a second ago.
    fn ranking(&self, _window: Window, _to: i64) -> Soon<Option<Head>> {
        Box::pin(std::future::ready(None))
    }
    /// Such a ranking was made from the rows just now.
    fn ranked(&self, _window: Window, _to: i64, _best: Arc<[Best]>) {}
    /// Tells `heard` from now on what others have closed.
    fn listen(&self, heard: Heard);
    /// How the connection is.
    fn link(&self) -> Link;
}
