//! What is promised, case by case and at random.

use super::world::{Manner, Step, TICK, World};
use crate::jwks::{Flaw, Terms, Wanted};
use proptest::prelude::*;
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const TERMS: Terms = Terms {
    refresh: seconds(600),
    min_refetch: seconds(30),
    timeout: seconds(2),
    stale_if_error: seconds(86_400),
};

const BRIEF: Terms = Terms { refresh: seconds(60), stale_if_error: seconds(120), ..TERMS };

/// A proxy of four workers that has its keys.
fn started(terms: Terms) -> World {
    let world = World::new(terms, 4);
    world.pass(3 * TICK);
    assert_eq!((0..4).map(|worker| world.holds(worker)).collect::<Vec<_>>(), [Some(1); 4]);
    world
}

fn fetches(world: &World) -> usize {
    world.witness.borrow().sent.len()
}

#[test]
fn at_the_start_one_worker_fetches_for_all() {
    assert_eq!(fetches(&started(TERMS)), 1);
}

#[test]
fn au_11_ten_thousand_unknown_keys_have_the_provider_asked_once_in_min_refetch() {
    let world = started(TERMS);
    for index in 0..10_000 {
        let (admitted, _) = world.request(index % 4, None);
        assert!(!admitted);
        world.pass(30);
    }
    let sent: Vec<u64> = world.witness.borrow().sent.iter().map(|sent| sent.at).collect();
    assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 30_000), "{sent:?}");
    assert_eq!(sent.len(), 1 + 300 / 30, "{sent:?}");
}

#[test]
fn au_11_a_storm_does_not_ask_a_provider_that_is_down_more_often_either() {
    let calm = started(TERMS);
    let stormy = started(TERMS);
    for world in [&calm, &stormy] {
        world.provider(Manner::Status(500));
    }
    calm.pass(3_000_000);
    for index in 0..30_000 {
        assert!(stormy.request(index % 4, Some(0)).0, "a known key, while the provider is down");
        stormy.request(index % 4, None);
        stormy.pass(100);
    }
    stormy.check_fetches();
    assert!(fetches(&stormy) <= 1 + 3_000 / 30, "{}", fetches(&stormy));
    let asked = |world: &World| world.witness.borrow().sent.iter().filter(|sent| sent.asked).count();
    assert_eq!(asked(&calm), 0);
    assert!(asked(&stormy) > 50, "else the storm was none");
}

#[test]
fn au_11_without_any_keys_the_pauses_double_and_a_storm_shortens_none_below_min_refetch() {
    for storm in [false, true] {
        let world = World::new(TERMS, 4);
        world.provider(Manner::Status(503));
        for index in 0..3_000 {
            if storm {
                world.request(index % 4, Some(0));
            }
            world.pass(100);
        }
        let sent: Vec<u64> = world.witness.borrow().sent.iter().map(|sent| sent.at).collect();
        let gaps: Vec<u64> = sent.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
        match storm {
            false => assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 60, 60, 60], "{sent:?}"),
            true => assert_eq!(gaps, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30, 30], "{sent:?}"),
        }
    }
}

#[test]
fn au_11_a_rotation_with_overlap_refuses_nobody() {
    // The provider shows a new key before it signs with it: whoever still uses the last one is good until the next refresh.
    let world = started(TERMS);
    world.rotate();
    world.pass(599_000);
    assert!((0..4).all(|worker| world.request(worker, Some(0)).0), "refreshed, and nobody had to ask");
    assert_eq!(fetches(&world), 2);
}

#[test]
fn au_11_a_rotation_without_notice_costs_one_fetch_and_a_wait() {
    let world = started(TERMS);
    world.pass(60_000);
    world.rotate();
    let (admitted, wanted) = world.request(2, Some(0));
    assert!(!admitted && matches!(wanted, Some(Wanted::Fetch(_))), "{wanted:?}");
    let (_, wanted) = world.request(1, Some(0));
    assert_eq!(wanted, Some(Wanted::UnderWay), "in another worker, and it may wait too");
    world.pass(50);
    assert!((0..4).all(|worker| world.request(worker, Some(0)).0), "at once, without waiting for a tick");
    assert!((0..4).all(|worker| !world.request(worker, Some(1)).0), "the key that was removed is gone");
    assert_eq!(fetches(&world), 2);
}

