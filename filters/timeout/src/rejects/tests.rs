//! TO-3: what Finagle's `DeadlineFilterTest` shows of the share that may be refused, re-expressed. Its limit is 0.2 in 10 s, and a
//! refusal costs five requests served.

use super::*;
use proptest::prelude::*;

const RULE: &str = "default";

struct Service {
    rejects: Rejects,
    cap: Cap,
    now: Monotonic,
}

fn service(ten_thousandths: u32) -> Service {
    let cap = Cap::new(Ratio::from_ten_thousandths(ten_thousandths), Duration::from_secs(10)).unwrap();
    Service { rejects: Rejects::default(), cap, now: Monotonic::at(Duration::from_secs(1000)) }
}

impl Service {
    fn serve(&mut self, times: u32) {
        for _ in 0..times {
            self.rejects.served(RULE, self.cap, self.now);
        }
    }

    /// A request with too little left. `true`: it was refused.
    fn late(&mut self) -> bool {
        let refused = self.rejects.refuse(RULE, self.cap, self.now);
        if !refused {
            self.rejects.served(RULE, self.cap, self.now);
        }
        refused
    }

    fn advance(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }
}

#[test]
fn to_3_with_too_few_requests_served_a_late_one_is_served_too() {
    let mut service = service(2000);
    service.serve(3);
    service.advance(Duration::from_secs(2));
    assert!(!service.late());
}

#[test]
fn to_3_with_enough_requests_served_a_late_one_is_refused() {
    let mut service = service(2000);
    service.serve(5);
    service.advance(Duration::from_secs(2));
    assert!(service.late());
}

#[test]
fn to_3_late_requests_that_are_served_count_as_served() {
    let mut service = service(2000);
    for _ in 0..5 {
        assert!(!service.late());
    }
    assert!(service.late());
    assert!(!service.late());
}

#[test]
fn to_3_refused_requests_do_not_count_as_served() {
    let mut service = service(2000);
    service.serve(5);
    assert!(service.late());
    service.serve(4);
    assert!(!service.late());
}

#[test]
fn to_3_requests_served_are_forgotten_with_their_window() {
    let mut service = service(2000);
    service.serve(5);
    service.advance(Duration::from_secs(11));
    assert!(!service.late());
}

#[test]
fn to_3_a_share_of_one_limits_nothing_and_one_of_zero_refuses_nobody() {
    assert_eq!(Cap::new(Ratio::from_ten_thousandths(10_000), Duration::from_secs(10)), None);
    let mut service = service(0);
    service.serve(1_000_000);
    assert!(!service.late());
}

#[test]
fn rules_are_counted_on_their_own_and_there_is_an_end_to_them() {
    let mut service = service(2000);
    service.serve(5);
    let (cap, now) = (service.cap, service.now);
    assert!(!service.rejects.refuse("other", cap, now));
    for n in 0..MOST + 10 {
        service.rejects.served(&n.to_string(), cap, now);
    }
    assert_eq!(service.rejects.0.len(), MOST);
    assert!(service.late(), "rules that came first stay");
}

proptest! {
    #[test]
    fn to_3_never_more_than_the_share_of_what_was_served_in_the_window(
        share in 0..10_000_u32,
        steps in prop::collection::vec((any::<bool>(), 0..1500_u64), 0..300),
    ) {
        let mut service = service(share);
        let (mut served, mut refused) = (Vec::new(), Vec::new());
        for (late, millis) in steps {
            service.advance(Duration::from_millis(millis));
            match late && service.late() {
                true => refused.push(service.now),
                false => {
                    if !late { service.serve(1) }
                    served.push(service.now);
                }
            }
            // What the ten slices of a second hold: the current one and nine before it.
            let oldest = service.now.since_start().as_secs().saturating_sub(9);
            let within = |all: &[Monotonic]| all.iter().filter(|at| at.since_start().as_secs() >= oldest).count() as u64;
            if late && refused.last() == Some(&service.now) {
                prop_assert!(within(&refused) * 10_000 <= within(&served) * u64::from(share));
            }
        }
    }
}
