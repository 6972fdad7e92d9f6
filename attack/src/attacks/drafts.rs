//! A good token of an issuer, to be spoilt before it is signed.

use serde_json::{Map, Value, json};

use crate::{
    gateway::Issuer,
    keys::{Algorithm, Key},
    token::compact,
};

/// How long tokens hold: shorter than any sensible `max_lifetime`, longer than any run.
const LIFETIME: u64 = 300;

impl Issuer {
    /// A good token, of a lifetime in seconds.
    #[must_use]
    pub fn token(&self, algorithm: Algorithm, now: u64, lifetime: u64) -> Option<String> {
        Some(self.draft(algorithm, now)?.claim("exp", now.saturating_add(lifetime)).token())
    }

    /// The key for an algorithm that the provider takes.
    pub(crate) fn key(&self, algorithm: Algorithm) -> Option<&Key> {
        let takes = self.algorithms.contains(&algorithm);
        takes.then(|| self.keys.iter().find(|key| key.algorithms().contains(&algorithm))).flatten()
    }

    /// A token that is good at this moment, once it is signed.
    pub(crate) fn draft(&self, algorithm: Algorithm, now: u64) -> Option<Draft<'_>> {
        let key = self.key(algorithm)?;
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(algorithm.name()));
        header.insert("typ".to_owned(), json!(self.typ.as_deref().unwrap_or("JWT")));
        if let Some(kid) = key.kid() {
            header.insert("kid".to_owned(), json!(kid));
        }
        let mut claims = Map::new();
        if let Some(issuer) = &self.issuer {
            claims.insert("iss".to_owned(), json!(issuer));
        }
        if let Some(audience) = self.audiences.first() {
            claims.insert("aud".to_owned(), json!(audience));
        }
        claims.insert("sub".to_owned(), json!("kit"));
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now.saturating_add(LIFETIME)));
        claims.extend(self.claims.clone());
        Some(Draft { key, algorithm, header, claims, now })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Draft<'k> {
    pub(crate) key: &'k Key,
    pub(crate) algorithm: Algorithm,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) now: u64,
}

impl Draft<'_> {
    /// With a member of the header.
    pub(crate) fn head(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// With a claim.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.header.shift_remove(name);
        self.claims.shift_remove(name);
        self
    }

    pub(crate) fn sign(&self, input: &[u8]) -> Vec<u8> {
        self.key.sign(self.algorithm, input).unwrap_or_default()
    }

    pub(crate) fn token(&self) -> String {
        self.signed_by(|input| self.sign(input))
    }

    /// The same header and claims with another signature.
    pub(crate) fn signed_by(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        let claims = Value::Object(self.claims.clone()).to_string();
        compact(header.as_bytes(), claims.as_bytes(), sign)
    }

    /// Signed, with a payload that is given as text.
    pub(crate) fn with_payload(&self, payload: &[u8]) -> String {
        let header = Value::Object(self.header.clone()).to_string();
        compact(header.as_bytes(), payload, |input| self.sign(input))
    }

    /// Signed, with a header that is given as text.
    pub(crate) fn with_header(&self, header: &[u8]) -> String {
        let claims = Value::Object(self.claims.clone()).to_string();
        compact(header, claims.as_bytes(), |input| self.sign(input))
    }

    /// Its claims as JSON without the last brace, so that something can be added that a map would not hold.
    pub(crate) fn open_claims(&self) -> String {
        open(&self.claims)
    }

    pub(crate) fn open_header(&self) -> String {
        open(&self.header)
    }
}

fn open(members: &Map<String, Value>) -> String {
    let text = Value::Object(members.clone()).to_string();
    text.strip_suffix('}').unwrap_or_default().to_owned()
}
