//! Breaches of the engine's own rows: the shard row, requests, the outbox.

/// As [`super::SQL`].
pub(crate) const ENGINE: &[(&str, &str, &str)] = &[
    // engine
    ("shard.counters", "UPDATE shard SET events = events + 1", "shard"),
    ("shard.counters", "UPDATE shard SET requests = requests - 1", "shard"),
    ("shard.counters", "UPDATE shard SET commits = 4", "shard"),
    ("shard.counters", "UPDATE shard SET idem_key = x'00'", "shard"),
    ("shard.counters", "DELETE FROM shard", "shard"),
    ("shard.clock", "UPDATE shard SET clock = 0", "shard"),
    ("idem.missing", "DELETE FROM idem WHERE request = 1", "request 1"),
    ("idem.missing", "UPDATE request SET key = 'other' WHERE id = 1", "request 1"),
    ("idem.orphan", "INSERT INTO idem VALUES (77, 1)", "hash 77"),
    (
        "request.doubled",
        "INSERT INTO request SELECT 9999, scope, key, body, resource, at FROM request WHERE id = 1",
        "request 9999",
    ),
    ("request.body", "UPDATE request SET body = x'02' WHERE id = 1", "request 1"),
    (
        "request.purged",
        "UPDATE request SET scope = 'order.place', key = '', body = x'' WHERE id = 1",
        "request 1",
    ),
    ("request.purged", "UPDATE shard SET purged = 1", "request 1"),
    (
        "request.purged",
        "UPDATE request SET scope = 'order.place', key = '', body = x'', at = 9000000000000000 \
         WHERE id = 1; UPDATE shard SET purged = 1",
        "request 1",
    ),
    ("request.resource", "UPDATE request SET resource = 12345 WHERE id = 1", "request 1"),
    (
        "request.resource",
        "UPDATE request SET resource = 5, id = 9000 WHERE resource = $sold",
        "request 9000",
    ),
    ("order.unasked", "DELETE FROM request WHERE resource = $sold", "ord $sold"),
    (
        "order.asked-twice",
        "INSERT INTO request SELECT 9999, scope, 'other', body, resource, at FROM request \
         WHERE resource = $sold",
        "ord $sold",
    ),
    // outbox
    ("outbox.gap", "DELETE FROM outbox WHERE seq = 3", "event 3"),
    ("outbox.gap", "UPDATE shard SET trimmed = 2", "event 3"),
    ("outbox.gap", "DELETE FROM outbox WHERE seq <= 2", "event 1"),
    ("outbox.gap", "DELETE FROM outbox WHERE seq <= 3; UPDATE shard SET trimmed = 2", "event 3"),
    (
        "event.missing",
        "DELETE FROM outbox WHERE seq <= 2; UPDATE shard SET trimmed = 2; \
         UPDATE outbox SET topic = 'order.advanced' WHERE key = $sold AND topic = 'payment.captured'",
        "pay $sold",
    ),
    (
        "idem.missing",
        "UPDATE request SET scope = 'x.y', key = '', body = x'' WHERE id = 1; \
         UPDATE shard SET purged = 1; DELETE FROM idem WHERE request = 1",
        "request 1",
    ),
    ("outbox.order", "UPDATE outbox SET commit_no = 99 WHERE seq = 2", "event 3"),
    ("outbox.topic", "UPDATE outbox SET topic = 'order.lost' WHERE seq = 1", "event 1"),
    ("outbox.trace", "UPDATE outbox SET trace = '' WHERE seq = 2", "event 2"),
    (
        "outbox.trace",
        "UPDATE outbox SET trace = replace(trace, 'af', 'AF') WHERE seq = 1",
        "event 1",
    ),
    (
        "outbox.trace",
        "UPDATE outbox SET trace = '00-' || substr(trace, 4, 33) || '0000000000000000-01' WHERE seq = 2",
        "event 2",
    ),
    (
        "outbox.trace",
        "UPDATE outbox SET trace = substr(trace, 1, 53) || '00' WHERE seq = 3",
        "event 3",
    ),
    ("event.product", "UPDATE outbox SET key = 77 WHERE seq = 3", "prd 77"),
    ("event.category", "UPDATE outbox SET key = 77 WHERE seq = 1", "cat 77"),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $sold AND topic = 'order.completed'",
        "ord $sold",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $declined AND topic = 'order.cancelled'",
        "ord $declined",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $declined AND topic = 'order.placed'",
        "ord $declined",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $sold AND topic = 'payment.captured'",
        "pay $sold",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $refunded AND topic = 'order.refunded'",
        "ord $refunded",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $refunded AND topic = 'payment.refunded'",
        "pay $refunded",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $authorized AND topic = 'payment.authorized'",
        "pay $authorized",
    ),
    (
        "event.doubled",
        "UPDATE outbox SET topic = 'order.placed' WHERE key = $sold AND topic = 'order.completed'",
        "ord $sold",
    ),
    (
        "event.doubled",
        "UPDATE outbox SET topic = 'payment.captured' WHERE key = $two_step AND topic = 'payment.authorized'",
        "pay $two_step",
    ),
    (
        "event.invented",
        "UPDATE outbox SET topic = 'order.cancelled' WHERE key = $sold AND topic = 'order.placed'",
        "ord $sold",
    ),
    (
        "event.invented",
        "UPDATE outbox SET topic = 'payment.captured' WHERE key = $declined AND topic = 'order.placed'",
        "pay $declined",
    ),
    (
        "event.invented",
        "UPDATE outbox SET key = 123 WHERE key = $sold AND topic = 'order.placed'",
        "ord 123",
    ),
    (
        "event.version",
        "UPDATE outbox SET version = 99 WHERE key = $sold AND topic = 'order.placed'",
        "ord $sold",
    ),
    ("event.version", "UPDATE payment SET version = 0 WHERE id = $sold", "pay $sold"),
];
