//! Operations on what lies outside a stream: calls to services, queues, foreign functions.
//!
//! ```text
//! send CLUSTER TIMEOUT NAME=VALUE … body=TEXT trailer.NAME=VALUE     http_call with just these headers
//! grpc_call SERVICE NAME METHOD TIMEOUT MESSAGE NAME=VALUE …         the last are metadata
//! grpc_stream SERVICE NAME METHOD NAME=VALUE …
//! grpc_send TOKEN MESSAGE END · grpc_cancel TOKEN · grpc_close TOKEN TOKEN may be `last`
//! queue NAME · resolve VM_ID NAME · enqueue ID DATA · dequeue ID     VM_ID may be `-`: one's own
//! foreign NAME BYTES · foreign_unasked NAME BYTES                    unasked: no place for results
//! foreign_fields NAME 1=BYTES 2:5 …                                  a protobuf: `=` bytes, `:` a number
//! foreign_whole NAME BYTES                                           status and result, whatever the status
//! evaluate EXPRESSION · expr_create EXPRESSION · expr_evaluate TOKEN · expr_delete TOKEN
//! sign_and_verify HASH PRIVATE PUBLIC TEXT                           keys are those of `keys.rs`
//! resolve_dns NAME · told                                            what the callback was told, its context apart
//! ```
//!
//! Callbacks of their own: `grpc_initial`, `grpc_message`, `grpc_trailing`, `grpc_closed`, `queue_ready`, `dns`.

#![allow(unsafe_code, reason = "hostcalls are foreign functions, and callbacks are exported by their names")]

use std::cell::Cell;

use crate::{
    abi::{self, Answer, Out, Ptr},
    keys,
    ops::{Now, bytes, encoded, note_callout, note_size, number, shown, status, with_bytes, with_number},
};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_grpc_call(
        service: Ptr,
        service_len: usize,
        name: Ptr,
        name_len: usize,
        method: Ptr,
        method_len: usize,
        metadata: Ptr,
        metadata_len: usize,
        message: Ptr,
        message_len: usize,
        timeout: u32,
        token: Out,
    ) -> u32;
    fn proxy_grpc_stream(
        service: Ptr,
        service_len: usize,
        name: Ptr,
        name_len: usize,
        method: Ptr,
        method_len: usize,
        metadata: Ptr,
        metadata_len: usize,
        token: Out,
    ) -> u32;
    fn proxy_grpc_send(token: u32, message: Ptr, len: usize, end: u32) -> u32;
    fn proxy_grpc_cancel(token: u32) -> u32;
    fn proxy_grpc_close(token: u32) -> u32;
    fn proxy_register_shared_queue(name: Ptr, len: usize, id: Out) -> u32;
    fn proxy_resolve_shared_queue(vm: Ptr, vm_len: usize, name: Ptr, len: usize, id: Out) -> u32;
    fn proxy_enqueue_shared_queue(id: u32, data: Ptr, len: usize) -> u32;
    fn proxy_dequeue_shared_queue(id: u32, to: Out, to_len: Out) -> u32;
    fn envoy_resolve_dns(name: Ptr, len: usize, token: Out) -> u32;
}

thread_local! {
    static LAST: Cell<u32> = const { Cell::new(0) };
}

