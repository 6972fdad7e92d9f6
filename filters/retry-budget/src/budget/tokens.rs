//! Budgets that are one number: gRPC's throttle and the quota of the AWS SDKs.

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
}
