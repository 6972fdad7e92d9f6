//! Headers of a stream: readable and writable only in the phase in which Envoy has them.

mod block;
mod edited;
#[cfg(any(test, feature = "http"))]
mod http;
mod list;
mod name;

pub use block::{HeaderBlock, Names, Only};
pub use name::{AsName, Name, NameRef, OwnedName};

use crate::hostcalls::{self, Host, Map};
use crate::plugin::compose::snapshot;
use crate::stream::{StreamId, waiting};
use std::marker::PhantomData;

/// Which header map a token gives access to. Implemented here only.
pub trait Phase: sealed::Sealed {
    #[doc(hidden)]
    const MAP: u8;
}

/// A phase in which Envoy takes changes.
pub trait Writable: Phase {}

/// A message that has a body: the request or the response.
pub trait Message: Writable {
    /// What its trailers are.
    type Trailers: Writable;
    #[doc(hidden)]
    const BUFFER: u8;
}

impl Message for Request {
    type Trailers = RequestTrailer;
    const BUFFER: u8 = 0;
}

impl Message for Response {
    type Trailers = ResponseTrailer;
    const BUFFER: u8 = 1;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! phase {
    ($(#[$doc:meta])* $name:ident, $map:expr $(, $writable:ident)?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Phase for $name {
            const MAP: u8 = $map as u8;
        }
        $(impl $writable for $name {})?
    };
}

phase!(
    /// Request headers while they are on their way to the upstream.
    Request, Map::RequestHeaders, Writable
);
phase!(
    /// Request trailers.
    RequestTrailer, Map::RequestTrailers, Writable
);
phase!(
    /// Response headers while they are on their way to the client.
    Response, Map::ResponseHeaders, Writable
);
phase!(
    /// Response trailers.
    ResponseTrailer, Map::ResponseTrailers, Writable
);
phase!(
    /// Request headers once the stream is over: read only.
    LoggedRequest, Map::RequestHeaders
);
phase!(
    /// Response headers once the stream is over: read only.
    LoggedResponse, Map::ResponseHeaders
);
phase!(
    /// Response trailers once the stream is over: read only. Not there for a message without trailers.
    LoggedResponseTrailer, Map::ResponseTrailers
);

/// Access to one header map; lives in the token of its phase. In a callback of another stream every call is a `bad argument`: the
/// host would ask that stream.
pub struct Headers<P: Phase>(StreamId, PhantomData<P>);

impl<P: Phase> std::fmt::Debug for Headers<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Headers({:?})", map::<P>())
    }
}

fn map<P: Phase>() -> Map {
    match P::MAP {
        0 => Map::RequestHeaders,
        1 => Map::RequestTrailers,
        2 => Map::ResponseHeaders,
        _ => Map::ResponseTrailers,
    }
}

impl<P: Phase> Headers<P> {
    pub(crate) fn token(stream: StreamId) -> Headers<P> {
        Headers(stream, PhantomData)
    }

    /// Whether the host means this stream now.
    fn own(&self, call: &'static str) -> Host<()> {
        waiting::must_run(self.0, call)
    }

    /// All headers. One hostcall that returns bytes: 1.4 µs at 21 headers.
    ///
    /// # Errors
    /// `not found` when the map does not exist now.
    pub fn block(&self) -> Host<HeaderBlock> {
        self.own("proxy_get_header_map_pairs")?;
        if let Some(block) = snapshot::known(map::<P>()) {
            return Ok(block);
        }
        let block = HeaderBlock::from_host(hostcalls::header_pairs(map::<P>())?)?;
        snapshot::keep(map::<P>(), &block);
        Ok(block)
    }

    /// The first value of this name; a second one is not seen. One hostcall that returns bytes: 1 µs, 0.16 µs when the
    /// header is absent.
    ///
    /// # Errors
    /// `bad argument` when the map does not exist now.
    pub fn first(&self, name: impl AsName) -> Host<Option<Vec<u8>>> {
        self.own("proxy_get_header_map_value")?;
        hostcalls::header(map::<P>(), name.as_name())
    }

    /// Bytes of all names and values together. One hostcall that returns a number: 0.1 µs.
    ///
    /// # Errors
    /// `bad argument` when the map does not exist now.
    pub fn byte_size(&self) -> Host<usize> {
        self.own("proxy_get_header_map_size")?;
        hostcalls::header_bytes(map::<P>())
    }
}

impl<P: Writable> Headers<P> {
    /// Replaces every value of this name by one. One hostcall, nothing returned: 0.3 µs.
    ///
    /// # Errors
    /// `bad argument` when the map does not exist now.
    pub fn set(&mut self, name: impl AsName, value: impl AsRef<[u8]>) -> Host<()> {
        self.own("proxy_replace_header_map_value")?;
        let (name, value) = (name.as_name(), value.as_ref());
        let done = hostcalls::replace_header(map::<P>(), name, value);
        snapshot::set(map::<P>(), name, value, done.is_ok());
        done
    }

    /// Adds one more entry of this name. One hostcall, nothing returned: 0.3 µs.
    ///
    /// # Errors
    /// `bad argument` when the map does not exist now.
    pub fn append(&mut self, name: impl AsName, value: impl AsRef<[u8]>) -> Host<()> {
        self.own("proxy_add_header_map_value")?;
        let (name, value) = (name.as_name(), value.as_ref());
        let done = hostcalls::add_header(map::<P>(), name, value);
        snapshot::appended(map::<P>(), name, value, done.is_ok());
        done
    }

    /// Removes every entry of this name; fine when there is none. One hostcall, nothing returned: 0.3 µs.
    ///
    /// # Errors
    /// `bad argument` when the map does not exist now.
    pub fn remove(&mut self, name: impl AsName) -> Host<()> {
        self.own("proxy_remove_header_map_value")?;
        let name = name.as_name();
        let done = hostcalls::remove_header(map::<P>(), name);
        snapshot::removed(map::<P>(), name, done.is_ok());
        done
    }
}
