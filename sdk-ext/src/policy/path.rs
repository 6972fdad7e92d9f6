//! The canonical form of a request path, for matching only: what is forwarded stays as it came.
//! A path that two servers would read differently is never matched on a guess.

use std::fmt;

/// What a request target's path says, or why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathReading {
    Canonical(CanonicalPath),
    /// Well formed, but servers differ in what it names.
    Ambiguous(Ambiguity),
    /// No server should be asked to read this.
    Refused(PathRefusal),
}

/// A path without query, dot segments, empty segments or needless escapes. Starts with `/`, or is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath {
    strict: String,
    lenient: Option<String>,
}

impl CanonicalPath {
    /// The reading of RFC 3986 (6.2.2, 5.2.4): only unreserved characters are unescaped; `;` is an ordinary character.
    pub fn as_str(&self) -> &str {
        &self.strict
    }

    /// What a server reads that unescapes every printable character, drops `;parameters` and merges slashes before it
    /// resolves dot segments; `None` where that is the same path. A rule that protects something must hold on both.
    pub fn lenient(&self) -> Option<&str> {
        self.lenient.as_deref()
    }

    /// The same path for servers that do not distinguish case.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self {
            strict: self.strict.to_ascii_lowercase(),
            lenient: self.lenient.as_ref().map(|path| path.to_ascii_lowercase()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// `%2F`
    EncodedSlash,
    /// `%5C`
    EncodedBackslash,
    /// `%2E`
    EncodedDot,
    /// `%25`, and so every double encoding
    EncodedPercent,
    /// `\`, which some servers take for `/`
    Backslash,
    /// `..;x` or `.;x`, a dot segment to servers that drop parameters first
    DotSegmentWithParameter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRefusal {
    Empty,
    /// Neither `/…` nor `*`
    NotAbsolute,
    /// A space or a control byte, as it is or as `%xx`
    Control,
    /// A byte of 0x80 or above, unescaped
    NonAscii,
    /// `%` without two hexadecimal digits after it
    BadEscape,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncodedSlash => "an encoded slash (%2F)",
            Self::EncodedBackslash => "an encoded backslash (%5C)",
            Self::EncodedDot => "an encoded dot (%2E)",
            Self::EncodedPercent => "an encoded percent sign (%25)",
            Self::Backslash => "a backslash",
            Self::DotSegmentWithParameter => "a dot segment with a `;` parameter",
        })
    }
}

impl fmt::Display for PathRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing in it",
            Self::NotAbsolute => "no `/` at its start",
            Self::Control => "a space or control byte",
            Self::NonAscii => "an unescaped byte above 0x7F",
            Self::BadEscape => "a `%` without two hexadecimal digits",
        })
    }
}

/// Reads the `:path` of a request. Everything from the first `?` or `#` on is not path.
pub fn read_path(target: &[u8]) -> PathReading {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
    let raw = target.get(..end).unwrap_or(target);
    if raw.is_empty() {
        return PathReading::Refused(PathRefusal::Empty);
    }
    plain(raw).unwrap_or_else(|| read_closely(raw))
}

/// Nearly every path: canonical as it stands, and nothing in it that any server reads otherwise.
fn plain(raw: &[u8]) -> Option<PathReading> {
    let mut before = None;
    for byte in raw {
        let ordinary = byte.is_ascii_graphic() && !matches!(byte, b'%' | b';' | b'\\');
        let starts_oddly = match before {
            None => *byte != b'/',
            Some(b'/') => matches!(byte, b'/' | b'.'),
            Some(_) => false,
        };
        if !ordinary || starts_oddly {
            return None;
        }
        before = Some(*byte);
    }
    before?;
    let strict = std::str::from_utf8(raw).ok()?.to_owned();
    Some(PathReading::Canonical(CanonicalPath { strict, lenient: None }))
}

fn read_closely(raw: &[u8]) -> PathReading {
    let unescaped = match unescape_unreserved(raw) {
        Ok(unescaped) => unescaped,
        Err(Unreadable::Refused(why)) => return PathReading::Refused(why),
        Err(Unreadable::Ambiguous(why)) => return PathReading::Ambiguous(why),
    };
    if unescaped == "*" {
        return PathReading::Canonical(CanonicalPath { strict: unescaped, lenient: None });
    }
    let Some(path) = unescaped.strip_prefix('/') else {
        return PathReading::Refused(PathRefusal::NotAbsolute);
    };
    if path.split('/').any(is_dot_segment_with_parameter) {
        return PathReading::Ambiguous(Ambiguity::DotSegmentWithParameter);
    }
    let strict = resolve(path, false);
    let lenient = resolve(&unescape_printable(path), true);
    let lenient = (lenient != strict).then_some(lenient);
    PathReading::Canonical(CanonicalPath { strict, lenient })
}

