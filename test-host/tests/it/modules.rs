//! What is said about a `.wasm` file that Envoy would refuse, and what is known about one it would take.

use expect_test::{Expect, expect};
use std::path::{Path, PathBuf};
use wayside::vm::import_table::{AbiType, AbiVersion, CALLBACKS, IMPORTS};
use wayside::vm::module::{Allocator, MemoryLimits, ModuleError, ModuleInfo, Pages, Problem};

/// Marker, memory and allocator of a module that lacks nothing.
const SOUND: &str = r#"
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 2 16)
    (func (export "malloc") (param i32) (result i32) i32.const 0)"#;

fn parse(fields: &str) -> Result<ModuleInfo, ModuleError> {
    let bytes = wat::parse_str(format!("(module {fields})")).expect("the test's own text is WebAssembly");
    ModuleInfo::parse(&bytes, "filter.wasm")
}

fn check_refused(fields: &str, expected: Expect) {
    expected.assert_eq(&parse(fields).expect_err("Envoy refuses it").to_string());
}

fn check_bytes_refused(bytes: &[u8], expected: Expect) {
    expected.assert_eq(&ModuleInfo::parse(bytes, "filter.wasm").expect_err("Envoy refuses it").to_string());
}

#[test]
fn a_sound_module_tells_what_it_is() {
    let info = parse(&format!(
        r#"$timeout
        (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        {SOUND}
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)
        (func (export "_initialize"))
        (func (export "main") (param i32 i32) (result i32) i32.const 0)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)
        (@producers (language "Rust" "2024") (processed-by "rustc" "1.95.0"))"#
    ))
    .expect("Envoy takes it");
    assert_eq!(info.abi, AbiVersion::V0_2_1);
    assert_eq!(
        info.imports.iter().map(|import| import.name).collect::<Vec<_>>(),
        ["proxy_log", "random_get"]
    );
    assert_eq!(
        info.callbacks.iter().map(|callback| callback.name).collect::<Vec<_>>(),
        ["proxy_on_request_headers"]
    );
    assert_eq!(info.allocator, Allocator::Malloc, "Envoy prefers malloc");
    assert_eq!(info.start.calls, ["_initialize", "main"]);
    assert!(!info.start.section);
    assert_eq!(info.memory, Some(MemoryLimits { initial: Pages(2), maximum: Some(Pages(16)) }));
    assert_eq!(info.own_name.as_deref(), Some("timeout"));
    assert_eq!(info.producers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["Rust", "rustc"]);
}

#[test]
fn the_first_marker_decides_and_only_if_it_is_a_function() {
    let info = parse(
        r#"(global (export "proxy_abi_version_0_1_0") i32 (i32.const 0))
        (func (export "proxy_abi_version_0_2_0")) (func (export "proxy_abi_version_0_2_1"))
        (memory (export "memory") 1)
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)"#,
    )
    .expect("Envoy takes it");
    assert_eq!(info.abi, AbiVersion::V0_2_0);
    assert_eq!(info.allocator, Allocator::ProxyOnMemoryAllocate);
}

#[test]
fn an_empty_file_is_called_empty() {
    check_bytes_refused(b"", expect!["filter.wasm: the file is empty, expected a WebAssembly module"]);
}

#[test]
fn a_file_that_is_not_wasm_shows_its_first_bytes() {
    check_bytes_refused(
        b"hello, world",
        expect![[
            r#"filter.wasm: not WebAssembly: the file starts with 68 65 6c 6c 6f 2c 20 77, expected 00 61 73 6d ("\0asm")"#
        ]],
    );
    check_bytes_refused(
        &[0x1f, 0x8b, 8],
        expect![[
            r#"filter.wasm: not WebAssembly: the file starts with 1f 8b 08, expected 00 61 73 6d ("\0asm"); this is gzip, unpack it first"#
        ]],
    );
}

#[test]
fn a_component_is_told_which_target_to_use() {
    check_bytes_refused(
        &wat::parse_str("(component)").expect("text"),
        expect![
            "filter.wasm: a WebAssembly component, expected a core module: build for wasm32-unknown-unknown or wasm32-wasip1, not wasm32-wasip2"
        ],
    );
}

#[test]
fn a_truncated_file_names_the_byte_and_the_section() {
    let bytes = wat::parse_str(format!("(module {SOUND})")).expect("text");
    check_bytes_refused(
        &bytes[..40],
        expect![
            "filter.wasm: truncated at byte 40: the export section that starts at byte 30 goes on to byte 77 at least"
        ],
    );
    check_bytes_refused(
        &bytes[..6],
        expect![
            "filter.wasm: truncated at byte 6: the header that starts at byte 0 goes on to byte 8 at least"
        ],
    );
}

