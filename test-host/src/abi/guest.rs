//! The calling module as a hostcall sees it: memory to read and write, an allocator, and the host it talks to.

use std::time::Duration;

use bytes::Bytes;

use super::{CallStatus, Callback, ContextId, HostCalls, LogLevel};

/// An expected refusal, told to the guest as a status.
pub type CallResult<T = ()> = Result<T, CallStatus>;

/// Why a hostcall did not do what was asked: told to the guest, or the end of its VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Status(CallStatus),
    Fault(GuestFault),
}

impl From<CallStatus> for Refusal {
    fn from(status: CallStatus) -> Self {
        Refusal::Status(status)
    }
}

/// A broken guest. Ends the VM, and stands in the report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFault {
    /// The module trapped: a Rust panic ends in `unreachable`.
    #[error("trapped in {callback}: {reason}")]
    Trap { callback: &'static str, reason: String },
    #[error("used up its fuel of {fuel} in {callback}: an endless loop, or a limit set too low")]
    OutOfFuel { callback: &'static str, fuel: u64 },
    /// A callback that did not return. Envoy has no such limit: one worker's every stream waits for ever.
    #[error("ran for more than {limit:?} of real time in {callback}: it would block Envoy's worker for ever")]
    Endless { callback: &'static str, limit: Duration },
    /// Envoy allows few hostcalls while a module starts or allocates.
    #[error("called {hostcall} while {phase}, where Envoy allows only logging and WASI")]
    Restricted { hostcall: &'static str, phase: &'static str },
    /// Envoy's own process would die of it.
    #[error("called {hostcall} {why}: Envoy itself crashes of that")]
    EnvoyCrash { hostcall: &'static str, why: &'static str },
    /// `on_vm_start` or `on_configure` answered false.
    #[error("refused its configuration in {callback}")]
    ConfigurationRefused { callback: &'static str },
}

/// Where in guest memory an argument lies.
#[derive(Clone, Copy, Debug)]
pub struct GuestSlice {
    pub ptr: u32,
    pub len: u32,
}

/// Where in guest memory the host writes the address and the size of a result it allocates there.
#[derive(Clone, Copy, Debug)]
pub struct GuestOut {
    pub ptr: u32,
    pub len: u32,
}

/// A module in the middle of a hostcall.
pub trait Guest {
    type Host: HostCalls;

    fn host(&mut self) -> &mut Self::Host;

    /// Copies bytes out of the guest; `InvalidMemoryAccess` outside its memory.
    fn read(&self, from: GuestSlice) -> CallResult<Bytes>;

    /// Looks at bytes of the guest where they lie, with the host at hand; `InvalidMemoryAccess` outside its memory.
    fn look<R>(&mut self, at: GuestSlice, look: impl FnOnce(&[u8], &mut Self::Host) -> R) -> CallResult<R>;

    fn write(&mut self, ptr: u32, bytes: &[u8]) -> CallResult;

    /// Asks the guest's own allocator for room; `InvalidMemoryAccess` where it has none.
    fn allocate(&mut self, len: u32) -> Result<u32, Refusal>;

    /// Calls the guest while it waits for this hostcall; what it answers is nobody's business.
    fn enter_again(&mut self, context: ContextId, callback: Callback) -> Result<(), Refusal>;

    /// A module of ABI 0.1.0 is told nothing of a header that is missing: it gets an empty value.
    fn reads_missing_headers_as_empty(&self) -> bool {
        false
    }

    /// The guest's allocator calls, which Envoy runs in no plugin's context.
    fn is_allocating(&self) -> bool {
        false
    }

    /// Why a hostcall ends the guest now, if it does.
    fn forbids(&self, hostcall: &'static str) -> Option<GuestFault>;

    /// Whether the VM's configuration lists this import.
    fn may_call(&self, hostcall: &str) -> bool;

    /// How many bytes this hostcall has read from the guest and written to it.
    fn moved(&self) -> (usize, usize);

    /// What ends the guest although the hostcall told it a status.
    fn breaks(&self, _hostcall: &'static str) -> Option<GuestFault> {
        None
    }

    fn log(&mut self, level: LogLevel, text: Bytes) {
        if self.is_allocating() { self.host().log_of_vm(level, text) } else { self.host().log(level, text) }
    }

    fn write_u32(&mut self, ptr: u32, value: u32) -> CallResult {
        self.write(ptr, &value.to_le_bytes())
    }

    fn write_u64(&mut self, ptr: u32, value: u64) -> CallResult {
        self.write(ptr, &value.to_le_bytes())
    }

    /// Writes an address of the guest's memory into it.
    fn write_address(&mut self, ptr: u32, address: u32) -> CallResult {
        self.write_u32(ptr, address)
    }

    /// Writes a number that the guest takes for a size.
    fn write_size(&mut self, ptr: u32, size: u32) -> CallResult {
        self.write_u32(ptr, size)
    }

    /// Hands bytes to the guest. Nothing is allocated for an empty result: address and size are 0.
    fn return_bytes(&mut self, bytes: &[u8], out: GuestOut) -> Result<(), Refusal> {
        let len = u32::try_from(bytes.len()).map_err(|_| CallStatus::InvalidMemoryAccess)?;
        let ptr = if len == 0 { 0 } else { self.allocate(len)? };
        if len > 0 {
            self.write(ptr, bytes)?;
        }
        self.write_address(out.ptr, ptr)?;
        Ok(self.write_size(out.len, len)?)
    }
}
