//! Requests that say themselves who sends them.

use super::{Attack, Attacks, Group, Must, Smuggled, good};
use crate::{
    gateway::Gateway,
    message::{Message, Protocol},
};

/// What must come to no upstream in an identity header.
const INTRUDER: &str = "wayside-intruder";

pub(super) fn add(attacks: &mut Attacks, gateway: &Gateway, now: u64) {
    let known = gateway
        .providers
        .iter()
        .find_map(|provider| good(gateway, provider, Message::get(provider.place.as_str()), now));
    let guarded = gateway.providers.first().map(|provider| Message::get(provider.place.as_str()));
    let places = [
        ("on a public path", Must::Pass, gateway.public.as_deref().map(Message::get)),
        ("with a good credential", Must::Pass, known),
        ("instead of a credential", Must::Refuse, guarded),
    ];
    for (place, must, message) in places {
        let Some(message) = message else {
            attacks.skip(Group::Identity, place, "the configuration or the credentials have none");
            continue;
        };
        for name in &gateway.identity {
            for (spelling, certain) in spellings(name) {
                // What is no header name may be refused, and passes nowhere.
                let must = if certain { must } else { Must::Either };
                let spoofed = message.clone().header(spelling.as_str(), INTRUDER);
                let named = format!("{spelling:?} {place}");
                let attack = Attack::new(Group::Identity, named, must, "RFC 9110, 17.16", spoofed);
                attacks.sent.push(attack.smuggling(Smuggled::Text(INTRUDER.to_owned())));
            }
        }
        let Some(name) = gateway.identity.first() else { continue };
        let twice = message.clone().header(name.as_str(), INTRUDER).header(name.to_uppercase(), INTRUDER);
        let trailer = message.clone().over(Protocol::Http2).trailer(name, INTRUDER);
        let hop =
            message.clone().header("connection", format!("close, {name}")).header(name.as_str(), INTRUDER);
        for (named, message) in [("twice", twice), ("in the trailers", trailer), ("named by connection", hop)]
        {
            let named = format!("{name} {named} {place}");
            let attack = Attack::new(Group::Identity, named, must, "RFC 9110, 7.6.1", message);
            attacks.sent.push(attack.smuggling(Smuggled::Text(INTRUDER.to_owned())));
        }
    }
}

/// Twelve spellings that some server reads as one name, and whether a gateway may forward a request with it.
fn spellings(name: &str) -> Vec<(String, bool)> {
    let capitalised: Vec<String> = name
        .split('-')
        .map(|part| {
            let (first, rest) = part.split_at(part.len().min(1));
            format!("{}{rest}", first.to_uppercase())
        })
        .collect();
    let half = name.replacen('-', "_", 1);
    vec![
        (name.to_owned(), true),
        (name.to_uppercase(), true),
        (capitalised.join("-"), true),
        (name.replace('-', "_"), true),
        (name.to_uppercase().replace('-', "_"), true),
        (capitalised.join("_"), true),
        (half, true),
        (name.replace('-', "."), true),
        (name.replace('-', "~"), true),
        (format!("{name} "), false),
        (format!("{name}\t"), false),
        (format!(" {name}"), false),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_spellings_are_twelve() {
        let spellings: std::collections::BTreeSet<_> = spellings("x-auth-subject").into_iter().collect();
        assert_eq!(spellings.len(), 12);
    }
}
