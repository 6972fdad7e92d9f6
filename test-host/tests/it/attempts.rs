//! Scenarios that say what each attempt of the router meets, and filters that see each.

use wayside::{message::HeaderMap, proxy::Outcome, replay::Replay, scenario};

fn replayed(exchange: &str) -> Replay {
    let text = format!(
        "about: Attempts, seen by a filter of each chain.
chain: [{{ module: timeout, config: {{ version: 1, defaults: {{ timeout: 2s }} }} }}]
upstream_chain: [{{ module: timeout, config: {{ version: 1, defaults: {{ timeout: 1s }} }} }}]
route: {{ retry_policy: {{ retry_on: '5xx', num_retries: 3 }} }}
exchanges: [{exchange}]"
    );
    scenario::natively(&text, &[("timeout", timeout::wayside_vm)]).unwrap_or_else(|error| panic!("{error}"))
}

fn only(replay: &Replay) -> &Outcome {
    replay.outcomes().next().expect("one exchange")
}

fn status(headers: Option<&HeaderMap>) -> String {
    let status = headers.and_then(|headers| headers.first(b":status"));
    status.map(|status| status.escape_ascii().to_string()).unwrap_or_default()
}

#[test]
fn each_attempt_has_an_answer_of_its_own_and_passes_the_upstream_chain() {
    let replay = replayed(
        "{ request: GET /books, attempts: [{ response: 503 }, { resets: true }, { refused: true }, { response: 200, response_body: [yes] }] }",
    );
    let outcome = only(&replay);
    let client = outcome.downstream_response.as_ref().expect("an answer");
    assert_eq!(status(Some(&client.headers)), "200");
    assert_eq!(client.whole_body(), "yes");
    // The third found nobody.
    assert_eq!(outcome.earlier_attempts.len() + usize::from(outcome.upstream_request.is_some()), 3);
    let filters: Vec<(usize, bool)> = outcome
        .usage
        .iter()
        .map(|(filter, usage)| (filter.0, usage.hostcalls.iter().next().is_some()))
        .collect();
    assert_eq!(filters, [(1, true), (0, true)], "the client's chain, and behind it that of the cluster");
}

#[test]
fn the_last_answer_is_that_to_all_attempts_behind_it() {
    let outcome = &replayed("{ request: GET /books, attempts: [{ response: 500 }] }");
    let outcome = only(outcome);
    assert_eq!(status(outcome.downstream_response.as_ref().map(|response| &response.headers)), "500");
    assert_eq!(outcome.earlier_attempts.len(), 3);
}

#[test]
fn a_response_is_what_came_of_all_attempts() {
    let replay =
        replayed("{ request: GET /books, response: 500, response_headers: ['x-envoy-attempt-count: 4'] }");
    assert_eq!(only(&replay).earlier_attempts.len(), 0);
}

#[test]
fn a_response_and_attempts_are_one_too_many() {
    let text =
        "about: x\nchain: []\nexchanges: [{ request: GET /, response: 200, attempts: [{ response: 500 }] }]";
    let error = scenario::natively(text, &[]).expect_err("it says two things").to_string();
    assert!(error.contains("GET /: found a response and attempts, expected one of them"), "{error}");
}
