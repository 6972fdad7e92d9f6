//! One hostcall from its arguments to its answer, whichever engine runs the guest.

use super::{
    CallStatus, Guest, GuestFault, GuestOut, GuestSlice, HostCalls, Refusal, imports::calls::MethodSlices,
    wasi,
};

/// An address of the guest's memory: where a front's own are wider, it stands for one of them.
pub(crate) type Address = u32;

/// Runs one hostcall: refuses it where Envoy would, counts it, and turns its result into the wire's.
///
/// # Errors
/// The guest is broken, and its callback ends here.
pub(crate) fn enter<G: Guest, T>(
    guest: &mut G,
    hostcall: &'static str,
    call: impl FnOnce(&mut G) -> Result<T, Refusal>,
    wire: impl FnOnce(Result<T, CallStatus>) -> u32,
) -> Result<u32, GuestFault> {
    if let Some(fault) = guest.forbids(hostcall) {
        return Err(fault);
    }
    if !guest.may_call(hostcall) {
        guest.host().not_capable(hostcall);
        return Ok(not_capable(hostcall));
    }
    let result = call(guest);
    let (read, written) = guest.moved();
    guest.host().called(hostcall, read, written);
    if let Some(fault) = guest.breaks(hostcall) {
        return Err(fault);
    }
    let number = match result {
        Ok(value) => wire(Ok(value)),
        Err(Refusal::Status(status)) => {
            if status.is_unusual() && hostcall.starts_with("proxy_") {
                guest.host().unusual_status(hostcall, status);
            }
            wire(Err(status))
        }
        Err(Refusal::Fault(fault)) => return Err(fault),
    };
    guest.host().answered(hostcall, number);
    Ok(number)
}

/// What a hostcall answers where the VM's configuration does not list it.
pub(crate) fn not_capable(hostcall: &str) -> u32 {
    if hostcall.starts_with("proxy_") { CallStatus::InternalFailure as u32 } else { wasi::NOT_CAPABLE }
}

/// On the wire of Proxy-Wasm.
pub(crate) fn status(result: Result<(), CallStatus>) -> u32 {
    result.err().unwrap_or(CallStatus::Ok) as u32
}

/// On the wire of WASI.
pub(crate) fn errno(result: Result<wasi::Errno, CallStatus>) -> u32 {
    result.unwrap_or(wasi::Errno::Fault) as u32
}

/// A pointer and a length that travel together.
pub(crate) fn slice(ptr: Address, len: u32) -> GuestSlice {
    GuestSlice { ptr, len }
}

pub(crate) fn out(ptr: Address, len: Address) -> GuestOut {
    GuestOut { ptr, len }
}

/// Four slices, one behind the other.
pub(crate) fn method_slices([p, n, s, sl, m, ml, d, dl]: [u32; 8]) -> MethodSlices {
    MethodSlices { target: slice(p, n), service: slice(s, sl), method: slice(m, ml), metadata: slice(d, dl) }
}
