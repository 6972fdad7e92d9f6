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
    /// The route asks for what cannot be understood
    BadOverride = "bad_override", 503;
    /// The filter could not do its work
    Internal = "internal", 503;
    // Of any credential
    DuplicateCredential = "duplicate_credential", 400;
    MalformedCredential = "malformed_credential", 400;
    CredentialTooLong = "credential_too_long", 431;
    UnknownCredential = "unknown_credential", 401;
    NotYetValid = "not_yet_valid", 401;
    Expired = "expired", 401;
    /// The proxy has taken it without knowing who has signed it
    CertificateUnvalidated = "certificate_unvalidated", 401;
    /// Good for one request, and that has been
    Replayed = "replayed", 401;
    /// It cannot be remembered that it was used
    ReplayFull = "replay_full", 503;
    // Of signatures of messages
    /// What is covered, or how, is not understood
    SignatureUnsupported = "signature_unsupported", 401;
    /// Something is covered that the request does not have
    SignatureAbsent = "signature_absent_component", 401;
    SignatureUncovered = "signature_uncovered", 401;
    SignatureUndated = "signature_undated", 401;
    SignatureWithoutNonce = "signature_without_nonce", 401;
    SignatureAlgorithm = "signature_algorithm", 401;
    SignatureWrong = "signature_wrong", 401;
    DigestMissing = "digest_missing", 401;
    DigestDiffers = "digest_differs", 401;
    BodyTooLarge = "body_too_large", 413;
    // Of tokens
    TokenParts = "token_parts", 401;
    TokenEncoding = "token_encoding", 401;
    TokenHeader = "token_header", 401;
    TokenAlgorithm = "token_algorithm", 401;
    TokenCritical = "token_critical", 401;
    TokenEncrypted = "token_encrypted", 401;
    TokenType = "token_type", 401;
    TokenKeyId = "token_key_id", 401;
    TokenUnknownKey = "token_unknown_key", 401;
    TokenUnfitKey = "token_unfit_key", 401;
    TokenAmbiguousKey = "token_ambiguous_key", 401;
    TokenSignature = "token_signature", 401;
    TokenClaims = "token_claims", 401;
    TokenIssuer = "token_issuer", 401;
    TokenAudience = "token_audience", 401;
    TokenNoExpiry = "token_no_expiry", 401;
    TokenExpired = "token_expired", 401;
    TokenNotYetValid = "token_not_yet_valid", 401;
    TokenIssuedInFuture = "token_issued_in_future", 401;
    TokenLifetime = "token_lifetime", 401;
    TokenSubject = "token_subject", 401;
    TokenClaim = "token_claim", 401;
    // Of key sets that are fetched
    /// There is none, or none that is not too old
    NoKeys = "no_keys", 503;
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

    /// The HTTP status of the reply: a 401 has a challenge (RFC 9110, 15.5.2), and where no credential can be asked for it is 403.
    pub fn status(&self) -> u16 {
        match self.reason.status() {
            401 if self.challenges.is_empty() => 403,
            status => status,
        }
    }

    /// The one sentence the sender reads. All refused credentials read alike.
    pub fn body(&self) -> &'static str {
        match self.status() {
            400 => "bad request",
            401 => "authentication required",
            403 => "forbidden",
            413 => "content too large",
            431 => "request header field too large",
            _ => "service unavailable",
        }
    }
}
