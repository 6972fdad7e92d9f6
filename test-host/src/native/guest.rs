//! A native filter in the middle of a hostcall: its memory is this process's.
//!
//! The ABI's addresses have 32 bits. Here one is the place of a real address in the list of those that this hostcall was given or
//! has allocated, counted from 1; 0 is null, as there.
#![expect(unsafe_code, reason = "the filter's memory is reached by the addresses that it passes, as in wasm")]

use std::{cell::Cell, ptr, slice};

use bytes::Bytes;

use super::vm::Instance;
use crate::abi::{
    CallResult, CallStatus, Callback, ContextId, Guest, GuestFault, GuestSlice, HostCalls, Phase, Refusal,
};

pub(super) struct NativeGuest<'a, H: 'static> {
    instance: &'a Instance<H>,
    /// `None` while the filter is entered again.
    host: Option<Box<H>>,
    addresses: Vec<*mut u8>,
    read: Cell<usize>,
    written: usize,
}

impl<'a, H> NativeGuest<'a, H> {
    pub(super) fn new(instance: &'a Instance<H>, host: Box<H>) -> Self {
        let (addresses, read) = (Vec::new(), Cell::default());
        NativeGuest { instance, host: Some(host), addresses, read, written: 0 }
    }

    pub(super) fn into_host(self) -> Option<Box<H>> {
        self.host
    }

    /// What the ABI calls an address that the filter has passed.
    pub(super) fn address_of(&mut self, word: u64) -> u32 {
        match usize::try_from(word) {
            Ok(0) | Err(_) => 0,
            Ok(address) => self.keep(ptr::with_exposed_provenance_mut(address)),
        }
    }

    fn keep(&mut self, address: *mut u8) -> u32 {
        self.addresses.push(address);
        u32::try_from(self.addresses.len()).unwrap_or_default()
    }

    fn at(&self, address: u32) -> CallResult<*mut u8> {
        let place = (address as usize).checked_sub(1);
        place.and_then(|place| self.addresses.get(place)).copied().ok_or(CallStatus::InvalidMemoryAccess)
    }

    /// The bytes of an argument.
    fn bytes(&self, of: GuestSlice) -> CallResult<&[u8]> {
        self.read.set(self.read.get() + of.len as usize);
        if of.len == 0 {
            return Ok(&[]);
        }
        let address = self.at(of.ptr)?;
        // SAFETY: `wayside-sdk` passes address and length of a live slice; it lives until the hostcall returns.
        Ok(unsafe { slice::from_raw_parts(address, of.len as usize) })
    }

    /// Writes what a module would have in so many bytes.
    fn place(&mut self, at: u32, bytes: &[u8], in_a_module: usize) -> CallResult {
        self.written += in_a_module;
        let to = self.at(at)?;
        // SAFETY: `wayside-sdk` passes the address of a variable of this type, or `allocate` made room for as many bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }
}

impl<H: HostCalls + 'static> Guest for NativeGuest<'_, H> {
    type Host = H;

    #[expect(clippy::expect_used, reason = "only `enter_again` takes the host, and it puts it back")]
    fn host(&mut self) -> &mut H {
        self.host.as_mut().expect("the filter is not entered")
    }

    fn read(&self, from: GuestSlice) -> CallResult<Bytes> {
        self.bytes(from).map(Bytes::copy_from_slice)
    }

    fn look<R>(&mut self, at: GuestSlice, look: impl FnOnce(&[u8], &mut H) -> R) -> CallResult<R> {
        let bytes = self.read(at)?;
        Ok(look(&bytes, self.host()))
    }

    fn write(&mut self, ptr: u32, bytes: &[u8]) -> CallResult {
        self.place(ptr, bytes, bytes.len())
    }

    fn write_u32(&mut self, ptr: u32, value: u32) -> CallResult {
        self.place(ptr, &value.to_ne_bytes(), 4)
    }

    fn write_u64(&mut self, ptr: u32, value: u64) -> CallResult {
        self.place(ptr, &value.to_ne_bytes(), 8)
    }

    fn write_address(&mut self, ptr: u32, address: u32) -> CallResult {
        let address = if address == 0 { ptr::null_mut() } else { self.at(address)? };
        self.place(ptr, &address.expose_provenance().to_ne_bytes(), 4)
    }

    fn write_size(&mut self, ptr: u32, size: u32) -> CallResult {
        self.place(ptr, &(size as usize).to_ne_bytes(), 4)
    }

    fn allocate(&mut self, len: u32) -> Result<u32, Refusal> {
        let address = wayside_sdk::internal::allocate(len as usize);
        if address.is_null() { Err(CallStatus::InvalidMemoryAccess.into()) } else { Ok(self.keep(address)) }
    }

    fn enter_again(&mut self, context: ContextId, callback: Callback) -> Result<(), Refusal> {
        self.instance.host.replace(self.host.take());
        let entered = self.instance.enter(context, callback);
        self.host = self.instance.host.take();
        entered.map(drop).map_err(Refusal::Fault)
    }

    /// A constructor has no host to call, and the allocator is Rust's.
    fn forbids(&self, hostcall: &'static str) -> Option<GuestFault> {
        Phase::Running.forbids(hostcall)
    }

    fn may_call(&self, hostcall: &str) -> bool {
        self.instance.capabilities.allow(hostcall)
    }

    fn moved(&self) -> (usize, usize) {
        (self.read.get(), self.written)
    }
}
