//! What runs out next in each phase of a stream.

use super::*;
use proptest::prelude::*;

const fn at(millis: u64) -> Monotonic {
    Monotonic::at(Duration::from_millis(millis))
}

const fn ms(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

fn watch(phases: Phases) -> Watch {
    Watch::new(phases, at(1000), Some(at(2000)))
}

#[test]
fn each_phase_has_its_own_limits_and_the_first_to_run_out_counts() {
    let phases = Phases {
        upload: ms(300),
        request_idle: ms(100),
        first_byte: ms(200),
        response_idle: ms(150),
        total: ms(900),
    };
    let mut watch = watch(phases);
    assert_eq!(watch.next(), Some((at(1100), Limit::RequestIdle)));
    watch.sent = at(1090);
    assert_eq!(watch.next(), Some((at(1190), Limit::RequestIdle)));
    watch.sent = at(1250);
    assert_eq!(watch.next(), Some((at(1300), Limit::Upload)));
    watch.uploaded = true;
    assert_eq!(watch.next(), Some((at(1450), Limit::FirstByte)));
    watch.answered = Some(at(1400));
    assert_eq!(watch.next(), Some((at(1550), Limit::ResponseIdle)));
    watch.answered = Some(at(1800));
    assert_eq!(watch.next(), Some((at(1900), Limit::Total)));
    watch.over = true;
    assert_eq!(watch.next(), None);
}

#[test]
fn the_deadline_holds_until_the_answer_begins_and_beyond_only_if_it_is_hard() {
    let mut watch = watch(Phases::default());
    assert_eq!(watch.next(), Some((at(2000), Limit::Request)));
    watch.uploaded = true;
    assert_eq!(watch.next(), Some((at(2000), Limit::Upstream)));
    assert_eq!((watch.due(at(1999)), watch.due(at(2000))), (None, Some(Limit::Upstream)));
    watch.grace = Duration::from_millis(5);
    assert_eq!((watch.due(at(2004)), watch.due(at(2005))), (None, Some(Limit::Upstream)));
    watch.answered = Some(at(1500));
    assert_eq!(watch.next(), None);
    watch.hard = true;
    assert_eq!(watch.next(), Some((at(2000), Limit::Response)));
}

#[test]
fn to_12_an_exempt_stream_outlives_timeout_and_total_and_a_silent_one_is_ended() {
    let phases = Phases { response_idle: ms(100), total: ms(500), ..Phases::default() };
    let mut watch = watch(phases);
    (watch.uploaded, watch.hard) = (true, true);
    watch.answered = Some(at(1050));
    watch.exempt(None);
    for minute in 1..60 {
        watch.answered = Some(at(minute * 60_000));
        assert_eq!(watch.due(at(minute * 60_000 + 99)), None);
    }
    assert_eq!(watch.next(), Some((at(59 * 60_000 + 100), Limit::ResponseIdle)));
    watch.exempt(Some(at(4_000_000)));
    watch.answered = Some(at(3_999_950));
    assert_eq!(watch.next(), Some((at(4_000_000), Limit::Response)), "the caller's own deadline stays");
}

#[test]
fn every_limit_has_a_label_and_details_of_its_own() {
    use Limit::{FirstByte, Request, RequestIdle, Response, ResponseIdle, Total, Upload, Upstream};
    let all = [Request, Upstream, Response, Upload, RequestIdle, FirstByte, ResponseIdle, Total];
    let mut labels = all.map(Limit::label).to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), all.len());
    assert!(all.iter().all(|limit| limit.details().starts_with("timeout.")));
}

proptest! {
    /// Asked at every step of a random stream, the answer is the least of the limits that hold in its phase.
    #[test]
    fn nothing_runs_out_before_the_limit_that_is_next_nor_later(
        limits in prop::array::uniform5(prop::option::of(1..2000_u64)),
        deadline in prop::option::of(1..2000_u64),
        hard: bool,
        steps in prop::collection::vec((0..4_u8, 0..300_u64), 0..12),
    ) {
        let [upload, request_idle, first_byte, response_idle, total] = limits.map(|limit| limit.map(Duration::from_millis));
        let phases = Phases { upload, request_idle, first_byte, response_idle, total };
        let start = at(1000);
        let mut watch = Watch::new(phases, start, deadline.map(|d| start.plus(Duration::from_millis(d))));
        watch.hard = hard;
        let mut now = start;
        for (what, millis) in steps {
            now = now.plus(Duration::from_millis(millis));
            match what {
                0 if watch.answered.is_none() => watch.sent = now,
                1 if watch.answered.is_none() => (watch.sent, watch.uploaded) = (now, true),
                2 => watch.answered = Some(now),
                _ => {}
            }
            let mut least: Option<Monotonic> = None;
            let mut holds = |from: Monotonic, limit: Option<Duration>| {
                if let Some(limit) = limit {
                    let end = from.plus(limit);
                    least = Some(least.map_or(end, |least| least.min(end)));
                }
            };
            holds(start, total);
            match (watch.answered, watch.uploaded) {
                (Some(last), _) => {
                    holds(last, response_idle);
                    if hard { holds(start, deadline.map(Duration::from_millis)) }
                }
                (None, uploaded) => {
                    holds(start, deadline.map(Duration::from_millis));
                    if uploaded { holds(watch.sent, first_byte) } else { holds(start, upload); holds(watch.sent, request_idle) }
                }
            }
            prop_assert_eq!(watch.next().map(|(when, _)| when), least);
        }
    }
}
