//! What moves a stream: continue, close, local replies, callouts.

use std::time::Duration;

use super::read_pairs;
use crate::{
    abi::{CallStatus, Guest, GuestSlice, HostCalls, HttpCallout, LocalReply, Refusal, StreamType},
    message::HeaderMap,
};

pub(crate) fn continue_stream<G: Guest>(guest: &mut G, stream: u32) -> Result<(), Refusal> {
    Ok(guest.host().continue_stream(StreamType::decode(stream)?)?)
}

pub(crate) fn close_stream<G: Guest>(guest: &mut G, stream: u32) -> Result<(), Refusal> {
    Ok(guest.host().close_stream(StreamType::decode(stream)?)?)
}

/// Answers `Ok` even where it does nothing, as Envoy does.
pub(crate) fn send_local_response<G: Guest>(
    guest: &mut G,
    status: u32,
    details: GuestSlice,
    body: GuestSlice,
    headers: GuestSlice,
    grpc_status: u32,
) -> Result<(), Refusal> {
    let reply = LocalReply {
        status,
        details: guest.read(details)?,
        body: guest.read(body)?,
        headers: HeaderMap::from_iter(read_pairs(guest, "proxy_send_local_response", headers)?),
        grpc_status: (grpc_status as i32 >= 0).then_some(grpc_status),
    };
    Ok(guest.host().send_local_reply(reply)?)
}

/// A timeout of 0 waits for ever; one above `i32::MAX` is refused. Envoy takes trailers but never sends them.
pub(crate) fn http_call<G: Guest>(
    guest: &mut G,
    cluster: GuestSlice,
    headers: GuestSlice,
    body: GuestSlice,
    trailers: GuestSlice,
    timeout: u32,
    token: u32,
) -> Result<(), Refusal> {
    let (cluster, body) = (guest.read(cluster)?, guest.read(body)?);
    let headers = HeaderMap::from_iter(read_pairs(guest, "proxy_http_call", headers)?);
    read_pairs(guest, "proxy_http_call", trailers)?;
    // Before the call is made, and all that is left of it where it is refused.
    guest.write_u32(token, 0)?;
    if timeout > i32::MAX as u32 {
        return Err(CallStatus::BadArgument.into());
    }
    let timeout = (timeout > 0).then(|| Duration::from_millis(timeout.into()));
    let callout = HttpCallout { cluster, headers, body, timeout };
    let number = guest.host().http_call(callout)?;
    Ok(guest.write_u32(token, number.0)?)
}
