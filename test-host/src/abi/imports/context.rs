//! Logging, time, contexts, properties, foreign functions: what does not touch a message.

use std::time::Duration;

use bytes::Bytes;

use crate::abi::{BufferType, ContextId, Guest, GuestOut, GuestSlice, HostCalls, LogLevel, Refusal};

pub(crate) fn log<G: Guest>(guest: &mut G, level: u32, text: GuestSlice) -> Result<(), Refusal> {
    let level = LogLevel::decode(level)?;
    if level < guest.host().log_level() {
        return Ok(guest.look(text, |_, _| ())?);
    }
    let text = guest.read(text)?;
    guest.host().log(level, text);
    Ok(())
}

pub(crate) fn get_log_level<G: Guest>(guest: &mut G, out: u32) -> Result<(), Refusal> {
    let level = guest.host().log_level();
    Ok(guest.write_u32(out, level as u32)?)
}

pub(crate) fn get_current_time_nanoseconds<G: Guest>(guest: &mut G, out: u32) -> Result<(), Refusal> {
    let now = guest.host().wall_time();
    Ok(guest.write_u64(out, nanoseconds(now))?)
}

pub(crate) fn set_tick_period_milliseconds<G: Guest>(guest: &mut G, period: u32) -> Result<(), Refusal> {
    let period = (period > 0).then(|| Duration::from_millis(period.into()));
    guest.host().set_tick_period(period);
    Ok(())
}

pub(crate) fn set_effective_context<G: Guest>(guest: &mut G, id: u32) -> Result<(), Refusal> {
    Ok(guest.host().set_effective_context(ContextId(id))?)
}

pub(crate) fn done<G: Guest>(guest: &mut G) -> Result<(), Refusal> {
    Ok(guest.host().done()?)
}

/// ABI 0.1.0: the plugin's configuration where that can be read now, else the VM's.
pub(crate) fn get_configuration<G: Guest>(guest: &mut G, out: GuestOut) -> Result<(), Refusal> {
    let host = guest.host();
    let configuration =
        host.buffer(BufferType::PluginConfiguration).or_else(|_| host.buffer(BufferType::VmConfiguration))?;
    guest.return_bytes(&configuration, out)
}

/// ABI 0.1.0; later ones have a foreign function of that name.
pub(crate) fn clear_route_cache<G: Guest>(guest: &mut G) -> Result<(), Refusal> {
    guest.host().foreign_function(b"clear_route_cache", Bytes::new())?;
    Ok(())
}

pub(crate) fn get_property<G: Guest>(guest: &mut G, path: GuestSlice, out: GuestOut) -> Result<(), Refusal> {
    let value = guest.look(path, |path, host| host.property(path))??;
    guest.return_bytes(&value, out)
}

pub(crate) fn set_property<G: Guest>(
    guest: &mut G,
    path: GuestSlice,
    value: GuestSlice,
) -> Result<(), Refusal> {
    let (path, value) = (guest.read(path)?, guest.read(value)?);
    Ok(guest.host().set_property(path, value)?)
}

pub(crate) fn get_status<G: Guest>(guest: &mut G, code: u32, message: GuestOut) -> Result<(), Refusal> {
    let (number, text) = guest.host().callout_status();
    guest.write_u32(code, number)?;
    guest.return_bytes(&text, message)
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
