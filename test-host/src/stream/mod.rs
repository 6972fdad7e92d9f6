//! One HTTP stream on its way through a filter chain, as Envoy's filter manager takes it there. Nothing here knows wasm.
//!
//! ```text
//!            headers, data, trailers                    headers, data, trailers
//!  client ──► filter 0 ──► filter 1 ──► … ──► router ──► upstream       (decode: forward)
//!  client ◄── filter 0 ◄── filter 1 ◄── … ◄── router ◄── upstream       (encode: backward)
//! ```
//!
//! [`FilterManager`] is a state machine without time, threads or calls. Its owner feeds it parts of messages, asks it for
//! the next [`Step`], carries that out (calls a filter, or passes a part on), and tells it what the filter answered.

mod action;
mod arrival;
mod filter_manager;
mod local_reply;
mod message_state;
#[cfg(test)]
mod tests;
mod watermark;

pub use action::Action;
pub use filter_manager::{Answered, FilterIndex, FilterManager, Part, Path, Step};
pub use local_reply::{Reply, ReplyForm, respond};
pub use message_state::MessageState;
