//! Requests as they come to a filter: those of the kit, and those with other bytes in them.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary as _, Unstructured};
use wayside_attack::{Attack, Gateway, LAB, Must, attacks};

/// A request's headers, with the pseudo headers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.headers.iter();
        f.debug_list()
            .entries(lines.map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii())))
            .finish()
    }
}

pub(crate) struct Requests {
    pub(crate) gateway: Gateway,
    pub(crate) attacks: Vec<Attack>,
    pub(crate) all: Vec<Sent>,
}

impl Requests {
    pub(crate) fn new(now: u64) -> Requests {
        let gateway = Gateway::new(LAB.0, Some(LAB.1)).expect("the lab");
        let attacks = attacks::all(&gateway, now).sent;
        let all = attacks.iter().map(of).collect();
        Requests { gateway, attacks, all }
    }

    /// What good credentials look like, and those that may be taken for one.
    pub(crate) fn believable(&self) -> impl Iterator<Item = &Sent> {
        let may = self.attacks.iter().zip(&self.all).filter(|(attack, _)| attack.must != Must::Refuse);
        may.map(|(_, sent)| sent)
    }

    /// Tokens of a provider that are signed as they should be, and say nothing that nobody may believe.
    pub(crate) fn tokens_of(&self, provider: &str) -> BTreeSet<Vec<u8>> {
        let ends = format!("({provider})");
        let its = self.attacks.iter().zip(&self.all);
        its.filter(|(attack, _)| attack.must != Must::Refuse && attack.name.ends_with(&ends))
            .flat_map(|(_, sent)| sent.headers.iter().filter(|(name, _)| name == b"authorization"))
            .filter_map(|(_, value)| Some(value.rsplit(|byte| *byte == b' ').next()?.to_vec()))
            .collect()
    }

    /// One of the kit's requests after some changes. `None` where the bytes are at their end.
    pub(crate) fn changed(&self, bytes: &mut Unstructured<'_>) -> Option<Sent> {
        let mut sent = bytes.choose(&self.all).ok()?.clone();
        let changes = bytes.int_in_range(0..=6_u8).ok()?;
        for _ in 0..changes {
            self.change(&mut sent, bytes)?;
        }
        for (name, value) in &mut sent.headers {
            tidy(name, value);
        }
        Some(sent)
    }

    fn change(&self, sent: &mut Sent, bytes: &mut Unstructured<'_>) -> Option<()> {
        let what = u8::arbitrary(bytes).ok()? % 12;
        let other = bytes.choose(&self.all).ok()?;
        let at = bytes.choose_index(sent.headers.len()).ok()?;
        match what {
            // A header of another request beside what is there, in its place, or instead of it.
            0 => sent.headers.push(bytes.choose(&other.headers).ok()?.clone()),
            1 => sent.headers.get_mut(at)?.1 = bytes.choose(&other.headers).ok()?.1.clone(),
            2 if at >= PSEUDO => {
                sent.headers.remove(at);
            }
            3 if at >= PSEUDO => sent.headers.push(sent.headers.get(at)?.clone()),
            // Its path, in all its spellings.
            4 => sent.headers.get_mut(PATH)?.1.clone_from(&other.headers.get(PATH)?.1),
            5 if at >= PSEUDO => {
                let name = &mut sent.headers.get_mut(at)?.0;
                splice(name, bytes)?;
            }
            6 => {
                let short = usize::from(u8::arbitrary(bytes).ok()? % 24).min(bytes.len());
                let value = bytes.bytes(short).ok()?.to_vec();
                sent.headers.push((bytes.choose(&NAMES).ok()?.to_vec(), value));
            }
            _ => splice(&mut sent.headers.get_mut(at)?.1, bytes)?,
        }
        Some(())
    }
}

/// Where pseudo headers end, and where the path stands among them.
const PSEUDO: usize = 4;
const PATH: usize = 1;
const NAMES: [&[u8]; 8] = [
    b"authorization",
    b"x-api-key",
    b"cookie",
    b"x-auth-subject",
    b"x_auth_subject",
    b"x-auth-scopes",
    b"connection",
    b"x",
];
/// What grammars end, join and hide things with.
const EDGES: [&[u8]; 16] = [
    b" ", b"\t", b",", b";", b"=", b".", b"..", b"/", b"%", b"%2e", b"%2F", b"%00", b"\"", b"\\", b"&",
    b"\xff",
];

/// Some bytes out, some in.
fn splice(text: &mut Vec<u8>, bytes: &mut Unstructured<'_>) -> Option<()> {
    let at = if text.is_empty() { 0 } else { bytes.choose_index(text.len() + 1).ok()? };
    let out = usize::from(u8::arbitrary(bytes).ok()? % 4).min(text.len() - at);
    let put: Vec<u8> = match u8::arbitrary(bytes).ok()? % 4 {
        0 => Vec::new(),
        1 => vec![u8::arbitrary(bytes).ok()?],
        2 => bytes.choose(&EDGES).ok()?.to_vec(),
        _ => text.get(at..at + out)?.to_ascii_uppercase(),
    };
    text.splice(at..at + out, put);
    Some(())
}

/// Envoy lets no other names and values come to a filter: small letters, and nothing that ends a line.
fn tidy(name: &mut Vec<u8>, value: &mut Vec<u8>) {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if !name.starts_with(b":") {
        name.retain(is_token);
        name.make_ascii_lowercase();
    }
    if name.is_empty() {
        name.push(b'x');
    }
    value.retain(|byte| !b"\0\r\n".contains(byte));
    let is_space = |byte: &u8| *byte == b' ' || *byte == b'\t';
    while value.last().is_some_and(is_space) {
        value.pop();
    }
    while value.first().is_some_and(is_space) {
        value.remove(0);
    }
}

fn of(attack: &Attack) -> Sent {
    let message = &attack.message;
    let authority = message.authority.as_deref().unwrap_or("lab.example");
    let mut headers = vec![
        (b":method".to_vec(), message.method.as_bytes().to_vec()),
        (b":path".to_vec(), message.target.clone()),
        (b":scheme".to_vec(), b"http".to_vec()),
        (b":authority".to_vec(), authority.as_bytes().to_vec()),
    ];
    // A mebibyte says no more than what is too long already.
    let short = message.headers.iter().filter(|(_, value)| value.len() < 20_000);
    headers.extend(short.map(|(name, value)| (name.clone(), value.clone())));
    for (name, value) in &mut headers {
        tidy(name, value);
    }
    Sent { headers, body: message.body.clone() }
}