/// Runs one of these operations; `None`: there is none of this name.
pub(crate) fn one(_now: Now, name: &str, args: &[&str]) -> Option<String> {
    let text = |at: usize| bytes(args.get(at));
    let num = |at: usize| number(args.get(at));
    Some(match name {
        "send" => send(args),
        "grpc_call" => remembered(grpc_call(args)),
        "grpc_stream" => remembered(grpc_stream(args)),
        "grpc_send" => {
            let message = text(1);
            status(unsafe { proxy_grpc_send(token(args), message.as_ptr(), message.len(), num(2)) })
        }
        "grpc_cancel" => status(unsafe { proxy_grpc_cancel(token(args)) }),
        "grpc_close" => status(unsafe { proxy_grpc_close(token(args)) }),
        "queue" => {
            let name = text(0);
            remembered(given(|id| unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), id) }))
        }
        "resolve" => resolve(args),
        "enqueue" => {
            let data = text(1);
            status(unsafe { proxy_enqueue_shared_queue(token(args), data.as_ptr(), data.len()) })
        }
        "dequeue" => {
            with_bytes(abi::out_bytes(|to, len| unsafe { proxy_dequeue_shared_queue(token(args), to, len) }))
        }
        "foreign" => with_bytes(abi::foreign(&text(0), &text(1))),
        "foreign_whole" => whole(abi::foreign(&text(0), &text(1))),
        "foreign_unasked" => status(abi::foreign_unasked(&text(0), &text(1))),
        "foreign_fields" => whole(abi::foreign(&text(0), &fields(&args[1..]))),
        "expr_create" => created(abi::foreign(b"expr_create", &text(0))),
        "expr_evaluate" => whole(abi::foreign(b"expr_evaluate", &token(args).to_le_bytes())),
        "expr_delete" => status(abi::foreign(b"expr_delete", &token(args).to_le_bytes()).0),
        "evaluate" => evaluate(&text(0)),
        "sign_and_verify" => sign_and_verify(args),
        "resolve_dns" => {
            let name = text(0);
            with_number(given(|to| unsafe { envoy_resolve_dns(name.as_ptr(), name.len(), to) }))
        }
        _ => return None,
    })
}

fn given(call: impl FnOnce(Out) -> u32) -> Answer<u32> {
    let mut number = 0;
    let answer = call(&mut number);
    (answer, number)
}

fn remembered(answer: Answer<u32>) -> String {
    if answer.0 == 0 {
        LAST.set(answer.1);
    }
    with_number(answer)
}

/// `last`, or a number.
fn token(args: &[&str]) -> u32 {
    match args.first() {
        Some(&"last") => LAST.get(),
        other => number(other),
    }
}

fn send(args: &[&str]) -> String {
    let mut headers: Vec<&str> = Vec::new();
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    for arg in args.iter().skip(2) {
        if let Some(text) = arg.strip_prefix("body=") {
            body = bytes(Some(&text));
        } else if let Some(trailer) = arg.strip_prefix("trailer.") {
            trailers.push(trailer);
        } else {
            headers.push(arg);
        }
    }
    let trailers = if trailers.is_empty() { Vec::new() } else { encoded(&trailers) };
    with_number(abi::http_call(
        &bytes(args.first()),
        &encoded(&headers),
        &body,
        &trailers,
        number(args.get(1)),
    ))
}

fn grpc_call(args: &[&str]) -> Answer<u32> {
    let text = |at: usize| bytes(args.get(at));
    let (service, name, method, message) = (text(0), text(1), text(2), text(4));
    let timeout = args.get(3).map_or(1000, |_| number(args.get(3)));
    let metadata = encoded(args.get(5..).unwrap_or_default());
    given(|token| unsafe {
        proxy_grpc_call(
            service.as_ptr(),
            service.len(),
            name.as_ptr(),
            name.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout,
            token,
        )
    })
}

fn grpc_stream(args: &[&str]) -> Answer<u32> {
    let text = |at: usize| bytes(args.get(at));
    let (service, name, method) = (text(0), text(1), text(2));
    let metadata = encoded(args.get(3..).unwrap_or_default());
    given(|token| unsafe {
        proxy_grpc_stream(
            service.as_ptr(),
            service.len(),
            name.as_ptr(),
            name.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            token,
        )
    })
}

fn resolve(args: &[&str]) -> String {
    let vm_id = if args.first() == Some(&"-") { Vec::new() } else { bytes(args.first()) };
    let name = bytes(args.get(1));
    remembered(given(|id| unsafe {
        proxy_resolve_shared_queue(vm_id.as_ptr(), vm_id.len(), name.as_ptr(), name.len(), id)
    }))
}

fn whole((answer, result): Answer<Vec<u8>>) -> String {
    format!("{} {}", status(answer), shown(&result))
}

fn created((answer, result): Answer<Vec<u8>>) -> String {
    match <[u8; 4]>::try_from(&result[..]) {
        Ok(token) => remembered((answer, u32::from_le_bytes(token))),
        Err(_) => whole((answer, result)),
    }
}

