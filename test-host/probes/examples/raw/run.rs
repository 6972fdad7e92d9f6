//! Runs the lines of a script: each operation is an import's name with its arguments as they are on the wire.

use std::{cell::RefCell, collections::BTreeMap};

use crate::calls;

/// What is between the callbacks.
#[derive(Default)]
struct State {
    /// By root context: callback name, operations.
    scripts: BTreeMap<u32, Vec<(String, String)>>,
    roots: BTreeMap<u32, u32>,
}

/// Where hostcalls write to: 32 words.
const SLOTS: usize = 32;
/// What a word holds that no hostcall wrote to.
const UNTOUCHED: u32 = 0xaaaa_aaaa;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    static SCRATCH: RefCell<Vec<u32>> = RefCell::new(vec![UNTOUCHED; SLOTS]);
}

/// Adds the lines in a buffer to the script of a root context.
pub(crate) fn read_script(root: u32, buffer: u32) {
    let text = String::from_utf8_lossy(&calls::buffer(buffer)).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let lines = lines.map(|(name, ops)| (name.trim().to_owned(), ops.to_owned()));
    STATE.with_borrow_mut(|state| state.scripts.entry(root).or_default().extend(lines));
}

pub(crate) fn create(context: u32, parent: u32) {
    let root = if parent == 0 { context } else { parent };
    STATE.with_borrow_mut(|state| state.roots.insert(context, root));
    if parent == 0 {
        read_script(context, 6);
    }
}

/// Runs a callback's lines; what it returns.
pub(crate) fn run(context: u32, callback: &str, otherwise: u32) -> u32 {
    let lines = STATE.with_borrow(|state| {
        let root = state.roots.get(&context).copied().unwrap_or(context);
        let script = state.scripts.get(&root).into_iter().flatten();
        script.filter(|(name, _)| name == callback).map(|(_, ops)| ops.clone()).collect::<Vec<_>>()
    });
    let mut answer = otherwise;
    for op in lines.iter().flat_map(|line| line.split("; ")) {
        let words: Vec<&str> = op.split_whitespace().collect();
        match words.split_first() {
            Some((&"return", rest)) => answer = rest.first().and_then(|word| word.parse().ok()).unwrap_or(0),
            Some((&"say", rest)) => calls::log(&rest.join(" ")),
            Some((&"trap", _)) => std::process::abort(),
            Some((&"show", rest)) => calls::log(&format!("show {}", shown(rest))),
            Some((&"each", rest)) => calls::log(&format!("{} -> {}", op.trim(), each(rest))),
            Some((name, rest)) => calls::log(&format!("{} -> {}", op.trim(), one(name, rest))),
            None => {}
        }
    }
    answer
}

/// `each 0 8 NAME * …`: the call with every number of that range in the place of `*`.
fn each(words: &[&str]) -> String {
    let [from, to, name, rest @ ..] = words else {
        return "which numbers?".to_owned();
    };
    let (from, to): (u32, u32) = (from.parse().unwrap_or(0), to.parse().unwrap_or(0));
    let answers = (from..=to).map(|number| {
        let number = number.to_string();
        let words: Vec<&str> =
            rest.iter().map(|word| if *word == "*" { &number[..] } else { word }).collect();
        one(name, &words)
    });
    answers.collect::<Vec<_>>().join(" | ")
}

/// Calls an import; its answer, and what it wrote to the words it was given.
fn one(name: &str, words: &[&str]) -> String {
    SCRATCH.with_borrow_mut(|scratch| scratch.fill(UNTOUCHED));
    let base = SCRATCH.with_borrow_mut(|scratch| scratch.as_mut_ptr() as i64);
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut numbers = Vec::new();
    for word in words {
        match argument(word, base) {
            Argument::Number(number) => numbers.push(number),
            Argument::Bytes(bytes) => {
                numbers.extend([bytes.as_ptr() as i64, bytes.len() as i64]);
                kept.push(bytes);
            }
            Argument::Table(bytes) => {
                numbers.extend([bytes.as_ptr() as i64, bytes.len() as i64 / 8]);
                kept.push(bytes);
            }
        }
    }
    let Some(answer) = crate::hostcall(name, &numbers) else {
        return "no such import".to_owned();
    };
    std::hint::black_box(&kept);
    let written = words.iter().filter_map(|word| Some((word, slot(word)?)));
    let written: String = written.map(|(word, slot)| format!(" {word}={}", found(word, slot))).collect();
    format!("{answer}{written}")
}

