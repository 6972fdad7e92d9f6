//! Canonical paths against the real Envoy: whatever its own normalisation makes of a path must be one of the readings that are
//! matched, or the path must be refused. `tests/paths.seen.txt` is what Envoy made of each; `UPDATE_EXPECT=1` writes it from one.

use crate::envoy::{self, Envoy, get, wait_for};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::{env, fs, thread};
use wayside_sdk::policy::{PathReading, read_path};

/// The ways in which an operator can have Envoy read paths, by the fields of its connection manager.
const SETTINGS: [(&str, &str); 4] = [
    ("as_it_is", ""),
    ("normalized", "normalize_path: true,"),
    ("merged", "normalize_path: true, merge_slashes: true,"),
    (
        "unescaped",
        "normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD,",
    ),
];

/// What Envoy gave its upstream for a path in each setting; a status where it answered itself.
type Seen = BTreeMap<String, [String; 4]>;

/// Paths of up to four pieces, each of which somebody reads in a way of his own.
fn paths() -> Vec<String> {
    let pieces = ["/", "a", ".", "..", ";x", "%61", "%2e", "%2F", "%5c", "\\", "%25", "%40", "%C3%A9", "//"];
    let mut paths: Vec<String> = [
        "/admin;v=1/x",
        "/public/..;/admin",
        "/.well-known/x",
        "/a/b/../../c/./d",
        "/a?b=/../c",
        "/%7Euser/%2d%5F",
    ]
    .map(str::to_owned)
    .into();
    for (place, first) in pieces.iter().enumerate() {
        for second in pieces {
            paths.push(format!("/{first}{second}"));
            paths.push(format!("/p/{first}{second}/q"));
            // A third of those with a third piece between slashes.
            let third = pieces[(place * 5 + second.len()) % pieces.len()];
            paths.push(format!("/p{first}/{second}/{third}"));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/paths.seen.txt")
}

fn written() -> Seen {
    let text = fs::read_to_string(file()).expect("paths.seen.txt");
    let line = |line: &str| {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let [path, seen @ ..] = &words[..] else { panic!("{line}") };
        (path.clone(), <[String; 4]>::try_from(seen.to_vec()).expect("four settings"))
    };
    text.lines().skip(1).map(line).collect()
}

#[test]
fn whatever_envoy_makes_of_a_path_is_one_of_its_readings_or_it_is_refused() {
    let seen = written();
    assert_eq!(seen.keys().cloned().collect::<Vec<_>>(), paths());
    let mut kinds = BTreeMap::new();
    for (path, seen) in &seen {
        let PathReading::Canonical(ours) = read_path(path.as_bytes()) else {
            *kinds.entry("refused").or_insert(0) += 1;
            continue;
        };
        *kinds.entry("canonical").or_insert(0) += 1;
        for ((setting, _), theirs) in SETTINGS.iter().zip(seen).filter(|(_, theirs)| theirs.starts_with('/'))
        {
            let PathReading::Canonical(theirs) = read_path(theirs.as_bytes()) else {
                panic!("{path}, {setting}: Envoy sends {theirs}, which can be read in several ways");
            };
            let readings = [Some(ours.as_str()), ours.lenient()];
            assert!(readings.contains(&Some(theirs.as_str())), "{path}, {setting}: {theirs:?} and {ours:?}");
        }
    }
    println!("{kinds:?}");
    assert!(kinds["canonical"] > 100 && kinds["refused"] > 100, "{kinds:?}");
}

#[test]
fn the_real_envoy_makes_of_each_path_what_is_written() {
    let Some(binary) = envoy::binary("no path was sent through the real Envoy") else { return };
    let seen = in_envoy(&binary);
    if env::var("UPDATE_EXPECT").is_ok_and(|value| value == "1") {
        let mut text = "Written from the real Envoy 1.40 by UPDATE_EXPECT=1: a path, then what its upstream was sent where Envoy is \
                        told nothing, to normalize, to merge slashes too, and to unescape them too\n"
            .to_owned();
        seen.iter().for_each(|(path, seen)| text.push_str(&format!("{path} {}\n", seen.join(" "))));
        return fs::write(file(), text).expect("the folder is ours");
    }
    let written = written();
    let wrong: Vec<_> = seen.iter().filter(|(path, seen)| written.get(*path) != Some(*seen)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[expect(clippy::disallowed_methods, reason = "a test has threads, where a module has none")]
fn in_envoy(binary: &Path) -> Seen {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = upstream.local_addr().expect("an address").port();
    thread::spawn(move || {
        upstream.incoming().flatten().for_each(|stream| drop(thread::spawn(|| answer(stream))))
    });
    let mut envoy = Envoy::start(binary, &bootstrap(port));
    let listeners = SETTINGS.map(|(name, _)| envoy.listener(name));
    let ask = |path: &String| {
        let seen: Vec<String> = listeners.iter().map(|address| asked(address, path)).collect();
        (path.clone(), <[String; 4]>::try_from(seen).expect("four settings"))
    };
    paths().iter().map(ask).collect()
}

/// The upstream says which path it was asked for.
fn answer(stream: TcpStream) {
    let mut lines = BufReader::new(&stream);
    loop {
        let mut first = String::new();
        if lines.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let answer = format!("HTTP/1.1 200 OK\r\nx-path: {path}\r\ncontent-length: 0\r\n\r\n");
        if (&stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn asked(address: &str, path: &str) -> String {
    let answer = wait_for(|| get(address, path, ""));
    let sent = answer.lines().find_map(|line| line.strip_prefix("x-path: "));
    sent.map_or_else(|| answer.split(' ').nth(1).unwrap_or("nothing").to_owned(), str::to_owned)
}

fn bootstrap(upstream: u16) -> String {
    let address = |port| format!("{{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}");
    let listener = |(name, fields): &(&str, &str)| {
        format!(
            "  - name: {name}
    address: {}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager,
          stat_prefix: a, {fields}
          route_config: {{ virtual_hosts: [{{ name: a, domains: ['*'], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: a }} }}] }}] }},
          http_filters: [{{ name: r, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}] }}
",
            address(0)
        )
    };
    let listeners: String = SETTINGS.iter().map(listener).collect();
    let upstream = address(upstream);
    format!(
        "admin: {{ address: {} }}
static_resources:
  listeners:
{listeners}
  clusters:
  - name: a
    load_assignment: {{ cluster_name: a, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {upstream} }} }}] }}] }}
",
        address(0)
    )
}
