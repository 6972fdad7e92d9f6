//! The two traits a filter implements.

mod callbacks;
pub(crate) mod compose;
mod context;
mod end;
mod exports;
mod init;
mod request_filter;
mod root;
mod table;
mod vm;

pub use callbacks::Callbacks;
pub use end::{Ending, Rest};
pub use init::Init;
pub use request_filter::{OfRequest, RequestFilter};
pub use root::Root;
pub(crate) use table::Table;
pub(crate) use vm::Probe;
#[doc(hidden)]
pub use vm::Vm;

use crate::body::{RequestBody, ResponseBody};
use crate::config::{ConfigErrors, Configuration};
use crate::stream::reply::Flow;
use crate::stream::{LogCx, RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Stream};
use std::rc::Rc;

/// A configured filter: what all streams of one VM share.
pub trait Plugin: Sized + 'static {
    /// The name in logs, metrics and metadata: lower case with underscores.
    const NAME: &'static str;
    /// What the operator writes.
    type Config: Configuration;
    /// What one stream keeps.
    type Filter: HttpFilter;

    /// Runs once per VM, so workers + 2 times in an Envoy.
    ///
    /// # Errors
    /// Each is logged with its place in the configuration; Envoy then refuses the filter.
    fn configure(config: Self::Config, init: &mut Init) -> Result<Self, ConfigErrors>;

    /// A new stream. There is no host here: Envoy has not said yet what the stream is.
    fn stream(self: &Rc<Self>) -> Self::Filter;

    /// Runs in the period asked for with [`Init::tick`].
    fn on_tick(self: &Rc<Self>, _root: &mut Root) {}
}

/// The callbacks of one HTTP stream, in the order of a request. Each is optional.
pub trait HttpFilter: 'static {
    fn on_request_headers(&mut self, _: RequestHeaders) -> Flow {
        left_as_it_is();
        Flow::Continue
    }

    fn on_request_body(&mut self, _: RequestBody) -> Flow {
        left_as_it_is();
        Flow::Continue
    }

    fn on_request_trailers(&mut self, _: RequestTrailers) -> Flow {
        left_as_it_is();
        Flow::Continue
    }

    fn on_response_headers(&mut self, _: ResponseHeaders) -> Flow {
        left_as_it_is();
        Flow::Continue
    }

    fn on_response_body(&mut self, _: ResponseBody) -> Flow {
        left_as_it_is();
        Flow::Continue
    }

    fn on_response_trailers(&mut self, _: ResponseTrailers) -> Flow {
        left_as_it_is();
        Flow::Continue
    }

    /// The stream is over, however it ended.
    fn on_log(&mut self, _: &LogCx) {
        left_as_it_is();
    }

    /// What is left of a callback when what it waited for let the message pass: other filters of the same module.
    #[doc(hidden)]
    fn after_wait(&mut self, _: &Stream) -> Flow {
        Flow::Continue
    }
}

/// Natively it is to be told which callbacks a filter has no code for: its module does not export them.
#[inline(always)]
fn left_as_it_is() {
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::left_as_it_is();
}

/// Has a filter look at something.
#[inline(always)]
pub(crate) fn offer<R>(ask: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "wasm32")]
    return ask();
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::offer(ask)
}
