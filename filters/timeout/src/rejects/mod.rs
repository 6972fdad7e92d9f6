//! How large a share of the requests may be refused because too little is left (Finagle's `DeadlineFilter`): a caller whose clock or
//! whose estimate is off must not be locked out.

use std::time::Duration;
use wayside_sdk::Monotonic;
use wayside_sdk::policy::{Allowance, Slices, Window};
use wayside_sdk::units::Ratio;

/// At most so many refusals for each request served, in a while. Below one: all may be refused without counting anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    share: Ratio,
    slices: Slices,
}

/// Slices of a window.
const SLICES: u8 = 10;

impl Cap {
    /// `None` for a share of 1 or more, which limits nothing.
    #[must_use]
    pub fn new(share: Ratio, window: Duration) -> Option<Cap> {
        let slices = Slices::sliding(window, SLICES)?;
        (share.numerator() < Ratio::DENOMINATOR).then_some(Cap { share, slices })
    }

    fn allowance(self) -> Allowance {
        Allowance { share: self.share, reserve_per_second: Ratio::default() }
    }
}

/// Rules that are counted on their own; those beyond share the last one's.
const MOST: usize = 1024;

/// What one VM served and refused, by rule.
#[derive(Debug, Default)]
pub struct Rejects(Vec<(Box<str>, Cap, Window)>);

impl Rejects {
    /// A request was served.
    pub fn served(&mut self, rule: &str, cap: Cap, now: Monotonic) {
        if let Some(window) = self.window(rule, cap, now) {
            window.deposit(1);
        }
    }

    /// Whether one may be refused; it is one of them then.
    pub fn refuse(&mut self, rule: &str, cap: Cap, now: Monotonic) -> bool {
        let Some(window) = self.window(rule, cap, now) else { return true };
        let allowed = window.allows(cap.slices, &cap.allowance(), 1);
        if allowed {
            window.withdraw(1);
        }
        allowed
    }

    fn window(&mut self, rule: &str, cap: Cap, now: Monotonic) -> Option<&mut Window> {
        let place = self.0.iter().position(|(of, with, _)| **of == *rule && *with == cap);
        let place = match place {
            Some(place) => place,
            None => {
                if self.0.len() >= MOST {
                    self.0.pop();
                }
                self.0.push((rule.into(), cap, Window::new(cap.slices, now)));
                self.0.len().wrapping_sub(1)
            }
        };
        let (_, _, window) = self.0.get_mut(place)?;
        window.advance(cap.slices, now);
        Some(window)
    }
}

#[cfg(test)]
mod tests;
