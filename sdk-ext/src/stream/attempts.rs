//! One request and its attempts: a filter that stands in a listener's chain and, as the same module, in the upstream chains of the
//! clusters (`http_filters` in `HttpProtocolOptions`).
//!
//! In Envoy each attempt, a retry or a hedge, is a stream of its own there, on the worker of its request, and gets no `on_log`. With equal
//! `vm_id`, code and `vm_config` both chains share one VM a worker; a plugin that is configured alike in both is even one root context, so that
//! nothing but the stream says where it stands. Envoy's attributes and filter state are those of the *request* in both chains
//! (`UpstreamFilterManager::streamInfo` in `source/common/router/upstream_request.cc`). `tests/it/attempts.rs` has Envoy show all this.

use super::{RequestHeaders, Stream, StreamInfo};
use crate::hostcalls::{self, Host, rng};
use crate::plugin::Table;
use crate::property;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Deref;
use std::rc::Rc;

impl RequestHeaders {
    /// Which attempt this stream is, counted from 1: it stands in an upstream chain. `None` in a listener's chain, where no attempt has been
    /// made yet when request headers come, after an internal redirect too. No header says it, so that no client can. One hostcall that returns bytes.
    ///
    /// # Errors
    /// What the host answered.
    pub fn attempt(&self) -> Host<Option<NonZeroU64>> {
        Ok(self.stream().get(&property::UPSTREAM_ATTEMPTS)?.and_then(NonZeroU64::new))
    }
}

/// What the filter in the listener's chain shares of a request with that request's attempts in the upstream chains of the same VM.
///
/// *Keyed* by the stream that opened it: its number, and a number of the VM's own drawn at random, stand in Envoy's filter state
/// under the key, where no client's header reaches; what another VM opened, or one that has been replaced after a panic, is not
/// found. *Bounded* by the live requests of the VM. *Cleared* when [`Opened`] is dropped: with the filter of its stream, or before, in
/// its `on_log`. An attempt that found it keeps its own hand on the value.
///
/// Declared with [`vm_local!`](crate::vm_local!), since plugins of both chains need it:
///
/// ```
/// # use wayside_sdk::{PerRequest, vm_local};
/// # use std::cell::Cell;
/// vm_local! {
///     static TICKETS: PerRequest<Cell<u32>> = const { PerRequest::named("shop_tickets") };
/// }
/// ```
pub struct PerRequest<T> {
    key: &'static str,
    /// Drawn when first needed.
    vm: Cell<Option<[u8; 8]>>,
    table: OnceCell<Rc<RefCell<Table<Rc<T>>>>>,
}

impl<T> PerRequest<T> {
    /// `key` is that of Envoy's filter state (`wasm.<key>`): one filter's own.
    #[must_use]
    pub const fn named(key: &'static str) -> PerRequest<T> {
        PerRequest { key, vm: Cell::new(None), table: OnceCell::new() }
    }

    /// From now on attempts of this request find `value`. One hostcall that returns nothing, and one that returns bytes once in a VM.
    ///
    /// # Errors
    /// What the host answered; nothing is shared then.
    pub fn open(&self, stream: &Stream, value: T) -> Host<Opened<T>> {
        let vm = match self.vm.get() {
            Some(vm) => vm,
            None => rng::bytes()?,
        };
        self.vm.set(Some(vm));
        let id = stream.id().0;
        stream.publish(self.key, &[&vm[..], &id.to_le_bytes()].concat())?;
        let (value, table) =
            (Rc::new(value), self.table.get_or_init(|| Rc::new(RefCell::new(Table::new()))).clone());
        let before = table.borrow_mut().insert(id, value.clone());
        drop(before);
        Ok(Opened { id, value, table })
    }

    /// What was opened in this VM for the request of this stream: in its attempts, and in the listener's chain after it. One
    /// hostcall that returns bytes, 0.2 µs where nothing was opened.
    ///
    /// # Errors
    /// What the host answered.
    pub fn of(&self, stream: &StreamInfo) -> Host<Option<Rc<T>>> {
        stream.own("proxy_get_property")?;
        let Some(told) = hostcalls::property(self.key.as_bytes())? else { return Ok(None) };
        let known = told.split_first_chunk::<8>().filter(|(vm, _)| self.vm.get() == Some(**vm));
        let id = known.and_then(|(_, id)| Some(u32::from_le_bytes(id.try_into().ok()?)));
        let table = self.table.get().map(|table| table.borrow());
        Ok(id.zip(table).and_then(|(id, table)| table.get(id).cloned()))
    }

    /// How many requests of this VM have something opened.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.get().map_or(0, |table| table.borrow().iter().count())
    }

    /// Whether no request has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.get().is_none_or(|table| table.borrow().is_empty())
    }
}

impl<T> fmt::Debug for PerRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerRequest({})", self.key)
    }
}

/// The hand of the listener's chain on what attempts find. When it is dropped, they find it no more.
pub struct Opened<T> {
    id: u32,
    value: Rc<T>,
    table: Rc<RefCell<Table<Rc<T>>>>,
}

impl<T> Deref for Opened<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Opened<T> {
    fn drop(&mut self) {
        let mut table = self.table.borrow_mut();
        // One that was opened after it on the same stream stays.
        let own = table.get(self.id).is_some_and(|now| Rc::ptr_eq(now, &self.value));
        let gone = own.then(|| table.remove(self.id));
        drop(table);
        drop(gone);
    }
}

impl<T: fmt::Debug> fmt::Debug for Opened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
