//! HTTP calls that filters make: what is refused at once, what is sent, and how the end of one looks to the filter
//! (`envoy-abi` 7.1, seen on Envoy 1.40).

use std::time::Duration;

use bytes::Bytes;

use crate::proxy::{
    ActiveContext, Proxy,
    core::{Due, Owner, PluginIndex},
    header_rules,
};
use crate::{
    abi::{CallResult, CallStatus, Callback, CalloutToken, HttpCallout, MapType},
    message::{HeaderMap, Message},
    trace::{FindingKind, What},
    upstream::CalloutAnswer,
};

/// Envoy's limit on the body of an answer (`Http::AsyncClientImpl`); beyond it the filter sees a reset.
const BODY_MAX: usize = 32 * 1024 * 1024;

/// `get_status` after a callout that was reset; it stays.
const RESET: u32 = 11;

/// A callout's answer in the form in which the guest will see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnsweredCallout {
    /// `None`: reset, nothing to see.
    pub(crate) message: Option<Message>,
    pub(crate) told: String,
}

/// The parts of a failure that Envoy's own 503 tells.
pub(in crate::proxy) fn failure_text(reason: &str) -> String {
    format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}")
}

/// A callout needs a method, a path and an authority (or `host`); Envoy refuses it otherwise.
fn check(callout: &HttpCallout) -> CallResult {
    let has = |name: &[u8]| callout.headers.contains(name);
    if has(b":method") && has(b":path") && (has(b":authority") || has(b"host")) {
        Ok(())
    } else {
        Err(CallStatus::BadArgument)
    }
}

/// The request as it leaves Envoy. Trailers never do.
fn as_sent(mut callout: HttpCallout) -> HttpCallout {
    let given = callout.headers.iter().map(|header| (header.name.clone(), header.value.clone()));
    callout.headers = header_rules::add_all(MapType::RequestHeaders, given);
    let headers = &mut callout.headers;
    if !callout.body.is_empty() {
        headers.set(b"content-length", callout.body.len().to_string());
    }
    add_envoys_headers(headers, callout.timeout);
    callout
}

/// What the router adds to a call of Envoy's own.
pub(in crate::proxy) fn add_envoys_headers(headers: &mut HeaderMap, timeout: Option<Duration>) {
    headers.set(b"x-envoy-internal", "true");
    if let Some(timeout) = timeout {
        headers.set(b"x-envoy-expected-rq-timeout-ms", timeout.as_millis().to_string());
    }
}

/// When the answer comes, and what the filter then sees. `None`: refused within the hostcall. A time of `None`: never.
fn outcome(
    answer: Option<CalloutAnswer>,
    callout: &HttpCallout,
) -> Option<(Option<Duration>, AnsweredCallout)> {
    let answer = answer.unwrap_or(CalloutAnswer::ConnectFailure { after: Duration::ZERO });
    let to_head = callout.headers.first(b":method").is_some_and(|method| &method[..] == b"HEAD");
    let (after, answered) = match answer {
        CalloutAnswer::NoHealthyHost => return None,
        CalloutAnswer::Silence => (None, timed_out()),
        CalloutAnswer::Reset { after } => (Some(after), reset()),
        CalloutAnswer::ConnectFailure { after } => {
            (Some(after), unavailable("remote connection failure", "connection failure"))
        }
        CalloutAnswer::Disconnect { after } => {
            (Some(after), unavailable("connection termination", "disconnect"))
        }
        CalloutAnswer::Response { after, message } => (Some(after), answered(message, after, to_head)),
    };
    match (after, callout.timeout) {
        (Some(after), Some(timeout)) if after > timeout => Some((Some(timeout), timed_out())),
        (None, timeout) => Some((timeout, answered)),
        (after, _) => Some((after, answered)),
    }
}

fn answered(mut message: Message, took: Duration, to_head: bool) -> AnsweredCallout {
    if message.body_len() > BODY_MAX {
        return reset();
    }
    if to_head {
        message.body.clear();
    }
    message.headers.set(b"x-envoy-upstream-service-time", took.as_millis().to_string());
    let status = message.headers.first(b":status").map(|s| s.escape_ascii().to_string()).unwrap_or_default();
    AnsweredCallout { message: Some(message), told: format!("status {status}") }
}