enum Unreadable {
    Refused(PathRefusal),
    Ambiguous(Ambiguity),
}

/// RFC 3986, 6.2.2.2 and 6.2.2.1: escapes of unreserved characters go, the digits of the others become capital.
/// A refusal anywhere in the path outranks an ambiguity before it.
fn unescape_unreserved(raw: &[u8]) -> Result<String, Unreadable> {
    let mut out = Vec::with_capacity(raw.len());
    let mut ambiguity = None;
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0..=b' ' | 0x7F => return Err(Unreadable::Refused(PathRefusal::Control)),
            0x80.. => return Err(Unreadable::Refused(PathRefusal::NonAscii)),
            b'\\' => {
                ambiguity = ambiguity.or(Some(Ambiguity::Backslash));
            }
            b'%' => {
                let decoded = hex_pair(bytes.next(), bytes.next())
                    .ok_or(Unreadable::Refused(PathRefusal::BadEscape))?;
                match decoded {
                    0..0x20 | 0x7F => return Err(Unreadable::Refused(PathRefusal::Control)),
                    b'/' => ambiguity = ambiguity.or(Some(Ambiguity::EncodedSlash)),
                    b'\\' => ambiguity = ambiguity.or(Some(Ambiguity::EncodedBackslash)),
                    b'.' => ambiguity = ambiguity.or(Some(Ambiguity::EncodedDot)),
                    b'%' => ambiguity = ambiguity.or(Some(Ambiguity::EncodedPercent)),
                    b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'~' => {
                        out.push(decoded);
                    }
                    _ => out.extend_from_slice(&escape(decoded)),
                }
            }
            _ => out.push(byte),
        }
    }
    match ambiguity {
        Some(why) => Err(Unreadable::Ambiguous(why)),
        None => String::from_utf8(out).map_err(|_| Unreadable::Refused(PathRefusal::NonAscii)),
    }
}

