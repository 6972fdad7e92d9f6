//! What a filter costs, as a test: host calls, instructions and bytes are counted, so the same on every machine.

use std::{fmt, fmt::Write as _, sync::Arc};

use super::{Resolve, Scenario, ScenarioError, ThisCrate};
use crate::{
    trace::Usage,
    vm::{Metering, Modules},
};

/// What the last request of a scenario may cost; those before it warm the filter up.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// Folder below the crate's `scenarios`.
    pub scenario: &'a str,
    /// Exactly these, over all callbacks of the stream.
    pub hostcalls: &'a [(&'a str, u64)],
    /// Instructions at most, as the engine's fuel counts them.
    pub fuel: u64,
}

/// Builds the filter crate whose test this is, and holds its module and its requests against what is allowed.
/// `wasm_bytes` is the most the file may have. Its imports may be `proxy_*`, `random_get`, `clock_time_get` and `environ_get` only: any
/// other is a dependency that found its way in, and maybe one that an Envoy refuses.
///
/// # Errors
/// Everything that is over, less or otherwise than allowed, with what was found, as one text.
pub fn check_cost_of_this_crate(wasm_bytes: u64, requests: &[Allowed<'_>]) -> Result<(), String> {
    let this = ThisCrate::build()?;
    let modules = Arc::new(Modules::metering_by(Metering::Fuel));
    let mut found = String::new();
    if this.module.len > wasm_bytes {
        let _ = writeln!(found, "the module has {} bytes, allowed are {wasm_bytes}", this.module.len);
    }
    let module = modules.load(&this.module.path).map_err(|error| error.to_string())?;
    for import in &module.info.imports {
        if !is_lean(import.module, import.name) {
            let _ = writeln!(found, "the module imports {}.{}", import.module, import.name);
        }
    }
    for allowed in requests {
        let scenario = Scenario { folder: this.scenarios.join(allowed.scenario) };
        let usage = scenario.cost(&modules, &|name| this.resolve(name)).map_err(|error| error.to_string())?;
        compare(&mut found, allowed, &usage);
    }
    if found.is_empty() { Ok(()) } else { Err(format!("{found}tested {}", this.module)) }
}

impl Scenario {
    /// What the first filter's part in the last request costs.
    ///
    /// # Errors
    /// The scenario cannot be run, or has no request.
    pub fn cost(&self, modules: &Arc<Modules>, resolve: Resolve<'_>) -> Result<Usage, ScenarioError> {
        let ran = self.replay(modules, resolve)?;
        let last = ran.replay.outcomes().last().and_then(|outcome| outcome.usage.first());
        last.map(|(_, usage)| usage.clone())
            .ok_or_else(|| ScenarioError::NothingRan { folder: self.folder.clone() })
    }
}

fn is_lean(module: &str, name: &str) -> bool {
    match module {
        "env" => name.starts_with("proxy_"),
        "wasi_snapshot_preview1" => {
            matches!(name, "random_get" | "clock_time_get" | "environ_sizes_get" | "environ_get")
        }
        _ => false,
    }
}

fn compare(found: &mut String, allowed: &Allowed<'_>, usage: &Usage) {
    let named = |call| allowed.hostcalls.iter().any(|(name, _)| *name == call);
    let differs = usage.hostcalls.iter().any(|(call, _)| !named(call))
        || allowed.hostcalls.iter().any(|(name, calls)| usage.hostcalls.get(name) != *calls);
    if differs {
        let expected = List(allowed.hostcalls.iter().copied().collect());
        let made = List(usage.hostcalls.iter().collect());
        let _ = writeln!(found, "{}: expected host calls\n{expected}found\n{made}", allowed.scenario);
    }
    let fuel = usage.fuel.unwrap_or_default();
    if fuel > allowed.fuel {
        let _ = writeln!(found, "{}: used fuel {fuel}, allowed is {}", allowed.scenario, allowed.fuel);
    }
}

/// Written so that it can be copied into the test.
struct List<'a>(std::collections::BTreeMap<&'a str, u64>);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, calls)| writeln!(f, "    (\"{name}\", {calls}),"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(hostcalls: &[(&str, u64)], fuel: u64) -> String {
        let mut usage = Usage { fuel: Some(100), ..Usage::default() };
        usage.count("proxy_log", 0, 0);
        usage.count("proxy_log", 0, 0);
        let mut found = String::new();
        compare(&mut found, &Allowed { scenario: "steady", hostcalls, fuel }, &usage);
        found
    }

    #[test]
    fn a_call_more_or_less_or_another_and_an_instruction_too_many_are_told() {
        assert_eq!(said(&[("proxy_log", 2)], 100), "");
        assert_eq!(
            said(&[("proxy_log", 3)], 100),
            "steady: expected host calls\n    (\"proxy_log\", 3),\nfound\n    (\"proxy_log\", 2),\n\n"
        );
        assert!(said(&[], 100).contains("found\n    (\"proxy_log\", 2)"));
        assert!(said(&[("proxy_log", 2), ("proxy_done", 1)], 100).contains("(\"proxy_done\", 1)"));
        assert_eq!(said(&[("proxy_log", 2)], 99), "steady: used fuel 100, allowed is 99\n");
    }

    #[test]
    fn only_proxy_calls_a_clock_randomness_and_the_environment_may_be_imported() {
        for (module, name, lean) in [
            ("env", "proxy_log", true),
            ("wasi_snapshot_preview1", "random_get", true),
            ("wasi_snapshot_preview1", "fd_write", false),
            ("__wbindgen_placeholder__", "__wbindgen_throw", false),
            ("env", "emscripten_notify_memory_growth", false),
        ] {
            assert_eq!(is_lean(module, name), lean, "{module}.{name}");
        }
    }
}
