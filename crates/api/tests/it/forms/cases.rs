//! A good request for each endpoint.

/// A request that succeeds, and how it is spoilt. Words with a dollar stand for ids.
pub(crate) struct Case {
    /// As in the document.
    pub(crate) method: &'static str,
    pub(crate) template: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: &'static str,
    pub(crate) wanted: u16,
    /// A path that is not understood, or none: the body gets a field that is not known.
    pub(crate) spoilt: Option<&'static str>,
    /// How the spoilt request is refused; none: anybody may ask, and there is nothing to spoil.
    pub(crate) code: &'static str,
}

const fn read(
    template: &'static str,
    path: &'static str,
    spoilt: &'static str,
    code: &'static str,
) -> Case {
    Case { method: "GET", template, path, body: "", wanted: 200, spoilt: Some(spoilt), code }
}

const fn open(path: &'static str) -> Case {
    Case { method: "GET", template: path, path, body: "", wanted: 200, spoilt: None, code: "" }
}

const fn write(
    method: &'static str,
    template: &'static str,
    path: &'static str,
    body: &'static str,
    wanted: u16,
) -> Case {
    Case { method, template, path, body, wanted, spoilt: None, code: "UNKNOWN_FIELD" }
}

const POINTS_BACK: &str = r#"{"amount":1,"reason":"bought by mistake"}"#;
const PLACE: &str = r#"{"userId":"$USER","lines":[{"skuId":"$SKU","quantity":1}],
    "expectedTotal":{"amount":1000,"currency":"KRW"},"payment":{"mode":"SERVER","token":"tok"},
    "couponId":"$VOUCHER","points":0,"expectedPay":{"amount":500,"currency":"KRW"}}"#;
const SHIP: &str = r#"{"carrier":"CJ Logistics","tracking":"688012345678",
    "lines":[{"skuId":"$SKU","quantity":1}]}"#;
const RETURN: &str =
    r#"{"reason":"too small","lines":[{"skuId":"$SKU","quantity":1}],"restock":false}"#;
const CONFIRM: &str = r#"{"amount":{"amount":1000,"currency":"KRW"},"token":"tok_visa"}"#;
const CANCEL: &str = r#"{"reason":"changed my mind"}"#;
const REFUND: &str =
    r#"{"reason":"broken","lines":[{"skuId":"$SKU","quantity":1}],"restock":true}"#;
pub(crate) const CREATE: &str = r#"{"merchantId":"m-2","name":"Mug","publish":true,
    "description":"Of clay.","categoryId":null,"options":["size"],
    "skus":[{"name":"one","code":null,"values":["S"],"price":{"amount":1000,"currency":"KRW"},"stock":1}]}"#;
const RECEIVE: &str = r#"{"quantity":1,"reason":"delivery"}"#;
const PRICE: &str = r#"{"price":{"amount":1500,"currency":"KRW"}}"#;
const CATEGORY: &str = r#"{"parentId":"$CATEGORY","code":"shirts","name":"Shirts"}"#;
const RENAME: &str = r#"{"name":"Clothing"}"#;
const EDIT: &str = r#"{"name":"Jug","description":"Of clay.","categoryId":"$CATEGORY"}"#;
const EXTEND: &str = r#"{"skus":[{"name":"two","code":"MUG-2","values":[],
    "price":{"amount":1000,"currency":"KRW"},"stock":1}]}"#;
const PLAN: &str = r#"{"price":{"amount":900,"currency":"KRW"},"from":"2090-01-01T00:00:00Z"}"#;
const UNPLAN: &str = r#"{"from":"2090-01-01T00:00:00Z"}"#;
const IMPORT: &str = r#"{"csv":"merchant,product,name,description,category,published,sku,options,variant,price,currency,stock\nm-1,,Mug,,,true,MUG-1,,,9000,KRW,10\n","dryRun":false,"firstLine":2}"#;
const ADJUST: &str = r#"{"delta":-1,"reason":"x"}"#;
const AUTHORIZE: &str = r#"{"merchantId":"17","amount":1000,"currency":"KRW","token":"tok",
    "idempotencyKey":"form-1"}"#;
