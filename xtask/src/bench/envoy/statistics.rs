//! Medians, and how sure they are: rounds drawn again, with replacement.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

const DRAWS: usize = 1000;

/// Not a number, if there are none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.len() % 2, values.get(half.wrapping_sub(1)), values.get(half)) {
        (0, Some(low), Some(high)) => f64::midpoint(*low, *high),
        (_, _, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

#[derive(Debug)]
pub(super) struct Resampler(ChaCha8Rng);

impl Resampler {
    pub(super) fn new(seed: u64) -> Self {
        Resampler(ChaCha8Rng::seed_from_u64(seed))
    }

    fn draw(&mut self, rounds: usize) -> Vec<usize> {
        let rounds_of_64 = rounds.max(1) as u64;
        (0..rounds).map(|_| (self.0.next_u64() % rounds_of_64) as usize).collect()
    }
}

/// A figure of all rounds, and the interval in which 95 of 100 redrawn figures lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Estimate {
    pub(super) fn of(rounds: usize, resampler: &mut Resampler, figure: impl Fn(&[usize]) -> f64) -> Self {
        let every: Vec<usize> = (0..rounds).collect();
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| figure(&resampler.draw(rounds))).collect();
        drawn.sort_by(f64::total_cmp);
        let at = |thousandth: usize| drawn.get(DRAWS * thousandth / 1000).copied().unwrap_or(f64::NAN);
        Estimate { value: figure(&every), low: at(25), high: at(974) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert!(median([3.0, 1.0, 2.0].into_iter()) == 2.0);
        assert!(median([4.0, 1.0, 2.0, 3.0].into_iter()) == 2.5);
        assert!(median([].into_iter()).is_nan());
    }

    #[test]
    fn an_interval_holds_the_figure_and_narrows_where_rounds_agree() {
        let of = |values: &'static [f64]| {
            Estimate::of(values.len(), &mut Resampler::new(1), |rounds| {
                median(rounds.iter().map(|round| values[*round]))
            })
        };
        let alike = of(&[5.0, 5.0, 5.0, 5.0]);
        assert_eq!(alike, Estimate { value: 5.0, low: 5.0, high: 5.0 });
        let spread = of(&[1.0, 4.0, 5.0, 6.0, 9.0]);
        assert!(spread.low < spread.value && spread.value < spread.high, "{spread:?}");
    }
}
