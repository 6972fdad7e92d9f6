//! What one request was granted while its attempts went on, and what of it was not used.

/// A retry is paid for once: when the answer before it failed, or, where there was none, when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tickets<Grant> {
    /// Retries that the rules allow this request, whatever the budget holds.
    most: u8,
    unused: Vec<Grant>,
    spent: Vec<Grant>,
    refused: bool,
    turned_away: u32,
}

/// What an attempt needs before it goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fare {
    /// It is the first, or its retry was paid for when the answer before it failed.
    Paid,
    /// The attempt before ended without an answer, and nobody has paid yet.
    Owed,
    /// The budget has refused it already; that Envoy makes it all the same is somebody else's wish.
    Refused,
}

impl<Grant> Tickets<Grant> {
    #[must_use]
    pub fn new(most: u8) -> Tickets<Grant> {
        Tickets { most, unused: Vec::new(), spent: Vec::new(), refused: false, turned_away: 0 }
    }

    /// All of them bought in advance; fewer than were wanted when the budget had no more.
    #[must_use]
    pub fn reserved(grants: Vec<Grant>, wanted: u8) -> Tickets<Grant> {
        let most = u8::try_from(grants.len()).unwrap_or(u8::MAX);
        Tickets { most, unused: grants, refused: most < wanted, ..Tickets::new(0) }
    }

    /// The budget has none to begin with.
    #[must_use]
    pub fn none() -> Tickets<Grant> {
        Tickets { refused: true, ..Tickets::new(0) }
    }

    /// Retries that this request may have at the most.
    #[must_use]
    pub fn most(&self) -> u8 {
        self.most
    }

    /// Attempt `ordinal`, from 1, begins; it takes the ticket that was bought for it.
    pub fn board(&mut self, ordinal: u64) -> Fare {
        if ordinal <= 1 {
            return Fare::Paid;
        }
        if let Some(ticket) = self.unused.pop() {
            self.spent.push(ticket);
            return Fare::Paid;
        }
        if self.refused { Fare::Refused } else { Fare::Owed }
    }

    /// What was owed is paid; the ticket is used at once.
    pub fn paid(&mut self, grant: Grant) {
        self.spent.push(grant);
    }

    /// Whether a ticket is to be bought now that attempt `ordinal` failed: a retry may follow, and none is at hand.
    #[must_use]
    pub fn lacks(&self, ordinal: u64) -> bool {
        !self.refused && ordinal <= u64::from(self.most) && self.unused.is_empty()
    }

    /// For the attempt that follows.
    pub fn bought(&mut self, grant: Grant) {
        self.unused.push(grant);
    }

    /// The budget had nothing: no retry of this request is asked for any more.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether the budget kept a retry from this request.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// An attempt was answered here instead of going upstream.
    pub fn turn_away(&mut self) {
        self.turned_away = self.turned_away.saturating_add(1);
    }

    /// The request is over after so many attempts, as Envoy counts them.
    #[must_use]
    pub fn settle(&mut self, attempts: u64) -> Settled<Grant> {
        let retries = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let sent = retries.saturating_sub(self.turned_away);
        let paid = u32::try_from(self.spent.len()).unwrap_or(u32::MAX);
        Settled {
            unused: std::mem::take(&mut self.unused),
            spent: std::mem::take(&mut self.spent),
            sent,
            overdraft: sent.saturating_sub(paid),
        }
    }
}

/// What came of a request's tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled<Grant> {
    /// They go back.
    pub unused: Vec<Grant>,
    pub spent: Vec<Grant>,
    /// Retries that went upstream.
    pub sent: u32,
    /// Those of them that nobody paid for.
    pub overdraft: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(unused: &[u8], spent: &[u8], sent: u32, overdraft: u32) -> Settled<u8> {
        Settled { unused: unused.to_vec(), spent: spent.to_vec(), sent, overdraft }
    }

    #[test]
    fn a_retry_after_an_answer_was_paid_for_when_the_answer_came() {
        let mut tickets = Tickets::new(2);
        assert_eq!(tickets.board(1), Fare::Paid);
        assert!(tickets.lacks(1));
        tickets.bought(7);
        assert!(!tickets.lacks(1), "one is enough");
        assert_eq!(tickets.board(2), Fare::Paid);
        assert_eq!(tickets.settle(2), settled(&[], &[7], 1, 0));
    }

    #[test]
    fn a_retry_after_a_reset_is_paid_for_when_it_begins() {
        let mut tickets = Tickets::new(2);
        assert_eq!((tickets.board(1), tickets.board(2)), (Fare::Paid, Fare::Owed));
        tickets.paid(7);
        assert_eq!(tickets.settle(2), settled(&[], &[7], 1, 0));
    }

    #[test]
    fn a_retry_that_was_answered_here_was_not_sent() {
        let mut tickets = Tickets::new(2);
        tickets.board(2);
        tickets.refuse();
        tickets.turn_away();
        assert_eq!(tickets.settle(2), settled(&[], &[], 0, 0));
    }

    #[test]
    fn the_last_attempt_buys_nothing_and_neither_does_one_after_a_refusal() {
        let mut tickets = Tickets::new(1);
        assert!(tickets.lacks(1) && !tickets.lacks(2));
        tickets.refuse();
        assert!(tickets.refused() && !tickets.lacks(1));
        assert_eq!(tickets.board(2), Fare::Refused);
        assert_eq!(tickets.settle(2), settled(&[], &[], 1, 1));
    }

    #[test]
    fn reserved_tickets_are_all_there_are() {
        let mut tickets = Tickets::reserved(vec![1, 2], 2);
        assert_eq!((tickets.most(), tickets.refused()), (2, false));
        assert_eq!(tickets.board(2), Fare::Paid);
        assert_eq!(tickets.settle(2), settled(&[1], &[2], 1, 0));
        assert!(Tickets::reserved(vec![1], 2).refused());
        assert!(Tickets::<u8>::none().refused());
    }

    #[test]
    fn what_envoy_did_not_use_goes_back_once() {
        let mut tickets = Tickets::new(2);
        tickets.bought(7);
        assert_eq!(tickets.settle(1).unused, [7]);
        assert_eq!(tickets.settle(1), settled(&[], &[], 0, 0));
    }
}
