//! The `tracestate` field: W3C Trace Context Level 2, section 3.3. Checked as a whole, never changed here.

use crate::traceparent::trim_ows;

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
const MAX_LENGTH: usize = 256;

/// Checks all lines of the field together, in their order.
///
/// # Errors
/// The first fault; one is enough to drop the whole field.
pub fn check<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<(), TraceStateFault> {
    let members = lines.into_iter().flat_map(|line| line.split(|byte| *byte == b',')).map(trim_ows);
    for (index, member) in members.filter(|member| !member.is_empty()).enumerate() {
        if index >= MAX_MEMBERS {
            return Err(TraceStateFault::TooManyMembers);
        }
        check_member(member)?;
    }
    Ok(())
}

fn check_member(member: &[u8]) -> Result<(), TraceStateFault> {
    let equals = member.iter().position(|byte| *byte == b'=').ok_or(TraceStateFault::BadKey)?;
    let (key, value) = member.split_at_checked(equals).ok_or(TraceStateFault::BadKey)?;
    let value = value.strip_prefix(b"=").ok_or(TraceStateFault::BadValue)?;
    let starts_well = matches!(key.first(), Some(b'a'..=b'z' | b'0'..=b'9'));
    if !starts_well || key.len() > MAX_LENGTH || !key.iter().copied().all(is_key_byte) {
        return Err(TraceStateFault::BadKey);
    }
    if value.is_empty() || value.len() > MAX_LENGTH || !value.iter().copied().all(is_value_byte) {
        return Err(TraceStateFault::BadValue);
    }
    Ok(())
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
        check(lines.iter().map(|line| line.as_bytes()))
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
            let _ = check(lines.iter().map(Vec::as_slice));
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
