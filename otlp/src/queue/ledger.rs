//! What became of everything that was ever recorded.

/// Why an item was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// There was no room, or something more important needed it.
    QueueFull,
    /// It alone is more than a batch may be.
    TooLarge,
    /// The collector took the rest of its batch.
    Rejected,
    /// The collector will never take its batch.
    ClientError,
    /// Its batch was sent as often as it may be.
    Exhausted,
    /// The VM went before it could be sent.
    Shutdown,
}

impl DropReason {
    pub const ALL: [DropReason; 6] = [
        DropReason::QueueFull,
        DropReason::TooLarge,
        DropReason::Rejected,
        DropReason::ClientError,
        DropReason::Exhausted,
        DropReason::Shutdown,
    ];

    /// For the label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queue_full",
            DropReason::TooLarge => "too_large",
            DropReason::Rejected => "rejected",
            DropReason::ClientError => "client_error",
            DropReason::Exhausted => "exhausted",
            DropReason::Shutdown => "shutdown",
        }
    }
}

/// Counts of items since the VM began. `recorded` is the sum of `exported`, of every reason in `dropped`, and of what is still queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub recorded: u64,
    pub exported: u64,
    dropped: [u64; 6],
}

impl Ledger {
    #[must_use]
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// All that was lost, whatever for.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// What is neither exported nor lost, by the other three.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.recorded.saturating_sub(self.exported).saturating_sub(self.lost())
    }

    /// What was counted since `before` was this ledger.
    #[must_use]
    pub fn since(&self, before: &Ledger) -> Ledger {
        let mut dropped = self.dropped;
        for (now, then) in dropped.iter_mut().zip(before.dropped) {
            *now = now.saturating_sub(then);
        }
        Ledger {
            recorded: self.recorded.saturating_sub(before.recorded),
            exported: self.exported.saturating_sub(before.exported),
            dropped,
        }
    }

    pub(super) fn recorded(&mut self, items: usize) {
        add(&mut self.recorded, items);
    }

    pub(super) fn exported(&mut self, items: usize) {
        add(&mut self.exported, items);
    }

    pub(super) fn dropped(&mut self, reason: DropReason, items: usize) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            add(count, items);
        }
    }
}

fn add(count: &mut u64, items: usize) {
    *count = count.saturating_add(u64::try_from(items).unwrap_or(u64::MAX));
}
