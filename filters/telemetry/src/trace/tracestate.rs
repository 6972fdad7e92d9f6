//! The `tracestate` field: W3C Trace Context Level 2, section 3.3, with the keys of its current grammar (w3c/trace-context#584).

use std::borrow::Cow;

use crate::trace::traceparent::trim_ows;

/// Why a `tracestate` must not be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceStateFault {
    /// More than 32 members
    TooManyMembers,
    /// A member that is no `key=value`
    BadKey,
    BadValue,
}

const MAX_MEMBERS: usize = 32;
/// Of a key, and of a value.
const MAX_LENGTH: usize = 256;
/// Of the whole field: what everybody has to pass on (3.3.1.5). More is not passed on.
const MAX_FIELD: usize = 512;
/// A member longer than this goes first where the field is too long.
const LONG_MEMBER: usize = 128;

/// A `tracestate` in the grammar: its members in their order, the first of each key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState<'a> {
    members: Vec<(&'a [u8], Cow<'a, [u8]>)>,
    /// How many members at the front are ours: they stay where the field is too long.
    own: usize,
    /// It is not as it came any more.
    changed: bool,
}

impl<'a> TraceState<'a> {
    /// Reads all lines of the field together, in their order. Empty members do not count; of a repeated key the first stays.
    ///
    /// # Errors
    /// The first fault; one is enough to drop the whole field.
    pub fn parse(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<TraceState<'a>, TraceStateFault> {
        let mut state = TraceState::default();
        let (mut count, mut length) = (0_usize, 0_usize);
        let members = lines.into_iter().flat_map(|line| line.split(|byte| *byte == b',')).map(trim_ows);
        for member in members.filter(|member| !member.is_empty()) {
            count = count.saturating_add(1);
            if count > MAX_MEMBERS {
                return Err(TraceStateFault::TooManyMembers);
            }
            length = length.saturating_add(member.len()).saturating_add(1);
            let (key, value) = read_member(member)?;
            if state.get(key).is_some() {
                state.changed = true;
            } else {
                state.members.push((key, Cow::Borrowed(value)));
            }
        }
        state.changed |= length.saturating_sub(1) > MAX_FIELD;
        Ok(state)
    }

    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.members.iter().find(|(other, _)| *other == key).map(|(_, value)| &**value)
    }

    /// Whether what goes on differs from what came.
    pub const fn is_changed(&self) -> bool {
        self.changed
    }

    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Puts a member of ours to the front, or takes it away.
    pub fn set(&mut self, key: &'a [u8], value: Option<Vec<u8>>) {
        let before = self.members.len();
        self.members.retain(|(other, _)| *other != key);
        self.changed |= self.members.len() != before || value.is_some();
        if let Some(value) = value {
            self.members.insert(0, (key, Cow::Owned(value)));
            self.members.truncate(MAX_MEMBERS);
            self.own = self.own.saturating_add(1);
        }
    }

    /// As one line of at most 512 bytes: members above 128 bytes are left out first, then others, both from the end.
    pub fn to_field(&self) -> Vec<u8> {
        let mut members: Vec<_> = self.members.iter().map(|(key, value)| (*key, &**value)).collect();
        for longest in [LONG_MEMBER, 0] {
            while field_length(&members) > MAX_FIELD {
                let others = members.iter().enumerate().skip(self.own);
                match others.rev().find(|(_, member)| length(member) > longest) {
                    Some((last, _)) => drop(members.remove(last)),
                    None => break,
                }
            }
        }
        let mut field = Vec::with_capacity(field_length(&members));
        for (key, value) in members {
            if !field.is_empty() {
                field.push(b',');
            }
            field.extend_from_slice(key);
            field.push(b'=');
            field.extend_from_slice(value);
        }
        field
    }
}

fn length((key, value): &(&[u8], &[u8])) -> usize {
    key.len().saturating_add(value.len()).saturating_add(1)
}

