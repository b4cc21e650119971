//! A shop with its interface, and short words to talk to it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use jangbu_api::{Api, Keys, MerchantKey, Parts, Settings, router, session_token};
use jangbu_engine::books::SHARD;
use jangbu_engine::clock::{Clock, SystemClock};
use jangbu_engine::port::{Backend, Mode, Replica, Table, WritePlan};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Secret, UserId};
use jangbu_psp::simulator::Latency;
use jangbu_psp::{Gateway, SimConfig, Simulator};
use jangbu_services::backup::{Backups, Schedule};
use jangbu_services::bestseller::Bestseller;
use jangbu_services::cache::{Cache, Front, Limits};
use jangbu_services::consumer::{Running, Terms};
use jangbu_services::notification::Delivery;
use jangbu_services::projections::{Keep, Projections};
use jangbu_services::queries::Queries;
use jangbu_services::sealing::Sealing;
use jangbu_services::shop::{Layout, Shop};
use jangbu_services::tail::{Place, Tail};
use jangbu_services::{projections, registry};
use jangbu_store::{Memory, Migration, Postgres, Sqlite};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::schema;

pub(crate) const CLIENT: &str = "jbc_client";
pub(crate) const OPERATOR: &str = "jbo_operator";
pub(crate) const USER: &str = "usr_0000000001000";

/// A running shop with its interface.
pub(crate) struct World {
    pub(crate) api: Arc<Api>,
    pub(crate) router: Router,
    pub(crate) shop: Arc<Shop>,
    pub(crate) memory: Option<Memory>,
    pub(crate) gateway: Arc<Simulator>,
    pub(crate) dir: TempDir,
    pub(crate) queries: Arc<Queries>,
    pub(crate) stores: [Arc<dyn Backend>; 2],
    projections: Running,
    _tail: Tail,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// Status and code of a problem.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    pub(crate) fn field(&self) -> &str {
        self.json["details"][0]["field"].as_str().unwrap_or_default()
    }
}

/// A key for clients, one for operators, one of the merchants 17 and 18 each, one for sessions.
pub(crate) fn keys() -> Keys {
    let mut keys = Keys::new(Secret::new(CLIENT), Secret::new(OPERATOR));
    for merchant in ["17", "18"] {
        let (id, secret) = (format!("key-{merchant}"), Secret::new("s".repeat(32)));
        let merchant = merchant.to_owned();
        keys.add_merchant(MerchantKey { id, merchant, secret, legacy: false }).unwrap();
    }
    keys.add_session("0001", Secret::new("the-session-key-of-all-api-tests-0001")).unwrap();
    keys
}

/// The token of a session of `user` that lasts for an hour.
pub(crate) fn session(user: &str) -> String {
    let now = SystemClock.now();
    let user = UserId::parse(user).unwrap();
    let token = session_token(&keys(), user, now, now + Span(3_600_000_000)).unwrap();
    token.reveal().to_owned()
}

/// Keys that every world has, so that a file can be opened by the next one.
fn sealing() -> Arc<Sealing> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let counted = |bytes: &mut [u8]| {
        let mut word = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes().into_iter().cycle();
        bytes.fill_with(|| word.next().unwrap());
    };
    let (key, index) = (Secret::new("5".repeat(64)), Secret::new("6".repeat(64)));
    Arc::new(Sealing::new(&[(1, key)], &index, counted).unwrap())
}

pub(crate) fn in_memory() -> Memory {
    let memory = Memory::new();
    memory
        .with(&mut |store| {
            let mut tx = store.begin().unwrap();
            let mut plan = WritePlan::default();
            let mut row = plan.row(&SHARD, Mode::Insert);
            row.int(0).int(0).int(0).int(0).int(0).blob(&[7; 16]).int(0).int(0).int(1);
            tx.write(&plan).unwrap();
            tx.commit().unwrap();
        })
        .unwrap();
    memory
}

/// Where a world keeps its books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Memory,
    File,
    Server,
}

impl From<bool> for On {
    fn from(memory: bool) -> Self {
        if memory { Self::Memory } else { Self::File }
    }
}

