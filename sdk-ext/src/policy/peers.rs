//! Peers that are believed for where they are or who they are: networks, and names in client certificates.

use crate::config::Checks;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The bits that do not count are zero.
    network: u128,
    /// The bits that count, of 128; IPv4 is read as the last 32 bits of an IPv4-mapped address.
    mask: u128,
}

impl Cidr {
    /// `10.0.0.0/8`, `fd00::/8`; an address alone is that one address. Bits beyond the prefix must be zero: `10.1.2.3/8` says
    /// two things at once.
    #[must_use]
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (length, ahead) = match address {
            IpAddr::V4(_) => (32_u32, 96_u32),
            IpAddr::V6(_) => (128, 0),
        };
        let prefix = match prefix {
            None => length,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) && !leads_with_zero(digits) => {
                digits.parse().ok().filter(|prefix| *prefix <= length)?
            }
            Some(_) => return None,
        };
        let counting = prefix.saturating_add(ahead);
        let mask = u128::MAX.checked_shl(128_u32.saturating_sub(counting)).unwrap_or(0);
        let network = bits(address);
        (network & !mask == 0).then_some(Cidr { network, mask })
    }

    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.network
    }
}

fn leads_with_zero(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address in what Envoy says of a peer (`source.address`): `10.0.0.1:4711`, `[fd00::1]:4711`, either without its port.
/// `None` for anything else, such as the path of a Unix socket.
#[must_use]
pub fn peer_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(inside) = text.strip_prefix('[') {
        let (address, port) = inside.split_once(']')?;
        let port = port.strip_prefix(':').unwrap_or(port);
        let address = without_zone(address).parse::<Ipv6Addr>().ok()?;
        return is_port(port).then_some(IpAddr::V6(address));
    }
    match text.split_once(':') {
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        Some((_, rest)) if rest.contains(':') => without_zone(text).parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        Some((address, port)) => {
            is_port(port).then(|| address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)).flatten()
        }
    }
}

