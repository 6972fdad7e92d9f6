//! From a fuzzer's bytes to a case: what the guest does in which callback, how it is configured, and its traffic.

use arbitrary::{Arbitrary, Result, Unstructured};
use wayside::vm::import_table::{AbiType, AbiVersion};

use super::guest::{self, ARGUMENTS, MEMORY, Own, POOL, POOL_BYTES, RECORD};

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) version: AbiVersion,
    pub(crate) policy: &'static str,
    /// Two filters of one module: in one VM, or in one each.
    pub(crate) share_vm: bool,
    pub(crate) stop_iteration: bool,
    pub(crate) records: Vec<Record>,
    pub(crate) pool: Vec<u8>,
    pub(crate) requests: Vec<Request>,
    pub(crate) callouts: Vec<Callout>,
    pub(crate) seed: u64,
}

/// One thing that the guest does in one callback.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) callback: u8,
    pub(crate) operation: u8,
    pub(crate) arguments: [u64; ARGUMENTS],
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at_ms: u64,
    pub(crate) latency_ms: u64,
    pub(crate) grpc: bool,
    pub(crate) chunks: Vec<usize>,
    pub(crate) trailers: bool,
    pub(crate) stalls: bool,
    pub(crate) response: Option<Response>,
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) chunks: Vec<usize>,
    pub(crate) trailers: bool,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub(crate) enum Callout {
    Answered { trailers: bool, after_ms: u8 },
    Refused,
    Reset,
    Silent,
    Hostless,
}

/// Words that mean something to a host; pointers aim at them. Each lies in the pool at the sum of those before it.
const WORDS: [&[u8]; 34] = [
    b":path",
    b":status",
    b"x-a",
    b"",
    b"content-length",
    b"upstream",
    b"auth",
    b"nobody",
    b"request\0headers\0x-a",
    b"response\0code",
    b"plugin_name",
    b"connection\0id\0",
    b"metadata\0filter_metadata",
    b"clear_route_cache",
    b"set_envoy_filter_state",
    b"compress",
    b"expr_evaluate",
    b"1 + 1",
    b"\0\0\0\0",
    b"\x01\0\0\0\x03\0\0\0\x01\0\0\0x-b\0\x31\0",
    b"\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0:authority\0a\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x01\0\0\0\xff\xff\xff\x7f\xff\xff\xff\xff",
    b"wasm.key",
    b"a value\r\nwith: lines",
    b"\xff\xfe\0\x80",
    b"/package.Service/Method",
    b"\x0a\x08\x0a\x06upstream",
    b"queue",
    b"counter",
    b":method",
    b"grpc-status",
    b"connection",
    b"transfer-encoding",
];

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let version = if u.ratio(1, 6)? { AbiVersion::V0_1_0 } else { AbiVersion::V0_2_1 };
        let policy =
            *u.choose(&["", "failure_policy: FAIL_OPEN", "fail_open: true", "failure_policy: FAIL_RELOAD"])?;
        let (share_vm, stop_iteration, seed) = (u.arbitrary()?, u.arbitrary()?, u.arbitrary::<u8>()?.into());
        let requests = some(u, 1, 4, request)?;
        let callouts = some(u, 1, 3, Callout::arbitrary)?;
        let mut pool: Vec<u8> = WORDS.concat();
        pool.extend(some(u, 0, 64, u8::arbitrary)?);
        let imports = guest::imports(version);
        let callbacks = guest::callbacks(version).len() as u8;
        let mut records = Vec::new();
        while records.len() < 60 && !u.is_empty() {
            let callback = u.int_in_range(0..=callbacks)?;
            // One more than there are: what a nested call out of the allocator runs.
            let callback = if callback == callbacks { 99 } else { callback };
            let own = u.ratio(1, 12)?;
            let operation =
                if own { *u.choose(&Own::ALL)? as u8 } else { u.int_in_range(0..=imports.len() as u8 - 1)? };
            let arguments = match imports.get(usize::from(operation)) {
                Some(import) => arguments(u, import.name, import.params)?,
                None => [u.int_in_range(0..=9)?, u.arbitrary()?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            };
            records.push(Record { callback, operation, arguments });
        }
        Ok(Case { version, policy, share_vm, stop_iteration, records, pool, requests, callouts, seed })
    }
}

fn some<'a, T>(
    u: &mut Unstructured<'a>,
    least: usize,
    most: usize,
    mut one: impl FnMut(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(least..=most)?;
    (0..count).map(|_| one(u)).collect()
}

fn request(u: &mut Unstructured<'_>) -> Result<Request> {
    let chunk = |u: &mut Unstructured<'_>| u.choose(&[1, 3, 40, 0, 600_000]).copied();
    let response = if u.ratio(7, 8)? {
        let status = *u.choose(&[200, 204, 304, 404, 503, 100])?;
        Some(Response { status, chunks: some(u, 0, 3, chunk)?, trailers: u.arbitrary()? })
    } else {
        None
    };
    Ok(Request {
        at_ms: u.int_in_range(0..=30)?,
        latency_ms: u.int_in_range(0..=40)?,
        grpc: u.ratio(1, 6)?,
        chunks: some(u, 0, 3, chunk)?,
        trailers: u.arbitrary()?,
        stalls: u.ratio(1, 12)?,
        response,
    })
}

/// Arguments that mostly make sense: a pointer with its length, a small number, a place for a result.
fn arguments(u: &mut Unstructured<'_>, import: &str, params: &[AbiType]) -> Result<[u64; ARGUMENTS]> {
    let mut all = [0; ARGUMENTS];
    let mut at = 0;
    while at < params.len() {
        // The result's address comes last, in twos where it is bytes.
        let is_result = at + 2 >= params.len() && import.contains("get_");
        match u.int_in_range(0..=11)? {
            0 => all[at] = boundary(u)?,
            1 => all[at] = u.arbitrary()?,
            2..=5 if !is_result && at + 1 < params.len() => {
                let word = u.int_in_range(0..=WORDS.len() - 1)?;
                let before: usize = WORDS[..word].iter().map(|word| word.len()).sum();
                (all[at], all[at + 1]) = (u64::from(POOL) + before as u64, WORDS[word].len() as u64);
                at += 1;
            }
            6..=8 if !is_result => all[at] = u.int_in_range(0..=9)?,
            _ if is_result => all[at] = 512 + 8 * at as u64,
            _ => all[at] = u.int_in_range(0..=40)?,
        }
        at += 1;
    }
    Ok(all)
}

fn boundary(u: &mut Unstructured<'_>) -> Result<u64> {
    let memory = u64::from(MEMORY);
    let of = [
        0,
        1,
        4,
        memory - 1,
        memory - 4,
        memory,
        memory + 1,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0xffff_fffe,
        1 << 20,
        (1 << 20) + 1,
        65_536,
        200_000,
        u64::MAX,
        i64::MIN as u64,
    ];
    u.choose(&of).copied()
}

impl Case {
    /// The VM configuration that makes the guest do it.
    pub(crate) fn script(&self) -> Vec<u8> {
        let mut script = Vec::new();
        for record in &self.records {
            script.extend([record.callback, record.operation, 0, 0]);
            script.extend((self.records.len() as u32).to_le_bytes());
            script.extend(record.arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        }
        if self.records.is_empty() {
            script.extend([0xff; RECORD]);
            script[4..8].copy_from_slice(&1u32.to_le_bytes());
        }
        script.extend(&self.pool[..self.pool.len().min(POOL_BYTES)]);
        script
    }
}
