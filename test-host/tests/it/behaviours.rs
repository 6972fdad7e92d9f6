//! `tests/data/behaviours`: what the real Envoy did with each (`<topic>.seen.txt`), and what the host does.
//!
//! `UPDATE_EXPECT=1` writes the `.seen.txt` from an Envoy; without one, nothing does. `WAYSIDE_BEHAVIOURS=word` runs those
//! whose `<topic>: <name>` holds the word.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use wayside::{
    build::Guest,
    parity::{self, Behaviour, Guests, Topic},
};

use crate::support::MODULES;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/behaviours")
}

fn topics() -> Vec<Topic> {
    let entries = fs::read_dir(folder()).expect("the folder of behaviours");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.iter().map(|path| Topic::read(path).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn chosen(topic: &Topic, behaviour: &Behaviour) -> bool {
    let word = env::var("WAYSIDE_BEHAVIOURS").unwrap_or_default();
    format!("{}: {}", topic.name, behaviour.name).contains(&word)
}

fn guests(topics: &[Topic]) -> Guests {
    let names: std::collections::BTreeSet<String> = topics.iter().flat_map(Topic::guests).collect();
    let probes = Path::new(env!("CARGO_MANIFEST_DIR")).join("probes");
    let build = |name: String| {
        let guest = Guest::package("wayside-probes").example(&name).manifest_dir(&probes);
        let artifact = guest.build().unwrap_or_else(|error| panic!("{error}"));
        (name, artifact.path)
    };
    names.into_iter().map(build).collect()
}

/// What Envoy did, by the behaviour's name.
fn expected(topic: &Topic) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join(format!("{}.seen.txt", topic.name))).unwrap_or_default();
    let mut sections = BTreeMap::new();
    for section in text.split("== ").skip(1) {
        let (name, rest) = section.split_once('\n').unwrap_or((section, ""));
        sections.insert(name.to_owned(), format!("{}\n", rest.trim_end()));
    }
    sections
}

fn write(topic: &Topic, sections: &BTreeMap<String, String>) {
    let mut text =
        "Written from the real Envoy 1.40 by UPDATE_EXPECT=1 cargo test -p wayside behaviours\n".to_owned();
    for behaviour in &topic.behaviours {
        if let Some(seen) = sections.get(&behaviour.name) {
            let _ = write!(text, "\n== {}\n{seen}", behaviour.name);
        }
    }
    fs::write(folder().join(format!("{}.seen.txt", topic.name)), text).expect("the folder is ours");
}

#[test]
fn the_host_does_what_the_real_envoy_was_seen_to_do() {
    let topics = topics();
    let guests = guests(&topics);
    let mut wrong = Vec::new();
    let mut count = 0;
    for topic in &topics {
        let expected = expected(topic);
        let behaviours = topic.behaviours.iter().filter(|behaviour| chosen(topic, behaviour));
        for behaviour in behaviours {
            count += 1;
            let title = format!("{}: {}", topic.name, behaviour.name);
            let Some(expected) = expected.get(&behaviour.name) else {
                wrong.push(format!(
                    "{title}\nis not in {}.seen.txt: UPDATE_EXPECT=1, with an Envoy",
                    topic.name
                ));
                continue;
            };
            let seen = match parity::in_host(&topic.name, behaviour, &MODULES, &guests) {
                Ok((seen, _)) => seen.text(),
                Err(error) => format!("{error}\n"),
            };
            let difference = parity::difference(&expected, &seen);
            match (&behaviour.host_differs, difference) {
                (None, Some(difference)) => wrong.push(format!("{title}\n{difference}")),
                (Some(_), None) => wrong.push(format!("{title}\nhas a host_differs, and does not differ")),
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
        if env::var("WAYSIDE_BEHAVIOURS").is_err() {
            let known: Vec<&str> = topic.behaviours.iter().map(|behaviour| &behaviour.name[..]).collect();
            let stale = expected.keys().filter(|name| !known.contains(&&name[..]));
            wrong.extend(
                stale.map(|name| format!("{}.seen.txt has {name:?}, which is no behaviour", topic.name)),
            );
        }
    }
    assert!(wrong.is_empty(), "{} of {count} behaviours:\n\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_real_envoy_does_what_it_was_seen_to_do() {
    let Some(binary) = crate::parity::envoy::binary() else { return };
    let topics = topics();
    let guests = guests(&topics);
    let mut all = Vec::new();
    for topic in &topics {
        let behaviours = topic.behaviours.iter().filter(|behaviour| chosen(topic, behaviour));
        all.extend(behaviours.map(|behaviour| (topic, behaviour)));
    }
    let named: Vec<(&str, &Behaviour)> =
        all.iter().map(|(topic, behaviour)| (&topic.name[..], *behaviour)).collect();
    let seen = parity::in_envoy(&binary, &named, &guests).await;
    let update = env::var("UPDATE_EXPECT").is_ok_and(|value| value == "1");
    let mut wrong = Vec::new();
    for topic in &topics {
        let mut sections = expected(topic);
        for ((_, behaviour), seen) in all.iter().zip(&seen).filter(|((of, _), _)| of.name == topic.name) {
            let title = format!("{}: {}", topic.name, behaviour.name);
            let text = match seen {
                Ok(seen) => seen.text(),
                Err(error) => {
                    wrong.push(format!("{title}\n{error}"));
                    continue;
                }
            };
            if update {
                sections.insert(behaviour.name.clone(), text);
            } else {
                let known = sections.get(&behaviour.name).map(String::as_str).unwrap_or_default();
                wrong.extend(
                    parity::difference(known, &text).map(|difference| format!("{title}\n{difference}")),
                );
            }
        }
        if update {
            write(topic, &sections);
        }
    }
    assert!(wrong.is_empty(), "{} of {} behaviours:\n\n{}", wrong.len(), all.len(), wrong.join("\n"));
    crate::parity::say(&format!("{} behaviours seen in Envoy", all.len()));
}
