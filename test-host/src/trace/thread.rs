//! Which of a proxy's threads something happened on.

use std::fmt;

use serde::{Serialize, Serializer};

/// A thread of Envoy. Each has VMs of its own; only workers see traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thread {
    /// The main thread, in a VM that is thrown away after a try: Envoy starts code once alone, and each plugin once, before
    /// anything else may have it.
    Canary,
    /// The main thread, in the VM that stays.
    Main,
    /// Counted from 0, as in Envoy's thread names.
    Worker(u32),
}

impl Thread {
    /// What happens in a canary happens on the main thread too.
    pub fn is_main(self) -> bool {
        !matches!(self, Thread::Worker(_))
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Thread::Canary => f.write_str("canary"),
            Thread::Main => f.write_str("main"),
            Thread::Worker(number) => write!(f, "worker {number}"),
        }
    }
}

impl Serialize for Thread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
