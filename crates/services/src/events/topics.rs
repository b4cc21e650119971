//! What is published to the outside. `order.advanced` is not: it is for the timeline alone.

/// A topic: one kind of event.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name, without the prefix of the installation.
    pub name: &'static str,
    /// Its number in the places of consumers. A number is never given away again.
    pub number: u16,
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

    /// The stream that a partition of it is to a consumer; none: there cannot be that many.
    pub fn stream(&self, partition: i32) -> Option<i32> {
        let partition = u16::try_from(partition).ok()?;
        Some(i32::from(self.number) << 16 | i32::from(partition))
    }
}

macro_rules! topics {
    ($($number:literal $name:literal),+ $(,)?) => {
        /// Everything that is published, dead letters included.
        pub static PUBLISHED: &[Topic] = &[$(Topic {
            name: $name,
            number: $number,
            version: 1,
            schema: include_str!(concat!("../../schemas/", $name, ".json")),
        }),+];
    };
}

topics!(
    1 "order.placed",
    2 "order.completed",
    3 "order.cancelled",
    4 "order.refunded",
    5 "order.shipped",
    6 "order.delivered",
    7 "payment.authorized",
    8 "payment.capture-requested",
    9 "payment.captured",
    10 "payment.refund-requested",
    11 "payment.refunded",
    12 "payment.set-aside",
    13 "payment.released",
    14 "product.changed",
    15 "category.changed",
    16 "stock.changed",
    17 "point.changed",
    18 "coupon.changed",
    19 "journal.posted",
    20 "payment.dlq",
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
    number: 20,
    version: 1,
    schema: include_str!("../../schemas/payment.dlq.json"),
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_partition_of_each_topic_is_a_stream_of_its_own() {
        let partitions = [0, 1, 5, 999, 1_000, 65_535];
        let all = PUBLISHED.iter().flat_map(|topic| partitions.map(|at| topic.stream(at).unwrap()));
        let different: BTreeSet<i32> = all.collect();
        assert_eq!(different.len(), PUBLISHED.len() * partitions.len());
        assert!(different.iter().all(|stream| *stream > 0), "0 is the embedded log");
        assert_eq!(DEAD.stream(65_536), None);
        assert_eq!(DEAD.number, Topic::of(DEAD.name).unwrap().number);
    }
}
