//! What one request was granted while its attempts went on, and what of it was not used.

/// A retry has to be paid for once: when the answer before it failed, or, where there was none, when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tickets<Grant> {
    /// Retries that the rules allow this request, whatever the budget holds.
    most: u8,
    unused: Vec<Grant>,
    /// The budget refused a retry. No further one is asked for: an answer is on its way to the caller.
    refused: bool,
}

/// What an attempt needs before it goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fare {
    /// It is the first, or its retry was paid for when the answer before it failed.
    Paid,
    /// Nobody paid: the attempt before ended without an answer.
    Owed,
}

impl<Grant> Tickets<Grant> {
    #[must_use]
    pub fn new(most: u8) -> Tickets<Grant> {
        Tickets { most, unused: Vec::new(), refused: false }
    }

    /// Attempt `ordinal`, from 1, begins; takes the ticket that was bought for it.
    pub fn board(&mut self, ordinal: u64) -> Fare {
        if ordinal <= 1 || self.unused.pop().is_some() { Fare::Paid } else { Fare::Owed }
    }

    /// Whether a retry may follow attempt `ordinal`, whose answer is one that would be retried, so that a ticket is to be bought.
    #[must_use]
    pub fn may_follow(&self, ordinal: u64) -> bool {
        !self.refused && ordinal <= u64::from(self.most)
    }

    pub fn bought(&mut self, grant: Grant) {
        self.unused.push(grant);
    }

    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether the budget kept a retry from this request.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// The request is over: what goes back.
    #[must_use]
    pub fn into_unused(self) -> Vec<Grant> {
        self.unused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_after_an_answer_was_paid_for_when_the_answer_came() {
        let mut tickets = Tickets::new(2);
        assert_eq!(tickets.board(1), Fare::Paid);
        assert!(tickets.may_follow(1));
        tickets.bought("first");
        assert_eq!(tickets.board(2), Fare::Paid);
        assert_eq!(tickets.into_unused(), Vec::<&str>::new());
    }

    #[test]
    fn a_retry_after_a_reset_is_paid_for_when_it_begins() {
        let mut tickets: Tickets<()> = Tickets::new(2);
        assert_eq!((tickets.board(1), tickets.board(2)), (Fare::Paid, Fare::Owed));
    }

    #[test]
    fn the_last_attempt_buys_nothing_and_neither_does_one_after_a_refusal() {
        let mut tickets: Tickets<()> = Tickets::new(1);
        assert!(tickets.may_follow(1) && !tickets.may_follow(2));
        tickets.refuse();
        assert!(tickets.refused() && !tickets.may_follow(1));
    }

    #[test]
    fn what_envoy_did_not_use_goes_back() {
        let mut tickets = Tickets::new(2);
        tickets.bought(7);
        assert_eq!(tickets.into_unused(), [7]);
    }
}
