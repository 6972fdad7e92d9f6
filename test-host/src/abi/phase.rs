//! What a guest is doing, and what Envoy lets it call meanwhile.

use super::GuestFault;

/// Envoy restricts what a guest may call while it starts or allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The engine runs the module's start section; Envoy has not set up anything a hostcall needs.
    Instantiating,
    Starting,
    Allocating,
    Running,
}

impl Phase {
    /// Why this hostcall ends the guest now, if it does (proxy-wasm-cpp-host `src/wasm.cc`, `include/proxy-wasm/wasm.h`).
    pub(crate) fn forbids(self, hostcall: &'static str) -> Option<GuestFault> {
        let restricted = |phase| Some(GuestFault::Restricted { hostcall, phase });
        match self {
            Phase::Running => None,
            Phase::Instantiating => {
                let needs_nothing = ["pthread_equal", "emscripten_notify_memory_growth"];
                let why = "in the module's start section";
                (!needs_nothing.contains(&hostcall)).then_some(GuestFault::EnvoyCrash { hostcall, why })
            }
            Phase::Starting => {
                let not_wasi = hostcall.starts_with("proxy_") || hostcall.starts_with("envoy_");
                let forbidden = [
                    "fd_read",
                    "fd_seek",
                    "fd_close",
                    "path_open",
                    "proc_exit",
                    "sched_yield",
                    "pthread_equal",
                ];
                let allowed = hostcall == "proxy_log" || !(not_wasi || forbidden.contains(&hostcall));
                if allowed { None } else { restricted("starting") }
            }
            Phase::Allocating => {
                let allowed = ["proxy_log", "fd_write", "clock_time_get", "poll_oneoff"];
                if allowed.contains(&hostcall) { None } else { restricted("allocating memory") }
            }
        }
    }
}
