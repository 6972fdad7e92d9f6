//! Filters as one module and as modules of their own in a chain: what client, upstream, operator and the filters themselves see
//! is the same, whatever they do and in whatever phase. The real Envoy is asked too.

use crate::behaviours::module;
use crate::envoy;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use wayside::parity::{self, Guests, Topic};
use wayside::vm::Modules;

const MEMBERS: [&str; 3] = ["first", "second", "third"];

static GUESTS: LazyLock<Guests> = LazyLock::new(|| {
    MEMBERS.into_iter().chain(["composed"]).map(|name| (name.to_owned(), module(name))).collect()
});

/// What one filter does with one request.
fn script() -> impl Strategy<Value = String> {
    let edit = prop::sample::select(vec![
        "set=x-s-a=1",
        "set=x-s-a=2",
        "set=x-s-b=3",
        "add=x-s-a=4",
        "add=x-s-c=5",
        "del=x-s-a",
        "del=x-s-b",
        "set=:path=/other",
        "see",
        "see",
    ]);
    let headers = (prop::sample::select(vec!["h", "h", "h", "t", "H", "T"]), edit)
        .prop_map(|(phase, what)| format!("{phase}:{what}"));
    let body = (
        prop::sample::select(vec!["b", "B"]),
        prop::sample::select(vec!["see", "body=longer%20than%20before", "body="]),
    )
        .prop_map(|(phase, what)| format!("{phase}:{what}"));
    let flow = (
        prop::sample::select(vec!["h", "h", "h", "b", "t", "H", "B", "T"]),
        prop::sample::select(vec!["reply=418", "reply=503"]),
    )
        .prop_map(|(phase, what)| format!("{phase}:{what}"));
    // A stream waits for headers only: what else is shown meanwhile is for the buffering of bodies to say.
    let waits = prop::sample::select(vec!["h:wait".to_owned(), "h:ask".to_owned(), "H:wait".to_owned()]);
    let step = prop_oneof![6 => headers, 3 => body, 1 => flow, 2 => waits];
    prop::collection::vec(step, 0..5).prop_map(|steps| steps.join(","))
}

#[derive(Clone, Debug)]
struct Case {
    scripts: [String; 3],
    /// Filters without a section.
    off: Option<usize>,
    body: Vec<&'static str>,
    trailers: bool,
    response: (u16, Vec<&'static str>, bool),
    auth: &'static str,
}

fn cases() -> impl Strategy<Value = Case> {
    let chunks = || prop::sample::select(vec![vec![], vec!["abc"], vec!["abc", "defgh"]]);
    (
        [script(), script(), script()],
        prop_oneof![3 => Just(None), 1 => (0..3_usize).prop_map(Some)],
        chunks(),
        any::<bool>(),
        (prop::sample::select(vec![200_u16, 404, 503]), chunks(), any::<bool>()),
        prop::sample::select(vec!["{ answer: { status: 200 } }", "{ answer: { status: 403 } }", "refused"]),
    )
        .prop_map(|(scripts, off, body, trailers, response, auth)| {
            Case { scripts, off, body, trailers, response, auth }.with_waits_that_compare()
        })
}

impl Case {
    /// While a filter waits, a body waits in front of the module, and so for the filters before it too, which in a chain have
    /// seen it by then: of a message with a body, only the filter that it comes to first waits here.
    fn with_waits_that_compare(mut self) -> Case {
        let active = |place: &usize| Some(*place) != self.off;
        // The filters' own answers have bodies.
        let bodiless =
            self.response.1.is_empty() && !self.scripts.iter().any(|script| script.contains("reply"));
        let (first, last) = ((0..3).find(active), (0..3).rev().find(active));
        for (place, script) in self.scripts.iter_mut().enumerate() {
            let waits = |step: &str| match step {
                "h:wait" | "h:ask" => self.body.is_empty() || Some(place) == first,
                "H:wait" => bodiless || Some(place) == last,
                _ => true,
            };
            *script = script.split(',').filter(|step| waits(step)).collect::<Vec<_>>().join(",");
        }
        self
    }