#[test]
fn a_removed_key_is_gone_with_the_next_look_of_each_worker() {
    let world = started(TERMS);
    world.rotate();
    world.pass(541_000);
    while fetches(&world) == 1 {
        world.pass(100);
    }
    world.pass(50 + TICK);
    assert_eq!((0..4).map(|worker| world.holds(worker)).collect::<Vec<_>>(), [Some(2); 4]);
}

#[test]
fn au_11_lies_change_nothing_until_stale_if_error_and_then_nobody_passes() {
    let lies = [
        (Manner::Status(500), Flaw::Status),
        (Manner::Status(204), Flaw::Status),
        (Manner::Status(304), Flaw::Status),
        (Manner::Status(302), Flaw::Status),
        (Manner::Status(503), Flaw::Unreachable),
        (Manner::Junk, Flaw::Unusable),
        (Manner::Empty, Flaw::Unusable),
        (Manner::Huge, Flaw::TooLarge),
        (Manner::Silent, Flaw::Unreachable),
    ];
    for (manner, flaw) in lies {
        let world = started(BRIEF);
        world.provider(manner);
        while world.now() < 180_000 {
            assert!((0..4).all(|worker| world.request(worker, Some(0)).0), "{manner:?} at {}", world.now());
            world.pass(500);
        }
        world.pass(2 * TICK);
        assert!((0..4).all(|worker| !world.request(worker, Some(0)).0), "{manner:?}");
        let flaws = world.witness.borrow().flaws.clone();
        assert!(flaws.len() >= 4 && flaws.iter().all(|found| *found == flaw), "{manner:?}: {flaws:?}");
        world.check_fetches();
        world.recovers();
    }
}

#[test]
fn a_worker_that_dies_while_it_fetches_is_replaced_by_whoever_looks_next() {
    let world = World::new(TERMS, 4);
    world.run(Step::Provider { manner: Manner::Honest, millis: 500 });
    world.pass(200);
    assert_eq!(fetches(&world), 1);
    world.run(Step::Lose { worker: 0 });
    world.pass(3_000);
    assert_eq!(world.holds(1), None);
    world.pass(3_000);
    assert_eq!((0..4).map(|worker| world.holds(worker)).collect::<Vec<_>>(), [Some(1); 4]);
    assert_eq!(fetches(&world), 2);
}

#[test]
fn a_worker_that_comes_later_takes_the_keys_over_without_a_fetch() {
    let world = started(TERMS);
    world.run(Step::Lose { worker: 3 });
    assert!(world.request(3, Some(0)).0);
    assert_eq!(fetches(&world), 1);
}

fn step() -> impl Strategy<Value = Step> {
    let manner = prop_oneof![
        4 => Just(Manner::Honest),
        1 => prop::sample::select(vec![204, 302, 404, 500, 503, 504]).prop_map(Manner::Status),
        1 => Just(Manner::Junk),
        1 => Just(Manner::Empty),
        1 => Just(Manner::Huge),
        1 => Just(Manner::Silent),
    ];
    prop_oneof![
        6 => (0..9_000_u64).prop_map(|millis| Step::Pass { millis }),
        3 => (9_000..100_000_u64).prop_map(|millis| Step::Pass { millis }),
        6 => (0..4_usize, prop::option::of(0..3_u64))
            .prop_map(|(worker, age)| Step::Request { worker, age }),
        2 => Just(Step::Rotate),
        3 => (manner, 0..8_000_u64).prop_map(|(manner, millis)| Step::Provider { manner, millis }),
        1 => (0..4_usize).prop_map(|worker| Step::Lose { worker }),
        3 => (0..4_usize, any::<bool>()).prop_map(|(worker, wants)| Step::Meddle { worker, wants }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn au_11_whatever_happens_fetches_are_few_and_keys_are_the_provider_s(
        workers in 1..5_usize,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let world = World::new(BRIEF, workers);
        for step in steps {
            world.run(step);
            world.check_fetches();
        }
        world.recovers();
    }

    #[test]
    fn with_a_board_that_fails_now_and_then_too(
        workers in 1..5_usize,
        steps in prop::collection::vec(
            prop_oneof![6 => step(), 1 => (1..6_u8).prop_map(|calls| Step::Trouble { calls })], 0..60,
        ),
    ) {
        let world = World::new(BRIEF, workers);
        for step in steps {
            world.run(step);
            world.check_fetches();
        }
        world.recovers();
    }
}
