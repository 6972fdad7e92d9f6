//! TRAPS.md names a test for each row, and what no behaviour can show is here.

use crate::behaviours;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use wayside::scenario;
use wayside::trace::AT_START;
use wayside_sdk::native::{Imports, Vm};
use wayside_sdk_guests::{kept, logs};

/// What a row names, in backticks: a file that must not compile, a behaviour, or a test of this file.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn wrong(name: &str, behaviours: &BTreeSet<String>, tests: &str) -> Option<String> {
    let forbidden = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/tests/forbidden");
    let there = if name.ends_with(".rs") {
        forbidden.join(name).is_file() && forbidden.join(name).with_extension("stderr").is_file()
    } else if let Some(test) = name.strip_prefix("traps::") {
        tests.contains(&format!("#[test]\nfn {test}()"))
    } else {
        behaviours.contains(name)
    };
    (!there).then(|| format!("{name:?} is not there"))
}

#[test]
fn each_row_names_what_shows_it() {
    if std::env::var_os("WAYSIDE_BEHAVIOURS").is_some() {
        return;
    }
    let mut seen = BTreeSet::new();
    for topic in behaviours::topics() {
        seen.extend(behaviours::expected(&topic).into_keys().map(|name| format!("{}: {name}", topic.name)));
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("TRAPS.md")).expect("the page");
    let tests = fs::read_to_string(here.join("tests/it/traps.rs")).expect("this file");
    let (mut rows, mut found) = (0, Vec::new());
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [what, forbidden, shown] = cells[..] else { panic!("three cells: {row}") };
        if forbidden.contains("does not compile") {
            continue;
        }
        rows += 1;
        if named(row).next().is_none() {
            found.push(format!("{what}: nothing shows it"));
        }
        let all = named(forbidden).chain(named(shown));
        found.extend(all.filter_map(|name| Some(format!("{what}: {}", wrong(name, &seen, &tests)?))));
    }
    assert!(rows > 30, "{rows}");
    assert!(found.is_empty(), "{}", found.join("\n"));
    // And the other way round: nothing is forbidden that no row tells of.
    for file in fs::read_dir(here.join("guests/tests/forbidden")).expect("the folder") {
        let name = file.expect("an entry").file_name().into_string().expect("text");
        assert!(name.ends_with(".stderr") || page.contains(&format!("`{name}`")), "no row names {name}");
    }
}

#[test]
fn no_hostcall_is_made_before_a_callback() {
    let drill = "headers can be read when the stream is over and not written before it is answered";
    let ledger = behaviours::ledger("phases", drill);
    assert!(ledger.answers.keys().any(|(_, callback)| *callback == "on_request_headers"));
    let early: Vec<_> = ledger.answers.keys().filter(|(_, callback)| *callback == AT_START).collect();
    assert!(early.is_empty(), "{early:?}");
}

#[test]
fn a_series_is_defined_once() {
    let name = "a series is defined when it is first counted and never again";
    let runs = behaviours::ledger("labels", name).runs;
    let defined = runs.iter().filter(|((_, callback), _)| *callback == "on_request_headers");
    let defined = defined.flat_map(|(_, made)| made).map(|(made, times)| {
        made.hostcalls.get("proxy_define_metric").copied().unwrap_or_default().saturating_mul(*times)
    });
    assert_eq!(defined.sum::<u64>(), 2, "three requests, two series");
}

const HEARD: &str = "
about: A filter that writes records in every phase.
chain: [{ module: logs, config: { key: s3cret } }]
exchanges: [{ request: GET /books, times: 20 }]
";

#[test]
fn filters_on_several_threads_do_not_meet() {
    let stories: Vec<String> = std::thread::scope(|scope| {
        let run = || {
            let replay = scenario::natively(HEARD, &[("logs", logs::wayside_vm)]).expect("a scenario");
            format!("{:?}", replay.outcomes().collect::<Vec<_>>())
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(stories[0].contains("another one"));
    assert!(stories.iter().all(|story| *story == stories[0]));
}

/// A host that calls back while it is called, as Envoy never does and others do.
struct Nesting {
    vm: RefCell<Option<Rc<Vm>>>,
    nested: Cell<u32>,
    deep: Cell<bool>,
}

struct Nested(Rc<Nesting>);

impl Imports for Nested {
    fn call(&self, import: &'static str, _: &[u64]) -> u32 {
        let vm = self.0.vm.borrow().clone();
        let Some(vm) = vm.filter(|_| !self.0.deep.get() && import != "proxy_log") else { return 12 };
        self.0.deep.set(true);
        let again: Rc<dyn Imports> = Rc::new(Nested(self.0.clone()));
        let answer = vm.enter(again, |callbacks| {
            callbacks.on_http_call_response(1, 7, 0, 0, 0);
            callbacks.on_request_headers(2, 1, false);
            callbacks.on_context_create(3, 1);
            callbacks.on_request_body(3, 0, true);
            callbacks.on_log(3);
            callbacks.on_delete(3);
            callbacks.on_tick(1);
        });
        assert!(answer.is_ok(), "{import}");
        self.0.deep.set(false);
        self.0.nested.set(self.0.nested.get().saturating_add(1));
        12
    }
}

#[test]
fn a_callback_within_a_hostcall_finds_nothing_borrowed() {
    let host = Rc::new(Nesting { vm: RefCell::default(), nested: Cell::new(0), deep: Cell::new(false) });
    let vm = Rc::new(Vm::new(kept::wayside_vm));
    host.vm.replace(Some(vm.clone()));
    let imports: Rc<dyn Imports> = Rc::new(Nested(host.clone()));
    let answer = vm.enter(imports, |callbacks| {
        callbacks.on_context_create(1, 0);
        callbacks.on_configure(1, 2);
        callbacks.on_context_create(2, 1);
        callbacks.on_request_headers(2, 1, false);
        callbacks.on_request_body(2, 3, true);
        callbacks.on_response_headers(2, 1, true);
        callbacks.on_tick(1);
        callbacks.on_log(2);
        callbacks.on_delete(2);
        callbacks.on_delete(1);
    });
    assert!(answer.is_ok());
    assert!(host.nested.get() > 3, "{}", host.nested.get());
    host.vm.replace(None);
}
