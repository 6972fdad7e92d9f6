//! A body seen as a whole, up to a limit.

use crate::body::Body;
use crate::headers::{Message, Request};
use crate::hostcalls::HostError;
use crate::stream::reply::Reply;

/// Collects bodies of at most so many bytes. It keeps nothing itself: Envoy holds what has come, and this module reads it once,
/// when it is whole.
///
/// ```
/// # use wayside_sdk::{Collect, Flow, FlowResult, Reply, RequestBody};
/// const BODY: Collect = Collect::up_to(64 * 1024);
///
/// fn on_request_body(body: &RequestBody) -> FlowResult {
///     let Some(body) = BODY.whole(body)? else { return Ok(Flow::Buffer) };
///     match body.starts_with(b"{") {
///         true => Ok(Flow::Continue),
///         false => Err(Reply::new(415, "filter.no_object")),
///     }
/// }
/// ```
///
/// Envoy has a limit of its own, `per_connection_buffer_limit_bytes` (1 MiB; a route's `request_body_buffer_limit` counts
/// instead): beyond it it answers the request itself with 413 and `request_payload_too_large`, or 500 and
/// `response_payload_too_large` for the response, if its headers are held too; else the response breaks off. Keep `max` below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collect {
    max: usize,
}

/// What is to be done with the part of a body that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Wait,
    Read,
    Refuse,
}

/// Pure: so far `len` bytes have come.
fn step(max: usize, len: usize, complete: bool) -> Step {
    match (len > max, complete) {
        (true, _) => Step::Refuse,
        (false, true) => Step::Read,
        (false, false) => Step::Wait,
    }
}

impl Collect {
    #[must_use]
    pub const fn up_to(max: usize) -> Collect {
        Collect { max }
    }

    /// The whole body, once it is [complete](Body::is_complete); `None` before: then return [`Flow::Buffer`](crate::Flow::Buffer). One hostcall that
    /// returns bytes when it is complete, none before.
    ///
    /// # Errors
    /// [`CollectError::TooLarge`] as soon as more than `max` bytes have come.
    pub fn whole<P: Message>(&self, body: &Body<P>) -> Result<Option<Vec<u8>>, CollectError> {
        let request = P::BUFFER == Request::BUFFER;
        match step(self.max, body.len(), body.is_complete()) {
            Step::Wait => Ok(None),
            Step::Read => body.read(body.len()).map(Some).map_err(CollectError::Unreadable),
            Step::Refuse => Err(CollectError::TooLarge { came: body.len(), request }),
        }
    }
}

/// Why there is no body. As a [`Reply`]: 413 and `wayside.request_too_large`, for a response 500 and
/// `wayside.response_too_large`, which breaks the response off if its headers have gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    #[error("{came} bytes have come, which is more than is collected")]
    TooLarge { came: usize, request: bool },
    #[error("the body cannot be read: {0}")]
    Unreadable(HostError),
}

impl From<CollectError> for Reply {
    fn from(error: CollectError) -> Reply {
        match error {
            CollectError::TooLarge { request: true, .. } => Reply::new(413, "wayside.request_too_large"),
            CollectError::TooLarge { request: false, .. } => Reply::new(500, "wayside.response_too_large"),
            CollectError::Unreadable(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a host does with the parts of a body of which all before are held.
    fn collected(max: usize, parts: &[Vec<u8>]) -> Result<Vec<u8>, usize> {
        let mut held = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            held.extend_from_slice(part);
            match step(max, held.len(), at + 1 == parts.len()) {
                Step::Wait => {}
                Step::Read => return Ok(held),
                Step::Refuse => return Err(held.len()),
            }
        }
        unreachable!("the last part is complete")
    }

    proptest! {
        #[test]
        fn however_a_body_is_cut_the_same_is_collected(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..8),
            max in 0_usize..100,
        ) {
            let whole = parts.concat();
            match collected(max, &parts) {
                Ok(collected) => prop_assert!(collected == whole && whole.len() <= max),
                Err(came) => prop_assert!(max < came && came <= whole.len()),
            }
        }
    }
}
