//! Every exchange in VMs of its own: nothing is left for another, whatever the order; and what a filter does without a memory
//! of its own is the same as ever.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use expect_test::expect;
use proptest::prelude::*;
use wayside::{
    envoy_config::{self, LoadOptions},
    proxy::{
        Outcome,
        spec::{CodeSource, FilterChain},
    },
    replay::{self, Isolation, Options, Replay, Specs},
    traffic,
    upstream::{CalloutAnswer, Services},
    vm::{Metering, Modules},
};

use crate::support::{Filter, Proxy, chain, get, post, probe, script, wat};

/// Leaves something behind wherever a filter can, and says what it finds.
fn litters() -> Filter {
    script(
        "configure: tick 7; define 0 started; increment 4 1; define 1 gauge; define 0 seen; queue q
         request_headers: context; shared k; random 4; increment 8 1; record 5 3; metric 8; dequeue 1; enqueue 1 x; set_shared k left; call_out auth 100 /check; return 1
         callout: answered; effective stream; continue request
         queue_ready: shared k
         tick: shared k
         log: metric 8",
    )
    .named("litters")
}

/// Exchanges that begin together and overlap: in a shared proxy their order matters.
fn littered() -> Proxy {
    let answers = [1_u64, 9, 4, 11]
        .map(|after| CalloutAnswer::Response { after: Duration::from_millis(after), message: message() });
    (0..6_u64).fold(chain([litters()]).cluster("auth", answers), |proxy, number| {
        proxy.on(get(&format!("/{number}")).at(100 + number / 3 * 5).after(number * 9))
    })
}

fn message() -> wayside::message::Message {
    let headers = [(":status", "200")].into_iter().collect();
    wayside::message::Message { headers, ..Default::default() }
}

/// What became of each exchange, by its path, without the numbers that only say where in the replay it was, and with times
/// since it began.
fn fates(replay: &Replay) -> BTreeMap<String, String> {
    let fate = |outcome: &Outcome| {
        let path = outcome.exchange.request.headers.first(b":path").cloned().unwrap_or_default();
        let mut outcome = outcome.clone();
        let began = outcome.started;
        outcome.number = 0;
        outcome.exchange.id.number = 0;
        outcome.exchange.origin.trace_id = 0;
        (outcome.started, outcome.ended) = (Duration::ZERO, outcome.ended - began);
        for entry in &mut outcome.trace.entries {
            (entry.order, entry.at) = (0, entry.at - began);
        }
        (String::from_utf8_lossy(&path).into_owned(), format!("{outcome:#?}"))
    };
    replay.outcomes().map(fate).collect()
}

