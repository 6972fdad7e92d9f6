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
    NotADirectory = 20,
    Fault = 21,
    InvalidArgument = 28,
    NotSupported = 58,
}

/// What a call answers that the VM's configuration does not list.
pub(crate) const NOT_CAPABLE: u32 = 76;

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
    if len == 0 {
        return Ok(Errno::Success);
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

fn is_output(fd: u32) -> bool {
    fd == 1 || fd == 2
}

/// Descriptor 1 logs at info, 2 at error, with one trailing newline removed; nothing at all is not logged.
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
    if len > 0 {
        let line = text.strip_suffix(b"\n").unwrap_or(&text).to_vec();
        guest.log(level, line.into());
    }
    Ok(in_memory(guest.write_u32(written, len)))
}

fn gather<G: Guest>(guest: &G, vectors: u32, count: u32) -> Result<Vec<u8>, CallStatus> {
    let table = guest.read(GuestSlice { ptr: vectors, len: count.saturating_mul(8) })?;
    let mut text = Vec::new();
    for vector in table.chunks_exact(8) {
        let word =
            |at: usize| u32::from_le_bytes([vector[at], vector[at + 1], vector[at + 2], vector[at + 3]]);
        let from = GuestSlice { ptr: word(0), len: word(4) };
        if from.len == 0 {
            continue;
        }
        let part = guest.read(from)?;
        if text.len() + part.len() > WRITE_BYTES_MAX {
            return Err(CallStatus::InvalidMemoryAccess);
        }
        text.extend_from_slice(&part);
    }
    Ok(text)
}

/// Standard output and error are writable; nothing else is open. An address outside the memory is not told.
pub(crate) fn fd_fdstat_get<G: Guest>(guest: &mut G, fd: u32, out: u32) -> WasiResult {
    if !is_output(fd) {
        return Ok(Errno::BadFileDescriptor);
    }
    let mut record = [0u8; 24];
    record[8] = 64;
    let _ = guest.write(out, &record);
    Ok(Errno::Success)
}

pub(crate) fn fd_tell<G: Guest>(guest: &mut G, fd: u32, out: u32) -> WasiResult {
    if !is_output(fd) {
        return Ok(Errno::BadFileDescriptor);
    }
    Ok(in_memory(guest.write_u64(out, 0)))
}

/// Reads nothing into a number, and then answers that it cannot.
fn nothing_read(written: Result<(), CallStatus>, answer: Errno) -> WasiResult {
    Ok(if written.is_ok() { answer } else { Errno::Fault })
}

pub(crate) fn fd_readdir<G: Guest>(guest: &mut G, read: u32) -> WasiResult {
    nothing_read(guest.write_u32(read, 0), Errno::NotADirectory)
}

pub(crate) fn path_readlink<G: Guest>(guest: &mut G, read: u32) -> WasiResult {
    nothing_read(guest.write_u32(read, 0), Errno::NotSupported)
}

/// Envoy writes eight bytes where WASI has four.
pub(crate) fn sock_accept<G: Guest>(guest: &mut G, out: u32) -> WasiResult {
    nothing_read(guest.write_u64(out, 0), Errno::NotSupported)
}

pub(crate) fn sock_recv<G: Guest>(guest: &mut G, read: u32, flags: u32) -> WasiResult {
    let written = guest.write_u32(read, 0).and_then(|()| guest.write(flags, &[0; 2]));
    nothing_read(written, Errno::NotSupported)
}

pub(crate) fn sock_send<G: Guest>(guest: &mut G, sent: u32) -> WasiResult {
    nothing_read(guest.write_u32(sent, 0), Errno::NotSupported)
}

pub(crate) fn environ_sizes_get<G: Guest>(guest: &mut G, count: u32, bytes: u32) -> WasiResult {
    let environment = guest.host().environment();
    let total: usize = environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let written =
        guest.write_u32(count, environment.len() as u32).and_then(|()| guest.write_u32(bytes, total as u32));
    Ok(in_memory(written))
}

/// All places, then all texts: natively an address is the beginning of something, and nothing can be added to it.
pub(crate) fn environ_get<G: Guest>(guest: &mut G, places: u32, to: u32) -> WasiResult {
    let (mut slots, mut text) = (Vec::new(), String::new());
    for (name, value) in guest.host().environment() {
        slots.extend_from_slice(&to.wrapping_add(text.len() as u32).to_le_bytes());
        text.extend([name.as_str(), "=", &value, "\0"]);
    }
    if text.is_empty() {
        return Ok(Errno::Success);
    }
    Ok(in_memory(guest.write(places, &slots).and_then(|()| guest.write(to, text.as_bytes()))))
}

pub(crate) fn args_sizes_get<G: Guest>(guest: &mut G, count: u32, bytes: u32) -> WasiResult {
    Ok(in_memory(guest.write_u32(count, 0).and_then(|()| guest.write_u32(bytes, 0))))
}

/// No event ever comes, so a sleep returns at once.
pub(crate) fn poll_oneoff<G: Guest>(guest: &mut G, events: u32) -> WasiResult {
    Ok(in_memory(guest.write_u32(events, 0)))
}

/// What the calls that do nothing here answer; `fd` and `other` are their first two arguments.
pub(crate) fn answer_of(name: &str, fd: u32, other: u32) -> u32 {
    match name {
        "fd_seek" | "fd_close" | "fd_advise" | "sched_yield" | "args_get" | "proc_exit" => 0,
        "fd_sync"
        | "fd_datasync"
        | "fd_allocate"
        | "fd_fdstat_set_rights"
        | "fd_filestat_set_size"
        | "fd_filestat_set_times"
            if is_output(fd) =>
        {
            0
        }
        "fd_sync"
        | "fd_datasync"
        | "fd_allocate"
        | "fd_fdstat_set_rights"
        | "fd_filestat_set_size"
        | "fd_filestat_set_times"
        | "fd_prestat_get"
        | "fd_filestat_get" => Errno::BadFileDescriptor as u32,
        "fd_renumber" if !is_output(fd) || !is_output(other) => Errno::BadFileDescriptor as u32,
        "fd_read" | "fd_pread" | "fd_fdstat_set_flags" | "fd_prestat_dir_name" => 52,
        "path_open" => 44,
        _ => Errno::NotSupported as u32,
    }
}
