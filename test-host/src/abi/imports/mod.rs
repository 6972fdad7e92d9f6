//! The hostcalls, one file a family. Each decodes its arguments, asks the host, and encodes the answer; nothing more.

pub(crate) mod calls;
pub(crate) mod context;
pub(crate) mod headers;
mod list;
pub(crate) mod shared;
pub(crate) mod stream;

use bytes::Bytes;

pub(crate) use list::bind_hostcalls;

use super::{Guest, GuestSlice, HostCalls, pairs};

/// Reads a list of pairs. Envoy takes a malformed one as empty and says nothing; this host reports it.
fn read_pairs<G: Guest>(
    guest: &mut G,
    hostcall: &'static str,
    from: GuestSlice,
) -> Result<Vec<(Bytes, Bytes)>, super::Refusal> {
    let wire = guest.read(from)?;
    Ok(pairs::decode(&wire).unwrap_or_else(|error| {
        guest.host().malformed_pairs(hostcall, error);
        Vec::new()
    }))
}
