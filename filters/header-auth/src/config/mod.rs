//! The filter's configuration: what operators write, and what of it can be acted on.

mod certificates;
mod jwks;
mod passwords;
mod providers;
mod raw;
mod shared;
mod signatures;
mod tokens;
mod webhooks;

use std::collections::BTreeMap;
use std::rc::Rc;

use wayside_credentials::messages::replay::SETS;
use wayside_sdk::config::{Json, check_version};
use wayside_sdk::policy::{PathCase, Rules};
use wayside_sdk::{Checks, ConfigErrors, Configuration, Mode, OwnedName};

use self::providers::Providers;
use self::raw::{OnBadOverride, RawAccess, RawAuthorize, RawConfig, RawIdentity, RawMetrics, RawRequire};
use crate::access::{Access, Authorize, Require};
use crate::authorization::is_token;
use crate::decision::{ByRoute, Policy};
use crate::identity::IdentityHeaders;
use crate::jwks::Remote;
use crate::means::Vm;
use crate::provider::Provider;
use crate::source::Source;

/// What is found in the place of something else may be a secret, and errors go to a log.
const NOT_SHOWN: &str = "another value (not shown)";

/// A whole configuration that holds no wrong value.
#[derive(Debug)]
pub struct Config {
    pub mode: Mode,
    pub policy: Policy,
    providers: All,
    /// How much of what is good once is remembered in each set of the table
    pub replay_room: usize,
    /// Key sets that are fetched
    pub remotes: Vec<Rc<Remote>>,
    pub metrics: Metrics,
    /// Whether access logs are told who was recognised
    pub publish: bool,
}

/// How the filter's metrics are named and bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Before every name, without the `_` that follows it
    pub prefix: String,
    /// Some of `provider`, `reason` and `rule`
    pub labels: Vec<String>,
    /// Series of all metrics together
    pub max_series: usize,
}

/// Every provider, of whom those that are asked show themselves in the policy.
struct All(Vec<Rc<Provider>>);

impl std::fmt::Debug for All {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|provider| &provider.name)).finish()
    }
}

impl Config {
    /// Has every provider take what it needs of the VM: after this, requests can be decided about.
    ///
    /// # Errors
    /// What the VM lacks.
    pub fn arm(&self, vm: &dyn Vm) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut at = Checks::new("/providers", &mut errors);
        for provider in &self.providers.0 {
            provider.kind.examiner().arm(vm, &mut at.at(&provider.name));
        }
        errors.or(Some(()))
    }
}

impl Configuration for Config {
    fn from_json(json: &Json) -> Result<Self, ConfigErrors> {
        read(json).map_err(ConfigErrors::without_values)
    }
}

fn read(json: &Json) -> Result<Config, ConfigErrors> {
    check_version(json, 1)?;
    let raw: RawConfig = wayside_sdk::config::read(json, "")?;
    let mut errors = ConfigErrors::default();
    let config = check(raw, &mut Checks::new("", &mut errors));
    errors.or(config)
}

