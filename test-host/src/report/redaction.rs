//! What a report does not repeat: reports land in build logs and artefacts, and recorded credentials must not.

use bytes::Bytes;

use super::Text;

/// Header fields whose values are credentials by their nature.
const CREDENTIALS: [&[u8]; 8] = [
    b"authorization",
    b"cookie",
    b"proxy-authorization",
    b"set-cookie",
    b"x-amz-security-token",
    b"x-api-key",
    b"x-auth-token",
    b"x-csrf-token",
];

/// A header's value as a report shows it: that of a credential only by its length.
pub(super) fn shown(name: &[u8], value: &Bytes) -> Text {
    if CREDENTIALS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Text::from(&Bytes::from(format!("({} bytes, not shown)", value.len())));
    }
    Text::from(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_shown_by_its_length_alone() {
        let key = Bytes::from_static(b"demo-key-0001-not-a-secret");
        assert_eq!(shown(b"X-Api-Key", &key).to_string(), "(26 bytes, not shown)");
        assert_eq!(shown(b"x-request-id", &key).to_string(), "demo-key-0001-not-a-secret");
    }
}