pub(crate) const JOURNALS: &str = "/api/v1/ledger/journals";
pub(crate) const JOURNAL: &str = r#"{"reason":"statement","postings":[{"currency":"KRW","memo":"x",
    "legs":[{"account":"bank","amount":5},{"account":"suspense","amount":-5}]}]}"#;
const TEXT: &str = r#"{"subject":"{{order}}","body":"{{items}}","reason":"shorter"}"#;
const SETTLE: &str = r#"{"reason":"repaired"}"#;
const RESOLVE: &str = r#"{"refund":1,"verdict":"REFUNDED","evidence":"settlement file"}"#;
const WHY: &str = r#"{"reason":"the desk says so"}"#;
const REGISTER: &str = r#"{"email":"kim@example.com","password":"correct horse","name":"Kim",
    "phone":"+82 10 1234 5678","address":"Seoul"}"#;
const LOGIN: &str = r#"{"email":"lee@example.com","password":"correct horse"}"#;
const UPDATE: &str = r#"{"email":"lee@example.com","name":"Lee","phone":null,"address":"Busan"}"#;
const PASSWORD: &str = r#"{"current":"correct horse","password":"battery staple"}"#;
const CHARGE: &str = r#"{"amount":500,"token":"tok_visa"}"#;
const POINTS_GIVEN: &str =
    r#"{"amount":50,"expiresAt":"2029-01-31T15:00:00Z","reason":"an apology"}"#;
const POINTS: &str = "/api/v1/users/{id}/points";
const MERCHANT: &str = r#"{"merchantId":"form-1","name":"Kim's Tees"}"#;
const FEES: &str = r#"{"fees":[{"from":"2027-01-01T00:00:00+09:00","to":"2028-01-01T00:00:00+09:00",
    "rateBp":350,"fixed":100,"vatBp":1000}]}"#;
const ACCOUNTS: &str = "/api/v1/ledger/accounts";
const ACCOUNT: &str = "/api/v1/ledger/accounts/{code}";
const ENTRIES: &str = "/api/v1/ledger/accounts/{code}/entries";
const BALANCE: &str = "/api/v1/ledger/accounts/{code}/balance";

const CAMPAIGN: &str = r#"{"name":"Spring","discount":{"type":"PERCENT","basisPoints":1000,"cap":500,"amount":null},
    "currency":"KRW","minimum":0,"startsAt":"2026-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z",
    "validDays":30,"validUntil":null,"perUser":9,"total":99,"funding":"MERCHANT","merchantId":"m-1"}"#;
const GRANT: &str = r#"{"userIds":["$USER"],"reason":"a late parcel"}"#;

