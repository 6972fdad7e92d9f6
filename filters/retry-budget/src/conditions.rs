//! Envoy's retry conditions by name. Envoy ignores names it does not know; a typing error must not.

/// `x-envoy-retry-on` (Envoy 1.40, router filter documentation).
const HTTP: [&str; 11] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
];

/// `x-envoy-retry-grpc-on`.
const GRPC: [&str; 5] = ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];

/// The two header values that a list of conditions becomes; empty where none belongs there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub http: String,
    pub grpc: String,
}

impl Conditions {
    /// # Errors
    /// The index of the first name Envoy does not know.
    pub fn parse(names: &[String]) -> Result<Conditions, usize> {
        let mut conditions = Conditions::default();
        for (index, name) in names.iter().enumerate() {
            let list = if GRPC.contains(&name.as_str()) {
                &mut conditions.grpc
            } else if HTTP.contains(&name.as_str()) {
                &mut conditions.http
            } else {
                return Err(index);
            };
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(name);
        }
        Ok(conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Conditions, usize> {
        Conditions::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn conditions_go_to_the_header_they_belong_to() {
        assert_eq!(
            parse(&["5xx", "unavailable", "reset", "cancelled"]),
            Ok(Conditions { http: "5xx,reset".into(), grpc: "unavailable,cancelled".into() })
        );
        assert_eq!(parse(&[]), Ok(Conditions::default()));
    }

    #[test]
    fn a_name_envoy_does_not_know_is_an_error() {
        assert_eq!(parse(&["5xx", "5xxx"]), Err(1));
        assert_eq!(parse(&["5XX"]), Err(0));
    }
}
