//! What the router makes of an attempt's end: an answer for the client, or another attempt
//! (`source/common/router/router.cc`).

use std::time::Duration;

use crate::proxy::{
    Proxy,
    core::{Core, Due},
    streams::{router_step::OwnReply, state::StreamId},
};
use crate::{
    message::HeaderMap,
    router::{ResetReason, ResponseFlag, Retry, RouterReply},
    stream::Part,
    trace::What,
};

/// What the router puts on every response of an upstream, and upstream filters do not see. Of a recording, the router of then.
pub(in crate::proxy) const ROUTERS_OWN: [&[u8]; 2] =
    [b"x-envoy-upstream-service-time", b"x-envoy-attempt-count"];

impl Proxy {
    /// The headers of an attempt's response have come to the router: whether they go to the client. Where not, another attempt
    /// does, or may.
    pub(in crate::proxy) fn accepts(&mut self, attempt: StreamId, headers: &mut HeaderMap) -> bool {
        let id = attempt.downstream();
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return false };
        let hedged = match stream.route.attempt(attempt.attempt) {
            Some(open) => {
                open.awaits_headers = false;
                open.hedged
            }
            None => return false,
        };
        let mut could_not = false;
        if let Some(retry) = &mut stream.route.retry {
            let wanted = retry.wants_after_answer(headers);
            could_not = hedged && wanted;
            if !hedged {
                match self.take_retry(id, wanted) {
                    Retry::Yes => {
                        self.end_attempt(attempt);
                        return false;
                    }
                    Retry::LimitExceeded | Retry::Overflow => could_not = true,
                    Retry::No => {}
                }
            }
        }
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return false };
        if could_not && stream.route.has_hope() {
            self.end_attempt(attempt);
            return false;
        }
        let others = stream.route.open.iter().map(|open| open.number);
        let others: Vec<u32> = others.filter(|number| *number != attempt.attempt).collect();
        self.core_mut().no_more_attempts(id);
        for other in others {
            self.end_attempt(id.attempt(other));
        }
        self.note_accepted(id, headers);
        true
    }

    /// The response is that of the upstream.
    fn note_accepted(&mut self, id: StreamId, headers: &mut HeaderMap) {
        let core = self.core_mut();
        let now = core.now;
        let Some(stream) = core.streams.get_mut(&id) else { return };
        // The recorder's own router has put them on.
        let recorded = stream.exchange.response.as_ref().filter(|_| stream.exchange.answers.is_empty());
        match recorded {
            Some(recorded) => {
                for name in ROUTERS_OWN {
                    if let (Some(value), false) = (recorded.headers.first(name), headers.contains(name)) {
                        headers.push(name.to_vec(), value.clone());
                    }
                }
            }
            None => {
                if let Some(complete) = stream.route.request_complete {
                    let time = now.saturating_sub(complete).as_millis().to_string();
                    headers.set(b"x-envoy-upstream-service-time", time);
                }
                let told = stream.route.chosen();
                if told.is_some_and(|route| route.virtual_host.include_attempt_count_in_response) {
                    headers.set(b"x-envoy-attempt-count", stream.route.attempts.to_string());
                }
            }
        }
        stream.route.frozen = true;
        stream.details = Some("via_upstream".into());
        stream.note_code(headers);
        stream.touch(now);
    }

    /// One retry less, where it is wanted and there is one; its attempt begins after a while.
    fn take_retry(&mut self, id: StreamId, wanted: bool) -> Retry {
        let core = self.core_mut();
        core.release_retry(id);
        let Some(stream) = core.streams.get_mut(&id) else { return Retry::No };
        let cluster = stream.route.cluster().unwrap_or_default().to_owned();
        let most = core.spec.clusters.get(&cluster).map_or(0, |cluster| cluster.max_retries);
        let others = core.retrying.get(&cluster).copied().unwrap_or(0);
        let Some(retry) = &mut stream.route.retry else { return Retry::No };
        let decision = retry.take(wanted, others, most);
        match decision {
            Retry::No => {}
            Retry::LimitExceeded => stream.response_flags |= ResponseFlag::RetryLimitExceeded.bit(),
            Retry::Overflow => stream.response_flags |= ResponseFlag::UpstreamOverflow.bit(),
            Retry::Yes => {
                stream.route.retries = true;
                *core.retrying.entry(cluster).or_default() += 1;
                let wait = retry.wait(core.chance.number());
                stream.route.pending += 1;
                core.due.push((wait, Due::NextAttempt { stream: id }));
                core.note_proxy(id, What::Retries { after: wait });
            }
        }
        decision
    }

    /// The time of a further attempt has come.
    pub(in crate::proxy) fn next_attempt(&mut self, id: StreamId) {
        let core = self.core_mut();
        let now = core.now;
        let Some(stream) = core.streams.get_mut(&id) else { return };
        let Some(pending) = stream.route.pending.checked_sub(1) else { return };
        stream.route.pending = pending;
        stream.route.attempts += 1;
        let elapsed = stream.route.request_complete.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        let told = stream.route.timeouts.told_after(elapsed);
        let count =
            stream.route.chosen().is_some_and(|route| route.virtual_host.include_request_attempt_count);
        let (attempts, complete) = (stream.route.attempts, stream.route.request_complete.is_some());
        let body = stream.route.kept.clone();
        let request = &mut stream.manager.request;
        let trailers = complete && request.trailers.is_some();
        if let Some(headers) = &mut request.headers {
            if count {
                headers.set(b"x-envoy-attempt-count", attempts.to_string());
            }
            if let Some(told) = told {
                headers.set(b"x-envoy-expected-rq-timeout-ms", told.as_millis().to_string());
            }
        }
        self.begin_attempt(id, complete && body.is_empty() && !trailers);
        let is_open = |this: &mut Self| {
            let stream = this.core_mut().streams.get(&id);
            stream.is_some_and(|stream| stream.route.open.iter().any(|open| open.number == attempts))
        };
        if !body.is_empty() && is_open(self) {
            self.pass_on(id, Part::Data { end_of_stream: complete && !trailers }, body.concat().into());
        }
        if trailers && is_open(self) {
            self.pass_on(id, Part::Trailers, bytes::Bytes::new());
        }
        if complete && is_open(self) {
            self.start_per_try(id.attempt(attempts));
        }
    }

    /// An attempt came to no answer.
    pub(in crate::proxy) fn attempt_reset(&mut self, attempt: StreamId, reason: ResetReason) {
        let id = attempt.downstream();
        let Some(stream) = self.core_mut().streams.get(&id) else { return };
        let retried = stream.route.attempts > 1;
        let mut reply = OwnReply::from(RouterReply::reset(reason, retried));
        stream.tell_attempts(&mut reply);
        self.give_up_or_retry(attempt, reason, reply);
    }

    /// Another attempt, if the policy has one for what ended this; else this answer, unless another attempt may have a better.
    pub(in crate::proxy) fn give_up_or_retry(
        &mut self,
        attempt: StreamId,
        reason: ResetReason,
        reply: OwnReply,
    ) {
        let id = attempt.downstream();
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        let sent = stream.sent_in(attempt.attempt).is_some();
        let hedged = stream.route.attempt(attempt.attempt).is_some_and(|open| open.hedged);
        let wanted = stream.route.retry.as_ref().is_some_and(|retry| retry.wants_after_reset(reason, sent));
        if !hedged && self.take_retry(id, wanted) == Retry::Yes {
            return self.end_attempt(attempt);
        }
        self.end_attempt(attempt);
        let hope = self.core_mut().streams.get(&id).is_none_or(|stream| stream.route.has_hope());
        if !hope {
            self.own_reply(id, reply);
        }
    }

    /// An attempt has taken too long; where requests are hedged it goes on, and another begins beside it.
    pub(in crate::proxy) fn attempt_timed_out(&mut self, attempt: StreamId, reply: OwnReply) {
        let id = attempt.downstream();
        let Some(stream) = self.core_mut().streams.get_mut(&id) else { return };
        if !stream.route.timeouts.hedges {
            return self.give_up_or_retry(attempt, ResetReason::LocalReset, reply);
        }
        if self.take_retry(id, true) == Retry::Yes
            && let Some(stream) = self.core_mut().streams.get_mut(&id)
            && let Some(open) = stream.route.attempt(attempt.attempt)
        {
            open.hedged = true;
        }
    }
}

impl Core {
    /// The request does not count among those that are being tried again any more.
    fn release_retry(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !std::mem::take(&mut stream.route.retries) {
            return;
        }
        if let Some(others) = stream.route.cluster().and_then(|cluster| self.retrying.get_mut(cluster)) {
            *others = others.saturating_sub(1);
        }
    }

    /// Whatever comes of those under way, no further attempt is made.
    pub(in crate::proxy) fn no_more_attempts(&mut self, id: StreamId) {
        self.release_retry(id);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.route.retry = None;
            stream.route.pending = 0;
        }
    }
}
