//! The command as a user meets it: exit status, what stands on standard output, and what an error says.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::folder::{Filter, Folder, Recorded};

fn timeout() -> Value {
    json!({ "version": 1, "defaults": { "timeout": "15s" } })
}

/// A configuration with the filter timeout, and a recording of two exchanges.
fn folder() -> Folder {
    let folder = Folder::new();
    let two = [Recorded::get("/a").answered(200, "hello"), Recorded::get("/b").answered(404, "")];
    folder
        .envoy("envoy.json", &[Filter::built("timeout", timeout())])
        .recording("front.inbound.streamed.json", &two);
    folder
}

const REPLAY: &str = "replay --envoy envoy.json --traffic front.inbound.streamed.json";

/// Runs a command that must end with status 2, say nothing on standard output, and this on standard error.
fn check_refused(folder: &Folder, arguments: &str, expected: Expect) {
    let run = folder.wayside(arguments);
    expected.assert_eq(&run.err);
    assert_eq!((run.status, run.out.as_str()), (2, ""));
}

#[test]
fn a_replay_that_no_client_would_notice_ends_with_0() {
    let run = folder().wayside(REPLAY);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    assert!(run.out.contains("no client would have noticed a difference"), "{}", run.out);
    assert!(
        run.out
            .ends_with("2 exchanges from 1 proxy: 2 changed, 0 as a client would notice; 0 hung, 0 failed\n")
    );
}

