//! One VM of a native filter. A callback, top to bottom: [`Vm::call`], [`Instance::enter`], [`dispatch`], the filter, and for each of its
//! hostcalls [`Imports::call`], which the list in `imports` leads to the one implementation.

use std::{
    any::Any,
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    panic::resume_unwind,
    rc::{Rc, Weak},
    sync::Arc,
};

use wayside_sdk::{
    Callbacks,
    native::{self, Imports},
};

use super::{Filter, guest::NativeGuest, imports};
use crate::abi::{CallStatus, Callback, Capabilities, ContextId, GuestFault, HostCalls};

/// What wasmtime calls the trap that a panic ends in: reports of both engines say the same.
const PANICKED: &str = "wasm `unreachable` instruction executed";

/// A native VM, into which the proxy lends itself for one callback at a time.
pub struct Vm<H: 'static> {
    instance: Rc<Instance<H>>,
    exports: Option<Arc<BTreeSet<String>>>,
}

/// What the filter's hostcalls reach.
pub(super) struct Instance<H: 'static> {
    /// Itself, to be put up for hostcalls.
    this: Weak<Instance<H>>,
    filter: native::Vm,
    /// The host that is lent for this callback. A hostcall has it meanwhile.
    pub(super) host: RefCell<Option<Box<H>>>,
    pub(super) capabilities: Capabilities,
    /// Whether it is known which callbacks the filter's module exports.
    exports_known: bool,
}

impl<H> fmt::Debug for Vm<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm").finish_non_exhaustive()
    }
}

impl<H: HostCalls + 'static> Vm<H> {
    pub(crate) fn new(filter: &Filter, capabilities: Capabilities) -> Self {
        let exports = filter.exports.clone();
        let exports_known = exports.is_some();
        let filter = native::Vm::new(filter.make);
        let instance = Rc::new_cyclic(|this| Instance {
            this: Weak::clone(this),
            filter,
            host: RefCell::default(),
            capabilities,
            exports_known,
        });
        Vm { instance, exports }
    }

    /// Calls the filter, with `host` lent to it meanwhile. `Ok(None)`: its module would not export this callback.
    pub(crate) fn call(
        &mut self,
        host: Box<H>,
        context: ContextId,
        callback: Callback,
    ) -> (Box<H>, Result<Option<u32>, GuestFault>) {
        let export = callback.export();
        let exported = self.exports.as_ref().is_none_or(|exports| exports.contains(&export));
        if !exported || !self.instance.capabilities.allow(&export) {
            return (host, Ok(None));
        }
        let nobody = self.instance.host.replace(Some(host));
        debug_assert!(nobody.is_none(), "it is lent once");
        let answer = self.instance.enter(context, callback);
        (self.instance.take_host(), answer)
    }
}

impl<H: HostCalls + 'static> Instance<H> {
    /// Runs a callback to its end: what it answers, or the fault that ended the VM.
    pub(super) fn enter(&self, context: ContextId, callback: Callback) -> Result<Option<u32>, GuestFault> {
        let Some(imports) = self.this.upgrade() else { return Ok(None) };
        match self.filter.enter(imports, |filter| dispatch(filter, context.0, callback)) {
            Ok(answer) if answer.idle && !self.exports_known => Ok(None),
            Ok(answer) => Ok(answer.value),
            Err(payload) => Err(self.fault_of(payload, callback.name())),
        }
    }

    /// What a callback was unwound by: a fault that a hostcall raised, or a panic, which in wasm is a trap.
    fn fault_of(&self, payload: Box<dyn Any + Send>, callback: &'static str) -> GuestFault {
        // The host did not come back from a hostcall: the panic is its own, and nobody's fault but ours.
        if self.host.borrow().is_none() {
            resume_unwind(payload);
        }
        match payload.downcast::<GuestFault>() {
            Ok(fault) => *fault,
            Err(_) => GuestFault::Trap { callback, reason: PANICKED.to_owned() },
        }
    }

    /// Ends the loan.
    #[expect(clippy::expect_used, reason = "only Vm::call uses it, having put the host here")]
    fn take_host(&self) -> Box<H> {
        self.host.take().expect("every hostcall has given the host back")
    }
}

/// The callbacks by their methods; what answers nothing counts as having answered 0. `None`: `wayside-sdk` does not export it.
fn dispatch(filter: &dyn Callbacks, id: u32, callback: Callback) -> Option<u32> {
    let usize = |size: u32| size as usize;
    let () = match callback {
        Callback::ContextCreate { parent } => filter.on_context_create(id, parent),
        Callback::Tick => filter.on_tick(id),
        Callback::HttpCallResponse { token, headers, body, trailers } => {
            filter.on_http_call_response(id, token, headers, usize(body), trailers);
        }
        Callback::GrpcReceive { token, size } => filter.on_grpc_receive(id, token, usize(size)),
        Callback::GrpcClose { token, status } => filter.on_grpc_close(id, token, status),
        Callback::Log => filter.on_log(id),
        Callback::Delete => filter.on_delete(id),
        Callback::Done => return Some(filter.on_done(id).into()),
        Callback::Configure { size } => return Some(filter.on_configure(id, usize(size)).into()),
        Callback::RequestHeaders { count, end_of_stream } => {
            return Some(filter.on_request_headers(id, count, end_of_stream));
        }
        Callback::RequestBody { size, end_of_stream } => {
            return Some(filter.on_request_body(id, usize(size), end_of_stream));
        }
        Callback::RequestTrailers { count } => return Some(filter.on_request_trailers(id, count)),
        Callback::ResponseHeaders { count, end_of_stream } => {
            return Some(filter.on_response_headers(id, count, end_of_stream));
        }
        Callback::ResponseBody { size, end_of_stream } => {
            return Some(filter.on_response_body(id, usize(size), end_of_stream));
        }
        Callback::ResponseTrailers { count } => return Some(filter.on_response_trailers(id, count)),
        Callback::VmStart { .. }
        | Callback::GrpcReceiveInitialMetadata { .. }
        | Callback::GrpcReceiveTrailingMetadata { .. }
        | Callback::QueueReady { .. }
        | Callback::ResolveDns { .. }
        | Callback::NewConnection
        | Callback::DownstreamData { .. }
        | Callback::UpstreamData { .. }
        | Callback::DownstreamConnectionClose { .. }
        | Callback::UpstreamConnectionClose { .. } => return None,
    };
    Some(0)
}

impl<H: HostCalls + 'static> Imports for Instance<H> {
    /// One hostcall. A fault ends the callback as a trap would: it unwinds the filter, and nothing that is dropped on the way is
    /// heard.
    fn call(&self, import: &'static str, arguments: &[u64]) -> u32 {
        let Some(host) = self.host.take() else {
            // The panic hook, of a panic within another hostcall.
            return CallStatus::InternalFailure as u32;
        };
        let mut guest = NativeGuest::new(self, host);
        let answer = imports::call(&mut guest, import, arguments);
        self.host.replace(guest.into_host());
        answer.unwrap_or_else(|fault| {
            native::silence();
            resume_unwind(Box::new(fault))
        })
    }
}
