//! The `traceparent` field: W3C Trace Context Level 2, section 3.2.

use std::fmt;

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
        let [version] = lower_hex::<1>(version).ok_or(NotATraceParent)?;
        match (version, rest) {
            (0xFF, _) | (0, [_, ..]) => return Err(NotATraceParent),
            (_, [] | [b'-', ..]) => {}
            (_, _) => return Err(NotATraceParent),
        }
        let trace_id = lower_hex::<16>(trace_id).filter(|id| *id != [0; 16]).ok_or(NotATraceParent)?;
        let parent_id = lower_hex::<8>(parent_id).filter(|id| *id != [0; 8]).ok_or(NotATraceParent)?;
        let [flags] = lower_hex::<1>(flags).ok_or(NotATraceParent)?;
        Ok(Self { trace_id, parent_id, flags })
    }

    /// The root of a new, unsampled trace out of 24 random bytes.
    pub fn root(random: [u8; 24]) -> Self {
        let mut trace_id = [0; 16];
        let mut parent_id = [0; 8];
        let mut bytes = random.into_iter();
        trace_id.iter_mut().chain(&mut parent_id).zip(&mut bytes).for_each(|(id, byte)| *id = byte);
        // Zeros mean "no id"; chance gives them once in 2^64.
        if parent_id == [0; 8] {
            parent_id = [0, 0, 0, 0, 0, 0, 0, 1];
        }
        if trace_id == [0; 16] {
            trace_id = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        }
        Self { trace_id, parent_id, flags: Self::RANDOM }
    }
}

/// As version 00, the one this code writes.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.parent_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
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

fn lower_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte & 0x0F),
        b'a'..=b'f' => Some((byte & 0x0F).saturating_add(9)),
        _ => None,
    };
    let mut bytes = [0; N];
    let mut pairs = digits.chunks_exact(2);
    for byte in &mut bytes {
        let [high, low] = pairs.next()? else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    (pairs.next().is_none() && pairs.remainder().is_empty()).then_some(bytes)
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

    #[test]
    fn a_root_is_never_all_zeros() {
        assert_eq!(
            TraceParent::root([0; 24]).to_string(),
            "00-00000000000000000000000000000001-0000000000000001-02"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(random: [u8; 24], flags: u8) {
            let written = TraceParent { flags, ..TraceParent::root(random) };
            prop_assert_eq!(TraceParent::parse(written.to_string().as_bytes()), Ok(written));
        }

        #[test]
        fn no_bytes_make_it_panic_and_what_it_takes_is_canonical(value: Vec<u8>) {
            if let Ok(parent) = TraceParent::parse(&value) {
                prop_assert!(trim_ows(&value).len() >= parent.to_string().len());
            }
        }

        #[test]
        fn one_changed_byte_is_refused_or_read_as_what_it_says(random: [u8; 24], at in 0..55_usize, byte: u8) {
            let mut value = TraceParent::root(random).to_string().into_bytes();
            value[at] = byte;
            if let Ok(parent) = TraceParent::parse(&value) {
                let written = parent.to_string();
                prop_assert_eq!(&written.as_bytes()[2..], &value[2..]);
            }
        }
    }
}