fn metrics(replay: &Replay) -> Vec<String> {
    let metrics = replay.proxies[0].outcome.metrics.iter();
    metrics.map(|(name, value)| format!("{} {value:?}", name.escape_ascii())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_each_exchange_fares_the_same(order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle()) {
        let recorded = littered().isolated().run().expect("it starts");
        let shuffled = littered().isolated().in_order(&order).run().expect("it starts");
        prop_assert_eq!(fates(&recorded), fates(&shuffled));
        prop_assert_eq!(metrics(&recorded), metrics(&shuffled));
        prop_assert_eq!(recorded.proxies[0].outcome.random_bytes, shuffled.proxies[0].outcome.random_bytes);
    }
}

#[test]
fn in_a_shared_proxy_the_order_shows() {
    let reversed = littered().in_order(&[5, 4, 3, 2, 1, 0]).run().expect("it starts");
    assert_ne!(fates(&littered().run().expect("it starts")), fates(&reversed));
}

#[test]
fn each_exchange_fares_as_in_a_recording_of_its_own() {
    // Without chance, whose source a shared proxy has for itself.
    let without_chance = |text: &str| text.replace("random 4; ", "").replace("metric 8", "context");
    let filter = || {
        let text = litters().spec.configuration.bytes();
        script(&without_chance(&String::from_utf8_lossy(&text))).named("litters")
    };
    let traffic = |number: u64| get(&format!("/{number}")).at(number * 50).after(number * 20);
    let cluster = || [CalloutAnswer::status(200, "")];
    let together = (0..4).fold(chain([filter()]), |proxy, number| proxy.on(traffic(number)));
    let together = fates(&together.cluster("auth", cluster()).isolated().run().expect("it starts"));
    for number in 0..4 {
        let alone = chain([filter()]).cluster("auth", cluster()).on(traffic(number)).run();
        let mut fate = fates(&alone.expect("it starts"));
        let path = format!("/{number}");
        assert_eq!(fate.remove(&path).as_ref(), together.get(&path), "{path}");
    }
}

#[test]
fn nothing_is_left_for_the_next_exchange_and_counts_are_added_up() {
    let says = "configure: define 0 started; increment 4 1; define 0 seen
                request_headers: context; shared k; set_shared k left; increment 8 1; metric 8";
    let run = |proxy: Proxy| {
        let replay = proxy.on(get("/a")).on(get("/b")).on(get("/c")).run().expect("it starts");
        let logged = replay.outcomes().flat_map(|outcome| &outcome.trace.entries).filter_map(|entry| {
            let wayside::trace::What::Logged { text, .. } = &entry.what else { return None };
            Some(format!("{}\n", text.escape_ascii()))
        });
        logged.chain(metrics(&replay).into_iter().map(|line| format!("{line}\n"))).collect::<String>()
    };
    expect![[r#"
        context -> 2 of 1
        shared k -> not_found \"\" cas 0
        set_shared k left -> ok
        increment 8 1 -> ok
        metric 8 -> 1
        context -> 2 of 1
        shared k -> not_found \"\" cas 0
        set_shared k left -> ok
        increment 8 1 -> ok
        metric 8 -> 1
        context -> 2 of 1
        shared k -> not_found \"\" cas 0
        set_shared k left -> ok
        increment 8 1 -> ok
        metric 8 -> 1
        started Counter(5)
        seen Counter(3)
    "#]]
    .assert_eq(&run(chain([script(says)]).isolated()));
}

#[test]
fn a_vm_that_dies_is_no_other_exchanges_concern() {
    let breaks = script("request_headers: only request :path /bad; panic");
    let proxy = chain([breaks, probe("headers")]).isolated();
    let outcomes = proxy.on(get("/bad").after(50)).on(get("/good").at(0)).on(post("/good", ["x"])).outcomes();
    let statuses: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            outcome.downstream_response.as_ref().and_then(|sent| sent.headers.first(b":status").cloned())
        })
        .collect();
    assert_eq!(statuses, [Some("503".into()), Some("200".into()), Some("200".into())]);
}

#[test]
fn workers_and_changes_of_the_configuration_are_as_ever() {
    let says = |name: &str| script(&format!("configure: say {name}\nrequest_headers: say {name}"));
    let exchanges = |proxy: Proxy| {
        (0..8_u16).fold(proxy, |proxy, number| {
            proxy.on(get("/x").at(u64::from(number) * 30).after(60).on_port(40_000 + number))
        })
    };
    let run = |proxy: Proxy| {
        let replay = exchanges(proxy.workers(3)).changing(100, [says("new")]);
        let fate = |outcome: &Outcome| {
            let said = outcome.trace.entries.iter().filter(|entry| {
                matches!(&entry.what, wayside::trace::What::Logged { text, .. } if &text[..] == b"new")
            });
            (outcome.thread, said.count())
        };
        replay.outcomes().map(fate).collect::<Vec<_>>()
    };
    let isolated = run(chain([says("old")]).isolated());
    assert_eq!(isolated, run(chain([says("old")])));
    assert!(isolated.iter().any(|(_, new)| *new == 1) && isolated.iter().any(|(_, new)| *new == 0));
}

#[test]
fn filters_without_a_memory_do_the_same_to_the_bundled_recording() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let example = workspace.join("examples/envoy/envoy.yaml");
    let mut spec =
        envoy_config::load_with(&example, &LoadOptions::default()).expect("the example is valid").spec;
    let stateless = |name: &str| ["header-auth", "timeout", "envoy.filters.http.router"].contains(&name);
    for listener in &mut spec.listeners {
        let filters = &mut listener.http.http_filters;
        let kept = filters.filters().iter().filter(|filter| stateless(filter.name())).cloned();
        *filters = FilterChain::new(kept.collect()).expect("the router is last");
    }
    for plugin in spec.plugins_mut() {
        let package = format!("wayside-{}", plugin.filter_name);
        plugin.vm.code = CodeSource::File(wayside::build::guest(&package).expect("the filter builds").path);
    }
    let specs = Specs::Everywhere(Arc::new(spec));
    let run = |isolation, modules| {
        let recording = workspace.join("test-host/recordings/bookshop");
        let recording = traffic::load(&[recording], &traffic::Limits::default()).expect("it is readable");
        let options = Options { isolation, ..Options::default() };
        replay::replay(&Arc::new(modules), &specs, recording, &options, |_| Services::default())
            .expect("the filters accept the example's configuration")
    };
    let shared = run(Isolation::Shared, Modules::new());
    let isolated = run(Isolation::EachExchange, Modules::for_isolation(Metering::Off));
    let mut compared = 0;
    for (one, other) in shared.outcomes().zip(isolated.outcomes()) {
        let id = &one.exchange.id;
        assert_eq!(id, &other.exchange.id);
        assert_eq!(one.upstream_request, other.upstream_request, "{id}: what the upstream got");
        assert_eq!(one.downstream_response, other.downstream_response, "{id}: what the client got");
        assert_eq!((&one.details, one.end), (&other.details, other.end), "{id}");
        compared += 1;
    }
    assert!(compared > 500, "only {compared} exchanges compared");
}

/// A filter that does nothing, with something more in its module.
fn idle(more: &str) -> Filter {
    wat(&format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (export "proxy_on_context_create") (param i32 i32))
            {more})"#
    ))
}

#[test]
fn what_does_not_fit_the_pool_is_started_without() {
    let large = idle(&"(global i64 (i64.const 0)) ".repeat(100_000));
    let outcomes = chain([large, idle("")]).isolated().on(get("/a")).on(get("/b")).outcomes();
    assert!(outcomes.iter().all(|outcome| outcome.downstream_response.is_some()));

    let many = (0..140).map(|number| idle("").named(&format!("filter-{number}")));
    let replay = chain(many).isolated().on(get("/a")).on(get("/b")).run().expect("it starts");
    assert!(replay.outcomes().all(|outcome| outcome.trace.entries.iter().all(|entry| {
        !matches!(entry.what, wayside::trace::What::Fault { .. } | wayside::trace::What::Finding { .. })
    })));
    assert_eq!(replay.outcomes().count(), 2);
}
