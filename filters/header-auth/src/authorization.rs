//! The grammar of the `authorization` field: RFC 9110, 11.4 and 11.6.2, without its leniencies.

use std::fmt;

/// One set of credentials, as the field allows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Authorization<'a> {
    pub scheme: &'a [u8],
    pub credentials: Credentials<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// The scheme alone
    None,
    Token68(&'a [u8]),
    Parameters,
}

/// The form alone: a token is a credential.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token68(_) => "Token68(…)",
            Self::Parameters => "Parameters",
        })
    }
}

impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.scheme.escape_ascii(), self.credentials)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCredentials;

impl<'a> Authorization<'a> {
    /// # Errors
    /// Anything but one scheme with one `token68` or a list of parameters: so two fields joined by a comma, trailing
    /// bytes, tabs, control bytes, bytes above 0x7F.
    pub fn parse(value: &'a [u8]) -> Result<Self, NotCredentials> {
        let (scheme, rest) = take_while(value, is_token);
        let (spaces, rest) = take_while(rest, |byte| byte == b' ');
        if scheme.is_empty() {
            return Err(NotCredentials);
        }
        let credentials = match rest {
            [] if spaces.is_empty() => Credentials::None,
            _ if spaces.is_empty() => return Err(NotCredentials),
            token if is_token68(token) => Credentials::Token68(token),
            list if are_parameters(list) => Credentials::Parameters,
            _ => return Err(NotCredentials),
        };
        Ok(Self { scheme, credentials })
    }

    pub fn is_scheme(&self, name: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(name.as_bytes())
    }
}

fn take_while(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !wanted(*byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// RFC 9110, 5.6.2: `tchar`.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// For each byte of every token that comes: a load, where a comparison with each character is a dozen.
const TOKEN68: [bool; 256] = {
    let mut table = [false; 256];
    let (mut rest, mut byte) = (table.as_mut_slice(), 0_u8);
    while let Some((first, others)) = rest.split_first_mut() {
        *first = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        (rest, byte) = (others, byte.wrapping_add(1));
    }
    table
};

fn is_token68(bytes: &[u8]) -> bool {
    let (body, padding) = take_while(bytes, |byte| matches!(TOKEN68.get(usize::from(byte)), Some(true)));
    !body.is_empty() && padding.iter().all(|byte| *byte == b'=')
}

/// At least one `name=value`, values being tokens or quoted strings, with single commas between them.
fn are_parameters(mut rest: &[u8]) -> bool {
    loop {
        let (name, after) = take_while(rest, is_token);
        let Some(value) = after.strip_prefix(b"=") else {
            return false;
        };
        let after = match value.strip_prefix(b"\"") {
            Some(quoted) => match after_quoted_string(quoted) {
                Some(after) => after,
                None => return false,
            },
            None => {
                let (token, after) = take_while(value, is_token);
                if token.is_empty() {
                    return false;
                }
                after
            }
        };
        if name.is_empty() {
            return false;
        }
        let (_, after) = take_while(after, |byte| byte == b' ');
        match after.strip_prefix(b",") {
            Some(next) => rest = take_while(next, |byte| byte == b' ').1,
            None => return after.is_empty(),
        }
    }
}

fn after_quoted_string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b' '..=b'~', after @ ..] => after,
            [b'\\', ..] => return None,
            [b' '..=b'~', after @ ..] => after,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scheme_with_one_token_or_parameters_is_read() {
        let table: &[(&[u8], &str, Credentials<'_>)] = &[
            (b"Basic YTpi", "basic", Credentials::Token68(b"YTpi")),
            (b"bAsIc   YTpiYw==", "Basic", Credentials::Token68(b"YTpiYw==")),
            (b"Bearer a.b-c_d~e+f/g", "BEARER", Credentials::Token68(b"a.b-c_d~e+f/g")),
            (b"Negotiate", "negotiate", Credentials::None),
            (b"Digest username=\"a, \\\"b\", qop=auth", "digest", Credentials::Parameters),
        ];
        for (value, scheme, credentials) in table {
            let parsed = Authorization::parse(value).unwrap();
            assert!(parsed.is_scheme(scheme));
            assert_eq!(parsed.credentials, *credentials, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn what_is_shown_of_credentials_is_their_form() {
        let shown = format!("{:?}", Authorization::parse(b"Bearer hunter2"));
        assert_eq!(shown, "Ok(Bearer Token68(…))");
    }

    #[test]
    fn anything_else_is_refused() {
        let table: &[&[u8]] = &[
            b"",
            b" Basic YTpi",
            b"Basic ",
            b"Basic\tYTpi",
            b"Basic YTpi ",
            b"Basic YTpi x",
            b"Basic YTpi,Basic YTpi",
            b"Basic YTpi, Basic YTpi",
            b"Digest x,Basic YTpi",
            b"Digest a=b,Basic YTpi",
            b"Basic YT=p=i",
            b"Basic ====",
            b"Basic YT\x00pi",
            b"Basic \xff\xfe",
            b"B@sic YTpi",
            b"Digest a=,b=c",
            b"Digest a=b,",
            b"Digest a=b,,c=d",
            b"Digest =b",
            b"Digest a=\"b",
            b"Digest a=\"b\xff\"",
        ];
        for value in table {
            assert_eq!(Authorization::parse(value), Err(NotCredentials), "{}", value.escape_ascii());
        }
    }
}