fn check(raw: RawConfig, at: &mut Checks<'_>) -> Option<Config> {
    let names: Vec<String> = raw.providers.keys().cloned().collect();
    let providers = providers::check(raw.providers, raw.allow_plaintext, &mut at.at("providers"));
    let identity = check_identity(raw.identity, &mut at.at("identity"));
    if let Some(identity) = &identity {
        check_sources_apart(&providers, identity, &mut at.at("providers"));
    }
    let known = Known { names: &names, providers: &providers };
    let default = check_default(&raw.defaults, &known, &mut at.at("defaults"));
    let case = if raw.case_insensitive { PathCase::Folded } else { PathCase::Kept };
    let rules =
        Rules::parse(raw.rules, case, &mut at.at("rules"), |rule, at| {
            match wayside_sdk::config::read(&rule, at.pointer()) {
                Ok(rule) => check_rule(&rule, &raw.defaults, &known, at),
                Err(errors) => {
                    at.absorb(errors);
                    None
                }
            }
        });
    let realm = check_realm(raw.challenge_realm, &mut at.at("challenge_realm"));
    let metrics = check_metrics(raw.metrics, &mut at.at("metrics"));
    let max_credential_bytes = usize::try_from(raw.max_credential_bytes).unwrap_or(usize::MAX);
    if !(1..=65_536).contains(&max_credential_bytes) {
        at.at("max_credential_bytes").refuse("1 to 65536", raw.max_credential_bytes);
    }
    let replay_room = check_replay(raw.replay.capacity, &mut at.at("replay").at("capacity"));
    let namespace = raw.route_metadata_namespace;
    if !(1..=256).contains(&namespace.len()) || namespace.contains('\0') {
        at.at("route_metadata_namespace").refuse("1 to 256 bytes without NUL", NOT_SHOWN);
    }
    let policy = Policy {
        identity: identity?,
        asked: rules.as_ref()?.asked(),
        rules: rules?,
        default: default?,
        realm: realm?,
        max_credential_bytes,
        case,
        bypass_preflight: raw.bypass_preflight,
        by_route: ByRoute::new(namespace, raw.on_bad_override == OnBadOverride::Default, {
            let (names, providers, defaults) = (names.clone(), providers.clone(), raw.defaults);
            move |text| read_override(text, &defaults, &Known { names: &names, providers: &providers })
        }),
    };
    let remotes =
        providers.values().filter_map(|provider| provider.kind.examiner().remote().cloned()).collect();
    let providers = All(providers.into_values().collect());
    Some(Config { mode: raw.mode, policy, providers, replay_room, remotes, metrics, publish: raw.publish })
}

/// What a route says in the place of a rule's `config`.
fn read_override(text: &[u8], defaults: &RawAccess, known: &Known<'_>) -> Result<Access, ConfigErrors> {
    let raw: RawAccess = wayside_sdk::config::read(&wayside_sdk::config::document(text)?, "")?;
    let mut errors = ConfigErrors::default();
    let access = check_rule(&raw, defaults, known, &mut Checks::new("", &mut errors));
    errors.or(access).map_err(ConfigErrors::without_values)
}

/// The share of each set of what all of them hold.
fn check_replay(capacity: u64, at: &mut Checks<'_>) -> usize {
    if !(64..=65_536).contains(&capacity) {
        at.refuse("64 to 65536", capacity);
    }
    usize::try_from(capacity).unwrap_or(usize::MAX).div_ceil(usize::from(SETS))
}

/// The providers that rules may name.
struct Known<'a> {
    /// Also those that were refused, so that one mistake is reported once
    names: &'a [String],
    providers: &'a Providers,
}

fn check_default(raw: &RawAccess, known: &Known<'_>, at: &mut Checks<'_>) -> Option<Access> {
    match &raw.require {
        Some(require) => check_access(require, raw.authorize.as_ref(), known, at),
        None => {
            at.at("require").refuse(
                "\"none\", {\"any\": […]}, {\"all\": […]} or {\"optional\": […]}: nothing is open by omission",
                "none",
            );
            None
        }
    }
}

/// A rule that sets `require` starts anew; one that does not keeps the defaults, but for an `authorize` of its own.
fn check_rule(
    raw: &RawAccess,
    defaults: &RawAccess,
    known: &Known<'_>,
    at: &mut Checks<'_>,
) -> Option<Access> {
    match (&raw.require, &defaults.require) {
        (Some(require), _) => check_access(require, raw.authorize.as_ref(), known, at),
        (None, Some(require)) => {
            check_access(require, raw.authorize.as_ref().or(defaults.authorize.as_ref()), known, at)
        }
        (None, None) => None,
    }
}

