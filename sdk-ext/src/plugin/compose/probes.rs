//! What the pipeline is told of several filters at once.

use super::Link;
use crate::plugin::{Plugin, Probe};

/// Whether any of these plugins has code for a callback; see [`Probe`].
pub trait Probes {
    type Filters;

    fn on_request_headers(filters: &mut Self::Filters) -> bool;
    fn on_request_body(filters: &mut Self::Filters) -> bool;
    fn on_request_trailers(filters: &mut Self::Filters) -> bool;
    fn on_response_headers(filters: &mut Self::Filters) -> bool;
    fn on_response_body(filters: &mut Self::Filters) -> bool;
    fn on_response_trailers(filters: &mut Self::Filters) -> bool;
    fn on_log(filters: &mut Self::Filters) -> bool;
}

macro_rules! all {
    ($($callback:ident),*) => {
        impl Probes for () {
            type Filters = ();

            $(fn $callback((): &mut ()) -> bool {
                false
            })*
        }

        impl<P: Plugin, R: Probes> Probes for Link<P, R> {
            type Filters = (P::Filter, R::Filters);

            // Both, always: what the compiler is to see is whether nothing is done at all.
            $(fn $callback(filters: &mut Self::Filters) -> bool {
                Probe::$callback::<P>(&mut filters.0) | R::$callback(&mut filters.1)
            })*
        }
    };
}

all!(
    on_request_headers,
    on_request_body,
    on_request_trailers,
    on_response_headers,
    on_response_body,
    on_response_trailers,
    on_log
);

/// Whether no name stands twice.
#[must_use]
pub const fn distinct(names: &[&str]) -> bool {
    let mut rest = names;
    while let [first, others @ ..] = rest {
        let mut compared = others;
        while let [other, more @ ..] = compared {
            if same(first.as_bytes(), other.as_bytes()) {
                return false;
            }
            compared = more;
        }
        rest = others;
    }
    true
}

const fn same(mut a: &[u8], mut b: &[u8]) -> bool {
    while let ([first, rest @ ..], [other, others @ ..]) = (a, b) {
        if *first != *other {
            return false;
        }
        (a, b) = (rest, others);
    }
    a.is_empty() && b.is_empty()
}
