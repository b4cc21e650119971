//! The catalogue: options, categories, prices to come, lists, files.

use serde_json::{Value, json};

use crate::world::{Answer, USER, World, session};

const HEADER: &str =
    "merchant,product,name,description,category,published,sku,options,variant,price,currency,stock";

fn tee() -> Value {
    let sku = |code: &str, values: [&str; 2], price: i64| json!({ "code": code, "values": values, "price": { "amount": price, "currency": "KRW" }, "stock": 5 });
    json!({
        "merchantId": "m-1", "name": "Tee", "publish": true, "description": "Of cotton.",
        "options": ["size", "color"],
        "skus": [sku("T-1", ["M", "red"], 12_000), sku("T-2", ["L", "red"], 11_000)],
    })
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_product_has_options_and_grows_and_is_edited() {
    let world = World::new();
    let made = world.post("/api/v1/products", "tee", &tee()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json["options"][0], json!({ "name": "size", "values": ["M", "L"] }));
    assert_eq!(made.json["skus"][1]["name"], "L / red");
    assert_eq!(made.json["skus"][1]["values"], json!(["L", "red"]));
    let path = format!("/api/v1/products/{}", id(&made.json));

    let more = json!({ "skus": [{ "values": ["M", "blue"], "code": "T-3", "stock": 7,
        "price": { "amount": 12_500, "currency": "KRW" } }] });
    let grown = world.post(&format!("{path}/skus"), "more", &more).await;
    assert_eq!((grown.status, grown.json["skus"].as_array().unwrap().len()), (201, 3));
    let again = world.post(&format!("{path}/skus"), "more", &more).await;
    assert_eq!((again.status, &again.json), (201, &grown.json));
    assert_eq!(world.stock(&id(&grown.json["skus"][2]), "received").await, 7, "received once");
    let twice = world.post(&format!("{path}/skus"), "twice", &more).await;
    assert_eq!(twice.problem(), (409, "SKU_CODE_TAKEN"));

    let root = world.post("/api/v1/categories", "c", &json!({ "code": "clothes" })).await;
    assert_eq!((root.status, &root.json["depth"]), (201, &json!(1)));
    let edit = json!({ "name": "Shirt", "categoryId": id(&root.json) });
    let edited = world.put(&path, "edit", &edit).await;
    assert_eq!((edited.status, &edited.json["name"]), (200, &json!("Shirt")));
    assert_eq!(edited.json["description"], "Of cotton.");
    let out = world.put(&path, "out", &json!({ "categoryId": null })).await;
    assert_eq!(out.json["categoryId"], Value::Null);
    let hidden = world.post(&format!("{path}/unpublish"), "hide", &Value::Null).await;
    assert_eq!((hidden.status, &hidden.json["state"]), (200, &json!("DRAFT")));
}

#[tokio::test]
async fn prices_have_a_past_and_a_future() {
    let world = World::new();
    let made = world.post("/api/v1/products", "tee", &tee()).await;
    let path = format!("/api/v1/skus/{}/prices", id(&made.json["skus"][0]));
    let price = json!({ "amount": 9_900, "currency": "KRW" });
    let plan = json!({ "price": price, "from": "2090-01-01T00:00:00Z" });
    let planned = world.post(&path, "plan", &plan).await;
    assert_eq!(planned.json["skus"][0]["nextPriceAt"], "2090-01-01T00:00:00.000000Z");
    let now = json!({ "price": price, "from": "2020-01-01T00:00:00Z" });
    let set = world.post(&path, "now", &now).await;
    assert_eq!(set.json["skus"][0]["price"], price, "a moment that is past is now");
    let history = world.get(&path).await.json;
    let versions: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|p| &p["priceVersion"]).collect();
    assert_eq!((versions, &history["planned"][0]["price"]), (vec![&json!(2), &json!(1)], &price));
    let page = world.get(&format!("{path}?limit=1")).await.json;
    assert_eq!(page["nextCursor"], "2");
    let from = json!({ "from": "2090-01-01T00:00:00Z" });
    let gone = world.post(&format!("{path}/cancel"), "cancel", &from).await;
    assert_eq!(gone.json["skus"][0]["nextPriceAt"], Value::Null);
}

