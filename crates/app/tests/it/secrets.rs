//! P8 from outside: a server at its most talkative, secrets of every kind with a mark in them, sent
//! where they belong and where they do not; then the mark is looked for in everything that the
//! server said or kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::server::{Server, jangbu};

/// Stands in every secret, and nowhere else.
const MARK: &str = "7f3aMARK";
const TOKEN: &str = "tok_7f3aMARK_4242424242424242";
const WRONG: &str = "jbx_7f3aMARK_wrong_key_0123456789";

/// Fields that take words of the caller's own, which are kept and shown.
const FREE: [&str; 13] = [
    "merchantId",
    "name",
    "address",
    "reason",
    "evidence",
    "memo",
    "idempotencyKey",
    "code",
    "description",
    "carrier",
    "tracking",
    "options/0",
    "values/0",
];
/// Fields that take a list of such words.
const FREE_LISTS: [&str; 2] = ["options", "values"];

/// Keys with the mark, so that the server makes none of its own.
fn keys(data: &Path) {
    let put = |name: &str, text: String| {
        let file = data.join("keys").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    put("client.key", format!("jbc_{MARK}_0123456789abcdef"));
    put("operator.key", format!("jbo_{MARK}_0123456789abcdef"));
    put("operators/kim.key", format!("jbo_{MARK}_kim_0123456789abcdef"));
    let secret = format!("jbm_{MARK}_0123456789abcdef0123456789abcdef");
    put(
        "merchants/m-1.toml",
        format!("[[key]]\nid = \"k1\"\nsecret = \"{secret}\"\nlegacy = true\n"),
    );
}

/// Everything that the server answered.
struct Heard<'a> {
    server: &'a Server,
    operator: String,
    answers: Vec<(String, String)>,
    no: usize,
}

impl Heard<'_> {
    fn ask(&mut self, method: &str, path: &str, extra: &[(&str, &str)], body: &str) {
        self.no += 1;
        let key = format!("secrets-{}", self.no);
        let mut headers: Vec<(&str, &str)> = vec![("idempotency-key", &key)];
        for (name, value) in
            [("authorization", &*self.operator), ("content-type", "application/json")]
        {
            if !extra.iter().any(|(other, _)| *other == name) {
                headers.push((name, value));
            }
        }
        headers.extend_from_slice(extra);
        let answer = self.server.raw(method, path, &headers, body);
        self.answers.push((format!("{method} {path} {body}"), answer));
    }

    /// The body with the token in place of one value after the other, and as the name of a field.
    fn misplace(&mut self, method: &str, path: &str, body: &Value) {
        for place in places(body, "") {
            let free = FREE.iter().any(|name| place.ends_with(name));
            let free_list = FREE_LISTS.iter().any(|name| place.ends_with(name));
            let number = json!(4_242_733_142_427_331_i64);
            let text = if free { Value::Null } else { json!(TOKEN) };
            let list = if free_list { json!([1]) } else { json!([TOKEN]) };
            for wrong in [text, json!({ TOKEN: 1 }), list, number] {
                let mut body = body.clone();
                *body.pointer_mut(&place).unwrap() = wrong;
                self.ask(method, path, &[], &body.to_string());
            }
        }
        let text = body.to_string();
        let end = text.len() - 1;
        for broken in [
            format!("{},\"{TOKEN}\":1}}", &text[..end]),
            format!("{},\"{TOKEN}`, expected `x\":1}}", &text[..end]),
            format!("{} \"{TOKEN}\"", &text[..end]),
            format!("\"{TOKEN}\""),
            format!("[\"{TOKEN}\"]"),
            TOKEN.to_owned(),
        ] {
            self.ask(method, path, &[], &broken);
        }
    }
}

fn places(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, v)| (format!("{at}/{name}"), v)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, v)| (format!("{at}/{n}"), v)).collect()
        }
        _ => return Vec::new(),
    };
    let deeper = below.iter().flat_map(|(at, value)| places(value, at)).collect::<Vec<_>>();
    below.iter().map(|(at, _)| at.clone()).chain(deeper).collect()
}

/// Example bodies of the document, with an example for each parameter of their paths.
fn operations(server: &Server) -> Vec<(String, String, Value)> {
    let document = server.get("/openapi.json").body;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            if !example.is_object() {
                continue;
            }
            let parameters = operation["parameters"].as_array().unwrap();
            let path = parameters.iter().fold(path.clone(), |path, parameter| {
                let word = format!("{{{}}}", parameter["name"].as_str().unwrap_or_default());
                path.replace(&word, parameter["example"].as_str().unwrap_or("1"))
            });
            found.push((method.to_uppercase(), path, example.clone()));
        }
    }
    assert!(found.len() >= 10, "{found:?}");
    found
}

