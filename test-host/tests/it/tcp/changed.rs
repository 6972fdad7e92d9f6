//! A configuration that is rolled out while connections are open, on the command line. What Envoy 1.40 was seen to do with the
//! same (a listener update by LDS with `--drain-time-s`) stands here: old connections stay with the old filters until the drain
//! time is over, and are then closed by the proxy; listeners that say the same as before are not touched.

use expect_test::expect;

use super::configuration;
use crate::folder::Folder;

fn tells(tag: &str) -> String {
    format!(
        "new_connection: say new {tag}\ndownstream_data: say data {tag}; told\ndownstream_close: say closed {tag}; told\ndone: say done {tag}\ndelete: say delete {tag}"
    )
}

/// One connection from the beginning on, one from 2.5 s on; both speak again at 6 s.
const CONNECTIONS: &str = "connections:
  - steps: [{ client: one }, { client: two, after_ms: 3000 }, { client: six, after_ms: 3000 }]
  - { at_ms: 2500, steps: [{ client: one }, { client: six, after_ms: 3500 }] }
";

fn replayed(second: &str, then: &str) -> String {
    let folder = Folder::new();
    folder.write("edge.yaml", configuration(&[&tells("A")], ""));
    folder.write("new.yaml", configuration(&[&tells(second)], ""));
    folder.write("edge.connections.yaml", CONNECTIONS);
    let run = folder.wayside(&format!(
        "replay --envoy edge.yaml --traffic edge.connections.yaml --each --drain 3s {then}"
    ));
    assert_eq!(run.err, "");
    let known = ["edge/tcp", "  at ", "logged", "configuration", "info: "];
    let lines = run.out.lines().filter(|line| known.iter().any(|word| line.contains(word)));
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

#[test]
fn old_connections_keep_the_old_filters_until_the_drain_time_is_over() {
    expect![[r#"
        edge/tcp/0001  tcp
        at 0.000 ms, took 5000.000 ms: 9 → 6 bytes to the upstream, 0 bytes to the client; closed by the proxy
        f0             logged info: new A
        logged info: data A
        logged info: told -> 3
        logged info: data A
        logged info: told -> 3
        logged info: closed A
        logged info: told -> 1
        logged info: done A
        logged info: delete A
        edge/tcp/0002  tcp
        at 2500.000 ms, took 3500.000 ms: 6 bytes to the upstream, 0 bytes to the client; open
        f0             logged info: new B
        logged info: data B
        logged info: told -> 3
        logged info: data B
        logged info: told -> 3
        logged info: closed B
        logged info: told -> 1
        logged info: done B
        logged info: delete B
        edge           2 connections    configuration edge
        2000.000 ms  proxy: configuration new is in force; tcp drained for 3000 ms [main]
        5000.000 ms  f0: info: done A
        5000.000 ms  f0: info: delete A
        6000.000 ms  f0: info: done B
        6000.000 ms  f0: info: delete B
        seen in the configuration, not emulated: 6
    "#]]
    .assert_eq(&replayed("B", "--then 2s=new.yaml"));
}

#[test]
fn a_listener_that_says_the_same_is_not_touched() {
    expect![[r#"
        edge/tcp/0001  tcp
        at 0.000 ms, took 6000.000 ms: 9 bytes to the upstream, 0 bytes to the client; open
        f0             logged info: new A
        logged info: data A
        logged info: told -> 3
        logged info: data A
        logged info: told -> 3
        logged info: data A
        logged info: told -> 3
        logged info: closed A
        logged info: told -> 1
        logged info: done A
        logged info: delete A
        edge/tcp/0002  tcp
        at 2500.000 ms, took 3500.000 ms: 6 bytes to the upstream, 0 bytes to the client; open
        f0             logged info: new A
        logged info: data A
        logged info: told -> 3
        logged info: data A
        logged info: told -> 3
        logged info: closed A
        logged info: told -> 1
        logged info: done A
        logged info: delete A
        edge           2 connections    configuration edge
        2000.000 ms  proxy: configuration new is in force; no listener changes
        6000.000 ms  f0: info: done A
        6000.000 ms  f0: info: delete A
        seen in the configuration, not emulated: 6
    "#]]
    .assert_eq(&replayed("A", "--then 2s=new.yaml"));
}

#[test]
fn a_configuration_that_is_refused_leaves_the_old_one_in_force() {
    let text = replayed("B\nconfigure: return 0", "--then 2s=new.yaml");
    expect![[r#"
        edge/tcp/0001  tcp
        at 0.000 ms, took 6000.000 ms: 9 bytes to the upstream, 0 bytes to the client; open
        f0             logged info: new A
        logged info: data A
        logged info: told -> 3
        logged info: data A
        logged info: told -> 3
        logged info: data A
        logged info: told -> 3
        logged info: closed A
        logged info: told -> 1
        logged info: done A
        logged info: delete A
        edge/tcp/0002  tcp
        at 2500.000 ms, took 3500.000 ms: 6 bytes to the upstream, 0 bytes to the client; open
        f0             logged info: new A
        logged info: data A
        logged info: told -> 3
        logged info: data A
        logged info: told -> 3
        logged info: closed A
        logged info: told -> 1
        logged info: done A
        logged info: delete A
        edge           2 connections    configuration edge
        2000.000 ms  f0: info: told -> 0 [canary]
        2000.000 ms  f0: info: told -> 0 [canary]
        2000.000 ms  proxy: configuration_rejected: the new configuration is rejected, the old one stays in force: new.yaml:10:137: filter f0: refused its configuration in on_configure [canary]
        6000.000 ms  f0: info: done A
        6000.000 ms  f0: info: delete A
        seen in the configuration, not emulated: 6
    "#]].assert_eq(&text);
}

#[test]
fn a_wrong_time_is_told() {
    let folder = Folder::new();
    folder.write("edge.yaml", configuration(&[&tells("A")], "")).write("c.yaml", CONNECTIONS);
    for (wrong, said) in [
        ("2=new.yaml", "expected a time such as 500ms"),
        ("2s", "as in 2s=new.yaml"),
        ("2s=none.yaml", "none.yaml"),
    ] {
        let run = folder.wayside(&format!("replay --envoy edge.yaml --traffic c.yaml --then {wrong}"));
        assert_eq!(run.status, 2, "{}", run.out);
        assert!(run.err.contains(said), "{}", run.err);
    }
}