    /// As a behaviour for each of the two ways.
    fn yaml(&self, number: usize) -> String {
        let members: Vec<&str> = MEMBERS
            .iter()
            .enumerate()
            .filter(|(place, _)| Some(*place) != self.off)
            .map(|(_, name)| *name)
            .collect();
        let chain: Vec<_> = members
            .iter()
            .map(|name| format!("{{ guest: {name}, configuration: '{{\"even\": 2}}' }}"))
            .collect();
        let sections: Vec<_> = members.iter().map(|name| format!("\"{name}\": {{\"even\": 2}}")).collect();
        let composed = format!("{{ guest: composed, configuration: '{{{}}}' }}", sections.join(", "));
        let mut text = String::new();
        for (way, filters) in [("chain", chain.join(", ")), ("one module", composed)] {
            let _ = write!(
                text,
                "- name: {number} as {way}\n  filters: [{filters}]\n  requests:\n    - {{ method: POST, path: /x, "
            );
            let scripts: Vec<_> = MEMBERS
                .iter()
                .zip(&self.scripts)
                .map(|(name, script)| format!("[x-{name}, \"{script}\"]"))
                .collect();
            let _ = write!(text, "headers: [[x-s-a, \"0\"], {}], body: {:?}", scripts.join(", "), self.body);
            if self.trailers && !self.body.is_empty() {
                text.push_str(", trailers: [[x-s-t, \"1\"]]");
            }
            let (status, body, trailers) = &self.response;
            let _ = write!(
                text,
                ",\n        response: {{ status: {status}, headers: [[x-s-r, \"0\"]], body: {body:?}"
            );
            if *trailers && !body.is_empty() {
                text.push_str(", trailers: [[x-s-u, \"1\"]]");
            }
            let _ = writeln!(text, " }} }}\n  callouts: {{ auth: {} }}", self.auth);
        }
        text
    }
}

fn topic(cases: &[Case]) -> Topic {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("composed.yaml");
    let text: String = cases.iter().enumerate().map(|(number, case)| case.yaml(number)).collect();
    std::fs::write(&path, text).expect("it is ours");
    Topic::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// Without what tells modules apart: their names, and how many VMs there were.
fn comparable(text: &str) -> String {
    let text = MEMBERS.iter().enumerate().fold(text.to_owned(), |text, (place, _)| {
        text.replace(&format!(" script-{}: ", place + 1), " script: ")
    });
    let lines = text.lines().filter(|line| !line.starts_with("metric wasm."));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

fn compare(name: &str, chain: &str, one: &str) -> Result<(), String> {
    match parity::difference(&comparable(chain), &comparable(one)) {
        Some(told) => Err(format!(
            "{name}: chain (expected) and one module (found):\n{told}\nall of the chain:\n{chain}"
        )),
        None => Ok(()),
    }
}

#[test]
fn in_the_host_filters_in_one_module_do_what_they_do_in_a_chain() {
    let modules = Arc::new(Modules::new());
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let done = runner.run(&cases(), |case| {
        let topic = topic(&[case]);
        let seen: Vec<String> = topic
            .behaviours
            .iter()
            .map(|behaviour| {
                parity::in_host(&topic.name, behaviour, &modules, &GUESTS).map(|(seen, _)| seen.text())
            })
            .collect::<Result<_, _>>()
            .map_err(TestCaseError::fail)?;
        compare("host", &seen[0], &seen[1]).map_err(TestCaseError::fail)
    });
    if let Err(error) = done {
        panic!("{error}");
    }
}

#[tokio::test]
async fn in_the_real_envoy_filters_in_one_module_do_what_they_do_in_a_chain() {
    let Some(binary) = envoy::binary("nothing was compared with the real Envoy") else { return };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let drawn: Vec<Case> =
        (0..40).map(|_| cases().new_tree(&mut runner).expect("a case").current()).collect();
    let topic = topic(&drawn);
    let named: Vec<_> = topic.behaviours.iter().map(|behaviour| (&topic.name[..], behaviour)).collect();
    let seen = parity::in_envoy(&binary, &named, &GUESTS).await;
    let mut wrong = Vec::new();
    for (pair, case) in seen.chunks(2).zip(&drawn) {
        let told = match pair {
            [Ok(chain), Ok(one)] => compare(&format!("{case:?}"), &chain.text(), &one.text()).err(),
            _ => Some(format!("{case:?}: {pair:?}")),
        };
        wrong.extend(told);
    }
    assert!(wrong.is_empty(), "{} of {}:\n\n{}", wrong.len(), drawn.len(), wrong.join("\n"));
}
