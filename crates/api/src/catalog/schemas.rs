//! The bodies of the catalogue.

use jangbu_domain::inventory::model::LIMIT;
use serde_json::{Value, json};

use super::import::{BODY, ERRORS};
use crate::schemas::{
    flag, id, id_pattern, list, nullable, object, of, optional, or_null, page, text, time, whole,
    words,
};

fn limited(most: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": most })
}

fn id_or_null(prefix: &str) -> Value {
    json!({ "type": ["string", "null"], "pattern": id_pattern(prefix) })
}

fn shown_or_null(prefix: &str) -> Value {
    or_null(id(prefix))
}

fn words_in(most: usize) -> Value {
    json!({ "type": ["array", "null"], "maxItems": most, "items": limited(50) })
}

fn sku_in() -> Value {
    optional(
        &json!({
            "name": {
                "type": ["string", "null"], "minLength": 1, "maxLength": 200,
                "description": "May be left out if there are values.",
            },
            "code": {
                "type": ["string", "null"], "minLength": 1, "maxLength": 64,
                "description": "What the merchant calls it: unique among its codes, for ever.",
            },
            "values": words_in(3),
            "price": of("Money"),
            "stock": {
                "type": ["integer", "null"], "minimum": 0, "maximum": LIMIT,
                "description": "Units received at once.",
            },
        }),
        &["name", "code", "values", "stock"],
    )
}

fn skus_in() -> Value {
    json!({ "type": "array", "minItems": 1, "maxItems": 100, "items": sku_in() })
}

fn made() -> Value {
    json!({
        "CreateProduct": optional(
            &json!({
                "merchantId": limited(200), "name": limited(200),
                "description": { "type": ["string", "null"], "maxLength": 4000 },
                "categoryId": id_or_null("cat"), "options": words_in(3),
                "publish": { "type": "boolean", "default": false }, "skus": skus_in(),
            }),
            &["description", "categoryId", "options", "publish"],
        ),
        "ExtendProduct": object(&json!({ "skus": skus_in() })),
        "UpdateProduct": optional(
            &json!({
                "name": { "type": ["string", "null"], "minLength": 1, "maxLength": 200 },
                "description": { "type": ["string", "null"], "maxLength": 4000 },
                "categoryId": id_or_null("cat"),
            }),
            &["name", "description", "categoryId"],
        ),
        "Option": object(&json!({
            "name": text(), "values": { "type": "array", "items": text() },
        })),
        "Sku": object(&json!({
            "id": id("sku"), "name": text(), "code": nullable("string"),
            "values": { "type": "array", "items": text() },
            "price": of("Money"), "priceVersion": whole(), "nextPriceAt": or_null(time()),
        })),
        "Product": object(&json!({
            "id": id("prd"), "merchantId": text(), "name": text(), "description": text(),
            "categoryId": shown_or_null("cat"), "options": list("Option"),
            "state": words(&["DRAFT", "PUBLISHED"]), "skus": list("Sku"), "createdAt": time(),
        })),
        "ProductPage": page("Product"),
    })
}

fn priced() -> Value {
    json!({
        "SetPrice": object(&json!({ "price": of("Money") })),
        "PlanPrice": object(&json!({ "price": of("Money"), "from": time() })),
        "UnplanPrice": object(&json!({ "from": time() })),
        "PlannedPrice": object(&json!({ "from": time(), "price": of("Money") })),
        "PastPrice": object(&json!({
            "priceVersion": whole(), "from": or_null(time()), "price": of("Money"),
        })),
        "PriceHistory": object(&json!({
            "skuId": id("sku"), "planned": list("PlannedPrice"), "items": list("PastPrice"),
            "nextCursor": nullable("string"),
        })),
    })
}

fn placed() -> Value {
    json!({
        "CreateCategory": optional(
            &json!({
                "parentId": id_or_null("cat"),
                "code": limited(60),
                "name": { "type": ["string", "null"], "minLength": 1, "maxLength": 200 },
            }),
            &["parentId", "name"],
        ),
        "RenameCategory": object(&json!({ "name": limited(200) })),
        "Category": object(&json!({
            "id": id("cat"), "parentId": shown_or_null("cat"), "code": text(), "name": text(),
            "depth": whole(),
        })),
        "CategoryPage": page("Category"),
    })
}

fn filed() -> Value {
    json!({
        "ImportCatalog": optional(
            &json!({
                "csv": { "type": "string", "maxLength": BODY },
                "dryRun": { "type": "boolean", "default": false },
                "firstLine": {
                    "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX,
                    "description": "Number of the line behind the header, if this is a part of a file.",
                },
            }),
            &["dryRun", "firstLine"],
        ),
        "ImportError": object(&json!({
            "line": whole(), "column": nullable("string"), "code": text(), "message": text(),
        })),
        "ImportReport": object(&json!({
            "dryRun": flag(), "lines": whole(), "created": whole(), "updated": whole(),
            "unchanged": whole(), "failed": whole(),
            "errors": { "type": "array", "maxItems": ERRORS, "items": of("ImportError") },
            "errorsLeftOut": whole(),
        })),
        "CatalogPart": object(&json!({
            "csv": text(), "skus": whole(), "nextCursor": nullable("string"),
        })),
    })
}

/// The schemas of these endpoints.
pub(crate) fn schemas() -> Value {
    let mut all = made();
    for part in [priced(), placed(), filed()] {
        if let (Value::Object(all), Value::Object(part)) = (&mut all, part) {
            all.extend(part);
        }
    }
    all
}
