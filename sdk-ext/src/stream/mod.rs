//! What a callback of a stream may do: one token a phase, valid for that callback.

pub(crate) mod attempts;
pub(crate) mod protocol;
pub(crate) mod reply;
pub(crate) mod sleep;
pub(crate) mod waiting;

use crate::body::Resize;
use crate::body::hold::Hold;
use crate::headers::{
    HeaderBlock, Headers, LoggedRequest, LoggedResponse, LoggedResponseTrailer, Request, RequestTrailer,
    Response, ResponseTrailer,
};
use crate::hostcalls::{self, Host};
use crate::panic;
use crate::property::{Expression, Prop, PropValue, Together, Values};
use crate::stream::reply::Flow;
use crate::time::Monotonic;
use crate::time::timers::{Parked, TimerId, Timers};
use std::cell::OnceCell;

/// The ABI's number of a stream; unique within a VM, never reused while the stream lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u32);

/// What is known of a stream, in every phase and when it is over.
#[derive(Debug)]
pub struct StreamInfo {
    id: StreamId,
    root: u32,
    plugin: &'static str,
}

/// What every callback of a live stream may do besides: start something that goes on without it.
#[derive(Debug)]
pub struct Stream(StreamInfo);

impl std::ops::Deref for Stream {
    type Target = StreamInfo;

    fn deref(&self) -> &StreamInfo {
        &self.0
    }
}

impl StreamInfo {
    /// What the route's metadata says in this namespace under the plugin's name. `path` keeps where that is.
    /// The text at `filter_metadata[namespace][plugin's name]` of the route; `None` where it says nothing. `path` is the caller's to keep: what is
    /// asked for is the same each time. One hostcall that returns bytes, 1.5 µs; 0.2 µs where the route says nothing.
    ///
    /// # Errors
    /// What the host answered. A filter that guards something must refuse the request then.
    pub fn route_metadata(&self, namespace: &str, path: &OnceCell<Box<[u8]>>) -> Host<Option<Vec<u8>>> {
        let path = path.get_or_init(|| {
            let path = ["xds", "route_metadata", "filter_metadata", namespace, self.plugin].join("\0");
            path.into_bytes().into()
        });
        hostcalls::property(path)
    }

    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Whether the host means this stream now: in another's callback it would answer for that one.
    pub(crate) fn own(&self, call: &'static str) -> Host<()> {
        waiting::must_run(self.id, call)
    }

    /// The same for one of several filters in a module.
    pub(crate) fn of_member(&self, plugin: &'static str) -> Stream {
        Stream::new(self.id, self.root, plugin)
    }

    /// Monotonic time, read at most once a callback: one hostcall of numbers only, 0.12 µs. After an `await` it is read anew.
    ///
    /// # Errors
    /// What the host answered; Envoy always has this clock.
    pub fn now(&self) -> Host<Monotonic> {
        Monotonic::of_this_callback()
    }

    /// Reads an attribute; `None` when this stream has none. One hostcall that returns bytes: 1.0-1.5 µs.
    ///
    /// # Errors
    /// `parse failure` when the value has not the attribute's type, else what the host answered.
    pub fn get<T: PropValue>(&self, property: &Prop<T>) -> Host<Option<T>> {
        self.own("proxy_get_property")?;
        property.get()
    }

    /// Reads several attributes with one hostcall that returns bytes: 1.4 µs for five.
    ///
    /// # Errors
    /// What the host answered, where they have to be read one by one.
    pub fn read(&self, together: &Together) -> Host<Values> {
        self.own("proxy_call_foreign_function")?;
        together.read()
    }

    /// Evaluates an expression: one hostcall that returns bytes, 3.7 µs. In a callback of the stream itself only, and not after an
    /// `await`: there Envoy
    /// evaluates it for no stream.
    ///
    /// # Errors
    /// `internal failure` where an attribute is missing that it needs, `parse failure` when the value has another type, `not found`
    /// after an `await`.
    pub fn evaluate<T: PropValue>(&self, expression: &Expression<T>) -> Host<T> {
        match waiting::is_own_callback(self.id) {
            true => expression.evaluate(),
            false => Err(hostcalls::no_stream_to_evaluate_for()),
        }
    }

    /// Writes filter state `wasm.<key>` for the access log and for later filters. One hostcall, nothing returned: 0.17 µs.
    ///
    /// # Errors
    /// What the host answered.
    pub fn publish(&self, key: &str, value: &[u8]) -> Host<()> {
        self.own("proxy_set_property")?;
        hostcalls::set_property(key.as_bytes(), value)
    }
}

impl Stream {
    pub(crate) const fn new(id: StreamId, root: u32, plugin: &'static str) -> Stream {
        Stream(StreamInfo { id, root, plugin })
    }

