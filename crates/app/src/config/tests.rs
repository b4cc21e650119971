//! Tests of `config`.

use jangbu_psp::SimConfig;

use super::*;

fn with(changes: &[(&str, &str)]) -> Result<Config> {
    let mut table: Table = toml::from_str(DEFAULT)?;
    for (path, value) in changes {
        set(&mut table, path, value)?;
    }
    let config: Config = table.try_into()?;
    config.check()?;
    Ok(config)
}

#[test]
fn the_default_document_is_complete_and_valid() {
    let config = with(&[]).unwrap();
    assert_eq!(config.gateway.simulated(), SimConfig::default());
    assert!(config.gateway.url.is_empty() && config.gateway.log().is_none());
    assert!(config.server.listen.ip().is_loopback());
}

#[test]
fn a_setting_from_the_environment_has_the_type_of_its_setting() {
    let config = with(&[("SERVER__WAIT_MS", "5"), ("SERVER__LISTEN", "127.0.0.1:1")]).unwrap();
    assert_eq!((config.server.wait_ms, config.server.listen.port()), (5, 1));
    let config = with(&[("GATEWAY__RATES__DECLINE", "0.5")]).unwrap();
    assert_eq!(config.gateway.simulated().rates.decline.to_bits(), 0.5_f64.to_bits());
}

#[test]
fn successes_have_lines_as_often_as_requests_are_traced() {
    let every = |changes: &[_]| with(changes).unwrap().tracing.log_every();
    assert_eq!(every(&[]), 100);
    assert_eq!(every(&[("TRACING__SAMPLE", "1")]), 1);
    assert_eq!(every(&[("TRACING__SAMPLE", "0")]), 0);
    assert_eq!(every(&[("TRACING__OTLP", "http://127.0.0.1:4318")]), 0);
}

#[test]
fn unsigned_payments_are_for_loopback_whatever_else_is_allowed() {
    let unsigned = ("PAYMENTS__UNSIGNED", "true");
    for listen in ["127.0.0.1:1", "[::1]:1"] {
        assert!(with(&[unsigned, ("SERVER__LISTEN", listen)]).unwrap().payments.unsigned);
    }
    for listen in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        let open = [("SERVER__LISTEN", listen), ("SERVER__ALLOW_REMOTE", "true")];
        assert!(with(&open).is_ok(), "{listen}");
        let error = format!("{:#}", with(&[open[0], open[1], unsigned]).unwrap_err());
        assert!(error.contains("payments.unsigned"), "{error}");
    }
}

#[test]
fn a_replica_is_not_behind_for_longer_than_a_change_is_known() {
    let url = ("STORE__URL", "postgres://here/shop");
    let replicas = ("STORE__REPLICAS", "['postgres://there/shop']");
    let (lag, life) = (("STORE__REPLICA_LAG_MS", "3000"), ("CACHE__LIFE", "2s"));
    assert_eq!(with(&[url, replicas]).unwrap().store.replicas, ["postgres://there/shop"]);
    let error = format!("{:#}", with(&[url, replicas, lag, life]).unwrap_err());
    assert!(error.contains("store.replica_lag_ms"), "{error}");
    assert!(with(&[url, lag, life]).is_ok(), "without replicas nobody is behind");
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let refusal = |path, value| format!("{:#}", with(&[(path, value)]).unwrap_err());
    for (path, value, named) in [
        ("SERVER__LISTEN", "0.0.0.0:7070", "server.allow_remote"),
        ("SERVER__LISTEN", "nowhere", "server.listen"),
        ("SERVER__WAIT_MS", "-1", "server.wait_ms"),
        ("SERVER__COLOUR", "1", "colour"),
        ("SHOP__NAME", "1", "shop"),
        ("LIMITS__BATCH", "0", "limits.batch"),
        ("ADMISSION__LEAST", "0", "admission.least"),
        ("USERS__SESSION_MINUTES", "0", "users.session_minutes"),
        ("USERS__PASSWORD_KIB", "7", "users.password_kib"),
        ("LOG__LEVEL", "loud", "log.level"),
        ("TRACING__OTLP", "https://there", "tracing.otlp"),
        ("TRACING__OTLP", "http://", "tracing.otlp"),
        ("TRACING__SAMPLE", "1.1", "tracing.sample"),
        ("TRACING__SAMPLE", "-0.1", "tracing.sample"),
        ("CONNECTIONS__MOST", "0", "connections.most"),
        ("CONNECTIONS__HEADER_BYTES", "100", "connections.header_bytes"),
        ("RATES__TRUSTED_PROXIES", "['10.0.0.0/8', 'nobody']", "rates.trusted_proxies"),
        ("SAGA__PATIENCE_PERCENT", "0", "saga.patience_percent"),
        ("RETENTION__OUTBOX", "59s", "retention.outbox"),
        ("RETENTION__OUTBOX", "7 weeks", "no time"),
        ("RETENTION__KEYS", "14d", "retention.keys"),
        ("RETENTION__PARKED", "59s", "retention.parked"),
        ("RETENTION__TIMELINES", "0s", "retention.timelines"),
        ("BACKUP__EVERY", "0s", "backup.every"),
        ("BACKUP__TO", "", "backup.to"),
        ("LINK__LISTEN", "0.0.0.0:7071", "link.secret"),
        ("LINK__SECRET", "short", "link.secret"),
        ("STORE__REPLICAS", "['postgres://there/shop']", "store.url"),
        ("STORE__REPLICA_LAG_MS", "99", "store.replica_lag_ms"),
        ("CACHE__LIFE", "0s", "cache.life"),
        ("CACHE__LIFE", "2d", "cache.life"),
        ("REDIS__URL", "http://localhost", "redis.url"),
        ("REDIS__SENTINELS", "['here']", "redis.sentinels"),
        ("REDIS__PREFIX", "a b", "redis.prefix"),
        ("REDIS__PATIENCE_MS", "0", "redis.patience_ms"),
        ("NOTIFICATION__SMTP", "127.0.0.1:25", "notification.smtp"),
        ("NOTIFICATION__LANGUAGE", "fr", "notification.language"),
        ("NOTIFICATION__EVENTS", "['sold']", "notification.events"),
        ("NOTIFICATION__WEBHOOKS", "['https://a.kr']", "notification.webhooks"),
        ("KAFKA__PARTITIONS", "0", "kafka.partitions"),
        ("KAFKA__REPLICATION", "0", "kafka.replication"),
        ("KAFKA__TOPICS_PREFIX", "shop 1", "kafka.topics_prefix"),
        ("KAFKA__SILENCE_MS", "0", "kafka.silence_ms"),
        ("KAFKA__CONSUME", "true", "kafka.bootstrap"),
        ("KAFKA__GROUP", "", "kafka.group"),
        ("GATEWAY__RATES__DECLINE", "2.0", "rates.decline"),
        ("GATEWAY__URL", "gateway:7075", "gateway.url"),
        ("GATEWAY__WEBHOOKS", "0.0.0.0:0", "gateway.webhooks"),
    ] {
        let text = refusal(path, value);
        assert!(text.contains(named) || text.contains("listen"), "{path}: {text}");
    }
}

#[test]
fn an_order_may_take_as_long_as_fits_the_store() {
    let target = |pairs: &[(&str, &str)]| {
        let config = with(pairs).unwrap();
        config.admission.target(&config.store).as_millis()
    };
    let postgres = ("STORE__URL", "postgres://shop@db/shop");
    assert_eq!(target(&[]), 10);
    assert_eq!(target(&[postgres]), 40);
    assert_eq!(target(&[postgres, ("ADMISSION__TARGET_MS", "7")]), 7);
}