#[test]
fn a_replay_that_a_client_would_notice_ends_with_1() {
    let folder = folder();
    let late =
        Recorded::get("/late").with("x-envoy-internal", "true").with("x-envoy-expected-rq-timeout-ms", "1");
    folder.recording("front.inbound.streamed.json", &[late.answered(200, "")]);
    let run = folder.wayside(REPLAY);
    assert_eq!((run.status, run.err.as_str()), (1, ""));
    assert!(run.out.contains("front/inbound/0001  GET /late  200 → 504  answered by timeout"), "{}", run.out);
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder();
    check_refused(
        &folder,
        "replay --envoy nowhere.yaml --traffic front.inbound.streamed.json",
        expect![[r#"
            error: nowhere.yaml: found No such file or directory (os error 2), expected a configuration file
        "#]],
    );
    check_refused(
        &folder,
        "replay --envoy envoy.json --traffic nowhere",
        expect![[r#"
        error: nowhere: cannot be read: No such file or directory (os error 2)
    "#]],
    );
    check_refused(
        &folder,
        "inspect nowhere.wasm",
        expect![[r#"
        error: nowhere.wasm: cannot be read: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn a_wrong_command_line_is_told_what_is_right() {
    let folder = folder();
    check_refused(
        &folder,
        "replay --envoi envoy.json",
        expect![[r#"
        error: unexpected argument '--envoi' found

          tip: a similar argument exists: '--envoy'

        Usage: wayside replay --envoy <FILE|DIR> --traffic <PATH>...

        For more information, try '--help'.
    "#]],
    );
    check_refused(
        &folder,
        "replay --envoy envoy.json",
        expect![[r#"
        error: the following required arguments were not provided:
          --traffic <PATH>...

        Usage: wayside replay --envoy <FILE|DIR> --traffic <PATH>...

        For more information, try '--help'.
    "#]],
    );
    check_refused(
        &folder,
        &format!("{REPLAY} --seed many"),
        expect![[r#"
        error: invalid value 'many' for '--seed <SEED>': invalid digit found in string

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn a_report_that_cannot_be_written_is_named() {
    let folder = folder();
    for form in ["json", "html", "junit"] {
        let run = folder.wayside(&format!("{REPLAY} --{form} nowhere/report"));
        assert_eq!(run.status, 2);
        assert_eq!(
            run.err,
            "error: nowhere/report: cannot be written: No such file or directory (os error 2)\n"
        );
    }
}

#[test]
fn an_empty_recording_is_an_error_with_its_place() {
    let folder = folder();
    folder.write("front.inbound.streamed.json", "");
    check_refused(
        &folder,
        REPLAY,
        expect![[r#"
            error: no exchange and no connection could be read:
              front.inbound.streamed.json:1:1: found an empty file, expected Envoy tap traces (JSON or protobuf)
        "#]],
    );
}

#[test]
fn of_a_torn_recording_the_good_part_is_replayed_and_the_rest_noted() {
    let folder = folder();
    let whole = folder.read("front.inbound.streamed.json");
    folder.write("front.inbound.streamed.json", &whole[..whole.len() - 9]);
    let run = folder.wayside(REPLAY);
    let notes: Vec<_> = run.out.lines().skip_while(|line| !line.starts_with("notes on")).take(2).collect();
    expect![[r#"
        notes on the recording: NoTimes × 2, ResponseIncomplete × 1, TornRecord × 2
          front.inbound.streamed.json:5:1: the file ends inside the object that begins here, after 154 bytes of it"#]].assert_eq(&notes.join("\n"));
    assert!(run.out.contains("2 exchanges from 1 proxy"), "{}", run.out);

    let run = folder.wayside("inspect front.inbound.streamed.json");
    assert_eq!(run.status, 1, "a part of it is lost");
}

#[test]
fn a_refused_configuration_is_told_in_the_filters_own_words() {
    let folder = folder();
    let mistyped = json!({ "version": 1, "defaults": { "timeout": "fifteen" } });
    folder.envoy("envoy.json", &[Filter::built("timeout", mistyped)]);
    check_refused(
        &folder,
        REPLAY,
        expect![[r#"
            error: envoy.json:29:35: filter timeout: refused its configuration in on_configure
              it logged: timeout: configuration refused: /defaults/timeout: expected a duration such as "250ms" or "1m30s", found string "fifteen"
        "#]],
    );
}

/// A module without what these tests leave out.
fn sound(imports: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module {imports}
        (memory (export "memory") 2 16)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 4096))"#
    ))
    .expect("the test's own text is WebAssembly")
}

#[test]
fn a_module_that_cannot_be_loaded_says_which_byte_or_import() {
    let folder = folder();
    folder.envoy("envoy.json", &[Filter::new("mine", "mine.wasm".as_ref(), None)]);
    let check = |bytes: &[u8], expected: Expect| {
        folder.write("mine.wasm", bytes);
        check_refused(&folder, REPLAY, expected);
    };
    let whole = sound("");
    check(
        &whole[..whole.len() - 5],
        expect![[r#"
        error: filter mine: mine.wasm: truncated at byte 84: the code section that starts at byte 77 goes on to byte 89 at least
    "#]],
    );
    check(
        b"#!/bin/sh\n",
        expect![[r#"
        error: filter mine: mine.wasm: not WebAssembly: the file starts with 23 21 2f 62 69 6e 2f 73, expected 00 61 73 6d ("\0asm")
    "#]],
    );
    check(
        &wat::parse_str("(module)").expect("a module"),
        expect![[r#"
        error: filter mine: mine.wasm: 2 problems
          - not a Proxy-Wasm module: no function proxy_abi_version_0_1_0, …_0_2_0 or …_0_2_1 is exported
          - no allocator: the host needs malloc or proxy_on_memory_allocate, of type (i32) -> i32, to return anything
    "#]],
    );
    check(
        &sound(r#"(import "env" "proxy_fly" (func (param i32) (result i32)))"#),
        expect![[r#"
        error: filter mine: mine.wasm: unknown import env.proxy_fly (i32) -> i32: Envoy's host offers no such function (a symbol the linker did not find becomes an import of env)
    "#]],
    );
    std::fs::remove_file(folder.path("mine.wasm")).expect("it was there");
    check_refused(
        &folder,
        REPLAY,
        expect![[r#"
        error: filter mine: mine.wasm: cannot be read: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn a_setting_changes_one_value_for_this_run() {
    let folder = folder();
    let sent = |arguments: &str| {
        let run = folder.wayside(&format!("{REPLAY} --json r.json {arguments}"));
        assert_eq!(run.status, 0, "{}{}", run.out, run.err);
        let changed = folder.json("r.json")["exchanges"][0]["filters"][0]["changed"].clone();
        let added = changed
            .as_array()
            .expect("a list")
            .iter()
            .find(|edit| edit["name"] == "x-envoy-upstream-rq-timeout-ms");
        added.expect("the filter sets it")["value"].as_str().expect("text").to_owned()
    };
    assert_eq!(sent(""), "14999", "less the hop margin");
    assert_eq!(sent("--set timeout./defaults/timeout=\"2s\""), "1999");
    assert_eq!(sent(""), "14999", "the file is as it was");
}

#[test]
fn a_setting_that_changes_nothing_is_an_error() {
    let folder = folder();
    let check = |setting: &str, expected: Expect| {
        check_refused(&folder, &format!("{REPLAY} --set {setting}"), expected)
    };
    check(
        "timeout./defaults/timeuot=\"2s\"",
        expect![[r#"
            error: --set timeout./defaults/timeuot="2s": envoy.json:29:35: the configuration of timeout has nothing at "/defaults/timeuot"; "/defaults" has timeout
        "#]],
    );
    check(
        "timout./defaults/timeout=\"2s\"",
        expect![[r#"
        error: --set timout./defaults/timeout="2s": no filter or plugin has that name; there are: timeout
    "#]],
    );
    check(
        "timeout./defaults/timeout=2s",
        expect![[r#"
        error: invalid value 'timeout./defaults/timeout=2s' for '--set <FILTER.POINTER=JSON>': the value "2s" of timeout./defaults/timeout is not JSON (trailing characters at line 1 column 2); text is written in quotes: "2s"

        For more information, try '--help'.
    "#]],
    );
    check(
        "timeout",
        expect![[r#"
        error: invalid value 'timeout' for '--set <FILTER.POINTER=JSON>': "timeout" is not of the form FILTER./json/pointer=VALUE

        For more information, try '--help'.
    "#]],
    );
    check(
        "timeout./defaults/timeout=\"soon\"",
        expect![[r#"
            error: envoy.json:29:35: filter timeout: refused its configuration in on_configure
              it logged: timeout: configuration refused: /defaults/timeout: expected a duration such as "250ms" or "1m30s", found string "soon"
        "#]],
    );
}

fn bookshop() -> String {
    format!("{}/recordings/bookshop", env!("CARGO_MANIFEST_DIR"))
}

fn random_bytes(exchange: &Value) -> u64 {
    let filters = exchange["filters"].as_array().expect("a list");
    filters.iter().map(|filter| filter["random_bytes"].as_u64().expect("a number")).sum()
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_differs_only_where_chance_entered() {
    let folder = Folder::new();
    let propagation = json!({ "version": 1, "propagation": { "on_invalid": "restart" } });
    folder
        .envoy("envoy.json", &[Filter::built("telemetry", propagation), Filter::built("timeout", timeout())]);
    let run = |seed: u64, name: &str| {
        let done = folder.wayside_with(&[
            "replay",
            "--envoy",
            "envoy.json",
            "--traffic",
            &bookshop(),
            "--seed",
            &seed.to_string(),
            "--json",
            name,
        ]);
        assert_eq!(done.err, "");
    };
    run(7, "once.json");
    run(7, "again.json");
    assert!(folder.read("once.json") == folder.read("again.json"), "the same, byte by byte");

    run(8, "other.json");
    let (mut once, mut other) = (folder.json("once.json"), folder.json("other.json"));
    assert_eq!((once["seed"].take(), other["seed"].take()), (json!(7), json!(8)));
    let mut differing = 0;
    let pairs = |name: &str, once: &mut Value, other: &mut Value| -> Vec<(Value, Value)> {
        let list = |of: &mut Value| of[name].take().as_array().expect("a list").clone();
        list(once).into_iter().zip(list(other)).collect()
    };
    // A filter may draw for later requests of its proxy.
    let mut drawn = BTreeSet::new();
    for (one, two) in pairs("exchanges", &mut once, &mut other) {
        let (proxy, _) = one["id"].as_str().and_then(|id| id.rsplit_once('/')).expect("proxy and number");
        let proxy = proxy.to_owned();
        if random_bytes(&one) > 0 {
            drawn.insert(proxy.clone());
        }
        if one != two {
            differing += 1;
            assert!(drawn.contains(&proxy), "{}: nothing was drawn before, and it differs", one["id"]);
        }
    }
    assert!(differing > 0, "the recording has requests with broken trace contexts");
    for (one, two) in pairs("proxies", &mut once, &mut other) {
        assert!(one == two || one["random_bytes"] != 0, "{}", one["name"]);
    }
    let totals = (once["totals"].take(), other["totals"].take());
    assert_eq!(totals.0["filters"]["timeout"], totals.1["filters"]["timeout"], "it draws nothing");
    assert_eq!(once, other, "notes and the rest");
}

#[test]
fn a_module_a_recording_and_a_configuration_can_be_inspected() {
    let folder = folder();
    folder.write("mine.wasm", sound(r#"(import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))"#));
    folder.envoy("mine.json", &[Filter::new("mine", "mine.wasm".as_ref(), None)]);
    let told = |file: &str| {
        let run = folder.wayside(&format!("inspect {file}"));
        assert_eq!((run.status, run.err.as_str()), (0, ""));
        regex::Regex::new("[0-9a-f]{64}")
            .expect("a pattern")
            .replace_all(&run.out, "<64 digits>")
            .into_owned()
    };
    expect![[r#"
        mine.wasm: a Proxy-Wasm module, ABI 0.2.1, 115 bytes
        sha256     <64 digits>
        allocator  malloc
        callbacks  
        imports    env.proxy_log
    "#]]
    .assert_eq(&told("mine.wasm"));
    expect![[r#"
        front.inbound.streamed.json: a recording, 2 exchanges from 1 proxies
          front          inbound         2 exchanges, 0 without response, 0 with times; bodies 0 bytes up, 5 bytes down (largest 0 bytes, 5 bytes)
        note NoTimes × 2
    "#]].assert_eq(&told("front.inbound.streamed.json"));
    expect![[r#"
        mine.json: an Envoy configuration, proxy "mine"
        listener in unspecified 127.0.0.1:80
          mine File(mine.wasm) failure policy Closed
          envoy.filters.http.router (router)
        cluster app: 1 endpoints
        seen, not emulated: 2
          mine.json:19:25: static_resources.listeners[0].filter_chains[0].filters[0].name: names of network filters have no effect
          mine.json:84:27: static_resources.clusters[0].load_assignment.cluster_name: statistics only
    "#]].assert_eq(&told("mine.json"));
}

#[test]
fn a_filter_that_is_allowed_what_its_module_needs_behaves_as_ever() {
    let ours = || {
        [
            ("timeout", timeout()),
            ("telemetry", json!({ "version": 1 })),
            ("retry-budget", json!({ "version": 1 })),
        ]
        .map(|(name, configuration)| (name, Filter::built(name, configuration)))
    };
    let folder = folder();
    folder.envoy("envoy.json", &ours().map(|(_, filter)| filter));
    let expected = folder.wayside(REPLAY);
    let capabilities = |name: &str| {
        let artifact = wayside::build::guest(&format!("wayside-{name}")).expect("it builds");
        let run = folder.wayside(&format!("inspect --capabilities {}", artifact.path.display()));
        assert_eq!((run.status, run.err.as_str()), (0, ""));
        run.out
    };
    folder.envoy("envoy.json", &ours().map(|(name, filter)| filter.allowed(&capabilities(name))));
    let allowed = folder.wayside(REPLAY);
    // After it come lines of the configuration, which is another.
    let told = |out: &str| out.split("seen in the configuration").next().map(str::to_owned);
    assert_eq!((allowed.status, told(&allowed.out)), (expected.status, told(&expected.out)));
    if let Some(binary) = crate::parity::envoy::binary() {
        let parity = "parity --envoy envoy.json --traffic front.inbound.streamed.json";
        let run = folder.wayside(&format!("{parity} --envoy-bin {}", binary.display()));
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    }

    let without = capabilities("timeout").replace("    proxy_get_header_map_pairs: {}\n", "");
    let restricted = [Filter::built("timeout", timeout()).allowed(&without)];
    folder.envoy("envoy.json", &restricted);
    let run = folder.wayside(REPLAY);
    assert!(
        run.out.contains("2 exchanges from 1 proxy: 0 changed"),
        "it could not read headers: {}",
        run.out
    );
}

#[test]
fn what_is_never_restricted_is_not_among_the_capabilities_and_all_else_is() {
    let folder = folder();
    let capabilities = |text: &str| {
        folder.write("mine.wasm", sound(text));
        folder.wayside("inspect --capabilities mine.wasm").out
    };
    expect![[r#"
        # It needs nothing, and to Envoy an empty list restricts nothing.
    "#]]
    .assert_eq(&capabilities(""));
    expect![[r#"
        capability_restriction_config:
          allowed_capabilities:
            fd_write: {}
            proxy_log: {}
            proxy_validate_configuration: {}
    "#]]
    .assert_eq(&capabilities(
        r#"(import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
           (import "env" "pthread_equal" (func (param i32 i32) (result i32)))
           (func (export "envoy_on_stats_update") (param i32 i32))
           (func (export "proxy_validate_configuration") (param i32 i32) (result i32) (i32.const 1))"#,
    ));
}

#[test]
fn the_capabilities_of_what_is_no_module_are_an_error_that_says_so() {
    let run = folder().wayside("inspect --capabilities envoy.json");
    assert_eq!((run.status, run.out.as_str()), (2, ""));
    assert!(run.err.contains("envoy.json") && run.err.contains("WebAssembly"), "{}", run.err);
}

#[test]
fn the_bundled_recording_has_nothing_lost_and_nothing_guessed() {
    let folder = Folder::new();
    let run = folder.wayside_with(&["inspect", &bookshop()]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    let notes: Vec<_> = run.out.lines().filter(|line| line.starts_with("note ")).collect();
    expect![[r#"
        note ResponseIncomplete × 11
        note RefusedBeforeFilters × 2
        note BytesReplaced × 4"#]]
    .assert_eq(&notes.join("\n"));
}

#[test]
fn parity_without_an_envoy_is_refused_and_says_how_to_get_one() {
    let parity = "parity --envoy envoy.json --traffic front.inbound.streamed.json";
    let refused = expect![["error: --envoy-bin nowhere: no such file, expected an Envoy binary\n"]];
    check_refused(&folder(), &format!("{parity} --envoy-bin nowhere"), refused);
    let empty = tempfile::tempdir().expect("a folder without an Envoy");
    let error = wayside::parity::find_envoy(None, empty.path()).expect_err("there is none");
    assert!(error.contains("cargo xtask envoy") && error.contains("ENVOY_BIN"), "{error}");
}

#[test]
fn parity_certifies_a_filter_and_writes_what_was_compared_as_json() {
    let Some(binary) = crate::parity::envoy::binary() else { return };
    let folder = folder();
    let parity = "parity --envoy envoy.json --traffic front.inbound.streamed.json --json parity.json";
    let run = folder.wayside(&format!("{parity} --envoy-bin {}", binary.display()));
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(run.out.ends_with("14 rules, 0 differences\n"), "{}", run.out);
    let written = std::fs::read_to_string(folder.path("parity.json")).expect("it was written");
    let document: Value = serde_json::from_str(&written).expect("it is JSON");
    assert_eq!((&document["schema"], &document["agrees"]), (&json!("wayside.parity/1"), &json!(true)));
    assert_eq!(document["compared"], json!(2));
}

const ATTACK: &str = "attack --auth-config auth.json --credentials good.json";

/// The lab of the kit, and a gateway on this machine that answers every request with one status.
fn attacked(status: &str) -> (Folder, String) {
    let folder = Folder::new();
    let (config, credentials) = wayside_attack::LAB;
    folder.write("auth.json", config).write("good.json", credentials);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            use std::io::{Read as _, Write as _};
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (folder, target)
}

#[test]
fn attack_ends_with_1_at_a_gateway_that_lets_everybody_in_and_with_0_where_nobody_must() {
    let (folder, target) = attacked("200 OK");
    let run = folder.wayside(&format!("{ATTACK} --target {target} --only credential --json out.json"));
    assert_eq!((run.status, run.err.as_str()), (1, ""), "{}", run.out);
    assert!(run.out.contains("LET IN"), "{}", run.out);
    let document: Value = serde_json::from_str(&folder.read("out.json")).expect("it is JSON");
    assert_eq!(document["schema"], "wayside.attack/1");
    let rows = document["report"]["rows"].as_array().expect("a table");
    assert!(rows.iter().any(|row| row["verdict"] == "let_in" && row["seen"] == "200"), "{rows:?}");

    let (folder, target) = attacked("401 Unauthorized");
    let run = folder.wayside(&format!("{ATTACK} --target {target} --only near"));
    assert_eq!(run.status, 2, "nothing of that name: {}", run.err);
    let run = folder.wayside(&format!("{ATTACK} --target {target} --only admin"));
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
}

#[test]
fn attack_goes_nowhere_else_unless_it_is_allowed() {
    let (folder, _) = attacked("200 OK");
    check_refused(
        &folder,
        &format!("{ATTACK} --target http://192.0.2.1"),
        expect![[r#"
            error: --target: 192.0.2.1:80 is not on this machine; attack only what is yours, and say so with --allow-remote
        "#]],
    );
    check_refused(
        &folder,
        "attack --auth-config good.json --target http://127.0.0.1:1",
        expect![[r#"
            error: /providers: found no object, expected header-auth's providers
        "#]],
    );
}
