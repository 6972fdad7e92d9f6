//! What a token says, and whether it holds here and now: RFC 7519 section 4, RFC 9068, RFC 8725.

use std::time::Duration;

use wayside_json::Json;

use super::reading;

/// What claims must be.
#[derive(Clone, Debug)]
pub struct Expectations {
    pub issuer: String,
    /// One of them must be among the token's. Where there are none, a token that is meant for anybody in particular is refused
    /// (RFC 7519 section 4.1.3).
    pub audiences: Vec<String>,
    /// Between the clocks of both sides
    pub skew: Duration,
    pub require_exp: bool,
    /// From `iat` to `exp`
    pub max_lifetime: Option<Duration>,
    pub require_sub: bool,
    pub claims: Vec<Wanted>,
}

/// A claim, and the values it must have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name, or with a slash in front the way down to it (RFC 6901)
    pub name: String,
    /// Each of them must be the claim, or one of its members
    pub values: Vec<Json>,
}

/// Why a token with a good signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discord {
    /// No JSON object, or a claim of another type than it has to be
    Malformed,
    Issuer,
    Audience,
    /// No `exp`
    NoExpiry,
    Expired,
    /// `nbf` is to come
    NotYetValid,
    /// `iat` is to come
    IssuedInFuture,
    /// It is good for longer than is allowed, or does not say for how long
    Lifetime,
    /// No `sub`
    Subject,
    /// A claim that had to be there is not, or has another value
    Claim,
}

/// Claims that hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    object: Json,
    expiry: Option<Duration>,
}

/// JSON has no number that differs from itself.
impl Eq for Claims {}

impl Claims {
    /// Judges the payload of a token whose signature was good. `now` is since 1970.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`Discord`].
    pub fn check(payload: &[u8], expected: &Expectations, now: Duration) -> Result<Claims, Discord> {
        let object = reading::object(payload).ok_or(Discord::Malformed)?;
        let issuer = text(&object, "iss")?;
        let subject = text(&object, "sub")?;
        let (exp, nbf, iat) = (time(&object, "exp")?, time(&object, "nbf")?, time(&object, "iat")?);
        if issuer != Some(&*expected.issuer) {
            return Err(Discord::Issuer);
        }
        check_audience(&object, &expected.audiences)?;
        let (now, skew) = (now.as_secs_f64(), expected.skew.as_secs_f64());
        match exp {
            None if expected.require_exp => return Err(Discord::NoExpiry),
            Some(exp) if now >= exp + skew => return Err(Discord::Expired),
            _ => {}
        }
        if nbf.is_some_and(|nbf| nbf > now + skew) {
            return Err(Discord::NotYetValid);
        }
        if iat.is_some_and(|iat| iat > now + skew) {
            return Err(Discord::IssuedInFuture);
        }
        if let Some(most) = expected.max_lifetime
            && !exp.zip(iat).is_some_and(|(exp, iat)| exp - iat <= most.as_secs_f64())
        {
            return Err(Discord::Lifetime);
        }
        if expected.require_sub && subject.is_none_or(str::is_empty) {
            return Err(Discord::Subject);
        }
        let expiry = exp.map(|exp| Duration::try_from_secs_f64(exp).unwrap_or(Duration::MAX));
        let claims = Claims { object, expiry };
        if !expected.claims.iter().all(|wanted| claims.has(wanted)) {
            return Err(Discord::Claim);
        }
        Ok(claims)
    }

    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        reading::text(&self.object, "sub")
    }

    /// Until when they hold, since 1970, on the issuer's clock; `None` for ever.
    #[must_use]
    pub fn expiry(&self) -> Option<Duration> {
        self.expiry
    }

    /// What its holder may do: `scope` with spaces between (RFC 8693 section 4.2), or `scp`, which some write as a list.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let claims = [self.object.get("scope"), self.object.get("scp")];
        let listed = claims.into_iter().flatten().flat_map(|claim| match claim {
            Json::List(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        });
        listed
            .flat_map(|item| match item {
                Json::Text(text) => text.split(' '),
                _ => "".split(' '),
            })
            .filter(|scope| !scope.is_empty())
    }

    /// A claim by its name, or with a slash in front by the way down to it (RFC 6901).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        let Some(way) = name.strip_prefix('/') else { return self.object.get(name) };
        way.split('/').try_fold(&self.object, |at, step| at.get(&step.replace("~1", "/").replace("~0", "~")))
    }

    #[must_use]
    pub fn has(&self, wanted: &Wanted) -> bool {
        let claim = self.get(&wanted.name);
        let members = match claim {
            Some(Json::List(members)) => members.as_slice(),
            Some(claim) => std::slice::from_ref(claim),
            None => return false,
        };
        wanted.values.iter().all(|value| members.contains(value))
    }
}

/// A claim that is a text if it is there.
fn text<'j>(object: &'j Json, name: &str) -> Result<Option<&'j str>, Discord> {
    match object.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Discord::Malformed),
    }
}

/// A claim that is a NumericDate (RFC 7519 section 2) if it is there: seconds since 1970, with or without a fraction.
#[expect(clippy::cast_precision_loss, reason = "seconds beyond 2^53 are far away whichever they are")]
fn time(object: &Json, name: &str) -> Result<Option<f64>, Discord> {
    match object.get(name) {
        None => Ok(None),
        Some(Json::Unsigned(seconds)) => Ok(Some(*seconds as f64)),
        Some(Json::Negative(seconds)) => Ok(Some(*seconds as f64)),
        Some(Json::Float(seconds)) => Ok(Some(*seconds)),
        Some(_) => Err(Discord::Malformed),
    }
}

/// RFC 7519 section 4.1.3: a text or a list of texts.
fn check_audience(object: &Json, ours: &[String]) -> Result<(), Discord> {
    let theirs = match object.get("aud") {
        None => &[],
        Some(Json::List(theirs)) => theirs.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let mut met = ours.is_empty() && theirs.is_empty();
    for audience in theirs {
        let Json::Text(audience) = audience else { return Err(Discord::Malformed) };
        met |= ours.contains(audience);
    }
    if met { Ok(()) } else { Err(Discord::Audience) }
}

impl Discord {
    /// For metrics and logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Discord::Malformed => "token_claims",
            Discord::Issuer => "token_issuer",
            Discord::Audience => "token_audience",
            Discord::NoExpiry => "token_no_expiry",
            Discord::Expired => "token_expired",
            Discord::NotYetValid => "token_not_yet_valid",
            Discord::IssuedInFuture => "token_issued_in_future",
            Discord::Lifetime => "token_lifetime",
            Discord::Subject => "token_subject",
            Discord::Claim => "token_claim",
        }
    }
}
