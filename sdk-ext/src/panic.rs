//! What is left to do when a filter panics: say where.

use crate::log::{self, Level};

/// Writes one critical line with the place of the panic. The VM is lost all the same.
pub(crate) fn install() {
    // Natively the panic belongs to whoever runs the test.
    if cfg!(target_arch = "wasm32") {
        std::panic::set_hook(Box::new(|info| {
            // A formatted message may hold what a request brought along; a literal cannot.
            let message = info.payload().downcast_ref::<&'static str>().unwrap_or(&"(message withheld)");
            match info.location() {
                Some(place) => {
                    log::write(Level::Critical, format_args!("filter panicked at {place}: {message}"))
                }
                None => log::write(Level::Critical, format_args!("filter panicked: {message}")),
            }
        }));
    }
}
