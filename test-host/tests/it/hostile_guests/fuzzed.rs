//! What the fuzzers run, in bounded time: their corpus, and as many cases of chance, from a fixed seed.

use std::{fs, path::Path};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

use super::generated;

/// The same cases each time, on every machine.
fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|file| file.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")));
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a corpus file can be read")).collect()
}

#[test]
fn no_hostcall_with_any_arguments_breaks_the_host() {
    let bytes = prop::collection::vec(any::<u8>(), 200..2000);
    let run = |bytes: Vec<u8>| {
        generated::hostcalls(&bytes);
        Ok(())
    };
    if let Err(TestError::Fail(why, bytes)) = runner(100).run(&bytes, run) {
        panic!("{why}\n{}", generated::described(&bytes));
    }
}

#[test]
fn what_the_hostcall_fuzzer_found_worth_keeping_breaks_nothing() {
    for bytes in corpus("hostcalls") {
        generated::hostcalls(&bytes);
    }
}

#[test]
fn no_damaged_module_breaks_the_host() {
    let whole = [corpus("modules"), generated::seeds()].concat();
    let damage = (0..whole.len(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8));
    let run = |(which, damage): (usize, Vec<(prop::sample::Index, u8)>)| {
        let mut wasm = whole[which].clone();
        for (at, byte) in damage {
            let at = at.index(wasm.len());
            wasm[at] = byte;
        }
        generated::module(&wasm);
        Ok(())
    };
    runner(80).run(&damage, run).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn what_the_module_fuzzer_found_worth_keeping_breaks_nothing() {
    for wasm in [corpus("modules"), generated::seeds()].concat() {
        generated::module(&wasm);
    }
}

#[test]
fn what_the_traffic_fuzzer_found_worth_keeping_breaks_nothing() {
    for bytes in corpus("traffic") {
        generated::traffic(&bytes);
    }
}
