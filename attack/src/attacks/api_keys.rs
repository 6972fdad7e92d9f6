//! API keys: near misses of a good one, and one key in several places.

use super::{Attack, Attacks, Group, Must};
use crate::{
    gateway::{Gateway, Provider, Secret, Source},
    message::{Message, Protocol},
};

pub(super) fn add(
    attacks: &mut Attacks,
    gateway: &Gateway,
    provider: &Provider,
    sources: &[Source],
    key: Option<&Secret>,
) {
    let plain = Message::get(provider.place.as_str());
    let mut add = |name: &str, must, message| {
        let name = format!("{name} ({})", provider.name);
        attacks.sent.push(Attack::new(Group::ApiKeys, name, must, "RFC 9110, 11.6.2", message));
    };
    for source in sources {
        let of = |key: &str| source.carry(plain.clone(), key);
        let place = place(source);
        add(&format!("empty, {place}"), Must::Refuse, of(""));
        add(&format!("a wrong key, {place}"), Must::Refuse, of("not-a-key-of-anybody"));
        add(
            &format!("over the limit, {place}"),
            Must::Refuse,
            of(&"k".repeat(gateway.max_credential_bytes + 1)),
        );
        if !matches!(source, Source::Query(_)) {
            add(&format!("1 MiB, {place}"), Must::Refuse, of(&"k".repeat(1 << 20)));
            add(
                &format!("bytes that are not UTF-8, {place}"),
                Must::Refuse,
                source.carry(plain.clone(), b"\xff\xfe"),
            );
        }
    }
    let Some(Secret(key)) = key else {
        attacks.skip(Group::ApiKeys, format!("near misses ({})", provider.name), "no good key was given");
        return;
    };
    for source in sources {
        near_misses(attacks, provider, source, key);
    }
    if let [first, second, ..] = sources {
        let both = second.carry(first.carry(plain.clone(), key), key);
        let name = format!("the same key in two places ({})", provider.name);
        attacks.sent.push(Attack::new(Group::ApiKeys, name, Must::Refuse, "RFC 9110, 5.3", both));
        let wrong = second.carry(first.carry(plain, key), "not-a-key-of-anybody");
        let name = format!("a good key and a wrong one in another place ({})", provider.name);
        attacks.sent.push(Attack::new(Group::ApiKeys, name, Must::Refuse, "RFC 9110, 5.3", wrong));
    }
}

fn place(source: &Source) -> &'static str {
    match source {
        Source::Header(_) => "header",
        Source::Scheme(_) => "scheme",
        Source::Query(_) => "query",
        Source::Cookie(_) => "cookie",
    }
}

fn near_misses(attacks: &mut Attacks, provider: &Provider, source: &Source, key: &str) {
    let plain = Message::get(provider.place.as_str());
    let of = |key: &str| source.carry(plain.clone(), key);
    let (start, last) = key.split_at(key.len().saturating_sub(1));
    let other = if last == "x" { "y" } else { "x" };
    let mut spellings: Vec<(&str, Must, Message)> = vec![
        ("without its last character", Must::Refuse, of(start)),
        ("with another last character", Must::Refuse, of(&format!("{start}{other}"))),
        ("with a character more", Must::Refuse, of(&format!("{key}x"))),
        ("its prefix alone", Must::Refuse, of(key.get(..8).unwrap_or("k"))),
        ("in quotes", Must::Refuse, of(&format!("\"{key}\""))),
        ("with a comma after it", Must::Refuse, of(&format!("{key},"))),
        ("twice, with a comma", Must::Refuse, of(&format!("{key},{key}"))),
    ];
    let swapped: String = key.chars().map(swap_case).collect();
    if swapped != key {
        spellings.push(("in other case", Must::Refuse, of(&swapped)));
    }
    match source {
        Source::Header(name) => {
            let twice = plain.clone().header(name.as_str(), key).header(name.as_str(), key);
            spellings.push(("on two lines", Must::Refuse, twice.clone()));
            spellings.push(("on two lines over HTTP/2", Must::Refuse, twice.over(Protocol::Http2)));
            let wrong = plain.clone().header(name.as_str(), "x").header(name.as_str(), key);
            spellings.push(("on the second of two lines", Must::Refuse, wrong));
            let underscore = plain.clone().header(name.replace('-', "_"), key);
            if name.contains('-') {
                spellings.push(("in a header with _ for -", Must::Refuse, underscore));
            }
            spellings.push((
                "in the header in capitals",
                Must::Pass,
                plain.clone().header(name.to_uppercase(), key),
            ));
            // Space around a value is no part of it: RFC 9110, 5.5.
            spellings.push(("with a space and a tab after it", Must::Pass, of(&format!("{key} \t"))));
            spellings.push(("with a zero byte after it", Must::Refuse, of(&format!("{key}\0"))));
            spellings.push(("with a space inside", Must::Refuse, of(&format!("{start} {last}"))));
            spellings.push((
                "in the trailers",
                Must::Refuse,
                plain.clone().over(Protocol::Http2).trailer(name, key),
            ));
        }
        Source::Query(name) => query(&mut spellings, &plain, name, key),
        Source::Cookie(name) => cookies(&mut spellings, &plain, name, key),
        Source::Scheme(scheme) => {
            let lower = plain.clone().header("authorization", format!("{} {key}", scheme.to_lowercase()));
            spellings.push(("the scheme in lower case", Must::Pass, lower));
        }
    }
    for (name, must, message) in spellings {
        let name = format!("{name}, {} ({})", place(source), provider.name);
        attacks.sent.push(Attack::new(Group::ApiKeys, name, must, "RFC 9110, 11.6.2", message));
    }
}

