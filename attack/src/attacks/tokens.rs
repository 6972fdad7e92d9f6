//! The 28 tokens: three good ones, and those that verifiers have believed.

use serde_json::json;

use super::{Attack, Attacks, Group, Must, drafts::Draft};
use crate::{
    gateway::{Issuer, Provider},
    keys::{Algorithm, ecdsa_der, mac},
    message::Message,
    token,
};

pub(super) const RSA: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];
const EC: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Es384];
pub(super) const OCT: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

/// Puts tokens into the request of one provider.
pub(super) struct Minter<'a> {
    pub(super) attacks: &'a mut Attacks,
    pub(super) provider: &'a Provider,
    pub(super) issuer: &'a Issuer,
    pub(super) group: Group,
    pub(super) now: u64,
}

impl<'a> Minter<'a> {
    pub(super) fn message(&self, credential: impl AsRef<[u8]>) -> Message {
        let message = Message::get(self.provider.place.as_str());
        match self.issuer.sources.first() {
            Some(source) => source.carry(message, credential),
            None => message,
        }
    }

    pub(super) fn add(&mut self, name: &str, must: Must, rule: &'static str, token: impl AsRef<[u8]>) {
        let message = self.message(token);
        let name = format!("{name} ({})", self.provider.name);
        self.attacks.sent.push(Attack::new(self.group, name, must, rule, message));
    }

    /// A token that could be made, or the note that it could not.
    pub(super) fn add_if(&mut self, name: &str, rule: &'static str, token: Option<String>, lacks: &str) {
        match token {
            Some(token) => self.add(name, Must::Refuse, rule, token),
            None => self.attacks.skip(self.group, format!("{name} ({})", self.provider.name), lacks),
        }
    }

    /// A good token of the first of these algorithms for which there is a key.
    pub(super) fn draft(&self, of: &[Algorithm]) -> Option<Draft<'a>> {
        of.iter().find_map(|algorithm| self.issuer.draft(*algorithm, self.now))
    }
}

pub(super) const NO_KEY: &str = "no private key for it was given";

pub(super) fn add(attacks: &mut Attacks, provider: &Provider, issuer: &Issuer, now: u64) {
    let mut minter = Minter { attacks, provider, issuer, group: Group::Tokens, now };
    for (name, of) in [("good, RSA", &RSA[..]), ("good, EC", &EC), ("good, oct", &OCT)] {
        if let Some(draft) = minter.draft(of) {
            minter.add(name, Must::Pass, "RFC 7519, 7.2", draft.token());
        }
    }
    // Asymmetric keys first: what follows is about the token, not about the key.
    let Some(draft) = minter.draft(&Algorithm::ALL) else {
        minter.attacks.skip(Group::Tokens, &provider.name, NO_KEY);
        return;
    };
    claims(&mut minter, &draft);
    spelling(&mut minter, &draft);
    confusion(&mut minter, &draft);
}

fn claims(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let mut refuse = |name, rule, draft: Draft<'_>| minter.add(name, Must::Refuse, rule, draft.token());
    let unknown = draft.clone().head("crit", json!(["urn:nobody:knows"])).head("urn:nobody:knows", true);
    refuse("crit names what nobody knows", "RFC 7515, 4.1.11", unknown);
    refuse("crit names b64", "RFC 7797, 6", draft.clone().head("crit", json!(["b64"])).head("b64", false));
    refuse("crit is empty", "RFC 7515, 4.1.11", draft.clone().head("crit", json!([])));
    refuse("no exp", "RFC 8725, 3", draft.clone().without("exp"));
    refuse("exp of 0", "RFC 7519, 4.1.4", draft.clone().claim("exp", 0));
    let string = draft.claims.get("exp").map(ToString::to_string).unwrap_or_default();
    refuse("exp as a string", "RFC 7519, 4.1.4", draft.clone().claim("exp", string));
    let past = draft.now.saturating_sub(3600);
    refuse("expired", "RFC 7519, 4.1.4", draft.clone().claim("iat", past).claim("exp", past + 60));
    if minter.issuer.issuer.is_some() {
        minter.add(
            "another issuer",
            Must::Refuse,
            "RFC 7519, 4.1.1",
            draft.clone().claim("iss", "https://elsewhere.example").token(),
        );
    }
    let twice = format!("{},\"sub\":\"root\"}}", draft.open_claims());
    minter.add("a claim twice", Must::Refuse, "RFC 7519, 4", draft.with_payload(twice.as_bytes()));
    if minter.issuer.typ.is_some() {
        let other = draft.clone().head("typ", "secevent+jwt");
        minter.add("typ of another class of tokens", Must::Refuse, "RFC 8725, 3.11", other.token());
    } else {
        let why = "the configuration names no typ";
        minter.attacks.skip(
            Group::Tokens,
            format!("typ of another class of tokens ({})", minter.provider.name),
            why,
        );
    }
}

