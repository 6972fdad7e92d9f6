//! The operations a script is made of.

use std::cell::Cell;

use crate::abi;

/// Where a line runs.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) context: u32,
    pub(crate) root: u32,
    /// Calls of this callback in this context, this one included.
    pub(crate) calls: u32,
    pub(crate) last_stream: u32,
}

thread_local! {
    static SIZE: Cell<u32> = const { Cell::new(0) };
    static CALLOUT: Cell<[u32; 4]> = const { Cell::new([0; 4]) };
}

pub(crate) fn note_size(size: u32) {
    SIZE.set(size);
}

pub(crate) fn note_callout(callout: [u32; 4]) {
    CALLOUT.set(callout);
}

/// Runs a line; `Some` where it says what to return.
pub(crate) fn run(now: Now, line: &str) -> Option<u32> {
    let mut answer = None;
    for op in line.split("; ") {
        let words: Vec<&str> = op.split_whitespace().collect();
        let Some((name, args)) = words.split_first() else {
            continue;
        };
        match *name {
            "return" => answer = Some(number(args.first())),
            // The rest of the line is for the n-th call only.
            "call" if now.calls != number(args.first()) => return answer,
            "call" => {}
            // The rest of the line is for streams whose header, property or shared data has this value.
            "only" if !is(args) => return answer,
            "only" => {}
            "panic" => panic!("as the script says"),
            "loop" => loop {
                std::hint::black_box(());
            },
            "say" => say(&args.join(" ")),
            _ => say(&format!("{} -> {}", op.trim(), one(now, name, args))),
        }
    }
    answer
}

fn say(text: &str) {
    abi::log(2, text.as_bytes());
}

fn is(args: &[&str]) -> bool {
    if args.first() == Some(&"property") {
        return abi::property(&path(args.get(1))) == (0, bytes(args.get(2)));
    }
    if args.first() == Some(&"shared") {
        let (status, value, _) = abi::shared(&bytes(args.get(1)));
        return status == 0 && value == bytes(args.get(2));
    }
    let (status, value) = abi::get(map(args.first()), &bytes(args.get(1)));
    status == 0 && value == bytes(args.get(2))
}

