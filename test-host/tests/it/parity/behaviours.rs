//! `tests/data/behaviours`: what the real Envoy did with each (`<topic>.seen.txt`), and what the host does.
//!
//! `UPDATE_EXPECT=1` writes the `.seen.txt` from an Envoy; without one, nothing does. `WAYSIDE_BEHAVIOURS=word` runs those
//! whose `<topic>: <name>` holds the word.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use wayside::{
    build::Guest,
    parity::{self, Behaviour, Guests, Topic},
    trace::Ledger,
};

use crate::support::MODULES;

/// Fewer would mean that the comparison lost its subject.
const AT_LEAST: usize = 1000;
/// Hosts that run at once.
const THREADS: usize = 2;

/// A behaviour with what came of it in the host.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) topic: String,
    pub(crate) behaviour: Behaviour,
    /// What Envoy did: its section in `<topic>.seen.txt`.
    pub(crate) expected: Option<String>,
    /// How the host differs from it.
    pub(crate) difference: Option<String>,
    pub(crate) ledger: Ledger,
}

impl Ran {
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.topic, self.behaviour.name)
    }

    /// The host did as Envoy.
    pub(crate) fn agrees(&self) -> bool {
        self.expected.is_some() && self.difference.is_none()
    }
}

static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(topics);
static GUESTS: LazyLock<Guests> = LazyLock::new(|| guests(&TOPICS));
/// All behaviours in the host, whatever is chosen: more than one test reads them.
pub(crate) static RUNS: LazyLock<Vec<Ran>> = LazyLock::new(|| run_all(|_| true));

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

fn word() -> Option<String> {
    env::var("WAYSIDE_BEHAVIOURS").ok().filter(|word| !word.is_empty())
}

fn is_chosen(title: &str) -> bool {
    word().is_none_or(|word| title.contains(&word))
}