enum Argument {
    Number(i64),
    /// An address and a length: two arguments.
    Bytes(Vec<u8>),
    /// An address and the number of entries, of eight bytes each.
    Table(Vec<u8>),
}

/// `@3` the address of word 3, `^3` the same, shown as an address; `'text'` bytes with their length; `pairs(a=1,b=2)` in the
/// wire's form; `iov(text,text)` a table of vectors, with their number; `far` an address outside the memory; `end-4` one near its end;
/// anything else is a number.
fn argument(word: &str, base: i64) -> Argument {
    if let Some(slot) = slot(word) {
        return Argument::Number(base + 4 * slot as i64);
    }
    if let Some(text) = word.strip_prefix('\'') {
        return Argument::Bytes(bytes(text.strip_suffix('\'').unwrap_or(text)));
    }
    if let Some(list) = word.strip_prefix("pairs(").and_then(|rest| rest.strip_suffix(')')) {
        return Argument::Bytes(pairs(list));
    }
    if let Some(list) = word.strip_prefix("iov(").and_then(|rest| rest.strip_suffix(')')) {
        return Argument::Table(vectors(list));
    }
    let memory = memory_end();
    Argument::Number(match word {
        "far" => 0x7fff_0000,
        "end" => memory,
        _ => match word.strip_prefix("end-").and_then(|back| back.parse::<i64>().ok()) {
            Some(back) => memory - back,
            None => word.parse().unwrap_or(0),
        },
    })
}

fn slot(word: &str) -> Option<usize> {
    word.strip_prefix(['@', '^', '$'])?.parse().ok().filter(|slot| *slot < SLOTS - 1)
}

fn word(slot: usize) -> u32 {
    SCRATCH.with_borrow(|scratch| scratch.get(slot).copied().unwrap_or_default())
}

/// `@` a number, `^` an address, `$` a number of 64 bits.
fn found(name: &str, slot: usize) -> String {
    let (low, high) = (word(slot), word(slot + 1));
    match (name.as_bytes().first(), low) {
        (_, UNTOUCHED) => "untouched".to_owned(),
        (Some(b'$'), _) => (u64::from(high) << 32 | u64::from(low)).to_string(),
        (Some(b'^'), 0) => "null".to_owned(),
        (Some(b'^'), _) => "set".to_owned(),
        _ => low.to_string(),
    }
}

/// `show ^3 @4`: the bytes at the address in word 3, as many as word 4 says.
fn shown(words: &[&str]) -> String {
    let mut numbers = words.iter().filter_map(|name| slot(name)).map(word);
    let (at, len) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if at == 0 || at == UNTOUCHED || len == UNTOUCHED {
        return "nothing".to_owned();
    }
    let bytes = unsafe { std::slice::from_raw_parts(at as *const u8, len as usize) };
    format!("\"{}\"", bytes.escape_ascii())
}

/// `\s` is a space, `\c` a comma, `\n` a line's end, `\xNN` any byte.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (kind, tail) = tail.split_first().unwrap_or((&b'\\', tail));
        rest = tail;
        match kind {
            b's' => out.push(b' '),
            b'c' => out.push(b','),
            b'n' => out.push(b'\n'),
            b'x' if tail.len() > 1 => {
                let digits = std::str::from_utf8(&tail[..2]).unwrap_or("3f");
                out.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
                rest = &tail[2..];
            }
            other => out.push(*other),
        }
    }
    out
}

fn pairs(list: &str) -> Vec<u8> {
    let pairs: Vec<_> = list.split(',').filter(|pair| !pair.is_empty()).collect();
    let pairs = pairs.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs: Vec<_> = pairs.map(|(name, value)| (bytes(name), bytes(value))).collect();
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

/// The texts themselves are left where they are for good: the table points to them.
fn vectors(list: &str) -> Vec<u8> {
    let texts = list.split(',').map(|text| &*bytes(text).leak());
    texts.flat_map(|text| [text.as_ptr() as u32, text.len() as u32]).flat_map(u32::to_le_bytes).collect()
}

/// Where the guest's memory ends.
#[cfg(target_arch = "wasm32")]
fn memory_end() -> i64 {
    (core::arch::wasm32::memory_size(0) * 65536) as i64
}

/// Elsewhere the guest is only checked, never run.
#[cfg(not(target_arch = "wasm32"))]
fn memory_end() -> i64 {
    0
}
