//! Welch's t, of all samples and of those below each of many limits, since a few that were interrupted hide what the others tell.

use std::collections::BTreeMap;

use super::inputs::Class;

/// Beyond this, two classes differ.
pub const THRESHOLD: f64 = 4.5;

/// How many limits there are; they lie closer together the higher they are.
const CROPS: i32 = 100;

/// What was measured of each class.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<(Class, u64)>);

#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    /// Of the mean.
    fn variance(self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

impl Samples {
    pub fn add(&mut self, class: Class, value: u64) {
        self.0.push((class, value));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all are the same number, and which.
    #[must_use]
    pub fn only_value(&self) -> Option<u64> {
        let (_, first) = self.0.first()?;
        self.0.iter().all(|(_, value)| value == first).then_some(*first)
    }

    /// How often each value was seen, of each class.
    #[must_use]
    pub fn values(&self) -> BTreeMap<u64, [usize; 2]> {
        let mut values: BTreeMap<u64, [usize; 2]> = BTreeMap::new();
        for (class, value) in &self.0 {
            values.entry(*value).or_default()[usize::from(*class == Class::Far)] += 1;
        }
        values
    }

    /// Welch's t of the two classes, without their difference beyond a limit.
    fn below(&self, limit: u64) -> Option<f64> {
        let mut classes = [Moments::default(); 2];
        for (class, value) in self.0.iter().filter(|(_, value)| *value <= limit) {
            classes[usize::from(*class == Class::Far)].add(*value as f64);
        }
        let [near, far] = classes;
        if near.count < 100.0 || far.count < 100.0 {
            return None;
        }
        let difference = near.mean - far.mean;
        Some(if difference == 0.0 { 0.0 } else { difference / (near.variance() + far.variance()).sqrt() })
    }

    /// The t that is farthest from 0, of all limits; `None` for too few samples.
    #[must_use]
    pub fn t(&self) -> Option<f64> {
        let mut sorted: Vec<u64> = self.0.iter().map(|(_, value)| *value).collect();
        sorted.sort_unstable();
        let limits = (1..=CROPS).map(|crop| {
            let share = 1.0 - 0.5_f64.powf(10.0 * f64::from(crop) / f64::from(CROPS));
            let place = (share * sorted.len() as f64) as usize;
            sorted.get(place).copied().unwrap_or(u64::MAX)
        });
        let all = limits.chain([u64::MAX]).filter_map(|limit| self.below(limit));
        all.max_by(|a, b| a.abs().total_cmp(&b.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: impl Iterator<Item = (u64, u64)>) -> Samples {
        let mut samples = Samples::default();
        for (near, far) in values {
            samples.add(Class::Near, near);
            samples.add(Class::Far, far);
        }
        samples
    }

    #[test]
    fn equal_classes_do_not_differ_and_shifted_ones_do() {
        assert_eq!(samples((0..1000).map(|_| (5, 5))).t(), Some(0.0));
        assert_eq!(samples((0..1000).map(|_| (5, 5))).only_value(), Some(5));
        assert_eq!(samples((0..1000).map(|_| (5, 6))).t(), Some(f64::NEG_INFINITY));
        let shifted = samples((0..1000).map(|n| (100 + n % 10, 101 + n % 10)));
        let (whole, cropped) = (shifted.below(u64::MAX).unwrap_or_default(), shifted.t().unwrap_or_default());
        assert!((-8.0..-7.0).contains(&whole) && cropped <= whole, "{whole} and {cropped}");
        assert_eq!(samples((0..99).map(|_| (5, 6))).t(), None);
    }

    #[test]
    fn a_few_huge_samples_hide_nothing() {
        let interrupted = |n: u64, value| if n.is_multiple_of(50) { n * 1_000_000 } else { value };
        let t = samples((0..5000).map(|n| (interrupted(n, 100 + n % 10), interrupted(n + 7, 101 + n % 10))));
        let t = t.t().unwrap_or_default();
        assert!(t.abs() > 10.0, "{t}");
    }
}
