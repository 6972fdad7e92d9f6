//! What a callback of a stream may do: one token a phase, valid for that callback.

use crate::headers::{
    HeaderBlock, Headers, LoggedRequest, LoggedResponse, LoggedResponseTrailer, Request, RequestTrailer,
    Response, ResponseTrailer,
};
use crate::hostcalls::{self, Buffer, Host};
use crate::property::{Prop, PropValue};
use crate::time::Monotonic;
use crate::timers::{Parked, TimerId, Timers};
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
    pub(crate) fn route_metadata(
        &self,
        namespace: &str,
        path: &OnceCell<Box<[u8]>>,
    ) -> Host<Option<Vec<u8>>> {
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

    /// Monotonic time, read at most once a callback: one hostcall, 0.12 µs. After an `await` it is read anew.
    ///
    /// # Errors
    /// What the host answered; Envoy always has this clock.
    pub fn now(&self) -> Host<Monotonic> {
        Monotonic::of_this_callback()
    }

    /// Reads an attribute; `None` when this stream has none. One hostcall: 1.0-1.5 µs.
    ///
    /// # Errors
    /// `parse failure` when the value has not the attribute's type, else what the host answered.
    pub fn get<T: PropValue>(&self, property: &Prop<T>) -> Host<Option<T>> {
        property.get()
    }

    /// Writes filter state `wasm.<key>` for the access log and for later filters. One hostcall: 0.17 µs.
    ///
    /// # Errors
    /// What the host answered.
    pub fn publish(&self, key: &str, value: &[u8]) -> Host<()> {
        hostcalls::set_property(key.as_bytes(), value)
    }
}

impl Stream {
    pub(crate) const fn new(id: StreamId, root: u32, plugin: &'static str) -> Stream {
        Stream(StreamInfo { id, root, plugin })
    }

    /// Runs `action` at the first tick not before `when`, unless the stream ends first or the timer is cancelled.
    ///
    /// Costs one allocation; one hostcall when no tick comes before, one more when this callback has not asked for the time yet.
    /// How late it may run says [`Init::timers`](crate::Init::timers).
    ///
    /// # Errors
    /// When the host refuses to start the tick; the timer is then not set.
    pub fn at(&self, when: Monotonic, action: impl FnOnce(&mut Parked) + 'static) -> Host<TimerId> {
        Timers::of_root(self.root).add(self.id, when, Box::new(action))
    }

    /// Forgets a timer; fine when it already ran.
    pub fn cancel(&self, timer: TimerId) {
        Timers::of_root(self.root).cancel(timer);
    }
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
                $name { headers: Headers::token(), stream, end_of_stream }
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
headers_token!(
    /// The request's trailers have arrived.
    RequestTrailers, RequestTrailer
);
headers_token!(
    /// The response's trailers have arrived.
    ResponseTrailers, ResponseTrailer
);

macro_rules! body_token {
    ($(#[$doc:meta])* $name:ident, $buffer:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            stream: Stream,
            len: usize,
            end_of_stream: bool,
        }

        impl $name {
            pub(crate) fn new(stream: Stream, len: usize, end_of_stream: bool) -> $name {
                $name { stream, len, end_of_stream }
            }

            #[must_use]
            pub fn stream(&self) -> &Stream {
                &self.stream
            }

            /// Bytes in this chunk.
            #[must_use]
            pub fn len(&self) -> usize {
                self.len
            }

            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len == 0
            }

            #[must_use]
            pub fn end_of_stream(&self) -> bool {
                self.end_of_stream
            }

            /// At most `max` bytes of this chunk. One hostcall that returns bytes.
            ///
            /// # Errors
            /// What the host answered.
            pub fn read(&self, max: usize) -> Host<Vec<u8>> {
                Ok(hostcalls::buffer($buffer, 0, max.min(self.len))?.unwrap_or_default())
            }

            /// Puts `bytes` in the place of this chunk. One hostcall.
            ///
            /// # Errors
            /// What the host answered.
            pub fn replace(&mut self, bytes: &[u8]) -> Host<()> {
                hostcalls::set_buffer($buffer, 0, self.len, bytes)?;
                self.len = bytes.len();
                Ok(())
            }
        }
    };
}

body_token!(
    /// A chunk of the request's body.
    RequestBody, Buffer::RequestBody
);
body_token!(
    /// A chunk of the response's body.
    ResponseBody, Buffer::ResponseBody
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
        LogCx { request: Headers::token(), response: Headers::token(), trailers: Headers::token(), stream }
    }

    /// What is known of the stream. It is over: no timer can be set and no call sent any more.
    #[must_use]
    pub fn stream(&self) -> &StreamInfo {
        &self.stream
    }

    /// The response's trailers, `None` when it had none. One hostcall.
    #[must_use]
    pub fn response_trailers(&self) -> Option<HeaderBlock> {
        self.trailers.block().ok()
    }
}
