//! Budgets that are one number: gRPC's throttle and the quota of the AWS SDKs.

use super::{Answer, Cause, End, Grant};
use std::time::Duration;
use wayside_sdk::{Monotonic, Wire};

/// `retryThrottling` of gRPC's A6: failures take a token, successes bring a part of one, and above half of them there are retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    pub max_tokens: u16,
    /// Thousandths of a token for each success.
    pub token_ratio: u32,
}

/// The retry quota of the AWS SDKs: a retry costs several tokens, which come back when it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub capacity: u32,
    pub cost: u32,
    /// Of a retry after a timeout.
    pub timeout_cost: u32,
    /// Of a retry after an answer that asks for less.
    pub throttled_cost: u32,
}

/// What all workers share of such a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Of a throttle thousandths.
    pub held: u32,
    /// There are no retries until then.
    pub held_until: Monotonic,
}

impl Tokens {
    #[must_use]
    pub const fn full(held: u32) -> Tokens {
        Tokens { held, held_until: Monotonic::at(Duration::ZERO) }
    }
}

impl Throttle {
    #[must_use]
    pub fn full(&self) -> u32 {
        u32::from(self.max_tokens).saturating_mul(1000)
    }

    /// The first retry comes after one failure, the second after two: each must find more than half then. Nothing is taken: so requests
    /// that run at the same time may have more together.
    #[must_use]
    pub fn grant(&self, tokens: &Tokens, wanted: u8) -> u8 {
        let left = |retry: &u8| tokens.held.saturating_sub(u32::from(*retry).saturating_mul(1000));
        let granted = (1..=wanted).take_while(|retry| left(retry) > self.full() / 2).count();
        u8::try_from(granted).unwrap_or(wanted)
    }

    /// Each try that failed takes a token, one that succeeded brings a part of one.
    pub fn settle(&self, tokens: &mut Tokens, end: &End) {
        let failed = matches!(end.answer, Answer::Failure(_)) || end.refused;
        let failures = end.used.saturating_add(u32::from(failed));
        tokens.held = tokens.held.saturating_sub(failures.saturating_mul(1000));
        if end.deposits && end.answer == Answer::Success {
            tokens.held = tokens.held.saturating_add(self.token_ratio).min(self.full());
        }
    }
}

impl Quota {
    #[must_use]
    pub const fn classic(capacity: u32) -> Quota {
        Quota { capacity, cost: 5, timeout_cost: 10, throttled_cost: 5 }
    }

    /// As the SDKs count since 2026.
    #[must_use]
    pub const fn of_2026(capacity: u32) -> Quota {
        Quota { capacity, cost: 14, timeout_cost: 14, throttled_cost: 5 }
    }

    /// Takes the ordinary cost of each: why it will be needed is not known yet.
    pub fn grant(&self, tokens: &mut Tokens, wanted: u8) -> u8 {
        let mut granted = 0_u8;
        while granted < wanted
            && let Some(rest) = tokens.held.checked_sub(self.cost)
        {
            tokens.held = rest;
            granted = granted.saturating_add(1);
        }
        granted
    }

    /// What was not used comes back, and what the last retry cost if it succeeded; a success at the first try brings one token.
    pub fn settle(&self, tokens: &mut Tokens, grant: &Grant, end: &End) {
        let granted = u32::from(grant.retries());
        let used = granted.saturating_sub(end.unused(grant));
        let each = match end.answer {
            Answer::Failure(Cause::TimedOut) => self.timeout_cost,
            Answer::Failure(Cause::Throttled) => self.throttled_cost,
            _ => self.cost,
        };
        let succeeded = end.answer == Answer::Success;
        let paid = used.saturating_sub(u32::from(succeeded)).saturating_mul(each);
        let earned = u32::from(succeeded && used == 0 && end.deposits);
        let back = granted.saturating_mul(self.cost).saturating_add(earned);
        tokens.held = tokens.held.saturating_add(back).saturating_sub(paid).min(self.capacity);
    }
}

impl Wire for Tokens {
    const LAYOUT: u16 = 0x5401;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.held.to_le_bytes());
        out.extend_from_slice(&self.held_until.nanos_since_start().to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Tokens> {
        let (held, until) = bytes.split_first_chunk()?;
        let until = Duration::from_nanos(u64::from_le_bytes(until.try_into().ok()?));
        Some(Tokens { held: u32::from_le_bytes(*held), held_until: Monotonic::at(until) })
    }
}
