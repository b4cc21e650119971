//! The merchants of the store, in memory: who they are, whether they are suspended, and the keys
//! with which they sign. Loaded at the start and kept by the signal of every commit that changes
//! one, so that a new key is good, and a revoked one is not, when its request is answered.
//!
//! Keys in files (`keys/merchants`) stand beside them and come first: a shop may have both while it
//! moves from one to the other.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use jangbu_domain::merchant::model::{Key, Merchant, State};
use jangbu_kernel::Secret;
use jangbu_services::merchant::{Changed, SEALED};
use jangbu_services::queries::Queries;
use jangbu_services::sealing::Sealing;
use jangbu_services::shop::Shop;
use parking_lot::RwLock;

use super::keys::{MerchantKey, Signing};

/// The merchants by code, their live keys by id.
#[derive(Debug, Default)]
pub(crate) struct Directory(RwLock<Listed>);

#[derive(Debug, Default)]
struct Listed {
    merchants: BTreeMap<Arc<str>, Entry>,
    keys: HashMap<Arc<str>, Arc<Signing>>,
}

#[derive(Debug)]
struct Entry {
    row: Arc<Merchant>,
    keys: Vec<Arc<Signing>>,
}

impl Directory {
    /// The merchants of a shop, now and after every commit that changes one. If they cannot be
    /// read, their keys verify nothing.
    pub(crate) fn follow(shop: &Shop, queries: &Arc<Queries>, sealing: &Arc<Sealing>) -> Arc<Self> {
        let directory = Arc::new(Self::default());
        let (kept, opens) = (Arc::clone(&directory), Arc::clone(sealing));
        shop.hub().follow(move |Changed(row)| kept.put(row, |key| opened(&opens, row, key)));
        let (again, rows) = (Arc::clone(&directory), Arc::clone(queries));
        let opens = Arc::clone(sealing);
        // Nothing is signalled while this runs: no row is older than what is known.
        shop.hub().follow_again(move || again.learn(&rows, &opens, |_| true));
        // What a signal has told meanwhile is newer.
        directory.learn(queries, sealing, |row| directory.get(&row.code).is_none());
        directory
    }

    fn learn(&self, queries: &Queries, sealing: &Sealing, wanted: impl Fn(&Merchant) -> bool) {
        match queries.merchants() {
            Ok(rows) => rows.iter().filter(|row| wanted(row)).for_each(|row| {
                self.put(row, |key| opened(sealing, row, key));
            }),
            Err(fault) => {
                tracing::error!(%fault, "merchants cannot be read: new keys verify nothing");
            }
        }
    }

    /// Takes in a merchant as it is now. A key that stays keeps the nonces that came with it.
    pub(crate) fn put(&self, row: &Merchant, open: impl Fn(&Key) -> Option<Secret>) {
        let mut listed = self.0.write();
        let before = listed.merchants.remove(&row.code).map_or(Vec::new(), |entry| entry.keys);
        let mut keys = Vec::new();
        for key in row.live() {
            let id = key.id.to_string();
            let known = before.iter().find(|known| *known.caller.name == *id);
            let ready = known.cloned().or_else(|| ready(id, row, key.legacy, open(key)?));
            keys.extend(ready);
        }
        for gone in &before {
            listed.keys.remove(&gone.caller.name);
        }
        for key in &keys {
            listed.keys.insert(Arc::clone(&key.caller.name), Arc::clone(key));
        }
        let row = Arc::new(row.clone());
        listed.merchants.insert(Arc::clone(&row.code), Entry { row, keys });
    }

    /// A merchant.
    pub(crate) fn get(&self, code: &str) -> Option<Arc<Merchant>> {
        self.0.read().merchants.get(code).map(|entry| Arc::clone(&entry.row))
    }

