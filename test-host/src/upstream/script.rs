//! What answers callouts, as people write it: by cluster, the first rule that fits.
//!
//! ```yaml
//! auth:
//!   - when: { method: GET, path: /introspect }     # both optional; the path without its query
//!     answer: { status: 200, headers: ["x-user: 7"], body: "{}", after: 5ms }
//!   - answer: { fails: refused }                   # refused, disconnect, reset, silent or no_healthy_host
//! greeter:
//!   - answer:                                       # a gRPC service: its moves, one after the other
//!       grpc: [ { awaits: message }, { message: "hi", after: 5ms }, { trailers: ["grpc-status: 0"] } ]
//! ```

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::Deserialize;

use super::{CalloutAnswer, GrpcAnswer, GrpcCallout, GrpcMove, Service, Services};
use crate::{
    abi::HttpCallout,
    message::Message,
    message::written::{DurationText, HeaderLine, header_map},
};

/// Answers by cluster. A call that no rule fits is refused by the connection, as a service that is not there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Script(BTreeMap<String, Vec<Rule>>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    when: When,
    answer: Answer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    method: Option<String>,
    path: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: Vec<HeaderLine>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    trailers: Vec<HeaderLine>,
    /// In the place of all others: what it does when it is called as a gRPC service.
    #[serde(default)]
    grpc: Option<Vec<GrpcMove>>,
    #[serde(default)]
    fails: Option<Failure>,
    #[serde(default)]
    after: Option<DurationText>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Failure {
    Refused,
    Disconnect,
    Reset,
    Silent,
    NoHealthyHost,
}

impl Script {
    /// # Errors
    /// What is wrong with the text, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What it answers to a call; a call that nothing fits is refused by the connection.
    pub(crate) fn answer(&self, cluster: &str, callout: &HttpCallout) -> CalloutAnswer {
        Ruled(self.0.get(cluster).cloned().unwrap_or_default()).answer(callout)
    }

    /// The services that answer by this script.
    pub fn services(&self) -> Services {
        self.0.iter().fold(Services::default(), |services, (cluster, rules)| {
            let rules = rules.clone();
            services.with(cluster.clone(), Ruled(rules))
        })
    }
}

/// A service by its rules.
struct Ruled(Vec<Rule>);

impl Ruled {
    fn rule(&self, callout: &HttpCallout) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.when.fits(callout))
    }
}

impl Service for Ruled {
    fn answer(&mut self, callout: &HttpCallout) -> CalloutAnswer {
        let refused = CalloutAnswer::ConnectFailure { after: Duration::ZERO };
        self.rule(callout).map_or(refused, |rule| rule.answer.as_callout_answer())
    }

    fn answer_grpc(&mut self, call: &GrpcCallout) -> GrpcAnswer {
        let http = call.as_http();
        match self.rule(&http).and_then(|rule| rule.answer.grpc.clone()) {
            Some(moves) => GrpcAnswer::Moves(moves),
            None => GrpcAnswer::Http(self.answer(&http)),
        }
    }
}

impl When {
    fn fits(&self, callout: &HttpCallout) -> bool {
        let first = |name: &[u8]| callout.headers.first(name).cloned().unwrap_or_default();
        let target = first(b":path");
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let is =
            |wanted: &Option<String>, found: &[u8]| wanted.as_ref().is_none_or(|w| w.as_bytes() == found);
        is(&self.method, &first(b":method")) && is(&self.path, path)
    }
}

impl Answer {
    fn as_callout_answer(&self) -> CalloutAnswer {
        let after = self.after.map_or(Duration::ZERO, |after| after.0);
        match self.fails {
            Some(Failure::Refused) => CalloutAnswer::ConnectFailure { after },
            Some(Failure::Disconnect) => CalloutAnswer::Disconnect { after },
            Some(Failure::Reset) => CalloutAnswer::Reset { after },
            Some(Failure::Silent) => CalloutAnswer::Silence,
            Some(Failure::NoHealthyHost) => CalloutAnswer::NoHealthyHost,
            None => CalloutAnswer::Response { after, message: self.message() },
        }
    }

    fn message(&self) -> Message {
        let mut headers = header_map(&self.headers);
        headers.push(":status", self.status.unwrap_or(200).to_string());
        let body = if self.body.is_empty() { Vec::new() } else { vec![Bytes::from(self.body.clone())] };
        Message { headers, body, trailers: (!self.trailers.is_empty()).then(|| header_map(&self.trailers)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderMap;

    fn call(method: &'static str, path: &'static str) -> HttpCallout {
        let headers = HeaderMap::from_iter([(":method", method), (":path", path), (":authority", "auth")]);
        HttpCallout { cluster: "auth".into(), headers, body: Bytes::new(), timeout: None }
    }

    #[test]
    fn the_first_rule_that_fits_answers_and_what_fits_none_is_refused() {
        let text = "auth:\n  - when: { method: GET, path: /a }\n    answer: { status: 204, after: 5ms }\n  - when: { path: /b }\n    answer: { fails: reset }\n";
        let mut services = Script::parse(text).unwrap().services();
        let mut ask = |method, path| services.answer("auth", &call(method, path)).unwrap();
        let CalloutAnswer::Response { after, message } = ask("GET", "/a?x=1") else { panic!("a response") };
        assert_eq!(
            (after, message.headers.first(b":status").unwrap()),
            (Duration::from_millis(5), &Bytes::from("204"))
        );
        assert_eq!(ask("POST", "/b"), CalloutAnswer::Reset { after: Duration::ZERO });
        assert_eq!(ask("POST", "/a"), CalloutAnswer::ConnectFailure { after: Duration::ZERO });
    }

    #[test]
    fn a_field_that_does_not_exist_is_refused_with_its_place() {
        let error = Script::parse("auth:\n  - answer: { statsu: 200 }\n").unwrap_err();
        assert!(error.contains("statsu") && error.contains('2'), "{error}");
    }
}
