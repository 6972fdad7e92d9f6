//! Between the `proxy-wasm` crate and our traits: the only file that names it.

use super::{HttpFilter, Init, Plugin, Root};
use crate::config::{ConfigErrors, Configuration};
use crate::hostcalls::{self, Buffer};
use crate::log::{self, Level};
use crate::reply::{Flow, Reply};
use crate::stream::{
    LogCx, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    Stream, StreamId,
};
use crate::time::Monotonic;
use crate::timers::Timers;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::cell::Cell;
use std::rc::Rc;

/// Registers the plugin with the SDK's dispatcher. Runs while the host allows hardly any call: it makes none.
pub fn install<P: Plugin>() {
    crate::panic::install();
    proxy_wasm::set_root_context(|_| {
        Box::new(RootAdapter::<P> {
            timers: Rc::default(),
            plugin: None,
            streams: Cell::new(0),
            next_tick: Cell::default(),
        })
    });
}

struct RootAdapter<P: Plugin> {
    timers: Rc<Timers>,
    /// `None` until a configuration was accepted.
    plugin: Option<Rc<P>>,
    streams: Cell<u32>,
    next_tick: Cell<Monotonic>,
}

impl<P: Plugin> RootAdapter<P> {
    fn configured(&self) -> Result<P, ConfigErrors> {
        let text = hostcalls::buffer(Buffer::PluginConfiguration, 0, usize::MAX)?.unwrap_or_default();
        P::configure(P::Config::parse(&text)?, &mut Init::new(self.timers.clone()))
    }
}

impl<P: Plugin> Context for RootAdapter<P> {}

impl<P: Plugin> RootContext for RootAdapter<P> {
    fn on_configure(&mut self, _size: usize) -> bool {
        log::poll_level();
        let plugin = match self.configured() {
            Ok(plugin) => plugin,
            Err(errors) => {
                for error in errors.iter() {
                    log::write(Level::Critical, format_args!("{}: configuration refused: {error}", P::NAME));
                }
                return false;
            }
        };
        self.plugin = Some(Rc::new(plugin));
        match self.timers.arm() {
            Ok(()) => true,
            Err(error) => {
                log::write(Level::Critical, format_args!("{}: the tick cannot be set: {error}", P::NAME));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        log::poll_level();
        let now = match Monotonic::now() {
            Ok(now) => now,
            Err(error) => {
                crate::log!(Error, "{}: no time on the tick: {error}", P::NAME);
                return;
            }
        };
        self.timers.run_due(now);
        if let Some(plugin) = &self.plugin
            && !self.timers.every().is_zero()
            && now >= self.next_tick.get()
        {
            self.next_tick.set(now.plus(self.timers.every()));
            plugin.on_tick(&mut Root { now });
        }
        if let Err(error) = self.timers.arm() {
            crate::log!(Error, "{}: the tick cannot be set: {error}", P::NAME);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        self.streams.set(self.streams.get().wrapping_add(1));
        if self.streams.get().is_multiple_of(64) {
            log::poll_level();
        }
        Some(Box::new(StreamAdapter::<P> {
            id: StreamId(context_id),
            timers: self.timers.clone(),
            filter: self.plugin.as_ref().map(Plugin::stream),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct StreamAdapter<P: Plugin> {
    id: StreamId,
    timers: Rc<Timers>,
    filter: Option<P::Filter>,
}

impl<P: Plugin> StreamAdapter<P> {
    fn stream(&self) -> Stream {
        Stream::new(self.id, P::NAME, self.timers.clone())
    }

    /// Runs one callback.
    fn call(&mut self, callback: impl FnOnce(&mut P::Filter, Stream) -> Flow) -> Action {
        let stream = self.stream();
        match &mut self.filter {
            Some(filter) => {
                let flow = callback(filter, stream);
                self.answer(flow)
            }
            None => Action::Continue,
        }
    }

    fn answer(&self, flow: Flow) -> Action {
        match flow {
            Flow::Continue => Action::Continue,
            Flow::Reply(reply) => {
                // The reply ends the stream after this callback; a tick in between must not answer it again.
                self.timers.end(self.id);
                if let Err(error) = reply.send() {
                    log::write(Level::Critical, format_args!("{}: a reply was not taken: {error}", P::NAME));
                }
                Action::Pause
            }
        }
    }
}

impl<P: Plugin> Context for StreamAdapter<P> {}

impl<P: Plugin> HttpContext for StreamAdapter<P> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        if self.filter.is_none() {
            // No configuration was accepted: the filter may be the one that keeps a door shut.
            return self.answer(Reply::new(503, "wayside.not_configured").into());
        }
        self.call(|filter, stream| filter.on_request_headers(RequestHeaders::new(stream, end_of_stream)))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.call(|filter, stream| filter.on_request_body(RequestBody::new(stream, size, end_of_stream)))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.call(|filter, stream| filter.on_request_trailers(RequestTrailers::new(stream, true)))
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.call(|filter, stream| filter.on_response_headers(ResponseHeaders::new(stream, end_of_stream)))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.call(|filter, stream| filter.on_response_body(ResponseBody::new(stream, size, end_of_stream)))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.call(|filter, stream| filter.on_response_trailers(ResponseTrailers::new(stream, true)))
    }

    fn on_log(&mut self) {
        self.timers.end(self.id);
        let stream = self.stream();
        if let Some(filter) = &mut self.filter {
            filter.on_log(&LogCx::new(stream));
        }
        // A timer set in `on_log` would outlive its stream.
        self.timers.end(self.id);
    }
}

/// A stream whose `on_log` never came (a host that does not call it) must not be answered later either.
impl<P: Plugin> Drop for StreamAdapter<P> {
    fn drop(&mut self) {
        self.timers.end(self.id);
    }
}
