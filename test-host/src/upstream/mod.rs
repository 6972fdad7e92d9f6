//! What answers: the recorded response for a request, and scripts for the calls that filters make themselves.

mod script;

use std::{collections::BTreeMap, fmt, time::Duration};

pub use script::Script;

use crate::{abi::HttpCallout, message::Message};

/// How a callout ends, and when. The forms are those that Envoy shows a filter (`envoy-abi` 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalloutAnswer {
    Response {
        after: Duration,
        message: Message,
    },
    /// The connection was refused or reset before headers: the filter sees a 503 that Envoy made.
    ConnectFailure {
        after: Duration,
    },
    /// Reset in mid-response, or a body over Envoy's limit: the filter sees no headers at all.
    Reset {
        after: Duration,
    },
    /// Never answered: ends by the callout's own timeout, as a 504 that Envoy made.
    Silence,
    /// The cluster has no healthy host: refused within the hostcall.
    NoHealthyHost,
}

impl CalloutAnswer {
    /// A response with a status and a body, at once.
    pub fn status(status: u16, body: impl Into<bytes::Bytes>) -> Self {
        let body = body.into();
        let headers = [(":status", status.to_string()), ("content-length", body.len().to_string())]
            .into_iter()
            .collect();
        let body = if body.is_empty() { Vec::new() } else { vec![body] };
        CalloutAnswer::Response { after: Duration::ZERO, message: Message { headers, body, trailers: None } }
    }
}

/// A service that filters call. It is asked once for each callout, in order of time.
pub trait Service {
    fn answer(&mut self, callout: &HttpCallout) -> CalloutAnswer;
}

impl<F: FnMut(&HttpCallout) -> CalloutAnswer> Service for F {
    fn answer(&mut self, callout: &HttpCallout) -> CalloutAnswer {
        self(callout)
    }
}

/// The services behind the clusters of one proxy.
#[derive(Default)]
pub struct Services(BTreeMap<String, Box<dyn Service>>);

impl Services {
    #[must_use]
    pub fn with(mut self, cluster: impl Into<String>, service: impl Service + 'static) -> Self {
        self.0.insert(cluster.into(), Box::new(service));
        self
    }

    pub fn has(&self, cluster: &str) -> bool {
        self.0.contains_key(cluster)
    }

    /// `None` where no script stands for this cluster.
    pub fn answer(&mut self, cluster: &str, callout: &HttpCallout) -> Option<CalloutAnswer> {
        self.0.get_mut(cluster).map(|service| service.answer(callout))
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
