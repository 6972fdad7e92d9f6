//! Any bytes as a host's header map: refused, or read as a plain list of pairs is.

use wayside_sdk::{HeaderBlock, Only, OwnedName, name};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The first byte says whether the rest is a map as it came from a host, or pairs to make one of.
pub(crate) fn case(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    if kind % 2 == 0 {
        let read = HeaderBlock::decode(rest.to_vec());
        let model = by_the_book(rest);
        assert_eq!(read.is_some(), model.is_some(), "{}", rest.escape_ascii());
        if let (Some(block), Some(pairs)) = (read, model) {
            same(&block, &pairs);
        }
        return;
    }
    let mut pieces = rest.split(|byte| *byte == b'\n');
    let mut pairs = Pairs::new();
    while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
        pairs.push((name.to_vec(), value.to_vec()));
    }
    let made = HeaderBlock::from_pairs(pairs.iter().map(|(name, value)| (&name[..], &value[..])));
    same(&made, &pairs);
    let decoded = HeaderBlock::decode(encoded(&pairs)).expect("well formed");
    assert_eq!(made, decoded);
    same(&decoded, &pairs);
}

fn word(bytes: &mut &[u8]) -> Option<usize> {
    let (word, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

/// The pairs of Proxy-Wasm ABI 0.2.1: a count, the lengths of each name and value, then each with a byte behind it.
fn by_the_book(mut bytes: &[u8]) -> Option<Pairs> {
    if bytes.is_empty() {
        return Some(Pairs::new());
    }
    let count = word(&mut bytes)?;
    let mut lengths = Vec::new();
    for _ in 0..count {
        lengths.push((word(&mut bytes)?, word(&mut bytes)?));
    }
    let mut take = |length: usize| {
        let text = bytes.get(..length)?.to_vec();
        bytes = bytes.get(length..)?.split_first()?.1;
        Some(text)
    };
    let mut pairs = Pairs::new();
    for (name, value) in lengths {
        pairs.push((take(name)?, take(value)?));
    }
    bytes.is_empty().then_some(pairs)
}

fn encoded(pairs: &Pairs) -> Vec<u8> {
    let word = |length: usize| u32::try_from(length).expect("a case is small").to_le_bytes();
    let mut bytes = word(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend(word(name.len()).into_iter().chain(word(value.len())));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(text.iter().chain(b"\0"));
    }
    bytes
}

fn same(block: &HeaderBlock, pairs: &Pairs) {
    assert_eq!((block.len(), block.is_empty()), (pairs.len(), pairs.is_empty()));
    let listed: Pairs = block.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(&listed, pairs);
    let values = |name: &str| -> Vec<&[u8]> {
        pairs.iter().filter(|(of, _)| of == name.as_bytes()).map(|(_, value)| &value[..]).collect()
    };
    let names = pairs.iter().filter_map(|(name, _)| OwnedName::parse(std::str::from_utf8(name).ok()?));
    let others = ["x-not-there", "via", "cookie"].into_iter().filter_map(OwnedName::parse);
    for name in names.chain(others).take(40) {
        let expected = values(name.as_str());
        assert_eq!(block.all(&name).collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(block.first(&name), expected.first().copied(), "{name}");
        let only = match expected[..] {
            [] => Only::Missing,
            [one] => Only::One(one),
            _ => Only::Many,
        };
        assert_eq!(block.only(&name), only, "{name}");
    }
    let first = |name: &str| values(name).first().copied();
    assert_eq!(block.method(), first(":method").unwrap_or_default());
    assert_eq!(block.path(), first(":path").unwrap_or_default());
    assert_eq!(block.authority(), first(":authority").unwrap_or_default());
    assert_eq!(block.first(name!(":status")), first(":status"));
    let status = first(":status").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    assert_eq!(block.status(), status);
    let grpc = first("content-type").and_then(|of| of.strip_prefix(b"application/grpc"));
    assert_eq!(block.is_grpc(), grpc.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';'))));
    // Names are printed, values never.
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.escape_ascii().to_string()).collect();
    assert_eq!(format!("{block:?}"), format!("{names:?}"));
}
