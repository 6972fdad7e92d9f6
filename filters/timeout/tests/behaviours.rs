//! `tests/behaviours`: what the filter comes to in the host and in the real Envoy, in the host's own format of behaviours. Where there
//! is no Envoy that comparison is skipped; `UPDATE_EXPECT=1` writes `<topic>.seen.txt` from an Envoy, and nothing else does.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::{env, fs};
use wayside::build::Guest;
use wayside::parity::{self, Behaviour, Guests, Topic};
use wayside::vm::Modules;

static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(topics);
static GUESTS: LazyLock<Guests> = LazyLock::new(|| {
    let module = wayside::build::here().unwrap_or_else(|error| panic!("{error}"));
    let script = Guest::package("wayside-probes").example("script").manifest_dir(env!("CARGO_MANIFEST_DIR"));
    let script = script.build().unwrap_or_else(|error| panic!("{error}"));
    [("timeout".to_owned(), module.path), ("script".to_owned(), script.path)].into()
});

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviours")
}

fn topics() -> Vec<Topic> {
    let entries = fs::read_dir(folder()).expect("the folder of behaviours");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.iter().map(|path| Topic::read(path).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn all() -> Vec<(&'static Topic, &'static Behaviour)> {
    TOPICS.iter().flat_map(|topic| topic.behaviours.iter().map(move |behaviour| (topic, behaviour))).collect()
}

fn seen_file(topic: &Topic) -> PathBuf {
    folder().join(format!("{}.seen.txt", topic.name))
}

/// What Envoy was seen to do, by the behaviour's name.
fn expected(topic: &Topic) -> BTreeMap<String, String> {
    let text = fs::read_to_string(seen_file(topic)).unwrap_or_default();
    let section = |section: &str| {
        let (name, rest) = section.split_once('\n').unwrap_or((section, ""));
        (name.to_owned(), format!("{}\n", rest.trim_end()))
    };
    text.split("\n== ").skip(1).map(section).collect()
}

fn check(found: &[Result<String, String>], in_the_host: bool) {
    let mut wrong = String::new();
    for ((topic, behaviour), found) in all().iter().zip(found) {
        let expected = expected(topic).remove(&behaviour.name).unwrap_or_default();
        let differs = in_the_host && behaviour.host_differs.is_some();
        let told = match found {
            Ok(text) => parity::difference(&expected, text),
            Err(error) => Some(error.clone()),
        };
        match told {
            None if differs => panic!("{}: the host does not differ", behaviour.name),
            Some(told) if !differs => {
                let _ = write!(wrong, "{}: {}\n{told}\n", topic.name, behaviour.name);
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn in_the_host_each_comes_to_what_envoy_was_seen_to_do() {
    let modules = Arc::new(Modules::new());
    let run = |(topic, behaviour): &(&Topic, &Behaviour)| {
        parity::in_host(&topic.name, behaviour, &modules, &GUESTS).map(|(seen, _)| seen.text())
    };
    check(&all().iter().map(run).collect::<Vec<_>>(), true);
}

#[tokio::test]
async fn in_the_real_envoy_each_comes_to_what_it_was_seen_to_do() {
    let Some(binary) = env::var_os("ENVOY_BIN").map(PathBuf::from) else {
        assert!(env::var_os("WAYSIDE_REQUIRE_ENVOY").is_none(), "no ENVOY_BIN");
        eprintln!("skipped: no ENVOY_BIN, so nothing was compared with the real Envoy");
        return;
    };
    let named: Vec<_> = all().iter().map(|(topic, behaviour)| (&topic.name[..], *behaviour)).collect();
    let seen = parity::in_envoy(&binary, &named, &GUESTS).await;
    let seen: Vec<_> = seen.into_iter().map(|seen| seen.map(|seen| seen.text())).collect();
    if env::var("UPDATE_EXPECT").is_ok_and(|value| value == "1") {
        return write(&seen);
    }
    check(&seen, false);
}

fn write(seen: &[Result<String, String>]) {
    for topic in &*TOPICS {
        let mut text = "Written from the real Envoy 1.40 by UPDATE_EXPECT=1 cargo test -p wayside-timeout --test behaviours\n".to_owned();
        for ((of, behaviour), seen) in all().iter().zip(seen) {
            if of.name == topic.name {
                let seen = seen.as_ref().unwrap_or_else(|error| panic!("{}: {error}", behaviour.name));
                let _ = write!(text, "\n== {}\n{seen}", behaviour.name);
            }
        }
        fs::write(seen_file(topic), text).expect("the folder is ours");
    }
}