fn spelling(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    let good = draft.token();
    let refused = Must::Refuse;
    minter.add("doubled dots", refused, "RFC 7515, 7.1", good.replacen('.', "..", 1));
    minter.add("a dot before", refused, "RFC 7515, 7.1", format!(".{good}"));
    minter.add("a dot after", refused, "RFC 7515, 7.1", format!("{good}."));
    let respelled = |spell: fn(&str) -> Option<String>| {
        let (input, signature) = good.rsplit_once('.')?;
        Some(format!("{input}.{}", spell(signature)?))
    };
    let same = "this signature has no other spelling";
    minter.add_if("padded base64url", "RFC 7515, 2", respelled(token::padded), same);
    minter.add_if("unused bits that are not zero", "RFC 4648, 3.5", respelled(token::not_canonical), same);
    // A signature without - and _ is rare; with another one, the next may have some.
    let standard = (0..64).find_map(|number| {
        let other = draft.clone().claim("jti", format!("{number}")).token();
        let (input, signature) = other.rsplit_once('.')?;
        Some(format!("{input}.{}", token::standard_alphabet(signature)?))
    });
    minter.add_if("the alphabet of plain base64", "RFC 7515, 2", standard, same);
    let tampered = good.split('.').collect::<Vec<_>>();
    if let [header, _, signature] = tampered.as_slice() {
        let root = draft.clone().claim("sub", "root").token();
        let payload = root.split('.').nth(1).unwrap_or_default();
        minter.add(
            "claims of another token",
            refused,
            "RFC 7515, 5.2",
            format!("{header}.{payload}.{signature}"),
        );
    }
    minter.add("an unknown kid", refused, "RFC 7515, 4.1.4", draft.clone().head("kid", "nobody").token());
}

/// The algorithm a token names against the key it is checked with.
fn confusion(minter: &mut Minter<'_>, draft: &Draft<'_>) {
    for (name, alg) in [("alg none", "none"), ("alg nOnE", "nOnE")] {
        let unsigned = draft.clone().head("alg", alg).signed_by(|_| Vec::new());
        minter.add(name, Must::Refuse, "RFC 8725, 3.2", unsigned);
    }
    let rule = "RFC 8725, 3.1";
    let of = |draft: Option<Draft<'_>>, alg: &str| Some(draft?.head("alg", alg).token());
    minter.add_if("an EC key's signature called HS256", rule, of(minter.draft(&EC), "HS256"), NO_KEY);
    minter.add_if("an oct key's signature called RS256", rule, of(minter.draft(&OCT), "RS256"), NO_KEY);
    minter.add_if("an oct key's signature called EdDSA", rule, of(minter.draft(&OCT), "EdDSA"), NO_KEY);
    let pem = minter.draft(&RSA).and_then(|draft| {
        let text = pem(&draft.key.rsa_spki()?);
        let sign = |input: &[u8]| mac(text.as_bytes(), Algorithm::Hs256, input).unwrap_or_default();
        Some(draft.clone().head("alg", "HS256").signed_by(sign))
    });
    minter.add_if("HS256 with the RSA key's PEM as secret", rule, pem, NO_KEY);
    let der = minter.draft(&EC).map(|draft| draft.signed_by(|input| ecdsa_der(&draft.sign(input))));
    minter.add_if("an ECDSA signature in DER", "RFC 7518, 3.4", der, NO_KEY);
}

fn pem(spki: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(spki);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.collect::<Vec<_>>().join("\n")
    )
}
