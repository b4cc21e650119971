//! What is ordered: users, products, order lines, and their rendering as HTTP requests.
//!
//! Order `n` is a pure function of the seed and `n`. Nothing is remembered per order: repeating a
//! request (same key, same body) means rendering `n` again.

use crate::dice::{Dice, Zipf};
use crate::passes::Passes;
use crate::purse::Purse;

/// Most lines that one order has.
const MAX_LINES: usize = 3;
/// One order in so many carries the card token that the simulated gateway declines.
const DECLINE_ONE_IN: u64 = 100;
/// One order in so many is asked again with the same key, once it has been answered.
const REPEAT_ONE_IN: u64 = 1_000;

/// An id as it stands in JSON, e.g. `sku_0ABCDEFGHJKMN`.
pub(crate) type Id = [u8; 17];

/// A product on sale: one SKU each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) sku: Id,
    pub(crate) price: i64,
}

/// What is on sale, and what the buyers bring besides their cards.
#[derive(Debug)]
pub(crate) struct Goods {
    pub(crate) products: Vec<Product>,
    pub(crate) purse: Purse,
    pub(crate) passes: Option<Passes>,
}

/// Which products the orders of a phase want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// 1 to 3 lines by popularity, some cards declined; coupons and points as the purse has them.
    Spread,
    /// One unit of one product, every card good.
    Only(usize),
}

/// Everything needed to render any order.
#[derive(Debug)]
pub(crate) struct World {
    seed: u64,
    products: Vec<Product>,
    purse: Purse,
    zipf: Zipf,
    /// Start of every idempotency key of this run.
    tag: String,
    /// Request head up to the bearer's token, for orders; and from there to the idempotency key.
    place_head: [Vec<u8>; 2],
    client_key: Vec<u8>,
    /// The buyers' sessions; none: the shop's server orders for them.
    passes: Option<Passes>,
    /// Everything after the id of the order in a look-up.
    look_tail: Vec<u8>,
}

impl World {
    pub(crate) fn new(seed: u64, tag: String, goods: Goods, at: &Door<'_>) -> Self {
        let Door { host, client_key } = at;
        let Goods { products, purse, passes } = goods;
        let place_head = [
            format!("POST /api/v1/orders HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer "),
            "\r\nContent-Type: application/json\r\nIdempotency-Key: ".to_owned(),
        ];
        let look_tail =
            format!(" HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {client_key}\r\n\r\n");
        Self {
            seed,
            zipf: Zipf::new(products.len(), 0.8),
            products,
            purse,
            tag,
            place_head: place_head.map(String::into_bytes),
            client_key: client_key.as_bytes().to_vec(),
            passes,
            look_tail: look_tail.into_bytes(),
        }
    }