/// Every endpoint once. They run in this order on one shop. The payment to be resolved is not
/// unknown yet, which takes longer than a test: it is refused, and `books` knows more of it.
pub(crate) const CASES: &[Case] = &[
    write("POST", "/api/v1/orders", "/api/v1/orders", PLACE, 201),
    read("/api/v1/orders", "/api/v1/orders?userId=$USER", "/api/v1/orders?userId=7", "INVALID_ID"),
    read("/api/v1/orders/{id}", "/api/v1/orders/$SOLD", "/api/v1/orders/7", "INVALID_ID"),
    write("POST", "/api/v1/orders/{id}/confirm", "/api/v1/orders/$HELD/confirm", CONFIRM, 201),
    write("POST", "/api/v1/orders/{id}/cancel", "/api/v1/orders/$GIVEN/cancel", CANCEL, 200),
    write("POST", "/api/v1/orders/{id}/refund", "/api/v1/orders/$SOLD/refund", REFUND, 200),
    write("POST", "/api/v1/orders/{id}/shipments", "/api/v1/orders/$SENT/shipments", SHIP, 200),
    write(
        "POST",
        "/api/v1/orders/{id}/shipments/{no}/deliver",
        "/api/v1/orders/$SENT/shipments/1/deliver",
        "",
        200,
    ),
    write("POST", "/api/v1/orders/{id}/returns", "/api/v1/orders/$SENT/returns", RETURN, 200),
    read(
        "/api/v1/orders/{id}/timeline",
        "/api/v1/orders/$SOLD/timeline",
        "/api/v1/orders/$SKU/timeline",
        "INVALID_ID",
    ),
    write("POST", "/api/v1/users", "/api/v1/users", REGISTER, 201),
    write("POST", "/api/v1/sessions", "/api/v1/sessions", LOGIN, 201),
    read(
        "/api/v1/users",
        "/api/v1/users?email=lee@example.com",
        "/api/v1/users?email=lee",
        "INVALID_PARAMETER",
    ),
    read("/api/v1/users/{id}", "/api/v1/users/$CUSTOMER", "/api/v1/users/7", "INVALID_ID"),
    write("PATCH", "/api/v1/users/{id}", "/api/v1/users/$CUSTOMER", UPDATE, 200),
    write("POST", "/api/v1/users/{id}/password", "/api/v1/users/$CUSTOMER/password", PASSWORD, 200),
    write(
        "POST",
        "/api/v1/users/{id}/deactivate",
        "/api/v1/users/$CUSTOMER/deactivate",
        r#"{"reason":"asked for it"}"#,
        200,
    ),
    write("POST", "/api/v1/products", "/api/v1/products", CREATE, 201),
    read("/api/v1/products", "/api/v1/products", "/api/v1/products?limit=x", "INVALID_PARAMETER"),
    read("/api/v1/products/{id}", "/api/v1/products/$PRODUCT", "/api/v1/products/7", "INVALID_ID"),
    write("POST", "/api/v1/products/{id}/publish", "/api/v1/products/$PRODUCT/publish", "", 200),
    write(
        "POST",
        "/api/v1/products/{id}/unpublish",
        "/api/v1/products/$PRODUCT/unpublish",
        "",
        200,
    ),
    write("POST", "/api/v1/categories", "/api/v1/categories", CATEGORY, 201),
    read(
        "/api/v1/categories",
        "/api/v1/categories",
        "/api/v1/categories?limit=x",
        "INVALID_PARAMETER",
    ),
    read(
        "/api/v1/categories/{id}",
        "/api/v1/categories/$CATEGORY",
        "/api/v1/categories/7",
        "INVALID_ID",
    ),
    write("PUT", "/api/v1/categories/{id}", "/api/v1/categories/$CATEGORY", RENAME, 200),
    write("PUT", "/api/v1/products/{id}", "/api/v1/products/$PRODUCT", EDIT, 200),
    write("POST", "/api/v1/products/{id}/skus", "/api/v1/products/$PRODUCT/skus", EXTEND, 201),
    write("POST", "/api/v1/skus/{id}/prices", "/api/v1/skus/$SKU/prices", PLAN, 200),
    write(
        "POST",
        "/api/v1/skus/{id}/prices/cancel",
        "/api/v1/skus/$SKU/prices/cancel",
        UNPLAN,
        200,
    ),
    read(
        "/api/v1/skus/{id}/prices",
        "/api/v1/skus/$SKU/prices",
        "/api/v1/skus/$SKU/prices?cursor=x",
        "INVALID_PARAMETER",
    ),
    write("POST", "/api/v1/catalog/import", "/api/v1/catalog/import", IMPORT, 200),
    read(
        "/api/v1/catalog/export",
        "/api/v1/catalog/export",
        "/api/v1/catalog/export?limit=x",
        "INVALID_PARAMETER",
    ),
    write("PUT", "/api/v1/skus/{id}/price", "/api/v1/skus/$SKU/price", PRICE, 200),
    read("/api/v1/stock/{sku}", "/api/v1/stock/$SKU", "/api/v1/stock/7", "INVALID_ID"),
    write("POST", "/api/v1/stock/{sku}/receive", "/api/v1/stock/$SKU/receive", RECEIVE, 201),
    write("POST", "/api/v1/stock/{sku}/adjust", "/api/v1/stock/$SKU/adjust", ADJUST, 201),
    write("POST", "/api/v1/campaigns", "/api/v1/campaigns", CAMPAIGN, 201),
    read(
        "/api/v1/campaigns",
        "/api/v1/campaigns",
        "/api/v1/campaigns?limit=x",
        "INVALID_PARAMETER",
    ),
    read(
        "/api/v1/campaigns/{id}",
        "/api/v1/campaigns/$CAMPAIGN",
        "/api/v1/campaigns/7",
        "INVALID_ID",
    ),
    write(
        "POST",
        "/api/v1/campaigns/{id}/issue",
        "/api/v1/campaigns/$CAMPAIGN/issue",
        r#"{"userId":"$USER"}"#,
        201,
    ),
    write(
        "POST",
        "/api/v1/campaigns/{id}/grants",
        "/api/v1/campaigns/$CAMPAIGN/grants",
        GRANT,
        201,
    ),
    read(
        "/api/v1/campaigns/{id}/proof",
        "/api/v1/campaigns/$CAMPAIGN/proof",
        "/api/v1/campaigns/$CAMPAIGN/proof?cursor=x",
        "INVALID_PARAMETER",
    ),
    write("POST", "/api/v1/campaigns/{id}/end", "/api/v1/campaigns/$CAMPAIGN/end", WHY, 200),
    read(
        "/api/v1/users/{id}/coupons",
        "/api/v1/users/$USER/coupons?state=FREE",
        "/api/v1/users/$USER/coupons?state=LOST",
        "INVALID_PARAMETER",
    ),
    read("/api/v1/coupons/{id}", "/api/v1/coupons/$COUPON", "/api/v1/coupons/7", "INVALID_ID"),
    write("POST", "/api/v1/coupons/{id}/revoke", "/api/v1/coupons/$COUPON/revoke", WHY, 200),
    read(POINTS, "/api/v1/users/$USER/points", "/api/v1/users/7/points", "INVALID_ID"),
    read(
        "/api/v1/users/{id}/points/history",
        "/api/v1/users/$USER/points/history?limit=5",
        "/api/v1/users/$USER/points/history?cursor=x",
        "INVALID_PARAMETER",
    ),
    write(
        "POST",
        "/api/v1/users/{id}/points/charges",
        "/api/v1/users/$USER/points/charges",
        CHARGE,
        201,
    ),
    read(
        "/api/v1/users/{id}/points/charges/{payment}",
        "/api/v1/users/$USER/points/charges/$CHARGED",
        "/api/v1/users/$USER/points/charges/7",
        "INVALID_ID",
    ),
    write(
        "POST",
        "/api/v1/users/{id}/points/charges/{payment}/refunds",
        "/api/v1/users/$USER/points/charges/$CHARGED/refunds",
        POINTS_BACK,
        201,
    ),
    write(
        "POST",
        "/api/v1/users/{id}/points/grants",
        "/api/v1/users/$USER/points/grants",
        POINTS_GIVEN,
        201,
    ),
    read("/api/v1/payments/{id}", "/api/v1/payments/$LOST", "/api/v1/payments/7", "INVALID_ID"),
    write("POST", "/api/payments/authorize", "/api/payments/authorize", AUTHORIZE, 200),
    write(
        "POST",
        "/api/payments/capture/{id}",
        "/api/payments/capture/$TAKEN",
        r#"{"merchantId":"17"}"#,
        200,
    ),
    write(
        "POST",
        "/api/payments/void/{id}",
        "/api/payments/void/$UNTAKEN",
        r#"{"merchantId":"17"}"#,
        200,
    ),
    write(
        "POST",
        "/api/payments/refund/{id}",
        "/api/payments/refund/$TAKEN",
        r#"{"merchantId":"17","amount":10,"reason":"broken","idempotencyKey":"form-2"}"#,
        200,
    ),
    read(
        "/api/payments/{id}",
        "/api/payments/$TAKEN?merchantId=17",
        "/api/payments/7?merchantId=17",
        "INVALID_ID",
    ),
    write("POST", "/api/v1/payments/{id}/resolve", "/api/v1/payments/$LOST/resolve", RESOLVE, 404),
    read(
        "/api/v1/payments",
        "/api/v1/payments?state=UNKNOWN",
        "/api/v1/payments?state=LOST",
        "INVALID_PARAMETER",
    ),
    write("POST", "/api/v1/payments/{id}/inquire", "/api/v1/payments/$LOST/inquire", WHY, 200),
    read("/api/v1/sagas", "/api/v1/sagas?state=OPEN", "/api/v1/sagas?state=x", "INVALID_PARAMETER"),
    read("/api/v1/sagas/{id}", "/api/v1/sagas/$OPEN", "/api/v1/sagas/7", "INVALID_ID"),
    write("POST", "/api/v1/sagas/{id}/retry", "/api/v1/sagas/$OPEN/retry", WHY, 200),
    write("POST", "/api/v1/sagas/{id}/compensate", "/api/v1/sagas/$OPEN/compensate", WHY, 200),
    write("POST", "/api/v1/sagas/{id}/abandon", "/api/v1/sagas/$OPEN/abandon", WHY, 409),
    read(ACCOUNTS, ACCOUNTS, "/api/v1/ledger/accounts?cursor=-", "INVALID_PARAMETER"),
    read(
        ACCOUNT,
        "/api/v1/ledger/accounts/merchant:m-1:payable?currency=KRW",
        "/api/v1/ledger/accounts/bank",
        "INVALID_PARAMETER",
    ),
    read(
        ENTRIES,
        "/api/v1/ledger/accounts/merchant:m-1:payable/entries?currency=KRW",
        "/api/v1/ledger/accounts/bank/entries?currency=x",
        "INVALID_FIELD",
    ),
    read(
        BALANCE,
        "/api/v1/ledger/accounts/merchant:m-1:payable/balance?currency=KRW",
        "/api/v1/ledger/accounts/bank/balance?currency=KRW&at=x",
        "INVALID_PARAMETER",
    ),
    read(
        "/api/v1/ledger/trial-balance",
        "/api/v1/ledger/trial-balance",
        "/api/v1/ledger/trial-balance?x=1",
        "INVALID_PARAMETER",
    ),
    read("/api/v1/audit", "/api/v1/audit", "/api/v1/audit?cursor=x", "INVALID_PARAMETER"),
    write("POST", JOURNALS, JOURNALS, JOURNAL, 201),
    read(
        "/api/v1/ledger/journals/{id}",
        "/api/v1/ledger/journals/$JOURNAL",
        "/api/v1/ledger/journals/7",
        "INVALID_ID",
    ),
    read("/api/v1/poison", "/api/v1/poison", "/api/v1/poison?state=LOST", "INVALID_PARAMETER"),
    read("/api/v1/poison/{id}", "/api/v1/poison/$POISON", "/api/v1/poison/x", "INVALID_ID"),
    write(
        "POST",
        "/api/v1/poison/{id}/retry",
        "/api/v1/poison/$POISON/retry",
        r#"{"reason":"mended"}"#,
        200,
    ),
    write(
        "POST",
        "/api/v1/poison/{id}/discard",
        "/api/v1/poison/$RUINED/discard",
        r#"{"reason":"hopeless"}"#,
        200,
    ),
    write("POST", "/api/v1/admin/prove", "/api/v1/admin/prove", "", 200),
    write("POST", "/api/v1/admin/read-only", "/api/v1/admin/read-only", r#"{"on":false}"#, 200),
    read(
        "/api/v1/idempotency/{key}",
        "/api/v1/idempotency/sold",
        "/api/v1/idempotency/sold?limit=1",
        "INVALID_PARAMETER",
    ),
    read("/api/v1/backups", "/api/v1/backups", "/api/v1/backups?limit=1", "INVALID_PARAMETER"),
    write("POST", "/api/v1/backups", "/api/v1/backups", "", 202),
    read(
        "/api/v1/bestsellers",
        "/api/v1/bestsellers?window=day",
        "/api/v1/bestsellers?window=year",
        "INVALID_PARAMETER",
    ),
    read("/api/v1/dlq", "/api/v1/dlq", "/api/v1/dlq?consumer=nobody", "INVALID_PARAMETER"),
    Case {
        wanted: 404, // nothing is parked; `dlq` knows more of it
        ..read(
            "/api/v1/dlq/{consumer}/{key}",
            "/api/v1/dlq/projections/$SOLD",
            "/api/v1/dlq/projections/$SOLD?x=1",
            "INVALID_PARAMETER",
        )
    },
    Case {
        wanted: 404,
        ..read(
            "/api/v1/dlq/{consumer}/{key}/dry-run",
            "/api/v1/dlq/projections/$SOLD/dry-run",
            "/api/v1/dlq/projections/$SOLD/dry-run?x=1",
            "INVALID_PARAMETER",
        )
    },
    write(
        "POST",
        "/api/v1/dlq/{consumer}/{key}/replay",
        "/api/v1/dlq/projections/$SOLD/replay",
        SETTLE,
        404,
    ),
    write(
        "POST",
        "/api/v1/dlq/{consumer}/{key}/discard",
        "/api/v1/dlq/projections/$SOLD/discard",
        SETTLE,
        404,
    ),
    read(
        "/api/v1/notifications",
        "/api/v1/notifications?state=DEAD",
        "/api/v1/notifications?state=SENT",
        "INVALID_PARAMETER",
    ),
    write(
        "POST",
        "/api/v1/notifications/{id}/retry",
        "/api/v1/notifications/64/retry",
        SETTLE,
        404, // nothing was given up; `notification` knows more of it
    ),
    read(
        "/api/v1/notifications/templates",
        "/api/v1/notifications/templates",
        "/api/v1/notifications/templates?x=1",
        "INVALID_PARAMETER",
    ),
    write(
        "PUT",
        "/api/v1/notifications/templates/{kind}/{language}",
        "/api/v1/notifications/templates/placed/ko",
        TEXT,
        200,
    ),
    write("POST", "/api/v1/merchants", "/api/v1/merchants", MERCHANT, 201),
    read(
        "/api/v1/merchants",
        "/api/v1/merchants",
        "/api/v1/merchants?limit=x",
        "INVALID_PARAMETER",
    ),
    read(
        "/api/v1/merchants/{code}",
        "/api/v1/merchants/m-keys",
        "/api/v1/merchants/m-keys?x=1",
        "INVALID_PARAMETER",
    ),
    write(
        "POST",
        "/api/v1/merchants/{code}/keys",
        "/api/v1/merchants/m-keys/keys",
        r#"{"legacy":true}"#,
        201,
    ),
    write(
        "POST",
        "/api/v1/merchants/{code}/keys/{keyId}/revoke",
        "/api/v1/merchants/m-keys/keys/$KEY/revoke",
        WHY,
        200,
    ),
    write("PUT", "/api/v1/merchants/{code}/fees", "/api/v1/merchants/m-keys/fees", FEES, 200),
    write("POST", "/api/v1/merchants/{code}/suspend", "/api/v1/merchants/m-keys/suspend", WHY, 200),
    write("POST", "/api/v1/merchants/{code}/resume", "/api/v1/merchants/m-keys/resume", WHY, 200),
    open("/livez"),
    open("/readyz"),
    open("/actuator/health"),
    open("/metrics"),
    open("/openapi.json"),
    open("/docs"),
];
