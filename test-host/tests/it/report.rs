//! What a report tells, in each of its forms: nothing of a recording can break out of the page, and nothing is left out
//! without a word.

use expect_test::expect;

use crate::folder::{Filter, Folder, Recorded};

/// Does in each exchange what `on_request` says; `$mark` adds `x-mark: 1` to the request, `$tell` logs, `$answer`
/// replies 403.
fn guest(on_request: &str) -> String {
    format!(
        r#"(module
        (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2 16)
        (data (i32.const 0) "x-mark1<b>told\1b\ff</b>nope")
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 4096)
        (func (export "proxy_on_context_create") (param i32 i32))
        (func $mark (drop (call $add (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 6) (i32.const 1))))
        (func $tell (drop (call $log (i32.const 2) (i32.const 7) (i32.const 13))))
        (func $answer (drop (call $reply (i32.const 403) (i32.const 20) (i32.const 4) (i32.const 20) (i32.const 4)
            (i32.const 0) (i32.const 0) (i32.const -1))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {on_request}))"#
    )
}

const MARKS: &str = "call $mark call $tell i32.const 0";
const ANSWERS: &str = "call $answer i32.const 1";
const WAITS: &str = "i32.const 1";
const FAILS: &str = "unreachable";

/// Replays through filters named after what they do, and writes all forms.
fn replayed(filters: &[(&str, &str)], exchanges: &[Recorded]) -> (Folder, crate::folder::Run) {
    let folder = Folder::new();
    let modules: Vec<_> = filters
        .iter()
        .map(|(name, does)| Filter::new(name, &folder.module(&format!("{name}.wasm"), &guest(does)), None))
        .collect();
    folder.envoy("envoy.json", &modules).recording("front.inbound.streamed.json", exchanges);
    let run = folder.wayside(
        "replay --envoy envoy.json --traffic front.inbound.streamed.json --fuel --json r.json --html r.html --junit r.xml",
    );
    (folder, run)
}

fn two() -> [Recorded; 2] {
    [Recorded::get("/a").answered(200, "hello"), Recorded::get("/b").answered(404, "")]
}

