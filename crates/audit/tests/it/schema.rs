//! The text of the schema that shops written by hand have.

/// The schema whose columns stand in the statements here; what came later has its default.
pub(crate) const SCHEMA: &str = concat!(
    include_str!("../../../services/migrations/0001_init.sql"),
    include_str!("../../../services/migrations/0002_edges.sql"),
);
/// The steps after it.
pub(crate) const LATER: &str = concat!(
    include_str!("../../../services/migrations/0003_shop.sql"),
    include_str!("../../../services/migrations/0004_trace.sql"),
);
