//! Header maps and buffers.

use bytes::Bytes;

use super::read_pairs;
use crate::abi::{BufferType, CallStatus, Guest, GuestOut, GuestSlice, HostCalls, MapType, Refusal, pairs};

/// `NotFound` when the header is absent; an empty value when it is present and empty; the first of several.
pub(crate) fn get_header_map_value<G: Guest>(
    guest: &mut G,
    map: u32,
    name: GuestSlice,
    out: GuestOut,
) -> Result<(), Refusal> {
    let map = MapType::decode(map)?;
    let value = match guest.look(name, |name, host| host.header(map, name))? {
        Err(CallStatus::NotFound) if guest.reads_missing_headers_as_empty() => Bytes::new(),
        found => found?,
    };
    guest.return_bytes(&value, out)
}

pub(crate) fn get_header_map_pairs<G: Guest>(guest: &mut G, map: u32, out: GuestOut) -> Result<(), Refusal> {
    let map = MapType::decode(map)?;
    let headers = guest.host().headers(map)?.filter(|headers| !headers.is_empty());
    let wire = headers.map(pairs::encode_map).unwrap_or_default();
    guest.return_bytes(&wire, out)
}

pub(crate) fn get_header_map_size<G: Guest>(guest: &mut G, map: u32, out: u32) -> Result<(), Refusal> {
    let map = MapType::decode(map)?;
    let size = guest.host().headers_byte_size(map)?;
    Ok(guest.write_size(out, u32::try_from(size).unwrap_or(u32::MAX))?)
}

pub(crate) fn add_header_map_value<G: Guest>(
    guest: &mut G,
    map: u32,
    name: GuestSlice,
    value: GuestSlice,
) -> Result<(), Refusal> {
    let map = MapType::decode(map)?;
    let (name, value) = (guest.read(name)?, guest.read(value)?);
    Ok(guest.host().add_header(map, name, value)?)
}

pub(crate) fn replace_header_map_value<G: Guest>(
    guest: &mut G,
    map: u32,
    name: GuestSlice,
    value: GuestSlice,
) -> Result<(), Refusal> {
    let map = MapType::decode(map)?;
    let (name, value) = (guest.read(name)?, guest.read(value)?);
    Ok(guest.host().replace_header(map, name, value)?)
}

pub(crate) fn remove_header_map_value<G: Guest>(
    guest: &mut G,
    map: u32,
    name: GuestSlice,
) -> Result<(), Refusal> {
    let map = MapType::decode(map)?;
    Ok(guest.look(name, |name, host| host.remove_header(map, name))??)
}

pub(crate) fn set_header_map_pairs<G: Guest>(
    guest: &mut G,
    map: u32,
    headers: GuestSlice,
) -> Result<(), Refusal> {
    let map = MapType::decode(map)?;
    let headers = read_pairs(guest, "proxy_set_header_map_pairs", headers)?;
    Ok(guest.host().set_headers(map, headers)?)
}

/// A start beyond the end reads nothing; a length beyond the end is cut. Envoy adds the two in 64 bits: nothing overflows.
pub(crate) fn get_buffer_bytes<G: Guest>(
    guest: &mut G,
    buffer: u32,
    start: u32,
    len: u32,
    out: GuestOut,
) -> Result<(), Refusal> {
    let buffer = BufferType::decode(buffer)?;
    let bytes = guest.host().buffer(buffer)?;
    let start = (start as usize).min(bytes.len());
    let end = start.saturating_add(len as usize).min(bytes.len());
    guest.return_bytes(bytes.get(start..end).unwrap_or_default(), out)
}

pub(crate) fn get_buffer_status<G: Guest>(
    guest: &mut G,
    buffer: u32,
    len: u32,
    flags: u32,
) -> Result<(), Refusal> {
    let buffer = BufferType::decode(buffer)?;
    let bytes = guest.host().buffer(buffer)?;
    guest.write_size(len, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
    Ok(guest.write_u32(flags, 0)?)
}

pub(crate) fn set_buffer_bytes<G: Guest>(
    guest: &mut G,
    buffer: u32,
    start: u32,
    len: u32,
    data: GuestSlice,
) -> Result<(), Refusal> {
    let buffer = BufferType::decode(buffer)?;
    // One that is not there is told before an address that is wrong.
    guest.host().buffer(buffer)?;
    let data = guest.read(data)?;
    Ok(guest.host().set_buffer(buffer, start as usize, len as usize, data)?)
}
