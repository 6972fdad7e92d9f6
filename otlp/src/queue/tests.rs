//! The queue step by step, at exact times.

use super::*;

const TERMS: Terms = Terms {
    max_items: 8,
    max_bytes: 100,
    batch_items: 4,
    batch_bytes: 40,
    interval: Duration::from_secs(5),
    timeout: Duration::from_secs(10),
    max_attempts: 5,
};

fn at(millis: u64) -> Uptime {
    Uptime(Duration::from_millis(millis))
}

/// No jitter: the shortest of all times.
const NONE: Chance = Chance(0);

fn queue() -> Queue {
    Queue::new(TERMS, at(0), NONE)
}

fn record(queue: &mut Queue, items: &[(&str, Weight)]) -> bool {
    let mut full = false;
    for (item, weight) in items {
        full = queue.record(item.as_bytes().to_vec(), *weight);
    }
    full
}

fn sent(queue: &mut Queue, now: u64) -> Option<(Flight, Vec<String>)> {
    let batch = queue.next(at(now), NONE)?;
    let items = batch.items().map(|item| String::from_utf8(item.to_vec()).expect("a test's text"));
    Some((batch.flight, items.collect()))
}

use Weight::{Error, Ordinary};

#[test]
fn what_waits_is_sent_when_the_interval_is_over_and_a_full_batch_at_once() {
    let mut queue = queue();
    assert!(!record(&mut queue, &[("a", Ordinary)]));
    assert_eq!(sent(&mut queue, 4499), None);
    let (flight, items) = sent(&mut queue, 4500).expect("5 s less a tenth");
    assert_eq!(items, ["a"]);
    assert!(!queue.answered(flight, Verdict::Taken { rejected: 0 }, at(4600), NONE));
    assert!(record(&mut queue, &[("b", Ordinary), ("c", Ordinary), ("d", Ordinary), ("e", Ordinary)]));
    assert_eq!(sent(&mut queue, 4601).map(|(_, items)| items.len()), Some(4));
}

#[test]
fn a_batch_is_full_by_its_bytes_too() {
    let mut queue = queue();
    assert!(record(&mut queue, &[(&"a".repeat(30), Ordinary), (&"b".repeat(30), Ordinary)]));
    let (_, items) = sent(&mut queue, 1).expect("60 bytes wait");
    assert_eq!(items, ["a".repeat(30)], "both would be more than 40");
}

#[test]
fn a_pause_doubles_and_the_fifth_failure_is_the_last() {
    let mut queue = queue();
    record(&mut queue, &[("a", Ordinary)]);
    let mut now = 4500;
    // Half of 1, 2, 4, 8 s: chance took nothing off.
    for pause in [500, 1000, 2000, 4000] {
        let (flight, _) = sent(&mut queue, now).expect("it is due");
        assert!(!queue.answered(flight, Verdict::Later(None), at(now), NONE));
        assert_eq!(queue.wakes(), Some(at(now + pause)));
        assert_eq!(sent(&mut queue, now + pause - 1), None);
        now += pause;
    }
    let (flight, _) = sent(&mut queue, now).expect("the fifth time");
    queue.answered(flight, Verdict::Later(None), at(now), NONE);
    assert_eq!(queue.ledger().dropped_for(DropReason::Exhausted), 1);
    assert!(queue.is_empty());
}

#[test]
fn what_a_collector_asks_for_holds_for_every_batch_after_too() {
    let mut queue = Queue::new(Terms { max_attempts: 1, ..TERMS }, at(0), NONE);
    record(&mut queue, &[("a", Ordinary)]);
    let (flight, _) = sent(&mut queue, 4500).expect("it is due");
    record(&mut queue, &[("b", Ordinary); 4]);
    let asked = Some(Duration::from_secs(60));
    assert!(!queue.answered(flight, Verdict::Later(asked), at(4600), NONE));
    assert_eq!(queue.ledger().dropped_for(DropReason::Exhausted), 1);
    assert_eq!(sent(&mut queue, 64_599), None);
    assert_eq!(sent(&mut queue, 64_600).map(|(_, items)| items.len()), Some(4));
}

#[test]
fn nobody_is_waited_for_longer_than_ten_minutes() {
    assert_eq!(TERMS.pause(1, Some(Duration::MAX), NONE), terms::LONGEST_ASKED);
    assert_eq!(TERMS.pause(200, None, NONE), Duration::from_secs(15));
    assert!(TERMS.pause(200, None, Chance(255)) < Duration::from_secs(30));
}

