//! What of a message a signature covers (RFC 9421, 2).

use std::borrow::Cow;

use super::fields::{Bare, Dictionary, Item, List};
use super::message::Message;
use super::query;
use super::signature::Refused;

/// What type of structured field a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    Item,
    List,
    Dictionary,
}

/// Fields that IANA's registry of HTTP fields calls structured, so far as requests or responses have a use for them.
const REGISTERED: &[(&str, Structure)] = &[
    ("accept-signature", Structure::Dictionary),
    ("cache-status", Structure::List),
    ("cdn-cache-control", Structure::Dictionary),
    ("client-cert", Structure::Item),
    ("client-cert-chain", Structure::List),
    ("content-digest", Structure::Dictionary),
    ("priority", Structure::Dictionary),
    ("proxy-status", Structure::List),
    ("repr-digest", Structure::Dictionary),
    ("signature", Structure::Dictionary),
    ("signature-input", Structure::Dictionary),
    ("want-content-digest", Structure::Dictionary),
    ("want-repr-digest", Structure::Dictionary),
];

/// Which fields are known to be structured: the registered ones, and those an operator names.
#[derive(Clone, Debug, Default)]
pub struct Structures {
    named: Vec<(String, Structure)>,
}

impl Structures {
    /// `named` are in lower case, and count before the registered ones.
    #[must_use]
    pub fn new(named: Vec<(String, Structure)>) -> Self {
        Self { named }
    }

    fn of(&self, name: &str) -> Option<Structure> {
        let mut known = self
            .named
            .iter()
            .map(|(name, structure)| (name.as_str(), *structure))
            .chain(REGISTERED.iter().copied());
        known.find(|(known, _)| *known == name).map(|(_, structure)| structure)
    }
}

/// How the lines of a covered field are told apart where the proxy in front of us has joined them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    AsSeen,
    /// With a space after each comma outside of quotes, as RFC 9421, 2.1 joins lines. Envoy joins some fields without.
    AfterCommas,
}

/// A component identifier that can be looked up in a request.
#[derive(Debug)]
pub struct Component<'a> {
    name: &'a str,
    kind: Kind<'a>,
}

#[derive(Debug)]
enum Kind<'a> {
    Method,
    TargetUri,
    Authority,
    Scheme,
    RequestTarget,
    Path,
    Query,
    QueryParameter(&'a str),
    Status,
    Field,
    Structured(Structure),
    Member(&'a str),
    Bytes,
}

impl<'a> Component<'a> {
    /// Reads an identifier. Each has at most one parameter here: those that RFC 9421 lets stand together concern trailers and the request
    /// of a response, of which nothing can be known when a request's headers are judged.
    ///
    /// # Errors
    /// [`Refused::Malformed`] for what is no identifier, [`Refused::Unsupported`] for one that is not understood.
    pub fn parse(item: &'a Item<'a>, structures: &Structures) -> Result<Self, Refused> {
        let name = item.string().ok_or(Refused::Malformed)?;
        let mut parameters = item.parameters.iter();
        let kind = match (parameters.next(), parameters.next()) {
            (None, None) => Self::plain(name),
            (Some((parameter, value)), None) => Self::with(name, parameter, value, structures),
            _ => None,
        };
        Ok(Self { name, kind: kind.ok_or(Refused::Unsupported)? })
    }

    fn plain(name: &str) -> Option<Kind<'static>> {
        Some(match name {
            "@method" => Kind::Method,
            "@target-uri" => Kind::TargetUri,
            "@authority" => Kind::Authority,
            "@scheme" => Kind::Scheme,
            "@request-target" => Kind::RequestTarget,
            "@path" => Kind::Path,
            "@query" => Kind::Query,
            "@status" => Kind::Status,
            field if is_field_name(field) => Kind::Field,
            _ => return None,
        })
    }

    fn with(name: &str, parameter: &str, value: &'a Bare<'a>, structures: &Structures) -> Option<Kind<'a>> {
        let set = value.as_boolean() == Some(true);
        let text = value.as_string().map(sfv::StringRef::as_str);
        Some(match (name, parameter) {
            ("@query-param", "name") => Kind::QueryParameter(text?),
            (field, _) if !is_field_name(field) => return None,
            (field, "sf") if set => Kind::Structured(structures.of(field)?),
            (field, "key") if structures.of(field) == Some(Structure::Dictionary) => Kind::Member(text?),
            (_, "bs") if set => Kind::Bytes,
            _ => return None,
        })
    }

    /// The name, where the component is the whole of what it names and not a member or a parameter of it.
    #[must_use]
    pub fn whole(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Member(_) | Kind::QueryParameter(_) => None,
            _ => Some(self.name),
        }
    }

    /// The name and the key, where the component is a member of a dictionary.
    #[must_use]
    pub fn member(&self) -> Option<(&'a str, &'a str)> {
        match self.kind {
            Kind::Member(key) => Some((self.name, key)),
            _ => None,
        }
    }

    /// The component's value in this message.
    ///
    /// # Errors
    /// [`Refused::Absent`] where the message has none.
    pub fn value<'m>(&self, message: &Message<'m>, spacing: Spacing) -> Result<Cow<'m, [u8]>, Refused> {
        self.find(message, spacing).ok_or(Refused::Absent)
    }

    fn find<'m>(&self, message: &Message<'m>, spacing: Spacing) -> Option<Cow<'m, [u8]>> {
        Some(match &self.kind {
            Kind::Method => message.method?.into(),
            Kind::Scheme => message.scheme?.to_ascii_lowercase().into(),
            Kind::Authority => authority(message)?.into(),
            Kind::TargetUri => target_uri(message)?.into(),
            Kind::RequestTarget => match message.method? {
                b"CONNECT" => message.authority?.into(),
                _ => message.target?.into(),
            },
            Kind::Path => path(message.target?)?.0.into(),
            Kind::Query => match path(message.target?)?.1 {
                b"" => Cow::Borrowed(b"?"),
                query => query.into(),
            },
            Kind::QueryParameter(name) => query::parameter(message.target?, name)?.into_bytes().into(),
            Kind::Status => message.status?.into(),
            Kind::Field => field(message, self.name, spacing)?.into(),
            Kind::Structured(structure) => structured(&message.joined(self.name)?, *structure)?.into(),
            Kind::Member(key) => member(&message.joined(self.name)?, key)?.into(),
            Kind::Bytes => wrapped(message, self.name)?.into(),
        })
    }
}