fn swap_case(letter: char) -> char {
    if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
}

fn query(spellings: &mut Vec<(&'static str, Must, Message)>, plain: &Message, name: &str, key: &str) {
    let of = |query: String| {
        let target = [plain.target.as_slice(), b"?", query.as_bytes()].concat();
        Message { target, ..plain.clone() }
    };
    let escaped: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
    spellings.extend([
        ("percent-encoded", Must::Pass, of(format!("{name}={escaped}"))),
        ("percent-encoded twice", Must::Refuse, of(format!("{name}={}", escaped.replace('%', "%25")))),
        ("twice", Must::Refuse, of(format!("{name}={key}&{name}={key}"))),
        ("after a wrong one", Must::Refuse, of(format!("{name}=x&{name}={key}"))),
        (
            "the name twice, once encoded",
            Must::Refuse,
            of(format!(
                "{name}={key}&%{:02x}{}={key}",
                name.as_bytes().first().unwrap_or(&b'x'),
                name.get(1..).unwrap_or_default()
            )),
        ),
        ("the name in capitals", Must::Refuse, of(format!("{}={key}", name.to_uppercase()))),
        ("after a semicolon", Must::Refuse, of(format!("x=y;{name}={key}"))),
        ("with a plus sign", Must::Refuse, of(format!("{name}={key}+"))),
        ("with a bad escape", Must::Refuse, of(format!("{name}={key}%"))),
        ("with a zero byte", Must::Refuse, of(format!("{name}={key}%00"))),
        ("as a list", Must::Refuse, of(format!("{name}[]={key}"))),
        ("in the fragment", Must::Refuse, of(format!("x=y#{name}={key}"))),
    ]);
}

fn cookies(spellings: &mut Vec<(&'static str, Must, Message)>, plain: &Message, name: &str, key: &str) {
    let of = |value: String| plain.clone().header("cookie", value);
    let crumbs = |first: String, second: String| of(first).header("cookie", second).over(Protocol::Http2);
    spellings.extend([
        ("among others", Must::Pass, of(format!("a=b; {name}={key}; c=d"))),
        ("twice", Must::Refuse, of(format!("{name}={key}; {name}={key}"))),
        ("on two lines", Must::Refuse, of(format!("{name}={key}")).header("cookie", format!("{name}={key}"))),
        ("after a wrong one", Must::Refuse, of(format!("{name}=x; {name}={key}"))),
        ("the name in capitals", Must::Refuse, of(format!("{}={key}", name.to_uppercase()))),
        ("crumbs of HTTP/2", Must::Pass, crumbs("a=b".to_owned(), format!("{name}={key}"))),
        (
            "two crumbs of HTTP/2 with it",
            Must::Refuse,
            crumbs(format!("{name}={key}"), format!("{name}={key}")),
        ),
        ("after a comma", Must::Refuse, of(format!("a=b, {name}={key}"))),
    ]);
}
