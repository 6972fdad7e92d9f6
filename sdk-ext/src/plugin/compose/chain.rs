//! The filters of a module, one after the other, as types.

use super::{not_here, sections, snapshot};
use crate::body::{Part, RequestBody, ResponseBody};
use crate::config::{ConfigErrors, Configuration, Json};
use crate::panic::blame;
use crate::plugin::{HttpFilter, Init, Plugin, Root, offer};
use crate::stream::reply::Flow;
use crate::stream::{
    LogCx, RequestHeaders, RequestTrailers, ResponseHeaders, ResponseTrailers, Stream, StreamInfo,
};
use crate::time::Monotonic;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// A plugin and those after it: `Link<A, Link<B, ()>>`.
#[derive(Debug)]
pub struct Link<P, R>(std::marker::PhantomData<(P, R)>);

/// `()`, or a [`Link`].
pub trait Chain: 'static {
    /// Of the plugins that have a section.
    type Configs;
    type Plugins: 'static;
    type Filters: 'static;
    const LEN: u8;

    fn names(names: &mut Vec<&'static str>);
    fn read(sections: &[(String, Json)], errors: &mut ConfigErrors) -> Self::Configs;
    fn configure(configs: Self::Configs, init: &mut Init, errors: &mut ConfigErrors) -> Self::Plugins;
    /// The shortest period that one of them asked for.
    fn period(plugins: &Self::Plugins) -> Duration;
    fn tick(plugins: &Self::Plugins, root: &mut Root);
    fn streams(plugins: &Self::Plugins) -> Self::Filters;
    /// `place` is that of the first of these filters.
    fn run<S: Step>(filters: &mut Self::Filters, stream: &Stream, sweep: &mut Sweep, place: u8) -> Flow;
    fn log(filters: &mut Self::Filters, stream: &StreamInfo);
}

/// One way through the filters.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    pub(super) from: u8,
    pub(super) until: u8,
    /// The filter asked last.
    pub(super) at: u8,
    pub(super) reached: u8,
    /// Of the message, as the filters before left it.
    pub(super) part: Part,
}

impl Sweep {
    pub(super) fn new(from: u8, until: u8, part: Part) -> Sweep {
        Sweep { from, until, at: from, reached: 0, part }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forth {
    /// In the order of the macro.
    Yes,
    No,
}

/// One kind of callback.
pub trait Step: 'static {
    const FORTH: Forth;
    /// Whether it comes to filters for the first time.
    const STARTS: bool;
    fn ask<F: HttpFilter>(filter: &mut F, stream: Stream, sweep: &Sweep) -> Flow;
}

macro_rules! steps {
    ($($step:ident, $forth:ident, $starts:literal, $callback:ident, $token:ident($part:ident => $new:expr);)*) => {
        $(
            #[derive(Debug)]
            pub(super) enum $step {}

            impl Step for $step {
                const FORTH: Forth = Forth::$forth;
                const STARTS: bool = $starts;

                #[inline(always)]
                fn ask<F: HttpFilter>(filter: &mut F, stream: Stream, sweep: &Sweep) -> Flow {
                    let $part = sweep.part;
                    filter.$callback($token::new(stream, $new))
                }
            }
        )*
    };
}

steps! {
    RequestHead, Yes, true, on_request_headers, RequestHeaders(part => part.end_of_stream);
    RequestChunk, Yes, false, on_request_body, RequestBody(part => part);
    RequestEnd, Yes, false, on_request_trailers, RequestTrailers(part => part.end_of_stream);
    ResponseHead, No, false, on_response_headers, ResponseHeaders(part => part.end_of_stream);
    ResponseChunk, No, false, on_response_body, ResponseBody(part => part);
    ResponseEnd, No, false, on_response_trailers, ResponseTrailers(part => part.end_of_stream);
}

impl Chain for () {
    type Configs = ();
    type Plugins = ();
    type Filters = ();
    const LEN: u8 = 0;