/// Names of a list, once the shelf has everything.
async fn names(world: &World, query: &str) -> Vec<String> {
    while world.queries.projected().unwrap() < world.queries.number().unwrap() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/api/v1/products?{query}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.json["items"].as_array().unwrap();
        found.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page.json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn row(name: &str, category: &str, published: bool, price: i64) -> String {
    format!("m-1,,{name},,{category},{published},S-{name},,,{price},KRW,3\n")
}

#[tokio::test]
async fn lists_are_filtered_and_sorted_and_customers_see_what_is_on_sale() {
    for world in World::all() {
        let rows = [
            row("b", "x/y", true, 3),
            row("a", "x", true, 2),
            row("c", "", false, 1),
            row("d", "x/y", true, 2),
        ];
        let report = import(&world, &rows.concat(), false).await;
        assert_eq!(report.json["created"], 4, "{}", report.text);
        assert_eq!(names(&world, "sort=name&limit=1").await, ["a", "b", "c", "d"]);
        assert_eq!(names(&world, "sort=price&limit=1").await, ["c", "a", "d", "b"]);
        assert_eq!(names(&world, "sort=-price&limit=3").await, ["b", "d", "a", "c"]);
        assert_eq!(names(&world, "sort=newest&published=true").await, ["d", "a", "b"]);
        assert_eq!(names(&world, "minPrice=2&maxPrice=2&sort=name").await, ["a", "d"]);
        assert_eq!(names(&world, "prefix=B").await, ["b"]);
        assert_eq!(names(&world, "merchantId=m-2").await, [""; 0]);
        let all = world.get("/api/v1/categories").await.json;
        let of = |code: &str| {
            let found = all["items"].as_array().unwrap().iter().find(|c| c["code"] == code);
            id(found.unwrap())
        };
        assert_eq!(
            names(&world, &format!("categoryId={}&sort=name", of("x"))).await,
            ["a", "b", "d"]
        );
        assert_eq!(names(&world, &format!("categoryId={}&sort=name", of("y"))).await, ["b", "d"]);
        for bad in [
            "sort=age",
            "published=yes",
            "minPrice=-1",
            "categoryId=7",
            "currency=won",
            "prefix=",
            "sort=name&cursor=zz",
        ] {
            assert!(world.get(&format!("/api/v1/products?{bad}")).await.status >= 400, "{bad}");
        }
        let token = session(USER);
        let seen = world.get_as(&token, "/api/v1/products?published=false").await;
        let seen: Vec<_> =
            seen.json["items"].as_array().unwrap().iter().map(|p| &p["state"]).collect();
        assert_eq!(seen, ["PUBLISHED"; 3]);
    }
}

async fn import(world: &World, rows: &str, dry: bool) -> Answer {
    let body = json!({ "csv": format!("{HEADER}\n{rows}"), "dryRun": dry });
    world.post("/api/v1/catalog/import", "any", &body).await
}

fn counts(report: &Answer) -> [i64; 5] {
    assert_eq!(report.status, 200, "{}", report.text);
    ["lines", "created", "updated", "unchanged", "failed"]
        .map(|name| report.json[name].as_i64().unwrap())
}

async fn exported(world: &World) -> String {
    let (mut csv, mut cursor) = (String::new(), String::new());
    loop {
        let page = world.get(&format!("/api/v1/catalog/export?limit=2{cursor}")).await;
        csv.push_str(page.json["csv"].as_str().unwrap());
        match page.json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return csv,
        }
    }
}

#[tokio::test]
async fn what_is_exported_imports_as_no_change_and_elsewhere_as_the_same() {
    let world = World::new();
    world.post("/api/v1/products", "tee", &tee()).await;
    let plain = json!({ "merchantId": "m-2", "name": "Mug, \"large\"", "description": "Two\nlines ",
        "skus": [{ "name": " one", "price": { "amount": 0, "currency": "USD" } }] });
    assert_eq!(world.post("/api/v1/products", "mug", &plain).await.status, 201);
    let rows = row("hat", "clothes/hats", true, 5) + &row("cap", "clothes/hats", false, 6);
    assert_eq!(counts(&import(&world, &rows, false).await), [2, 2, 0, 0, 0]);
    let csv = exported(&world).await;
    assert_eq!(csv.lines().filter(|line| line.starts_with("m-")).count(), 5, "{csv}");

    let before = world.get("/api/v1/products").await.json;
    let body = json!({ "csv": csv });
    for _ in 0..2 {
        let again = world.post("/api/v1/catalog/import", "any", &body).await;
        assert_eq!(counts(&again), [5, 0, 0, 5, 0], "{}", again.text);
    }
    assert_eq!(world.get("/api/v1/products").await.json, before);
    assert_eq!(exported(&world).await, csv);

    let other = World::new();
    let of_one = |line: &&str| line.starts_with("m-1") || line.starts_with("merchant");
    let coded: Vec<_> = csv.lines().filter(of_one).collect();
    let coded = coded.join("\n");
    let there = other.post("/api/v1/catalog/import", "any", &json!({ "csv": coded })).await;
    let [_, created, _, _, failed] = counts(&there);
    assert_eq!((created, failed), (4, 0), "{}", there.text);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let world = World::new();
    let rows = row("hat", "clothes", true, 5);
    assert_eq!(counts(&import(&world, &rows, true).await), [1, 1, 0, 0, 0]);
    assert_eq!(world.get("/api/v1/products").await.json["items"], json!([]));
    assert_eq!(world.get("/api/v1/categories").await.json["items"], json!([]));
    assert_eq!(counts(&import(&world, &rows, false).await), [1, 1, 0, 0, 0]);
    let dearer = row("hat", "clothes", true, 6);
    assert_eq!(counts(&import(&world, &dearer, true).await), [1, 0, 1, 0, 0]);
    assert_eq!(counts(&import(&world, &dearer, false).await), [1, 0, 1, 0, 0]);
    let hat = &world.get("/api/v1/products").await.json["items"][0]["skus"][0];
    assert_eq!((&hat["price"]["amount"], &hat["priceVersion"]), (&json!(6), &json!(2)));
    assert_eq!(world.stock(&id(hat), "received").await, 3, "its first stock, once");
}

