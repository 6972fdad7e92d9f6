//! What ends a stream that takes too long: idle, whole duration, an incomplete request
//! (`source/common/http/conn_manager_impl.cc`).

use std::time::Duration;

use bytes::Bytes;

use crate::proxy::{
    Proxy,
    core::{Core, Due},
    streams::router_step::OwnReply,
    streams::state::{StreamId, StreamState},
};
use crate::{
    message::HeaderMap,
    router::{Forward, ResponseFlag, RouteAction},
    stream::Path,
    trace::{FindingKind, What},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamTimer {
    Idle,
    MaxDuration,
    Request,
}

/// The deadlines of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StreamTimers {
    idle: Option<Duration>,
    max_duration: Option<Duration>,
    /// When something last happened.
    active: Duration,
    /// What the event loop has been told; a wake-up at another time is void.
    armed: [Option<Duration>; 2],
}

impl StreamTimers {
    pub(in crate::proxy) fn starting_at(now: Duration) -> Self {
        StreamTimers { active: now, ..StreamTimers::default() }
    }

    /// Whether time alone ends the stream.
    pub(in crate::proxy) fn are_set(&self) -> bool {
        self.idle.or(self.max_duration).is_some()
    }
}

impl StreamState {
    /// Something has happened: the idle timeout begins anew.
    pub(in crate::proxy) fn touch(&mut self, now: Duration) {
        self.timers.active = now;
    }

    fn deadline(&self, timer: StreamTimer) -> Option<Duration> {
        match timer {
            StreamTimer::Idle => self.timers.idle.map(|idle| self.timers.active.saturating_add(idle)),
            StreamTimer::MaxDuration => self.timers.max_duration.map(|max| self.started.saturating_add(max)),
            StreamTimer::Request => None,
        }
    }
}

impl Core {
    /// Sets the deadlines that the connection manager and the stream's route, as it now is, ask for.
    pub(in crate::proxy) fn set_timers(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(listener) = self.spec.listeners.get(stream.listener) else { return };
        let common = listener.http.timeouts;
        let forward = stream.route.chosen().and_then(|route| match &route.route.action {
            RouteAction::Forward(forward) => Some(forward),
            RouteAction::DirectResponse(_) | RouteAction::Redirect(_) => None,
        });
        let of_route = |own: fn(&Forward) -> Option<Duration>, common| {
            forward.and_then(own).map_or(common, |own| Some(own).filter(|own| !own.is_zero()))
        };
        let idle = of_route(|forward| forward.idle_timeout, common.idle);
        let max_duration = of_route(|forward| forward.max_stream_duration, common.max_duration);
        (stream.timers.idle, stream.timers.max_duration) = (idle, max_duration);
        for timer in [StreamTimer::Idle, StreamTimer::MaxDuration] {
            self.arm(id, timer);
        }
    }

    /// Has the event loop come back at the timer's deadline, unless it does already.
    fn arm(&mut self, id: StreamId, timer: StreamTimer) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(deadline) = stream.deadline(timer) else { return };
        let armed = &mut stream.timers.armed[timer as usize];
        if armed.is_none_or(|armed| armed > deadline || armed <= now) {
            *armed = Some(deadline);
            self.due.push((deadline.saturating_sub(now), Due::StreamTimer { stream: id, timer }));
        }
    }
}

impl Proxy {
    /// What a request has from its beginning on, besides the timers that come with its route.
    pub(in crate::proxy) fn start_request_timer(&mut self, id: StreamId) {
        let core = self.core_mut();
        let listener = core.streams.get(&id).and_then(|stream| core.spec.listeners.get(stream.listener));
        if let Some(timeout) = listener.and_then(|listener| listener.http.timeouts.request) {
            core.due.push((timeout, Due::StreamTimer { stream: id, timer: StreamTimer::Request }));
        }
    }

    pub(in crate::proxy) fn stream_timer(&mut self, id: StreamId, timer: StreamTimer) {
        let core = self.core_mut();
        let now = core.now;
        let Some(stream) = core.streams.get(&id).filter(|stream| stream.end.is_none()) else { return };
        let is_due = match timer {
            StreamTimer::Request => {
                !stream.manager.has_passed(Path::Decode) && stream.manager.response.headers.is_none()
            }
            StreamTimer::Idle | StreamTimer::MaxDuration => {
                if stream.timers.armed[timer as usize] != Some(now) {
                    return;
                }
                stream.deadline(timer).is_some_and(|deadline| deadline <= now)
            }
        };
        if !is_due {
            return core.arm(id, timer);
        }
        // The request is the client's to finish, the rest is not.
        let status = if stream.manager.has_arrived(Path::Decode) { 504 } else { 408 };
        let (body, details, flags) = match timer {
            StreamTimer::Idle => {
                ("stream timeout", "stream_idle_timeout", ResponseFlag::StreamIdleTimeout.bit())
            }
            StreamTimer::MaxDuration => ("downstream duration timeout", "max_duration_timeout", 0),
            StreamTimer::Request => ("request timeout", "request_overall_timeout", 0),
        };
        if stream.manager.holds_back(Path::Decode) || stream.manager.holds_back(Path::Encode) {
            let text =
                "a filter holds back more than the buffer limit, so that no more is read, and waits for more";
            let what = What::Finding { kind: FindingKind::BackPressureDeadlock, text: text.to_owned() };
            core.note_proxy(id, what);
        }
        let (headers, body) = (HeaderMap::new(), Bytes::from(body));
        self.own_reply(id, OwnReply { status, headers, body, details: details.into(), flags });
    }

    /// Whether a stream that waits will be ended by its timers.
    pub(crate) fn ends_by_itself(&self) -> bool {
        self.core().is_some_and(|core| {
            core.streams.keys().any(|id| core.streams.get(id).is_some_and(|stream| stream.timers.are_set()))
        })
    }
}