fn reset() -> AnsweredCallout {
    AnsweredCallout { message: None, told: "reset".to_owned() }
}

fn timed_out() -> AnsweredCallout {
    made_by_envoy("504", "upstream request timeout".to_owned(), "timeout: status 504".to_owned())
}

fn unavailable(reason: &str, told: &str) -> AnsweredCallout {
    made_by_envoy("503", failure_text(reason), format!("{told}: status 503"))
}

fn made_by_envoy(status: &'static str, body: String, told: String) -> AnsweredCallout {
    let length = body.len().to_string();
    let headers = HeaderMap::from_iter([
        (":status", status.to_owned()),
        ("content-length", length),
        ("content-type", "text/plain".to_owned()),
    ]);
    AnsweredCallout { message: Some(Message { headers, body: vec![body.into()], trailers: None }), told }
}

impl ActiveContext {
    pub(in crate::proxy) fn call_out(&mut self, callout: HttpCallout) -> CallResult<CalloutToken> {
        let cluster = std::str::from_utf8(&callout.cluster).map_err(|_| CallStatus::BadArgument)?.to_owned();
        if !self.core.spec.clusters.contains_key(&cluster) {
            return Err(CallStatus::BadArgument);
        }
        check(&callout)?;
        self.note_unanswered(&cluster);
        let contexts = &mut self.core.vms[self.vm.0];
        contexts.next_callout += 4;
        let (token, generation) = (contexts.next_callout, contexts.generation);
        let callout = as_sent(callout);
        self.note_callout(&cluster, &callout.headers, token);
        if self.is_canary() {
            return Ok(CalloutToken(token));
        }
        let plugin = self.effective_plugin();
        let answer = self.core.services.answer(&cluster, &callout);
        let (after, answer) = outcome(answer, &callout).ok_or(CallStatus::InternalFailure)?;
        if let Some(after) = after {
            self.core
                .due
                .push((after, Due::CalloutAnswer { plugin, generation, token, answer: Box::new(answer) }));
        }
        Ok(CalloutToken(token))
    }

    pub(in crate::proxy) fn note_unanswered(&mut self, cluster: &str) {
        if !self.core.services.has(cluster) {
            let text = format!("no script answers cluster {cluster:?}: the connection counts as refused");
            self.finding(FindingKind::UnansweredCallout, text);
        }
    }

    pub(in crate::proxy) fn note_callout(&mut self, cluster: &str, headers: &HeaderMap, token: u32) {
        let pseudo = |name: &[u8]| headers.first(name).cloned().unwrap_or_default();
        let (method, path) = (pseudo(b":method"), pseudo(b":path"));
        self.note(What::CalledOut { cluster: cluster.to_owned().into(), method, path, token });
    }
}

impl Proxy {
    /// A callout's answer goes to the plugin's root, whether or not the stream that asked is still there.
    pub(in crate::proxy) fn callout_answered(
        &mut self,
        plugin: PluginIndex,
        generation: u32,
        token: u32,
        answer: AnsweredCallout,
    ) {
        if self.fault_of(plugin).is_some() || self.generation_of(plugin) != generation {
            return;
        }
        let state = &mut self.core_mut().plugins[plugin.0];
        let mut status = Bytes::new();
        if answer.message.is_none() {
            state.callout_code = RESET;
            status = "reset".into();
        }
        let message = answer.message.as_ref();
        let callback = Callback::HttpCallResponse {
            token,
            headers: message.map_or(0, |m| m.headers.len()) as u32,
            body: message.map_or(0, Message::body_len) as u32,
            trailers: message.and_then(|m| m.trailers.as_ref()).map_or(0, HeaderMap::len) as u32,
        };
        let root = self.core_mut().plugins[plugin.0].root;
        let told = answer.told.clone();
        self.core_mut().note(Some(Owner::Root(plugin)), What::CalloutAnswered { token, answer: told });
        let show = |active: &mut ActiveContext| (active.callout, active.status) = (Some(answer), status);
        self.call_guest_showing(show, plugin, root, callback);
    }
}
