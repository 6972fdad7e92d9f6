//! Who may pass, said independently of the filter: a credential counts if the kit handed out exactly this text, and if nothing else
//! in the request could be taken for one.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use wayside::proxy::Outcome;
use wayside_attack::{
    Gateway,
    gateway::{Kind, Profile, Secret, Signers, Source},
    keys::{Algorithm, Key},
};

use super::{Requests, Sent, signed, webhooks};

pub(crate) struct Oracle {
    /// Prefixes of paths, each with what is asked for there.
    guarded: Vec<(String, Vec<Asked>)>,
}

struct Asked {
    provider: String,
    credentials: Credentials,
}

enum Credentials {
    Keys(Vec<Source>, String),
    User(String),
    /// All that were signed as they should be.
    Tokens(BTreeSet<Vec<u8>>),
    /// Signatures over the message: these keys'.
    Messages(Vec<(Algorithm, Arc<Key>)>),
    /// Content signed in this way with this secret.
    Webhooks(Profile, String),
}

impl Oracle {
    pub(crate) fn new(requests: &Requests) -> Oracle {
        let config: serde_json::Value = serde_json::from_str(wayside_attack::LAB.0).expect("the lab");
        let signers = signers(&requests.gateway);
        let mut guarded = Vec::new();
        for rule in config["rules"].as_array().expect("rules") {
            let prefix = rule["match"]["path"]["prefix"].as_str().expect("a prefix");
            let names = rule["config"]["require"]["any"].as_array().expect("providers");
            let asked =
                names.iter().map(|name| Asked::of(requests, &signers, name.as_str().expect("a name")));
            guarded.push((prefix.to_owned(), asked.collect()));
        }
        Oracle { guarded }
    }

    /// Whether the request came to the upstream.
    ///
    /// # Panics
    /// It did, and must not have; it came with an identity of its own; or the filter could not do its work.
    pub(crate) fn judge(&self, sent: &Sent, outcome: &Outcome) -> bool {
        let status =
            outcome.downstream_response.as_ref().and_then(|response| response.headers.first(b":status"));
        let status = status.map(|status| String::from_utf8_lossy(status).into_owned());
        let Some(upstream) = &outcome.upstream_request else {
            let refused = matches!(status.as_deref(), Some("400" | "401" | "403" | "431"));
            // A target that is no path has no route; and Envoy's router itself sends no headers on that are none.
            let of_the_router = matches!(&outcome.details, Some(details) if details.starts_with(b"filter_removed_required") || **details == *b"route_not_found");
            assert!(refused || of_the_router, "{status:?}, {:?} for {sent:?}", outcome.details);
            return false;
        };
        let path = values(sent, b":path").next().unwrap_or_default();
        let asked: Vec<&[Asked]> = readings(path).iter().filter_map(|path| self.asked(path)).collect();
        for asked in &asked {
            let shown = asked.iter().any(|asked| asked.is_shown(sent));
            assert!(shown, "let in without a credential of {}: {sent:?}", asked[0].provider);
        }
        for header in upstream.headers.iter() {
            let (name, value) = (&header.name, &header.value);
            let plain: Vec<u8> = name
                .iter()
                .map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' })
                .collect();
            if plain.starts_with(b"x-auth-") {
                let told = asked
                    .iter()
                    .flat_map(|asked| asked.iter())
                    .any(|asked| plain != b"x-auth-provider" || **value == *asked.provider.as_bytes());
                assert!(told, "an identity nobody vouches for: {sent:?}");
                assert!(!value.starts_with(b"wayside-intruder"), "an identity of the client's own: {sent:?}");
            }
        }
        true
    }

    /// Whether some signer has signed this message.
    #[allow(dead_code, reason = "the fuzzer has no use for it")]
    pub(crate) fn is_signed(&self, sent: &Sent) -> bool {
        self.guarded
            .iter()
            .flat_map(|(_, asked)| asked)
            .any(|asked| matches!(asked.credentials, Credentials::Messages(_)) && asked.is_shown(sent))
    }

    /// Whether the message bears a credential of this provider.
    #[allow(dead_code, reason = "the fuzzer has no use for it")]
    pub(crate) fn is_signed_for(&self, provider: &str, sent: &Sent) -> bool {
        let mut asked = self.guarded.iter().flat_map(|(_, asked)| asked);
        asked.any(|asked| asked.provider == provider && asked.is_shown(sent))
    }

    fn asked(&self, path: &str) -> Option<&[Asked]> {
        let inside = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.guarded.iter().find(|(prefix, _)| inside(prefix)).map(|(_, asked)| asked.as_slice())
    }
}

/// The keys of all who sign messages.
fn signers(gateway: &Gateway) -> Vec<(Algorithm, Arc<Key>)> {
    let credentials: serde_json::Value = serde_json::from_str(wayside_attack::LAB.1).expect("the lab");
    let of = |signers: &Signers| {
        signers
            .keys
            .iter()
            .map(|(algorithm, key)| (*algorithm, key.kid().map(str::to_owned)))
            .collect::<Vec<_>>()
    };
    let known = gateway.providers.iter().filter_map(|provider| match &provider.kind {
        Kind::Signatures(signers) => Some((provider.name.as_str(), of(signers))),
        _ => None,
    });
    let mut keys = Vec::new();
    for (name, signers) in known {
        for jwk in credentials[name]["jwks"]["keys"].as_array().expect("keys") {
            let key = Arc::new(Key::from_jwk(jwk).expect("a key"));
            let algorithm = signers.iter().find(|(_, kid)| kid.as_deref() == key.kid());
            keys.extend(algorithm.map(|(algorithm, _)| (*algorithm, key)));
        }
    }
    keys
}

