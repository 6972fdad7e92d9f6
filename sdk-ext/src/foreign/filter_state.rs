//! Objects of Envoy's own filter state, which its other filters, its routes and its upstream connections go by; and the route.

use super::wire;
use crate::hostcalls::{self, Host};
use crate::stream::Stream;
use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

/// How long such an object lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeSpan {
    /// As long as this filter chain: a request that Envoy redirects internally begins without.
    Filters = 0,
    Request = 1,
    /// What later requests of the client's connection see too.
    Connection = 2,
}

/// An object of Envoy's filter state that is made of a value of this type.
pub struct FilterState<T: ?Sized> {
    name: &'static str,
    value: PhantomData<fn(&T)>,
}

impl<T: ?Sized> std::fmt::Debug for FilterState<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FilterState({})", self.name)
    }
}

impl<T: ?Sized> FilterState<T> {
    /// One that is not listed here. Envoy makes only objects that it has been built with.
    #[must_use]
    pub const fn named(name: &'static str) -> FilterState<T> {
        FilterState { name, value: PhantomData }
    }
}

/// What Envoy makes such an object of: text.
pub trait FilterStateValue: sealed::Sealed {
    #[doc(hidden)]
    fn text(&self) -> Cow<'_, [u8]>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for [u8] {}
    impl Sealed for bool {}
    impl Sealed for u64 {}
    impl Sealed for std::net::IpAddr {}
    impl Sealed for std::net::SocketAddr {}
}

impl FilterStateValue for [u8] {
    fn text(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

impl FilterStateValue for bool {
    fn text(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(if *self { b"true" } else { b"false" })
    }
}

macro_rules! printed {
    ($($type:ty),*) => {
        $(impl FilterStateValue for $type {
            fn text(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.to_string().into_bytes())
            }
        })*
    };
}

printed!(u64, IpAddr, SocketAddr);

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $path:literal;)*) => {
        $($(#[$doc])* pub const $name: FilterState<$type> = FilterState::named($path);)*
    };
}

objects! {
    /// A text under this name for whoever looks: `filter_state` in a route's match, `%FILTER_STATE(envoy.string:PLAIN)%` in a log.
    TEXT: [u8] = "envoy.string";
    /// A text that upstream connections and hash policies go by.
    HASHABLE_TEXT: [u8] = "envoy.hashable_string";
    /// The server name in the upstream's TLS handshake.
    UPSTREAM_SERVER_NAME: [u8] = "envoy.network.upstream_server_name";
    /// Which names the upstream's certificate may have, separated by commas.
    UPSTREAM_SUBJECT_ALT_NAMES: [u8] = "envoy.network.upstream_subject_alt_names";
    /// What is offered upstream as ALPN, separated by commas.
    APPLICATION_PROTOCOLS: [u8] = "envoy.network.application_protocols";
    /// Where a cluster of type `ORIGINAL_DST` connects to.
    ORIGINAL_DESTINATION: SocketAddr = "envoy.network.transport_socket.original_dst_address";
    /// Host and port of the dynamic forward proxy.
    DYNAMIC_HOST: [u8] = "envoy.upstream.dynamic_host";
    DYNAMIC_PORT: u64 = "envoy.upstream.dynamic_port";
    /// How much a request counts in the rate limit service.
    RATELIMIT_HITS: u64 = "envoy.ratelimit.hits_addend";
}

impl Stream {
    /// Leaves an object in Envoy's filter state. One hostcall that returns no bytes.
    ///
    /// What is there under another life span stays, and Envoy says nothing. A route that was chosen already stays too: see
    /// [`clear_route_cache`](Stream::clear_route_cache).
    ///
    /// # Errors
    /// `bad argument` for a value that is none of this object, `not found` for an object that Envoy cannot make.
    pub fn set_filter_state<T: FilterStateValue + ?Sized>(
        &self,
        object: &FilterState<T>,
        value: &T,
        span: LifeSpan,
    ) -> Host<()> {
        self.own("proxy_call_foreign_function")?;
        let text = value.text();
        let mut question =
            Vec::with_capacity(object.name.len().saturating_add(text.len()).saturating_add(16));
        wire::push_bytes(&mut question, 1, object.name.as_bytes());
        wire::push_bytes(&mut question, 2, &text);
        wire::push_small(&mut question, 3, span as u8);
        hostcalls::foreign("set_envoy_filter_state", &question).map(drop)
    }

    /// Has Envoy choose the route anew when it is next asked for, by what is there then. Edits of request headers do so by themselves;
    /// what a route matches besides, filter state and metadata, does not. Attributes of the route tell of the old one until Envoy has chosen.
    /// One hostcall that returns no bytes.
    ///
    /// # Errors
    /// What the host answered.
    pub fn clear_route_cache(&self) -> Host<()> {
        self.own("proxy_call_foreign_function")?;
        hostcalls::foreign("clear_route_cache", b"").map(drop)
    }
}
