//! What merchants call their SKUs: a code is unique among those of its merchant, for ever.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use jangbu_kernel::{ProductId, SkuId};

/// How many characters a code may have.
pub const LENGTH: usize = 64;

/// The key of a code's row: the first eight bytes of SHA-256 of merchant, 0 and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeKey(pub i64);

impl CodeKey {
    /// The key of `merchant`'s `code`.
    pub fn of(merchant: &str, code: &str) -> Self {
        Self(first_bytes(&[merchant.as_bytes(), &[0], code.as_bytes()]))
    }
}

impl From<CodeKey> for i64 {
    fn from(key: CodeKey) -> i64 {
        key.0
    }
}

impl From<i64> for CodeKey {
    fn from(key: i64) -> Self {
        Self(key)
    }
}

/// Which SKU a code means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuCode {
    /// Whose code.
    pub merchant: Arc<str>,
    /// The code.
    pub code: Box<str>,
    /// The SKU.
    pub sku: SkuId,
    /// Its product.
    pub product: ProductId,
}

impl SkuCode {
    /// Whether the row is that of `merchant`'s `code`; two codes could share a key.
    pub fn is(&self, merchant: &str, code: &str) -> bool {
        *self.merchant == *merchant && *self.code == *code
    }
}

/// Whether this may be a code: visible ASCII without blanks, and not the id of a SKU.
pub fn is_code(text: &str) -> bool {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    visible && (1..=LENGTH).contains(&text.len()) && !text.starts_with(SkuId::PREFIX)
}

/// A number made of a hash, never negative.
pub(super) fn first_bytes(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    i64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default()) & i64::MAX
}