/// Creates an expression, evaluates it once and deletes it.
fn evaluate(expression: &[u8]) -> String {
    let (answer, token) = abi::foreign(b"expr_create", expression);
    if answer != 0 {
        return format!("create {}", status(answer));
    }
    let value = whole(abi::foreign(b"expr_evaluate", &token));
    let deleted = abi::foreign(b"expr_delete", &token).0;
    if deleted == 0 { value } else { format!("{value}, delete {}", status(deleted)) }
}

/// `1=bytes`, `1:7`, and `1=@name` for one of the keys.
fn fields(args: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    for arg in args {
        let Some(at) = arg.find(['=', ':']) else {
            wire.extend(bytes(Some(arg)));
            continue;
        };
        let (field, rest) = arg.split_at(at);
        let (field, value) = (number(Some(&field)), &rest[1..]);
        if rest.starts_with(':') {
            varint(&mut wire, field << 3);
            varint(&mut wire, number(Some(&value)));
        } else {
            let value =
                value.strip_prefix('@').map_or_else(|| bytes(Some(&value)), |name| keys::of(name).to_vec());
            length_delimited(&mut wire, field, &value);
        }
    }
    wire
}

fn length_delimited(wire: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(wire, field << 3 | 2);
    varint(wire, value.len() as u32);
    wire.extend(value);
}

fn varint(wire: &mut Vec<u8>, mut number: u32) {
    while number > 127 {
        wire.push(number as u8 | 128);
        number >>= 7;
    }
    wire.push(number as u8);
}

/// The signature itself may differ from call to call; that it fits does not.
fn sign_and_verify(args: &[&str]) -> String {
    let (hash, text) = (bytes(args.first()), bytes(args.get(3)));
    let (private, public) = (keys::of(args.get(1).unwrap_or(&"")), keys::of(args.get(2).unwrap_or(&"")));
    let field = |name: &str| if name.ends_with("pem") { 4 } else { 2 };
    let mut wire = Vec::new();
    length_delimited(&mut wire, 1, &hash);
    length_delimited(&mut wire, field(args.get(1).unwrap_or(&"")), private);
    length_delimited(&mut wire, 3, &text);
    let (answer, signed) = abi::foreign(b"sign", &wire);
    // SignResult: result, signature, error.
    let [8, 1, 18, rest @ ..] = &signed[..] else {
        return format!("sign {}", whole((answer, signed)));
    };
    let skip = if rest.first().is_some_and(|byte| *byte > 127) { 2 } else { 1 };
    let signature = rest.get(skip..).unwrap_or_default();
    let mut wire = Vec::new();
    length_delimited(&mut wire, 1, &hash);
    let place = if args.get(2).is_some_and(|name| name.ends_with("pem")) { 5 } else { 2 };
    length_delimited(&mut wire, place, public);
    length_delimited(&mut wire, 3, signature);
    length_delimited(&mut wire, 4, &text);
    let verified = whole(abi::foreign(b"verify_signature", &wire));
    format!("{} verify {verified}", status(answer))
}

fn called(context: u32, callback: &str, told: [u32; 4]) {
    note_callout(told);
    note_size(told[1]);
    crate::run(context, callback, None, 0);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive_initial_metadata(context: u32, token: u32, count: u32) {
    called(context, "grpc_initial", [token, count, 0, 0]);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(context: u32, token: u32, size: u32) {
    called(context, "grpc_message", [token, size, 0, 0]);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive_trailing_metadata(context: u32, token: u32, count: u32) {
    called(context, "grpc_trailing", [token, count, 0, 0]);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(context: u32, token: u32, code: u32) {
    called(context, "grpc_closed", [token, code, 0, 0]);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(context: u32, queue: u32) {
    called(context, "queue_ready", [queue, 0, 0, 0]);
}

#[unsafe(no_mangle)]
extern "C" fn envoy_on_resolve_dns(context: u32, token: u32, size: u32) {
    called(context, "dns", [token, size, 0, 0]);
}
