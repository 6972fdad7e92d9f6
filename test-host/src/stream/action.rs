//! What a filter answers when it is shown a part of a message.

/// Envoy's filter statuses, those of headers, data and trailers in one (`envoy/http/filter.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Continue,
    /// Headers and trailers: this filter stops; later parts are still shown to it.
    StopIteration,
    /// Headers: nothing more is shown; data waits with back-pressure.
    StopAllAndWatermark,
    /// Headers: nothing more is shown; data waits within a limit.
    StopAllAndBuffer,
    /// Data: kept, and shown again together with what follows.
    StopAndBuffer,
    /// Data: kept outside the filter's view, with back-pressure.
    StopAndWatermark,
    /// Data: this chunk is thrown away.
    StopNoBuffer,
}
