//! The same guests, configuration and traffic in the host and in the real Envoy, compared field by field.
//!
//! A [`Behaviour`] is one thing to be seen; [`in_host`] and [`in_envoy`] say what was seen of it.

mod behaviour;
mod certify;
mod live;
mod log;

pub use behaviour::{
    Behaviour, Body, Callout, DownstreamTls, Ended, Field, Filter, Guests, Level, Overrides, Request,
    Response, Seen, SeenByClient, SeenConnection, SeenEnd, SeenExchange, Shown, TlsVersion, Topic,
    UpstreamTls, difference, in_envoy, in_host,
};
pub use certify::{
    CannotCompare, Case, Cases, Certificate, Difference, Rules, Subject, certify, certify_blocking,
};
pub use live::process::{Envoy, Launch, Line, NotStarted, find_envoy};
