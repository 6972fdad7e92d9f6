//! The foreign functions that Envoy registers (`source/extensions/common/wasm/foreign.cc`), by name.
//!
//! All act on the effective context, or on the current one: each says which. What each answers was seen on Envoy 1.40.

mod compression;
mod dns;
mod expressions;
mod filter_state;
mod signatures;
mod wire;

use std::collections::BTreeMap;

use bytes::Bytes;

pub(crate) use self::{expressions::Expressions, filter_state::Declared};
use crate::abi::{CallStatus, ContextId, ForeignAnswer};
use crate::proxy::ActiveContext;

/// What foreign functions keep for a root context: gone with its VM.
#[derive(Debug, Default)]
pub(crate) struct ForeignData {
    pub(crate) declared: BTreeMap<Bytes, Declared>,
    pub(crate) expressions: Expressions,
}

/// `None`: there is no function of this name.
pub(in crate::proxy) fn call(
    context: &mut ActiveContext,
    name: &[u8],
    arguments: &Bytes,
) -> Option<ForeignAnswer> {
    Some(match name {
        b"compress" => compression::compress(arguments),
        b"uncompress" => compression::uncompress(arguments),
        b"sign" => signatures::sign(arguments),
        b"verify_signature" => signatures::verify(arguments),
        b"set_envoy_filter_state" => context.set_envoy_filter_state(arguments),
        b"declare_property" => context.declare_property(arguments),
        b"clear_route_cache" => context.clear_route_cache(),
        b"expr_create" => context.create_expression(arguments),
        b"expr_evaluate" => context.evaluate_expression(arguments),
        b"expr_delete" => context.delete_expression(arguments),
        _ => return None,
    })
}

impl ActiveContext {
    /// The root of the current context, whatever the effective one is.
    fn current_root(&mut self) -> ContextId {
        let (current, effective) = self.act_for(self.current, None);
        let plugin = self.effective_plugin();
        self.act_for(current, effective);
        self.core.plugins[plugin.0].root
    }

    fn clear_route_cache(&mut self) -> ForeignAnswer {
        if let Some((stream, _)) = self.stream_mut() {
            stream.route.clear();
        }
        ForeignAnswer::status(CallStatus::Ok)
    }
}
