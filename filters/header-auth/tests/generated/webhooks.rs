//! Whether content is signed with a shared secret: each field stands once and is put into the text that the service signs, and `ring` compares the codes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac::{HMAC_SHA256, Key, verify};
use wayside_attack::gateway::Profile;

use super::{NOW, Sent, oracle::values};

pub(super) fn is_signed(profile: Profile, secret: &str, sent: &Sent) -> bool {
    claimed(profile, sent).is_some_and(|(head, codes)| {
        let secret = match profile {
            Profile::StandardWebhooks => {
                STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64")
            }
            Profile::GitHub | Profile::Stripe => secret.as_bytes().to_vec(),
        };
        let (key, text) = (Key::new(HMAC_SHA256, &secret), [head.as_bytes(), &sent.body].concat());
        codes.iter().any(|code| verify(&key, &text, code).is_ok())
    })
}

/// What stands in front of the content, and the codes.
fn claimed(profile: Profile, sent: &Sent) -> Option<(String, Vec<Vec<u8>>)> {
    let only = |name: &str| {
        let mut values = values(sent, name.as_bytes()).map(<[u8]>::to_vec);
        String::from_utf8(values.next().filter(|_| values.next().is_none())?).ok()
    };
    let in_time = |time: &str| time.parse().is_ok_and(|time: u64| time.abs_diff(NOW) <= 301);
    match profile {
        Profile::GitHub => {
            let code = only("x-hub-signature-256")?.strip_prefix("sha256=").and_then(hex)?;
            Some((String::new(), vec![code]))
        }
        Profile::Stripe => {
            let field = only("stripe-signature")?;
            let of = |name: &'static str| {
                field.split(',').filter_map(move |part| part.split_once('=').filter(|(key, _)| *key == name))
            };
            let (_, time) = of("t").next().filter(|(_, time)| in_time(time))?;
            Some((format!("{time}."), of("v1").filter_map(|(_, code)| hex(code)).collect()))
        }
        Profile::StandardWebhooks => {
            let (id, time) = (only("webhook-id")?, only("webhook-timestamp").filter(|time| in_time(time))?);
            let field = only("webhook-signature")?;
            let codes = field.split(' ').filter_map(|code| STANDARD.decode(code.strip_prefix("v1,")?).ok());
            Some((format!("{id}.{time}."), codes.collect()))
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[test]
fn the_oracle_of_webhooks_believes_what_the_kit_has_signed_and_nothing_else() {
    use wayside_attack::Must;
    let requests = super::Requests::new(NOW);
    let oracle = super::Oracle::new(&requests);
    let mut seen = [0, 0];
    for (attack, sent) in requests.attacks.iter().zip(&requests.all) {
        let of = ["hooks", "repository", "payments"]
            .into_iter()
            .find(|name| attack.name.ends_with(&format!("({name})")));
        let Some(name) = of else { continue };
        let (believed, good) = (oracle.is_signed_for(name, sent), attack.must == Must::Pass);
        // What was good once is still signed, and the oracle reads numbers as Rust does.
        let lenient = ["the same once more", "an id with a dot", "a time with", "an empty id"];
        let lenient = lenient.iter().any(|name| attack.name.starts_with(name));
        assert!(believed == good || (believed && lenient), "{}: {believed}", attack.name);
        seen[usize::from(good)] += 1;
    }
    assert!(seen[0] > 40 && seen[1] >= 6, "{seen:?}");
}