/// Whether this names a component without parameters: a field, or what can be derived of a message.
#[must_use]
pub fn is_whole(name: &str) -> bool {
    Component::plain(name).is_some()
}

/// A token (RFC 9110, 5.6.2) without upper case.
fn is_field_name(name: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| of_token(byte) && !byte.is_ascii_uppercase())
}

/// In lower case and without the scheme's own port: RFC 9110, 4.2.3.
fn authority(message: &Message<'_>) -> Option<Vec<u8>> {
    let authority = message.authority?.to_ascii_lowercase();
    // Whoever names a user there means to be misread.
    if authority.is_empty() || authority.contains(&b'@') {
        return None;
    }
    let default: &[u8] = match message.scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => b":443",
        Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => b":80",
        _ => b"",
    };
    Some(authority.strip_suffix(default).unwrap_or(&authority).to_vec())
}

fn target_uri(message: &Message<'_>) -> Option<Vec<u8>> {
    let target = message.target?;
    let (path, query) = path(target)?;
    let scheme = message.scheme?.to_ascii_lowercase();
    Some([&scheme[..], b"://", &authority(message)?, path, query].concat())
}

/// The path, and the query with its `?`. A fragment has no place in a request, and an empty path is `/`.
fn path(target: &[u8]) -> Option<(&[u8], &[u8])> {
    if target.contains(&b'#') {
        return None;
    }
    let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at_checked(end)?;
    Some((if path.is_empty() { b"/" } else { path }, query))
}

/// All lines of a field as one value. Envoy shows an HTTP/1 `host` as `:authority` only.
fn field(message: &Message<'_>, name: &str, spacing: Spacing) -> Option<Vec<u8>> {
    let value = match (message.joined(name), message.authority) {
        (None, Some(authority)) if name == "host" => authority.to_vec(),
        (Some(_), Some(_)) if name == "host" => return None,
        (value, _) => value?,
    };
    match spacing {
        Spacing::AsSeen => Some(value),
        Spacing::AfterCommas => Some(spaced(&value)),
    }
}

fn spaced(value: &[u8]) -> Vec<u8> {
    let mut spaced = Vec::with_capacity(value.len().saturating_add(8));
    let (mut quoted, mut escaped) = (false, false);
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        spaced.push(byte);
        (quoted, escaped) = match byte {
            _ if escaped => (quoted, false),
            b'"' => (!quoted, false),
            b'\\' => (quoted, quoted),
            _ => (quoted, false),
        };
        if byte == b',' && !quoted && !matches!(bytes.peek(), Some(b' ' | b'\t')) {
            spaced.push(b' ');
        }
    }
    spaced
}

/// Written anew as structured field (RFC 9421, 2.1.1).
fn structured(value: &[u8], structure: Structure) -> Option<Vec<u8>> {
    let mut text = String::new();
    match structure {
        Structure::Item => Item::parse(value).ok()?.write(&mut text),
        Structure::List => List::parse(value).ok()?.write(&mut text),
        Structure::Dictionary => Dictionary::parse(value).ok()?.write(&mut text),
    }
    Some(text.into_bytes())
}

/// The value of one member of a dictionary (RFC 9421, 2.1.2).
fn member(value: &[u8], key: &str) -> Option<Vec<u8>> {
    let dictionary = Dictionary::parse(value).ok().filter(|dictionary| !dictionary.is_repetitive())?;
    let mut text = String::new();
    dictionary.get(key)?.write(&mut text);
    Some(text.into_bytes())
}

/// Each line as a byte sequence of a list (RFC 9421, 2.1.3).
fn wrapped(message: &Message<'_>, name: &str) -> Option<Vec<u8>> {
    let mut list = sfv::ListSerializer::new();
    for line in message.values(name) {
        let _ = list.bare_item(line);
    }
    list.finish().map(String::into_bytes)
}

#[cfg(test)]
mod tests;
