//! Where in a request a credential may stand, how it is taken from there without guessing, and how it is taken away.

use std::borrow::Cow;

use crate::authorization::{Authorization, Credentials};

/// Name and value as the proxy gave them, pseudo headers included.
pub type Header<'a> = (&'a [u8], &'a [u8]);

/// One place of a request that may carry a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The whole value of a header field; the name in lower case
    Header(String),
    /// The token of an `authorization` field of this scheme
    Scheme(String),
    /// The value of a query parameter
    Query(String),
    /// The value of a cookie
    Cookie(String),
}

/// Why a credential that is there is not even looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// More than one, so that two readers could take different ones
    Duplicate,
    /// Not of the form its place demands
    Malformed,
    /// Longer than `max_credential_bytes`
    TooLong,
}

/// The one credential that `sources` carry together, if any.
///
/// # Errors
/// A flaw anywhere in them; a second credential, also in another source.
pub fn present<'a>(
    sources: &[Source],
    headers: &[Header<'a>],
    limit: usize,
) -> Result<Option<Cow<'a, [u8]>>, Flaw> {
    let mut found = None;
    for source in sources {
        if let Some(credential) = source.take(headers, limit)? {
            if found.is_some() {
                return Err(Flaw::Duplicate);
            }
            found = Some(credential);
        }
    }
    Ok(found)
}

impl Source {
    fn take<'a>(&self, headers: &[Header<'a>], limit: usize) -> Result<Option<Cow<'a, [u8]>>, Flaw> {
        let taken = match self {
            Self::Header(name) => only(headers, name)?.map(Cow::Borrowed),
            Self::Scheme(scheme) => {
                return token_of(headers, scheme, limit).map(|token| token.map(Cow::Borrowed));
            }
            Self::Query(name) => query_value(headers, name, limit)?,
            Self::Cookie(name) => cookie_value(headers, name)?.map(Cow::Borrowed),
        };
        match taken {
            Some(value) if value.len() > limit => Err(Flaw::TooLong),
            Some(value) if value.is_empty() || !value.iter().copied().all(is_key_byte) => {
                Err(Flaw::Malformed)
            }
            taken => Ok(taken),
        }
    }
}

/// The token68 of the one `authorization` field, if it is of this scheme. Another scheme is somebody else's, but
/// its field must still be one well-formed field.
///
/// # Errors
/// Two fields, one out of grammar or longer than `limit`, this scheme with anything but one token68.
pub fn token_of<'a>(headers: &[Header<'a>], scheme: &str, limit: usize) -> Result<Option<&'a [u8]>, Flaw> {
    let Some(value) = only(headers, "authorization")? else {
        return Ok(None);
    };
    if value.len() > limit {
        return Err(Flaw::TooLong);
    }
    let field = Authorization::parse(value).map_err(|_| Flaw::Malformed)?;
    match field.credentials {
        _ if !field.is_scheme(scheme) => Ok(None),
        Credentials::Token68(token) => Ok(Some(token)),
        Credentials::None | Credentials::Parameters => Err(Flaw::Malformed),
    }
}

/// Keys are visible ASCII without what joins or quotes values somewhere on the way: `,` `;` `"` and `\`.
#[inline]
fn is_key_byte(byte: u8) -> bool {
    matches!(KEY_BYTES.get(usize::from(byte)), Some(true))
}

const KEY_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let (mut rest, mut byte) = (table.as_mut_slice(), 0_u8);
    while let Some((first, others)) = rest.split_first_mut() {
        *first = byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"' | b'\\');
        (rest, byte) = (others, byte.wrapping_add(1));
    }
    table
};

/// Most names differ in their length.
#[inline]
fn is_named(given: &[u8], name: &str) -> bool {
    given.len() == name.len() && given.eq_ignore_ascii_case(name.as_bytes())
}

fn values<'a>(headers: &[Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |(given, _)| is_named(given, name)).map(|(_, value)| *value)
}

/// The value of a field that may occur once.
///
/// # Errors
/// It occurs twice.
pub fn only<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a [u8]>, Flaw> {
    let mut found = None;
    for (given, value) in headers {
        if is_named(given, name) && found.replace(*value).is_some() {
            return Err(Flaw::Duplicate);
        }
    }
    Ok(found)
}

fn query_value<'a>(headers: &[Header<'a>], name: &str, limit: usize) -> Result<Option<Cow<'a, [u8]>>, Flaw> {
    let Some(query) = only(headers, ":path")?.and_then(query_of) else {
        return Ok(None);
    };
    let mut found = None;
    for pair in query.split(|byte| *byte == b'&').filter(|pair| is_parameter(pair, name)) {
        if found.is_some() {
            return Err(Flaw::Duplicate);
        }
        let value = split_at(pair, b'=').map_or(&[][..], |(_, value)| value);
        if value.len() > limit {
            return Err(Flaw::TooLong);
        }
        // Half the servers read `+` as a space here and half do not.
        if value.contains(&b'+') {
            return Err(Flaw::Malformed);
        }
        found = Some(unescape(value).ok_or(Flaw::Malformed)?);
    }
    Ok(found)
}

/// Whether `pair` names this parameter in any spelling.
fn is_parameter(pair: &[u8], name: &str) -> bool {
    let given = split_at(pair, b'=').map_or(pair, |(given, _)| given);
    unescape(given).is_some_and(|given| *given == *name.as_bytes())
}