    /// The idempotency key of order `n`.
    pub(crate) fn push_key(&self, n: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.as_bytes());
        out.push(b'-');
        push_number(n, out);
    }

    /// Whether order `n` is one of those that are asked twice.
    pub(crate) fn repeats(&self, n: u64) -> bool {
        Dice::of(self.seed ^ 0x5EED, n).below(REPEAT_ONE_IN) == 0
    }

    /// Renders the request that places order `n`; gives back its total.
    pub(crate) fn place(&self, mix: Mix, n: u64, out: &mut Vec<u8>) -> i64 {
        let mut dice = Dice::of(self.seed, n);
        let drawn = dice.below(self.purse.users());
        let user = self.coupon(mix, n).map_or(drawn, |coupon| self.purse.owner(coupon));
        let bearer = self.passes.as_ref().map_or(&*self.client_key, |passes| passes.of(user));
        let [before, after] = &self.place_head;
        for part in [before, bearer, after] {
            out.extend_from_slice(part);
        }
        self.push_key(n, out);
        out.extend_from_slice(b"\r\nContent-Length: 0000\r\n\r\n");
        let body = out.len();
        let total = self.place_body(mix, n, (user, dice), out);
        let length = out.len() - body;
        // Lines are few, so four digits are always enough.
        for (at, power) in (body - 8..body - 4).zip([1_000, 100, 10, 1]) {
            out[at] = b'0' + u8::try_from(length / power % 10).unwrap_or(0);
        }
        total
    }

    /// Renders a look-up of an order that was still open.
    pub(crate) fn look(&self, order: &Id, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET /api/v1/orders/");
        out.extend_from_slice(order);
        out.extend_from_slice(&self.look_tail);
    }

    /// The coupon that order `n` brings, if any.
    pub(crate) fn coupon(&self, mix: Mix, n: u64) -> Option<usize> {
        (mix == Mix::Spread).then(|| self.purse.coupon_of(n)).flatten()
    }

    /// The points that it spends, if any.
    pub(crate) fn points(&self, mix: Mix, n: u64) -> Option<u64> {
        (mix == Mix::Spread).then(|| self.purse.points_of(n)).flatten()
    }

    fn place_body(
        &self,
        mix: Mix,
        n: u64,
        (user, mut dice): (u64, Dice),
        out: &mut Vec<u8>,
    ) -> i64 {
        out.extend_from_slice(b"{\"userId\":\"");
        out.extend_from_slice(&crate::purse::user(user));
        if let Some(coupon) = self.coupon(mix, n) {
            out.extend_from_slice(b"\",\"couponId\":\"");
            out.extend_from_slice(&self.purse.coupon(coupon));
        }
        out.push(b'"');
        if let Some(points) = self.points(mix, n) {
            out.extend_from_slice(b",\"points\":");
            push_number(points, out);
        }
        out.extend_from_slice(b",\"lines\":[");
        let mut picks = [0; MAX_LINES];
        let mut total = 0;
        let count = self.pick(mix, &mut dice, &mut picks);
        for (line, &pick) in picks[..count].iter().enumerate() {
            let product = &self.products[pick];
            total += product.price;
            out.extend_from_slice(if line == 0 { b"{\"skuId\":\"" } else { b",{\"skuId\":\"" });
            out.extend_from_slice(&product.sku);
            out.extend_from_slice(b"\",\"quantity\":1}");
        }
        out.extend_from_slice(b"],\"expectedTotal\":{\"amount\":");
        push_number(total.unsigned_abs(), out);
        out.extend_from_slice(
            b",\"currency\":\"KRW\"},\"payment\":{\"mode\":\"SERVER\",\"token\":\"",
        );
        let declined = mix == Mix::Spread && dice.below(DECLINE_ONE_IN) == 0;
        out.extend_from_slice(if declined { b"tok_declined\"}}" } else { b"tok_ok\"}}" });
        total
    }

    /// Chooses different products; says how many.
    fn pick(&self, mix: Mix, dice: &mut Dice, picks: &mut [usize]) -> usize {
        if let Mix::Only(product) = mix {
            picks[0] = product;
            return 1;
        }
        let wanted = usize::try_from(dice.below(MAX_LINES as u64) + 1).unwrap_or(1);
        let mut count = 0;
        for _ in 0..4 * wanted {
            let product = self.zipf.draw(dice);
            if !picks[..count].contains(&product) {
                picks[count] = product;
                count += 1;
            }
            if count == wanted {
                break;
            }
        }
        count
    }
}

/// Where the orders go and as whom.
#[derive(Debug)]
pub(crate) struct Door<'a> {
    pub(crate) host: &'a str,
    pub(crate) client_key: &'a str,
}

/// The price of product `index`, in won.
pub(crate) fn price(index: usize) -> i64 {
    1_000 + i64::try_from(index % 90).unwrap_or(0) * 500
}

/// The merchant of product `index`: a thousand of them.
pub(crate) fn merchant(index: usize) -> String {
    format!("m-{}", index % 1_000)
}

/// Prefix and 13 Crockford base32 characters.
pub(crate) fn id(prefix: [u8; 4], value: i64) -> Id {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut text = *b"xxxx0000000000000";
    text[..4].copy_from_slice(&prefix);
    let mut rest = value.unsigned_abs();
    for place in text[4..].iter_mut().rev() {
        *place = ALPHABET[usize::try_from(rest & 31).unwrap_or(0)];
        rest >>= 5;
    }
    text
}