fn check_access(
    raw: &RawRequire,
    authorize: Option<&RawAuthorize>,
    known: &Known<'_>,
    at: &mut Checks<'_>,
) -> Option<Access> {
    let require = {
        let at = &mut at.at("require");
        match raw {
            RawRequire::None => Require::None,
            RawRequire::Any(names) => Require::Any(check_names(names, known, &mut at.at("any"))?),
            RawRequire::All(names) => Require::All(check_names(names, known, &mut at.at("all"))?),
            RawRequire::Optional(names) => {
                Require::Optional(check_names(names, known, &mut at.at("optional"))?)
            }
        }
    };
    let Some(authorize) = authorize else {
        return Some(Access { require, authorize: None });
    };
    if matches!(require, Require::None | Require::Optional(_)) {
        at.at("authorize").refuse("a `require` of `any` or `all` with it", "one that lets strangers in");
        return None;
    }
    let authorize = check_authorize(authorize, &mut at.at("authorize"))?;
    Some(Access { require, authorize: Some(authorize) })
}

fn check_names(names: &[String], known: &Known<'_>, at: &mut Checks<'_>) -> Option<Vec<Rc<Provider>>> {
    if names.is_empty() {
        at.refuse("at least one provider", "none");
    }
    let mut providers: Vec<Rc<Provider>> = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let twice = providers.iter().any(|provider| provider.name == *name);
        match known.providers.get(name) {
            _ if twice => at.at(index).refuse("each provider once", "one again"),
            Some(provider) => providers.push(Rc::clone(provider)),
            None if known.names.contains(name) => {}
            None => at.at(index).refuse("the name of a provider", NOT_SHOWN),
        }
    }
    (!names.is_empty() && providers.len() == names.len()).then_some(providers)
}

fn check_authorize(raw: &RawAuthorize, at: &mut Checks<'_>) -> Option<Authorize> {
    let mut good = true;
    let lists = [
        ("subjects", &raw.subjects),
        ("scopes_all", &raw.scopes_all),
        ("scopes_any", &raw.scopes_any),
        ("methods", &raw.methods),
    ];
    if lists.iter().all(|(_, list)| list.is_none()) && raw.claims.is_none() {
        at.refuse("at least one of `subjects`, `scopes_all`, `scopes_any`, `methods` and `claims`", "none");
        good = false;
    }
    for (field, list) in lists {
        if list.as_ref().is_some_and(Vec::is_empty) {
            at.at(field).refuse("at least one entry", "none");
            good = false;
        }
    }
    good &= check_scopes(raw.scopes_all.as_deref().unwrap_or_default(), &mut at.at("scopes_all"));
    good &= check_scopes(raw.scopes_any.as_deref().unwrap_or_default(), &mut at.at("scopes_any"));
    for (index, method) in raw.methods.iter().flatten().enumerate() {
        if method.is_empty() || !method.bytes().all(is_token) {
            at.at("methods").at(index).refuse("a method", NOT_SHOWN);
            good = false;
        }
    }
    let claims = tokens::check_claims(raw.claims.as_ref(), &mut at.at("claims"));
    good &= claims.is_some();
    good.then(|| Authorize {
        subjects: raw.subjects.clone(),
        scopes_all: raw.scopes_all.clone().unwrap_or_default(),
        scopes_any: raw.scopes_any.clone(),
        methods: raw.methods.clone(),
        claims: claims.unwrap_or_default(),
    })
}

/// RFC 6749, 3.3: `scope-token`. Scopes travel joined by spaces.
fn check_scopes(scopes: &[String], at: &mut Checks<'_>) -> bool {
    let mut good = true;
    for (index, scope) in scopes.iter().enumerate() {
        if scope.is_empty()
            || !scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
        {
            at.at(index).refuse("a scope of visible ASCII characters without \" and \\", NOT_SHOWN);
            good = false;
        }
    }
    good
}

