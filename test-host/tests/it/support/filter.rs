//! Filters for a chain: scripts, probes on the SDK, and modules written out by hand.

use std::{collections::BTreeMap, path::Path};

use wayside::{
    build::{Guest, Target},
    proxy::spec::{CodeSource, FailurePolicy, PluginConfiguration, PluginSpec, VmSpec},
};

#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) spec: PluginSpec,
}

/// A filter that does what it is told (`probes/examples/script`).
pub(crate) fn script(text: &str) -> Filter {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    probe("script").configured(&lines.join("\n")).named("script")
}

/// One of the probes.
pub(crate) fn probe(name: &str) -> Filter {
    built(name, Target::Unknown)
}

/// One of the probes, for `wasm32-wasip1`.
pub(crate) fn wasi_probe(name: &str) -> Filter {
    built(name, Target::Wasip1)
}

fn built(name: &str, target: Target) -> Filter {
    let guest = Guest::package("wayside-probes").example(name).target(target);
    let guest = guest.manifest_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("probes"));
    let artifact = guest.build().expect("the probe builds");
    Filter::new(name, CodeSource::File(artifact.path))
}

impl Filter {
    /// A module in a file.
    pub(crate) fn of(name: &str, module: &Path) -> Self {
        Self::new(name, CodeSource::File(module.to_owned()))
    }
}

/// A module in text form.
pub(crate) fn wat(text: &str) -> Filter {
    let wasm = wat::parse_str(text).expect("the module is well-formed");
    Filter::new("wat", CodeSource::Inline(wasm.into()))
}

impl Filter {
    fn new(name: &str, code: CodeSource) -> Self {
        let vm = VmSpec {
            id: String::new(),
            configuration: PluginConfiguration::Absent,
            code,
            environment: BTreeMap::new(),
        };
        let spec = PluginSpec {
            filter_name: name.to_owned(),
            name: name.to_owned(),
            root_id: String::new(),
            configuration: PluginConfiguration::Absent,
            vm,
            failure_policy: FailurePolicy::Closed,
            allow_on_headers_stop_iteration: false,
            allowed_capabilities: None,
            origin: "envoy.yaml:1:1".to_owned(),
        };
        Filter { spec }
    }

    /// Another name; the filter keeps a VM of its own by it.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.spec.filter_name = name.to_owned();
        self.spec.name = name.to_owned();
        self.spec.vm.id = name.to_owned();
        self
    }

    pub(crate) fn vm_id(mut self, id: &str) -> Self {
        self.spec.vm.id = id.to_owned();
        self
    }

    pub(crate) fn configured(mut self, text: &str) -> Self {
        self.spec.configuration = PluginConfiguration::Raw(text.to_owned().into());
        self
    }

    pub(crate) fn vm_configured(mut self, text: &str) -> Self {
        self.spec.vm.configuration = PluginConfiguration::Raw(text.to_owned().into());
        self
    }

    pub(crate) fn failing(mut self, policy: FailurePolicy) -> Self {
        self.spec.failure_policy = policy;
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.spec.vm.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A stop at the headers lets body callbacks through.
    pub(crate) fn stopping_headers_only(mut self) -> Self {
        self.spec.allow_on_headers_stop_iteration = true;
        self
    }
}
