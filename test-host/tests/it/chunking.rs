//! Where the network cuts bodies is chance: the four filters, as the example chains them, do the same to the bundled recording
//! however its bodies are cut.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use proptest::prelude::*;
use wayside::{
    build::Guest,
    clock::Seed,
    envoy_config::{self, LoadOptions},
    message::{HeaderMap, Message, Recording},
    proxy::{
        Outcome,
        spec::{CodeSource, ProxySpec},
    },
    replay::{self, Chunking, Options, Replay, Specs},
    traffic,
    upstream::Services,
};

use crate::support::MODULES;

/// A key that the example's configuration admits.
const DEMO_KEY: &str = "demo-key-0001-not-a-secret";

pub(crate) static CHAIN: LazyLock<Arc<ProxySpec>> = LazyLock::new(|| {
    let example = workspace("examples/envoy/envoy.yaml");
    let loaded = envoy_config::load_with(&example, &LoadOptions::default());
    let mut spec = loaded.expect("the example is valid").spec;
    for plugin in spec.plugins_mut() {
        let artifact =
            Guest::package(format!("wayside-{}", plugin.filter_name)).build().expect("the filter builds");
        plugin.vm.code = CodeSource::File(artifact.path);
    }
    assert_eq!(spec.plugins_mut().count(), 4, "filters of the example");
    Arc::new(spec)
});

/// Every other client shows a key: of most, the recording has none, and they are turned away.
pub(crate) static RECORDED: LazyLock<Recording> = LazyLock::new(|| {
    let loaded = traffic::load(&[workspace("test-host/recordings/bookshop")], &traffic::Limits::default());
    let mut recording = loaded.expect("the recording is readable");
    for exchange in recording.exchanges.iter_mut().step_by(2) {
        let headers = &mut exchange.request.headers;
        if !headers.is_empty() && !headers.contains(b"x-api-key") && !headers.contains(b"authorization") {
            headers.push("x-api-key", DEMO_KEY);
        }
    }
    recording
});

fn workspace(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn replayed(chunking: Chunking, seed: u64) -> Replay {
    let options = Options { chunking, seed: Seed(seed), ..Options::default() };
    let specs = Specs::Everywhere(Arc::clone(&CHAIN));
    replay::replay(&MODULES, &specs, RECORDED.clone(), &options, |_| Services::default())
        .expect("the filters accept the example's configuration")
}

/// A message without the places where it was cut.
type Uncut = (HeaderMap, Vec<u8>, Option<HeaderMap>);

fn uncut(message: &Message) -> Uncut {
    (message.headers.clone(), message.whole_body().to_vec(), message.trailers.clone())
}

/// What the upstream and the client got, and how the proxy explains it.
fn ends(outcome: &Outcome) -> (Option<Uncut>, Option<Uncut>, Option<String>) {
    let details = outcome.details.as_ref().map(|details| details.escape_ascii().to_string());
    (outcome.upstream_request.as_ref().map(uncut), outcome.downstream_response.as_ref().map(uncut), details)
}

fn pieces<'r>(replay: &'r Replay) -> impl Iterator<Item = usize> + 'r {
    replay.outcomes().filter_map(|outcome| Some(outcome.exchange.response.as_ref()?.body.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn however_bodies_are_cut_the_four_filters_do_the_same(seed in any::<u64>()) {
        let (whole, cut) = (replayed(Chunking::Whole, seed), replayed(Chunking::Random, seed));
        let mut admitted = 0;
        for (one, other) in whole.outcomes().zip(cut.outcomes()) {
            prop_assert_eq!(ends(one), ends(other), "{}", one.exchange.id);
            admitted += usize::from(one.upstream_request.is_some());
        }
        for (one, other) in whole.proxies.iter().zip(&cut.proxies) {
            prop_assert_eq!(&one.outcome.metrics, &other.outcome.metrics, "{}: metrics", one.name);
        }
        prop_assert!(admitted > 200, "only {} requests reached an upstream", admitted);
        prop_assert!(pieces(&whole).all(|pieces| pieces <= 1));
        let cut_up = pieces(&cut).filter(|pieces| *pieces > 1).count();
        prop_assert!(cut_up > 100, "only {} responses were cut", cut_up);
    }
}

#[test]
fn as_recorded_the_four_filters_do_what_they_do_to_whole_bodies() {
    let (recorded, whole) = (replayed(Chunking::Recorded, 0), replayed(Chunking::Whole, 0));
    for (one, other) in recorded.outcomes().zip(whole.outcomes()) {
        assert_eq!(ends(one), ends(other), "{}", one.exchange.id);
    }
}
