//! Latencies in buckets whose width grows with the value: quantiles with a bounded error, in bounded memory.

use crate::shared::Wire;
use crate::units::Ratio;

/// Which values share a bucket. Up to `2^(bits + 1)` each value has its own; above, every power of two is cut into `2^bits`
/// buckets of equal width, so a bucket is never wider than its lower edge divided by `2^bits`.
///
/// | bits | a quantile is too high by at most | buckets up to 2^17 (131 s in ms) | up to 2^27 (134 s in µs) |
/// |---|---|---|---|
/// | 2 | 25 % | 64 | 104 |
/// | 3 | 12.5 % | 120 | 200 |
/// | 5 | 3.2 % | 416 | 736 |
/// | 7 | 0.8 % | 1408 | 2688 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    bits: u8,
    count: u16,
}

/// A number of values, each known to its bucket. Four bytes a bucket. Counts stop at 4 294 967 295; from then on the quantiles
/// lean towards the other buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHistogram {
    buckets: Buckets,
    counts: Vec<u32>,
}

impl Buckets {
    /// Of milliseconds up to 2^17 (131 s), with 2 bits: 64 buckets. What lies in the last one, from 114 688 on, has no upper end.
    pub const LATENCIES: Buckets = Buckets { bits: 2, count: 64 };

    /// For values up to `highest`; greater ones are counted in the last bucket. `None` for more than 7 bits, or more than 4096
    /// buckets.
    #[must_use]
    pub fn new(bits: u8, highest: u64) -> Option<Buckets> {
        let index = index(bits, highest);
        let count = index.saturating_add(1);
        if bits > 7 || count > 4096 {
            return None;
        }
        Some(Buckets { bits, count: u16::try_from(count).ok()? })
    }

    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.count)
    }

    fn last(self) -> u64 {
        u64::from(self.count).saturating_sub(1)
    }
}

/// The values from `2^e` to `2^(e + 1)` are `2^bits` buckets, from the exponent on at which that is one value each.
fn index(bits: u8, value: u64) -> u64 {
    let bits = u32::from(bits);
    let exponent = value.checked_ilog2().unwrap_or(0);
    let Some(shift @ 1..) = exponent.checked_sub(bits) else { return value };
    let within = value.checked_shr(shift).unwrap_or(0);
    u64::from(shift).checked_shl(bits).unwrap_or(0).saturating_add(within)
}

/// The least value of a bucket.
fn lowest(bits: u8, index: u64) -> u64 {
    let bits = u32::from(bits);
    let Some(shift @ 1..) = index.checked_shr(bits).unwrap_or(0).checked_sub(1) else { return index };
    let shift = u32::try_from(shift).unwrap_or(u32::MAX);
    let within = index.saturating_sub(u64::from(shift).checked_shl(bits).unwrap_or(0));
    within.checked_shl(shift).unwrap_or(u64::MAX)
}

impl LogHistogram {
    #[must_use]
    pub fn new(buckets: Buckets) -> LogHistogram {
        LogHistogram { buckets, counts: vec![0; buckets.count()] }
    }

    pub fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    pub fn record_many(&mut self, value: u64, times: u32) {
        let index = index(self.buckets.bits, value).min(self.buckets.last());
        if let Some(count) = usize::try_from(index).ok().and_then(|index| self.counts.get_mut(index)) {
            *count = count.saturating_add(times);
        }
    }

    /// How many values were recorded.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).fold(0, u64::saturating_add)
    }

    /// The value that this share of all values does not exceed (the nearest rank), or one above it in the same bucket: never
    /// less than the true one, and above it by less than the bucket's width. In the last bucket it is the lower edge, since
    /// that bucket has no upper one. `None` without values; a share above 1 is 1.
    #[must_use]
    pub fn quantile(&self, share: Ratio) -> Option<u64> {
        // 4096 counts of 32 bits, ten thousand times, are within 64 bits.
        let numerator = u64::from(share.numerator().min(Ratio::DENOMINATOR));
        let rank = self.total().saturating_mul(numerator).div_ceil(u64::from(Ratio::DENOMINATOR)).max(1);
        let mut below: u64 = 0;
        let found = self.counts.iter().zip(0_u64..).find(|(count, _)| {
            below = below.saturating_add(u64::from(**count));
            below >= rank
        });
        let (_, index) = found?;
        Some(match self.buckets {
            Buckets { bits, .. } if index == self.buckets.last() => lowest(bits, index),
            Buckets { bits, .. } => lowest(bits, index.saturating_add(1)).saturating_sub(1),
        })
    }

    /// Adds the other's values. `false`, and nothing added, where its buckets are not the same.
    #[must_use]
    pub fn merge(&mut self, other: &LogHistogram) -> bool {
        if self.buckets != other.buckets {
            return false;
        }
        for (count, added) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*added);
        }
        true
    }

    /// Forgets all values, keeps the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }
}

