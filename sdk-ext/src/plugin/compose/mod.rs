//! Several filters as one module: [`plugin!`](crate::plugin!) with more than one plugin.
//!
//! One callback of the host goes through the filters as through a chain of filters of their own: requests in the order of the
//! macro, responses in the reverse, logs in order again. A filter that was not reached by the request, because one before it
//! answered, does not see the response either, and is asked for its log only, as in Envoy.

mod chain;
mod probes;
mod sections;
pub(crate) mod snapshot;

pub use chain::{Chain, Link, Member, Step, Sweep};
pub use probes::{Probes, distinct};
pub use sections::Sections;

use crate::body::{Part, RequestBody, ResponseBody};
use crate::config::ConfigErrors;
use crate::log::{self, Level};
use crate::plugin::{HttpFilter, Init, Plugin, Root};
use crate::stream::reply::{Flow, Reply};
use crate::stream::{LogCx, RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Stream};
use chain::Forth;
use std::rc::Rc;

/// The plugins of one module.
pub struct Bundle<C: Chain>(C::Plugins);

impl<C: Chain> Plugin for Bundle<C> {
    const NAME: &'static str = "bundle";
    type Config = Sections<C>;
    type Filter = Composed<C>;

    fn configure(config: Sections<C>, init: &mut Init) -> Result<Bundle<C>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let plugins = C::configure(config.into_parts(), init, &mut errors);
        let period = C::period(&plugins);
        if !period.is_zero() {
            init.tick(period)?;
        }
        errors.or(Some(Bundle(plugins)))
    }

    fn stream(self: &Rc<Self>) -> Composed<C> {
        Composed { filters: C::streams(&self.0), reached: 0, silent: 0, rest: None }
    }

    fn on_tick(self: &Rc<Self>, root: &mut Root) {
        C::tick(&self.0, root);
        crate::panic::blame("");
    }
}

/// The filters of one stream.
pub struct Composed<C: Chain> {
    filters: C::Filters,
    /// How many the request's headers came to.
    reached: u8,
    /// How many hear nothing of the response, because one behind them answered it.
    silent: u8,
    /// What is left to do when the filter that waits goes on.
    rest: Option<Rest<C>>,
}

struct Rest<C: Chain> {
    run: fn(&mut Composed<C>, &Stream, Sweep) -> Flow,
    sweep: Sweep,
}

impl<C: Chain> Composed<C> {
    fn request<S: Step>(&mut self, stream: &Stream, part: Part) -> Flow {
        let until = if S::STARTS { C::LEN } else { self.reached };
        self.run::<S>(stream, Sweep::new(0, until, part))
    }

    fn response<S: Step>(&mut self, stream: &Stream, part: Part) -> Flow {
        let (from, until) = (self.silent, self.reached);
        self.run::<S>(stream, Sweep::new(from, until, part))
    }

    /// Asks the filters from `sweep.from` to before `sweep.until`, until one does not let the message pass.
    fn run<S: Step>(&mut self, stream: &Stream, mut sweep: Sweep) -> Flow {
        snapshot::begin(sweep.part.len.unwrap_or(0));
        let flow = C::run::<S>(&mut self.filters, stream, &mut sweep, 0);
        snapshot::end();
        crate::panic::blame("");
        if S::STARTS {
            self.reached = self.reached.max(sweep.reached);
        }
        match flow {
            Flow::Wait(_) => {
                match S::FORTH {
                    Forth::Yes => sweep.from = sweep.at.saturating_add(1),
                    Forth::No => sweep.until = sweep.at,
                }
                self.rest = Some(Rest { run: Composed::run::<S>, sweep });
            }
            Flow::Reply(_) if S::FORTH == Forth::No => self.silent = sweep.at,
            _ => {}
        }
        flow
    }
}

impl<C: Chain> HttpFilter for Composed<C> {
    fn on_request_headers(&mut self, token: RequestHeaders) -> Flow {
        self.request::<chain::RequestHead>(token.stream(), Part::without_bytes(token.end_of_stream()))
    }

    fn on_request_body(&mut self, token: RequestBody) -> Flow {
        self.request::<chain::RequestChunk>(token.stream(), token.part())
    }

    fn on_request_trailers(&mut self, token: RequestTrailers) -> Flow {
        self.request::<chain::RequestEnd>(token.stream(), Part::without_bytes(true))
    }

    fn on_response_headers(&mut self, token: ResponseHeaders) -> Flow {
        self.response::<chain::ResponseHead>(token.stream(), Part::without_bytes(token.end_of_stream()))
    }

    fn on_response_body(&mut self, token: ResponseBody) -> Flow {
        self.response::<chain::ResponseChunk>(token.stream(), token.part())
    }

    fn on_response_trailers(&mut self, token: ResponseTrailers) -> Flow {
        self.response::<chain::ResponseEnd>(token.stream(), Part::without_bytes(true))
    }

    fn on_log(&mut self, cx: &LogCx) {
        snapshot::begin(0);
        C::log(&mut self.filters, cx.stream());
        snapshot::end();
        crate::panic::blame("");
    }

    fn after_wait(&mut self, stream: &Stream) -> Flow {
        match self.rest.take() {
            Some(Rest { run, sweep }) => run(self, stream, sweep),
            None => Flow::Continue,
        }
    }
}

impl<C: Chain> std::fmt::Debug for Bundle<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bundle")
    }
}

impl<C: Chain> std::fmt::Debug for Composed<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Composed")
    }
}

/// The answer where a filter wants what only a module of its own can do.
#[cold]
#[inline(never)]
fn not_here(plugin: &str) -> Flow {
    log::write(
        Level::Critical,
        format_args!("{plugin}: holds bodies, and so cannot share a module: answered with 500"),
    );
    Reply::new(500, "wayside.holds_bodies_in_a_bundle").into()
}