fn file(
    dir: &TempDir,
    name: &str,
    tables: &[&'static Table],
    steps: &[Migration],
) -> Arc<dyn Backend> {
    Arc::new(Sqlite::new(dir.path().join(name), tables, steps))
}

/// A new schema of the tests' PostgreSQL.
fn fresh(tables: &[&'static Table], steps: &[Migration]) -> Arc<dyn Backend> {
    static URL: OnceLock<String> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let url = URL.get_or_init(|| jangbu_cluster::shared::postgres().database("api").unwrap());
    let name = format!("world_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Arc::new(Postgres::new(url, &name, tables, steps).unwrap())
}

fn backups(shop: &Arc<Shop>, dir: &Path) -> Arc<Backups> {
    let schedule = Schedule { to: dir.join("backups"), every: None, keep: 3, keys: false };
    Arc::new(Backups::new(Arc::clone(shop), dir, schedule))
}

/// What reads of the catalogue ask first.
fn front(place: &Arc<Place>, far: Option<Arc<dyn Cache>>) -> Arc<Front> {
    Arc::new(Front::new(Limits::default(), far, Arc::clone(place), Arc::new(SystemClock)))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), true)
    }

    /// One on each store.
    pub(crate) fn all() -> [Self; 3] {
        [On::Memory, On::File, On::Server].map(|on| Self::with(Settings::default(), on))
    }

    pub(crate) fn with(settings: Settings, on: impl Into<On>) -> Self {
        Self::made(settings, on, |_| {})
    }

    /// One whose gateway does what a test tells it.
    pub(crate) fn with_gateway(gateway: Arc<dyn Gateway>, on: impl Into<On>) -> Self {
        Self::made(Settings::default(), on, |layout| layout.gateway = gateway)
    }

    /// With a layout of its own.
    pub(crate) fn made(
        settings: Settings,
        on: impl Into<On>,
        how: impl FnOnce(&mut Layout),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (on, mut kept) = (on.into(), None);
        let truth: Arc<dyn Backend> = match on {
            On::Memory => Arc::new(kept.insert(in_memory()).clone()),
            On::File => file(&dir, "jangbu.db", registry::TABLES, registry::MIGRATIONS),
            On::Server => fresh(registry::TABLES, registry::MIGRATIONS),
        };
        let derived = match on {
            On::Server => fresh(projections::TABLES, projections::MIGRATIONS),
            On::Memory | On::File => {
                file(&dir, "derived.db", projections::TABLES, projections::MIGRATIONS)
            }
        };
        let latency = Latency { min_ms: 1, max_ms: 2, ..Latency::default() };
        let config = SimConfig { latency, slow_ms: 1_200, ..SimConfig::default() };
        let gateway = Simulator::start(&dir.path().join("psp.log"), config, None).unwrap();
        let gateway = Arc::new(gateway);
        let clock = Arc::new(SystemClock);
        let psp = Arc::clone(&gateway) as Arc<dyn Gateway>;
        let mut layout = Layout::one_cell(Arc::clone(&truth), psp, clock);
        how(&mut layout);
        let shop = Arc::new(Shop::open(layout).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let members = vec![Projections::member(Keep::default()), Bestseller::member()];
        let projections =
            Running::start(&*truth, Arc::clone(&derived), Terms::alone(clock, None), members)
                .unwrap();
        let queries = Arc::new(Queries::new(Arc::clone(&truth), Arc::clone(&derived)));
        while queries.projected().is_err() {
            std::thread::sleep(Duration::from_millis(1)); // its thread is making the file
        }
        let stores = [Arc::clone(&truth), derived];
        let place: Arc<Place> = Arc::default();
        let api = Api::new(Parts {
            shop: Arc::clone(&shop),
            queries: Arc::clone(&queries),
            replicas: Vec::new(),
            truth,
            keys: keys(),
            sealing: sealing(),
            settings,
            consumer: projections.handle(),
            relay: None,
            post: Vec::new(),
            prove: Arc::new(|| Ok(json!({ "findings": [] }))),
            backups: backups(&shop, dir.path()),
            front: front(&place, None),
            shared: None,
        });
        let truth = Arc::clone(&stores[0]);
        let tail = Tail::follow(truth, Arc::new(SystemClock), place, api.followers()).unwrap();
        let router = router(Arc::clone(&api));
        Self {
            api,
            router,
            shop,
            memory: kept,
            queries,
            stores,
            projections,
            gateway,
            dir,
            _tail: tail,
        }
    }

    /// The interface that a server which starts now has.
    pub(crate) fn again(&self) -> Router {
        self.over(Arc::clone(&self.stores[1]), Vec::new())
    }

    /// An interface of this shop that reads its lists from `derived`, and what may be old from replicas.
    pub(crate) fn over(&self, derived: Arc<dyn Backend>, of: Vec<Arc<dyn Replica>>) -> Router {
        let truth = Arc::clone(&self.stores[0]);
        router(Api::new(Parts {
            shop: Arc::clone(&self.shop),
            queries: Arc::new(Queries::new(Arc::clone(&truth), derived)),
            replicas: of,
            truth,
            keys: keys(),
            sealing: sealing(),
            settings: Settings::default(),
            consumer: self.projections.handle(),
            relay: None,
            post: Vec::new(),
            prove: Arc::new(|| Ok(json!({ "findings": [] }))),
            backups: backups(&self.shop, self.dir.path()),
            front: front(&Arc::default(), None),
            shared: None,
        }))
    }

    /// Puts deliveries into the store of the consumers.
    pub(crate) fn deliver(&self, deliveries: &[Delivery]) {
        let mut plan = WritePlan::default();
        for delivery in deliveries {
            delivery.write(&mut plan);
        }
        self.projections.handle().write(plan, Box::new(|done| done.unwrap()));
    }

    /// Sends a request; its answer has been held against the document.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        let answer = Answer { status, headers, text, json };
        schema::check(&method, &path, &answer);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(OPERATOR, path).await
    }

    pub(crate) async fn get_as(&self, bearer: &str, path: &str) -> Answer {
        let request = Request::get(path).header("authorization", format!("Bearer {bearer}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// As the operator, with a key.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(post(path, key, OPERATOR, body)).await
    }

    pub(crate) async fn put(&self, path: &str, key: &str, body: &Value) -> Answer {
        let mut request = post(path, key, OPERATOR, body);
        *request.method_mut() = axum::http::Method::PUT;
        self.send(request).await
    }

    /// A product on sale with one SKU of `price` won and `stock` units: the SKU's id.
    pub(crate) async fn sku(&self, key: &str, price: i64, stock: i64) -> String {
        let body = json!({
            "merchantId": "m-1", "name": "Tee", "publish": true,
            "skus": [{
                "name": "M", "price": { "amount": price, "currency": "KRW" }, "stock": stock,
            }],
        });
        let made = self.post("/api/v1/products", key, &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json["skus"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Places an order, as a client.
    pub(crate) async fn place(&self, key: &str, body: &Value) -> Answer {
        self.send(post("/api/v1/orders", key, CLIENT, body)).await
    }

    /// Places an order and does not wait for its end.
    pub(crate) async fn place_async(&self, key: &str, body: &Value) -> Answer {
        let mut request = post("/api/v1/orders", key, CLIENT, body);
        request.headers_mut().insert("prefer", "respond-async".parse().unwrap());
        self.send(request).await
    }

    /// Asks for `path` until `wanted` is true of the answer.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer.json) {
                return answer.json;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{path}: {}", answer.text);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stock(&self, sku: &str, field: &str) -> i64 {
        let stock = self.get(&format!("/api/v1/stock/{sku}")).await;
        stock.json[field].as_i64().unwrap_or(-1)
    }
}

pub(crate) fn post(path: &str, key: &str, bearer: &str, body: &Value) -> Request<Body> {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {bearer}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    request.body(body).unwrap()
}

/// The body of an order of one line.
pub(crate) fn order(sku: &str, quantity: i64, total: i64, token: &str) -> Value {
    json!({
        "userId": USER,
        "lines": [{ "skuId": sku, "quantity": quantity }],
        "expectedTotal": { "amount": total, "currency": "KRW" },
        "payment": { "mode": "SERVER", "token": token },
    })
}

/// The same, paid later by the client.
pub(crate) fn unpaid(sku: &str, quantity: i64, total: i64) -> Value {
    let mut body = order(sku, quantity, total, "");
    body["payment"] = json!({ "mode": "CLIENT" });
    body
}
