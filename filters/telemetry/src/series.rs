//! One finished request as the labels of its series.

use crate::labels::{self, StatusLabel};

/// What is known of a request once it is over. Empty slices where the proxy knew nothing.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub method: &'static str,
    pub scheme: &'static str,
    /// The rule that names the route, if one matched, else `xds.route_name`; never the path: whoever sends requests would name the series
    pub route: &'a [u8],
    /// `response.code`; `None` when the client left before there was one
    pub status: Option<u64>,
    /// `response.code_details`
    pub details: &'a [u8],
    /// `request.protocol`
    pub protocol: &'a [u8],
    /// `response.grpc_status`, of gRPC requests only
    pub grpc_status: Option<u64>,
}

/// A request's label values, in the order of [`LABELS`](crate::config::LABELS).
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    facts: Facts<'a>,
    status: Option<StatusLabel>,
}

impl<'a> Series<'a> {
    pub fn new(facts: Facts<'a>) -> Self {
        Self { facts, status: facts.status.and_then(StatusLabel::new) }
    }

    /// Values that were not chosen, or that this request does not have, are empty. Nothing is allocated.
    pub fn labels(&self, chosen: [bool; 7]) -> [&[u8]; 7] {
        let facts = &self.facts;
        let values = [
            facts.method.as_bytes(),
            self.status.as_ref().map_or(&b""[..], StatusLabel::as_bytes),
            facts.route,
            labels::error_type(self.status.as_ref(), facts.details, facts.grpc_status),
            labels::protocol_version(facts.protocol).as_bytes(),
            facts.scheme.as_bytes(),
            facts.grpc_status.map_or("", labels::grpc_status).as_bytes(),
        ];
        let mut labels = values;
        for (label, chosen) in labels.iter_mut().zip(chosen) {
            if !chosen {
                *label = b"";
            }
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'static> = Facts {
        method: "GET",
        scheme: "http",
        route: b"books",
        status: Some(200),
        details: b"via_upstream",
        protocol: b"HTTP/1.1",
        grpc_status: None,
    };

    fn labels(facts: Facts<'_>, chosen: [bool; 7]) -> Vec<String> {
        Series::new(facts).labels(chosen).iter().map(|value| value.escape_ascii().to_string()).collect()
    }

    #[test]
    fn a_plain_request_is_named_by_its_route() {
        assert_eq!(labels(FACTS, [true; 7]), ["GET", "200", "books", "", "1.1", "http", ""]);
    }

    #[test]
    fn a_request_that_nobody_answered_has_an_error_instead_of_a_status() {
        let facts = Facts { status: None, details: b"downstream_remote_disconnect", route: b"", ..FACTS };
        assert_eq!(labels(facts, [true; 7]), ["GET", "", "", "downstream_reset", "1.1", "http", ""]);
    }

    #[test]
    fn grpc_requests_have_their_status_beside_that_of_http() {
        let facts = Facts { method: "POST", protocol: b"HTTP/2", grpc_status: Some(5), ..FACTS };
        assert_eq!(labels(facts, [true; 7]), ["POST", "200", "books", "", "2", "http", "5"]);
        assert_eq!(labels(Facts { grpc_status: Some(4711), ..FACTS }, [true; 7])[6], "_OTHER");
    }

    #[test]
    fn labels_that_were_not_chosen_are_empty() {
        let chosen = [true, false, false, true, false, false, false];
        assert_eq!(labels(Facts { status: Some(503), ..FACTS }, chosen), ["GET", "", "", "503", "", "", ""]);
    }
}