/// Credentials and tokens where none belong: paths, queries, headers.
fn stray(heard: &mut Heard<'_>) {
    let wrong = format!("Bearer {WRONG}");
    let basic = format!("Basic {WRONG}");
    let signed =
        format!("JANGBU-HMAC-SHA256 keyId={WRONG}, ts=1, nonce={WRONG}, sig={}", "0".repeat(64));
    let odd = format!("JANGBU-HMAC-SHA256 {WRONG}={WRONG}");
    for value in [&wrong, &basic, &signed, &odd, &WRONG.to_owned()] {
        for path in ["/api/v1/orders", "/api/v1/admin/prove", "/api/payments/authorize"] {
            heard.ask("POST", path, &[("authorization", value)], "{}");
        }
    }
    for path in [
        "/api/v1/orders/TOKEN",
        "/TOKEN",
        "/api/v1/products?TOKEN=1",
        "/api/v1/products?limit=TOKEN",
        "/api/v1/products?cursor=TOKEN",
        "/api/v1/orders?userId=TOKEN",
        "/api/v1/payments/TOKEN",
        "/api/v1/ledger/accounts/TOKEN?currency=KRW",
        "/api/v1/ledger/accounts/bank?currency=TOKEN",
    ] {
        heard.ask("GET", &path.replace("TOKEN", TOKEN), &[], "");
    }
    for name in ["content-type", "prefer", "x-hmac-sha256", "x-unheard-of", "cookie"] {
        heard.ask("POST", "/api/v1/orders", &[(name, TOKEN)], "{}");
    }
    heard.ask("DELETE", "/api/v1/orders", &[], TOKEN);
}

/// Orders that are sold, declined, held and confirmed, each with the token where it belongs.
fn trade(heard: &mut Heard<'_>, skus: &[String]) {
    let order = |n: usize, total: i64, payment: Value| {
        json!({
            "userId": "usr_0000000000001",
            "lines": [{ "skuId": skus[n % skus.len()], "quantity": 1 }],
            "expectedTotal": { "amount": total, "currency": "KRW" },
            "payment": payment,
        })
    };
    let paid = || json!({ "mode": "SERVER", "token": TOKEN });
    // Half of the cards are declined, by chance: of so many, some of each kind.
    for n in 0..40 {
        heard.ask("POST", "/api/v1/orders", &[], &order(n, 1_000, paid()).to_string());
    }
    heard.ask("POST", "/api/v1/orders", &[], &order(0, 999, paid()).to_string());
    let held = order(0, 1_000, json!({ "mode": "CLIENT" }));
    heard.ask("POST", "/api/v1/orders", &[], &held.to_string());
    let (_, answer) = heard.answers.last().unwrap();
    let id = answer.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let confirm = json!({ "amount": { "amount": 1_000, "currency": "KRW" }, "token": TOKEN });
    let path = format!("/api/v1/orders/{id}/confirm");
    heard.ask("POST", &path, &[], &confirm.to_string());
    let reads =
        ["/api/v1/orders/ID", "/api/v1/orders/ID/timeline", "/metrics", "/readyz", "/api/v1/audit"];
    for path in reads {
        heard.ask("GET", &path.replace("ID", &id), &[], "");
    }
    // Each under the key of its header.
    let wish = json!({
        "merchantId": "m-1", "amount": 1_000, "currency": "KRW", "token": TOKEN,
    });
    for _ in 0..40 {
        heard.ask("POST", "/api/payments/authorize", &[], &wish.to_string());
    }
    let payment = id.replace("ord_", "pay_");
    heard.ask("GET", &format!("/api/v1/payments/{payment}"), &[], "");
}

/// A user with the mark in everything that is said of it, who does whatever users do: its token.
/// Answers show its data to itself, so they are not looked at.
fn people(server: &Server) -> String {
    let ask = |method: &str, path: &str, bearer: &str, body: &Value| {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        server.raw(method, path, &headers, &body.to_string())
    };
    let word = |answer: &str, field: &str| {
        let found = answer.split(&format!("\"{field}\":\"")).nth(1);
        let found = found.unwrap_or_else(|| panic!("no {field}: {answer}"));
        found.split('"').next().unwrap().to_owned()
    };
    let person = json!({
        "email": "7f3aMARK@example.com", "password": "7f3aMARK-secret", "name": "7f3aMARK Kim",
        "address": "7f3aMARK Street", "phone": "010-1234-5678",
    });
    let user = word(&ask("POST", "/api/v1/users", "x", &person), "id");
    let wrong = json!({ "email": "7f3aMARK@example.com", "password": "7f3aMARK-wrong" });
    for path in ["/api/v1/users", "/api/v1/sessions"] {
        ask("POST", path, "x", &wrong);
    }
    ask("POST", "/api/v1/users", "x", &person);
    let login = json!({ "email": "7f3aMARK@example.com", "password": "7f3aMARK-secret" });
    let token = word(&ask("POST", "/api/v1/sessions", "x", &login), "token");
    let path = format!("/api/v1/users/{user}");
    let changes = json!({ "email": "7f3aMARK2@example.com", "address": "7f3aMARK Road" });
    assert!(ask("PATCH", &path, &token, &changes).contains("7f3aMARK Road"));
    let new = json!({ "current": "7f3aMARK-wrong", "password": "7f3aMARK-other" });
    ask("POST", &format!("{path}/password"), &token, &new);
    ask("GET", "/api/v1/orders", &token, &Value::Null);
    ask("GET", "/api/v1/admin/prove", &token, &Value::Null);
    let new = json!({ "current": "7f3aMARK-secret", "password": "7f3aMARK-other" });
    assert!(ask("POST", &format!("{path}/password"), &token, &new).contains(&user));
    ask("GET", &path, &token, &Value::Null);
    token
}

