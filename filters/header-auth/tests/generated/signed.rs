//! Whether a message bears a signature that covers it (RFC 9421): read as plainly as the kit writes it, and verified by `ring`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};
use wayside_attack::keys::{Algorithm, Key};

use super::{Sent, oracle::values};

/// What a signature has to cover at least.
const COVERED: [&str; 4] = ["\"@method\"", "\"@authority\"", "\"@path\"", "\"@query\""];

pub(super) fn is_by_one_of(keys: &[(Algorithm, Arc<Key>)], sent: &Sent) -> bool {
    let joined = |name: &str| {
        let values: Vec<_> = values(sent, name.as_bytes()).map(String::from_utf8_lossy).collect();
        values.join(", ")
    };
    let (inputs, signatures) = (joined("signature-input"), joined("signature"));
    inputs.split("=(").skip(1).any(|input| {
        // The list and its parameters end where the next member begins.
        let input = input.split(", ").next().unwrap_or_default();
        let Some((covered, _)) = input.split_once(')') else { return false };
        let covered: Vec<&str> = covered.split(' ').filter(|component| !component.is_empty()).collect();
        let digested = sent.body.is_empty() || covered.contains(&"\"content-digest\"");
        if !COVERED.iter().all(|component| covered.contains(component)) || !digested {
            return false;
        }
        if !sent.body.is_empty()
            && !joined("content-digest").contains(&STANDARD.encode(digest(&SHA256, &sent.body)))
        {
            return false;
        }
        let lines: String = covered.iter().map(|component| line(component, &joined)).collect();
        let base = format!("{lines}\"@signature-params\": ({}", input.trim_end());
        signatures.split(':').any(|text| {
            let Ok(signature) = STANDARD.decode(text) else { return false };
            keys.iter().any(|(algorithm, key)| key.is_signed(*algorithm, base.as_bytes(), &signature))
        })
    })
}

fn line(component: &str, joined: &impl Fn(&str) -> String) -> String {
    let target = joined(":path");
    let (path, query) = target.split_once('?').map_or((target.as_str(), ""), |(path, query)| (path, query));
    let value = match component.trim_matches('"') {
        "@method" => joined(":method"),
        "@authority" => joined(":authority").to_lowercase(),
        "@path" => path.to_owned(),
        "@query" => format!("?{query}"),
        name => joined(name),
    };
    format!("{component}: {value}\n")
}

#[test]
fn the_oracle_believes_what_the_kit_has_signed_and_nothing_else() {
    let requests = super::Requests::new(super::NOW);
    let oracle = super::Oracle::new(&requests);
    let at = |attack: &wayside_attack::Attack| attack.message.target == b"/signers/x";
    let (good, bad): (Vec<_>, Vec<_>) = requests
        .attacks
        .iter()
        .zip(&requests.all)
        .filter(|(attack, _)| at(attack) && attack.name.contains(", lab-"))
        .partition(|(attack, _)| attack.must == wayside_attack::Must::Pass);
    assert!(good.len() >= 6 && good.iter().all(|(_, sent)| oracle.is_signed(sent)));
    assert!(bad.iter().filter(|(_, sent)| oracle.is_signed(sent)).count() * 3 < bad.len() * 2);
}
