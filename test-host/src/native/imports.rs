//! The imports as a native filter calls them: by name, with 64 bits for each argument.

use super::guest::NativeGuest;
use crate::abi::{
    CallStatus, Guest as _, GuestFault, HostCalls, enter, errno,
    imports::{bind_hostcalls, calls, context, headers, shared, stream},
    method_slices, out, slice, status, wasi,
};

/// Leads an import of the list to its hostcall.
macro_rules! answer {
    ($guest:ident, $import:ident, $arguments:ident, $wire:ident;
     $($name:ident($($arg:ident: $kind:ident),* $(,)?) => $call:expr;)*) => {
        match ($import, $arguments) {
            $((stringify!($name), &[$($arg),*]) => {
                $(let $arg = argument!($guest, $arg, $kind);)*
                return enter($guest, stringify!($name), |guest| $call(guest, $($arg),*), $wire);
            })*
            _ => {}
        }
    };
}

macro_rules! argument {
    ($guest:ident, $word:ident, Address) => {
        $guest.address_of($word)
    };
    // A size has 64 bits here; `usize::MAX`, for all there is, is `u32::MAX` in a module.
    ($guest:ident, $word:ident, u32) => {
        u32::try_from($word).unwrap_or(u32::MAX)
    };
    ($guest:ident, $word:ident, i64) => {
        $word.cast_signed()
    };
    ($guest:ident, $word:ident, u64) => {
        $word
    };
}

/// # Errors
/// The guest is broken, and its callback ends here.
pub(super) fn call<H: HostCalls + 'static>(
    guest: &mut NativeGuest<'_, H>,
    import: &'static str,
    arguments: &[u64],
) -> Result<u32, GuestFault> {
    bind_hostcalls! { answer! { guest, import, arguments, status; } }
    // Of WASI what `wayside-sdk` imports.
    answer! { guest, import, arguments, errno;
        random_get(to: Address, len: u32) => wasi::random_get;
        environ_sizes_get(count: Address, bytes: Address) => wasi::environ_sizes_get;
        environ_get(places: Address, text: Address) => wasi::environ_get;
        clock_time_get(clock: u32, precision: u64, to: Address) => wasi::clock_time_get;
    }
    guest.host().unimplemented(import);
    Ok(CallStatus::Unimplemented as u32)
}
