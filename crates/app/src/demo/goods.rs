//! What a Korean shop sells: merchants, categories, names, options and prices that could be real.
//! Product `n` is a pure function of `n`, so a demo of any size can be made twice and changes
//! nothing the second time.

/// Code and name of the merchants.
pub(super) const MERCHANTS: [(&str, &str); 8] = [
    ("hanok-wear", "한옥웨어"),
    ("seoul-tea", "서울다원"),
    ("icheon-kiln", "이천가마"),
    ("jeonju-paper", "전주한지"),
    ("jeju-farm", "제주농원"),
    ("busan-mart", "부산수산"),
    ("hangang-digital", "한강디지털"),
    ("namsan-living", "남산리빙"),
];

/// A category below its parent; each with code and name.
pub(super) type Path = [(&'static str, &'static str); 2];

/// How the SKUs of a product differ.
enum Options {
    /// Colour and size.
    Clothes,
    /// Weight or count, with the price in hundredths of the product's.
    Packs(&'static [(&'static str, i64)]),
    /// Colour alone.
    Colours,
}

/// A shelf of the shop.
struct Shelf {
    category: Path,
    merchant: usize,
    kinds: &'static [&'static str],
    nouns: &'static [&'static str],
    options: Options,
    /// Lowest and highest price in won.
    price: (i64, i64),
}

const SHELVES: [Shelf; 8] = [
    Shelf {
        category: [("fashion", "패션의류"), ("tops", "상의")],
        merchant: 0,
        kinds: &["오버핏", "코튼", "린넨", "생활한복", "데일리", "빈티지 워싱", "와플"],
        nouns: &["반팔 티셔츠", "셔츠", "저고리 블라우스", "후드티", "니트", "맨투맨"],
        options: Options::Clothes,
        price: (15_900, 69_900),
    },
    Shelf {
        category: [("food", "식품"), ("tea", "차·음료")],
        merchant: 1,
        kinds: &["유기농", "볶은", "첫물", "보성", "하동", "무카페인"],
        nouns: &["보리차 티백", "우전 녹차", "현미녹차", "유자차", "메밀차", "작두콩차"],
        options: Options::Packs(&[("20입", 100), ("50입", 220), ("100입", 400)]),
        price: (5_900, 29_900),
    },
    Shelf {
        category: [("kitchen", "주방"), ("tableware", "식기")],
        merchant: 2,
        kinds: &["청자", "백자", "분청", "무광", "수제", "달항아리"],
        nouns: &["찻잔", "밥공기 2P", "면기", "접시 세트", "머그컵", "화병"],
        options: Options::Colours,
        price: (12_000, 89_000),
    },
    Shelf {
        category: [("stationery", "문구"), ("notebooks", "노트·다이어리")],
        merchant: 3,
        kinds: &["한지", "양장", "무지", "모눈", "2027년", "포켓"],
        nouns: &["노트", "다이어리", "편지지 세트", "스케치북", "책갈피", "메모지"],
        options: Options::Colours,
        price: (3_500, 24_000),
    },
    Shelf {
        category: [("food", "식품"), ("fruit", "과일")],
        merchant: 4,
        kinds: &["제주", "산지직송", "당도선별", "못난이", "선물용", "하우스"],
        nouns: &["감귤", "한라봉", "천혜향", "레드향", "황금향", "키위"],
        options: Options::Packs(&[("2kg", 100), ("5kg", 230), ("10kg", 430)]),
        price: (14_900, 49_900),
    },
    Shelf {
        category: [("food", "식품"), ("seafood", "수산물")],
        merchant: 5,
        kinds: &["급랭", "손질", "반건조", "국내산", "기장", "훈제"],
        nouns: &["고등어", "오징어", "멸치", "미역", "갈치", "전복"],
        options: Options::Packs(&[("500g", 100), ("1kg", 190), ("2kg", 360)]),
        price: (8_900, 59_900),
    },
    Shelf {
        category: [("digital", "디지털"), ("peripherals", "주변기기")],
        merchant: 6,
        kinds: &["저소음", "무선", "초경량", "고속", "접이식", "알루미늄"],
        nouns: &["키보드", "마우스", "충전기 65W", "이어폰", "노트북 거치대", "보조배터리"],
        options: Options::Colours,
        price: (19_900, 149_000),
    },
    Shelf {
        category: [("living", "생활"), ("bedding", "침구")],
        merchant: 7,
        kinds: &["모달", "60수", "사계절", "알러지케어", "냉감", "호텔식"],
        nouns: &["이불", "베개커버", "매트리스 커버", "담요", "수건 5매", "러그"],
        options: Options::Colours,
        price: (9_900, 129_000),
    },
];

