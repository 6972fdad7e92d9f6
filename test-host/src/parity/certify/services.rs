//! A script of callouts, answered on both sides by the same rules.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    abi::HttpCallout,
    message::Message,
    parity::live::{server::Answer, wire},
    upstream::{CalloutAnswer, Script, Services},
};

/// What came in at which cluster.
pub(super) type Called = Arc<Mutex<Vec<(String, Message)>>>;

/// The services of the host, which note what they are called with.
pub(super) fn in_host(script: &Script, called: &Called) -> Services {
    script.clusters().map(str::to_owned).fold(Services::default(), |services, name| {
        let (script, called, cluster) = (script.clone(), Arc::clone(called), name.clone());
        services.with(name, move |callout: &HttpCallout| {
            let body = if callout.body.is_empty() { Vec::new() } else { vec![callout.body.clone()] };
            let message = Message { headers: callout.headers.clone(), body, trailers: None };
            called.lock().unwrap_or_else(PoisonError::into_inner).push((cluster.clone(), message));
            match script.answer(&cluster, callout) {
                CalloutAnswer::Response { after, message } => {
                    CalloutAnswer::Response { after, message: framed(message) }
                }
                // A server that is asked cannot refuse to be: on both sides the connection ends.
                CalloutAnswer::ConnectFailure { after } => CalloutAnswer::Disconnect { after },
                other => other,
            }
        })
    })
}

/// The same rule's answer as a real server gives it. `None`: the connection ends without one.
pub(super) fn in_envoy(script: &Script, cluster: &str, request: &Message) -> Option<Answer> {
    let callout = HttpCallout {
        cluster: Bytes::copy_from_slice(cluster.as_bytes()),
        headers: request.headers.clone(),
        body: request.whole_body(),
        timeout: None,
    };
    let answer =
        Answer { message: Message::default(), after: Duration::ZERO, breaks_off: false, never: false };
    match script.answer(cluster, &callout) {
        CalloutAnswer::Response { after, message } => {
            Some(Answer { message: framed(message), after, ..answer })
        }
        CalloutAnswer::Reset { after } => {
            let message = CalloutAnswer::status(200, "cut off");
            let CalloutAnswer::Response { message, .. } = message else { return None };
            Some(Answer { message, after, breaks_off: true, ..answer })
        }
        CalloutAnswer::Silence => Some(Answer { never: true, ..answer }),
        _ => None,
    }
}

/// HTTP/1.1 tells by a header where a body ends, and the guest sees it.
fn framed(mut message: Message) -> Message {
    if !message.headers.contains(b"content-length") && !wire::is_chunked(&message.headers) {
        if message.trailers.is_some() {
            message.headers.push("transfer-encoding", "chunked");
        } else {
            message.headers.push("content-length", message.body_len().to_string());
        }
    }
    message
}