fn field_length(members: &[(&[u8], &[u8])]) -> usize {
    let commas = members.len().saturating_sub(1);
    members.iter().map(length).fold(commas, usize::saturating_add)
}

fn read_member(member: &[u8]) -> Result<(&[u8], &[u8]), TraceStateFault> {
    let equals = member.iter().position(|byte| *byte == b'=').ok_or(TraceStateFault::BadKey)?;
    let (key, value) = member.split_at_checked(equals).ok_or(TraceStateFault::BadKey)?;
    let value = value.strip_prefix(b"=").ok_or(TraceStateFault::BadValue)?;
    if !is_key(key) {
        return Err(TraceStateFault::BadKey);
    }
    if value.is_empty() || value.len() > MAX_LENGTH || !value.iter().copied().all(is_value_byte) {
        return Err(TraceStateFault::BadValue);
    }
    Ok((key, value))
}

/// 3.3.1.3.1: a letter or digit, then up to 255 more of `_-*/@` too.
pub fn is_key(key: &[u8]) -> bool {
    let starts_well = matches!(key.first(), Some(b'a'..=b'z' | b'0'..=b'9'));
    starts_well && key.len() <= MAX_LENGTH && key.iter().copied().all(is_key_byte)
}

fn is_key_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@')
}

fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b',' && byte != b'='
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(lines: &[&str]) -> Result<(), TraceStateFault> {
        TraceState::parse(lines.iter().map(|line| line.as_bytes())).map(drop)
    }

    #[test]
    fn members_in_the_grammar_are_left_alone() {
        let longest = format!("{}={}", "k".repeat(256), "v".repeat(256));
        let full = (0..32).map(|index| format!("k{index}=1")).collect::<Vec<_>>().join(",");
        for lines in [
            &["foo=1"][..],
            &["foo=1,bar=2"],
            &["foo=1", "bar=2"],
            &["foo=1 \t , \t bar=2, \t baz=3"],
            &["foo=1,", ",", "", "bar=2"],
            &["foo=  bar baz"],
            &["foo=1,foo=2"],
            &["fw529a3039@dt=FfAAAAA", "0a/b*c-d_e=!\"#~"],
            &[&longest],
            &[&full],
            &[],
        ] {
            assert_eq!(verdict(lines), Ok(()), "{lines:?}");
        }
    }

    #[test]
    fn one_bad_member_spoils_the_whole() {
        use TraceStateFault::{BadKey, BadValue, TooManyMembers};
        let long_key = format!("{}=1", "k".repeat(257));
        let long_value = format!("k={}", "v".repeat(257));
        let too_many = (0..33).map(|index| format!("k{index}=1")).collect::<Vec<_>>().join(",");
        for (line, fault) in [
            ("foo", BadKey),
            ("=1", BadKey),
            ("foo =1", BadKey),
            ("FOO=1", BadKey),
            ("foo.bar=1", BadKey),
            ("_foo=1", BadKey),
            ("@foo=1", BadKey),
            ("foo=1,b\u{e4}r=2", BadKey),
            ("foo=", BadValue),
            ("foo=bar=baz", BadValue),
            ("foo=b\tr", BadValue),
            ("foo=\u{e4}", BadValue),
            ("foo=\0", BadValue),
            (&long_key, BadKey),
            (&long_value, BadValue),
            (&too_many, TooManyMembers),
        ] {
            assert_eq!(verdict(&[line]), Err(fault), "{line:?}");
        }
    }

    #[test]
    fn the_limit_of_members_holds_over_all_lines() {
        let half = (0..17).map(|index| format!("k{index}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(verdict(&[&half]), Ok(()));
        assert_eq!(verdict(&[&half, &half]), Err(TraceStateFault::TooManyMembers));
    }

    fn written(lines: &[&str], edit: impl FnOnce(&mut TraceState)) -> String {
        let mut state = TraceState::parse(lines.iter().map(|line| line.as_bytes())).unwrap();
        edit(&mut state);
        String::from_utf8(state.to_field()).unwrap()
    }

    #[test]
    fn of_a_repeated_key_the_first_stays() {
        assert_eq!(written(&["foo=1,bar=2", "foo=3"], |state| assert!(state.is_changed())), "foo=1,bar=2");
        assert_eq!(
            written(&["foo=1 \t, bar=2", "baz=3"], |state| assert!(!state.is_changed())),
            "foo=1,bar=2,baz=3"
        );
    }

    #[test]
    fn a_member_of_ours_goes_first() {
        fn set(value: Option<&'static str>) -> impl FnOnce(&mut TraceState) {
            move |state| state.set(b"ot", value.map(Into::into))
        }
        assert_eq!(written(&["a=1,ot=th:8,b=2"], set(Some("th:c"))), "ot=th:c,a=1,b=2");
        assert_eq!(written(&["a=1,ot=th:8,b=2"], set(None)), "a=1,b=2");
        assert_eq!(written(&[], set(Some("th:c"))), "ot=th:c");
        let full = (0..32).map(|index| format!("k{index}=1")).collect::<Vec<_>>().join(",");
        let field = written(&[&full], set(Some("th:c")));
        assert!(field.starts_with("ot=th:c,k0=1,") && field.ends_with(",k30=1"), "{field}");
    }

    #[test]
    fn what_does_not_fit_is_left_out_the_long_ones_first() {
        let long = |key: &str, total: usize| format!("{key}={}", "v".repeat(total - key.len() - 1));
        let (a, b, c) = (long("a", 129), long("b", 128), long("c", 129));
        assert_eq!(written(&[&format!("{a},{b},x=1,{c}")], |state| assert!(!state.is_changed())).len(), 392);
        let d = long("d", 128);
        let fits = format!("{a},{b},x=1,{c},{}", long("d", 119));
        assert_eq!(fits.len(), 512);
        assert_eq!(written(&[&fits], |state| assert!(!state.is_changed())), fits);
        let over = [format!("{a},{b},x=1,{c},{d}")];
        assert_eq!(written(&[&over[0]], |state| assert!(state.is_changed())), format!("{a},{b},x=1,{d}"));
        let short: Vec<_> = (0..5).map(|index| long(&format!("k{index}"), 120)).collect();
        assert_eq!(written(&[&short.join(",")], |_| ()), short[..4].join(","));
        // Ours stays, however long it is.
        let own = long("ot", 240);
        let field = written(&[&short.join(",")], |state| state.set(b"ot", Some(own[3..].into())));
        assert_eq!(field, [own.as_str(), &short[0], &short[1]].join(","));
    }

    proptest! {
        #[test]
        fn members_built_by_the_grammar_pass(
            members in prop::collection::vec("[a-z0-9][a-z0-9_*/@-]{0,20}=[ -+.-<>-~]{0,20}[!-+.-<>-~]", 1..32),
            separator in "[ \t]{0,2},[ \t]{0,2}",
        ) {
            prop_assert_eq!(verdict(&[&members.join(&separator)]), Ok(()));
        }

        #[test]
        fn no_bytes_make_it_panic(lines: Vec<Vec<u8>>) {
            if let Ok(state) = TraceState::parse(lines.iter().map(Vec::as_slice)) {
                let field = state.to_field();
                prop_assert!(field.len() <= MAX_FIELD);
                prop_assert_eq!(TraceState::parse([field.as_slice()]).map(|state| state.is_changed()), Ok(false));
            }
        }

        #[test]
        fn where_a_list_is_split_into_lines_does_not_matter(line in "[a-z=, ]{0,40}", at in 0..40_usize) {
            let commas: Vec<usize> = line.match_indices(',').map(|(index, _)| index).collect();
            if let Some(comma) = commas.get(at % commas.len().max(1)) {
                prop_assert_eq!(verdict(&[&line]), verdict(&[&line[..*comma], &line[comma + 1..]]));
            }
        }
    }
}
