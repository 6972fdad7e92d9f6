//! What exchanges have in common with those before them.

/// What one exchange can leave behind for another.
///
/// With [`Self::EachExchange`] an exchange fares as if the recording held nothing else, and so wherever in the recording it
/// stands:
///
/// * A worker is started for it when it arrives, with fresh VMs: memory, root contexts, `on_vm_start`, `on_configure`. So what
///   a filter asks for at its start (a callout, a tick) is under way when the exchange comes, as it is with the first exchange
///   of a new Envoy. The worker ends with the exchange: roots are told by `on_done` and `on_delete`.
/// * Ticks count from that start, and go on as long as the exchange, or a call, is under way.
/// * Shared data and shared queues are as the main thread has them at that time; what the exchange makes of them, no other
///   sees, nor the main thread. That is started once, and sees no traffic, as ever.
/// * Metrics count from zero in each, and are added up at the end, gauges too, as Envoy does where one process takes over from
///   another. What a VM counts at its start counts for each.
/// * Scripts that answer callouts, and the source of chance, begin anew; the latter grows from the seed and the exchange's name.
/// * An exchange without a recorded time comes at the beginning, instead of a millisecond behind the one before it.
/// * A change of the configuration concerns exchanges that arrive after it; nobody is cut off by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// All, as in an Envoy: VMs, shared data and metrics live as long as the proxy.
    #[default]
    Shared,
    /// Nothing.
    EachExchange,
}
