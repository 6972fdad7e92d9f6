//! Modules in, modules out.

use wayside_postlink::{PostlinkError, check_imports, check_size, finish, is_unfinished};

const HOST: &str = r#"
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) i32.const 8)
"#;

fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {HOST} {body})")).expect("the test's own module")
}

fn finished(body: &str) -> (Vec<u8>, Vec<String>) {
    let finished = finish(&module(body)).expect("a module");
    wasmparser::Validator::new().validate_all(&finished.bytes).expect("still valid");
    assert_eq!(finish(&finished.bytes).expect("a module").bytes, finished.bytes, "nothing is left to do");
    (finished.bytes, finished.dropped)
}

fn names(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload.expect("well formed") {
            wasmparser::Payload::ImportSection(section) => {
                imports.extend(
                    section.into_imports().map(|import| import.expect("well formed").name.to_owned()),
                );
            }
            wasmparser::Payload::ExportSection(section) => {
                exports
                    .extend(section.into_iter().map(|export| export.expect("well formed").name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[test]
fn a_callback_that_a_filter_left_as_it_was_goes_with_all_it_reached() {
    let (bytes, dropped) = finished(
        r#"
        (func $used (result i32) (call $log (i32.const 0) (i32.const 0) (i32.const 0)))
        (func $unused (result i32) (call $property (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $used))
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (call $unused))
        (func (export "wayside:proxy_on_request_headers") (param i32) (result i32) (call $used))
        (func (export "wayside:proxy_on_response_headers") (param i32) (result i32) i32.const 0)
        "#,
    );
    assert_eq!(dropped, ["proxy_on_response_headers"]);
    let (imports, exports) = names(&bytes);
    assert_eq!(imports, ["proxy_log"]);
    assert_eq!(exports, ["memory", "malloc", "proxy_on_request_headers"]);
}

#[test]
fn a_callback_that_only_gives_the_answer_hosts_assume_goes_and_any_other_answer_stays() {
    let (_, dropped) = finished(
        r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) i32.const 1)
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
        (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 0)
        (func (export "proxy_on_done") (param i32) (result i32) i32.const 0)
        (func (export "proxy_on_tick") (param i32))
        (func (export "proxy_on_log") (param i32) unreachable)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "_initialize"))
        "#,
    );
    assert_eq!(dropped, ["proxy_on_request_headers", "proxy_on_vm_start", "proxy_on_tick"]);
}

#[test]
fn what_is_called_through_a_table_stays() {
    let (bytes, _) = finished(
        r#"
        (type $t (func (param i32 i32 i32 i32) (result i32)))
        (table 1 funcref)
        (elem (i32.const 0) $property)
        (func (export "proxy_on_tick") (param i32)
            (drop (call_indirect (type $t) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
        "#,
    );
    assert_eq!(names(&bytes).0, ["proxy_get_property"]);
}

#[test]
fn names_of_functions_stay_right_and_other_custom_sections_go() {
    let (bytes, _) = finished(
        r#"
        (@custom "producers-notes" "x")
        (func $idle (result i32) i32.const 7)
        (func $busy (param i32) unreachable)
        (export "proxy_on_tick" (func $busy))
        "#,
    );
    let mut named = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        let wasmparser::Payload::CustomSection(section) = payload.expect("well formed") else { continue };
        let wasmparser::KnownCustom::Name(subsections) = section.as_known() else {
            panic!("{} was kept", section.name())
        };
        for subsection in subsections {
            if let wasmparser::Name::Function(map) = subsection.expect("well formed") {
                named.extend(map.into_iter().map(|naming| {
                    let naming = naming.expect("well formed");
                    (naming.index, naming.name.to_owned())
                }));
            }
        }
    }
    // Imports are gone; `malloc` has no name, and comes first.
    assert_eq!(named, [(1, "busy".to_owned())]);
}

#[test]
fn an_import_no_proxy_offers_is_named() {
    let bytes = wat::parse_str(
        r#"(module
            (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (import "__wbindgen_placeholder__" "__wbindgen_throw" (func (param i32 i32))))"#,
    )
    .expect("the test's own module");
    let Err(PostlinkError::ForeignImports(foreign)) = check_imports(&bytes) else {
        panic!("it was let through")
    };
    let foreign: Vec<_> = foreign.iter().map(ToString::to_string).collect();
    assert_eq!(foreign, ["wasi_snapshot_preview1.fd_write", "__wbindgen_placeholder__.__wbindgen_throw"]);
    check_imports(&module("")).expect("what Proxy-Wasm has");
}

#[test]
fn a_module_may_be_as_large_as_it_is_allowed_to() {
    check_size(&[0; 10], 10).expect("just fits");
    assert_eq!(check_size(&[0; 11], 10).expect_err("one too many").to_string(), "11 bytes, 10 allowed");
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0", b"#!/bin/sh"] {
        assert!(matches!(finish(bytes), Err(PostlinkError::Malformed(_))), "{bytes:?}");
    }
    let good = module("(func (export \"proxy_on_tick\") (param i32) unreachable)");
    for cut in 8..good.len() {
        // Cut at the end of a section it may be a module; it must not panic.
        let _ = finish(&good[..cut]);
    }
}

#[test]
fn only_what_was_made_to_be_finished_asks_for_it() {
    assert!(!is_unfinished(&module("(func (export \"proxy_on_tick\") (param i32))")));
    let made = module("(func (export \"wayside:proxy_on_log\") (param i32) (result i32) i32.const 0)");
    assert!(is_unfinished(&made));
    assert!(!is_unfinished(&finish(&made).expect("a module").bytes));
    assert!(!is_unfinished(b"no module"));
}
