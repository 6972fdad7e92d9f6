//! Headers that are lists (RFC 9110 section 5.6.1).

use super::{AsName, HeaderBlock};

impl HeaderBlock {
    /// The elements of a header that is a list, of all its lines in order: without white space around them, empty ones left out. A comma
    /// within a quoted string (RFC 9110 section 5.6.4) divides nothing; quotes stay. No hostcall, no allocation.
    ///
    /// For headers that are lists: a date has a comma that is none, and so may a cookie.
    pub fn list(&self, name: impl AsName) -> impl Iterator<Item = &[u8]> {
        self.all(name).flat_map(|line| Elements { rest: Some(line) })
    }
}

struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let line = self.rest.take()?;
            let (element, rest) = match comma(line).and_then(|at| line.split_at_checked(at)) {
                Some((element, rest)) => (element, rest.get(1..)),
                None => (line, None),
            };
            self.rest = rest;
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// Where the first comma is that stands in no quoted string. One that is never closed goes to the end of its line.
fn comma(line: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    line.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name;
    use proptest::prelude::*;

    fn list(lines: &[&str]) -> Vec<String> {
        let pairs = lines.iter().map(|line| (&b"accept"[..], line.as_bytes()));
        let block = HeaderBlock::from_pairs(pairs.chain([(&b"other"[..], &b"x, y"[..])]));
        block.list(name!("accept")).map(|element| element.escape_ascii().to_string()).collect()
    }

    #[test]
    fn elements_of_all_lines_come_in_order() {
        assert_eq!(list(&["a, b;q=0.5 ,,\t c", "", " , ", "d"]), ["a", "b;q=0.5", "c", "d"]);
        assert!(list(&[]).is_empty());
    }

    #[test]
    fn a_comma_in_quotes_divides_nothing() {
        assert_eq!(list(&[r#"a="x,\",y", b"#]), [r#"a=\"x,\\\",y\""#, "b"]);
        // A quote that is not closed does not reach into the next line.
        assert_eq!(list(&[r#"a="x, b"#, "c"]), [r#"a=\"x, b"#, "c"]);
        assert_eq!(list(&[r"a\, b"]), [r"a\\", "b"]);
    }

    proptest! {
        #[test]
        fn what_is_joined_is_divided(
            lines in prop::collection::vec(prop::collection::vec("[a-z;=*]{1,4}|[a-z]=\"([a-z, ]|\\\\[\",\\\\])*\"", 0..5), 0..4),
            between in prop::sample::select(vec![",", ", ", " ,\t", ",,", ", ,"]),
        ) {
            let wire: Vec<_> = lines.iter().map(|elements| elements.join(between)).collect();
            let pairs = wire.iter().map(|line| (&b"accept"[..], line.as_bytes()));
            let block = HeaderBlock::from_pairs(pairs);
            let expected: Vec<_> = lines.iter().flatten().map(String::as_bytes).collect();
            prop_assert_eq!(block.list(name!("accept")).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn whatever_comes_no_element_is_empty_or_has_space_around(line: Vec<u8>) {
            let block = HeaderBlock::from_pairs([(&b"accept"[..], &line[..])]);
            for element in block.list(name!("accept")) {
                prop_assert_eq!(element, element.trim_ascii());
                prop_assert!(!element.is_empty());
            }
        }
    }
}