    /// Runs `action` at the first tick not before `when`, unless the stream ends first or the timer is cancelled.
    ///
    /// Costs one allocation; one hostcall when no tick comes before, one more when this callback has not asked for the time yet; both
    /// of numbers only.
    /// How late it may run says [`Init::timers`](crate::Init::timers).
    ///
    /// # Errors
    /// When the host refuses to start the tick; the timer is then not set.
    pub fn at(&self, when: Monotonic, action: impl FnOnce(&mut Parked) + 'static) -> Host<TimerId> {
        self.own("proxy_set_tick_period_milliseconds")?;
        let plugin = self.plugin;
        Timers::of_root(self.root).add(self.id, when, blaming(plugin, action))
    }

    /// Forgets a timer; fine when it already ran.
    pub fn cancel(&self, timer: TimerId) {
        Timers::of_root(self.root).cancel(timer);
    }
}

/// An action of this filter's, run by nobody's callback.
pub(crate) fn blaming(
    plugin: &'static str,
    action: impl FnOnce(&mut Parked) + 'static,
) -> Box<dyn FnOnce(&mut Parked)> {
    Box::new(move |parked| {
        panic::blame(plugin);
        action(parked);
        panic::blame("");
    })
}

macro_rules! headers_token {
    ($(#[$doc:meta])* $name:ident, $phase:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            pub headers: Headers<$phase>,
            stream: Stream,
            end_of_stream: bool,
        }

        impl $name {
            pub(crate) fn new(stream: Stream, end_of_stream: bool) -> $name {
                $name { headers: Headers::token(stream.id()), stream, end_of_stream }
            }

            #[must_use]
            pub fn stream(&self) -> &Stream {
                &self.stream
            }

            /// Whether the message ends here, without body and trailers.
            #[must_use]
            pub fn end_of_stream(&self) -> bool {
                self.end_of_stream
            }
        }
    };
}

headers_token!(
    /// The request's headers have arrived.
    RequestHeaders, Request
);
headers_token!(
    /// The response's headers have arrived. Also called for local replies, this filter's own included.
    ResponseHeaders, Response
);
macro_rules! message_headers {
    ($name:ident, $phase:ident) => {
        impl $name {
            /// What edits of this message's body need: takes `content-length` away, so that the message goes on in chunks. With
            /// it in place, a body of another length has the receiver wait for the rest, or take the rest for a message of its
            /// own. Nothing is taken from a message that [ends here](Self::end_of_stream). One hostcall, nothing returned.
            ///
            /// # Errors
            /// What the host answered.
            pub fn resize_body(&mut self) -> Host<Resize<$phase>> {
                Resize::of(&mut self.headers, self.end_of_stream)
            }

            /// Holds the headers until the body has been seen: they go on when the body callback says so, and can be edited
            /// there ([`Body::headers`](crate::Body::headers)). A message that ends here goes on.
            ///
            /// **Only for a plugin that is configured with `allow_on_headers_stop_iteration: true`**, which a filter cannot see.
            /// Without it Envoy holds the body as well, and tells nobody. So, until a body was seen behind held headers in
            /// this VM, a stream whose body arrived and was not shown is answered with 500 and `wayside.headers_held_for_ever`,
            /// and so is one whose body has not come, or was announced by `content-length`, for five seconds. That costs two allocations and 2 hostcalls, of which one
            /// returns bytes, and 1 each 100 ms; nothing once a body was seen.
            pub fn hold_for_body(self) -> Flow {
                match self.end_of_stream {
                    true => Flow::Continue,
                    false => Flow::Hold(Hold::new()),
                }
            }
        }
    };
}

message_headers!(RequestHeaders, Request);
message_headers!(ResponseHeaders, Response);

headers_token!(
    /// The request's trailers have arrived.
    RequestTrailers, RequestTrailer
);
headers_token!(
    /// The response's trailers have arrived.
    ResponseTrailers, ResponseTrailer
);

/// The stream is over; headers can be read and nothing can be changed.
#[derive(Debug)]
pub struct LogCx {
    pub request: Headers<LoggedRequest>,
    pub response: Headers<LoggedResponse>,
    trailers: Headers<LoggedResponseTrailer>,
    stream: StreamInfo,
}

impl LogCx {
    pub(crate) fn new(Stream(stream): Stream) -> LogCx {
        let id = stream.id();
        LogCx {
            request: Headers::token(id),
            response: Headers::token(id),
            trailers: Headers::token(id),
            stream,
        }
    }

    /// What is known of the stream. It is over: no timer can be set and no call sent for it any more, only for the plugin.
    #[must_use]
    pub fn stream(&self) -> &StreamInfo {
        &self.stream
    }

    /// The response's trailers, `None` when it had none. One hostcall that returns bytes.
    #[must_use]
    pub fn response_trailers(&self) -> Option<HeaderBlock> {
        self.trailers.block().ok()
    }
}