/// A link-local address names its link after a `%`.
fn without_zone(address: &str) -> &str {
    address.split_once('%').map_or(address, |(address, _)| address)
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Who may set a control header besides those whom [`Trust`](super::Trust) believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedPeers {
    networks: Vec<Cidr>,
    /// URI names of certificates, compared as they stand.
    names: Vec<String>,
}

/// Entries of each list; each is compared with every request.
const MOST: usize = 256;

impl TrustedPeers {
    /// Reads `trusted_cidrs` and `trusted_sans`; `None` after something was refused at `at`, each at its place.
    pub fn parse(cidrs: &[String], sans: &[String], at: &mut Checks<'_>) -> Option<TrustedPeers> {
        let mut networks = Vec::with_capacity(cidrs.len());
        for (index, text) in cidrs.iter().enumerate() {
            match Cidr::parse(text) {
                Some(network) => networks.push(network),
                None => at.at("trusted_cidrs").at(index).refuse_value(
                    "an address, or a network such as 10.0.0.0/8 whose other bits are zero",
                    text,
                ),
            }
        }
        let mut named = true;
        for (index, text) in sans.iter().enumerate() {
            let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
            if !graphic
                || !text.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
            {
                at.at("trusted_sans")
                    .at(index)
                    .refuse_value("a URI such as spiffe://mesh.example/ns/shop/sa/gateway", text);
                named = false;
            }
        }
        for (field, count) in [("trusted_cidrs", cidrs.len()), ("trusted_sans", sans.len())] {
            if count > MOST {
                at.at(field).refuse(format_args!("at most {MOST} entries"), count);
                named = false;
            }
        }
        let complete = named && networks.len() == cidrs.len();
        complete.then(|| TrustedPeers { networks, names: sans.to_vec() })
    }

    /// Nobody is named: the peer need not be looked up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.names.is_empty()
    }

    /// Whether the peer is one of them. `source_address` is what Envoy's `source.address` says, which `x-forwarded-for` decides
    /// where Envoy is told to believe it; `uri_san` is `connection.uri_san_peer_certificate`, and to be left empty unless
    /// `connection.peer_certificate_valid` is true. An empty one is nobody's.
    #[must_use]
    pub fn allow(&self, source_address: &[u8], uri_san: &[u8]) -> bool {
        let near = peer_address(source_address)
            .is_some_and(|address| self.networks.iter().any(|network| network.contains(address)));
        near || self.names.iter().any(|name| name.as_bytes() == uri_san)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigErrors;
    use proptest::prelude::*;

    #[test]
    fn a_network_is_written_in_one_way() {
        for right in [
            "10.0.0.0/8",
            "10.1.2.3",
            "10.1.2.3/32",
            "0.0.0.0/0",
            "::/0",
            "fd00::/8",
            "::1",
            "::ffff:10.0.0.0/104",
        ] {
            assert!(Cidr::parse(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.1.2.3/8",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0/8",
            "010.0.0.0/8",
            "fd00::/129",
            "fd00::1/8",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "10.0.0.0/-1",
            "::/4294967296",
            "[::1]",
            "localhost",
        ] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_peer_is_its_address_whatever_its_port() {
        let table: &[(&[u8], Option<&str>)] = &[
            (b"10.0.0.1:80", Some("10.0.0.1")),
            (b"10.0.0.1", Some("10.0.0.1")),
            (b"[fd00::1]:80", Some("fd00::1")),
            (b"[fe80::1%2]:80", Some("fe80::1")),
            (b"fd00::1", Some("fd00::1")),
            (b"@/run/envoy.sock", None),
            (b"/run/envoy.sock", None),
            (b"", None),
            (b"10.0.0.1:x", None),
            (b"10.0.0.1:123456", None),
            (b"[10.0.0.1]:80", None),
            (b"\xff\xfe", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(peer_address(text), expected, "{}", text.escape_ascii());
        }
    }

    fn parse(cidrs: &[&str], sans: &[&str]) -> Result<TrustedPeers, String> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut errors = ConfigErrors::default();
        let peers = TrustedPeers::parse(&owned(cidrs), &owned(sans), &mut Checks::new("/trust", &mut errors));
        errors.or(peers).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_peer_is_believed_for_its_network_or_its_name() {
        let peers = parse(&["10.0.0.0/8", "fd00::/8"], &["spiffe://mesh.example/ns/a/sa/b"]).unwrap();
        assert!(peers.allow(b"10.255.0.1:1", b""));
        assert!(peers.allow(b"[::ffff:10.0.0.1]:1", b""), "IPv4 in IPv6");
        assert!(peers.allow(b"11.0.0.1:1", b"spiffe://mesh.example/ns/a/sa/b"));
        assert!(!peers.allow(b"11.0.0.1:1", b"spiffe://mesh.example/ns/a/sa/bb"));
        assert!(!peers.allow(b"", b""));
        assert!(!TrustedPeers::default().allow(b"10.0.0.1:1", b"") && TrustedPeers::default().is_empty());
    }

    #[test]
    fn everything_wrong_is_named_with_its_place() {
        assert_eq!(
            parse(&["10.0.0.0/8", "10.0.0.1/8"], &["gateway", ""]).unwrap_err(),
            "/trust/trusted_cidrs/1: expected an address, or a network such as 10.0.0.0/8 whose other bits are zero, \
             found \"10.0.0.1/8\"\n\
             /trust/trusted_sans/0: expected a URI such as spiffe://mesh.example/ns/shop/sa/gateway, found \"gateway\"\n\
             /trust/trusted_sans/1: expected a URI such as spiffe://mesh.example/ns/shop/sa/gateway, found \"\""
        );
        assert!(parse(&["::1"; 257], &[]).unwrap_err().contains("at most 256 entries, found 257"));
    }

    proptest! {
        #[test]
        fn a_network_holds_what_shares_its_first_bits(address in any::<u32>(), prefix in 0..=32_u32, other in any::<u32>()) {
            let network = u64::from(address) >> (32 - prefix) << (32 - prefix);
            let text = format!("{}/{prefix}", Ipv4Addr::from(u32::try_from(network).unwrap()));
            let same = u64::from(other) >> (32 - prefix) == network >> (32 - prefix);
            prop_assert_eq!(Cidr::parse(&text).unwrap().contains(IpAddr::V4(other.into())), same);
        }

        #[test]
        fn any_bytes_are_an_address_or_none(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = peer_address(&text);
        }
    }
}