#[test]
fn in_a_full_queue_errors_take_the_place_of_the_oldest_ordinary_items() {
    let mut queue = queue();
    for item in ["1", "2", "3", "4", "5", "6", "7"] {
        record(&mut queue, &[(item, Ordinary)]);
    }
    record(&mut queue, &[("e1", Error), ("8", Ordinary), ("e2", Error)]);
    assert_eq!(
        queue.ledger().dropped_for(DropReason::QueueFull),
        2,
        "8, which was new, and 1, which was oldest"
    );
    let (_, items) = sent(&mut queue, 1).expect("a full batch");
    assert_eq!(items, ["2", "3", "4", "5"]);
    // What is under way stays; behind it are 6, 7, e1, e2.
    record(&mut queue, &[("e3", Error), ("e4", Error), ("e5", Error)]);
    assert_eq!(queue.ledger().dropped_for(DropReason::QueueFull), 5, "6 and 7, and e5 for which nobody goes");
}

#[test]
fn nobody_goes_for_an_error_that_has_no_room_even_so() {
    let mut queue = queue();
    record(&mut queue, &[(&"e".repeat(39), Error), (&"f".repeat(39), Error), (&"o".repeat(10), Ordinary)]);
    record(&mut queue, &[(&"g".repeat(39), Error)]);
    assert_eq!((queue.len(), queue.ledger().dropped_for(DropReason::QueueFull)), (3, 1));
}

#[test]
fn an_item_that_is_more_than_a_batch_is_not_taken_in() {
    let mut queue = queue();
    record(&mut queue, &[(&"x".repeat(41), Error), (&"x".repeat(40), Ordinary)]);
    assert_eq!((queue.len(), queue.ledger().dropped_for(DropReason::TooLarge)), (1, 1));
}

#[test]
fn a_collector_that_rejects_more_than_it_was_sent_rejects_all() {
    let mut queue = queue();
    record(&mut queue, &[("a", Ordinary), ("b", Ordinary)]);
    let (flight, _) = sent(&mut queue, 4500).expect("it is due");
    queue.answered(flight, Verdict::Taken { rejected: u64::MAX }, at(4500), NONE);
    let ledger = queue.ledger();
    assert_eq!((ledger.exported, ledger.dropped_for(DropReason::Rejected)), (0, 2));
}

#[test]
fn an_answer_that_comes_after_it_was_given_up_changes_nothing() {
    let mut queue = queue();
    record(&mut queue, &[("a", Ordinary)]);
    let (slow, _) = sent(&mut queue, 4500).expect("it is due");
    assert_eq!(queue.wakes(), Some(at(19_500)), "10 s, and 5 s more");
    assert_eq!(sent(&mut queue, 19_500), None);
    assert!(!queue.answered(slow, Verdict::Taken { rejected: 0 }, at(19_600), NONE));
    assert_eq!((queue.ledger().exported, queue.len()), (0, 1));
    let (again, _) = sent(&mut queue, 20_000).expect("after half a second");
    queue.answered(again, Verdict::Taken { rejected: 0 }, at(20_100), NONE);
    assert!(!queue.answered(again, Verdict::Taken { rejected: 0 }, at(20_100), NONE), "told twice");
    assert_eq!(queue.ledger().exported, 1);
}

#[test]
fn whoever_ends_sends_all_it_has_and_drops_what_is_not_taken() {
    let mut queue = queue();
    record(
        &mut queue,
        &[("a", Ordinary), ("b", Ordinary), ("c", Ordinary), ("d", Ordinary), ("e", Ordinary)],
    );
    let (flight, _) = sent(&mut queue, 1).expect("a full batch");
    queue.answered(flight, Verdict::Later(Some(Duration::from_secs(300))), at(2), NONE);
    queue.end(at(3));
    let (flight, items) = sent(&mut queue, 3).expect("no pause any more");
    assert_eq!(items, ["a", "b", "c", "d"]);
    record(&mut queue, &[("late", Error)]);
    assert!(queue.answered(flight, Verdict::Later(None), at(4), NONE));
    let (flight, items) = sent(&mut queue, 4).expect("however few");
    assert_eq!(items, ["e"]);
    assert!(!queue.answered(flight, Verdict::Taken { rejected: 0 }, at(5), NONE));
    let ledger = queue.ledger();
    assert_eq!((ledger.exported, ledger.dropped_for(DropReason::Shutdown)), (1, 5));
    assert_eq!((queue.len(), queue.wakes()), (0, None));
}

#[test]
fn nobody_ends_later_than_twice_the_timeout() {
    let mut queue = queue();
    record(&mut queue, &[("a", Ordinary); 5]);
    queue.end(at(0));
    sent(&mut queue, 0).expect("all that is left");
    assert_eq!(queue.wakes(), Some(at(15_000)));
    assert_eq!(
        sent(&mut queue, 15_000).map(|(_, items)| items.len()),
        Some(1),
        "the first four are given up"
    );
    assert_eq!(queue.wakes(), Some(at(20_000)));
    assert_eq!(sent(&mut queue, 20_000), None);
    assert_eq!((queue.len(), queue.ledger().dropped_for(DropReason::Shutdown)), (0, 5));
}
