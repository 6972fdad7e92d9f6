//! Modules that no compiler makes: each is refused, answered or stopped, and none takes the host with it.

mod fuzzed;
mod generated;

use std::time::Duration;

use expect_test::expect;
use wayside::vm::Limits;

use crate::support::{Proxy, chain, get, wat};

/// A module with these fields, the version marker, one page of memory and an allocator.
fn module(fields: &str) -> String {
    bare(&format!("{fields} (func (export \"malloc\") (param i32) (result i32) (i32.const 4096))"))
}

/// The same without the allocator.
fn bare(fields: &str) -> String {
    format!(
        r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
        (import "env" "proxy_set_header_map_pairs" (func $set_pairs (param i32 i32 i32) (result i32)))
        (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_grpc_cancel" (func $grpc_cancel (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) ":path")
        (func (export "proxy_abi_version_0_2_1"))
        {fields})"#
    )
}

/// A callback at the request's headers with this body. `$say` logs one character, a status from `0` on.
fn on_request(body: &str) -> String {
    format!(
        r#"(func $say (param i32)
            (i32.store8 (i32.const 100) (i32.add (local.get 0) (i32.const 48)))
            (drop (call $log (i32.const 2) (i32.const 100) (i32.const 1))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            {body}
            (i32.const 0))"#
    )
}

fn small() -> Limits {
    Limits { fuel: 100_000, memory: 1 << 20, ..Limits::default() }
}

fn run(text: &str) -> Proxy {
    chain([wat(text)]).metered().limits(small()).on(get("/x"))
}

fn told(text: &str) -> String {
    run(text).lines(&["wat:", "client got", "end:"])
}

