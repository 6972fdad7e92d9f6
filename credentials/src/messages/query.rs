//! Parameters of a query, as `@query-param` wants them: read as forms are (application/x-www-form-urlencoded, WHATWG URL), written in percent
//! encoding (RFC 9421, 2.2.8).

/// The value of the one parameter of this name, both in percent encoding.
///
/// `None` where there is none or more than one, and where names or values are no UTF-8: different bytes would read alike.
pub(super) fn parameter(target: &[u8], name: &str) -> Option<String> {
    let at = target.iter().position(|byte| *byte == b'?')?;
    let query = target.get(at..)?.strip_prefix(b"?")?;
    let mut found = None;
    for pair in query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let (given, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (pair.get(..at)?, pair.get(at..)?.strip_prefix(b"=")?),
            None => (pair, &[][..]),
        };
        if encoded(given)? == name && found.replace(value).is_some() {
            return None;
        }
    }
    encoded(found?)
}

/// Decoded as in a form, and encoded again.
fn encoded(text: &[u8]) -> Option<String> {
    let decoded = decoded(text);
    std::str::from_utf8(&decoded).ok()?;
    let mut encoded = String::with_capacity(decoded.len());
    for byte in decoded {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for half in [byte >> 4, byte & 15] {
                let digit = char::from_digit(half.into(), 16)?;
                encoded.push(digit.to_ascii_uppercase());
            }
        }
    }
    Some(encoded)
}

/// `+` is a space, `%` with two digits a byte, and `%` without them itself.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = match (*first, after) {
            (b'%', [high, low, behind @ ..]) => digit(*high).zip(digit(*low)).map(|pair| (pair, behind)),
            _ => None,
        };
        match escaped {
            Some(((high, low), behind)) => {
                decoded.push((high << 4) | low);
                rest = behind;
            }
            None => decoded.push(if *first == b'+' { b' ' } else { *first }),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9421, 2.2.8.
    #[test]
    fn parameters_are_what_the_rfc_makes_of_them() {
        let target = b"/path?param=value&foo=bar&baz=batman&qux=";
        for (name, value) in [("baz", "batman"), ("qux", ""), ("param", "value")] {
            assert_eq!(parameter(target, name).as_deref(), Some(value), "{name}");
        }
        let target: &[u8] = b"/parameters?var=this%20is%20a%20big%0Amultiline%20value&\
            bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something";
        for (name, value) in [
            ("var", "this%20is%20a%20big%0Amultiline%20value"),
            ("bar", "with%20plus%20whitespace"),
            ("fa%C3%A7ade%22%3A%20", "something"),
        ] {
            assert_eq!(parameter(target, name).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn a_parameter_that_is_not_there_once_has_no_value() {
        for (target, why) in [
            (&b"/"[..], "no query"),
            (b"/?b=1", "another"),
            (b"/?a=1&a=1", "twice"),
            (b"/?a=1&%61=2", "twice, in two spellings"),
            (b"/?a=%ff", "no UTF-8"),
            (b"/?a=1&%ff=1", "a name that is no UTF-8"),
            (b"/?A=1", "another case"),
        ] {
            assert_eq!(parameter(target, "a"), None, "{why}");
        }
        assert_eq!(parameter(b"/?&a=%zz?%4&", "a").as_deref(), Some("%25zz%3F%254"));
        assert_eq!(parameter(b"/?%61", "a").as_deref(), Some(""), "no value");
        assert_eq!(parameter(b"/?a=1", "%61"), None, "a name is asked for as it is written");
    }
}