    /// Merchants after `after`, by code.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> Vec<Arc<Merchant>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed = self.0.read();
        let range = listed.merchants.range::<str, _>((from, Bound::Unbounded));
        range.take(limit).map(|(_, entry)| Arc::clone(&entry.row)).collect()
    }

    /// Whether the merchant is suspended.
    pub(crate) fn is_suspended(&self, code: &str) -> bool {
        let listed = self.0.read();
        listed.merchants.get(code).is_some_and(|entry| entry.row.state == State::Suspended)
    }

    /// Whether a live key was given to this merchant.
    pub(crate) fn has_key(&self, code: &str) -> bool {
        self.0.read().merchants.get(code).is_some_and(|entry| !entry.keys.is_empty())
    }

    /// The live keys of a merchant.
    pub(super) fn of_merchant(&self, code: &str) -> Vec<Arc<Signing>> {
        self.0.read().merchants.get(code).map_or(Vec::new(), |entry| entry.keys.clone())
    }

    /// The live key with this id.
    pub(super) fn signing(&self, id: &str) -> Option<Arc<Signing>> {
        self.0.read().keys.get(id).cloned()
    }
}

fn opened(sealing: &Sealing, row: &Merchant, key: &Key) -> Option<Secret> {
    let secret = sealing.open(SEALED, key.id.0, &key.sealed);
    if let Err(why) = &secret {
        let (merchant, key) = (&*row.code, key.id.to_string());
        tracing::error!(merchant, key, %why, "a merchant's key cannot be opened: it verifies nothing");
    }
    secret.ok()
}

fn ready(id: String, row: &Merchant, legacy: bool, secret: Secret) -> Option<Arc<Signing>> {
    let merchant = row.code.to_string();
    Signing::new(MerchantKey { id, merchant, secret, legacy }).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use jangbu_kernel::{KeyId, Time};

    use super::*;

    fn key(id: i64, live: bool) -> Key {
        let revoked_at = (!live).then_some(Time(2));
        Key { id: KeyId(id), legacy: false, made_at: Time(1), revoked_at, sealed: Box::default() }
    }

    fn merchant(code: &str, keys: Vec<Key>) -> Merchant {
        let (state, fees) = (State::Active, Vec::new());
        Merchant { code: code.into(), name: code.into(), state, keys, fees, at: Time(1) }
    }

    /// Each key opens, and to the same secret.
    const OPENED: fn(&Key) -> Option<Secret> =
        |_| Some(Secret::new("0123456789abcdef0123456789abcdef"));

    #[test]
    fn a_key_that_stays_keeps_its_nonces_and_a_revoked_one_is_gone() {
        let directory = Directory::default();
        let name = |id: i64| KeyId(id).to_string();
        directory.put(&merchant("m", vec![key(1, true)]), OPENED);
        let first = directory.signing(&name(1)).unwrap();
        directory.put(&merchant("m", vec![key(1, true), key(2, true)]), OPENED);
        assert!(Arc::ptr_eq(&first, &directory.signing(&name(1)).unwrap()));
        assert_eq!(directory.of_merchant("m").len(), 2);
        directory.put(&merchant("m", vec![key(1, false), key(2, true)]), OPENED);
        assert!(directory.signing(&name(1)).is_none() && directory.signing(&name(2)).is_some());
        directory.put(&merchant("m", vec![key(3, true)]), |_| None);
        assert!(!directory.has_key("m"), "a key that does not open verifies nothing");
    }

    #[test]
    fn merchants_are_listed_by_code() {
        let directory = Directory::default();
        for code in ["b", "c", "a"] {
            directory.put(&merchant(code, Vec::new()), OPENED);
        }
        let page = |after: Option<&str>, limit| {
            let page = directory.page(after, limit);
            page.iter().map(|row| row.code.to_string()).collect::<String>()
        };
        assert_eq!((page(None, 2), page(Some("b"), 2)), ("ab".to_owned(), "c".to_owned()));
        let suspended = Merchant { state: State::Suspended, ..merchant("c", Vec::new()) };
        directory.put(&suspended, OPENED);
        assert!(directory.is_suspended("c") && !directory.is_suspended("a"));
        assert!(!directory.is_suspended("never heard of"));
    }
}