#[test]
fn pointers_and_lengths_outside_the_memory_are_refused() {
    let body = "(call $say (call $get (i32.const 0) (i32.const 65535) (i32.const 5) (i32.const 200) (i32.const 204)))
                (call $say (call $get (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 200) (i32.const 204)))
                (call $say (call $get (i32.const 0) (i32.const -1) (i32.const -1) (i32.const 200) (i32.const 204)))
                (call $say (call $get (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 65534) (i32.const 204)))
                (call $say (call $get (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 200) (i32.const -4)))
                (call $say (call $log (i32.const 2) (i32.const 65530) (i32.const 100)))
                (call $say (call $set_pairs (i32.const 0) (i32.const 60000) (i32.const 60000)))
                (call $say (call $buffer (i32.const 0) (i32.const 1) (i32.const -1) (i32.const 200) (i32.const 204)))
                (call $say (call $random (i32.const 65530) (i32.const 100)))";
    // 6 is InvalidMemoryAccess, 2 BadArgument; 21 of WASI shows as E.
    expect![[r#"
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: FINDING unusual_status: proxy_log answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: FINDING unusual_status: proxy_set_header_map_pairs answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: 0
        0 wat: drew 100 random bytes
        0 wat: E
        0 wat: on_request_headers = Continue
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&told(&module(&on_request(body))));
}

#[test]
fn a_write_of_overlapping_vectors_cannot_fill_the_hosts_memory() {
    // 8000 vectors over the whole of a megabyte: 8 GB, were they gathered.
    let body = "(local $n i32)
                (drop (memory.grow (i32.const 15)))
                (loop $more
                    (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $n) (i32.const 8))) (i32.const 0))
                    (i32.store (i32.add (i32.const 1028) (i32.mul (local.get $n) (i32.const 8))) (i32.const 1048576))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $n) (i32.const 8000))))
                (call $say (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 8000) (i32.const 200)))";
    let proxy = chain([wat(&module(&on_request(body)))]).limits(small()).on(get("/x"));
    expect![[r#"
        0 wat: E
        0 wat: on_request_headers = Continue
        client got [:status: 200]
    "#]]
    .assert_eq(&proxy.lines(&["wat:", "client got"]));
}

#[test]
fn an_endless_loop_runs_out_of_fuel_and_breaks_the_vm() {
    expect![[r#"
        0 wat: FINDING would_hang_envoy: on_request_headers on context 2 does not return: Envoy's worker is blocked for ever, with every connection it has; here the VM counts as dead
        0 wat: FAULT used up its fuel of 100000 in on_request_headers: an endless loop, or a limit set too low
        client got [:status: 503]
        end: Complete after 0ns, wasm_fail_stream
    "#]]
    .assert_eq(&told(&module(&on_request("(loop $for_ever (br $for_ever))"))));
}

#[test]
fn an_endless_loop_is_ended_by_the_clock_where_nothing_is_metered() {
    let limits = Limits { time: Duration::from_millis(1), ..Limits::default() };
    let endless = |fields: &str| chain([wat(&module(fields))]).limits(limits).on(get("/x"));
    expect![[r#"
        0 wat: FAULT ran for more than 1ms of real time in on_request_headers: it would block Envoy's worker for ever
        client got [:status: 503]
    "#]]
    .assert_eq(&endless(&on_request("(loop $for_ever (br $for_ever))")).lines(&["FAULT", "client got"]));
    expect![[r#"
        envoy.yaml:1:1: filter wat: ran for more than 1ms of real time in _start: it would block Envoy's worker for ever
    "#]]
    .assert_eq(&endless("(func (export \"_start\") (loop $for_ever (br $for_ever)))").text());
}

#[test]
fn endless_recursion_breaks_the_vm() {
    let fields = format!("(func $again (call $again) (call $again)) {}", on_request("(call $again)"));
    let proxy = chain([wat(&module(&fields))]).on(get("/x"));
    expect![[r#"
        0 wat: FAULT trapped in on_request_headers: wasm trap: call stack exhausted
        client got [:status: 503]
    "#]]
    .assert_eq(&proxy.lines(&["FAULT", "client got"]));
}

#[test]
fn memory_does_not_grow_beyond_its_limit() {
    let body = "(call $say (i32.ne (memory.grow (i32.const 10)) (i32.const -1)))
                (call $say (i32.ne (memory.grow (i32.const 10)) (i32.const -1)))
                (call $say (i32.ne (memory.grow (i32.const 65000)) (i32.const -1)))";
    expect![[r#"
        0 wat: 1
        0 wat: 0
        0 wat: 0
        0 wat: on_request_headers = Continue
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&told(&module(&on_request(body))));
}

#[test]
fn a_module_that_begins_with_more_memory_than_its_limit_does_not_start() {
    let text = module("").replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 17)");
    expect![[r#"
        envoy.yaml:1:1: filter wat: trapped in its start functions: memory minimum size of 17 pages exceeds memory limits
    "#]].assert_eq(&run(&text).text());
}

const READ_PATH: &str =
    "(call $say (call $get (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 200) (i32.const 204)))";

#[test]
fn an_allocator_that_gives_nothing_makes_the_call_fail() {
    let fields = format!(
        "{} (func (export \"malloc\") (param i32) (result i32) (i32.const 0))",
        on_request(READ_PATH)
    );
    expect![[r#"
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: on_request_headers = Continue
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&told(&bare(&fields)));
}

#[test]
fn an_allocator_that_gives_what_it_does_not_have_makes_the_call_fail() {
    let fields = format!(
        "{} (func (export \"malloc\") (param i32) (result i32) (i32.const -2))",
        on_request(READ_PATH)
    );
    expect![[r#"
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        0 wat: on_request_headers = Continue
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&told(&bare(&fields)));
}

#[test]
fn an_allocator_that_traps_breaks_the_vm() {
    let fields =
        format!("{} (func (export \"malloc\") (param i32) (result i32) unreachable)", on_request(READ_PATH));
    expect![[r#"
        0 wat: FAULT trapped in malloc: wasm trap: wasm `unreachable` instruction executed
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        client got [:status: 503]
        end: Complete after 0ns, wasm_fail_stream
    "#]]
    .assert_eq(&told(&bare(&fields)));
}

#[test]
fn an_allocator_that_calls_back_breaks_the_vm() {
    let fields = format!(
        "{} (func (export \"malloc\") (param i32) (result i32) (call $pairs (i32.const 0) (i32.const 200) (i32.const 204)))",
        on_request(READ_PATH)
    );
    expect![[r#"
        0 wat: FAULT called proxy_get_header_map_pairs while allocating memory, where Envoy allows only logging and WASI
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        client got [:status: 503]
        end: Complete after 0ns, wasm_fail_stream
    "#]].assert_eq(&told(&bare(&fields)));
}

#[test]
fn malloc_is_asked_before_the_other_allocator_and_that_one_is_enough() {
    let other = "(func (export \"proxy_on_memory_allocate\") (param i32) (result i32) (i32.const 4096))";
    let traps = "(func (export \"malloc\") (param i32) (result i32) unreachable)";
    let both = bare(&format!("{} {other} {traps}", on_request(READ_PATH)));
    let one = bare(&format!("{} {other}", on_request(READ_PATH)));
    expect![[r#"
        0 wat: FAULT trapped in malloc: wasm trap: wasm `unreachable` instruction executed
        0 wat: FINDING unusual_status: proxy_get_header_map_value answered 6 (InvalidMemoryAccess), which the Rust SDK's Status lacks
        0 wat: 6
        client got [:status: 503]
        end: Complete after 0ns, wasm_fail_stream
    "#]]
    .assert_eq(&told(&both));
    expect![[r#"
        0 wat: 0
        0 wat: on_request_headers = Continue
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&told(&one));
}

#[test]
fn hostcalls_while_starting_are_refused_but_logging_is_not() {
    let starts = |body: &str| {
        run(&module(&format!("(func (export \"_initialize\") {body})"))).lines(&[
            "proxy: :path",
            "drew",
            "filter wat",
        ])
    };
    expect![[r#"
        0 proxy: :path
    "#]]
    .assert_eq(&starts("(drop (call $log (i32.const 2) (i32.const 0) (i32.const 5)))"));
    expect![[r#"
        envoy.yaml:1:1: filter wat: called proxy_get_header_map_pairs while starting in _initialize, where Envoy allows only logging and WASI
    "#]].assert_eq(&starts("(drop (call $pairs (i32.const 0) (i32.const 200) (i32.const 204)))"));
    // One that this host only links.
    expect![[r#"
        envoy.yaml:1:1: filter wat: called proxy_grpc_cancel while starting in _initialize, where Envoy allows only logging and WASI
    "#]].assert_eq(&starts("(drop (call $grpc_cancel (i32.const 0)))"));
    expect![[r#"
        0 proxy: drew 8 random bytes
    "#]]
    .assert_eq(&starts("(drop (call $random (i32.const 200) (i32.const 8)))"));
}

#[test]
fn start_functions_that_break_or_never_end_stop_the_replay() {
    expect![[r#"
        envoy.yaml:1:1: filter wat: trapped in _initialize: wasm trap: wasm `unreachable` instruction executed
    "#]]
    .assert_eq(&run(&module("(func (export \"_initialize\") unreachable)")).text());
    expect![[r#"
        envoy.yaml:1:1: filter wat: used up its fuel of 100000 in _start: an endless loop, or a limit set too low
    "#]].assert_eq(&run(&module("(func (export \"_start\") (loop $for_ever (br $for_ever)))")).text());
    expect![[r#"
        envoy.yaml:1:1: filter wat: trapped in its start functions: wasm trap: wasm `unreachable` instruction executed
    "#]].assert_eq(&run(&module("(func $s unreachable) (start $s)")).text());
}

#[test]
fn a_module_without_callbacks_lets_everything_pass() {
    expect![[r#"
        GET /x
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          upstream got [:path: /x, :method: GET]
          client got [:status: 200]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&run(&module("")).text());
}

#[test]
fn answers_out_of_range_stop_the_stream_as_in_envoy() {
    let answers = |number: &str| {
        told(&module(&format!(
            "(func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32) (i32.const {number}))"
        )))
    };
    expect![[r#"
        0 wat: on_request_headers = StopAllAndWatermark
        client got [:status: 504, content-length: 14, content-type: text/plain] "stream timeout"
        end: Complete after 300s, stream_idle_timeout
    "#]]
    .assert_eq(&answers("5"));
    expect![[r#"
        0 wat: on_request_headers = StopAllAndWatermark
        client got [:status: 504, content-length: 14, content-type: text/plain] "stream timeout"
        end: Complete after 300s, stream_idle_timeout
    "#]]
    .assert_eq(&answers("-1"));
    expect![[r#"
        0 wat: on_request_headers = Continue
        client got [:status: 200]
        end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&answers("2"));
}

#[test]
fn a_module_without_marker_memory_or_allocator_is_named_with_what_it_lacks() {
    expect![[r#"
        filter wat: envoy.yaml:1:1: 2 problems
          - not a Proxy-Wasm module: no function proxy_abi_version_0_1_0, …_0_2_0 or …_0_2_1 is exported
          - no allocator: the host needs malloc or proxy_on_memory_allocate, of type (i32) -> i32, to return anything
    "#]].assert_eq(&run("(module (memory (export \"memory\") 1))").text());
    expect![[r#"
        filter wat: envoy.yaml:1:1: no allocator: the host needs malloc or proxy_on_memory_allocate, of type (i32) -> i32, to return anything
    "#]].assert_eq(&run(&bare("")).text());
    expect![[r#"
        filter wat: envoy.yaml:1:1: callback proxy_on_log has the wrong type: found (i64) -> nothing, expected (i32) -> nothing
    "#]].assert_eq(&run(&module("(func (export \"proxy_on_log\") (param i64))")).text());
}
