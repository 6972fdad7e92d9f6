//! Webhooks that are signed with a shared secret, and those whose signature is another's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256};

use super::{Attack, Attacks, Group, Must, tokens::NO_KEY};
use crate::{
    gateway::{Profile, Provider, Webhooks},
    message::Message,
};

const CONTENT: &str = r#"{"amount": 1}"#;

/// What a webhook is made of, to be spoilt before or after it is made.
#[derive(Clone)]
struct Draft<'a> {
    place: &'a str,
    profile: Profile,
    secret: Vec<u8>,
    id: String,
    time: String,
    content: String,
}

impl Draft<'_> {
    /// What is signed.
    fn signed_text(&self) -> String {
        match self.profile {
            Profile::StandardWebhooks => format!("{}.{}.{}", self.id, self.time, self.content),
            Profile::Stripe => format!("{}.{}", self.time, self.content),
            Profile::GitHub => self.content.clone(),
        }
    }

    fn code(&self) -> Vec<u8> {
        let key = hmac::Key::new(HMAC_SHA256, &self.secret);
        hmac::sign(&key, self.signed_text().as_bytes()).as_ref().to_vec()
    }

    fn message(&self) -> Message {
        self.with(&self.code(), &self.content)
    }

    /// With this code, and with this content in the place of its own.
    fn with(&self, code: &[u8], content: &str) -> Message {
        let message = Message::get(self.place).method("POST");
        let message = message.header("content-length", content.len().to_string()).body(content);
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.profile {
            Profile::StandardWebhooks => message
                .header("webhook-id", self.id.as_str())
                .header("webhook-timestamp", self.time.as_str())
                .header("webhook-signature", format!("v1,{}", STANDARD.encode(code))),
            Profile::Stripe => message.header("stripe-signature", format!("t={},v1={hex}", self.time)),
            Profile::GitHub => message.header("x-hub-signature-256", format!("sha256={hex}")),
        }
    }
}

fn draft<'a>(provider: &'a Provider, webhooks: &Webhooks, now: u64) -> Option<Draft<'a>> {
    let secret = webhooks.secret.as_ref()?.0.as_bytes();
    let secret = match webhooks.profile {
        Profile::StandardWebhooks => {
            STANDARD.decode(secret.strip_prefix(b"whsec_").unwrap_or(secret)).ok()?
        }
        Profile::Stripe | Profile::GitHub => secret.to_vec(),
    };
    let (place, profile) = (provider.place.as_str(), webhooks.profile);
    Some(Draft { place, profile, secret, id: String::new(), time: now.to_string(), content: String::new() })
}

/// A message that is good once.
pub(super) fn good(provider: &Provider, webhooks: &Webhooks, now: u64) -> Option<Message> {
    let content = format!("{{\"control\": {now}}}");
    Some(Draft { id: format!("kit-{now}"), content, ..draft(provider, webhooks, now)? }.message())
}

pub(super) fn add(attacks: &mut Attacks, provider: &Provider, webhooks: &Webhooks, now: u64) {
    let Some(draft) = draft(provider, webhooks, now) else {
        return attacks.skip(Group::Signatures, &provider.name, NO_KEY);
    };
    let mut drafts = Drafts { now, count: 0, draft };
    let again = if webhooks.replays { Must::Pass } else { Must::Refuse };
    let good = drafts.next().message();
    let mut list = vec![("good", Must::Pass, good.clone()), ("the same once more", again, good)];
    let bad = [codes(&mut drafts), times(&mut drafts), ids(&mut drafts)].concat();
    list.extend(bad.into_iter().map(|(name, message)| (name, Must::Refuse, message)));
    for (name, must, message) in list {
        let name = format!("{name} ({})", provider.name);
        attacks.sent.push(Attack::new(Group::Signatures, name, must, RULE, message));
    }
}

const RULE: &str = "standardwebhooks.com and its like";

/// Each another message, so that none is refused as a replay.
struct Drafts<'a> {
    now: u64,
    count: u32,
    draft: Draft<'a>,
}

impl<'a> Drafts<'a> {
    fn next(&mut self) -> Draft<'a> {
        self.count += 1;
        let (number, now) = (self.count, self.now);
        Draft {
            id: format!("kit-{now}-{number}"),
            content: format!("{{\"number\": {number}, \"at\": {now}}}"),
            ..self.draft.clone()
        }
    }
}

type Bad = Vec<(&'static str, Message)>;

/// Codes of other content, by other secrets, and what is none.
fn codes(drafts: &mut Drafts<'_>) -> Bad {
    let mut bad = Bad::new();
    let one = drafts.next();
    bad.push(("other content", one.with(&one.code(), CONTENT)));
    bad.push(("content with more behind it", one.with(&one.code(), &format!("{} ", one.content))));
    bad.push(("no content", one.with(&one.code(), "")));
    let stranger = Draft { secret: [one.secret.as_slice(), b"x"].concat(), ..drafts.next() };
    bad.push(("another's secret", stranger.message()));
    bad.push(("an empty secret", Draft { secret: Vec::new(), ..drafts.next() }.message()));
    bad.push(("half a code", one.with(one.code().get(..16).unwrap_or_default(), &one.content)));
    bad.push(("an empty code", one.with(&[], &one.content)));
    let mut code = one.code();
    if let Some(last) = code.last_mut() {
        *last ^= 1;
    }
    bad.push(("another code", one.with(&code, &one.content)));
    let sha1 = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &one.secret);
    let code = hmac::sign(&sha1, one.signed_text().as_bytes());
    bad.push(("a code of SHA-1", one.with(code.as_ref(), &one.content)));
    let mut twice = drafts.next().message();
    twice.headers.extend(twice.headers.last().cloned());
    bad.push(("the codes' field twice", twice));
    bad
}

fn times(drafts: &mut Drafts<'_>) -> Bad {
    if drafts.draft.profile == Profile::GitHub {
        return Bad::new();
    }
    let now = drafts.now;
    let times = [
        ("a day old", (now - 24 * 3600).to_string()),
        ("of tomorrow", (now + 24 * 3600).to_string()),
        ("a time with a zero in front", format!("0{now}")),
        ("a time with a sign", format!("+{now}")),
        ("a time with a fraction", format!("{now}.0")),
        ("a time that is none", "now".to_owned()),
        ("a time beyond all numbers", "9".repeat(40)),
    ];
    times.into_iter().map(|(name, time)| (name, Draft { time, ..drafts.next() }.message())).collect()
}

fn ids(drafts: &mut Drafts<'_>) -> Bad {
    if drafts.draft.profile != Profile::StandardWebhooks {
        return Bad::new();
    }
    let mut bad = Bad::new();
    for (name, id) in [("an id with a dot", "a.1"), ("an empty id", "")] {
        bad.push((name, Draft { id: id.to_owned(), ..drafts.next() }.message()));
    }
    for (name, field) in
        [("no id", "webhook-id"), ("no time", "webhook-timestamp"), ("no code", "webhook-signature")]
    {
        let mut message = drafts.next().message();
        message.headers.retain(|(name, _)| name != field.as_bytes());
        bad.push((name, message));
    }
    bad
}
