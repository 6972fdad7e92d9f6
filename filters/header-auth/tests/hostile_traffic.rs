//! AU-13: bytes of chance in headers, paths, queries, cookies and tokens, through the module and through the filter as Rust; AU-15: the same
//! while the configuration changes.

mod generated;

use arbitrary::Unstructured;
use generated::Guarded;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// At once, in one proxy.
const BATCH: usize = 2000;

/// How many of these bytes make one request.
const BYTES: usize = 96;

#[expect(clippy::print_stdout, reason = "how much was sent, for who runs it longer")]
fn run(guarded: &Guarded, requests: usize, seed: u64) {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let (mut sent, mut passed) = (0, 0);
    while sent < requests {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            let mut bytes = [0; BYTES];
            chance.fill_bytes(&mut bytes);
            batch.extend(guarded.requests.changed(&mut Unstructured::new(&bytes)));
        }
        let counted = guarded.check(&batch);
        sent += counted.sent;
        passed += counted.passed;
    }
    println!("{sent} requests, {passed} came to the upstream");
    // Chance that lets nobody in, or everybody, would show nothing.
    assert!(passed * 50 > sent && passed * 2 < sent, "{passed} of {sent} came to the upstream");
}

/// `WAYSIDE_FUZZ_REQUESTS=10000000` makes it as many.
fn requests(few: usize) -> usize {
    std::env::var("WAYSIDE_FUZZ_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

#[test]
fn au_13_no_bytes_trap_the_module_or_get_past_it() {
    let module = wayside::build::here().unwrap_or_else(|error| panic!("{error}"));
    run(&Guarded::module(module.path), requests(20_000), 1);
}

#[test]
fn au_13_no_bytes_stop_the_filter_as_rust_or_get_past_it() {
    run(&Guarded::rust(), requests(4_000), 2);
}

/// The oracle is no ornament: what the kit hands out gets in, and every request of its list fares as the list says.
#[test]
fn au_13_what_is_handed_out_gets_in() {
    let guarded = Guarded::rust();
    let good: Vec<_> = guarded.requests.believable().cloned().collect();
    let counted = guarded.check(&good);
    assert!(counted.passed * 10 > counted.sent * 7, "{counted:?}");
    let counted = guarded.check(&guarded.requests.all);
    assert!(counted.passed < counted.sent / 2, "{counted:?}");
}

/// Also what may be used once stays used, whichever configuration saw it.
#[test]
fn au_15_while_the_configuration_changes_nobody_else_passes_and_nobody_is_refused() {
    let guarded = Guarded::rust();
    let mut chance = ChaCha8Rng::seed_from_u64(15);
    let mut sent: Vec<_> = guarded.requests.all.clone();
    while sent.len() < BATCH {
        let mut bytes = [0; BYTES];
        chance.fill_bytes(&mut bytes);
        sent.extend(guarded.requests.changed(&mut Unstructured::new(&bytes)));
    }
    sent.extend(guarded.requests.all.clone());
    assert_eq!(guarded.check_while_it_changes(&sent, 31), guarded.check(&sent));
}