#[test]
fn every_truncation_of_a_module_is_refused_without_a_panic() {
    let bytes = wat::parse_str(format!("(module {SOUND})")).expect("text");
    for cut in 0..bytes.len() {
        let error = ModuleInfo::parse(&bytes[..cut], "cut.wasm").expect_err("it is cut");
        let inside_a_section = matches!(
            error.problems.as_slice(),
            [Problem::Empty | Problem::Truncated { .. } | Problem::Malformed { .. }]
        );
        // Cut between two sections before the exports, a module is merely a poorer one.
        let poorer = error.problems.iter().any(|problem| matches!(problem, Problem::NoAbiVersion { .. }));
        assert!(inside_a_section || poorer, "cut at {cut}: {error}");
    }
}

#[test]
fn every_flipped_byte_gives_a_module_or_an_error_but_no_panic() {
    let bytes = wat::parse_str(format!("(module {SOUND})")).expect("text");
    for place in 0..bytes.len() {
        for flip in [0x01, 0x40, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= flip;
            if let Err(error) = ModuleInfo::parse(&damaged, "damaged.wasm") {
                assert!(!error.problems.is_empty() && !error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn invalid_code_is_malformed_at_a_byte() {
    let bytes = wat::parse_str("(module (func (result i32)))").expect("text");
    check_bytes_refused(
        &bytes,
        expect!["filter.wasm: malformed at byte 24: type mismatch: expected i32 but nothing on stack"],
    );
}

#[test]
fn a_module_without_a_marker_is_not_a_proxy_wasm_module() {
    let rest =
        r#"(memory (export "memory") 1) (func (export "malloc") (param i32) (result i32) i32.const 0)"#;
    check_refused(
        rest,
        expect![
            "filter.wasm: not a Proxy-Wasm module: no function proxy_abi_version_0_1_0, …_0_2_0 or …_0_2_1 is exported"
        ],
    );
    check_refused(
        &format!(r#"{rest} (func (export "proxy_abi_version_0_3_0"))"#),
        expect![
            "filter.wasm: not a Proxy-Wasm module: no function proxy_abi_version_0_1_0, …_0_2_0 or …_0_2_1 is exported (found proxy_abi_version_0_3_0, a version Envoy does not know)"
        ],
    );
}

#[test]
fn an_unknown_import_is_named_with_its_type_and_where_it_comes_from() {
    let import =
        |module: &str, name: &str| format!(r#"(import "{module}" "{name}" (func (param i32 f64))) {SOUND}"#);
    check_refused(
        &import("env", "foo"),
        expect![
            "filter.wasm: unknown import env.foo (i32, f64) -> nothing: Envoy's host offers no such function (a symbol the linker did not find becomes an import of env)"
        ],
    );
    check_refused(
        &import("__wbindgen_placeholder__", "__wbindgen_throw"),
        expect![
            "filter.wasm: unknown import __wbindgen_placeholder__.__wbindgen_throw (i32, f64) -> nothing: built with wasm-bindgen, which needs JavaScript: a dependency expects a browser (often getrandom's `js` or `wasm_js` feature, or chrono's `wasmbind`)"
        ],
    );
    check_refused(
        &import("env", "proxy_clear_route_cache"),
        expect![
            "filter.wasm: unknown import env.proxy_clear_route_cache (i32, f64) -> nothing: it exists only in ABI 0.1.0, this module declares 0.2.1"
        ],
    );
    check_refused(
        &import("env", "fd_write"),
        expect![
            "filter.wasm: unknown import env.fd_write (i32, f64) -> nothing: the host offers wasi_snapshot_preview1.fd_write"
        ],
    );
    check_refused(
        &import("wasi_snapshot_preview1", "proc_raise"),
        expect![
            "filter.wasm: unknown import wasi_snapshot_preview1.proc_raise (i32, f64) -> nothing: Envoy's host offers all of WASI preview 1 but this"
        ],
    );
    check_refused(
        &import("wasi:clocks/wall-clock@0.2.0", "now"),
        expect![
            "filter.wasm: unknown import wasi:clocks/wall-clock@0.2.0.now (i32, f64) -> nothing: an interface of WASI preview 2, which Envoy does not have: build for wasm32-wasip1"
        ],
    );
}

#[test]
fn an_import_with_the_wrong_type_shows_both_types() {
    check_refused(
        &format!(r#"(import "env" "proxy_increment_metric" (func (param i32 i32) (result i32))) {SOUND}"#),
        expect![
            "filter.wasm: import env.proxy_increment_metric has the wrong type: found (i32, i32) -> i32, expected (i32, i64) -> i32"
        ],
    );
    check_refused(
        &format!(
            r#"(import "wasi_snapshot_preview1" "path_symlink" (func (param i32 i32 i32 i32 i32) (result i32))) {SOUND}"#
        ),
        expect![
            "filter.wasm: import wasi_snapshot_preview1.path_symlink has the wrong type: found (i32, i32, i32, i32, i32) -> i32, expected (i32, i32, i32, i32) -> i32; Envoy declares it with one parameter less than WASI preview 1 does"
        ],
    );
}

#[test]
fn a_callback_with_the_wrong_type_shows_both_types() {
    check_refused(
        &format!(
            r#"{SOUND} (func (export "proxy_on_request_headers") (param i32 i32) (result i32) i32.const 0)"#
        ),
        expect![
            "filter.wasm: callback proxy_on_request_headers has the wrong type: found (i32, i32) -> i32, expected (i32, i32, i32) -> i32 (ABI 0.2.1; end_of_stream is a parameter since 0.2.0)"
        ],
    );
    check_refused(
        &format!(r#"{SOUND} (func (export "_start") (result i32) i32.const 0)"#),
        expect!["filter.wasm: callback _start has the wrong type: found () -> i32, expected () -> nothing"],
    );
}

#[test]
fn a_module_without_allocator_or_with_too_much_memory_is_refused() {
    check_refused(
        r#"(func (export "proxy_abi_version_0_2_1")) (memory (export "memory") 1)"#,
        expect![
            "filter.wasm: no allocator: the host needs malloc or proxy_on_memory_allocate, of type (i32) -> i32, to return anything"
        ],
    );
    check_refused(
        &SOUND.replace("2 16", "16385"),
        expect!["filter.wasm: a memory of 16385 pages to begin with: Envoy gives 16384 (1 GiB) at most"],
    );
}

#[test]
fn all_problems_are_listed_at_once() {
    check_refused(
        r#"(import "env" "foo" (func))
        (import "env" "clock" (global i64))
        (import "env" "proxy_done" (func (result i64)))
        (memory (export "memory") 1)
        (func (export "proxy_on_log") (result i32) i32.const 0)"#,
        expect![[r"
            filter.wasm: 6 problems
              - not a Proxy-Wasm module: no function proxy_abi_version_0_1_0, …_0_2_0 or …_0_2_1 is exported
              - unknown import env.foo () -> nothing: Envoy's host offers no such function (a symbol the linker did not find becomes an import of env)
              - import env.clock is a global: the host offers functions, one memory and one table only
              - import env.proxy_done has the wrong type: found () -> i64, expected () -> i32
              - callback proxy_on_log has the wrong type: found () -> i32, expected (i32) -> nothing
              - no allocator: the host needs malloc or proxy_on_memory_allocate, of type (i32) -> i32, to return anything"]],
    );
}

#[test]
fn a_module_cannot_flood_the_terminal() {
    let imports: String = (0..500).map(|i| format!(r#"(import "env" "\1b[2J{i}" (func))"#)).collect();
    let shown = parse(&format!("{imports} {SOUND}")).expect_err("they are unknown").to_string();
    assert!(shown.ends_with("and 480 more"), "{shown}");
    assert!(!shown.contains('\x1b'), "control characters of a module are escaped: {shown}");
}

/// One import of each function a version has, with the types of the table.
fn module_with_every_import(version: AbiVersion) -> String {
    let words = |types: &[AbiType]| -> String {
        types.iter().map(|one| if *one == AbiType::I32 { " i32" } else { " i64" }).collect()
    };
    let mut fields: Vec<String> = IMPORTS
        .iter()
        .filter(|import| import.exists_in(version))
        .map(|import| {
            let (params, results) = (words(import.params), words(import.results));
            format!(
                r#"(import "{}" "{}" (func (param{params}) (result{results})))"#,
                import.module, import.name
            )
        })
        .collect();
    fields.push(SOUND.replace("proxy_abi_version_0_2_1", version.marker()));
    for callback in CALLBACKS.iter().filter(|callback| callback.versions.contains(&version)) {
        let (result, body) = if callback.answers { ("(result i32)", "i32.const 1") } else { ("", "") };
        let params = words(&vec![AbiType::I32; callback.params]);
        fields.push(format!(r#"(func (export "{}") (param{params}) {result} {body})"#, callback.name));
    }
    fields.join("\n")
}

#[test]
fn a_module_that_imports_all_of_its_version_is_taken() {
    let counts = AbiVersion::ALL.map(|version| {
        let info = parse(&module_with_every_import(version)).expect("Envoy takes it");
        assert_eq!(info.abi, version);
        (info.imports.len(), info.callbacks.len())
    });
    // 36 hostcalls, 3 of Envoy's and Emscripten's own, WASI twice; and what belongs to one version.
    assert_eq!(counts, [(39 + 90 + 4, 29), (39 + 90 + 2, 30), (39 + 90 + 3, 30)]);
}

/// The same verdict as the real Envoy's on modules at both sides of each rule. Needs `ENVOY_BIN`.
#[test]
fn envoy_gives_the_same_verdicts() {
    let Some(envoy) = envoy() else { return };
    let with = |fields: &str| format!("{fields} {SOUND}");
    let mut modules: Vec<_> = AbiVersion::ALL.map(module_with_every_import).to_vec();
    modules.extend([
        with(r#"(import "env" "foo" (func))"#),
        with(r#"(import "env" "clock" (global i64))"#),
        with(r#"(import "env" "memory" (memory 1))"#),
        with(r#"(import "env" "table" (table 1 funcref))"#),
        with(r#"(import "env" "proxy_continue_request" (func (result i32)))"#),
        with(r#"(import "env" "proxy_done" (func (result i64)))"#),
        with(r#"(import "env" "proxy_record_metric" (func (param i32 i32) (result i32)))"#),
        with(r#"(import "wasi_unstable" "proc_raise" (func (param i32) (result i32)))"#),
        with(
            r#"(import "wasi_unstable" "path_link" (func (param i32 i32 i32 i32 i32 i32 i32) (result i32)))"#,
        ),
        with(r#"(func (export "proxy_on_log") (param i64))"#),
        with(r#"(func (export "_start") (param i32))"#),
        // Not looked up beside `_initialize`, so its type does not matter.
        with(r#"(func (export "_start") (param i32)) (func (export "_initialize"))"#),
        with(r#"(func (export "main") (param i64))"#),
        with(r#"(func (export "main")) (func (export "_initialize"))"#),
        with(r#"(func (export "proxy_on_memory_allocate"))"#),
        with(r#"(func (export "proxy_on_request_headers") (param i32 i32) (result i32) i32.const 0)"#),
        SOUND.replace("0_2_1", "0_3_0"),
        SOUND.replace("malloc", "calloc"),
        SOUND.replace("malloc", "proxy_on_memory_allocate"),
        SOUND.replace("(export \"malloc\") (param i32)", "(export \"malloc\")"),
        SOUND.replace("(export \"memory\") 2 16", "(export \"memory\") 16384"),
        SOUND.replace("(export \"memory\") 2 16", "(export \"memory\") 16385"),
        SOUND.replace("(memory (export \"memory\") 2 16)", ""),
    ]);
    let mut taken = 0;
    for fields in &modules {
        let ours = parse(fields);
        let theirs = envoy_takes(&envoy, &wat::parse_str(format!("(module {fields})")).expect("text"));
        assert_eq!(ours.is_ok(), theirs, "Envoy takes it: {theirs}; we say {ours:?} to\n{fields}");
        taken += usize::from(theirs);
    }
    assert!(
        taken >= 3 && taken < modules.len(),
        "Envoy both takes and refuses: {taken} of {}",
        modules.len()
    );
}

#[expect(clippy::print_stderr, reason = "a comparison that did not happen says so")]
fn envoy() -> Option<PathBuf> {
    let found = std::env::var_os("ENVOY_BIN").map(PathBuf::from);
    assert!(
        found.is_some() || std::env::var_os("WAYSIDE_REQUIRE_ENVOY").is_none(),
        "WAYSIDE_REQUIRE_ENVOY is set but ENVOY_BIN is not: `cargo xtask envoy` gets the binary"
    );
    if found.is_none() {
        eprintln!("skipped: no ENVOY_BIN; `cargo xtask test` compares with the real Envoy");
    }
    found
}

/// Whether `envoy --mode validate` loads the module.
fn envoy_takes(envoy: &Path, wasm: &[u8]) -> bool {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (module, config) = (dir.path().join("filter.wasm"), dir.path().join("envoy.yaml"));
    std::fs::write(&module, wasm).expect("a file");
    std::fs::write(&config, ENVOY_CONFIG.replace("MODULE", &module.display().to_string())).expect("a file");
    let output = std::process::Command::new(envoy)
        .args(["--mode", "validate", "--log-level", "error", "--config-path"])
        .arg(&config)
        .output()
        .expect("ENVOY_BIN runs");
    let said = String::from_utf8_lossy(&output.stderr);
    // A refusal for any other reason than the module would be a mistake of this test.
    assert!(output.status.success() || said.contains("Unable to create Wasm plugin"), "{said}");
    output.status.success()
}

const ENVOY_CONFIG: &str = r#"
static_resources:
  listeners:
  - name: main
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          route_config:
            virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, direct_response: { status: 200 } }] }]
          http_filters:
          - name: filter
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: filter
                vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: "MODULE" } } }
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
"#;
