//! TE-5: the published tables of OpenTelemetry's specification.

use proptest::prelude::*;

use super::*;

fn th(kept: u64, of: u64, precision: u32) -> String {
    Threshold::of(kept, of, precision).map_or_else(String::new, |th| String::from_utf8(th.to_text()).unwrap())
}

/// "Algorithms": thresholds of 1 in N, with precision 3, 4 and 5.
#[test]
fn te_5_thresholds_of_one_in_n_are_the_published_ones() {
    for (of, expected) in [
        (1, ["0", "0", "0"]),
        (2, ["8", "8", "8"]),
        (3, ["aab", "aaab", "aaaab"]),
        (4, ["c", "c", "c"]),
        (5, ["ccd", "cccd", "ccccd"]),
        (8, ["e", "e", "e"]),
        (10, ["e66", "e666", "e6666"]),
        (16, ["f", "f", "f"]),
        (100, ["fd71", "fd70a", "fd70a4"]),
        (1000, ["ffbe7", "ffbe77", "ffbe76d"]),
        (10_000, ["fff972", "fff9724", "fff97247"]),
        (100_000, ["ffff584", "ffff583a", "ffff583a5"]),
        (1_000_000, ["ffffef4", "ffffef39", "ffffef391"]),
    ] {
        assert_eq!([3, 4, 5].map(|precision| th(1, of, precision)), expected, "1 in {of}");
    }
}

/// The same table's column of adjusted counts, at precision 4.
#[test]
fn te_5_adjusted_counts_are_the_published_ones() {
    for (of, expected) in [
        (1, 1.0),
        (3, 3.000_045_777_065_69),
        (5, 5.000_076_295_109_483_5),
        (10, 9.999_389_685_688_13),
        (100, 99.997_711_234_026_33),
        (1_000_000, 999_992.385_564_61),
    ] {
        let found = Threshold::of(1, of, 4).unwrap().adjusted_count();
        assert!((found / expected - 1.0).abs() < 1e-12, "1 in {of}: {found}");
    }
}

/// "Predefined sub-keys": `th:c` is a quarter.
#[test]
fn te_5_a_threshold_of_c_keeps_a_quarter() {
    let quarter = Threshold::parse(b"c").unwrap();
    assert_eq!(quarter.kept_of_all(), ALL / 4);
    assert!((quarter.adjusted_count() - 4.0).abs() < f64::EPSILON);
    assert_eq!(Threshold::of(1, 4, 4), Some(quarter));
}

#[test]
fn te_5_the_least_probability_is_one_in_two_to_the_56th() {
    assert_eq!(th(1, ALL, 1), "ffffffffffff", "twelve digits are all there are");
    assert_eq!(Threshold::of(1, ALL + 1, 13), None);
    assert_eq!(Threshold::of(0, 1, 4), None, "never is no probability");
    assert_eq!(Threshold::of(2, 1, 4), None);
    assert_eq!(th(7, 7, 13), "0");
}

#[test]
fn te_5_only_the_grammar_is_read() {
    for (text, right) in [
        ("0", true),
        ("c", true),
        ("fd70a4", true),
        ("ffffffffffffff", true),
        ("", false),
        ("fffffffffffffff", false),
        ("C", false),
        ("0x1", false),
        (" c", false),
    ] {
        assert_eq!(Threshold::parse(text.as_bytes()).is_some(), right, "{text:?}");
    }
    for (text, right) in [
        ("6e6d1a75832a2f", true),
        ("00000000000000", true),
        ("6e6d1a75832a2", false),
        ("6e6d1a75832a2f0", false),
        ("6E6D1A75832A2F", false),
        ("", false),
    ] {
        assert_eq!(Randomness::parse(text.as_bytes()).is_some(), right, "{text:?}");
    }
}

/// "Explicit randomness value": that one is kept from 56.9 % on.
#[test]
fn te_5_a_trace_is_kept_where_its_randomness_reaches_the_threshold() {
    let randomness = Randomness::parse(b"6e6d1a75832a2f").unwrap();
    assert!(Threshold::parse(b"6e6d1a75832a2f").unwrap().keeps(randomness));
    assert!(!Threshold::parse(b"6e6d1a75832a3").unwrap().keeps(randomness));
    assert!(Threshold::of(569, 1000, 4).unwrap().keeps(randomness));
    assert!(!Threshold::of(568, 1000, 4).unwrap().keeps(randomness));
    assert!(Threshold::ALWAYS.keeps(Randomness(0)));
    let id: [u8; 16] = *b"\x12\x34\x56\x78\x90\x12\x34\x56\x78\x6e\x6d\x1a\x75\x83\x2a\x2f";
    assert_eq!(Randomness::of_trace(id), randomness);
}

/// The published algorithm in the doubles it is published in, with the digits taken from the number's bits.
fn published(probability: f64, precision: i32) -> String {
    if probability == 1.0 {
        return "0".to_owned();
    }
    // `math.frexp`: the exponent of a number from a half to less than one.
    let exponent = i32::try_from((probability.to_bits() >> 52) & 0x7FF).unwrap() - 1022;
    let precision = (precision - exponent / 4).clamp(1, 12);
    let rejected = 2.0 - probability + 2_f64.powi(-1 - 4 * precision);
    let digits = if rejected >= 2.0 {
        "f".repeat(13)
    } else {
        format!("{:013x}", rejected.to_bits() & ((1 << 52) - 1))
    };
    digits[..usize::try_from(precision).unwrap()].trim_end_matches('0').to_owned()
}

/// With more digits the doubles of the published one decide about the last.
#[test]
fn te_5_thresholds_are_those_of_the_published_algorithm() {
    for kept in 1..10_000_u32 {
        for precision in 1..=5_u8 {
            let expected = published(f64::from(kept) / 10_000.0, i32::from(precision));
            // An empty text is the one threshold it forgets: below half a unit nothing is dropped.
            let expected = if expected.is_empty() { "0".to_owned() } else { expected };
            assert_eq!(th(kept.into(), 10_000, precision.into()), expected, "{kept} {precision}");
        }
    }
}

proptest! {
    #[test]
    fn te_5_what_is_written_is_read_back(threshold in 0..ALL) {
        let threshold = Threshold(threshold);
        prop_assert_eq!(Threshold::parse(&threshold.to_text()), Some(threshold));
    }

    #[test]
    fn te_5_who_keeps_more_keeps_what_others_keep(
        one in 1_u64..=10_000, other in 1_u64..=10_000, randomness in 0..ALL, precision in 1_u32..=13
    ) {
        let keeps = |kept| Threshold::of(kept, 10_000, precision).unwrap().keeps(Randomness(randomness));
        prop_assert!(keeps(one.max(other)) || !keeps(one.min(other)));
    }

    #[test]
    fn no_numbers_make_it_panic(kept: u64, of: u64, precision: u32) {
        if let Some(threshold) = Threshold::of(kept, of, precision) {
            prop_assert!(threshold.0 < ALL);
        }
    }
}
