//! A share of one worker's requests to which something may happen. As each worker keeps to its own, all of them together do.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::Monotonic;
use wayside_sdk::policy::{Allowance, Slices, Window};
use wayside_sdk::units::Ratio;

/// Of the requests counted in a window at most this share is taken.
#[derive(Debug)]
pub struct Share {
    slices: Slices,
    allowance: Allowance,
    window: RefCell<Window>,
}

/// A request to which it may happen: it counts as if it had, until this is dropped.
#[derive(Debug)]
pub struct Taken {
    share: Option<Rc<Share>>,
    slice: u64,
}

const SLICES: u8 = 10;

impl Share {
    #[must_use]
    pub fn new(share: Ratio, window: Duration) -> Share {
        let slices = Slices::sliding(window, SLICES).unwrap_or(SHORTEST);
        let allowance = Allowance { share, reserve_per_second: Ratio::default() };
        Share { slices, allowance, window: RefCell::new(Window::new(slices, Monotonic::default())) }
    }

    /// One request more of which a share may be taken.
    pub fn count(&self, now: Monotonic) {
        let mut window = self.window.borrow_mut();
        window.advance(self.slices, now);
        window.deposit(1);
    }

    /// Takes one, if it would be within the share even if it happened to all that are taken.
    #[must_use]
    pub fn take(self: &Rc<Share>, now: Monotonic) -> Option<Taken> {
        let mut window = self.window.borrow_mut();
        window.advance(self.slices, now);
        if !window.allows(self.slices, &self.allowance, 1) {
            return None;
        }
        window.withdraw(1);
        Some(Taken { share: Some(self.clone()), slice: window.current() })
    }
}

impl Taken {
    /// It happened.
    pub fn spend(mut self) {
        self.share = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.window.borrow_mut().refund(self.slice, 1);
        }
    }
}

/// No configuration has a window that cannot be cut; this one holds nothing.
const SHORTEST: Slices = match Slices::sliding(Duration::from_nanos(SLICES as u64), SLICES) {
    Some(slices) => slices,
    None => panic!("ten nanoseconds are ten slices"),
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_many_ask_no_more_than_the_share_of_a_window_is_taken(
            steps in prop::collection::vec((0..5_u8, 0..400_u64), 1..400), share in 0..3_000_u32,
        ) {
            let counted = Rc::new(Share::new(Ratio::from_ten_thousandths(share), Duration::from_secs(10)));
            let (mut now, mut requests, mut taken) = (Duration::from_secs(100), Vec::new(), Vec::new());
            for (what, passed) in steps {
                now += Duration::from_millis(passed);
                let at = Monotonic::at(now);
                let slice = now.as_secs();
                match what {
                    0..=2 => {
                        requests.push(slice);
                        counted.count(at);
                    }
                    3 => {
                        let known = requests.iter().filter(|then| **then + 10 > slice).count();
                        let out = taken.iter().filter(|(then, _)| *then + 10 > slice).count();
                        let expected = (out + 1) * 10_000 <= known * usize::try_from(share).unwrap();
                        let one = counted.take(at);
                        prop_assert_eq!(one.is_some(), expected, "{} of {}", out, known);
                        taken.extend(one.map(|one| (slice, one)));
                    }
                    _ => drop(taken.pop()),
                }
            }
        }
    }
}
