//! Why a request is not let through, and what its sender is told: less than the operator is.

use wayside_credentials::passwords::Rejection;

use crate::source::Flaw;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $status:literal;)*) => {
        /// The fixed list of reasons, as metrics and the access log name them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            /// The response code details of the reply, for the operator's access log.
            pub const fn details(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("header_auth.", $label),)*
                }
            }

            /// The HTTP status of the reply.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }
        }
    };
}

reasons! {
    // Of any request
    AmbiguousPath = "ambiguous_path", 400;
    MalformedPath = "malformed_path", 400;
    /// An identity header whose name the proxy cannot be told to remove
    UnremovableHeader = "unremovable_header", 400;
    Missing = "missing", 401;
    NotAuthorized = "not_authorized", 403;
    /// The filter could not do its work
    Internal = "internal", 503;
    // Of any credential
    DuplicateCredential = "duplicate_credential", 400;
    MalformedCredential = "malformed_credential", 400;
    CredentialTooLong = "credential_too_long", 431;
    UnknownCredential = "unknown_credential", 401;
    NotYetValid = "not_yet_valid", 401;
    Expired = "expired", 401;
}

impl Reason {
    /// The one sentence the sender reads. All refused credentials read alike.
    pub const fn body(self) -> &'static str {
        match self.status() {
            400 => "bad request",
            401 => "authentication required",
            403 => "forbidden",
            431 => "request header field too large",
            _ => "service unavailable",
        }
    }
}

impl From<Flaw> for Reason {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Duplicate => Self::DuplicateCredential,
            Flaw::Malformed => Self::MalformedCredential,
            Flaw::TooLong => Self::CredentialTooLong,
        }
    }
}

impl From<Rejection> for Reason {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Unknown => Self::UnknownCredential,
            Rejection::NotYetValid => Self::NotYetValid,
            Rejection::Expired => Self::Expired,
        }
    }
}

/// A refusal, with what the reply needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    /// The provider whose credential it hangs on, where it is one
    pub provider: Option<String>,
    /// `www-authenticate` values; only with a 401
    pub challenges: Vec<String>,
}

impl Denial {
    pub fn of(reason: Reason) -> Self {
        Self { reason, provider: None, challenges: Vec::new() }
    }
}
