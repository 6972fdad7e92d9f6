//! What is left to do when a filter panics: say where, and answer everybody whom nobody else would.

use crate::hostcalls::{self, MetricKind};
use crate::log::{self, Level};
use crate::reply::Reply;
use crate::{state, waiting};

/// Has a panic written down, counted as `l7_<plugin>_panics_total`, what the VM reserved given back, and every paused stream
/// answered with 503: Envoy itself answers only the stream whose own callback panicked, the others would hang. The VM is lost all the same; with
/// `failure_policy: FAIL_RELOAD` the next request gets a new one.
///
/// Not for what runs no hook: a stack overflow, or memory that is used up.
pub(crate) fn install(plugin: &'static str) {
    // Natively the panic belongs to whoever runs the test.
    if cfg!(target_arch = "wasm32") {
        std::panic::set_hook(Box::new(move |info| {
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
            let name = ["l7_", plugin, "_panics_total"].concat();
            if let Ok(id) = hostcalls::define_metric(MetricKind::Counter, name.as_bytes()) {
                let _ = hostcalls::increment_metric(id, 1);
            }
        }));
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