/// Every escape of a printable character undone. The input's escapes are known to be whole.
fn unescape_printable(path: &str) -> String {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = if byte == b'%' { hex_pair(bytes.next(), bytes.next()) } else { Some(byte) };
        match decoded {
            Some(printable @ b'!'..=b'~') => out.push(printable),
            Some(other) => out.extend_from_slice(&escape(other)),
            None => out.push(b'%'),
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

fn hex_pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

fn escape(byte: u8) -> [u8; 3] {
    let digit =
        |nibble: u8| if nibble < 10 { nibble | b'0' } else { nibble.wrapping_sub(10).wrapping_add(b'A') };
    [b'%', digit(byte >> 4), digit(byte & 0x0F)]
}

fn is_dot_segment_with_parameter(segment: &str) -> bool {
    matches!(segment.split_once(';'), Some(("." | "..", _)))
}

fn without_parameter(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(name, _)| name)
}

/// RFC 3986, 5.2.4: dot segments go, and `..` above the root stays at the root. So do empty segments, but for the slash at the end:
/// from the lenient reading before dot segments are looked at, so that `//..` goes up by one more, and with parameters.
fn resolve(path: &str, lenient: bool) -> String {
    let (mut kept, mut last) = (Vec::new(), "");
    for segment in path.split('/') {
        last = if lenient { without_parameter(segment) } else { segment };
        match last {
            "." => {}
            ".." => drop(kept.pop()),
            "" if lenient => {}
            _ => kept.push(last),
        }
    }
    let mut out = String::new();
    for segment in kept.into_iter().filter(|segment| !segment.is_empty()) {
        out.push('/');
        out.push_str(segment);
    }
    if matches!(last, "" | "." | "..") {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One word a row says: `=/path`, `=/path ~/lenient`, `?Ambiguity` or `!Refusal`.
    fn says(target: &[u8]) -> String {
        match read_path(target) {
            PathReading::Canonical(path) => match path.lenient() {
                None => format!("={}", path.as_str()),
                Some(lenient) => format!("={} ~{lenient}", path.as_str()),
            },
            PathReading::Ambiguous(why) => format!("?{why:?}"),
            PathReading::Refused(why) => format!("!{why:?}"),
        }
    }

    #[test]
    fn every_spelling_of_a_path_has_one_reading() {
        let table: &[(&[u8], &str)] = &[
            // The spellings that passed native path rules unauthenticated.
            (b"/%61dmin/x", "=/admin/x"),
            (b"/./admin/x", "=/admin/x"),
            (b"//admin/x", "=/admin/x"),
            (b"/public/../admin/x", "=/admin/x"),
            (b"/public/..;/admin/x", "?DotSegmentWithParameter"),
            (b"/Admin/x", "=/Admin/x"),
            // What is path and what is not.
            (b"/a?b=/../c", "=/a"),
            (b"/a#/../b", "=/a"),
            (b"/a%3Fb", "=/a%3Fb ~/a?b"),
            (b"*", "=*"),
            (b"", "!Empty"),
            (b"?x", "!Empty"),
            (b"admin", "!NotAbsolute"),
            (b"http://h/admin", "!NotAbsolute"),
            (b"**", "!NotAbsolute"),
            // Dot segments and slashes.
            (b"/", "=/"),
            (b"///", "=/"),
            (b"/..", "=/"),
            (b"/../../x", "=/x"),
            (b"/a/.", "=/a/"),
            (b"/a/..", "=/"),
            (b"/a/b/..", "=/a/"),
            (b"/a/b/../../c/./d", "=/c/d"),
            (b"/a//b///", "=/a/b/"),
            (b"/a//../b", "=/a/b ~/b"),
            (b"/...", "=/..."),
            (b"/.well-known/x", "=/.well-known/x"),
            // Escapes.
            (b"/%7Euser/%2d%5F", "=/~user/-_"),
            (b"/caf%c3%a9", "=/caf%C3%A9"),
            (b"/a%20b", "=/a%20b"),
            (b"/%40admin", "=/%40admin ~/@admin"),
            (b"/%2e%2e/admin", "?EncodedDot"),
            (b"/file%2Etxt", "?EncodedDot"),
            (b"/a%2fb", "?EncodedSlash"),
            (b"/a%2Fb", "?EncodedSlash"),
            (b"/a%5cb", "?EncodedBackslash"),
            (b"/a\\b", "?Backslash"),
            (b"/%2561dmin", "?EncodedPercent"),
            (b"/%252e%252e/x", "?EncodedPercent"),
            (b"/public/.;x/admin", "?DotSegmentWithParameter"),
            (b"/admin;v=1/x", "=/admin;v=1/x ~/admin/x"),
            (b"/;/admin", "=/;/admin ~/admin"),
            (b"/public/..%3B/admin", "=/public/..%3B/admin ~/admin"),
            // Refused outright, also behind an ambiguity.
            (b"/a\0b", "!Control"),
            (b"/a b", "!Control"),
            (b"/a\x7f", "!Control"),
            (b"/a%00", "!Control"),
            (b"/a%0d%0aset-cookie", "!Control"),
            (b"/caf\xc3\xa9", "!NonAscii"),
            (b"/\xff\xfe", "!NonAscii"),
            (b"/%", "!BadEscape"),
            (b"/%4", "!BadEscape"),
            (b"/%zz", "!BadEscape"),
            (b"/%u0061dmin", "!BadEscape"),
            (b"/%+41", "!BadEscape"),
            (b"/%2f/%zz", "!BadEscape"),
        ];
        for (target, expected) in table {
            assert_eq!(says(target), *expected, "{}", target.escape_ascii());
        }
    }

    #[test]
    fn a_canonical_path_is_its_own_canonical_path() {
        for target in ["/a/../b//c", "/%61/%c3%a9/.", "/a;b/./c", "/x//../y"] {
            let PathReading::Canonical(once) = read_path(target.as_bytes()) else { panic!("{target}") };
            let PathReading::Canonical(twice) = read_path(once.as_str().as_bytes()) else {
                panic!("{target}")
            };
            assert_eq!(once.as_str(), twice.as_str());
        }
    }

    #[test]
    fn what_is_taken_as_it_stands_is_what_close_reading_makes_of_it() {
        let pieces = ["/", "a", ".", "..", ";", "%61", "%2f", "\\", "-~!@", "\u{e9}", " ", "*", "//", "/.a"];
        let mut taken = 0;
        for n in 0..pieces.len().pow(4) {
            let piece = |place: u32| pieces[n / pieces.len().pow(place) % pieces.len()];
            let path = format!("/{}{}{}{}", piece(0), piece(1), piece(2), piece(3));
            if let Some(reading) = plain(path.as_bytes()) {
                assert_eq!(reading, read_closely(path.as_bytes()), "{path}");
                taken += 1;
            }
        }
        assert!(taken > 500, "only {taken} paths were plain");
        assert_eq!([&b"*"[..], b"a", b""].map(plain), [None, None, None]);
    }

    #[test]
    fn case_is_kept_unless_folded() {
        let PathReading::Canonical(path) = read_path(b"/Admin;A/X") else { panic!("canonical") };
        assert_eq!((path.folded().as_str(), path.folded().lenient()), ("/admin;a/x", Some("/admin/x")));
    }
}
