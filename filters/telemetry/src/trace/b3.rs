//! B3, in one header or in several: openzipkin/b3-propagation, README.

use super::hex;

/// What B3 headers say. Without ids only a decision was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct B3 {
    /// Trace id, and the id of the caller's span.
    pub ids: Option<([u8; 16], [u8; 8])>,
    pub decision: Decision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing was decided yet.
    Defer,
    Deny,
    Accept,
    /// Accept, and whoever else decides does not count.
    Debug,
}

impl Decision {
    pub const fn sampled(self) -> Option<bool> {
        match self {
            Decision::Defer => None,
            Decision::Deny => Some(false),
            Decision::Accept | Decision::Debug => Some(true),
        }
    }

    const fn digit(self) -> Option<u8> {
        match self {
            Decision::Defer => None,
            Decision::Deny => Some(b'0'),
            Decision::Accept => Some(b'1'),
            Decision::Debug => Some(b'd'),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotB3;

impl B3 {
    /// The header `b3`: `traceid-spanid[-decision[-parentspanid]]`, or the decision alone.
    ///
    /// # Errors
    /// Anything out of grammar.
    pub fn parse_single(value: &[u8]) -> Result<B3, NotB3> {
        if let Some(decision) = decision(value) {
            return Ok(B3 { ids: None, decision });
        }
        let mut fields = value.split(|byte| *byte == b'-');
        let (trace, span) = (fields.next().unwrap_or_default(), fields.next().ok_or(NotB3)?);
        let decision = match fields.next() {
            None => Decision::Defer,
            Some(field) => decision(field).ok_or(NotB3)?,
        };
        if let Some(parent) = fields.next() {
            span_id(parent)?;
        }
        if fields.next().is_some() {
            return Err(NotB3);
        }
        Ok(B3 { ids: Some((trace_id(trace)?, span_id(span)?)), decision })
    }

    /// The headers `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`; `None` where there is none of them.
    ///
    /// # Errors
    /// An id without the other, and anything out of grammar.
    pub fn parse_multi(
        trace: Option<&[u8]>,
        span: Option<&[u8]>,
        sampled: Option<&[u8]>,
        flags: Option<&[u8]>,
    ) -> Result<Option<B3>, NotB3> {
        if [trace, span, sampled, flags].iter().all(Option::is_none) {
            return Ok(None);
        }
        let decision = match (flags, sampled) {
            (Some(b"1"), _) => Decision::Debug,
            (_, None) => Decision::Defer,
            // `true` and `false` are what old ones send, "and should be accepted".
            (_, Some(b"1" | b"true")) => Decision::Accept,
            (_, Some(b"0" | b"false")) => Decision::Deny,
            (_, Some(_)) => return Err(NotB3),
        };
        let ids = match (trace, span) {
            (None, None) => None,
            (Some(trace), Some(span)) => Some((trace_id(trace)?, span_id(span)?)),
            _ => return Err(NotB3),
        };
        Ok(Some(B3 { ids, decision }))
    }

    /// The header `b3` of a request whose ids these are.
    pub fn to_single(
        trace_id: [u8; 16],
        span_id: [u8; 8],
        decision: Decision,
        parent: Option<[u8; 8]>,
    ) -> Vec<u8> {
        let mut value = Vec::with_capacity(68);
        hex::push(&mut value, &trace_id);
        value.push(b'-');
        hex::push(&mut value, &span_id);
        if let Some(digit) = decision.digit() {
            value.extend_from_slice(&[b'-', digit]);
            if let Some(parent) = parent {
                value.push(b'-');
                hex::push(&mut value, &parent);
            }
        }
        value
    }
}

fn decision(text: &[u8]) -> Option<Decision> {
    match text {
        b"0" => Some(Decision::Deny),
        b"1" => Some(Decision::Accept),
        b"d" => Some(Decision::Debug),
        _ => None,
    }
}

/// 128 bits, or 64 with zeros put before them.
fn trace_id(digits: &[u8]) -> Result<[u8; 16], NotB3> {
    let mut id = [0; 16];
    match digits.len() {
        16 => {
            if let (Some(low), Some(short)) = (id.last_chunk_mut::<8>(), hex::decode::<8>(digits)) {
                *low = short;
            }
        }
        _ => id = hex::decode::<16>(digits).ok_or(NotB3)?,
    }
    if id == [0; 16] { Err(NotB3) } else { Ok(id) }
}

fn span_id(digits: &[u8]) -> Result<[u8; 8], NotB3> {
    hex::decode::<8>(digits).filter(|id| *id != [0; 8]).ok_or(NotB3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";
    const PARENT: &str = "05e3ac9a4f6e3b90";

    fn ids(trace: &str) -> Option<([u8; 16], [u8; 8])> {
        Some((hex::decode(trace.as_bytes()).unwrap(), hex::decode(SPAN.as_bytes()).unwrap()))
    }

    #[test]
    fn te_4_the_single_header_is_read_in_all_its_forms() {
        for (value, trace, decision) in [
            (format!("{TRACE}-{SPAN}-1-{PARENT}"), Some(TRACE), Decision::Accept),
            (format!("{TRACE}-{SPAN}-1"), Some(TRACE), Decision::Accept),
            (format!("{TRACE}-{SPAN}-0"), Some(TRACE), Decision::Deny),
            (format!("{TRACE}-{SPAN}-d"), Some(TRACE), Decision::Debug),
            (format!("{TRACE}-{SPAN}"), Some(TRACE), Decision::Defer),
            (
                format!("64fe8b2a57d3eff7-{SPAN}-1"),
                Some("000000000000000064fe8b2a57d3eff7"),
                Decision::Accept,
            ),
            ("0".into(), None, Decision::Deny),
            ("1".into(), None, Decision::Accept),
            ("d".into(), None, Decision::Debug),
        ] {
            let expected = B3 { ids: trace.and_then(ids), decision };
            assert_eq!(B3::parse_single(value.as_bytes()), Ok(expected), "{value}");
        }
    }

    #[test]
    fn te_4_what_is_out_of_grammar_is_refused() {
        for value in [
            String::new(),
            "2".into(),
            "-".into(),
            TRACE.into(),
            format!("{TRACE}-"),
            format!("{TRACE}-{SPAN}-"),
            format!("{TRACE}-{SPAN}-2"),
            format!("{TRACE}-{SPAN}-1-{PARENT}-"),
            format!("{TRACE}-{SPAN}-1-"),
            format!("{TRACE}-{SPAN}-true"),
            format!("{}-{SPAN}-1", TRACE.to_uppercase()),
            format!("{}-{SPAN}-1", "0".repeat(32)),
            format!("{}-{SPAN}-1", "0".repeat(16)),
            format!("{TRACE}-{}-1", "0".repeat(16)),
            format!("{}-{SPAN}-1", &TRACE[1..]),
            format!("{}x-{SPAN}-1", &TRACE[..15]),
            format!(" {TRACE}-{SPAN}-1"),
        ] {
            assert_eq!(B3::parse_single(value.as_bytes()), Err(NotB3), "{value}");
        }
    }

    fn multi(values: [&str; 4]) -> Result<Option<B3>, NotB3> {
        let [trace, span, sampled, flags] =
            values.map(|value| Some(value.as_bytes()).filter(|v| !v.is_empty()));
        B3::parse_multi(trace, span, sampled, flags)
    }

    #[test]
    fn te_4_several_headers_say_the_same() {
        for (values, decision) in [
            ([TRACE, SPAN, "1", ""], Decision::Accept),
            ([TRACE, SPAN, "true", ""], Decision::Accept),
            ([TRACE, SPAN, "0", ""], Decision::Deny),
            ([TRACE, SPAN, "false", ""], Decision::Deny),
            ([TRACE, SPAN, "", ""], Decision::Defer),
            ([TRACE, SPAN, "", "1"], Decision::Debug),
            ([TRACE, SPAN, "0", "1"], Decision::Debug),
            ([TRACE, SPAN, "", "0"], Decision::Defer),
        ] {
            assert_eq!(multi(values), Ok(Some(B3 { ids: ids(TRACE), decision })), "{values:?}");
        }
        assert_eq!(multi(["", "", "0", ""]), Ok(Some(B3 { ids: None, decision: Decision::Deny })));
        assert_eq!(multi(["", "", "", ""]), Ok(None));
        for values in
            [[TRACE, "", "1", ""], ["", SPAN, "1", ""], [TRACE, SPAN, "d", ""], ["x", SPAN, "1", ""]]
        {
            assert_eq!(multi(values), Err(NotB3), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn te_4_what_is_written_is_read_back(trace: [u8; 16], span: [u8; 8], parent: Option<[u8; 8]>, debug: bool) {
            prop_assume!(trace != [0; 16] && span != [0; 8] && parent != Some([0; 8]));
            let decision = if debug { Decision::Debug } else { Decision::Deny };
            let value = B3::to_single(trace, span, decision, parent);
            prop_assert_eq!(B3::parse_single(&value), Ok(B3 { ids: Some((trace, span)), decision }));
        }

        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>, other: Option<Vec<u8>>) {
            let _ = B3::parse_single(&value);
            let _ = B3::parse_multi(Some(&value), other.as_deref(), None, Some(&value));
        }
    }
}
