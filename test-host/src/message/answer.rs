//! What an upstream does with one attempt of the router, where that was written by hand.

use std::time::Duration;

use super::Message;

/// What an attempt meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// From the end of the request, as the upstream sees it; of a connection that is refused, from its beginning.
    pub after: Duration,
    pub kind: AnswerKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    Response {
        message: Message,
        /// The connection breaks where the message's end should be.
        breaks_off: bool,
    },
    /// The connection breaks before a response begins.
    Resets,
    /// Nothing listens there.
    Refuses,
    Never,
}
