//! What a guest has for one callback, before it is ended: real time, or instructions.

use std::time::Duration;

use wasmtime::Store;

use super::{Limits, Metering, guard::Guard};
use crate::abi::GuestFault;

/// What a guest has for one callback, before it is ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Budget {
    Time { epochs: u64, limit: Duration },
    Fuel(u64),
}

impl Budget {
    pub(super) fn of(limits: Limits, metering: Metering) -> Self {
        match metering {
            Metering::Off => Budget::Time { epochs: Guard::epochs(limits.time), limit: limits.time },
            Metering::Fuel => Budget::Fuel(limits.fuel),
        }
    }

    pub(super) fn grant<T>(self, store: &mut Store<T>) -> wasmtime::Result<()> {
        match self {
            Budget::Time { epochs, .. } => store.set_epoch_deadline(epochs),
            Budget::Fuel(fuel) => store.set_fuel(fuel)?,
        }
        Ok(())
    }

    pub(super) fn used<T>(self, store: &Store<T>) -> Option<u64> {
        match self {
            Budget::Time { .. } => None,
            Budget::Fuel(fuel) => Some(fuel - store.get_fuel().unwrap_or(fuel)),
        }
    }

    /// wasmtime does not say how much there was.
    pub(super) fn name_in(self, fault: GuestFault) -> GuestFault {
        match (fault, self) {
            (GuestFault::OutOfFuel { callback, .. }, Budget::Fuel(fuel)) => {
                GuestFault::OutOfFuel { callback, fuel }
            }
            (GuestFault::Endless { callback, .. }, Budget::Time { limit, .. }) => {
                GuestFault::Endless { callback, limit }
            }
            (fault, _) => fault,
        }
    }
}