fn check_identity(raw: RawIdentity, at: &mut Checks<'_>) -> Option<IdentityHeaders> {
    let prefix = match OwnedName::parse(&raw.prefix) {
        Some(prefix) if prefix.as_str().len() >= 3 && prefix.as_str().ends_with('-') => {
            prefix.as_str().to_owned()
        }
        _ => {
            at.at("prefix").refuse("the start of a header name that ends with `-`", NOT_SHOWN);
            return None;
        }
    };
    let claims = check_claim_headers(raw.claims, &mut at.at("claims"))?;
    let at = &mut at.at("headers");
    let subject = identity_header(raw.headers.subject, &prefix, "subject", at)?;
    let provider = identity_header(raw.headers.provider, &prefix, "provider", at)?;
    let scopes = identity_header(raw.headers.scopes, &prefix, "scopes", at)?;
    if subject == provider || subject == scopes || provider == scopes {
        at.refuse("three different names", "one name twice");
        return None;
    }
    for name in claims.iter().map(|(_, header)| header) {
        if [&subject, &provider, &scopes].contains(&name) {
            at.refuse("other names than those of `claims`", "one of them");
            return None;
        }
    }
    Some(IdentityHeaders { prefix, subject, provider, scopes, claims })
}

/// Headers that tell of a token's claims, each of one.
fn check_claim_headers(raw: BTreeMap<String, String>, at: &mut Checks<'_>) -> Option<Vec<(String, String)>> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (claim, header) in raw {
        let header = identity_header(Some(header), "", &claim, at)?;
        if headers.iter().any(|(_, other)| *other == header) {
            at.at(&claim).refuse("a header of its own", "one that tells of another claim");
            return None;
        }
        headers.push((claim, header));
    }
    Some(headers)
}

fn identity_header(name: Option<String>, prefix: &str, field: &str, at: &mut Checks<'_>) -> Option<String> {
    /// Removing one of these from a request would change what the request is.
    const LOAD_BEARING: [&str; 9] = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "authorization",
        "cookie",
    ];
    let Some(name) = name else {
        return Some(format!("{prefix}{field}"));
    };
    match OwnedName::parse(&name) {
        Some(name) if !LOAD_BEARING.contains(&name.as_str()) => Some(name.as_str().to_owned()),
        _ => {
            at.at(field).refuse("the name of a header that HTTP itself does not need", NOT_SHOWN);
            None
        }
    }
}

/// A credential in an identity header would be removed before anyone could be told that it was refused.
fn check_sources_apart(providers: &Providers, identity: &IdentityHeaders, at: &mut Checks<'_>) {
    for (name, provider) in providers {
        for (index, source) in provider.kind.examiner().sources().iter().enumerate() {
            if let Source::Header(header) = source
                && identity.covers(header.as_bytes())
            {
                at.at(name)
                    .at("sources")
                    .at(index)
                    .at("header")
                    .refuse("a header outside of `identity`", NOT_SHOWN);
            }
        }
    }
}

fn check_realm(realm: String, at: &mut Checks<'_>) -> Option<String> {
    let plain = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'"' | b'\\');
    if !(1..=128).contains(&realm.len()) || !realm.bytes().all(plain) {
        at.refuse("1 to 128 visible ASCII characters without \" and \\", NOT_SHOWN);
        return None;
    }
    Some(realm)
}

fn check_metrics(raw: RawMetrics, at: &mut Checks<'_>) -> Metrics {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=32).contains(&raw.prefix.len()) || !raw.prefix.bytes().all(letters) {
        at.at("prefix").refuse("1 to 32 of a-z, 0-9 and _", NOT_SHOWN);
    }
    for (index, label) in raw.labels.iter().enumerate() {
        let again = raw.labels.iter().take(index).any(|other| other == label);
        if again || !matches!(label.as_str(), "provider" | "reason" | "rule") {
            at.at("labels").at(index).refuse("`provider`, `reason` or `rule`, each once", NOT_SHOWN);
        }
    }
    let max_series = usize::try_from(raw.max_series).unwrap_or(usize::MAX);
    if !(1..=100_000).contains(&max_series) {
        at.at("max_series").refuse("1 to 100000", raw.max_series);
    }
    Metrics { prefix: raw.prefix, labels: raw.labels, max_series }
}

#[cfg(test)]
mod tests;
