//! What OpenTelemetry keeps in `tracestate` under `ot`: specification, "TraceState Handling".

use super::threshold::{Randomness, Threshold};

/// The list `ot=th:…;rv:…;…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtState<'a> {
    /// With which probability the trace was sampled.
    pub th: Option<Threshold>,
    /// In place of the trace id's last bytes.
    pub rv: Option<Randomness>,
    /// Every other sub-key, and `rv`, as it came.
    kept: Vec<&'a [u8]>,
    /// A `th` that says nothing: it goes.
    had_bad_th: bool,
}

const LONGEST: usize = 256;

impl<'a> OtState<'a> {
    /// What is out of grammar in `th` or `rv` counts as absent. A broken `rv` goes on as it came, since it is not ours.
    pub fn parse(value: &'a [u8]) -> OtState<'a> {
        let mut state = OtState::default();
        for member in value.split(|byte| *byte == b';').filter(|member| !member.is_empty()) {
            match member.strip_prefix(b"th:") {
                Some(text) => match Threshold::parse(text) {
                    Some(threshold) if state.th.is_none() => state.th = Some(threshold),
                    _ => state.had_bad_th = true,
                },
                None => {
                    if let Some(text) = member.strip_prefix(b"rv:") {
                        state.rv = state.rv.or_else(|| Randomness::parse(text));
                    }
                    state.kept.push(member);
                }
            }
        }
        state
    }

    /// The list with this threshold; `None` where nothing is left of it. One that would be longer than 256 bytes goes without
    /// threshold: other sub-keys are not ours to drop.
    pub fn with(&self, th: Option<Threshold>) -> Option<Vec<u8>> {
        let mut list = Vec::new();
        if let Some(th) = th {
            list.extend_from_slice(b"th:");
            list.extend_from_slice(&th.to_text());
        }
        let threshold = list.len();
        for member in &self.kept {
            if !list.is_empty() {
                list.push(b';');
            }
            list.extend_from_slice(member);
        }
        if list.len() > LONGEST && threshold > 0 {
            return self.with(None);
        }
        (!list.is_empty()).then_some(list)
    }

    /// Whether `th` says something else than this.
    pub fn differs(&self, th: Option<Threshold>) -> bool {
        self.had_bad_th || self.th != th
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str, th: Option<&str>) -> Option<String> {
        let th = th.map(|th| Threshold::parse(th.as_bytes()).unwrap());
        OtState::parse(value.as_bytes()).with(th).map(|list| String::from_utf8(list).unwrap())
    }

    #[test]
    fn te_5_sub_keys_of_others_are_kept() {
        for (value, th, expected) in [
            ("", Some("c"), Some("th:c")),
            ("", None, None),
            ("th:8", None, None),
            ("th:8", Some("c"), Some("th:c")),
            ("p:8;r:62", Some("c"), Some("th:c;p:8;r:62")),
            ("th:8;p:8;rv:6e6d1a75832a2f;x:1", Some("c"), Some("th:c;p:8;rv:6e6d1a75832a2f;x:1")),
            ("th:8;p:8;rv:6e6d1a75832a2f", None, Some("p:8;rv:6e6d1a75832a2f")),
            ("th:zz;;x:1", None, Some("x:1")),
        ] {
            assert_eq!(with(value, th).as_deref(), expected, "{value} {th:?}");
        }
    }

    #[test]
    fn te_5_a_threshold_that_does_not_fit_is_left_out() {
        let long = format!("x:{}", "1".repeat(LONGEST - 2));
        assert_eq!(with(&long, Some("c")).as_deref(), Some(long.as_str()));
        let fits = format!("x:{}", "1".repeat(LONGEST - 2 - 5));
        assert_eq!(with(&fits, Some("c")), Some(format!("th:c;{fits}")));
    }

    #[test]
    fn te_5_randomness_of_another_length_is_none() {
        for (value, known) in [
            ("rv:6e6d1a75832a2f", true),
            ("rv:6e6d1a75832a2", false),
            ("rv:6e6d1a75832a2f0", false),
            ("rv:", false),
            ("xrv:6e6d1a75832a2f", false),
        ] {
            assert_eq!(OtState::parse(value.as_bytes()).rv.is_some(), known, "{value}");
        }
    }

    #[test]
    fn a_threshold_that_says_nothing_is_to_be_replaced() {
        assert!(OtState::parse(b"th:zz").differs(None));
        assert!(OtState::parse(b"th:8;th:c").differs(Threshold::parse(b"8")));
        assert!(!OtState::parse(b"rv:6e6d1a75832a2f;th:c").differs(Threshold::parse(b"c0")));
    }
}