/// Runs one operation and says what came of it.
fn one(now: Now, name: &str, args: &[&str]) -> String {
    let text = |at: usize| bytes(args.get(at));
    let num = |at: usize| number(args.get(at));
    match name {
        "get" => with_bytes(abi::get(map(args.first()), &text(1))),
        "pairs" => with_pairs(abi::pairs(map(args.first()))),
        "size" => with_number(abi::size(map(args.first()))),
        "add" => status(abi::add(map(args.first()), &text(1), &text(2))),
        "replace" => status(abi::replace(map(args.first()), &text(1), &text(2))),
        "remove" => status(abi::remove(map(args.first()), &text(1))),
        "set" => status(abi::set_pairs(map(args.first()), &encoded(&args[1..]))),
        "set_raw" => status(abi::set_pairs(map(args.first()), &text(1))),
        "told" => SIZE.get().to_string(),
        "answered" => format!("{:?}", CALLOUT.get()),
        "buffer" => {
            with_bytes(abi::buffer(buffer(args.first()), num(1), args.get(2).map_or(u32::MAX, |_| num(2))))
        }
        "buffer_status" => {
            let (answer, len, flags) = abi::buffer_status(buffer(args.first()));
            format!("{} {len} {flags}", status(answer))
        }
        "write" => status(abi::write(buffer(args.first()), num(1), num(2), &text(3))),
        "property" => with_bytes(abi::property(&path(args.first()))),
        "number" => with_i64(abi::property(&path(args.first()))),
        "map" => with_map(abi::property(&path(args.first()))),
        "set_property" => status(abi::set_property(&path(args.first()), &text(1))),
        "reply" => reply(args),
        "continue" => status(abi::continue_stream(stream(args.first()))),
        "close" => status(abi::close_stream(stream(args.first()))),
        "call_out" => call_out(args),
        "status" => {
            let (answer, code, text) = abi::status();
            format!("{} {code} {}", status(answer), shown(&text))
        }
        "effective" => status(abi::set_effective_context(match args.first() {
            Some(&"stream") => now.last_stream,
            Some(&"root") => now.root,
            Some(&"self") => now.context,
            other => number(other),
        })),
        "context" => format!("{} of {}", now.context, now.root),
        "shared" => {
            let (answer, value, cas) = abi::shared(&text(0));
            format!("{} {} cas {cas}", status(answer), shown(&value))
        }
        "set_shared" => status(abi::set_shared(&text(0), &text(1), num(2))),
        "define" => with_number(abi::define_metric(num(0), &text(1))),
        "increment" => {
            status(abi::increment_metric(num(0), args.get(1).and_then(|n| n.parse().ok()).unwrap_or(0)))
        }
        "record" => status(abi::record_metric(num(0), num(1).into())),
        "metric" => with_long(abi::metric(num(0))),
        "log" => status(abi::log(num(0), &text(1))),
        "log_level" => with_number(abi::log_level()),
        "print" => format!("{:?}", abi::print(num(0), &text(1))),
        "tick" => status(abi::set_tick_period(num(0))),
        "now" => with_long(abi::current_time()),
        "clock" => with_long(abi::clock(num(0))),
        "random" => {
            let (answer, bytes) = abi::random(num(0) as usize);
            let hex: String = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("{answer} {hex}")
        }
        "environment" => with_bytes(abi::environment()),
        "done" => status(abi::done()),
        _ => crate::calls::one(now, name, args).unwrap_or_else(|| "no such operation".to_owned()),
    }
}

/// `reply 403 body=no details=why grpc=7 x-a=1`: what is neither body, details nor grpc is a header.
fn reply(args: &[&str]) -> String {
    let of = |key: &str| args.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
    let headers: Vec<&str> = args
        .iter()
        .skip(1)
        .copied()
        .filter(|arg| !["body=", "details=", "grpc="].iter().any(|key| arg.starts_with(key)))
        .collect();
    let grpc = of("grpc").and_then(|text| text.parse().ok()).unwrap_or(-1);
    let (details, body) = (bytes(of("details").as_ref()), bytes(of("body").as_ref()));
    status(abi::reply(number(args.first()), &details, &body, &encoded(&headers), grpc))
}

/// `call_out cluster timeout [path [body]]`; a path of `-` leaves all headers out.
fn call_out(args: &[&str]) -> String {
    let cluster = bytes(args.first());
    let path = format!(":path={}", args.get(2).unwrap_or(&"/"));
    let headers = if args.get(2) == Some(&"-") {
        encoded(&[])
    } else {
        encoded(&[":method=GET", &path, ":authority=callout"])
    };
    with_number(abi::http_call(&cluster, &headers, &bytes(args.get(3)), &[], number(args.get(1))))
}

