//! The keys of a server: bearer keys of clients and operators, signing keys of merchants.

use std::collections::HashMap;
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use jangbu_kernel::Secret;
use parking_lot::Mutex;

use super::nonces::Nonces;
use super::signature::Checker;
use super::{Caller, Role};

/// A merchant may have this many keys: the one in use and the one that replaces it.
const LIVE: usize = 2;
const SECRET_MIN: usize = 32;
const NAME_MAX: usize = 64;
const MERCHANT_MAX: usize = 32;

/// Who may call this server.
#[derive(Clone)]
pub struct Keys {
    bearers: Vec<Bearer>,
    signing: HashMap<Arc<str>, Arc<Signing>>,
    merchants: HashMap<Arc<str>, Vec<Arc<Signing>>>,
    anybody: Caller,
    unsigned: Caller,
    sessions: Vec<(Arc<str>, Secret)>,
}

#[derive(Clone)]
struct Bearer {
    caller: Caller,
    secret: Secret,
}

/// A key with which a merchant signs requests.
#[derive(Debug, Clone)]
pub struct MerchantKey {
    /// Names the key in a signature.
    pub id: String,
    /// Who signs with it.
    pub merchant: String,
    /// What only the merchant and this server know.
    pub secret: Secret,
    /// Whether authorizations may carry the legacy signature, which covers the body alone.
    pub legacy: bool,
}

/// A merchant's key, ready for use.
#[derive(Debug)]
pub(crate) struct Signing {
    pub(super) caller: Caller,
    pub(super) checker: Checker,
    pub(super) legacy: bool,
    pub(super) nonces: Mutex<Nonces>,
}

impl Signing {
    /// Ready for use. None never comes: a secret has any length.
    pub(super) fn new(key: MerchantKey) -> Option<Self> {
        let MerchantKey { id, merchant, secret, legacy } = key;
        let (name, merchant) = (id.into(), Some(merchant.into()));
        let caller = Caller { role: Role::Merchant, name, merchant, customer: None };
        let checker = Checker::new(secret.reveal().as_bytes())?;
        Some(Self { caller, checker, legacy, nonces: Mutex::default() })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.bearers.iter().map(|bearer| &*bearer.caller.name).collect();
        let ids: Vec<_> = self.signing.keys().collect();
        f.debug_struct("Keys")
            .field("bearers", &names)
            .field("signing", &ids)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// One key for shops and one for operators; the operator's name is `operator`.
    pub fn new(client: Secret, operator: Secret) -> Self {
        let caller =
            |role, name: &str| Caller { role, name: name.into(), merchant: None, customer: None };
        let bearer = |role: Role, secret| Bearer { caller: caller(role, role.name()), secret };
        Self {
            bearers: vec![bearer(Role::Client, client), bearer(Role::Operator, operator)],
            signing: HashMap::new(),
            merchants: HashMap::new(),
            anybody: caller(Role::Anybody, "anybody"),
            unsigned: caller(Role::Merchant, "unsigned"),
            sessions: Vec::new(),
        }
    }

    /// One more operator. The error says in a sentence what is wrong with it.
    pub fn add_operator(&mut self, name: &str, secret: Secret) -> Result<(), String> {
        if !is_name(name, NAME_MAX) {
            return Err(format!("`{name}` is not a name: 1 to {NAME_MAX} of A-Z a-z 0-9 _ -"));
        }
        if self.bearers.iter().any(|bearer| &*bearer.caller.name == name) {
            return Err(format!("there is another key with the name {name}"));
        }
        if self.bearers.iter().any(|bearer| bearer.secret == secret) {
            return Err("another key file holds the same key".to_owned());
        }
        let caller =
            Caller { role: Role::Operator, name: name.into(), merchant: None, customer: None };
        self.bearers.push(Bearer { caller, secret });
        Ok(())
    }

    /// One more key of a merchant. The error says in a sentence what is wrong with it.
    pub fn add_merchant(&mut self, key: MerchantKey) -> Result<(), String> {
        self.check(&key)?;
        let merchant: Arc<str> = key.merchant.as_str().into();
        let signing = Arc::new(Signing::new(key).ok_or("the secret is none")?);
        self.signing.insert(Arc::clone(&signing.caller.name), Arc::clone(&signing));
        self.merchants.entry(merchant).or_default().push(signing);
        Ok(())
    }

    /// One more key for customers' sessions, newer than those before it: the newest one signs. The
    /// error says in a sentence what is wrong with it.
    pub fn add_session(&mut self, id: &str, secret: Secret) -> Result<(), String> {
        if !is_name(id, NAME_MAX) {
            return Err(format!("`{id}` is not a name: 1 to {NAME_MAX} of A-Z a-z 0-9 _ -"));
        }
        if secret.reveal().len() < SECRET_MIN {
            return Err(format!("it is shorter than {SECRET_MIN} characters"));
        }
        if self.sessions.iter().any(|(other, kept)| **other == *id || *kept == secret) {
            return Err("there is another key with its name or its secret".to_owned());
        }
        self.sessions.push((id.into(), secret));
        Ok(())
    }

    /// The keys of sessions, oldest first.
    pub(crate) fn sessions(&self) -> &[(Arc<str>, Secret)] {
        &self.sessions
    }

    fn check(&self, key: &MerchantKey) -> Result<(), String> {
        let MerchantKey { id, merchant, secret, .. } = key;
        if !is_name(merchant, MERCHANT_MAX) {
            return Err(format!(
                "`{merchant}` is not a merchant: 1 to {MERCHANT_MAX} of A-Z a-z 0-9 _ -"
            ));
        }
        if !is_name(id, NAME_MAX) {
            return Err(format!(
                "`{id}` is not the id of a key: 1 to {NAME_MAX} of A-Z a-z 0-9 _ -"
            ));
        }
        if secret.reveal().len() < SECRET_MIN {
            return Err(format!("the secret of key {id} is shorter than {SECRET_MIN} characters"));
        }
        if self.signing.contains_key(&**id) {
            return Err(format!("there is another key with the id {id}"));
        }
        if self.of_merchant(merchant).len() >= LIVE {
            return Err(format!("a merchant has at most {LIVE} keys: remove the oldest"));
        }
        Ok(())
    }

    /// Every merchant that was given a key.
    pub(crate) fn merchants(&self) -> impl Iterator<Item = &str> {
        self.merchants.keys().map(|merchant| &**merchant)
    }

    /// Whether any key was given to this merchant.
    pub(crate) fn knows(&self, merchant: &str) -> bool {
        self.merchants.contains_key(merchant)
    }

    /// The live keys of a merchant.
    pub(super) fn of_merchant(&self, merchant: &str) -> &[Arc<Signing>] {
        self.merchants.get(merchant).map_or(&[], |keys| keys)
    }

    /// The live key with this id.
    pub(super) fn signing(&self, id: &str) -> Option<&Arc<Signing>> {
        self.signing.get(id)
    }

    pub(super) fn anybody(&self) -> Caller {
        self.anybody.clone()
    }

    pub(super) fn unsigned(&self) -> Caller {
        self.unsigned.clone()
    }

    /// Whose bearer key it is. Every key is always compared, so that the time says nothing.
    pub(super) fn bearer(&self, token: &[u8]) -> Option<Caller> {
        let mut found = None;
        for bearer in &self.bearers {
            if same(token, bearer.secret.reveal().as_bytes()) {
                found = Some(&bearer.caller);
            }
        }
        found.cloned()
    }
}

/// Names of keys and merchants stand in file names, headers and scopes: they have no separators.
fn is_name(text: &str, max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=max).contains(&text.len()) && text.bytes().all(plain)
}

