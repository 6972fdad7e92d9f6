//! Headers for libraries that speak the types of the crate `http`.

use super::HeaderBlock;
use ::http::{HeaderMap, HeaderName, HeaderValue};

impl HeaderBlock {
    /// The same as a map of the crate `http`, without pseudo headers, which that cannot hold. It copies everything, and hashes each name:
    /// not for every request. No hostcall.
    #[must_use]
    pub fn to_http(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_map_can_hold_is_there_in_order() {
        let block = HeaderBlock::from_pairs([
            (&b":path"[..], &b"/"[..]),
            (b"accept", b"a"),
            (b"x", b"\xff"),
            (b"accept", b"b"),
        ]);
        let map = block.to_http();
        assert_eq!(map.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((map.len(), map.get("x").map(HeaderValue::as_bytes)), (3, Some(&b"\xff"[..])));
    }
}
