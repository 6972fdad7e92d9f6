//! Certificates that clients have shown when they connected, as the proxy tells of them; nothing that a request says counts.

use std::rc::Rc;

use wayside_credentials::passwords::{Period, Rejection};

use super::{Examine, Finding, View};
use crate::denial::Reason;
use crate::means::{CertificatePart, Means, Unavailable};
use crate::source::{Flaw, Source};
use crate::store::Holder;

#[derive(Debug)]
pub struct Mtls {
    clients: Vec<Client>,
    validation: Validation,
}

/// Who says that a certificate is a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// The handshake of this connection. A session that was taken up again has none, and does not count.
    Handshake,
    /// The listener, which lets nobody connect with one it does not trust.
    Listener,
}

/// Whoever has a certificate of which all `wanted` is so.
#[derive(Debug)]
pub struct Client {
    /// Not empty
    pub wanted: Vec<(CertificatePart, Pattern)>,
    pub named: Named,
    pub scopes: Vec<String>,
    pub period: Period,
}

/// Whom the upstream is told of.
#[derive(Debug)]
pub enum Named {
    Always(Rc<Holder>),
    /// By what the first of the wanted parts says
    ByPart,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Is(String),
    /// In either case
    IsLike(String),
    /// This, with a `/` at its end, and more: segments of a path that lead to one place only
    Below(String),
}

impl Pattern {
    fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::Is(wanted) => wanted.as_bytes() == value,
            Self::IsLike(wanted) => wanted.as_bytes().eq_ignore_ascii_case(value),
            Self::Below(above) => value
                .strip_prefix(above.as_bytes())
                .is_some_and(|rest| rest.split(|byte| *byte == b'/').all(is_plain_segment)),
        }
    }
}

/// One that no server reads as another.
fn is_plain_segment(segment: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#' | b'\\');
    !matches!(segment, b"" | b"." | b"..") && segment.iter().all(plain)
}

/// Parts of the certificate, each asked for once at most.
struct Shown<'a> {
    means: &'a dyn Means,
    parts: Vec<(CertificatePart, Option<Vec<u8>>)>,
}

impl Shown<'_> {
    fn part(&mut self, part: CertificatePart) -> Result<Option<&[u8]>, Unavailable> {
        let place = match self.parts.iter().position(|(known, _)| *known == part) {
            Some(place) => place,
            None => {
                self.parts.push((part, self.means.certificate(part)?));
                self.parts.len().saturating_sub(1)
            }
        };
        Ok(self.parts.get(place).and_then(|(_, value)| value.as_deref()))
    }
}

impl Mtls {
    pub fn new(clients: Vec<Client>, validation: Validation) -> Self {
        Self { clients, validation }
    }

    fn judge(&self, request: &View<'_>, means: &dyn Means) -> Result<Finding, Unavailable> {
        if !means.shows_certificate()? {
            return Ok(Finding::Absent);
        }
        if self.validation == Validation::Handshake && !means.certificate_is_valid()? {
            return Ok(Reason::CertificateUnvalidated.into());
        }
        let mut shown = Shown { means, parts: Vec::new() };
        let mut rejection = Rejection::Unknown;
        for client in &self.clients {
            if !client.is(&mut shown)? {
                continue;
            }
            match client.period.check(request.now) {
                Ok(()) => return client.found(&mut shown, request),
                Err(at_this_time) => rejection = at_this_time,
            }
        }
        Ok(Reason::from(rejection).into())
    }
}

