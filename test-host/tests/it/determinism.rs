//! The same input gives the same bytes; another seed makes a difference only where randomness was drawn.

use wayside::{
    replay::Replay,
    trace::{Entry, What},
};

use crate::support::{Proxy, chain, get, post, probe, script};

/// A chain that does a little of everything, and draws randomness where the path asks for it.
fn busy() -> Proxy {
    let random = "configure: tick 7\nrequest_headers: only request :path /random; random 8\nlog: define 0 c; increment 4 1; shared k; set_shared k 1";
    let proxy = chain([script(random).named("random"), probe("headers"), probe("deadline")]);
    (0..8).fold(proxy, |proxy, number| {
        let path = if number % 3 == 0 { "/random" } else { "/plain" };
        // Several begin at once, and overlap.
        proxy.on(post(path, ["a", "b"]).at(number / 2 * 11).after(number * 9))
    })
}

fn all(replay: &Replay) -> String {
    format!("{replay:#?}")
}

#[test]
fn two_runs_with_one_seed_are_equal_to_the_byte() {
    let first = all(&busy().seed(5).run().expect("it starts"));
    let second = all(&busy().seed(5).run().expect("it starts"));
    assert!(first.contains("Random"), "the run must draw randomness, or this shows nothing");
    assert_eq!(first, second);
}

#[test]
fn another_seed_differs_only_in_streams_that_drew_randomness() {
    let [first, second] = [5, 6].map(|seed| busy().seed(seed).run().expect("it starts"));
    let mut differing = 0;
    for (one, other) in first.outcomes().zip(second.outcomes()) {
        let drew = |entries: &[Entry]| entries.iter().any(|entry| matches!(entry.what, What::Random { .. }));
        if drew(&one.trace.entries) {
            differing += usize::from(one != other);
        } else {
            assert_eq!(one, other);
        }
    }
    assert!(differing > 0, "a seed that makes no difference is no seed");
}

#[test]
fn without_randomness_the_seed_makes_no_difference_at_all() {
    let run = |seed| chain([probe("headers")]).seed(seed).on(get("/x")).run().expect("it starts");
    let (mut first, second) = (run(1), run(2));
    first.seed = second.seed;
    assert_eq!(first, second);
    assert_eq!(first.proxies[0].outcome.random_bytes, 0);
}

#[test]
fn exchanges_that_begin_together_are_replayed_in_the_order_of_the_recording() {
    let says = "request_headers: get request :path";
    let paths = ["/a", "/b", "/c", "/d"];
    let outcomes =
        paths.iter().fold(chain([script(says)]), |proxy, path| proxy.on(get(path).at(0))).outcomes();
    let contexts: Vec<_> =
        outcomes.iter().map(|outcome| outcome.exchange.request.headers.first(b":path").cloned()).collect();
    assert_eq!(contexts, paths.map(|path| Some(path.into())));
}
