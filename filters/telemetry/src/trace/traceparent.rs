//! The `traceparent` field: W3C Trace Context Level 2, section 3.2.

use crate::trace::hex;

/// Where a request stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    pub trace_id: [u8; 16],
    pub parent_id: [u8; 8],
    pub flags: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATraceParent;

impl TraceParent {
    /// The trace id's last seven bytes are random: Level 2, section 3.2.2.5.2.
    pub const RANDOM: u8 = 0x02;

    /// Reads a field value; spaces and tabs around it do not count.
    ///
    /// # Errors
    /// Anything out of grammar, version `ff`, an id of zeros, version `00` with anything after its flags.
    pub fn parse(value: &[u8]) -> Result<Self, NotATraceParent> {
        let value = trim_ows(value);
        let (fields, rest) = value.split_at_checked(55).ok_or(NotATraceParent)?;
        let [version, trace_id, parent_id, flags] = split_fields(fields).ok_or(NotATraceParent)?;
        let [version] = hex::decode::<1>(version).ok_or(NotATraceParent)?;
        match (version, rest) {
            (0xFF, _) | (0, [_, ..]) => return Err(NotATraceParent),
            (_, [] | [b'-', ..]) => {}
            (_, _) => return Err(NotATraceParent),
        }
        let trace_id = hex::decode::<16>(trace_id).filter(|id| *id != [0; 16]).ok_or(NotATraceParent)?;
        let parent_id = hex::decode::<8>(parent_id).filter(|id| *id != [0; 8]).ok_or(NotATraceParent)?;
        let [flags] = hex::decode::<1>(flags).ok_or(NotATraceParent)?;
        Ok(Self { trace_id, parent_id, flags })
    }

    /// The flag of a trace that is recorded: 3.2.2.5.1.
    pub const SAMPLED: u8 = 0x01;

    /// As version 00, the one this code writes; flags it does not know are not passed on (4.3).
    pub fn to_text(self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let flags = [self.flags & (Self::SAMPLED | Self::RANDOM)];
        for (start, bytes) in [(3_usize, &self.trace_id[..]), (36, &self.parent_id), (53, &flags)] {
            let digits = text.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>().0;
            for (pair, byte) in digits.iter_mut().zip(bytes) {
                *pair = [hex::written(byte >> 4), hex::written(byte & 0x0F)];
            }
        }
        text
    }
}

/// RFC 9110, 5.6.3: `OWS`.
pub(crate) fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn split_fields(fields: &[u8]) -> Option<[&[u8]; 4]> {
    let mut parts = fields.split(|byte| *byte == b'-');
    let fields = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "12345678901234567890123456789012";
    const PARENT: &str = "1234567890123456";

    #[test]
    fn one_well_formed_value_is_read() {
        for value in [
            format!("00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-00"),
            format!("00-{TRACE}-{PARENT}-ff"),
            format!(" \t00-{TRACE}-{PARENT}-03\t "),
            format!("01-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like"),
            format!("fe-{TRACE}-{PARENT}-01-"),
        ] {
            assert!(TraceParent::parse(value.as_bytes()).is_ok(), "{value}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let bad_flags = [".0", "0.", "-1", "1", "001", "0G", "0A", ""];
        let bad_traces = [
            "00000000000000000000000000000000",
            ".2345678901234567890123456789012",
            "1234567890123456789012345678901.",
            "1234567890123456789012345678901",
            "123456789012345678901234567890123",
            "1234567890abcdef1234567890ABCDEF",
            "",
        ];
        let bad_parents = [
            "0000000000000000",
            "123456789012345.",
            "123456789012345",
            "12345678901234567",
            "123456789012345A",
        ];
        let mut values: Vec<String> = Vec::new();
        values.extend(bad_flags.map(|flags| format!("00-{TRACE}-{PARENT}-{flags}")));
        values.extend(bad_traces.map(|trace| format!("00-{trace}-{PARENT}-01")));
        values.extend(bad_parents.map(|parent| format!("00-{TRACE}-{parent}-01")));
        values.extend([
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("0-{TRACE}-{PARENT}-01"),
            format!("000-{TRACE}-{PARENT}-01"),
            format!(".0-{TRACE}-{PARENT}-01"),
            format!("CC-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("00-{TRACE}-{PARENT}-01.what"),
            format!("00-{TRACE}-{PARENT}-01-what"),
            format!("cc-{TRACE}-{PARENT}-01.what"),
            format!("cc-{TRACE}-{PARENT}-011"),
            format!("00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}"),
            format!("00_{TRACE}_{PARENT}_01"),
            format!("\x0b00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT} -01"),
            "foo".into(),
            String::new(),
        ]);
        for value in values {
            assert_eq!(TraceParent::parse(value.as_bytes()), Err(NotATraceParent), "{value}");
        }
    }

    fn text(parent: TraceParent) -> String {
        String::from_utf8(parent.to_text().to_vec()).unwrap()
    }

    #[test]
    fn a_newer_version_is_passed_on_as_the_one_that_is_known() {
        let newer = TraceParent::parse(format!("cc-{TRACE}-{PARENT}-ff-more").as_bytes()).unwrap();
        assert_eq!(text(newer), format!("00-{TRACE}-{PARENT}-03"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(trace_id: [u8; 16], parent_id: [u8; 8], flags in 0..4_u8) {
            let written = TraceParent { trace_id, parent_id, flags };
            let read = TraceParent::parse(&written.to_text());
            prop_assert_eq!(read, if trace_id == [0; 16] || parent_id == [0; 8] { Err(NotATraceParent) } else { Ok(written) });
        }

        #[test]
        fn no_bytes_make_it_panic_and_what_it_takes_is_canonical(value: Vec<u8>) {
            if let Ok(parent) = TraceParent::parse(&value) {
                prop_assert!(trim_ows(&value).len() >= parent.to_text().len());
            }
        }

        #[test]
        fn one_changed_byte_is_refused_or_read_as_what_it_says(at in 0..55_usize, byte: u8) {
            let mut value = format!("00-{TRACE}-{PARENT}-03").into_bytes();
            value[at] = byte;
            if let Ok(parent) = TraceParent::parse(&value) {
                let mut expected = value.clone();
                expected[..2].copy_from_slice(b"00");
                // Of the flags two bits are known.
                expected[53] = b'0';
                prop_assert!(matches!(value[54], b'0'..=b'9' | b'a'..=b'f'));
                expected[54] = b'0' + (char::from(value[54]).to_digit(16).unwrap() as u8 & 3);
                prop_assert_eq!(&parent.to_text()[..], &expected[..]);
            }
        }
    }
}