fn cookie_value<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a [u8]>, Flaw> {
    let mut found = values(headers, "cookie")
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter(|crumb| is_cookie(crumb, name))
        .map(|crumb| split_at(crumb, b'=').map_or(&[][..], |(_, value)| value.trim_ascii()));
    let first = found.next();
    if found.next().is_some() { Err(Flaw::Duplicate) } else { Ok(first) }
}

fn is_cookie(crumb: &[u8], name: &str) -> bool {
    let given = split_at(crumb, b'=').map_or(crumb, |(given, _)| given);
    given.trim_ascii() == name.as_bytes()
}

fn split_at(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    match bytes.split_at_checked(at)? {
        (head, [_, tail @ ..]) => Some((head, tail)),
        _ => None,
    }
}

fn query_of(target: &[u8]) -> Option<&[u8]> {
    let target = target.split(|byte| *byte == b'#').next()?;
    split_at(target, b'?').map(|(_, query)| query)
}

/// `None` where a `%` is not followed by two hexadecimal digits.
fn unescape(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !bytes.contains(&b'%') {
        return Some(Cow::Borrowed(bytes));
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut plain = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' { (digit(bytes.next()?)? << 4) | digit(bytes.next()?)? } else { byte });
    }
    Some(Cow::Owned(plain))
}

/// Bytes of the configuration, or made for one request.
pub type Text<'p> = Cow<'p, [u8]>;

/// A change to the request's header block.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit<'p> {
    /// Every field of this name
    Remove(Text<'p>),
    /// One field of this name instead of any there is
    Set(Text<'p>, Text<'p>),
    /// One more field of this name
    Add(Text<'p>, Text<'p>),
}

impl std::fmt::Debug for Edit<'_> {
    /// Values may be credentials, so only names are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Remove(name) => write!(f, "Remove({})", name.escape_ascii()),
            Self::Set(name, _) => write!(f, "Set({})", name.escape_ascii()),
            Self::Add(name, _) => write!(f, "Add({})", name.escape_ascii()),
        }
    }
}

/// The edits that take the credentials of these sources out of a request.
pub fn hide<'p>(
    sources: impl Iterator<Item = &'p Source> + Clone,
    headers: &[Header<'_>],
    edits: &mut Vec<Edit<'p>>,
) {
    let mut names: Vec<&str> = Vec::new();
    for source in sources.clone() {
        let name = match source {
            Source::Header(name) => name.as_str(),
            Source::Scheme(scheme) if carries_scheme(headers, scheme) => "authorization",
            Source::Scheme(_) | Source::Query(_) | Source::Cookie(_) => continue,
        };
        if !names.contains(&name) && values(headers, name).next().is_some() {
            names.push(name);
            edits.push(Edit::Remove(name.as_bytes().into()));
        }
    }
    if sources.clone().any(|source| matches!(source, Source::Query(_))) {
        edits.extend(hide_parameters(sources.clone(), headers));
    }
    if sources.clone().any(|source| matches!(source, Source::Cookie(_))) {
        edits.extend(hide_cookies(sources, headers));
    }
}

fn carries_scheme(headers: &[Header<'_>], scheme: &str) -> bool {
    matches!(token_of(headers, scheme, usize::MAX), Ok(Some(_)))
}

fn hide_parameters<'p>(
    sources: impl Iterator<Item = &'p Source> + Clone,
    headers: &[Header<'_>],
) -> Option<Edit<'p>> {
    let path = values(headers, ":path").next()?;
    let (before, query) = split_at(path, b'?')?;
    let is_credential = |pair: &&[u8]| {
        sources.clone().any(|source| matches!(source, Source::Query(name) if is_parameter(pair, name)))
    };
    let pairs: Vec<&[u8]> = query.split(|byte| *byte == b'&').collect();
    if !pairs.iter().any(is_credential) {
        return None;
    }
    let kept: Vec<&[u8]> = pairs.into_iter().filter(|pair| !is_credential(pair)).collect();
    let mut path = before.to_vec();
    if !kept.is_empty() {
        path.push(b'?');
        path.extend(kept.join(&b'&'));
    }
    Some(Edit::Set(b":path".into(), path.into()))
}

fn hide_cookies<'p>(
    sources: impl Iterator<Item = &'p Source> + Clone,
    headers: &[Header<'_>],
) -> Vec<Edit<'p>> {
    let is_credential = |crumb: &&[u8]| {
        sources.clone().any(|source| matches!(source, Source::Cookie(name) if is_cookie(crumb, name)))
    };
    let crumbs = |line: &'_ [u8]| line.split(|byte| *byte == b';').any(|crumb| is_credential(&crumb));
    if !values(headers, "cookie").any(crumbs) {
        return Vec::new();
    }
    let mut edits = vec![Edit::Remove(b"cookie".into())];
    for line in values(headers, "cookie") {
        let kept: Vec<&[u8]> = line
            .split(|byte| *byte == b';')
            .filter(|crumb| !is_credential(crumb))
            .map(<[u8]>::trim_ascii)
            .filter(|crumb| !crumb.is_empty())
            .collect();
        if !kept.is_empty() {
            edits.push(Edit::Add(b"cookie".into(), kept.join(&b"; "[..]).into()));
        }
    }
    edits
}

#[cfg(test)]
mod tests;
