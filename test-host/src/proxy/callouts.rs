//! How a callout's end looks to the filter that made it (`envoy-abi` 7.1, seen on Envoy 1.40).

use std::time::Duration;

use crate::{
    abi::{CallResult, CallStatus, HttpCallout},
    message::{HeaderMap, Message},
    upstream::CalloutAnswer,
};

/// A callout's answer in the form in which the guest will see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnsweredCallout {
    /// `None`: reset, nothing to see.
    pub(crate) message: Option<Message>,
    pub(crate) told: String,
}

/// A callout needs a method, a path and an authority (or `host`); Envoy refuses it otherwise.
pub(crate) fn check(callout: &HttpCallout) -> CallResult {
    let has = |name: &[u8]| callout.headers.contains(name);
    if has(b":method") && has(b":path") && (has(b":authority") || has(b"host")) {
        Ok(())
    } else {
        Err(CallStatus::BadArgument)
    }
}

/// When the answer comes, and what the filter then sees. `None`: refused within the hostcall. A time of `None`: never.
pub(crate) fn outcome(
    answer: Option<CalloutAnswer>,
    callout: &HttpCallout,
) -> Option<(Option<Duration>, AnsweredCallout)> {
    let answer = answer.unwrap_or(CalloutAnswer::ConnectFailure { after: Duration::ZERO });
    let (after, answered) = match answer {
        CalloutAnswer::NoHealthyHost => return None,
        CalloutAnswer::Silence => (None, timed_out()),
        CalloutAnswer::Reset { after } => {
            (Some(after), AnsweredCallout { message: None, told: "reset".to_owned() })
        }
        CalloutAnswer::ConnectFailure { after } => (Some(after), refused()),
        CalloutAnswer::Response { after, message } => {
            let status =
                message.headers.first(b":status").map(|s| s.escape_ascii().to_string()).unwrap_or_default();
            (Some(after), AnsweredCallout { message: Some(message), told: format!("status {status}") })
        }
    };
    match (after, callout.timeout) {
        (Some(after), Some(timeout)) if after > timeout => Some((Some(timeout), timed_out())),
        (None, timeout) => Some((timeout, answered)),
        (after, _) => Some((after, answered)),
    }
}

fn timed_out() -> AnsweredCallout {
    made_by_envoy("504", "upstream request timeout", "timeout: status 504")
}

fn refused() -> AnsweredCallout {
    let body =
        "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
    made_by_envoy("503", body, "connection failure: status 503")
}

fn made_by_envoy(status: &'static str, body: &'static str, told: &str) -> AnsweredCallout {
    let length = body.len().to_string();
    let headers = HeaderMap::from_iter([
        (":status", status.to_owned()),
        ("content-length", length),
        ("content-type", "text/plain".to_owned()),
    ]);
    AnsweredCallout {
        message: Some(Message { headers, body: vec![body.into()], trailers: None }),
        told: told.to_owned(),
    }
}