pub(super) fn values<'s>(sent: &'s Sent, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> {
    sent.headers.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_slice())
}

impl Asked {
    fn of(requests: &Requests, signers: &[(Algorithm, Arc<Key>)], name: &str) -> Asked {
        let provider = requests.gateway.providers.iter().find(|provider| provider.name == name);
        let credentials = match &provider.expect("it is there").kind {
            Kind::ApiKey { sources, key: Some(Secret(key)) } => {
                Credentials::Keys(sources.clone(), key.clone())
            }
            Kind::Basic { user: Some((user, Secret(password))) } => {
                Credentials::User(format!("{user}:{password}"))
            }
            Kind::Jwt(_) => Credentials::Tokens(requests.tokens_of(name)),
            Kind::Signatures(_) => Credentials::Messages(signers.to_vec()),
            Kind::Webhooks(webhooks) => {
                let Secret(secret) = webhooks.secret.as_ref().expect("the lab's");
                Credentials::Webhooks(webhooks.profile, secret.clone())
            }
            other => panic!("no credentials of {other:?}"),
        };
        Asked { provider: name.to_owned(), credentials }
    }

    fn is_shown(&self, sent: &Sent) -> bool {
        let authorization = || {
            let mut values = values(sent, b"authorization");
            let only = values.next().filter(|_| values.next().is_none())?;
            let at = only.iter().position(|byte| *byte == b' ')?;
            Some((only[..at].to_ascii_lowercase(), only[at..].trim_ascii_start().to_vec()))
        };
        match &self.credentials {
            Credentials::Keys(sources, key) => {
                let shown: Vec<Vec<u8>> = sources.iter().flat_map(|source| shown(source, sent)).collect();
                shown == [key.as_bytes()]
            }
            Credentials::User(user) => authorization().is_some_and(|(scheme, rest)| {
                scheme == b"basic" && STANDARD.decode(rest).is_ok_and(|decoded| decoded == user.as_bytes())
            }),
            Credentials::Messages(keys) => signed::is_by_one_of(keys, sent),
            Credentials::Webhooks(profile, secret) => webhooks::is_signed(*profile, secret, sent),
            Credentials::Tokens(tokens) => {
                authorization().is_some_and(|(scheme, rest)| scheme == b"bearer" && tokens.contains(&rest))
            }
        }
    }
}

/// Every text in this place that some reader would take for a key.
fn shown(source: &Source, sent: &Sent) -> Vec<Vec<u8>> {
    match source {
        Source::Header(name) => values(sent, name.as_bytes()).map(<[u8]>::to_vec).collect(),
        Source::Query(name) => {
            let target = values(sent, b":path").next().unwrap_or_default();
            let target = target.split(|byte| *byte == b'#').next().unwrap_or_default();
            let query = target.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
            named(query.split(|byte| *byte == b'&'), name, decoded)
        }
        Source::Cookie(name) => {
            let crumbs = values(sent, b"cookie").flat_map(|line| line.split(|byte| *byte == b';'));
            named(crumbs.map(<[u8]>::trim_ascii), name, |text| text.trim_ascii().to_vec())
        }
        Source::Scheme(_) => panic!("the lab has none"),
    }
}

fn named<'t>(
    pairs: impl Iterator<Item = &'t [u8]>,
    name: &str,
    read: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let split = pairs.map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        (read(parts.next().unwrap_or_default()), read(parts.next().unwrap_or_default()))
    });
    split.filter(|(given, _)| given == name.as_bytes()).map(|(_, value)| value).collect()
}

/// Every `%xx`, once; what is none stays.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let code = (*first == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok()).flatten();
        let code = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// What servers make of a path: one that follows RFC 3986 to the letter, and one that decodes everything first, takes `\` for `/` and
/// drops what follows a `;`. Neither tells capitals from small letters, as the lab's upstream does not.
fn readings(target: &[u8]) -> [String; 2] {
    let path = target.split(|byte| *byte == b'?' || *byte == b'#').next().unwrap_or_default();
    let strict: Vec<u8> = {
        let letters = decoded(path);
        // Where only letters, digits and marks were hidden, both forms have the same `/`.
        if letters.iter().filter(|byte| **byte == b'/').count()
            == path.iter().filter(|byte| **byte == b'/').count()
        {
            letters
        } else {
            path.to_vec()
        }
    };
    let lenient: Vec<u8> =
        decoded(path).into_iter().map(|byte| if byte == b'\\' { b'/' } else { byte }).collect();
    let lenient: Vec<u8> = lenient
        .split(|byte| *byte == b'/')
        .map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(&b'/');
    [strict, lenient].map(|path| resolved(&String::from_utf8_lossy(&path).to_ascii_lowercase()))
}

/// Without dot segments and empty ones.
fn resolved(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}