/// Every file below a directory but the keys.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let below = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = below.filter(|path| !path.ends_with("keys"));
    let each = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    below.flat_map(each).collect()
}

/// Every value of every table that holds the mark.
fn kept(file: &Path) -> Vec<String> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut names = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    assert!(names.len() >= 3, "{names:?}");
    let mut found = Vec::new();
    for table in names {
        let mut all = db.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns: Vec<String> = all.column_names().map(str::to_owned).collect();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (at, column) in columns.iter().enumerate() {
                let bytes = bytes_of(row.get_ref(at).unwrap());
                let told = || format!("{table}.{column}: {}", String::from_utf8_lossy(bytes));
                found.extend(marked(bytes).then(told));
            }
        }
    }
    found
}

fn bytes_of(value: ValueRef<'_>) -> &[u8] {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        _ => &[],
    }
}

fn marked(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window.eq_ignore_ascii_case(MARK.as_bytes()))
}

#[test]
fn no_secret_is_in_any_log_line_answer_or_row() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    keys(&data);
    let settings = [("LOG__LEVEL", "trace"), ("GATEWAY__RATES__DECLINE", "0.5")];
    let server = Server::start_logged(&data, &settings, &log);
    let skus = server.seed(3, 100);
    let operator = fs::read_to_string(data.join("keys/operators/kim.key")).unwrap();
    let operator = format!("Bearer {operator}");
    let mut heard = Heard { server: &server, operator, answers: Vec::new(), no: 0 };
    trade(&mut heard, &skus);
    for (method, path, body) in operations(&server) {
        heard.misplace(&method, &path, &body);
    }
    stray(&mut heard);
    let token = people(&server);
    let answers = heard.answers;
    let has = |text: &str| answers.iter().any(|(_, answer)| answer.contains(text));
    for reached in [
        "\"SOLD\"",
        "\"AUTHORIZED\"",
        "PAYMENT_DECLINED",
        "INVALID_FIELD",
        "UNKNOWN_FIELD",
        "UNAUTHORIZED",
    ] {
        assert!(has(reached), "no answer has {reached}");
    }
    for (what, answer) in &answers {
        assert!(!marked(answer.as_bytes()), "{what}: {answer}");
    }
    assert!(server.stop().success());
    let log = fs::read_to_string(&log).unwrap();
    let told = |message: &str| log.contains(&format!("\"message\":\"{message}\""));
    assert!(told("refused") && told("answered"), "the log is not talkative: {log}");
    let lines: Vec<&str> = log.lines().filter(|line| marked(line.as_bytes())).collect();
    assert!(lines.is_empty(), "{lines:#?}");
    for file in ["jangbu.db", "derived.db"] {
        let found = kept(&data.join(file));
        assert!(found.is_empty(), "{file}: {found:#?}");
    }
    let signature = token.rsplit('.').next().unwrap();
    assert!(signature.len() > 40 && !log.contains(signature), "a token is in the log");
    for file in files(&data) {
        let bytes = fs::read(&file).unwrap();
        let signed = bytes.windows(signature.len()).any(|window| window == signature.as_bytes());
        assert!(!marked(&bytes) && !signed, "{}", file.display());
    }
}

/// What the program itself prints: settings, errors, help.
#[test]
fn the_command_line_tells_no_secret_but_a_key_that_it_has_just_made() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    keys(dir.path());
    let data = dir.path().to_str().unwrap();
    let run = |args: &[&str]| {
        let out = jangbu(args, &[]).output().unwrap();
        [out.stdout, out.stderr].concat()
    };
    let made = run(&["merchant-key", "m-1", "--data", data]);
    let made = String::from_utf8(made).unwrap();
    assert!(made.contains("secret jbm_") && !marked(made.as_bytes()), "{made}");
    let file = dir.path().join("keys/merchants/m-1.toml");
    let spoilt = fs::read_to_string(&file).unwrap().replace("legacy = true", "legacy = \"x\"");
    fs::write(&file, spoilt).unwrap();
    for args in [
        &["serve", "--listen", "127.0.0.1:0", "--data", data][..],
        &["merchant-key", "m-1", "--data", data],
        &["demo", "--target", "http://127.0.0.1:9", "--data", data],
    ] {
        let said = run(args);
        assert!(!said.is_empty() && !marked(&said), "{}", String::from_utf8_lossy(&said));
    }
}
