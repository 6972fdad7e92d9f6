//! Each hostcall by what it answers and does. Expectations are those of Envoy 1.40 (`envoy-abi` 2, 6 and 7).

use expect_test::expect;
use wayside::{abi::LogLevel, trace::Usage};

use crate::support::{Proxy, chain, get, post, probe, script, wasi_probe};

fn said(proxy: Proxy) -> String {
    proxy.lines(&["->"])
}

/// What the lines of one callback say, for one GET.
fn on_request(ops: &str) -> String {
    said(chain([script(&format!("request_headers: {ops}"))]).on(get("/x")))
}

#[test]
fn headers_are_read_by_name_without_regard_to_case_and_the_first_of_several() {
    let ops = "request_headers: get request x-a; get request X-A; get request x-none; get request x-empty; pairs request; size request";
    let traffic = get("/x").header("x-a", "1").header("x-a", "2").header("x-empty", "");
    expect![[r#"
        0 script: get request x-a -> "1"
        0 script: get request X-A -> "1"
        0 script: get request x-none -> not_found
        0 script: get request x-empty -> ""
        0 script: pairs request -> [:authority=shop :path=/x :method=GET :scheme=http x-a=1 x-a=2 x-empty=]
        0 script: size request -> 57
    "#]]
    .assert_eq(&said(chain([script(ops)]).on(traffic)));
}

#[test]
fn header_edits_reach_the_upstream_and_the_client() {
    let edits = "request_headers: add request X-New 1; add request x-new 2; add request accept b; replace request x-old 3; remove request x-gone; remove request x-gone
                 response_headers: add response x-new 1; replace response :status 201; set response :status=202 x-only=1";
    let traffic = get("/x")
        .header("accept", "a")
        .header("x-old", "1")
        .header("x-old", "2")
        .header("x-gone", "1")
        .answer_header("x-was", "1");
    expect![[r#"
        GET /x
          0 script: RequestHeaders + X-New: 1
          0 script: add request X-New 1 -> ok
          0 script: RequestHeaders + x-new: 2
          0 script: add request x-new 2 -> ok
          0 script: RequestHeaders + accept: b
          0 script: add request accept b -> ok
          0 script: RequestHeaders = x-old: 3 (was 1 | 2)
          0 script: replace request x-old 3 -> ok
          0 script: RequestHeaders - x-gone (was 1)
          0 script: remove request x-gone -> ok
          0 script: RequestHeaders - x-gone (was )
          0 script: remove request x-gone -> ok
          0 script: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          0 script: ResponseHeaders + x-new: 1
          0 script: add response x-new 1 -> ok
          0 script: ResponseHeaders = :status: 201 (was 200)
          0 script: replace response :status 201 -> ok
          0 script: ResponseHeaders rewritten: 2 fields
          0 script: set response :status=202 x-only=1 -> ok
          0 script: on_response_headers = Continue
          upstream got [:path: /x, :method: GET, accept: a,b, x-new: 1, x-new: 2, x-old: 3]
          client got [:status: 202, x-only: 1]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&chain([script(edits)]).on(traffic).text());
}

#[test]
fn header_values_need_not_be_utf8() {
    let ops = "request_headers: get request x; add request y \\xfe\\xff; pairs request\nresponse_headers: get response z";
    let traffic = get("/x").header("x", &b"\xff\xfe"[..]).answer_header("z", "ok");
    let proxy = chain([script(ops), probe("headers")]).on(traffic);
    expect![[r#"
        GET /x
          0 script: get request x -> "\xff\xfe"
          0 script: RequestHeaders + y: \xfe\xff
          0 script: add request y \xfe\xff -> ok
          0 script: pairs request -> [:authority=shop :path=/x :method=GET :scheme=http x=\xff\xfe y=\xfe\xff]
          0 script: on_request_headers = Continue
          0 headers: RequestHeaders = x-path: /x (was )
          0 headers: on_request_headers = Continue
          0 proxy: routed by main to upstream
          0 proxy: upstream answered 200
          0 headers: ResponseHeaders = x-seen: yes (was )
          0 headers: on_response_headers = Continue
          0 script: get response z -> "ok"
          0 script: on_response_headers = Continue
          upstream got [:path: /x, :method: GET, x: \xff\xfe, y: \xfe\xff, x-path: /x]
          client got [:status: 200, z: ok, x-seen: yes]
          end: Complete after 0ns, via_upstream
    "#]]
    .assert_eq(&proxy.text());
}

#[test]
fn a_malformed_list_of_pairs_wipes_the_map_and_is_told() {
    let text = chain([script("response_headers: set_raw response \\x01\\x00"), script("").named("outer")])
        .on(get("/x").answer_header("x", "1"));
    expect![[r#"
        0 script: FINDING malformed_pairs: proxy_set_header_map_pairs: not a list of pairs: no count at byte 0; Envoy takes it as an empty list
        0 script: set_raw response \x01\x00 -> ok
        client got [:status: 502, content-length: 32, content-type: text/plain] "missing required header: :status"
    "#]].assert_eq(&text.lines(&["set_raw", "FINDING", "client got"]));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a snapshot")]
fn maps_come_and_go_with_the_phases() {
    let maps = "get request :path; size request; pairs request_trailers; get request_trailers t; get response :status; pairs response; get response_trailers r";
    let writes = "add request x 1; add response x 1; add request_trailers x 1; add response_trailers x 1";
    let phases = [
        "request_headers",
        "request_body",
        "request_trailers",
        "response_headers",
        "response_body",
        "response_trailers",
        "log",
        "done",
        "tick",
    ];
    let lines = phases.map(|phase| format!("{phase}: say {phase}; {maps}; {writes}"));
    let traffic =
        post("/x", ["one"]).trailer("t", "1").answer_body(["two"]).answer_trailer("r", "2").after(15);
    let text = chain([script(&format!("configure: tick 10\n{}", lines.join("\n")))])
        .on(traffic)
        .lines(&["script: "]);
    let answers = text.lines().filter(|line| !line.contains("on_") && !line.contains('+'));
    let answers: Vec<String> =
        answers.map(|line| line.split_once("script: ").map_or(line, |(_, said)| said).to_owned()).collect();
    expect![[r#"
        request_headers
        get request :path -> "/x"
        size request -> 43
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> bad_argument
        add request x 1 -> ok
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
        request_body
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> bad_argument
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
        request_trailers
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> [t=1]
        get request_trailers t -> "1"
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> bad_argument
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> ok
        add response_trailers x 1 -> bad_argument
        response_headers
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> "200"
        pairs response -> [:status=200]
        get response_trailers r -> bad_argument
        add request x 1 -> bad_argument
        add response x 1 -> ok
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
        response_body
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> bad_argument
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
        response_trailers
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> "2"
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> ok
        log
        get request :path -> "/x"
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> not_found
        get response :status -> "200"
        pairs response -> [:status=200 x=1 date=Thu, 01 Jan 2026 00:00:00 GMT server=envoy]
        get response_trailers r -> "2"
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
        done
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> bad_argument
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
        tick 10 -> ok
        tick
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> bad_argument
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
        done
        get request :path -> bad_argument
        size request -> bad_argument
        pairs request_trailers -> ""
        get request_trailers t -> bad_argument
        get response :status -> bad_argument
        pairs response -> ""
        get response_trailers r -> bad_argument
        add request x 1 -> bad_argument
        add response x 1 -> bad_argument
        add request_trailers x 1 -> bad_argument
        add response_trailers x 1 -> bad_argument
    "#]]
    .assert_eq(&(answers.join("\n") + "\n"));
}

#[test]
fn numbers_out_of_range_are_bad_arguments() {
    expect![[r#"
        0 script: get 8 x -> bad_argument
        0 script: pairs 8 -> bad_argument
        0 script: size 8 -> bad_argument
        0 script: add 4 x 1 -> bad_argument
        0 script: buffer 9 -> bad_argument
        0 script: write 6 0 0 x -> bad_argument
        0 script: continue 4 -> bad_argument
        0 script: continue 3 -> unimplemented
        0 script: continue 2 -> ok
        0 script: close 4 -> bad_argument
        0 script: log 6 x -> bad_argument
        0 script: effective 999 -> bad_argument
        0 script: define 3 x -> bad_argument
    "#]].assert_eq(&on_request("get 8 x; pairs 8; size 8; add 4 x 1; buffer 9; write 6 0 0 x; continue 4; continue 3; continue 2; close 4; log 6 x; effective 999; define 3 x"));
}

#[test]
fn configurations_are_read_where_envoy_has_them() {
    let ops = "vm_start: buffer vm_configuration; buffer configuration
               configure: buffer vm_configuration 0 10
               request_headers: buffer configuration; buffer vm_configuration 0 8";
    let text =
        chain([script("configure: buffer configuration 0 9")
            .vm_configured(&ops.replace("\n               ", "\n"))])
        .on(get("/x"));
    expect![[r#"
        0 script: buffer configuration -> not_found
        0 script: buffer vm_configuration 0 8 -> "vm_start"
        0 script: buffer vm_configuration -> "vm_start: buffer vm_configuration; buffer configuration\nconfigure: buffer vm_configuration 0 10\nrequest_headers: buffer configuration; buffer vm_configuration 0 8"
        0 script: buffer configuration -> not_found
        0 script: buffer vm_configuration 0 10 -> "vm_start: "
        0 script: buffer configuration 0 9 -> "configure"
    "#]].assert_eq(&said(text));
}

#[test]
fn shared_data_is_compared_and_swapped_and_a_missing_key_is_created_whatever_the_number() {
    expect![[r#"
        0 script: shared k -> not_found "" cas 0
        0 script: set_shared k one 77 -> ok
        0 script: shared k -> ok "one" cas 1
        0 script: set_shared k two 77 -> cas_mismatch
        0 script: set_shared k two 1 -> ok
        0 script: shared k -> ok "two" cas 2
        0 script: set_shared k three 0 -> ok
        0 script: shared k -> ok "three" cas 3
        0 script: set_shared e -> ok
        0 script: shared e -> ok "" cas 4
    "#]].assert_eq(&on_request(
        "shared k; set_shared k one 77; shared k; set_shared k two 77; set_shared k two 1; shared k; set_shared k three 0; shared k; set_shared e; shared e",
    ));
}

#[test]
fn shared_data_is_shared_by_the_vm_id_and_nothing_else() {
    let writes = script("request_headers: set_shared k 1").named("a").vm_id("one");
    let reads = |name: &str, id: &str| {
        script("response_headers: shared k").named(name).vm_id(id).environment("N", name)
    };
    let text = chain([writes, reads("b", "one"), reads("c", "two")]).on(get("/x"));
    expect![[r#"
        0 a: set_shared k 1 -> ok
        0 c: shared k -> not_found "" cas 0
        0 b: shared k -> ok "1" cas 1
    "#]]
    .assert_eq(&said(text));
}

#[test]
fn metrics_are_counted_set_and_recorded_by_their_kind() {
    let ops = "request_headers: define 0 c; define 1 g; define 2 h; define 0 c; define 1 c; increment 4 2; increment 8 1; metric 4; increment 4 0; increment 4 -1; record 4 5; metric 8; increment 5 -1; increment 5 3; metric 5; record 5 9; metric 5; record 6 100; increment 6 1; metric 6; increment 40 1; metric 40; increment 42 1; record 43 1";
    let text = chain([script(ops)]).on(get("/x")).lines(&["->", "metric"]);
    expect![[r#"
        0 script: define 0 c -> 4
        0 script: define 1 g -> 5
        0 script: define 2 h -> 6
        0 script: define 0 c -> 8
        0 script: define 1 c -> 9
        0 script: increment 4 2 -> ok
        0 script: increment 8 1 -> ok
        0 script: metric 4 -> 3
        0 script: increment 4 0 -> bad_argument
        0 script: increment 4 -1 -> bad_argument
        0 script: record 4 5 -> ok
        0 script: metric 8 -> 8
        0 script: increment 5 -1 -> ok
        0 script: increment 5 3 -> ok
        0 script: metric 5 -> 2
        0 script: record 5 9 -> ok
        0 script: metric 5 -> 9
        0 script: record 6 100 -> ok
        0 script: increment 6 1 -> bad_argument
        0 script: metric 6 -> bad_argument
        0 script: increment 40 1 -> not_found
        0 script: metric 40 -> not_found
        0 script: increment 42 1 -> bad_argument
        0 script: record 43 1 -> not_found
        metric c 8
        metric g 9
        metric h {100: 1}
        metric c 0
    "#]]
    .assert_eq(&text);
}

#[test]
fn properties_follow_the_phases() {
    let paths = "property request.path; property request.headers.x-a; number request.size; property response.code_details; number response.code; property xds.route_name; property xds.cluster_name; property upstream.address; number request.duration";
    let phases = ["request_headers", "request_body@more", "response_headers", "log", "done"];
    let lines = phases.map(|phase| format!("{phase}: say {phase}; {paths}"));
    let traffic = post("/x?y=1", ["one"]).header("x-a", "1").header("x-a", "2").after(5);
    let text = chain([script(&lines.join("\n"))]).on(traffic).lines(&["->", "say", "script: "]);
    let text: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("on_"))
        .map(|line| line.split_once("script: ").map_or(line, |(_, said)| said))
        // The root is done too, without any of this.
        .take(phases.len() * 10)
        .collect();
    expect![[r#"
        request_headers
        property request.path -> "/x?y=1"
        property request.headers.x-a -> "1,2"
        number request.size -> 0
        property response.code_details -> not_found
        number response.code -> not_found
        property xds.route_name -> "main"
        property xds.cluster_name -> "upstream"
        property upstream.address -> not_found
        number request.duration -> not_found
        request_body@more
        property request.path -> not_found
        property request.headers.x-a -> not_found
        number request.size -> 3
        property response.code_details -> not_found
        number response.code -> not_found
        property xds.route_name -> "main"
        property xds.cluster_name -> "upstream"
        property upstream.address -> "10.0.0.9:8080"
        number request.duration -> not_found
        response_headers
        property request.path -> not_found
        property request.headers.x-a -> not_found
        number request.size -> 3
        property response.code_details -> "via_upstream"
        number response.code -> 200
        property xds.route_name -> "main"
        property xds.cluster_name -> "upstream"
        property upstream.address -> "10.0.0.9:8080"
        number request.duration -> not_found
        log
        property request.path -> "/x?y=1"
        property request.headers.x-a -> "1,2"
        number request.size -> 3
        property response.code_details -> "via_upstream"
        number response.code -> 200
        property xds.route_name -> "main"
        property xds.cluster_name -> "upstream"
        property upstream.address -> "10.0.0.9:8080"
        number request.duration -> 5000000
        done
        property request.path -> not_found
        property request.headers.x-a -> not_found
        number request.size -> 3
        property response.code_details -> "via_upstream"
        number response.code -> 200
        property xds.route_name -> "main"
        property xds.cluster_name -> "upstream"
        property upstream.address -> "10.0.0.9:8080"
        number request.duration -> 5000000
    "#]]
    .assert_eq(&(text.join("\n") + "\n"));
}

#[test]
fn properties_of_all_kinds_have_envoys_form() {
    expect![[r#"
        0 script: property request.url_path -> "/x"
        0 script: property request.query -> ""
        0 script: property request.host -> "shop"
        0 script: property request.method -> "GET"
        0 script: property request.protocol -> "HTTP/1.1"
        0 script: number request.time -> 1767225600000000000
        0 script: map request.headers -> [:authority=shop :method=GET :path=/x :scheme=http]
        0 script: property source.address -> "10.0.0.2:4711"
        0 script: number source.port -> 4711
        0 script: property connection.mtls -> "\x00"
        0 script: number connection_id -> 1
        0 script: property plugin_name -> "script"
        0 script: property plugin_root_id -> ""
        0 script: property xds.node.id -> "node-1"
        0 script: property xds.node.cluster -> "mesh"
        0 script: number xds.listener_direction -> 1
        0 script: property xds.filter_chain_name -> "filter-chain"
        0 script: property xds.virtual_host_name -> "host"
        0 script: property request -> serialization_failure
        0 script: property -> serialization_failure
        0 script: property request.path. -> "/x"
        0 script: property no.such.thing -> not_found
    "#]].assert_eq(&on_request(
        "property request.url_path; property request.query; property request.host; property request.method; property request.protocol; number request.time; map request.headers; property source.address; number source.port; property connection.mtls; number connection_id; property plugin_name; property plugin_root_id; property xds.node.id; property xds.node.cluster; number xds.listener_direction; property xds.filter_chain_name; property xds.virtual_host_name; property request; property; property request.path.; property no.such.thing",
    ));
}

#[test]
fn the_top_level_properties_of_old_are_gone() {
    expect![[r#"
        0 script: property node -> not_found
        0 script: property node.id -> not_found
        0 script: property cluster_name -> not_found
        0 script: property route_name -> not_found
        0 script: property listener_direction -> not_found
        0 script: property upstream_host_metadata -> not_found
    "#]].assert_eq(&on_request(
        "property node; property node.id; property cluster_name; property route_name; property listener_direction; property upstream_host_metadata",
    ));
}

#[test]
fn a_root_sees_only_what_belongs_to_no_stream() {
    let ops = "configure: property plugin_name; property xds.node.id; property request.path; property xds.route_name; set_property a b; get request :path; pairs request; buffer request; reply 500; continue request; close request; done";
    expect![[r#"
        0 script: property plugin_name -> "script"
        0 script: property xds.node.id -> "node-1"
        0 script: property request.path -> not_found
        0 script: property xds.route_name -> not_found
        0 script: set_property a b -> not_found
        0 script: get request :path -> bad_argument
        0 script: pairs request -> ""
        0 script: buffer request -> ""
        0 script: FINDING lost_reply: send_local_response outside a stream: Envoy answers Ok and does nothing
        0 script: reply 500 -> ok
        0 script: continue request -> ok
        0 script: close request -> ok
        0 script: done -> not_found
    "#]]
    .assert_eq(&chain([script(ops)]).on(get("/x")).lines(&["->", "FINDING"]));
}

#[test]
fn a_property_set_by_one_filter_is_read_by_the_next_and_to_the_end() {
    let sets = script("request_headers: set_property mine 1; set_property request.path no; property request.path; property mine").named("a");
    let reads =
        script("request_headers: property mine; property filter_state.wasm\\x2emine\nlog: property mine")
            .named("b");
    expect![[r#"
        0 a: property mine set to 1 bytes
        0 a: set_property mine 1 -> ok
        0 a: property request\x00path set to 2 bytes
        0 a: set_property request.path no -> ok
        0 a: property request.path -> "/x"
        0 a: property mine -> "1"
        0 b: property mine -> "1"
        0 b: property filter_state.wasm\x2emine -> "1"
        0 b: property mine -> "1"
    "#]]
    .assert_eq(&chain([sets, reads]).on(get("/x")).lines(&["->", "set to"]));
}

#[test]
fn time_is_virtual_and_the_same_for_every_way_to_ask() {
    let ops = "configure: now; clock 0; clock 1\nrequest_headers: now; clock 0; clock 1; clock 2";
    expect![[r#"
        0 script: now -> 1767225600000000000
        0 script: clock 0 -> 1767225600000000000
        0 script: clock 1 -> 3600000000000
        0 script: clock 2 -> 58
        1500 script: now -> 1767225601500000000
        1500 script: clock 0 -> 1767225601500000000
        1500 script: clock 1 -> 3601500000000
        1500 script: clock 2 -> 58
        0 script: now -> 1767225600000000000
        0 script: clock 0 -> 1767225600000000000
        0 script: clock 1 -> 3600000000000
    "#]]
    .assert_eq(&said(chain([script(ops)]).on(get("/x")).on(get("/y").at(1500))));
}

#[test]
fn randomness_is_counted_and_limited() {
    let text = chain([script("request_headers: random 0; random 65537")]).on(get("/x")).lines(&["random"]);
    expect![[r#"
        0 script: random 0 -> 0 
        0 script: random 65537 -> 28 0000000000000000
    "#]]
    .assert_eq(&text);
}

#[test]
fn environment_variables_are_those_of_the_configuration() {
    let filter = script("request_headers: environment").environment("B", "2").environment("A", "1 and more");
    expect![[r#"
        0 script: environment -> "A=1 and more\x00B=2\x00"
    "#]]
    .assert_eq(&said(chain([filter]).on(get("/x"))));
}

#[test]
fn logs_below_the_level_are_dropped_and_wasi_output_is_logged() {
    let ops = "request_headers: log_level; log 0 trace; log 1 debug; log 3 warn; log 4 error; log 5 critical; print 1 out\\x0a; print 2 err; print 3 no";
    expect![[r#"
        0 script: log_level -> 2
        0 script: log 0 trace -> ok
        0 script: log 1 debug -> ok
        0 script: [Warn] warn
        0 script: log 3 warn -> ok
        0 script: [Error] error
        0 script: log 4 error -> ok
        0 script: [Critical] critical
        0 script: log 5 critical -> ok
        0 script: out
        0 script: print 1 out\x0a -> (0, 4)
        0 script: [Error] err
        0 script: print 2 err -> (0, 3)
        0 script: print 3 no -> (8, 0)
        0 script: on_request_headers = Continue
        0 script: on_response_headers = Continue
    "#]]
    .assert_eq(&chain([script(ops)]).on(get("/x")).lines(&["script:"]));
    expect![[r#"
        0 script: [Error] error
        0 script: [Critical] critical
        0 script: [Error] err
        0 script: on_request_headers = Continue
        0 script: on_response_headers = Continue
    "#]]
    .assert_eq(&chain([script(ops)]).log_level(LogLevel::Error).on(get("/x")).lines(&["script:"]));
}

#[test]
fn services_queues_and_foreign_functions_answer_and_what_no_one_knows_is_not_found() {
    let ops = "request_headers: grpc_call upstream; queue q; queue q; foreign compress x; foreign nothing x; foreign clear_route_cache";
    expect![[r#"
        0 script: FINDING unanswered_callout: no script answers cluster "upstream": the connection counts as refused
        0 script: grpc_call upstream -> 5
        0 script: queue q -> 1
        0 script: queue q -> 1
        0 script: foreign compress x -> "x\x9c\xab\x00\x00\x00y\x00y"
        0 script: foreign nothing x -> not_found
        0 script: foreign clear_route_cache -> ""
    "#]].assert_eq(&chain([script(ops)]).on(get("/x")).lines(&["->", "FINDING", "unimplemented:"]));
}

#[test]
fn the_status_of_a_failed_callout_stays() {
    use wayside::upstream::CalloutAnswer;
    let ops = "request_headers: call_out auth 0; return 1\ncallout: effective stream; continue request\nresponse_headers: status\nlog: status";
    let reset = CalloutAnswer::Reset { after: std::time::Duration::ZERO };
    expect![[r#"
        0 script: call_out auth 0 -> 4
        0 script: effective stream -> ok
        0 script: continue request -> ok
        0 script: status -> ok 11 ""
        0 script: status -> ok 11 ""
    "#]]
    .assert_eq(&said(chain([script(ops)]).cluster("auth", [reset]).on(get("/x"))));
}

#[test]
fn the_effective_context_lasts_for_one_callback() {
    let ops = "configure: tick 10\nrequest_headers: return 1\ntick: get request :path; effective stream; get request :path; effective 0; get request :path; effective stream; continue request; get request :path; tick 0";
    expect![[r#"
        10 script: effective stream -> ok
        10 script: get request :path -> "/x"
        10 script: effective stream -> ok
        10 script: continue request -> ok
        10 script: get request :path -> bad_argument
        10 script: tick 0 -> ok
        0 script: tick 10 -> ok
        10 script: get request :path -> bad_argument
        10 script: effective 0 -> ok
        10 script: get request :path -> bad_argument
    "#]]
    .assert_eq(&said(chain([script(ops)]).on(get("/x"))));
}

#[test]
fn the_standard_library_finds_what_it_needs_of_wasi() {
    let filter = wasi_probe("std").environment("REGION", "north");
    expect![[r#"
        0 std: REGION is north
        0 std: 0ns went by
        0 std: [Error] it is 
        0 std: [Error] 1767225600
        0 std: [Error]  s after 1970
        0 std: drew 16 random bytes
        0 std: chance works: true
        0 std: on_request_headers = Continue
        0 std: on_response_headers = Continue
    "#]]
    .assert_eq(&chain([filter]).on(get("/x")).lines(&["std:"]));
}

/// As in Envoy no event ever comes. The C library looks into the event all the same, which nobody has written: what it finds on
/// its stack decides whether it takes that for a failure, and the compiler's choices decide what lies there.
#[test]
fn a_sleep_is_over_at_once_or_panics() {
    let filter = wasi_probe("std").environment("SLEEP", "1");
    let text = chain([filter]).on(get("/x")).lines(&["std:"]);
    let panics = text.contains("left: 58") && text.contains("FAULT");
    assert!(panics || text.contains("0ns went by"), "{text}");
}

/// Counts, not times: the same on every machine. A change here is a change of what every filter pays.
#[test]
fn a_small_filter_costs_this_much_for_each_request() {
    let outcomes = chain([probe("headers")]).metered().on(get("/x")).on(get("/x")).outcomes();
    let [(_, first), (_, second)] = [&outcomes[0].usage[0], &outcomes[1].usage[0]];
    let counts = |usage: &Usage| {
        format!(
            "{:?}\nread {} bytes, written {} bytes\n",
            usage.hostcalls, usage.bytes_from_guest, usage.bytes_to_guest
        )
    };
    expect![[r#"
        {"proxy_get_header_map_value": 1, "proxy_replace_header_map_value": 2}
        read 22 bytes, written 10 bytes
    "#]]
    .assert_eq(&counts(second));
    assert_eq!(counts(first), counts(second));
    let fuel = second.fuel.expect("it was counted");
    assert!(fuel > 0 && fuel < 1_600, "fuel for one request: {fuel}");
}