    fn names(_: &mut Vec<&'static str>) {}

    fn read(_: &[(String, Json)], _: &mut ConfigErrors) {}

    fn configure((): (), _: &mut Init, _: &mut ConfigErrors) {}

    fn period((): &()) -> Duration {
        Duration::ZERO
    }

    fn tick((): &(), _: &mut Root) {}

    fn streams((): &()) {}

    #[inline(always)]
    fn run<S: Step>((): &mut (), _: &Stream, _: &mut Sweep, _: u8) -> Flow {
        Flow::Continue
    }

    fn log((): &mut (), _: &StreamInfo) {}
}

/// A plugin that has a section.
#[derive(Debug)]
pub struct Member<P> {
    plugin: Rc<P>,
    /// Zero for one that asked for no tick.
    period: Duration,
    next: Cell<Monotonic>,
}

impl<P> Member<P> {
    fn new(plugin: P, period: Duration) -> Member<P> {
        let start = if period.is_zero() {
            Monotonic::default()
        } else {
            Monotonic::of_this_callback().unwrap_or_default()
        };
        Member { plugin: Rc::new(plugin), period, next: Cell::new(start.plus(period)) }
    }
}

impl<P: Plugin, R: Chain> Chain for Link<P, R> {
    type Configs = (Option<P::Config>, R::Configs);
    type Plugins = (Option<Member<P>>, R::Plugins);
    type Filters = (Option<P::Filter>, R::Filters);
    const LEN: u8 = R::LEN.saturating_add(1);

    fn names(names: &mut Vec<&'static str>) {
        names.push(P::NAME);
        R::names(names);
    }

    fn read(sections: &[(String, Json)], errors: &mut ConfigErrors) -> Self::Configs {
        let section = sections.iter().find(|(name, _)| name == P::NAME);
        let config = section.and_then(|(_, json)| match P::Config::from_json(json) {
            Ok(config) => Some(config),
            Err(found) => {
                sections::told_below(P::NAME, found, errors);
                None
            }
        });
        (config, R::read(sections, errors))
    }

    fn configure((config, rest): Self::Configs, init: &mut Init, errors: &mut ConfigErrors) -> Self::Plugins {
        let member = config.and_then(|config| {
            blame(P::NAME);
            let plugin = P::configure(config, init);
            blame("");
            let period = init.take_tick();
            match plugin {
                Ok(plugin) => Some(Member::new(plugin, period)),
                Err(found) => {
                    sections::told_below(P::NAME, found, errors);
                    None
                }
            }
        });
        (member, R::configure(rest, init, errors))
    }

    fn period((member, rest): &Self::Plugins) -> Duration {
        let (own, others) = (member.as_ref().map_or(Duration::ZERO, |member| member.period), R::period(rest));
        match (own.is_zero(), others.is_zero()) {
            (true, _) => others,
            (_, true) => own,
            _ => own.min(others),
        }
    }

    fn tick((member, rest): &Self::Plugins, root: &mut Root) {
        if let Some(member) = member
            && !member.period.is_zero()
            && root.now() >= member.next.get()
        {
            member.next.set(root.now().plus(member.period));
            blame(P::NAME);
            member.plugin.on_tick(root);
        }
        R::tick(rest, root);
    }

    fn streams((member, rest): &Self::Plugins) -> Self::Filters {
        (member.as_ref().map(|member| member.plugin.stream()), R::streams(rest))
    }

    fn run<S: Step>(
        (filter, rest): &mut Self::Filters,
        stream: &Stream,
        sweep: &mut Sweep,
        place: u8,
    ) -> Flow {
        if S::FORTH == Forth::No {
            match R::run::<S>(rest, stream, sweep, place.saturating_add(1)) {
                Flow::Continue => {}
                flow => return flow,
            }
        }
        if (sweep.from..sweep.until).contains(&place) {
            sweep.at = place;
            sweep.reached = place.saturating_add(1);
            if let Some(filter) = filter {
                sweep.part.len = Some(snapshot::body_size());
                blame(P::NAME);
                match offer(|| S::ask(filter, stream.of_member(P::NAME), sweep)) {
                    Flow::Continue => {}
                    Flow::Reply(reply) => return Flow::Reply(reply),
                    Flow::Wait(wait) => return Flow::Wait(wait.of_member(P::NAME)),
                    Flow::Buffer | Flow::Hold(_) => return not_here(P::NAME),
                }
            }
        }
        match S::FORTH {
            Forth::Yes => R::run::<S>(rest, stream, sweep, place.saturating_add(1)),
            Forth::No => Flow::Continue,
        }
    }

    fn log((filter, rest): &mut Self::Filters, stream: &StreamInfo) {
        if let Some(filter) = filter {
            blame(P::NAME);
            offer(|| filter.on_log(&LogCx::new(stream.of_member(P::NAME))));
        }
        R::log(rest, stream);
    }
}
