//! User and password: what stands between them, and how base64 writes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Attack, Attacks, Group, Must};
use crate::{
    gateway::{Gateway, Provider, Secret},
    message::Message,
};

/// RFC 7617, 2.
pub(super) fn credentials(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

pub(super) fn add(
    attacks: &mut Attacks,
    gateway: &Gateway,
    provider: &Provider,
    user: Option<&(String, Secret)>,
) {
    let plain = Message::get(provider.place.as_str());
    let of = |value: String| plain.clone().header("authorization", value);
    let encoded = |bytes: &[u8]| of(format!("Basic {}", STANDARD.encode(bytes)));
    let mut forms: Vec<(&str, Must, Message)> = vec![
        ("nothing", Must::Refuse, of("Basic ".to_owned())),
        ("no colon", Must::Refuse, encoded(b"nobody")),
        ("a colon alone", Must::Refuse, encoded(b":")),
        ("an unknown user", Must::Refuse, encoded(b"nobody:nothing")),
        ("no user", Must::Refuse, encoded(b":nothing")),
        ("not base64", Must::Refuse, of("Basic ***".to_owned())),
        ("64 KiB", Must::Refuse, encoded(&[b'x'; 48_000])),
        ("over the limit", Must::Refuse, encoded(&vec![b'x'; gateway.max_credential_bytes])),
    ];
    if let Some((name, Secret(password))) = user {
        let good = format!("{name}:{password}");
        let text = STANDARD.encode(&good);
        let (head, tail) = text.split_at(text.len() / 2);
        let last = password.chars().last().map_or(0, char::len_utf8);
        let short = password.get(..password.len() - last).unwrap_or_default();
        forms.extend([
            ("a wrong password", Must::Refuse, encoded(format!("{name}:not-the-password").as_bytes())),
            ("no password", Must::Refuse, encoded(format!("{name}:").as_bytes())),
            ("a password cut by a character", Must::Refuse, encoded(format!("{name}:{short}").as_bytes())),
            ("a password and a zero byte", Must::Refuse, encoded(format!("{good}\0").as_bytes())),
            ("a password and a colon", Must::Refuse, encoded(format!("{good}:").as_bytes())),
            ("a password and a line break", Must::Refuse, encoded(format!("{good}\n").as_bytes())),
            (
                "the user in capitals",
                Must::Refuse,
                encoded(format!("{}:{password}", name.to_uppercase()).as_bytes()),
            ),
            ("a space inside the base64", Must::Refuse, of(format!("Basic {head} {tail}"))),
            ("text after the base64", Must::Refuse, of(format!("Basic {text}!"))),
            (
                "a second line",
                Must::Refuse,
                of(format!("Basic {text}")).header("authorization", format!("Basic {text}")),
            ),
            ("the scheme in lower case", Must::Pass, of(format!("basic {text}"))),
            ("two spaces after the scheme", Must::Pass, of(format!("Basic  {text}"))),
        ]);
        let unpadded = text.trim_end_matches('=');
        if unpadded != text {
            forms.push(("no padding", Must::Refuse, of(format!("Basic {unpadded}"))));
        }
        forms.push(("padding too much", Must::Refuse, of(format!("Basic {unpadded}===="))));
    } else {
        attacks.skip(Group::Basic, format!("near misses ({})", provider.name), "no good user was given");
    }
    for (name, must, message) in forms {
        let name = format!("{name} ({})", provider.name);
        attacks.sent.push(Attack::new(Group::Basic, name, must, "RFC 7617, 2", message));
    }
}