impl Client {
    fn is(&self, shown: &mut Shown<'_>) -> Result<bool, Unavailable> {
        for (part, pattern) in &self.wanted {
            if !shown.part(*part)?.is_some_and(|value| pattern.fits(value)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn found(&self, shown: &mut Shown<'_>, request: &View<'_>) -> Result<Finding, Unavailable> {
        if let Named::Always(holder) = &self.named {
            return Ok(Rc::clone(holder).into());
        }
        let part = self.wanted.first().map(|(part, _)| *part);
        let value = part.map(|part| shown.part(part)).transpose()?.flatten().unwrap_or_default();
        if value.len() > request.max_credential_bytes {
            return Ok(Flaw::TooLong.into());
        }
        Ok(match std::str::from_utf8(value) {
            Ok(name) => Rc::new(Holder { name: name.to_owned(), scopes: self.scopes.clone() }).into(),
            Err(_) => Flaw::Malformed.into(),
        })
    }
}

impl Examine for Mtls {
    fn examine(&self, request: &View<'_>, means: &dyn Means) -> Finding {
        self.judge(request, means).unwrap_or_else(|Unavailable| Reason::Internal.into())
    }

    fn sources(&self) -> &[Source] {
        &[]
    }

    /// There is no scheme for it: a client cannot do better within this connection.
    fn challenge(&self, _: &str, _: Option<Reason>) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;
    use crate::timestamp::Timestamp;

    /// A connection as the proxy knows it; it remembers what it was asked.
    struct Connection {
        shows: Result<bool, Unavailable>,
        valid: Result<bool, Unavailable>,
        uri: Option<&'static [u8]>,
        dns: Option<&'static [u8]>,
        asked: RefCell<Vec<CertificatePart>>,
    }

    fn connection(uri: Option<&'static [u8]>, dns: Option<&'static [u8]>) -> Connection {
        Connection { shows: Ok(true), valid: Ok(true), uri, dns, asked: RefCell::default() }
    }

    impl Means for Connection {
        fn shows_certificate(&self) -> Result<bool, Unavailable> {
            self.shows
        }

        fn certificate_is_valid(&self) -> Result<bool, Unavailable> {
            self.valid
        }

        fn certificate(&self, part: CertificatePart) -> Result<Option<Vec<u8>>, Unavailable> {
            self.asked.borrow_mut().push(part);
            match part {
                CertificatePart::UriSan => Ok(self.uri.map(<[u8]>::to_vec)),
                CertificatePart::DnsSan => Ok(self.dns.map(<[u8]>::to_vec)),
                CertificatePart::Subject | CertificatePart::Sha256 => Err(Unavailable),
            }
        }
    }

    fn always(name: &str) -> Named {
        Named::Always(Rc::new(Holder { name: name.to_owned(), scopes: Vec::new() }))
    }

    fn client(wanted: &[(CertificatePart, Pattern)], named: Named) -> Client {
        Client { wanted: wanted.to_vec(), named, scopes: vec!["a".to_owned()], period: Period::default() }
    }

    const SHOP: &str = "spiffe://shop/ns/a/";

    fn below() -> (CertificatePart, Pattern) {
        (CertificatePart::UriSan, Pattern::Below(SHOP.to_owned()))
    }

    fn told(kind: &Mtls, connection: &Connection) -> String {
        let now = Timestamp(Duration::from_secs(100));
        let view = View { headers: &[], body: None, max_credential_bytes: 64, now };
        match kind.examine(&view, connection) {
            Finding::Absent => "absent".to_owned(),
            Finding::Valid(proof) => format!("{} {:?}", proof.holder.name, proof.holder.scopes),
            Finding::Refused(reason) => reason.label().to_owned(),
            Finding::Awaits(awaited) => format!("{awaited:?}"),
        }
    }

    #[test]
    fn whoever_is_below_a_prefix_is_named_by_the_certificate_and_nobody_beside_it_gets_in() {
        let kind = Mtls::new(vec![client(&[below()], Named::ByPart)], Validation::Handshake);
        let of = |uri| told(&kind, &connection(Some(uri), None));
        assert_eq!(of(b"spiffe://shop/ns/a/sa/b"), "spiffe://shop/ns/a/sa/b [\"a\"]");
        for other in [
            &b""[..],
            b"spiffe://shop/ns/a",
            b"spiffe://shop/ns/a/",
            b"spiffe://shop/ns/ab/sa/b",
            b"SPIFFE://shop/ns/a/sa/b",
            b"spiffe://shop/ns/a/../b",
            b"spiffe://shop/ns/a/./b",
            b"spiffe://shop/ns/a//b",
            b"spiffe://shop/ns/a/b/",
            b"spiffe://shop/ns/a/%2e%2e/b",
            b"spiffe://shop/ns/a/b?x",
            b"spiffe://shop/ns/a/b#x",
            b"spiffe://shop/ns/a/b\\c",
            b"spiffe://shop/ns/a/b c",
            b"spiffe://shop/ns/a/b\0",
            b"spiffe://shop/ns/a/\xff",
            b"xspiffe://shop/ns/a/b",
        ] {
            assert_eq!(of(other), "unknown_credential", "{}", other.escape_ascii());
        }
        assert_eq!(
            of(b"spiffe://shop/ns/a/0123456789012345678901234567890123456789012345678"),
            "credential_too_long"
        );
    }

    #[test]
    fn names_of_hosts_have_no_case_and_everything_wanted_must_be_so() {
        let both = [
            (CertificatePart::DnsSan, Pattern::IsLike("a.example".to_owned())),
            (CertificatePart::UriSan, Pattern::Is("urn:a".to_owned())),
        ];
        let kind = Mtls::new(vec![client(&both, always("a"))], Validation::Handshake);
        let of = |uri, dns| told(&kind, &connection(uri, dns));
        assert_eq!(of(Some(b"urn:a"), Some(b"A.Example")), "a []");
        for (uri, dns) in [
            (None, Some(&b"a.example"[..])),
            (Some(&b"urn:a"[..]), None),
            (Some(b"urn:A"), Some(b"a.example")),
            (Some(b"urn:a"), Some(b"b.a.example")),
            (Some(b"urn:a"), Some(b"*.example")),
        ] {
            assert_eq!(of(uri, dns), "unknown_credential");
        }
    }

    #[test]
    fn a_certificate_that_nobody_has_validated_is_nobodys_unless_the_listener_takes_no_such() {
        let untrusted = || Connection { valid: Ok(false), ..connection(Some(b"spiffe://shop/ns/a/b"), None) };
        let kind = |validation| Mtls::new(vec![client(&[below()], always("b"))], validation);
        assert_eq!(told(&kind(Validation::Handshake), &untrusted()), "certificate_unvalidated");
        assert_eq!(untrusted().asked.borrow().len(), 0);
        assert_eq!(told(&kind(Validation::Listener), &untrusted()), "b []");
    }

    #[test]
    fn without_a_certificate_there_is_no_credential_and_without_an_answer_nobody_gets_in() {
        let kind = Mtls::new(vec![client(&[below()], always("b"))], Validation::Handshake);
        let good = || connection(Some(b"spiffe://shop/ns/a/b"), None);
        assert_eq!(told(&kind, &Connection { shows: Ok(false), ..good() }), "absent");
        assert_eq!(told(&kind, &Connection { shows: Err(Unavailable), ..good() }), "internal");
        assert_eq!(told(&kind, &Connection { valid: Err(Unavailable), ..good() }), "internal");
        let by_subject = [(CertificatePart::Subject, Pattern::Is("CN=b".to_owned()))];
        let kind = Mtls::new(vec![client(&by_subject, always("b"))], Validation::Handshake);
        assert_eq!(told(&kind, &good()), "internal");
    }

    #[test]
    fn each_part_is_asked_for_once_and_only_if_somebody_wants_it() {
        let exactly = |uri: &str| (CertificatePart::UriSan, Pattern::Is(uri.to_owned()));
        let clients = vec![
            client(&[exactly("urn:a")], always("a")),
            client(&[exactly("urn:b")], always("b")),
            client(&[exactly("urn:c")], Named::ByPart),
        ];
        let connection = connection(Some(b"urn:c"), Some(b"c.example"));
        assert_eq!(told(&Mtls::new(clients, Validation::Handshake), &connection), "urn:c [\"a\"]");
        assert_eq!(*connection.asked.borrow(), [CertificatePart::UriSan]);
    }

    #[test]
    fn a_client_counts_at_its_time_and_a_second_entry_may_take_over() {
        let at = |seconds| Some(Timestamp(Duration::from_secs(seconds)));
        let bounded = |from, to| Client {
            period: Period { not_before: from, not_after: to },
            ..client(&[below()], always("b"))
        };
        let of = |clients| {
            told(&Mtls::new(clients, Validation::Handshake), &connection(Some(b"spiffe://shop/ns/a/b"), None))
        };
        assert_eq!(of(vec![bounded(None, at(100))]), "expired");
        assert_eq!(of(vec![bounded(at(101), None)]), "not_yet_valid");
        assert_eq!(of(vec![bounded(None, at(100)), bounded(at(100), None)]), "b []");
    }
}
