//! What sells best, as a shop shows it.

use serde_json::{Value, json};

use crate::world::{World, order};

fn units(list: &Value) -> Vec<(String, i64)> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| (item["name"].as_str().unwrap().to_owned(), item["units"].as_i64().unwrap()))
        .collect()
}

#[tokio::test]
async fn the_best_sellers_are_listed_by_window_and_category_and_refunds_count_against_them() {
    for world in World::all() {
        let (tee, mug) = (world.sku("tee", 1_000, 50).await, world.sku("mug", 500, 50).await);
        world.place("a", &order(&mug, 2, 1_000, "tok_visa")).await;
        let sold = world.place("b", &order(&tee, 5, 5_000, "tok_visa")).await;
        assert_eq!(sold.status, 201, "{}", sold.text);
        let week = world.until("/api/v1/bestsellers", |list| units(list).len() == 2).await;
        let told: Vec<_> = units(&week).into_iter().map(|(_, units)| units).collect();
        assert_eq!((told, &week["window"]), (vec![5, 2], &json!("week")));
        let first = &week["items"][0];
        assert_eq!((&first["rank"], &first["skus"][0]["skuId"]), (&json!(1), &json!(tee)));
        let id = sold.json["id"].as_str().unwrap();
        let body = json!({ "lines": [{ "skuId": tee, "quantity": 4 }], "reason": "too small" });
        let back = world.post(&format!("/api/v1/orders/{id}/refund"), "r", &body).await;
        assert!(back.status < 300, "{}", back.text);
        for window in ["day", "week", "month"] {
            let path = format!("/api/v1/bestsellers?window={window}&limit=10");
            let list = world.until(&path, |list| units(list)[0].1 == 2).await;
            assert_eq!(units(&list).iter().map(|(_, n)| *n).collect::<Vec<_>>(), [2, 1]);
        }
        let one = world.get("/api/v1/bestsellers?limit=1").await;
        assert_eq!(one.json["items"].as_array().unwrap().len(), 1);
        let none = world.get("/api/v1/bestsellers?categoryId=cat_0000000000001").await;
        assert_eq!((none.status, &none.json["items"]), (200, &json!([])));
        for bad in ["window=year", "limit=0", "limit=101", "categoryId=x", "cursor=x"] {
            let refused = world.get(&format!("/api/v1/bestsellers?{bad}")).await;
            assert_eq!(refused.status, 400, "{bad}");
        }
    }
}