#[test]
fn the_text_tells_modules_proxies_filters_and_totals() {
    let (_folder, run) = replayed(&[("marker", MARKS), ("guard", ANSWERS)], &two());
    let hash = regex::Regex::new("sha256 [0-9a-f]{64}").expect("a pattern");
    expect![[r#"
        modules
          marker              406 bytes  sha256 <64 digits>  <folder>/marker.wasm
          guard               404 bytes  sha256 <64 digits>  <folder>/guard.wasm

        proxies
          front          2 exchanges      configuration envoy

        filter           exchanges  changed  answered  paused  called  logs  metrics hostcalls/x        fuel/x failed
          guard                  2        0         2       0       0     0        0           1            14      0
          marker                 2        2         0       0       0     2        0           2            17      0
          (hostcalls/x and fuel/x: mean of an exchange; counted, so the same on every machine)

        statuses: 403 × 2
        what clients would have noticed
          front/inbound/0001  GET /a  200 → 403  answered by guard (nope)
          front/inbound/0002  GET /b  404 → 403  answered by guard (nope)

        notes on the recording: NoTimes × 2
        seen in the configuration, not emulated: 2
          envoy.json:19:25: static_resources.listeners[0].filter_chains[0].filters[0].name: names of network filters have no effect
          envoy.json:102:27: static_resources.clusters[0].load_assignment.cluster_name: statistics only
        seed 0: 0 random bytes drawn

        2 exchanges from 1 proxy: 2 changed, 2 as a client would notice; 0 hung, 0 failed
    "#]].assert_eq(&hash.replace_all(&run.out, "sha256 <64 digits>"));
    assert_eq!((run.status, run.err.as_str()), (1, ""));
}

#[test]
fn without_trace_and_fuel_what_came_of_each_exchange_is_still_told() {
    let folder = Folder::new();
    let marker = folder.module("marker.wasm", &guest(MARKS));
    folder.envoy("envoy.json", &[Filter::new("marker", &marker, None)]);
    folder.recording("front.inbound.streamed.json", &two());
    let run = folder
        .wayside("replay --envoy envoy.json --traffic front.inbound.streamed.json --no-trace --json r.json");
    let table = run.out.lines().skip_while(|line| !line.starts_with("filter")).take(4);
    expect![[r#"
        filter           exchanges  changed  answered  paused  called  logs  metrics hostcalls/x failed
          marker                 2        0         0       0       0     0        0           2      0
          (no trace was kept: what filters changed, answered, logged and counted is not listed)
          (hostcalls/x: mean of an exchange; counted, so the same on every machine)
    "#]]
    .assert_eq(&table.map(|line| format!("{line}\n")).collect::<String>());
    let report = folder.json("r.json");
    let exchange = &report["exchanges"][0];
    assert_eq!((&report["traced"], &exchange["replayed_status"]), (&false.into(), &"200".into()));
    assert_eq!(exchange["filters"][0]["cost"]["fuel"], serde_json::Value::Null);
    assert_eq!(exchange["filters"][0]["cost"]["hostcalls"]["proxy_log"], 1);
    assert_eq!(exchange["differences"][0]["name"], "x-mark");
}

#[test]
fn junit_has_a_case_for_each_exchange_and_fails_those_a_client_would_notice() {
    let (folder, run) = replayed(&[("guard", ANSWERS)], &two());
    assert_eq!(run.status, 1);
    let hash = regex::Regex::new("[0-9a-f]{64}").expect("a pattern");
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="wayside replay" tests="2" skipped="0" failures="2" errors="0">
            <testsuite name="front" tests="2" skipped="0" errors="0" failures="2">
                <properties>
                    <property name="configuration" value="envoy"/>
                    <property name="seed" value="0"/>
                    <property name="random_bytes" value="0"/>
                    <property name="sha256 of guard (in)" value="<64 digits>"/>
                </properties>
                <testcase name="0001 GET /a" classname="front.inbound">
                    <failure message="200 → 403  answered by guard (nope)" type="difference">front/inbound/0001, recorded at front.inbound.streamed.json@0
        200 → 403  answered by guard (nope)
        request: recorded forwarded, replayed answered by the proxy
        status: recorded 200, replayed 403
        response header content-length: recorded 5, replayed 4
        response header content-type: recorded (absent), replayed text/plain
        response body: recorded 5 bytes, replayed 4 bytes
        </failure>
                </testcase>
                <testcase name="0002 GET /b" classname="front.inbound">
                    <failure message="404 → 403  answered by guard (nope)" type="difference">front/inbound/0002, recorded at front.inbound.streamed.json@492
        404 → 403  answered by guard (nope)
        request: recorded forwarded, replayed answered by the proxy
        status: recorded 404, replayed 403
        response header content-length: recorded 0, replayed 4
        response header content-type: recorded (absent), replayed text/plain
        response body: recorded 0 bytes, replayed 4 bytes
        </failure>
                </testcase>
            </testsuite>
        </testsuites>
    "#]].assert_eq(&hash.replace_all(&folder.read("r.xml"), "<64 digits>"));

    let (folder, run) = replayed(&[("marker", MARKS)], &two());
    assert_eq!(run.status, 0, "{}", run.out);
    assert!(
        folder
            .read("r.xml")
            .contains(r#"<testsuites name="wayside replay" tests="2" skipped="0" failures="0" errors="0">"#)
    );
}

#[test]
fn a_stream_that_hangs_and_a_filter_that_fails_are_failures_in_every_form() {
    let (folder, run) = replayed(&[("waiting", WAITS)], &two());
    assert_eq!(run.status, 1);
    assert!(folder.read("r.xml").contains(r#"<failure message="the stream never ended" type="hung">"#));
    assert!(
        folder.read("r.html").contains(r#"<span class="tag bad">hung</span> <b>1 ×</b>"#),
        "one a status"
    );

    let (folder, run) = replayed(&[("failing", FAILS)], &two());
    assert_eq!(run.status, 1);
    assert!(
        folder.read("r.xml").contains(r#"<failure message="failing failed: "#),
        "{}",
        folder.read("r.xml")
    );
    assert!(folder.read("r.html").contains(r#"<span class="tag bad">filter failed</span>"#));
}

fn hostile() -> Vec<Recorded> {
    vec![
        Recorded::get(r#"/<script>alert("1")</script>?'&amp;"#).answered(200, ""),
        Recorded::get(b"/\xff\xfe\x1b[31m\x00\r\n")
            .with("x-\u{202e}evil", "\u{feff}</code></td>")
            .answered(200, ""),
        Recorded::get("/]]><!--").with("x-mark", "\"><img src=x onerror=alert(1)>").answered(200, ""),
    ]
}

#[test]
fn nothing_recorded_or_logged_breaks_out_of_the_page() {
    let (folder, _run) = replayed(&[("marker", MARKS)], &hostile());
    let html = folder.read("r.html");
    assert_eq!(html.matches("<script").count(), 1, "the page's own");
    for markup in ["<img", "<b>told", "</code></td></code>", "onerror=alert(1)>"] {
        assert!(!html.contains(markup), "{markup}");
    }
    assert!(html.contains(r"/&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;?'&amp;amp;"));
    assert!(html.contains(r"/\xff\xfe\u{1b}[31m\u{0}\r\n"));
    assert!(html.contains(r"&lt;b&gt;told\u{1b}\xff&lt;/b&gt;"));
    let raw = |text: &str| {
        text.chars()
            .any(|letter| (letter.is_control() && letter != '\n') || "\u{202e}\u{feff}".contains(letter))
    };
    assert!(!raw(&html));
    // Nothing is fetched, and the policy allows no script but the page's.
    let outside =
        regex::Regex::new(r#"<[^>]*[ "](src|srcset|action|style|on\w+)=|href="[^\#]|url\(|@import"#)
            .expect("a pattern");
    assert_eq!(outside.find(&html).map(|found| found.as_str()), None);
    assert!(html.contains("default-src 'none'; style-src 'sha256-"));

    let xml = folder.read("r.xml");
    assert!(!raw(&xml));
    let read = quick_junit::Report::deserialize_from_str(&xml).expect("it is XML");
    assert_eq!(read.tests, 3);
    assert_eq!(
        read.test_suites[0].test_cases[0].name.as_str(),
        r#"0001 GET /<script>alert("1")</script>?'&amp;"#
    );
}

#[test]
fn the_same_replay_gives_the_same_bytes_in_every_form() {
    let once = replayed(&[("marker", MARKS), ("guard", ANSWERS)], &hostile());
    let text = |(folder, run): &(Folder, crate::folder::Run)| {
        let forms = ["r.json", "r.html", "r.xml"]
            .map(|name| folder.read(name).replace(&*folder.path("").to_string_lossy(), ""));
        (forms, run.out.clone())
    };
    let again = replayed(&[("marker", MARKS), ("guard", ANSWERS)], &hostile());
    assert_eq!(text(&once), text(&again));
}

/// The numbers in front of "more" in lines that say what is not shown.
fn said_to_be_missing(html: &str) -> usize {
    let line =
        regex::Regex::new(r#"class="more">([^<]*?)([\d\u{202f}]+) more exchanges"#).expect("a pattern");
    line.captures_iter(html)
        .map(|found| found[2].replace('\u{202f}', "").parse::<usize>().expect("a number"))
        .sum()
}

#[test]
fn what_the_page_does_not_show_it_counts() {
    let many = |status: u16, count: usize| vec![Recorded::get("/").answered(status, ""); count];
    let exchanges: Vec<_> =
        [(200, 1_200), (201, 900), (202, 900), (204, 900), (206, 900), (207, 900), (208, 300)]
            .into_iter()
            .flat_map(|(status, count)| many(status, count))
            .collect();
    let (folder, _run) = replayed(&[("guard", ANSWERS)], &exchanges);
    let html = folder.read("r.html");
    let shown = html.matches(r#"<details class="exchange">"#).count();
    assert_eq!(shown, 300 + 6 * 783, "all of the small group, and as many of each large one");
    assert_eq!(shown + said_to_be_missing(&html), exchanges.len());
    assert!(html.contains("417 more exchanges of this kind"), "of 1,200");
    assert_eq!(folder.json("r.json")["exchanges"].as_array().map(Vec::len), Some(exchanges.len()));
}

#[test]
fn a_long_value_is_cut_and_says_so() {
    let long = "é".repeat(5_000);
    let (folder, _run) =
        replayed(&[("guard", ANSWERS)], &[Recorded::get(format!("/{long}")).answered(200, "")]);
    let html = folder.read("r.html");
    assert!(html.contains("é… (4401 more letters)"));
    assert!(!html.contains(&long));
    assert!(folder.read("r.json").contains(&long));
}
