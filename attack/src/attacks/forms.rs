//! How a token stands in its header.

use super::{Attack, Attacks, Group, Must, Smuggled, drafts::Draft, tokens::Minter};
use crate::{
    gateway::{Issuer, Provider, Source},
    keys::Algorithm,
    message::{Message, Protocol},
};

pub(super) fn add(attacks: &mut Attacks, provider: &Provider, issuer: &Issuer, now: u64) {
    let mut minter = Minter { attacks, provider, issuer, group: Group::Forms, now };
    let Some(draft) = minter.draft(&Algorithm::ALL) else { return };
    let Some(Source::Scheme(scheme)) = issuer.sources.first() else {
        let why = "the token does not stand in `authorization`";
        minter.attacks.skip(Group::Forms, &provider.name, why);
        return;
    };
    the_four(&mut minter, scheme, &draft);
    further(&mut minter, scheme, &draft);
}

fn the_four(minter: &mut Minter<'_>, scheme: &str, draft: &Draft<'_>) {
    let good = draft.token();
    let plain = Message::get(minter.provider.place.as_str());
    let value = format!("{scheme} {good}");
    let mut add = |name: &str, must, rule, message| {
        let name = format!("{name} ({})", minter.provider.name);
        minter.attacks.sent.push(Attack::new(minter.group, name, must, rule, message));
    };
    let lower = format!("{} {good}", scheme.to_lowercase());
    add(
        "the scheme in lower case",
        Must::Pass,
        "RFC 9110, 11.1",
        plain.clone().header("authorization", lower),
    );
    let two = plain.clone().header("authorization", value.clone()).header("authorization", value);
    add("two authorization lines", Must::Refuse, "RFC 9110, 5.3", two);
    let upper = format!("{} {good}", scheme.to_uppercase());
    add("the scheme in capitals", Must::Pass, "RFC 9110, 11.1", plain.clone().header("authorization", upper));
    let injecting = draft.clone().claim("sub", "kit\r\nx-wayside-injected: root").token();
    let injecting = plain.header("authorization", format!("{scheme} {injecting}"));
    let name = format!("a line break in a claim ({})", minter.provider.name);
    let attack = Attack::new(minter.group, name, Must::Either, "RFC 9110, 5.5", injecting);
    minter.attacks.sent.push(attack.smuggling(Smuggled::Header("x-wayside-injected".to_owned())));
}

fn further(minter: &mut Minter<'_>, scheme: &str, draft: &Draft<'_>) {
    minter.group = Group::FurtherTokens;
    let good = draft.token();
    let plain = Message::get(minter.provider.place.as_str());
    let of = |value: String| plain.clone().header("authorization", value);
    let rule = "RFC 9110, 11.4";
    let stranger = "eyJhbGciOiJub25lIn0.e30.";
    let forms: Vec<(&str, Must, Message)> = vec![
        ("two spaces after the scheme", Must::Pass, of(format!("{scheme}  {good}"))),
        ("no space after the scheme", Must::Refuse, of(format!("{scheme}{good}"))),
        ("a tab after the scheme", Must::Refuse, of(format!("{scheme}\t{good}"))),
        ("a colon after the scheme", Must::Refuse, of(format!("{scheme}: {good}"))),
        ("another scheme", Must::Refuse, of(format!("Token {good}"))),
        ("no scheme", Must::Refuse, of(good.clone())),
        ("the scheme alone", Must::Refuse, of(scheme.to_owned())),
        ("the scheme twice", Must::Refuse, of(format!("{scheme} {scheme} {good}"))),
        ("a comma after the token", Must::Refuse, of(format!("{scheme} {good},"))),
        ("two tokens and a comma", Must::Refuse, of(format!("{scheme} {good}, {scheme} {good}"))),
        ("quotes", Must::Refuse, of(format!("{scheme} \"{good}\""))),
        ("a semicolon and more", Must::Refuse, of(format!("{scheme} {good};x=y"))),
        (
            "a bad line before a good one",
            Must::Refuse,
            of(format!("{scheme} {stranger}")).header("authorization", format!("{scheme} {good}")),
        ),
        (
            "a good line before a bad one",
            Must::Refuse,
            of(format!("{scheme} {good}")).header("authorization", format!("{scheme} {stranger}")),
        ),
        (
            "a Basic line before a good one",
            Must::Refuse,
            of("Basic YTpi".to_owned()).header("authorization", format!("{scheme} {good}")),
        ),
        ("a byte that is not ASCII", Must::Refuse, of(format!("{scheme} {good}\u{e9}"))),
        ("a token of 64 KiB", Must::Refuse, of(format!("{scheme} {}", "a".repeat(65_000)))),
        (
            "in proxy-authorization",
            Must::Refuse,
            plain.clone().header("proxy-authorization", format!("{scheme} {good}")),
        ),
        (
            "in x-authorization",
            Must::Refuse,
            plain.clone().header("x-authorization", format!("{scheme} {good}")),
        ),
        (
            "two lines over HTTP/2",
            Must::Refuse,
            of(format!("{scheme} {good}"))
                .header("authorization", format!("{scheme} {good}"))
                .over(Protocol::Http2),
        ),
        (
            "in the trailers",
            Must::Refuse,
            plain.clone().over(Protocol::Http2).trailer("authorization", &format!("{scheme} {good}")),
        ),
    ];
    for (name, must, message) in forms {
        let name = format!("{name} ({})", minter.provider.name);
        minter.attacks.sent.push(Attack::new(minter.group, name, must, rule, message));
    }
    let long = Message::get(minter.provider.place.as_str())
        .header("authorization", format!("{scheme} {}", "a".repeat(1 << 20)));
    let name = format!("a token of 1 MiB ({})", minter.provider.name);
    minter.attacks.sent.push(Attack::new(minter.group, name, Must::Refuse, rule, long));
}
