//! What becomes of the trace context on a request: kept as it came, or replaced by a new one.

use crate::traceparent::TraceParent;
use crate::tracestate;

/// What to do with a context that is out of grammar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// Leave it to the next hop
    Pass,
    /// Start a new trace, as the specification asks of whoever takes part in one
    #[default]
    Restart,
}

/// What to do with a request that has no context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAbsent {
    #[default]
    Pass,
    Start,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Propagation {
    pub on_invalid: OnInvalid,
    pub on_absent: OnAbsent,
}

/// What a request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    Absent,
    Valid,
    /// A good `traceparent` with a bad `tracestate`
    BadState,
    Invalid,
}

impl Carried {
    /// The label of `l7_trace_context_total`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Valid => "valid",
            Self::BadState => "bad_tracestate",
            Self::Invalid => "invalid",
        }
    }
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Keep,
    /// Remove `tracestate`, keep `traceparent`
    DropState,
    /// Replace `traceparent` by a new root and remove `tracestate`
    Restart,
}

/// Judges the trace headers of a request by all their lines.
pub fn inspect<'a>(
    traceparents: impl IntoIterator<Item = &'a [u8]>,
    tracestates: impl IntoIterator<Item = &'a [u8]>,
) -> Carried {
    let mut parents = traceparents.into_iter();
    match (parents.next(), parents.next()) {
        (None, _) => Carried::Absent,
        (Some(_), Some(_)) => Carried::Invalid,
        (Some(parent), None) => match (TraceParent::parse(parent), tracestate::check(tracestates)) {
            (Err(_), _) => Carried::Invalid,
            (Ok(_), Err(_)) => Carried::BadState,
            (Ok(_), Ok(())) => Carried::Valid,
        },
    }
}

impl Propagation {
    pub fn action(self, carried: Carried) -> Action {
        match (carried, self.on_invalid, self.on_absent) {
            (Carried::Valid, _, _) => Action::Keep,
            (Carried::Invalid | Carried::BadState, OnInvalid::Pass, _) => Action::Keep,
            (Carried::Invalid, OnInvalid::Restart, _) => Action::Restart,
            (Carried::BadState, OnInvalid::Restart, _) => Action::DropState,
            (Carried::Absent, _, OnAbsent::Pass) => Action::Keep,
            (Carried::Absent, _, OnAbsent::Start) => Action::Restart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-12345678901234567890123456789012-1234567890123456-01";

    fn carried(parents: &[&str], states: &[&str]) -> Carried {
        inspect(parents.iter().map(|line| line.as_bytes()), states.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn a_context_is_judged_by_all_its_lines() {
        let joined = format!("{GOOD},{GOOD}");
        for (parents, states, expected) in [
            (&[][..], &[][..], Carried::Absent),
            (&[], &["a=1"], Carried::Absent),
            (&[GOOD], &[], Carried::Valid),
            (&[GOOD], &["a=1", "b=2"], Carried::Valid),
            (&[GOOD], &["A=1"], Carried::BadState),
            (&[GOOD, GOOD], &[], Carried::Invalid),
            (&[&joined], &[], Carried::Invalid),
            (&["foo"], &["a=1"], Carried::Invalid),
        ] {
            assert_eq!(carried(parents, states), expected, "{parents:?} {states:?}");
        }
    }

    #[test]
    fn by_default_only_a_broken_context_is_touched() {
        let policy = Propagation::default();
        let actions =
            [Carried::Absent, Carried::Valid, Carried::BadState, Carried::Invalid].map(|c| policy.action(c));
        assert_eq!(actions, [Action::Keep, Action::Keep, Action::DropState, Action::Restart]);
    }

    #[test]
    fn a_policy_that_passes_keeps_everything() {
        let policy = Propagation { on_invalid: OnInvalid::Pass, on_absent: OnAbsent::Pass };
        for carried in [Carried::Absent, Carried::Valid, Carried::BadState, Carried::Invalid] {
            assert_eq!(policy.action(carried), Action::Keep);
        }
    }

    #[test]
    fn a_policy_that_starts_gives_every_request_a_trace() {
        let policy = Propagation { on_absent: OnAbsent::Start, ..Propagation::default() };
        assert_eq!(policy.action(Carried::Absent), Action::Restart);
    }
}