const COLOURS: [&str; 6] = ["아이보리", "먹색", "쪽빛", "카키", "살구", "그레이"];
const SIZES: [&str; 4] = ["S", "M", "L", "XL"];

/// One variant of a product.
pub(super) struct Sku {
    /// One for each of the product's options.
    pub(super) values: Vec<&'static str>,
    pub(super) price: i64,
    pub(super) stock: i64,
}

/// A product on its shelf.
pub(super) struct Product {
    pub(super) name: String,
    /// Code of the merchant.
    pub(super) merchant: &'static str,
    pub(super) category: Path,
    /// What its SKUs differ in.
    pub(super) options: &'static [&'static str],
    pub(super) skus: Vec<Sku>,
}

/// Product `n` of the shop.
pub(super) fn product(n: usize) -> Product {
    let shelf = &SHELVES[n % SHELVES.len()];
    let round = n / SHELVES.len();
    // The nouns move on by one each time the kinds are through, so each pair comes once a series.
    let (turn, at) = (round / shelf.kinds.len(), round % shelf.kinds.len());
    let (kind, noun) = (shelf.kinds[at], shelf.nouns[(turn + at) % shelf.nouns.len()]);
    let series = round / (shelf.kinds.len() * shelf.nouns.len());
    let number = if series == 0 { String::new() } else { format!(" {series:03}호") };
    Product {
        name: format!("{kind} {noun}{number}"),
        merchant: MERCHANTS[shelf.merchant].0,
        category: shelf.category,
        options: match shelf.options {
            Options::Clothes => &["색상", "사이즈"],
            Options::Packs(_) => &["용량"],
            Options::Colours => &["색상"],
        },
        skus: skus(shelf, n),
    }
}

/// Every category, each below its parent.
pub(super) fn categories() -> impl Iterator<Item = Path> {
    SHELVES.iter().map(|shelf| shelf.category)
}

fn skus(shelf: &Shelf, n: usize) -> Vec<Sku> {
    let base = price(shelf.price, n);
    let sku = |at: usize, values: Vec<&'static str>, price: i64| Sku {
        values,
        price,
        stock: stock(n, at),
    };
    match shelf.options {
        Options::Clothes => {
            let colours = (0..2).map(|turn| COLOURS[(n / 3 + turn) % COLOURS.len()]);
            let pairs = colours.flat_map(|colour| SIZES.map(|size| vec![colour, size]));
            pairs.enumerate().map(|(at, values)| sku(at, values, base)).collect()
        }
        Options::Packs(packs) => {
            let pack = |(at, (name, hundredths)): (usize, &(&'static str, i64))| {
                sku(at, vec![*name], base * hundredths / 100 / 100 * 100)
            };
            packs.iter().enumerate().map(pack).collect()
        }
        Options::Colours => {
            (0..3).map(|at| sku(at, vec![COLOURS[(n / 5 + at) % COLOURS.len()]], base)).collect()
        }
    }
}

/// A price between the two that ends as prices do: 12,900 or 32,000.
fn price((low, high): (i64, i64), n: usize) -> i64 {
    let steps = (high - low) / 1_000 + 1;
    low + scattered(n, 0) % steps * 1_000
}

/// Some things are nearly gone: that is when shops break.
fn stock(n: usize, sku: usize) -> i64 {
    match scattered(n, sku + 1) % 20 {
        0 => 1,
        1 => 3,
        more => more * 25,
    }
}

/// A number that looks random and is always the same.
fn scattered(n: usize, salt: usize) -> i64 {
    let mut x = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (salt as u64) << 32;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    i64::try_from((x ^ (x >> 31)) >> 33).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ten_thousand_products_have_names_of_their_own_and_prices_as_in_a_shop() {
        let mut names = HashSet::new();
        for n in 0..10_000 {
            let product = product(n);
            assert!(names.insert((product.merchant, product.name.clone())), "{}", product.name);
            assert!(!product.skus.is_empty() && product.skus.len() <= 8);
            for sku in &product.skus {
                assert_eq!(sku.values.len(), product.options.len());
                assert!((1_000..1_000_000).contains(&sku.price) && sku.price % 100 == 0);
                assert!((1..=500).contains(&sku.stock));
            }
        }
    }

    #[test]
    fn the_same_number_is_the_same_product() {
        let shown = |n| {
            let product = product(n);
            let skus = product.skus.iter().map(|sku| (sku.values.clone(), sku.price, sku.stock));
            (product.name.clone(), skus.collect::<Vec<_>>())
        };
        assert_eq!(shown(77), shown(77));
        assert_ne!(shown(77), shown(78));
    }
}
