//! Threads: VMs of their own, one process-wide state, the same result each time; and configurations that change meanwhile.

use std::collections::BTreeSet;

use expect_test::expect;
use wayside::{
    replay::Replay,
    trace::{FindingKind, Thread, TraceLevel, What},
};

use crate::support::{Proxy, chain, get, script};

/// What filters logged, in the order in which they did, with the thread.
fn logged(replay: &Replay) -> String {
    let outcome = &replay.proxies[0].outcome;
    let streams = outcome.outcomes.iter().flat_map(|outcome| &outcome.trace.entries);
    let mut entries: Vec<_> = streams.chain(&outcome.trace.entries).collect();
    entries.sort_by_key(|entry| entry.order);
    let lines = entries.iter().filter_map(|entry| match &entry.what {
        What::Logged { text, .. } => {
            Some(format!("{} {}: {}\n", entry.at.as_millis(), entry.thread, text.escape_ascii()))
        }
        What::Finding { kind, text } => Some(format!("{} FINDING {kind}: {text}\n", entry.at.as_millis())),
        _ => None,
    });
    lines.collect()
}

fn busy() -> Proxy {
    let says = "configure: tick 70; define 0 configured; increment 4 1; define 0 seen; queue q
                request_headers: increment 8 1; shared k; set_shared k 1; random 4
                tick: shared k";
    (0..12_u16).fold(chain([script(says)]).workers(3), |proxy, number| {
        proxy.on(get("/x").at(u64::from(number) * 10).after(25).on_port(40_000 + number))
    })
}

#[test]
fn connections_are_spread_over_workers_and_everything_counts_into_one_process() {
    let replay = busy().run().expect("it starts");
    let outcome = &replay.proxies[0].outcome;
    let threads: BTreeSet<Thread> = outcome.outcomes.iter().map(|outcome| outcome.thread).collect();
    assert_eq!(threads, BTreeSet::from([0, 1, 2].map(Thread::Worker)));
    let metrics: Vec<String> =
        outcome.metrics.iter().map(|(name, value)| format!("{} {value:?}", name.escape_ascii())).collect();
    assert_eq!(metrics, ["configured Counter(5)", "seen Counter(12)"]);
}

#[test]
fn a_thousand_hosts_on_many_threads_do_what_one_does_alone() {
    let alone = format!("{:?}", busy().run().expect("it starts"));
    let others: usize = std::thread::scope(|scope| {
        let run = || (0..125).filter(|_| format!("{:?}", busy().run().expect("it starts")) == alone).count();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).sum()
    });
    assert_eq!(others, 1000);
}

#[test]
fn new_streams_get_the_new_filters_and_old_ones_end_in_the_old() {
    let says = |name: &str| {
        script(&format!(
            "configure: say {name}; set_shared k {name}\nrequest_headers: say {name}; shared k\nlog: say {name}\ndone: context\ndelete: context"
        ))
    };
    let replay = chain([says("old")])
        .on(get("/slow").at(0).after(150))
        .on(get("/new").at(120))
        .on(get("/last").at(300))
        .changing(100, [says("new")]);
    expect![[r#"
        0 canary: old
        0 canary: set_shared k old -> ok
        0 main: old
        0 main: set_shared k old -> ok
        0 worker 0: old
        0 worker 0: set_shared k old -> ok
        0 worker 0: old
        0 worker 0: shared k -> ok \"old\" cas 3
        100 canary: new
        100 canary: set_shared k new -> ok
        100 main: new
        100 main: set_shared k new -> ok
        100 worker 0: new
        100 worker 0: set_shared k new -> ok
        120 worker 0: new
        120 worker 0: shared k -> ok \"new\" cas 6
        120 worker 0: new
        120 worker 0: context -> 4 of 3
        120 worker 0: context -> 4 of 3
        150 worker 0: old
        150 worker 0: context -> 2 of 1
        150 worker 0: context -> 2 of 1
        200 main: context -> 1 of 1
        200 main: context -> 1 of 1
        200 worker 0: context -> 1 of 1
        200 worker 0: context -> 1 of 1
        300 worker 0: new
        300 worker 0: shared k -> ok \"new\" cas 6
        300 worker 0: new
        300 worker 0: context -> 5 of 3
        300 worker 0: context -> 5 of 3
        300 worker 0: context -> 3 of 3
        300 worker 0: context -> 3 of 3
        300 main: context -> 2 of 2
        300 main: context -> 2 of 2
    "#]]
    .assert_eq(&logged(&replay));
}

#[test]
fn a_configuration_that_is_refused_leaves_the_old_one_in_force() {
    let replay = chain([script("request_headers: say old")])
        .on(get("/a").at(0))
        .on(get("/b").at(150))
        .changing(100, [script("configure: return 0")]);
    expect![[r#"
        0 worker 0: old
        100 FINDING configuration_rejected: the new configuration is rejected, the old one stays in force: envoy.yaml:1:1: filter script: refused its configuration in on_configure
        150 worker 0: old
    "#]].assert_eq(&logged(&replay));
}

#[test]
fn equal_filters_go_on_as_they_are() {
    let same = || script("configure: context\nrequest_headers: context\ndone: context");
    let replay = chain([same()]).on(get("/a").at(0)).on(get("/b").at(300)).changing(100, [same()]);
    expect![[r#"
        0 canary: context -> 1 of 1
        0 main: context -> 1 of 1
        0 worker 0: context -> 1 of 1
        0 worker 0: context -> 2 of 1
        0 worker 0: context -> 2 of 1
        300 worker 0: context -> 3 of 1
        300 worker 0: context -> 3 of 1
        300 worker 0: context -> 1 of 1
        300 main: context -> 1 of 1
    "#]]
    .assert_eq(&logged(&replay));
}

/// Each message in the queue brings the next, at the same instant: the request that is to come five milliseconds later would
/// never arrive.
#[test]
fn a_request_still_to_come_is_not_lost_when_guests_keep_each_other_busy_for_ever() {
    let ops = "configure: queue a\nrequest_headers: enqueue 1 x\nqueue_ready: dequeue 1; enqueue 1 x";
    let proxy = chain([script(ops)]).on(get("/first")).on(get("/later").at(5)).tracing(TraceLevel::Off);
    let replay = proxy.run().expect("it starts");
    let outcome = &replay.proxies[0].outcome;
    let kinds: Vec<_> = outcome.trace.entries.iter().filter_map(|entry| entry.what.finding()).collect();
    assert!(kinds.contains(&FindingKind::BoundReached), "{kinds:?}");
    let paths: Vec<_> = replay.outcomes().map(|one| one.exchange.request.headers.first(b":path")).collect();
    assert_eq!(paths, [Some(&"/first".into()), Some(&"/later".into())]);
}
