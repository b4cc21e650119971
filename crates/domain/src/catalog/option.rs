//! In what the SKUs of a product differ: options such as `size` and `color`, each with the values
//! that its SKUs have, in the order in which they first came.

use serde::{Deserialize, Serialize};

use super::command::{NewSku, Reject};
use super::model::Product;

/// How many options a product may have.
pub const OPTIONS: usize = 3;
/// How many characters the name or a value of one may have.
pub const WORD: usize = 50;

/// One option of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Option {
    /// Such as `size`.
    pub name: Box<str>,
    /// Such as `S`, `M`, `L`.
    pub values: Vec<Box<str>>,
}

/// Whether this may be the name or a value of an option.
pub fn is_word(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !matches!(c, '=' | ';');
    text.trim() == text
        && !text.is_empty()
        && text.chars().count() <= WORD
        && text.chars().all(is_plain)
}

/// Options without values yet.
pub fn named(names: &[Box<str>]) -> Result<Vec<Option>, Reject> {
    let distinct =
        names.iter().enumerate().all(|(at, name)| !names.iter().take(at).any(|n| n == name));
    if names.len() > OPTIONS || !distinct || !names.iter().all(|name| is_word(name)) {
        return Err(Reject::OptionsInvalid);
    }
    Ok(names.iter().map(|name| Option { name: name.clone(), values: Vec::new() }).collect())
}

/// The options and choices of `product` with those of `new` behind them.
pub fn grown(product: &Product, new: &[NewSku]) -> Result<(Vec<Option>, Vec<Vec<u16>>), Reject> {
    let (mut options, mut choices) = (product.options.clone(), product.choices.clone());
    for sku in new {
        if sku.values.len() != options.len() || !sku.values.iter().all(|value| is_word(value)) {
            return Err(Reject::OptionsInvalid);
        }
        if options.is_empty() {
            continue;
        }
        let choice: Vec<u16> = options
            .iter_mut()
            .zip(&sku.values)
            .map(|(option, value)| place(option, value))
            .collect();
        if choices.contains(&choice) {
            return Err(Reject::VariantTaken);
        }
        choices.push(choice);
    }
    Ok((options, choices))
}

/// Where `value` stands among the values of `option`; a new one stands last.
fn place(option: &mut Option, value: &str) -> u16 {
    let at = option.values.iter().position(|known| &**known == value).unwrap_or_else(|| {
        option.values.push(value.into());
        option.values.len().saturating_sub(1)
    });
    // A product has at most a hundred SKUs.
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// The values that SKU number `at` of `product` has, in the order of its options.
pub fn values(product: &Product, at: usize) -> Vec<&str> {
    let choice = product.choices.get(at).map_or(&[][..], Vec::as_slice);
    let with = product.options.iter().zip(choice);
    with.filter_map(|(option, n)| option.values.get(usize::from(*n)).map(|value| &**value))
        .collect()
}
