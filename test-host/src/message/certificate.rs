//! A certificate's file → what Envoy tells of it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use x509_cert::{
    attr::AttributeTypeAndValue,
    der::{Any, DecodePem as _, Encode as _, Tagged as _},
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

use super::Certificate;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The names that subjects are written with (RFC 2253, and BoringSSL's short ones); what is not among them stands there as its
/// number, its value in DER.
const NAMES: [(&str, &str); 22] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

impl Certificate {
    /// Of the first certificate in a PEM file; what else stands there, a key or a chain, is left alone.
    ///
    /// # Errors
    /// What was found instead of a certificate.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let pem = text
            .find(BEGIN)
            .and_then(|begin| text.get(begin..))
            .and_then(|from| from.find(END).and_then(|end| from.get(..end + END.len())))
            .ok_or_else(|| format!("found no certificate, expected {BEGIN}"))?;
        let refused = |error: x509_cert::der::Error| format!("found no readable certificate: {error}");
        let parsed = x509_cert::Certificate::from_pem(pem).map_err(refused)?;
        let der = parsed.to_der().map_err(refused)?;
        let names = parsed.tbs_certificate().get_extension::<SubjectAltName>().map_err(refused)?;
        let (mut uri_sans, mut dns_sans) = (Vec::new(), Vec::new());
        for name in names.map(|(_, names)| names.0).unwrap_or_default() {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => uri_sans.push(uri.as_str().to_owned()),
                GeneralName::DnsName(name) => dns_sans.push(name.as_str().to_owned()),
                _ => {}
            }
        }
        Ok(Certificate {
            subject: written(parsed.tbs_certificate().subject()).map_err(refused)?,
            uri_sans,
            dns_sans,
            sha256: hex::encode(Sha256::digest(&der)),
            pem: format!("{pem}\n"),
        })
    }
}

/// RFC 2253: the last part first.
fn written(name: &Name) -> Result<String, x509_cert::der::Error> {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for part in parts.into_iter().rev() {
        let fields: Vec<_> = part.iter().collect();
        for (number, field) in fields.into_iter().rev().enumerate() {
            if !text.is_empty() {
                text.push(if number == 0 { ',' } else { '+' });
            }
            write_field(&mut text, field)?;
        }
    }
    Ok(text)
}

fn write_field(text: &mut String, field: &AttributeTypeAndValue) -> Result<(), x509_cert::der::Error> {
    let number = field.oid.to_string();
    let known = NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    let _ = write!(text, "{}=", known.unwrap_or(&number));
    match known.and_then(|_| characters(&field.value)) {
        Some(value) => escape(text, &value),
        None => {
            let _ = write!(text, "#{}", hex::encode_upper(field.value.to_der()?));
        }
    }
    Ok(())
}

/// Of the types that are text.
fn characters(value: &Any) -> Option<String> {
    use x509_cert::der::Tag;
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::TeletexString
        | Tag::VisibleString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().copied().map(u16::from_be_bytes).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// A backslash before what means something in a name; bytes that are not ASCII's letters and signs in hexadecimal digits.
fn escape(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let at_an_end = (at == 0 && matches!(character, '#' | ' ')) || (at == last && character == ' ');
        if at_an_end || matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
            text.push(character);
        } else if character.is_ascii() && !character.is_ascii_control() {
            text.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(text, "\\{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = include_str!("../parity/certificates/client.pem");

    #[test]
    fn a_subject_is_written_as_rfc_2253_has_it() {
        let client = Certificate::from_pem(CLIENT).expect("a certificate");
        // As `openssl x509 -nameopt RFC2253` shows it.
        let subject = r#"CN=\ client\ ,emailAddress=a@client.example,serialNumber=7,UID=u1,DC=example,OU=\#1 \<x\>\;y,O=M\C3\BCller\, S\C3\B6hne+OU=a \"b\\,L=Deal,ST=Kent,C=GB"#;
        assert_eq!(client.subject, subject);
    }

    #[test]
    fn alternative_names_stand_in_the_certificates_order() {
        let client = Certificate::from_pem(CLIENT).expect("a certificate");
        assert_eq!(client.uri_sans, ["spiffe://shop/client", "spiffe://shop/other"]);
        assert_eq!(client.dns_sans, ["client.example", "www.client.example"]);
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_what_was_found() {
        let refused = |text: &str| Certificate::from_pem(text).expect_err("nothing to read");
        assert_eq!(refused("key"), format!("found no certificate, expected {BEGIN}"));
        assert!(refused(&format!("{BEGIN}\nAAAA\n{END}\n")).starts_with("found no readable certificate: "));
        assert!(refused(&format!("{END}{BEGIN}")).starts_with("found no certificate"));
    }
}
