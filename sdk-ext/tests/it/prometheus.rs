//! What Prometheus is told of a family: labels, where Envoy knows `stats_tags`.

use crate::behaviours;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};
use wayside_sdk::metrics::stats_tags;

/// The headers of one request, and how the series stands in `/stats/prometheus` afterwards.
const SERIES: [(&str, &str); 4] = [
    ("x-route: a.b/c-d\r\nx-source: src\r\n", r#"l7_labelled_total{route="a.b/c-d",source="src"} 1"#),
    (
        "x-route: /v1/books.html?q=1\r\nx-source: 10.0.0.1:80\r\n",
        r#"l7_labelled_total{route="/v1/books.html?q%3D1",source="10.0.0.1:80"} 1"#,
    ),
    ("x-route: a;.;l7_source=.=b;.;\r\n", r#"l7_labelled_total{route="a%3B.%3Bl7_source%3D.%3Db%3B.%3B"} 1"#),
    ("x-source: alone\r\n", r#"l7_labelled_total{source="alone"} 1"#),
];

/// Ends with the test.
struct Envoy(Child);

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn configuration(module: &Path) -> String {
    let tags = stats_tags(["route", "source"]);
    format!(
        r#"{tags}
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}
static_resources:
  listeners:
  - name: shop
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: shop
          route_config: {{ virtual_hosts: [{{ name: host, domains: ["*"], routes: [{{ match: {{ prefix: / }}, direct_response: {{ status: 404 }} }}] }}] }}
          http_filters:
          - name: labels
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: labels
                configuration: {{ "@type": type.googleapis.com/google.protobuf.StringValue, value: "{{}}" }}
                vm_config: {{ runtime: envoy.wasm.runtime.v8, code: {{ local: {{ filename: "{module}" }} }} }}
          - name: router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
"#,
        module = module.display()
    )
}

/// The whole answer, head included; `None` while nobody listens.
fn get(address: &str, path: &str, headers: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address.trim()).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[expect(clippy::disallowed_methods, reason = "a process is waited for, which tells nobody when it is ready")]
/// Tries again for as long as an Envoy may take to start on a busy machine.
fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = what() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("Envoy did not get that far within a minute");
}

#[test]
fn the_labels_of_a_family_are_labels_in_prometheus_whatever_their_values() {
    let Some(binary) = env::var_os("ENVOY_BIN").map(PathBuf::from) else {
        assert!(env::var_os("WAYSIDE_REQUIRE_ENVOY").is_none(), "no ENVOY_BIN");
        eprintln!("skipped: no ENVOY_BIN, so Prometheus' view was not looked at");
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder of our own");
    let (yaml, admin) = (folder.join("envoy.yaml"), folder.join("admin"));
    fs::write(&yaml, configuration(&behaviours::module("labels"))).expect("the folder is ours");
    let mut command = Command::new(binary);
    command.arg("-c").arg(&yaml).arg("--admin-address-path").arg(&admin);
    command.args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"]);
    let _envoy = Envoy(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("an Envoy"));
    let admin = wait_for(|| fs::read_to_string(&admin).ok().filter(|address| !address.is_empty()));
    let shop = wait_for(|| {
        let listeners = get(&admin, "/listeners", "")?;
        let line = listeners
            .lines()
            .find_map(|line| line.strip_prefix("shop::")?.split("::").last().map(str::to_owned));
        line.filter(|address| !address.ends_with(":0"))
    });
    for (headers, _) in SERIES {
        let answer = wait_for(|| get(&shop, "/", headers));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let told = wait_for(|| {
        let told = get(&admin, "/stats/prometheus", "")?;
        told.contains("alone").then_some(told)
    });
    for (_, series) in SERIES {
        let ours: Vec<_> = told.lines().filter(|line| line.contains("labelled")).collect();
        assert!(ours.contains(&series), "{series} is not in\n{}", ours.join("\n"));
    }
    let _ = fs::remove_dir_all(folder);
}
