//! What is published to the outside. `order.advanced` is not: it is for the timeline alone.

/// A topic: one kind of event.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name, without the prefix of the installation.
    pub name: &'static str,
    /// Version of its schema. Fields are added within a version; whoever reads passes over what it
    /// does not know.
    pub version: u16,
    /// The JSON Schema of the values of its records.
    pub schema: &'static str,
}

impl Topic {
    /// The one with this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        PUBLISHED.iter().find(|topic| topic.name == name)
    }
}

macro_rules! topics {
    ($($name:literal),+ $(,)?) => {
        /// Everything that is published, dead letters included.
        pub static PUBLISHED: &[Topic] = &[$(Topic {
            name: $name,
            version: 1,
            schema: include_str!(concat!("../../schemas/", $name, ".json")),
        }),+];
    };
}

topics!(
    "order.placed",
    "order.completed",
    "order.cancelled",
    "order.refunded",
    "order.shipped",
    "order.delivered",
    "payment.authorized",
    "payment.capture-requested",
    "payment.captured",
    "payment.refund-requested",
    "payment.refunded",
    "payment.set-aside",
    "payment.released",
    "product.changed",
    "category.changed",
    "stock.changed",
    "point.changed",
    "coupon.changed",
    "journal.posted",
    "payment.dlq",
);

/// The topic of the outbox that is not published.
const INTERNAL: &str = "order.advanced";

/// The name of every topic that the outbox may have.
pub fn names() -> impl Iterator<Item = &'static str> {
    PUBLISHED.iter().map(|topic| topic.name).chain([INTERNAL])
}

/// Where events go that cannot be told.
pub static DEAD: Topic = Topic {
    name: "payment.dlq",
    version: 1,
    schema: include_str!("../../schemas/payment.dlq.json"),
};
