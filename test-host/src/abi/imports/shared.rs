//! What outlives a stream: shared data and metrics.

use crate::abi::{Guest, GuestOut, GuestSlice, HostCalls, MetricId, MetricType, Refusal};

pub(crate) fn get_shared_data<G: Guest>(
    guest: &mut G,
    key: GuestSlice,
    value: GuestOut,
    cas: u32,
) -> Result<(), Refusal> {
    let (bytes, number) = guest.look(key, |key, host| host.shared_data(key))??;
    guest.return_bytes(&bytes, value)?;
    Ok(guest.write_u32(cas, number)?)
}

pub(crate) fn set_shared_data<G: Guest>(
    guest: &mut G,
    key: GuestSlice,
    value: GuestSlice,
    cas: u32,
) -> Result<(), Refusal> {
    let value = guest.read(value)?;
    Ok(guest.look(key, |key, host| host.set_shared_data(key, value, cas))??)
}

pub(crate) fn define_metric<G: Guest>(
    guest: &mut G,
    kind: u32,
    name: GuestSlice,
    id: u32,
) -> Result<(), Refusal> {
    let name = guest.read(name)?;
    let kind = MetricType::decode(kind)?;
    let number = guest.host().define_metric(kind, name)?;
    Ok(guest.write_u32(id, number.0)?)
}

pub(crate) fn increment_metric<G: Guest>(guest: &mut G, id: u32, by: i64) -> Result<(), Refusal> {
    Ok(guest.host().increment_metric(MetricId(id), by)?)
}

pub(crate) fn record_metric<G: Guest>(guest: &mut G, id: u32, value: u64) -> Result<(), Refusal> {
    Ok(guest.host().record_metric(MetricId(id), value)?)
}

pub(crate) fn get_metric<G: Guest>(guest: &mut G, id: u32, out: u32) -> Result<(), Refusal> {
    let value = guest.host().metric(MetricId(id))?;
    Ok(guest.write_u64(out, value)?)
}