/// Compares in a time that depends on the length of what was sent alone. An empty key is no key.
pub(super) fn same(sent: &[u8], kept: &[u8]) -> bool {
    let mut differs = u8::from(kept.is_empty() || sent.len() != kept.len());
    for (at, byte) in sent.iter().enumerate() {
        differs |= black_box(byte ^ kept.get(at).copied().unwrap_or(0));
    }
    black_box(differs) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, merchant: &str) -> MerchantKey {
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        MerchantKey { id: id.into(), merchant: merchant.into(), secret, legacy: false }
    }

    #[test]
    fn a_key_is_the_same_only_as_itself() {
        for (sent, kept, wanted) in
            [("abc", "abc", true), ("abd", "abc", false), ("ab", "abc", false), ("", "", false)]
        {
            assert_eq!(same(sent.as_bytes(), kept.as_bytes()), wanted, "{sent} {kept}");
        }
        assert!(!same(b"abc\0", b"abc"), "zero bytes do not stretch a key");
    }

    #[test]
    fn operators_have_their_own_names_and_keys() {
        let mut keys = Keys::new(Secret::new("c"), Secret::new("o"));
        keys.add_operator("kim", Secret::new("k")).unwrap();
        let who = |token: &str| keys.bearer(token.as_bytes()).map(|caller| caller.name.to_string());
        assert_eq!(who("k").as_deref(), Some("kim"));
        assert_eq!(who("o").as_deref(), Some("operator"));
        assert_eq!(who("x"), None);
        for (name, secret, wanted) in [
            ("kim", "z", "another key with the name kim"),
            ("operator", "z", "another key with the name"),
            ("client", "z", "another key with the name"),
            ("lee", "k", "the same key"),
            ("../lee", "z", "is not a name"),
            ("", "z", "is not a name"),
        ] {
            let refused = keys.clone().add_operator(name, Secret::new(secret)).unwrap_err();
            assert!(refused.contains(wanted), "{name}: {refused}");
        }
    }

    #[test]
    fn a_merchant_has_two_keys_and_no_two_keys_one_id() {
        let mut keys = Keys::new(Secret::new("c"), Secret::new("o"));
        keys.add_merchant(key("k1", "m-1")).unwrap();
        keys.add_merchant(key("k2", "m-1")).unwrap();
        assert!(keys.knows("m-1") && !keys.knows("m-2"));
        let short = MerchantKey { secret: Secret::new("short"), ..key("k4", "m-2") };
        for (key, wanted) in [
            (key("k3", "m-1"), "at most 2 keys"),
            (key("k1", "m-2"), "another key with the id k1"),
            (key("k 3", "m-2"), "not the id of a key"),
            (key("k3", "m:2"), "not a merchant"),
            (key("k3", &"m".repeat(33)), "not a merchant"),
            (short, "shorter than 32"),
        ] {
            let refused = keys.clone().add_merchant(key).unwrap_err();
            assert!(refused.contains(wanted), "{refused}");
        }
    }
}
