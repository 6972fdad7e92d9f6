//! What is sent, and what must come of it.

mod api_keys;
mod basic;
mod drafts;
mod forms;
mod framing;
mod identity;
mod paths;
mod signatures;
mod tokens;
mod tokens_further;
mod webhooks;

use std::{collections::BTreeSet, fmt};

use crate::{
    gateway::{Gateway, Kind, Provider},
    message::Message,
};

/// What has to become of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// It is none: a good request in an unusual form.
    Pass,
    Refuse,
    /// Whichever; but nothing breaks, and what it smuggles comes nowhere.
    Either,
}

/// A chapter of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Controls,
    Tokens,
    Forms,
    Paths,
    FurtherTokens,
    FurtherPaths,
    ApiKeys,
    Basic,
    Signatures,
    Identity,
    Framing,
}

impl Group {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Group::Controls => "controls",
            Group::Tokens => "tokens",
            Group::Forms => "header forms",
            Group::Paths => "paths",
            Group::FurtherTokens => "further tokens",
            Group::FurtherPaths => "further paths",
            Group::ApiKeys => "API keys",
            Group::Basic => "Basic",
            Group::Signatures => "signatures",
            Group::Identity => "identity headers",
            Group::Framing => "framing",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What must not come to the upstream. It can be seen where the upstream answers with the headers it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Smuggled {
    /// A text, in any header.
    Text(String),
    /// A header of this name.
    Header(String),
}

/// One thing that is sent.
#[derive(Clone, Debug)]
pub struct Attack {
    pub group: Group,
    pub name: String,
    pub must: Must,
    /// Who says so.
    pub rule: &'static str,
    pub message: Message,
    pub smuggled: Option<Smuggled>,
}

impl Attack {
    fn new(
        group: Group,
        name: impl Into<String>,
        must: Must,
        rule: &'static str,
        message: Message,
    ) -> Attack {
        Attack { group, name: name.into(), must, rule, message, smuggled: None }
    }

    fn smuggling(self, smuggled: Smuggled) -> Attack {
        Attack { smuggled: Some(smuggled), ..self }
    }
}

/// What is not sent, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub group: Group,
    pub name: String,
    pub why: String,
}

/// All attacks on one gateway.
#[derive(Clone, Debug, Default)]
pub struct Attacks {
    pub sent: Vec<Attack>,
    pub skipped: Vec<Skipped>,
}

impl Attacks {
    /// Only those of which this is true, of group and name.
    pub fn keep(&mut self, is_kept: impl Fn(Group, &str) -> bool) {
        self.sent.retain(|attack| is_kept(attack.group, &attack.name));
        self.skipped.retain(|skipped| is_kept(skipped.group, &skipped.name));
    }

    /// One of each name is of the lists of tokens and of forms, whichever provider could make it; the others are further ones.
    fn list_each_token_once(&mut self) {
        fn bare(name: &str) -> &str {
            name.split_once(" (").map_or(name, |(bare, _)| bare)
        }
        let mut listed = BTreeSet::new();
        for attack in &mut self.sent {
            let is_listed = matches!(attack.group, Group::Tokens | Group::Forms);
            if is_listed && !listed.insert(bare(&attack.name).to_owned()) {
                attack.group = Group::FurtherTokens;
            }
        }
        let of_tokens = |group| matches!(group, Group::Tokens | Group::FurtherTokens);
        let sent = self.sent.iter().filter(|attack| of_tokens(attack.group));
        let made: BTreeSet<String> = sent.map(|attack| bare(&attack.name).to_owned()).collect();
        let by_another = |name: &str| made.contains(bare(name));
        self.skipped.retain(|skipped| !(of_tokens(skipped.group) && by_another(&skipped.name)));
    }

    fn skip(&mut self, group: Group, name: impl Into<String>, why: impl Into<String>) {
        self.skipped.push(Skipped { group, name: name.into(), why: why.into() });
    }
}

/// The whole list, as far as the gateway has something that it is aimed at; tokens are minted for this moment, in seconds since
/// 1970.
#[must_use]
pub fn all(gateway: &Gateway, now: u64) -> Attacks {
    let mut attacks = Attacks::default();
    for provider in &gateway.providers {
        let message = Message::get(provider.place.as_str());
        let name = |what: &str| format!("{what} ({})", provider.name);
        let open = Attack::new(
            Group::Controls,
            name("no credential"),
            Must::Refuse,
            "RFC 9110, 11.6.1",
            message.clone(),
        );
        attacks.sent.push(open);
        match good(gateway, provider, message, now) {
            Some(message) => {
                let rule = "the configuration";
                attacks.sent.push(Attack::new(
                    Group::Controls,
                    name("a good credential"),
                    Must::Pass,
                    rule,
                    message,
                ));
            }
            None => attacks.skip(Group::Controls, name("a good credential"), "none was given"),
        }
    }
    for provider in &gateway.providers {
        match &provider.kind {
            Kind::Jwt(issuer) => {
                tokens::add(&mut attacks, provider, issuer, now);
                tokens_further::add(&mut attacks, provider, issuer, now);
                forms::add(&mut attacks, provider, issuer, now);
            }
            Kind::ApiKey { sources, key } => {
                api_keys::add(&mut attacks, gateway, provider, sources, key.as_ref());
            }
            Kind::Basic { user } => basic::add(&mut attacks, gateway, provider, user.as_ref()),
            Kind::Signatures(signers) => signatures::add(&mut attacks, gateway, provider, signers, now),
            Kind::Webhooks(kind) => webhooks::add(&mut attacks, provider, kind, now),
            Kind::Other(kind) => {
                attacks.skip(
                    Group::Controls,
                    &provider.name,
                    format!("no attacks on kind {kind} are known here"),
                );
            }
        }
    }
    paths::add(&mut attacks, gateway);
    identity::add(&mut attacks, gateway, now);
    framing::add(&mut attacks, gateway, now);
    attacks.list_each_token_once();
    attacks.sent.sort_by_key(|attack| attack.group);
    attacks
}

/// The message with a credential that is good.
fn good(gateway: &Gateway, provider: &Provider, message: Message, now: u64) -> Option<Message> {
    match &provider.kind {
        Kind::ApiKey { sources, key } => Some(sources.first()?.carry(message, &key.as_ref()?.0)),
        Kind::Basic { user } => {
            let (user, password) = user.as_ref()?;
            Some(message.header("authorization", basic::credentials(user, &password.0)))
        }
        Kind::Jwt(issuer) => {
            let algorithm =
                issuer.algorithms.iter().copied().find(|algorithm| issuer.key(*algorithm).is_some())?;
            let token = issuer.draft(algorithm, now)?.token();
            Some(issuer.sources.first()?.carry(message, token))
        }
        Kind::Signatures(signers) => signatures::good(gateway, provider, signers, now),
        Kind::Webhooks(kind) => webhooks::good(provider, kind, now),
        Kind::Other(_) => None,
    }
}
