//! JSON Web Signatures in their compact form (RFC 7515 section 7.1), taken apart strictly: nothing is computed with a key before all that can
//! be said without one was said.

use wayside_json::Json;

use super::algorithm::Algorithm;
use super::jwk::{KeySet, LONGEST_KEY_ID, NoKey};
use super::reading;
use super::verifier::Verifier;

/// What a verifier accepts of a header.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The only ones
    pub algorithms: Vec<Algorithm>,
    /// What kind of token it must say it is (RFC 8725 section 3.11), such as `at+jwt`
    pub typ: Option<String>,
    /// Of keys, where the token names none
    pub max_keys_tried: usize,
}

/// Why a token is refused before anybody looks at its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Not three parts
    Parts,
    /// A part that is no base64url, or another spelling of it
    Encoding,
    /// A header that is no JSON object, has a name twice, or is too deep or too wide
    Header,
    /// No `alg`, or one that is not accepted
    Algorithm,
    /// `crit`, or what only counts together with it: no extension is understood
    Critical,
    /// Compressed or encrypted
    Encrypted,
    /// Another kind of token
    Type,
    /// A `kid` that is no text of at most 256 bytes
    KeyId,
    /// Nobody has a key by this name
    UnknownKey,
    /// Its key is for another algorithm
    UnfitKey,
    /// Several keys by this name
    AmbiguousKey,
    Signature,
}

/// A token whose header was read and accepted, and nothing else.
#[derive(Debug)]
pub struct Unverified<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'t [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`Defect`].
    pub fn parse(token: &'t [u8], terms: &Terms) -> Result<Self, Defect> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Defect::Parts);
        };
        // A payload may be empty (RFC 7515); claims are not (RFC 7519).
        if header.is_empty() || signature.is_empty() {
            return Err(Defect::Parts);
        }
        // The dot between belongs to what is signed.
        let length = header.len().saturating_add(payload.len()).saturating_add(1);
        let signed = token.get(..length).ok_or(Defect::Parts)?;
        let header = reading::base64url(header).ok_or(Defect::Encoding)?;
        let payload = reading::base64url(payload).ok_or(Defect::Encoding)?;
        let signature = reading::base64url(signature).ok_or(Defect::Encoding)?;
        let (algorithm, key_id) = accepted(&header, terms)?;
        Ok(Unverified { algorithm, key_id, signed, payload, signature })
    }

    /// The payload, once the signature is found to be by one of these keys.
    ///
    /// # Errors
    /// One of the last four of [`Defect`].
    pub fn verify(self, keys: &KeySet, most: usize, verifier: &dyn Verifier) -> Result<Vec<u8>, Defect> {
        let candidates =
            keys.candidates(self.key_id.as_deref(), self.algorithm, most).map_err(|why| match why {
                NoKey::Unknown => Defect::UnknownKey,
                NoKey::Unfit => Defect::UnfitKey,
                NoKey::Ambiguous => Defect::AmbiguousKey,
            })?;
        let good = |pairing| verifier.verify(pairing, self.signed, &self.signature);
        if candidates.into_iter().any(good) { Ok(self.payload) } else { Err(Defect::Signature) }
    }
}

/// Algorithm and name of the key. `jwk`, `jku`, `x5u` and `x5c` are nothing to us: a token does not bring the key it is judged by.
fn accepted(header: &[u8], terms: &Terms) -> Result<(Algorithm, Option<String>), Defect> {
    let header = reading::object(header).ok_or(Defect::Header)?;
    let algorithm = reading::text(&header, "alg")
        .and_then(Algorithm::named)
        .filter(|algorithm| terms.algorithms.contains(algorithm))
        .ok_or(Defect::Algorithm)?;
    // RFC 7515 section 4.1.11; RFC 7797 section 6 has `b64` be named in it.
    if header.get("crit").is_some() || header.get("b64").is_some() {
        return Err(Defect::Critical);
    }
    if header.get("zip").is_some() || header.get("enc").is_some() {
        return Err(Defect::Encrypted);
    }
    if let Some(wanted) = &terms.typ
        && !reading::text(&header, "typ").is_some_and(|typ| is_type(typ, wanted))
    {
        return Err(Defect::Type);
    }
    match header.get("kid") {
        None => Ok((algorithm, None)),
        Some(Json::Text(id)) if id.len() <= LONGEST_KEY_ID => Ok((algorithm, Some(id.clone()))),
        Some(_) => Err(Defect::KeyId),
    }
}

/// Media types have no case, and `application/` may be left out (RFC 7515 section 4.1.9).
fn is_type(typ: &str, wanted: &str) -> bool {
    bare(typ).eq_ignore_ascii_case(bare(wanted))
}

fn bare(typ: &str) -> &str {
    const APPLICATION: &str = "application/";
    match typ.get(..APPLICATION.len()) {
        Some(start) if start.eq_ignore_ascii_case(APPLICATION) => typ.get(APPLICATION.len()..).unwrap_or(typ),
        _ => typ,
    }
}

impl Defect {
    /// For metrics and logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Defect::Parts => "token_parts",
            Defect::Encoding => "token_encoding",
            Defect::Header => "token_header",
            Defect::Algorithm => "token_algorithm",
            Defect::Critical => "token_critical",
            Defect::Encrypted => "token_encrypted",
            Defect::Type => "token_type",
            Defect::KeyId => "token_key_id",
            Defect::UnknownKey => "token_unknown_key",
            Defect::UnfitKey => "token_unfit_key",
            Defect::AmbiguousKey => "token_ambiguous_key",
            Defect::Signature => "token_signature",
        }
    }
}
