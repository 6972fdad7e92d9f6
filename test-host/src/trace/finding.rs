//! The kinds of what a filter's author should know. Their snake_case names stand in reports and stay.

use std::fmt;

/// What a finding is about. The text beside it says what happened in the case at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Envoy's process would have died of it. This host has carried on without it.
    WouldCrashEnvoy,
    /// A worker of Envoy would have been blocked for ever, with all its connections. Here the VM counts as dead.
    WouldHangEnvoy,
    /// Envoy would have taken the rest of the chain through the same part of the message twice.
    RunsChainTwice,
    /// Envoy calls the guest while the guest waits for a hostcall.
    ReentersGuest,
    /// A local reply was asked for where Envoy answers `Ok` and sends nothing.
    LostReply,
    /// Pairs that cannot be decoded: Envoy takes them as an empty list.
    MalformedPairs,
    /// A hostcall answered 5, 6, 9, 11 or 12, which the Rust SDK's `Status` lacks: undefined behaviour in such a guest.
    UnusualStatus,
    /// A hostcall that the VM's `capability_restriction_config` does not list: it answered 10, or 76 where it is WASI's.
    NotCapable,
    /// The filter reset the stream.
    StreamReset,
    /// A hostcall that this host lacks and Envoy has.
    Unimplemented,
    /// A callout to a cluster that no script answers.
    UnansweredCallout,
    /// A dead VM was made again, or could not be.
    VmReloaded,
    /// The plugin started in its canary, but not on one of the threads, where Envoy then leaves the filter out.
    FilterLeftOut,
    /// The guest asked for more than this host keeps; Envoy would have kept it.
    BoundReached,
    /// A property was read whose value the recording does not hold; it was answered as absent.
    NotRecorded,
}

impl FindingKind {
    /// The name it has in reports.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::WouldCrashEnvoy => "would_crash_envoy",
            FindingKind::WouldHangEnvoy => "would_hang_envoy",
            FindingKind::RunsChainTwice => "runs_chain_twice",
            FindingKind::ReentersGuest => "reenters_guest",
            FindingKind::LostReply => "lost_reply",
            FindingKind::MalformedPairs => "malformed_pairs",
            FindingKind::UnusualStatus => "unusual_status",
            FindingKind::NotCapable => "not_capable",
            FindingKind::StreamReset => "stream_reset",
            FindingKind::Unimplemented => "unimplemented",
            FindingKind::UnansweredCallout => "unanswered_callout",
            FindingKind::VmReloaded => "vm_reloaded",
            FindingKind::FilterLeftOut => "filter_left_out",
            FindingKind::BoundReached => "bound_reached",
            FindingKind::NotRecorded => "not_recorded",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