/// Appends a number in decimal.
pub(crate) fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(products: usize) -> World {
        let products = (0..products)
            .zip(1..)
            .map(|(i, number)| Product { sku: id(*b"sku_", number), price: price(i) })
            .collect();
        let coupons = (1..=900).map(|number| id(*b"cpn_", number)).collect();
        let goods = Goods { products, purse: Purse::full((1, 100_000), coupons), passes: None };
        World::new(1, "t".to_owned(), goods, &Door { host: "h", client_key: "jbc_x" })
    }

    fn split(request: &[u8]) -> (String, serde_json::Value) {
        let text = String::from_utf8(request.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let declared = head.split("Content-Length: ").nth(1).unwrap().parse::<usize>().unwrap();
        assert_eq!(declared, body.len());
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    #[test]
    fn orders_are_valid_and_their_totals_right() {
        let world = world(50);
        let (mut declined, mut lines) = (0, [0; 4]);
        for n in 0..5_000 {
            let mut request = Vec::new();
            let total = world.place(Mix::Spread, n, &mut request);
            let (head, body) = split(&request);
            assert!(head.contains(&format!("Idempotency-Key: t-{n}\r\n")));
            assert_eq!(body["expectedTotal"]["amount"], total);
            let items = body["lines"].as_array().unwrap();
            lines[items.len()] += 1;
            let mut skus: Vec<&str> = items.iter().map(|l| l["skuId"].as_str().unwrap()).collect();
            skus.sort_unstable();
            skus.dedup();
            assert_eq!(skus.len(), items.len(), "a product twice in order {n}");
            declined += u32::from(body["payment"]["token"] == "tok_declined");
        }
        assert!((20..=90).contains(&declined), "{declined} declined of 5,000");
        assert!(lines[1] > 1_400 && lines[2] > 1_400 && lines[3] > 1_400, "{lines:?}");
    }

    #[test]
    fn three_in_ten_bring_a_coupon_of_theirs_and_three_in_ten_spend_points() {
        let world = world(50);
        let (mut coupons, mut points) = (std::collections::BTreeMap::new(), 0);
        for n in 0..5_000 {
            let mut request = Vec::new();
            let total = world.place(Mix::Spread, n, &mut request);
            let (_, body) = split(&request);
            if let Some(coupon) = body["couponId"].as_str() {
                let owner = body["userId"].as_str().unwrap().to_owned();
                assert_eq!(coupons.insert(coupon.to_owned(), owner), None, "{coupon} twice");
            }
            if let Some(spent) = body["points"].as_i64() {
                points += 1;
                assert!(spent > 0 && spent + 500 <= total, "{spent} of {total}");
            }
        }
        assert_eq!(coupons.len(), 900, "all that were given, and each once");
        assert!((1_350..=1_650).contains(&points), "{points}");
        let mut request = Vec::new();
        world.place(Mix::Only(0), 1, &mut request);
        assert_eq!(
            (&split(&request).1["couponId"], &split(&request).1["points"]),
            (&serde_json::Value::Null, &serde_json::Value::Null)
        );
    }

    #[test]
    fn the_same_order_renders_the_same_bytes() {
        let (one, two) = (world(50), world(50));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        one.place(Mix::Spread, 42, &mut first);
        two.place(Mix::Spread, 42, &mut second);
        assert_eq!(first, second);
        second.clear();
        two.place(Mix::Spread, 43, &mut second);
        assert_ne!(first, second);
    }

    #[test]
    fn one_in_a_thousand_repeats() {
        let world = world(1);
        let repeats = (0..100_000).filter(|&n| world.repeats(n)).count();
        assert!((60..=140).contains(&repeats), "{repeats}");
    }

    #[test]
    fn one_product_only() {
        let world = world(3);
        let mut request = Vec::new();
        assert_eq!(world.place(Mix::Only(2), 9, &mut request), price(2));
        let (_, body) = split(&request);
        assert_eq!(body["lines"][0]["skuId"], "sku_0000000000003");
        assert_eq!(body["payment"]["token"], "tok_ok");
    }
}
