//! The four filters built for both guest targets do the same to the bundled recording.

use std::{path::PathBuf, sync::Arc};

use wayside::{
    build::{Guest, Target},
    envoy_config::{self, LoadOptions},
    message::Message,
    proxy::{Outcome, spec::CodeSource},
    replay::{self, Options, Replay, Specs},
    trace::What,
    traffic,
    upstream::Services,
    vm::Modules,
};

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Replays the bundled recording through the example's configuration, with modules built for `target`.
fn replay_with(target: Target) -> Replay {
    let example = workspace().join("examples/envoy/envoy.yaml");
    let mut spec =
        envoy_config::load_with(&example, &LoadOptions::default()).expect("the example is valid").spec;
    for plugin in spec.plugins_mut() {
        let package = format!("wayside-{}", plugin.filter_name);
        let artifact = Guest::package(package).target(target).build().expect("the filter builds");
        plugin.vm.code = CodeSource::File(artifact.path);
    }
    let recording = workspace().join("test-host/recordings/bookshop");
    let recording =
        traffic::load(&[recording], &traffic::Limits::default()).expect("the recording is readable");
    let specs = Specs::Everywhere(Arc::new(spec));
    replay::replay(&Arc::new(Modules::new()), &specs, recording, &Options::default(), |_| Services::default())
        .expect("the filters accept the example's configuration")
}

/// Without the trace ids that telemetry draws: std for wasip1 seeds its hash maps from the same source first.
fn upstream_request(outcome: &Outcome) -> Option<Message> {
    let mut request = outcome.upstream_request.clone()?;
    let drawn = outcome.trace.entries.iter().any(|entry| matches!(entry.what, What::Random { .. }));
    if drawn {
        request.headers.remove(b"traceparent");
    }
    Some(request)
}

#[test]
fn filters_for_wasip1_and_for_unknown_do_the_same_to_the_bundled_recording() {
    let [unknown, wasip1] = [Target::Unknown, Target::Wasip1].map(replay_with);
    let mut compared = 0;
    for (one, other) in unknown.outcomes().zip(wasip1.outcomes()) {
        let id = &one.exchange.id;
        assert_eq!(upstream_request(one), upstream_request(other), "{id}: what the upstream got");
        assert_eq!(one.downstream_response, other.downstream_response, "{id}: what the client got");
        assert_eq!(one.details, other.details, "{id}");
        compared += 1;
    }
    assert!(compared > 500, "only {compared} exchanges compared");
    for (one, other) in unknown.proxies.iter().zip(&wasip1.proxies) {
        assert_eq!(one.outcome.metrics, other.outcome.metrics, "{}: metrics", one.name);
        assert_ne!(one.outcome.filters[0].sha256, other.outcome.filters[0].sha256, "the same module twice");
    }
}