fn guests(topics: &[Topic]) -> Guests {
    let names: BTreeSet<String> = topics.iter().flat_map(Topic::guests).collect();
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
    for section in text.split("\n== ").skip(1) {
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

/// Runs behaviours in the host, a few at once; in their order.
fn run_all(chosen: impl Fn(&str) -> bool) -> Vec<Ran> {
    let mut runs: Vec<Ran> = Vec::new();
    for topic in &*TOPICS {
        let mut expected = expected(topic);
        for behaviour in &topic.behaviours {
            let (topic, behaviour) = (topic.name.clone(), behaviour.clone());
            let expected = expected.remove(&behaviour.name);
            runs.push(Ran { topic, behaviour, expected, difference: None, ledger: Ledger::default() });
        }
    }
    runs.retain(|ran| chosen(&ran.title()));
    let share = runs.len().div_ceil(THREADS).max(1);
    LazyLock::force(&GUESTS);
    std::thread::scope(|scope| {
        for runs in runs.chunks_mut(share) {
            scope.spawn(|| runs.iter_mut().for_each(run));
        }
    });
    runs
}

fn run(ran: &mut Ran) {
    let seen = match parity::in_host(&ran.topic, &ran.behaviour, &MODULES, &GUESTS) {
        Ok((seen, ledger)) => {
            ran.ledger = ledger;
            seen.text()
        }
        Err(error) => format!("{error}\n"),
    };
    let expected = ran.expected.as_deref().unwrap_or_default();
    ran.difference = parity::difference(expected, &seen);
}

#[test]
fn the_host_does_what_the_real_envoy_was_seen_to_do() {
    let some = word().map(|_| run_all(is_chosen));
    let runs = some.as_ref().unwrap_or(&RUNS);
    let mut wrong: Vec<String> = runs.iter().filter_map(not_as_expected).collect();
    for topic in &*TOPICS {
        let known: BTreeSet<&str> = topic.behaviours.iter().map(|behaviour| &behaviour.name[..]).collect();
        let sections = expected(topic);
        let stale = sections.keys().filter(|name| !known.contains(&&name[..]));
        wrong
            .extend(stale.map(|name| format!("{}.seen.txt has {name:?}, which is no behaviour", topic.name)));
    }
    assert!(wrong.is_empty(), "{} of {} behaviours:\n\n{}", wrong.len(), runs.len(), wrong.join("\n"));
    assert!(word().is_some() || runs.len() >= AT_LEAST, "{} behaviours, expected {AT_LEAST}", runs.len());
    crate::parity::say(&format!(
        "{} behaviours: the host does what the real Envoy was seen to do",
        runs.len()
    ));
}

fn not_as_expected(ran: &Ran) -> Option<String> {
    let title = ran.title();
    match (&ran.expected, &ran.behaviour.host_differs, &ran.difference) {
        (None, ..) => {
            Some(format!("{title}\nis not in {}.seen.txt: UPDATE_EXPECT=1, with an Envoy", ran.topic))
        }
        (_, None, Some(difference)) => Some(format!("{title}\n{difference}")),
        (_, Some(_), None) => Some(format!("{title}\nhas a host_differs, and does not differ")),
        (_, None, None) | (_, Some(_), Some(_)) => None,
    }
}

#[tokio::test]
async fn the_real_envoy_does_what_it_was_seen_to_do() {
    let Some(binary) = crate::parity::envoy::binary() else { return };
    let all: Vec<(&Topic, &Behaviour)> = TOPICS
        .iter()
        .flat_map(|topic| topic.behaviours.iter().map(move |behaviour| (topic, behaviour)))
        .filter(|(topic, behaviour)| is_chosen(&title(topic, behaviour)))
        .collect();
    let mut seen = in_envoy(&binary, &all).await;
    if env::var("UPDATE_EXPECT").is_ok_and(|value| value == "1") {
        return update(&all, &seen);
    }
    let known: BTreeMap<&str, BTreeMap<String, String>> =
        TOPICS.iter().map(|topic| (&topic.name[..], expected(topic))).collect();
    let differs = |(topic, behaviour): (&Topic, &Behaviour), seen: &Result<String, String>| match seen {
        Err(error) => Some(error.clone()),
        Ok(text) => {
            let known = known.get(&topic.name[..]).and_then(|sections| sections.get(&behaviour.name));
            parity::difference(known.map(String::as_str).unwrap_or_default(), text)
        }
    };
    // On a machine that does much else, a timer may come late: what differs is run once more, and told.
    let again: Vec<usize> = (0..all.len()).filter(|at| differs(all[*at], &seen[*at]).is_some()).collect();
    if !again.is_empty() {
        let once_more: Vec<_> = again.iter().map(|at| all[*at]).collect();
        for (at, text) in again.iter().zip(in_envoy(&binary, &once_more).await) {
            seen[*at] = text;
        }
    }
    let wrong = all.iter().zip(&seen).filter_map(|(of, seen)| {
        differs(*of, seen).map(|difference| format!("{}\n{difference}", title(of.0, of.1)))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {} behaviours:\n\n{}", wrong.len(), all.len(), wrong.join("\n"));
    let again = again.len();
    crate::parity::say(&format!(
        "{} behaviours: the real Envoy does what it was seen to do ({again} in a second run)",
        all.len()
    ));
}

fn title(topic: &Topic, behaviour: &Behaviour) -> String {
    format!("{}: {}", topic.name, behaviour.name)
}

async fn in_envoy(binary: &Path, all: &[(&Topic, &Behaviour)]) -> Vec<Result<String, String>> {
    let named: Vec<(&str, &Behaviour)> =
        all.iter().map(|(topic, behaviour)| (&topic.name[..], *behaviour)).collect();
    let seen = parity::in_envoy(binary, &named, &GUESTS).await;
    seen.into_iter().map(|seen| seen.map(|seen| seen.text())).collect()
}

/// Writes what Envoy did. What could not be run keeps what stood there, and fails the test.
fn update(all: &[(&Topic, &Behaviour)], seen: &[Result<String, String>]) {
    let mut wrong = Vec::new();
    for topic in &*TOPICS {
        let mut sections = expected(topic);
        for ((_, behaviour), seen) in all.iter().zip(seen).filter(|((of, _), _)| of.name == topic.name) {
            match seen {
                Ok(text) => drop(sections.insert(behaviour.name.clone(), text.clone())),
                Err(error) => wrong.push(format!("{}\n{error}", title(topic, behaviour))),
            }
        }
        write(topic, &sections);
    }
    assert!(wrong.is_empty(), "{} of {} behaviours:\n\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

fn refused(yaml: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder for the topic");
    let path = folder.path().join("topic.yaml");
    fs::write(&path, yaml).expect("the folder is ours");
    let error = Topic::read(&path).expect_err("it is no topic");
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    error
}

#[test]
fn a_behaviour_that_is_not_understood_is_refused_with_file_place_and_field() {
    let error = refused("- name: a\n  requests:\n    - { methd: GET }\n");
    assert!(error.contains("methd") && error.contains("line 3"), "{error}");
    let error = refused("- name: a\n  filters: [{ script: x, configuration: y }]\n");
    assert!(error.contains("\"a\": filters[0]: found script and configuration"), "{error}");
    let error = refused("- name: a\n- name: a\n");
    assert!(error.contains("\"a\": name: stands there twice"), "{error}");
    let error = refused("- name: a\n  host_differs: ' '\n");
    assert!(error.contains("\"a\": host_differs: expected a reason"), "{error}");
}
