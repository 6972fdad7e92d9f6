//! What answers: the recorded response for a request, and scripts for the calls that filters make themselves.

mod grpc;
mod script;
pub mod spans;

use std::{collections::BTreeMap, fmt, time::Duration};

pub(crate) use grpc::framed;
pub use grpc::{GrpcAnswer, GrpcCallout, GrpcDoes, GrpcHeard, GrpcMove};
pub use script::Script;

use crate::{abi::HttpCallout, message::Message};

/// How a callout ends, and when. The forms are those that Envoy shows a filter (`envoy-abi` 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalloutAnswer {
    Response {
        after: Duration,
        message: Message,
    },
    /// The connection was refused: the filter sees a 503 that Envoy made.
    ConnectFailure {
        after: Duration,
    },
    /// The connection ended before headers: another 503 that Envoy made.
    Disconnect {
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

    /// What becomes of a gRPC call; unless told otherwise, a service knows no gRPC and answers as it answers HTTP.
    fn answer_grpc(&mut self, call: &GrpcCallout) -> GrpcAnswer {
        GrpcAnswer::Http(self.answer(&call.as_http()))
    }

    /// What comes in after a gRPC call has begun. `call` counts the service's gRPC calls from 0.
    fn hear(&mut self, _call: usize, _heard: GrpcHeard) {}
}

impl<F: FnMut(&HttpCallout) -> CalloutAnswer> Service for F {
    fn answer(&mut self, callout: &HttpCallout) -> CalloutAnswer {
        self(callout)
    }
}

/// The services behind the clusters of one proxy.
#[derive(Default)]
pub struct Services(BTreeMap<String, (Box<dyn Service>, usize)>);

impl Services {
    #[must_use]
    pub fn with(mut self, cluster: impl Into<String>, service: impl Service + 'static) -> Self {
        self.0.insert(cluster.into(), (Box::new(service), 0));
        self
    }

    pub fn has(&self, cluster: &str) -> bool {
        self.0.contains_key(cluster)
    }

    /// `None` where no script stands for this cluster.
    pub fn answer(&mut self, cluster: &str, callout: &HttpCallout) -> Option<CalloutAnswer> {
        self.0.get_mut(cluster).map(|(service, _)| service.answer(callout))
    }
}

/// A gRPC call in flight, as its service knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrpcCallNumber {
    cluster: String,
    number: usize,
}

impl Services {
    /// What becomes of a gRPC call, and what it is called from now on.
    pub(crate) fn answer_grpc(&mut self, call: &GrpcCallout) -> Option<(GrpcCallNumber, GrpcAnswer)> {
        let (service, calls) = self.0.get_mut(&call.cluster)?;
        let answer = service.answer_grpc(call);
        let number = *calls;
        *calls += 1;
        Some((GrpcCallNumber { cluster: call.cluster.clone(), number }, answer))
    }

    pub(crate) fn tell(&mut self, call: &GrpcCallNumber, heard: GrpcHeard) {
        if let Some((service, _)) = self.0.get_mut(&call.cluster) {
            service.hear(call.number, heard);
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
