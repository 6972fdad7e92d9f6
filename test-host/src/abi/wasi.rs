//! WASI preview 1 as Envoy provides it (`envoy-abi` 7.7), on the virtual clock and the seeded random source.
//!
//! Answers are WASI's own numbers, not Proxy-Wasm's.

use super::{CallStatus, Guest, GuestSlice, HostCalls, LogLevel, Refusal, imports::context::nanoseconds};

/// WASI's `errno`, as far as this host answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Errno {
    Success = 0,
    BadFileDescriptor = 8,
    Fault = 21,
    InvalidArgument = 28,
    NotSupported = 58,
}

/// Envoy draws no more than this at once.
const RANDOM_BYTES_MAX: u32 = 64 * 1024;

/// Written at once; more is refused. Vectors may overlap, so that a small guest could ask for any amount.
const WRITE_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) type WasiResult = Result<Errno, Refusal>;

fn in_memory(result: Result<(), CallStatus>) -> Errno {
    if result.is_ok() { Errno::Success } else { Errno::Fault }
}

pub(crate) fn random_get<G: Guest>(guest: &mut G, ptr: u32, len: u32) -> WasiResult {
    if len > RANDOM_BYTES_MAX {
        return Ok(Errno::InvalidArgument);
    }
    let mut bytes = vec![0; len as usize];
    guest.host().random(&mut bytes);
    Ok(in_memory(guest.write(ptr, &bytes)))
}

/// Clock 0 is the wall, clock 1 the monotonic one.
pub(crate) fn clock_time_get<G: Guest>(guest: &mut G, clock: u32, _precision: u64, out: u32) -> WasiResult {
    let now = match clock {
        0 => guest.host().wall_time(),
        1 => guest.host().monotonic_time(),
        _ => return Ok(Errno::NotSupported),
    };
    Ok(in_memory(guest.write_u64(out, nanoseconds(now))))
}

pub(crate) fn clock_res_get<G: Guest>(guest: &mut G, clock: u32, out: u32) -> WasiResult {
    if clock > 1 {
        return Ok(Errno::NotSupported);
    }
    Ok(in_memory(guest.write_u64(out, 1)))
}

/// Descriptor 1 logs at info, 2 at error, with one trailing newline removed.
pub(crate) fn fd_write<G: Guest>(
    guest: &mut G,
    fd: u32,
    vectors: u32,
    count: u32,
    written: u32,
) -> WasiResult {
    let level = match fd {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return Ok(Errno::BadFileDescriptor),
    };
    let Ok(text) = gather(guest, vectors, count) else {
        return Ok(Errno::Fault);
    };
    let len = text.len() as u32;
    let line = text.strip_suffix(b"\n").unwrap_or(&text).to_vec();
    guest.host().log(level, line.into());
    Ok(in_memory(guest.write_u32(written, len)))
}

fn gather<G: Guest>(guest: &G, vectors: u32, count: u32) -> Result<Vec<u8>, CallStatus> {
    let table = guest.read(GuestSlice { ptr: vectors, len: count.saturating_mul(8) })?;
    let mut text = Vec::new();
    for vector in table.chunks_exact(8) {
        let word =
            |at: usize| u32::from_le_bytes([vector[at], vector[at + 1], vector[at + 2], vector[at + 3]]);
        let part = guest.read(GuestSlice { ptr: word(0), len: word(4) })?;
        if text.len() + part.len() > WRITE_BYTES_MAX {
            return Err(CallStatus::InvalidMemoryAccess);
        }
        text.extend_from_slice(&part);
    }
    Ok(text)
}

/// Standard output and error are writable character devices; nothing else is open.
pub(crate) fn fd_fdstat_get<G: Guest>(guest: &mut G, fd: u32, out: u32) -> WasiResult {
    if fd != 1 && fd != 2 {
        return Ok(Errno::BadFileDescriptor);
    }
    let mut record = [0u8; 24];
    record[8] = 64;
    Ok(in_memory(guest.write(out, &record)))
}

pub(crate) fn environ_sizes_get<G: Guest>(guest: &mut G, count: u32, bytes: u32) -> WasiResult {
    let environment = guest.host().environment();
    let total: usize = environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let written =
        guest.write_u32(count, environment.len() as u32).and_then(|()| guest.write_u32(bytes, total as u32));
    Ok(in_memory(written))
}

pub(crate) fn environ_get<G: Guest>(guest: &mut G, pointers: u32, text: u32) -> WasiResult {
    let environment = guest.host().environment();
    let (mut slot, mut at) = (pointers, text);
    for (name, value) in environment {
        let entry = format!("{name}={value}\0");
        let written = guest.write_u32(slot, at).and_then(|()| guest.write(at, entry.as_bytes()));
        if written.is_err() {
            return Ok(Errno::Fault);
        }
        slot = slot.wrapping_add(4);
        at = at.wrapping_add(entry.len() as u32);
    }
    Ok(Errno::Success)
}

pub(crate) fn args_sizes_get<G: Guest>(guest: &mut G, count: u32, bytes: u32) -> WasiResult {
    Ok(in_memory(guest.write_u32(count, 0).and_then(|()| guest.write_u32(bytes, 0))))
}

/// No event ever comes, so a sleep returns at once.
pub(crate) fn poll_oneoff<G: Guest>(guest: &mut G, events: u32) -> WasiResult {
    Ok(in_memory(guest.write_u32(events, 0)))
}

/// What the calls that do nothing here answer.
pub(crate) fn answer_of(name: &str) -> u32 {
    match name {
        "fd_seek"
        | "fd_close"
        | "fd_advise"
        | "sched_yield"
        | "args_get"
        | "proc_exit"
        | "fd_tell"
        | "fd_sync"
        | "fd_datasync"
        | "fd_allocate"
        | "fd_fdstat_set_rights"
        | "fd_filestat_set_size"
        | "fd_filestat_set_times" => 0,
        "fd_read" | "fd_pread" | "fd_fdstat_set_flags" | "fd_prestat_dir_name" => 52,
        "fd_prestat_get" | "fd_filestat_get" => 8,
        "fd_readdir" => 20,
        "path_open" => 44,
        _ => Errno::NotSupported as u32,
    }
}
