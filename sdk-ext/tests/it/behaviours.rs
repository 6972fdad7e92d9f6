//! `tests/behaviours`: what filters on this crate come to, in the host and in the real Envoy. The format is the host's own, with
//! the examples of `guests` as guests; `UPDATE_EXPECT=1` writes `<topic>.seen.txt` from an Envoy, and nothing else does.
//! `WAYSIDE_BEHAVIOURS=bodies,grpc` runs those topics only.

use crate::envoy;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::{env, fs};
use wayside::build::Guest;
use wayside::parity::{self, Behaviour, Guests, Topic};
use wayside::replay;
use wayside::trace::Ledger;
use wayside::vm::Modules;
use wayside_sdk::native::Constructor;

static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(topics);
static GUESTS: LazyLock<Guests> = LazyLock::new(guests);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviours")
}

pub(crate) fn topics() -> Vec<Topic> {
    let entries = fs::read_dir(folder()).expect("the folder of behaviours");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    if let Ok(only) = env::var("WAYSIDE_BEHAVIOURS") {
        paths.retain(|path| path.file_stem().is_some_and(|topic| only.split(',').any(|only| topic == only)));
    }
    paths.sort();
    paths.iter().map(|path| Topic::read(path).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn guests() -> Guests {
    let names: BTreeSet<String> = TOPICS.iter().flat_map(Topic::guests).collect();
    names.into_iter().map(|name| (name.clone(), module(&name))).collect()
}

/// What a guest is as Rust; those on the `proxy-wasm` crate are modules only.
fn native(guest: &str) -> Option<Constructor> {
    let of = |(name, _): &&(&str, _)| *name == guest.replace('-', "_");
    let found = wayside_sdk_guests::ALL.iter().find(of);
    assert!(found.is_some() || guest.ends_with("-proxy-wasm"), "{guest} is not in the list of guests");
    found.map(|(_, make)| *make)
}

/// All of them, with the callbacks that their modules export.
fn natives() -> Modules {
    GUESTS.iter().fold(Modules::new(), |modules, (guest, module)| match native(guest) {
        Some(make) => modules.natively_for(module, make).unwrap_or_else(|error| panic!("{error}")),
        None => modules,
    })
}

fn all() -> Vec<(&'static Topic, &'static Behaviour)> {
    TOPICS.iter().flat_map(|topic| topic.behaviours.iter().map(move |behaviour| (topic, behaviour))).collect()
}

/// What guests called in one behaviour, in the host.
pub(crate) fn ledger(topic: &str, name: &str) -> Ledger {
    let found = all().into_iter().find(|(of, behaviour)| of.name == topic && behaviour.name == name);
    let (topic, behaviour) = found.unwrap_or_else(|| panic!("no behaviour {name:?}"));
    let run = parity::in_host(&topic.name, behaviour, &Arc::new(Modules::new()), &GUESTS);
    run.unwrap_or_else(|error| panic!("{error}")).1
}

/// The module of a guest.
pub(crate) fn module(example: &str) -> PathBuf {
    let package = if example.ends_with("-proxy-wasm") { "wayside-probes" } else { "wayside-sdk-guests" };
    let guest = Guest::package(package).example(example).manifest_dir(env!("CARGO_MANIFEST_DIR"));
    guest.build().unwrap_or_else(|error| panic!("{error}")).path
}

/// What Envoy was seen to do, by the behaviour's name.
pub(crate) fn expected(topic: &Topic) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join(format!("{}.seen.txt", topic.name))).unwrap_or_default();
    let section = |section: &str| {
        let (name, rest) = section.split_once('\n').unwrap_or((section, ""));
        (name.to_owned(), format!("{}\n", rest.trim_end()))
    };
    text.split("\n== ").skip(1).map(section).collect()
}

fn check(found: &[Result<String, String>], in_the_host: bool) {
    let mut wrong = Vec::new();
    for ((topic, behaviour), found) in all().iter().zip(found) {
        let expected = expected(topic).remove(&behaviour.name).unwrap_or_default();
        if in_the_host && behaviour.host_differs.is_some() {
            assert_ne!(found.as_deref(), Ok(&*expected), "{}: the host does not differ", behaviour.name);
            continue;
        }
        let told = match found {
            Ok(text) => parity::difference(&expected, text),
            Err(error) => Some(error.clone()),
        };
        wrong.extend(told.map(|told| format!("{}: {}\n{told}", topic.name, behaviour.name)));
    }
    assert!(wrong.is_empty(), "{} of {}:\n\n{}", wrong.len(), found.len(), wrong.join("\n"));
}

#[test]
fn in_the_host_each_comes_to_what_envoy_was_seen_to_do() {
    let modules = Arc::new(Modules::new());
    let run = |(topic, behaviour): &(&Topic, &Behaviour)| {
        parity::in_host(&topic.name, behaviour, &modules, &GUESTS).map(|(seen, _)| seen.text())
    };
    check(&all().iter().map(run).collect::<Vec<_>>(), true);
}

/// With the ledger: what was called from which callback, and what was answered.
#[test]
fn as_rust_each_comes_to_the_same_as_its_module() {
    let (wasm, native) = (Arc::new(Modules::new()), Arc::new(natives()));
    let mut wrong = Vec::new();
    for (topic, behaviour) in all() {
        let run = |modules| parity::in_host(&topic.name, behaviour, modules, &GUESTS);
        match (run(&wasm), run(&native)) {
            (Ok((one, answered)), Ok((other, answered_natively))) => {
                let told = parity::difference(&one.text(), &other.text());
                wrong.extend(told.map(|told| format!("{}: {}\n{told}", topic.name, behaviour.name)));
                let told = replay::ledger_differences([("module", &answered), ("Rust", &answered_natively)]);
                wrong.extend(told.iter().map(|told| format!("{}: {}: {told}", topic.name, behaviour.name)));
            }
            (one, other) => assert_eq!(one.err(), other.err(), "{}", behaviour.name),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn in_the_real_envoy_each_comes_to_what_it_was_seen_to_do() {
    let Some(binary) = envoy::binary("nothing was compared with the real Envoy") else { return };
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
        let mut text =
            "Written from the real Envoy 1.40 by UPDATE_EXPECT=1 cargo test -p wayside-sdk --test it\n"
                .to_owned();
        for ((of, behaviour), seen) in all().iter().zip(seen) {
            if of.name == topic.name {
                let seen = seen.as_ref().unwrap_or_else(|error| panic!("{}: {error}", behaviour.name));
                let _ = write!(text, "\n== {}\n{seen}", behaviour.name);
            }
        }
        fs::write(folder().join(format!("{}.seen.txt", topic.name)), text).expect("the folder is ours");
    }
}
