//! How a request ended: what the host says of it, and what the upstream said of retries.

use crate::budget::{Answer, Cause};
use crate::config::Pushback;
use crate::pushback::{self, Asked};
use crate::safety;
use wayside_sdk::property::{Props, Slot, Together};
use wayside_sdk::{HeaderBlock, Host, Init, LogCx, Name, Wall, name, property};

/// By which an Envoy tells its callers not to retry.
pub(crate) const RATELIMITED: Name = name!("x-envoy-ratelimited");
const GRPC_PUSHBACK: Name = name!("grpc-retry-pushback-ms");
const RETRY_AFTER: Name = name!("retry-after");

/// What is read of a request once it is over.
#[derive(Debug)]
pub(crate) struct Attributes {
    attempts: Slot<u64>,
    status: Slot<u64>,
    /// The last: of gRPC requests only.
    grpc_status: Slot<u64>,
    plain: Together,
    grpc: Together,
}

/// The same, read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) attempts: u64,
    pub(crate) status: Option<u64>,
    pub(crate) answer: Answer,
}

impl Attributes {
    pub(crate) fn new(init: &mut Init) -> Attributes {
        let mut asked = Props::new();
        let (attempts, status) =
            (asked.add(&property::UPSTREAM_ATTEMPTS), asked.add(&property::RESPONSE_CODE));
        let plain = init.together(asked.clone());
        let grpc_status = asked.add(&property::RESPONSE_GRPC_STATUS);
        Attributes { attempts, status, grpc_status, plain, grpc: init.together(asked) }
    }

    pub(crate) fn read(&self, grpc: bool, cx: &LogCx) -> Host<Ending> {
        let values = cx.stream().read(if grpc { &self.grpc } else { &self.plain })?;
        let attempts = values.get(self.attempts)?.unwrap_or(0);
        let status = values.get(self.status)?;
        let grpc_status = if grpc { values.get(self.grpc_status)? } else { None };
        let answer = if attempts == 0 { Answer::Nothing } else { answer(status, grpc_status) };
        Ok(Ending { attempts, status, answer })
    }
}

/// 429 asks for less, and so does `RESOURCE_EXHAUSTED`; 504 is a timeout, and so is `DEADLINE_EXCEEDED`.
pub(crate) fn answer(status: Option<u64>, grpc_status: Option<u64>) -> Answer {
    if safety::is_success(status, grpc_status) {
        return Answer::Success;
    }
    Answer::Failure(match (status, grpc_status) {
        (Some(429), _) | (_, Some(8)) => Cause::Throttled,
        (Some(504), _) | (_, Some(4)) => Cause::TimedOut,
        _ => Cause::Other,
    })
}

/// What a failure said of retries. Of other answers it is not asked: one that was poisoned could stop them for everybody.
pub(crate) fn asked(
    rules: &Pushback,
    headers: &HeaderBlock,
    status: Option<u64>,
    grpc: bool,
    trailers: impl FnOnce() -> Option<HeaderBlock>,
) -> Asked {
    let mut asked = Asked::Nothing;
    if rules.grpc && grpc {
        asked = pushback::grpc(headers.only(GRPC_PUSHBACK));
        if asked == Asked::Nothing
            && let Some(trailers) = trailers()
        {
            asked = pushback::grpc(trailers.only(GRPC_PUSHBACK));
        }
    }
    if rules.retry_after && asked == Asked::Nothing && matches!(status, Some(429 | 503)) {
        asked = pushback::retry_after(headers.only(RETRY_AFTER), || Wall::now().ok());
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_a_cause() {
        for (status, grpc_status, expected) in [
            (Some(200), None, Answer::Success),
            (Some(404), None, Answer::Success),
            (Some(429), None, Answer::Failure(Cause::Throttled)),
            (Some(504), None, Answer::Failure(Cause::TimedOut)),
            (Some(503), None, Answer::Failure(Cause::Other)),
            (Some(200), Some(0), Answer::Success),
            (Some(200), Some(8), Answer::Failure(Cause::Throttled)),
            (Some(200), Some(4), Answer::Failure(Cause::TimedOut)),
            (Some(200), Some(14), Answer::Failure(Cause::Other)),
            (None, None, Answer::Failure(Cause::Other)),
        ] {
            assert_eq!(answer(status, grpc_status), expected, "{status:?} {grpc_status:?}");
        }
    }
}