/// The bits, then the counts.
impl Wire for LogHistogram {
    const LAYOUT: u16 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.buckets.bits);
        for count in &self.counts {
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Option<LogHistogram> {
        let (bits @ 0..=7, counts) = bytes.split_first()? else { return None };
        let (counts, []) = counts.as_chunks::<4>() else { return None };
        let count @ 1..=4096 = counts.len() else { return None };
        let buckets = Buckets { bits: *bits, count: u16::try_from(count).ok()? };
        let counts = counts.iter().map(|count| u32::from_le_bytes(*count)).collect();
        Some(LogHistogram { buckets, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_gaps_and_are_as_narrow_as_said() {
        for bits in 0..=7_u8 {
            let highest = u64::MAX;
            for n in 0..=index(bits, highest) {
                let low = lowest(bits, n);
                assert_eq!(index(bits, low), n, "{bits} bits, bucket {n}");
                let high = if n == index(bits, highest) { highest } else { lowest(bits, n + 1) - 1 };
                assert_eq!(index(bits, high), n, "{bits} bits, bucket {n}");
                assert!(high - low <= low >> bits, "{bits} bits, bucket {n}: {low} to {high}");
            }
        }
    }

    #[test]
    fn the_table_of_the_documentation_is_right() {
        let rows = [(2, 64, 104), (3, 120, 200), (5, 416, 736), (7, 1408, 2688)];
        for (bits, millis, micros) in rows {
            let count = |highest: u64| Buckets::new(bits, highest - 1).unwrap().count();
            assert_eq!((count(1 << 17), count(1 << 27)), (millis, micros), "{bits} bits");
        }
        assert_eq!(Buckets::new(2, (1 << 17) - 1), Some(Buckets::LATENCIES));
        assert_eq!(Buckets::new(8, 10), None);
        assert_eq!(Buckets::new(7, u64::MAX), None);
        assert_eq!(Buckets::new(5, u64::MAX).unwrap().count(), 1920);
    }

    #[test]
    fn nothing_recorded_has_no_quantile_and_counts_stop_at_their_end() {
        let mut histogram = LogHistogram::new(Buckets::new(2, 100).unwrap());
        assert_eq!(histogram.quantile(Ratio::from_ten_thousandths(5_000)), None);
        histogram.record_many(3, u32::MAX);
        histogram.record(3);
        assert_eq!(histogram.total(), u64::from(u32::MAX));
        histogram.record(u64::MAX);
        assert_eq!(histogram.quantile(Ratio::from_ten_thousandths(u32::MAX)), Some(96));
        histogram.clear();
        assert_eq!(histogram.total(), 0);
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![0..20_u64, 0..5_000_u64, any::<u32>().prop_map(u64::from), any::<u64>()];
        proptest::collection::vec(value, 1..80)
    }

    proptest! {
        #[test]
        fn a_quantile_is_the_sorted_lists_or_a_little_above(
            values in values(), share in 0..=10_000_u32, bits in 0..=5_u8,
        ) {
            let mut histogram = LogHistogram::new(Buckets::new(bits, u64::MAX).unwrap());
            values.iter().for_each(|value| histogram.record(*value));
            let mut sorted = values;
            sorted.sort_unstable();
            let rank = (sorted.len() * usize::try_from(share).unwrap()).div_ceil(10_000).max(1);
            let exact = sorted[rank - 1];
            let told = histogram.quantile(Ratio::from_ten_thousandths(share)).unwrap();
            if index(bits, exact) == histogram.buckets.last() {
                prop_assert_eq!(told, lowest(bits, histogram.buckets.last()));
            } else {
                prop_assert!(told >= exact && told - exact <= exact >> bits, "{} for {}", told, exact);
            }
        }

        #[test]
        fn merging_is_recording_together(one in values(), other in values(), highest in 1..1_000_000_u64) {
            let buckets = Buckets::new(3, highest).unwrap();
            let of = |values: &[u64]| {
                let mut histogram = LogHistogram::new(buckets);
                values.iter().for_each(|value| histogram.record(*value));
                histogram
            };
            let mut merged = of(&one);
            prop_assert!(merged.merge(&of(&other)));
            prop_assert_eq!(&merged, &of(&[one, other].concat()));
            prop_assert!(!merged.merge(&LogHistogram::new(Buckets::new(2, highest).unwrap())));
            let mut bytes = Vec::new();
            merged.encode(&mut bytes);
            prop_assert_eq!(LogHistogram::decode(&bytes), Some(merged));
        }

        #[test]
        fn any_bytes_are_a_histogram_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80), value in any::<u64>()) {
            if let Some(mut histogram) = LogHistogram::decode(&bytes) {
                histogram.record(value);
                prop_assert!(histogram.quantile(Ratio::from_ten_thousandths(9_900)).is_some());
            }
        }
    }
}