pub(crate) fn status(number: u32) -> String {
    let names =
        ["ok", "not_found", "bad_argument", "serialization_failure", "parse_failure", "bad_expression"];
    let more = [
        "invalid_memory_access",
        "empty",
        "cas_mismatch",
        "result_mismatch",
        "internal_failure",
        "broken_connection",
    ];
    let name = names.iter().chain(&more).chain(&["unimplemented"]).nth(number as usize);
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

pub(crate) fn shown(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

pub(crate) fn with_bytes((answer, bytes): (u32, Vec<u8>)) -> String {
    if answer == 0 { shown(&bytes) } else { status(answer) }
}

pub(crate) fn with_number((answer, number): (u32, u32)) -> String {
    if answer == 0 { number.to_string() } else { status(answer) }
}

fn with_long((answer, number): (u32, u64)) -> String {
    if answer == 0 { number.to_string() } else { status(answer) }
}

fn with_i64((answer, bytes): (u32, Vec<u8>)) -> String {
    match <[u8; 8]>::try_from(&bytes[..]) {
        Ok(bytes) if answer == 0 => i64::from_le_bytes(bytes).to_string(),
        _ => with_bytes((answer, bytes)),
    }
}

/// Properties that are maps have the order of a hash table in Envoy.
fn with_map(map: (u32, Vec<u8>)) -> String {
    let text = with_pairs(map);
    let Some(entries) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        return text;
    };
    let mut entries: Vec<&str> = entries.split(' ').collect();
    entries.sort_unstable();
    format!("[{}]", entries.join(" "))
}

fn with_pairs((answer, wire): (u32, Vec<u8>)) -> String {
    if answer != 0 || wire.is_empty() {
        return with_bytes((answer, wire));
    }
    let word = |at: usize| u32::from_le_bytes([wire[at], wire[at + 1], wire[at + 2], wire[at + 3]]) as usize;
    let mut at = 4 + word(0) * 8;
    let mut text = Vec::new();
    for pair in 0..word(0) {
        let (name, value) = (word(4 + pair * 8), word(8 + pair * 8));
        let (from, middle) = (at, at + name + 1);
        at = middle + value + 1;
        text.push(format!(
            "{}={}",
            wire[from..from + name].escape_ascii(),
            wire[middle..middle + value].escape_ascii()
        ));
    }
    format!("[{}]", text.join(" "))
}

pub(crate) fn encoded(pairs: &[&str]) -> Vec<u8> {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs
        .iter()
        .map(|pair| {
            // A pseudo header's name begins with the colon, so the split is at the first equals sign.
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (bytes(Some(&name)), bytes(Some(&value)))
        })
        .collect();
    let mut wire = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in &pairs {
        wire.extend((name.len() as u32).to_le_bytes());
        wire.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in &pairs {
        wire.extend([&name[..], b"\0", value, b"\0"].concat());
    }
    wire
}

pub(crate) fn number(word: Option<&&str>) -> u32 {
    word.and_then(|word| word.parse::<i64>().ok()).map_or(0, |number| number as u32)
}

/// `a.b.c`, where a part may hold dots as `\x2e`.
fn path(word: Option<&&str>) -> Vec<u8> {
    word.map(|word| word.split('.').map(|part| bytes(Some(&part))).collect::<Vec<_>>().join(&0))
        .unwrap_or_default()
}

pub(crate) fn bytes(word: Option<&&str>) -> Vec<u8> {
    let mut rest = word.copied().unwrap_or_default().as_bytes();
    let mut out = Vec::new();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [b's', tail @ ..]) => {
                out.push(b' ');
                rest = tail;
            }
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok();
                out.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b'?'));
                rest = tail;
            }
            _ => out.push(*first),
        }
    }
    out
}

fn map(word: Option<&&str>) -> u32 {
    match word.copied() {
        Some("request") => 0,
        Some("request_trailers") => 1,
        Some("response") => 2,
        Some("response_trailers") => 3,
        Some("grpc_initial") => 4,
        Some("grpc_trailing") => 5,
        Some("callout") => 6,
        Some("callout_trailers") => 7,
        _ => number(word),
    }
}

fn buffer(word: Option<&&str>) -> u32 {
    match word.copied() {
        Some("request") => 0,
        Some("response") => 1,
        Some("downstream") => 2,
        Some("upstream") => 3,
        Some("callout") => 4,
        Some("grpc") => 5,
        Some("vm_configuration") => 6,
        Some("configuration") => 7,
        Some("call_data") => 8,
        _ => number(word),
    }
}

fn stream(word: Option<&&str>) -> u32 {
    match word.copied() {
        Some("request") => 0,
        Some("response") => 1,
        Some("downstream") => 2,
        Some("upstream") => 3,
        _ => number(word),
    }
}
