//! What is left to do when a filter panics: say where, and answer everybody whom nobody else would.

use crate::hostcalls::{self, MetricKind};
use crate::log::{self, Level};
use crate::state;
use crate::stream::reply::Reply;
use crate::stream::waiting;
use std::cell::Cell;
use std::panic::PanicHookInfo;

crate::vm_local! {
    /// The filter whose code runs, in a module of several; empty where that is clear.
    static BLAMED: Cell<&'static str> = const { Cell::new("") };
}

/// From here on this filter's code runs.
pub(crate) fn blame(plugin: &'static str) {
    BLAMED.set(plugin);
}

/// The one whose code runs.
pub(crate) fn blamed() -> &'static str {
    BLAMED.get()
}

/// Has a panic written down, counted as `l7_<plugin>_panics_total`, what the VM reserved given back, and every paused stream
/// answered with 503: Envoy itself answers only the stream whose own callback panicked, the others would hang. The VM is lost all the same; with
/// `failure_policy: FAIL_RELOAD` the next request gets a new one.
///
/// Not for what runs no hook: a stack overflow, or memory that is used up.
pub(crate) fn install(plugin: &'static str) {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(move |info| panicked(plugin, info)));
    #[cfg(not(target_arch = "wasm32"))]
    PLUGIN.set(Some(plugin));
}

/// What a filter does that takes the hook away: for the control of the drill.
pub fn without_hook() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|_| {}));
    #[cfg(not(target_arch = "wasm32"))]
    PLUGIN.set(None);
}

#[cfg(not(target_arch = "wasm32"))]
crate::vm_local! {
    /// Whose panics are told.
    static PLUGIN: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// There is one hook in a process, and it belongs to whoever runs the test: the one that is there runs too. It is put in front
/// once, and looks at nothing but what runs on the thread that panics.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn hook_into_the_process() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if crate::native::is_entered() {
                if let Some(plugin) = PLUGIN.get() {
                    panicked(plugin, info);
                }
                crate::native::silence();
            }
            before(info);
        }));
    });
}

fn panicked(plugin: &str, info: &PanicHookInfo<'_>) {
    // A formatted message may hold what a request brought along; a literal cannot.
    let message = info.payload().downcast_ref::<&'static str>().unwrap_or(&"(message withheld)");
    match info.location() {
        Some(place) => {
            log::write(Level::Critical, format_args!("filter panicked at {place}: {message}"));
        }
        None => log::write(Level::Critical, format_args!("filter panicked: {message}")),
    }
    state::give_back_all();
    answer_everybody();
    let plugin = Some(BLAMED.get()).filter(|blamed| !blamed.is_empty()).unwrap_or(plugin);
    let name = ["l7_", plugin, "_panics_total"].concat();
    if let Ok(id) = hostcalls::define_metric(MetricKind::Counter, name.as_bytes()) {
        let _ = hostcalls::increment_metric(id, 1);
    }
}

fn answer_everybody() {
    for stream in waiting::abandoned() {
        let reply = Reply::new(503, "wayside.panic");
        let answered = hostcalls::set_effective_context(stream.0).and_then(|()| reply.send());
        if let Err(error) = answered {
            log::write(Level::Critical, format_args!("a paused stream was not answered: {error}"));
        }
    }
}
