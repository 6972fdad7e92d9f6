//! Why a request is not let through, and what its sender is told: less than the operator is.

use crate::source::Flaw;
use crate::store::Rejection;

/// The fixed list of reasons, as metrics and the access log name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    AmbiguousPath,
    MalformedPath,
    /// An identity header whose name the proxy cannot be told to remove
    UnremovableHeader,
    Missing,
    DuplicateCredential,
    MalformedCredential,
    CredentialTooLong,
    UnknownCredential,
    NotYetValid,
    Expired,
    NotAuthorized,
    /// The filter could not do its work
    Internal,
}

impl Reason {
    pub const fn label(self) -> &'static str {
        match self {
            Self::AmbiguousPath => "ambiguous_path",
            Self::MalformedPath => "malformed_path",
            Self::UnremovableHeader => "unremovable_header",
            Self::Missing => "missing",
            Self::DuplicateCredential => "duplicate_credential",
            Self::MalformedCredential => "malformed_credential",
            Self::CredentialTooLong => "credential_too_long",
            Self::UnknownCredential => "unknown_credential",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::NotAuthorized => "not_authorized",
            Self::Internal => "internal",
        }
    }

    /// The response code details of the reply, for the operator's access log.
    pub const fn details(self) -> &'static str {
        match self {
            Self::AmbiguousPath => "header_auth.ambiguous_path",
            Self::MalformedPath => "header_auth.malformed_path",
            Self::UnremovableHeader => "header_auth.unremovable_header",
            Self::Missing => "header_auth.missing",
            Self::DuplicateCredential => "header_auth.duplicate_credential",
            Self::MalformedCredential => "header_auth.malformed_credential",
            Self::CredentialTooLong => "header_auth.credential_too_long",
            Self::UnknownCredential => "header_auth.unknown_credential",
            Self::NotYetValid => "header_auth.not_yet_valid",
            Self::Expired => "header_auth.expired",
            Self::NotAuthorized => "header_auth.not_authorized",
            Self::Internal => "header_auth.internal",
        }
    }

    /// The HTTP status of the reply.
    pub const fn status(self) -> u16 {
        match self {
            Self::AmbiguousPath
            | Self::MalformedPath
            | Self::UnremovableHeader
            | Self::DuplicateCredential
            | Self::MalformedCredential => 400,
            Self::Missing | Self::UnknownCredential | Self::NotYetValid | Self::Expired => 401,
            Self::NotAuthorized => 403,
            Self::CredentialTooLong => 431,
            Self::Internal => 503,
        }
    }

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