#[tokio::test]
async fn a_bad_line_is_told_and_the_others_are_done() {
    let world = World::new();
    let many: String = (0..250).map(|n| row(&format!("n{n}"), "", true, 1)).collect();
    let bad = "m-1,,bad,,,true,BAD-1,,,free,KRW,0\nm-1,,good,,,true,GOOD-1,,,1,KRW,0\n";
    let report = import(&world, &(many + bad), false).await;
    assert_eq!(counts(&report), [252, 251, 0, 0, 1]);
    let error = &report.json["errors"][0];
    assert_eq!(
        (&error["line"], &error["column"], &error["code"]),
        (&json!(252), &json!("price"), &json!("INVALID_FIELD"))
    );
    // What only the rows of the shop can tell.
    let cases = [
        ("m-1,,n0,,,true,S-n0,,,1,USD,3\n", "currency", "CURRENCY_MIXED"),
        ("m-1,,n0,,,true,S-n0,size=M,,1,KRW,3\n", "options", "OPTIONS_INVALID"),
        (
            "m-1,p,x,,,true,S-n0,,,1,KRW,3\nm-1,p,x,,,true,S-n1,,,1,KRW,3\n",
            "product",
            "PRODUCT_DIFFERS",
        ),
        ("m-1,,x,,a/b/c/d/e/f,true,X-1,,,1,KRW,3\n", "category", "CATEGORY_TOO_DEEP"),
        ("m-1,,x,,,true,sku_0000000001000,,,1,KRW,3\n", "sku", "SKU_UNKNOWN"),
    ];
    for (rows, column, code) in cases {
        let report = import(&world, rows, false).await;
        let error = &report.json["errors"][0];
        assert_eq!(
            (&error["column"], &error["code"]),
            (&json!(column), &json!(code)),
            "{}",
            report.text
        );
    }
    let none = world.post("/api/v1/catalog/import", "any", &json!({ "csv": "a,b\n1,2\n" })).await;
    assert_eq!(none.problem(), (422, "MALFORMED_CSV"));
}

#[tokio::test]
async fn a_category_that_is_there_keeps_its_name_and_says_so() {
    let world = World::new();
    let path = "/api/v1/categories";
    let made = world.post(path, "c1", &json!({ "code": "tops", "name": "Tops" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    for same in [json!({ "code": "tops", "name": "Tops" }), json!({ "code": "tops" })] {
        let found = world.post(path, &same.to_string().len().to_string(), &same).await;
        assert_eq!((found.status, &found.json), (201, &made.json), "{}", found.text);
    }
    let other = world.post(path, "c2", &json!({ "code": "tops", "name": "Shirts" })).await;
    assert_eq!((other.problem(), other.field()), ((409, "CATEGORY_EXISTS"), "name"));
    assert!(other.text.contains("is called `Tops`"), "{}", other.text);
}

#[tokio::test]
async fn control_characters_are_no_part_of_a_name() {
    let world = World::new();
    let sku = json!({ "name": "one", "price": { "amount": 1, "currency": "KRW" }, "stock": 0 });
    let product = json!({ "merchantId": "m-1", "name": "Mug", "publish": true, "skus": [sku] });
    let person = json!({ "email": "kim@example.com", "password": "correct horse", "name": "Kim" });
    let campaign = json!({
        "name": "Spring", "discount": { "type": "FIXED", "amount": 500 }, "currency": "KRW",
        "total": 1, "perUser": 1,
    });
    for (path, body, place) in [
        ("/api/v1/products", &product, "/name"),
        ("/api/v1/products", &product, "/skus/0/name"),
        ("/api/v1/categories", &json!({ "code": "c", "name": "C" }), "/name"),
        ("/api/v1/merchants", &json!({ "merchantId": "m-7", "name": "Kim" }), "/name"),
        ("/api/v1/users", &person, "/name"),
        ("/api/v1/campaigns", &campaign, "/name"),
    ] {
        for bad in ["a\0b", "a\nb", "\u{1b}[31m", "a\u{9b}b"] {
            let mut body = body.clone();
            *body.pointer_mut(place).unwrap() = json!(bad);
            let refused = world.post(path, "k", &body).await;
            assert_eq!(refused.status, 422, "{path} {place} {bad:?}: {}", refused.text);
            assert!(refused.field().ends_with("name"), "{path} {place}: {}", refused.text);
        }
    }
}
