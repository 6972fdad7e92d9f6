//! Which plugins share a VM, and which of those share a root context (`envoy-abi` 4.1).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::super::{
    ActiveContext,
    spec::{FailurePolicy, PluginSpec},
};
use crate::{
    abi::GuestFault,
    vm::{Code, Limits, Modules, Template},
};

/// Plugins with equal keys share a VM on each thread.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VmKey {
    vm_id: String,
    environment: BTreeMap<String, String>,
    vm_configuration: Bytes,
    code: String,
}

/// Plugins of one VM with equal keys share a root context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PluginKey {
    root_id: String,
    configuration: Bytes,
    name: String,
    failure_policy: FailurePolicy,
    allow_on_headers_stop_iteration: bool,
    allowed_capabilities: Option<BTreeSet<String>>,
}

impl PluginKey {
    pub(super) fn of(plugin: &PluginSpec) -> Self {
        PluginKey {
            root_id: plugin.root_id.clone(),
            configuration: plugin.configuration.bytes(),
            name: plugin.name.clone(),
            failure_policy: plugin.failure_policy,
            allow_on_headers_stop_iteration: plugin.allow_on_headers_stop_iteration,
            allowed_capabilities: plugin.allowed_capabilities.clone(),
        }
    }
}

/// What the VMs of all threads with one key are made from.
#[derive(Debug)]
pub(in crate::proxy) struct BaseVm {
    key: VmKey,
    pub(in crate::proxy) template: Template<ActiveContext>,
    /// Plugins that have been tried in a canary: each is tried once.
    pub(super) tried: Vec<PluginKey>,
}

impl BaseVm {
    /// Finds the one that a plugin needs; `true`: it is new.
    pub(super) fn find_or_add(
        bases: &mut Vec<BaseVm>,
        plugin: &PluginSpec,
        modules: &Arc<Modules>,
        code: Code,
        limits: Limits,
    ) -> Result<(usize, bool), GuestFault> {
        let key = VmKey {
            vm_id: plugin.vm.id.clone(),
            environment: plugin.vm.environment.clone(),
            vm_configuration: plugin.vm.configuration.bytes(),
            code: code.key(),
        };
        if let Some(known) = bases.iter().position(|base| base.key == key) {
            return Ok((known, false));
        }
        let template = Template::new(modules, code, limits)?;
        bases.push(BaseVm { key, template, tried: Vec::new() });
        Ok((bases.len() - 1, true))
    }

    pub(super) fn vm_id(&self) -> &str {
        &self.key.vm_id
    }
}
