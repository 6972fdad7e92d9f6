//! What a collector's answers mean.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use wayside_otlp::{Answer, Encoding, Signal, Verdict};

/// Sun, 06 Nov 1994 08:49:37 GMT.
const NOW: Duration = Duration::from_secs(784_111_777);

fn verdict(status: u16, retry_after: Option<&str>, body: &[u8], encoding: Encoding) -> Verdict {
    let retry_after = retry_after.map(str::as_bytes);
    Answer::Came { status, retry_after, body }.verdict(Signal::Traces, encoding, NOW)
}

fn partial(rejected_spans: i64) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }
}

#[test]
fn only_four_statuses_are_tried_again() {
    let later = Verdict::Later(None);
    for status in 100..600 {
        let expected = match status {
            200..=299 => Verdict::Taken { rejected: 0 },
            429 | 502 | 503 | 504 => later,
            _ => Verdict::Refused,
        };
        assert_eq!(verdict(status, None, b"", Encoding::Protobuf), expected, "{status}");
    }
    assert_eq!(Answer::None.verdict(Signal::Traces, Encoding::Protobuf, NOW), later);
    assert_eq!(Answer::TooLong.verdict(Signal::Traces, Encoding::Protobuf, NOW), Verdict::Refused);
}

#[test]
fn a_collector_may_ask_for_time_in_seconds_or_until_a_date() {
    for (value, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
        ("Sun Nov  6 08:50:37 1994", Some(60)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("Wed, 31 Dec 1969 23:59:59 GMT", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
    ] {
        let expected = Verdict::Later(seconds.map(Duration::from_secs));
        assert_eq!(verdict(429, Some(value), b"", Encoding::Protobuf), expected, "{value}");
    }
}

#[test]
fn what_a_collector_rejects_is_counted() {
    for rejected in [0, 1, 300, i64::MAX] {
        let official = partial(rejected);
        let expected = Verdict::Taken { rejected: rejected.unsigned_abs() };
        assert_eq!(verdict(200, None, &official.encode_to_vec(), Encoding::Protobuf), expected);
        let json = serde_json::to_vec(&official).unwrap();
        assert_eq!(verdict(200, None, &json, Encoding::Json), expected, "{}", json.escape_ascii());
    }
    let number = br#"{"partialSuccess":{"rejectedSpans":12,"errorMessage":"x","more":[]},"y":null}"#;
    assert_eq!(verdict(200, None, number, Encoding::Json), Verdict::Taken { rejected: 12 });
    let nonsense = partial(-1).encode_to_vec();
    assert_eq!(verdict(200, None, &nonsense, Encoding::Protobuf), Verdict::Taken { rejected: 0 });
}

#[test]
fn each_signal_has_its_own_name_for_it_in_json() {
    for (signal, name) in [
        (Signal::Traces, "rejectedSpans"),
        (Signal::Logs, "rejectedLogRecords"),
        (Signal::Metrics, "rejectedDataPoints"),
    ] {
        let body = format!("{{\"partialSuccess\":{{\"{name}\":\"4\"}}}}");
        let answer = Answer::Came { status: 200, retry_after: None, body: body.as_bytes() };
        assert_eq!(answer.verdict(signal, Encoding::Json, NOW), Verdict::Taken { rejected: 4 });
    }
}

proptest! {
    #[test]
    fn junk_with_a_success_is_a_success(body in vec(any::<u8>(), 0..200)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let is_taken = matches!(verdict(200, None, &body, encoding), Verdict::Taken { .. });
            prop_assert!(is_taken);
        }
    }

    #[test]
    fn a_cut_answer_is_read_as_far_as_it_goes(rejected: i64, at: prop::sample::Index) {
        let whole = partial(rejected).encode_to_vec();
        let cut = &whole[..at.index(whole.len())];
        let is_taken = matches!(verdict(200, None, cut, Encoding::Protobuf), Verdict::Taken { .. });
        prop_assert!(is_taken);
    }
}
