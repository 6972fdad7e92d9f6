//! Webhooks that are signed with a secret that their service and we have.

use std::cell::OnceCell;

use wayside_credentials::messages::signature::Refused;
use wayside_credentials::messages::webhook::{Profile, Secret};
use wayside_credentials::messages::{Message, replay};
use wayside_sdk::Checks;

use super::{Awaited, Entitled, Examine, Finding, Once, Proof, Replay, Shared, View};
use crate::denial::Reason;
use crate::means::{Means, Vm};
use crate::source::{Flaw, Source};
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub struct Webhooks {
    /// Tells what was used once apart from that of other providers
    provider: String,
    profile: Profile,
    /// Where the codes stand; what else is signed is for the upstream to read
    source: [Source; 1],
    shared: Vec<Shared>,
    /// In the order of the secrets
    holders: Vec<Entitled>,
    secrets: OnceCell<Vec<Secret>>,
    /// How far the service's clock may be from ours, and how long a message that tells no time is remembered
    tolerance: std::time::Duration,
    replay: Replay,
    /// All of a message is signed
    max_body: usize,
}

impl Webhooks {
    pub fn new(
        provider: String,
        profile: Profile,
        secrets: Vec<(Shared, Entitled)>,
        tolerance: std::time::Duration,
        replay: Replay,
        max_body: usize,
    ) -> Self {
        let codes = profile.fields().first().copied().unwrap_or_default();
        let (shared, holders) = secrets.into_iter().unzip();
        Self {
            provider,
            profile,
            source: [Source::Header(codes.to_owned())],
            shared,
            holders,
            secrets: OnceCell::new(),
            tolerance,
            replay,
            max_body,
        }
    }

    fn judged(&self, request: &View<'_>) -> Result<Finding, Reason> {
        let message = Message::of(request.headers).map_err(|_| Reason::MalformedCredential)?;
        for name in self.profile.fields() {
            if message.values(name).any(|value| value.len() > request.max_credential_bytes) {
                return Err(Flaw::TooLong.into());
            }
        }
        let now = request.now;
        let Some(presented) = self.profile.presented(&message, now.0, self.tolerance)? else {
            return Ok(Finding::Absent);
        };
        let Some(body) = request.body else {
            return Ok(Finding::Awaits(Awaited::Body { up_to: self.max_body }));
        };
        let secrets = self.secrets.get().ok_or(Reason::Internal)?;
        // Where a service changes its secret, both are told by one message, and the old one may be over.
        let mut refused = Refused::Wrong.into();
        for place in presented.made_by(secrets, body) {
            let entitled = self.holders.get(place).ok_or(Reason::Internal)?;
            match entitled.in_time(now) {
                Ok(holder) => {
                    let once = (self.replay == Replay::Refused).then(|| Once {
                        tag: replay::digest_of(&[self.provider.as_bytes(), &presented.once(body)]),
                        until: Timestamp(
                            presented.until.unwrap_or_else(|| now.0.saturating_add(self.tolerance)),
                        ),
                    });
                    return Ok(Finding::Valid(Proof { holder: holder.clone(), once, claims: None }));
                }
                Err(reason) => refused = reason,
            }
        }
        Err(refused)
    }
}

impl Examine for Webhooks {
    fn arm(&self, vm: &dyn Vm, at: &mut Checks<'_>) {
        let at = &mut at.at("secrets");
        let expected = match self.profile {
            Profile::StandardWebhooks => "`whsec_` and base64 of at least 16 bytes",
            Profile::GitHub | Profile::Stripe => "a secret of at least 16 bytes",
        };
        let read = |(index, shared): (usize, &Shared)| {
            shared.read(vm, expected, |text| Secret::read(self.profile, text), &mut at.at(index))
        };
        drop(self.secrets.set(self.shared.iter().enumerate().filter_map(read).collect()));
    }

    fn examine(&self, request: &View<'_>, _: &dyn Means) -> Finding {
        self.judged(request).unwrap_or_else(Finding::Refused)
    }

    fn sources(&self) -> &[Source] {
        &self.source
    }

    fn challenge(&self, realm: &str, _: Option<Reason>) -> Option<String> {
        Some(format!("Signature realm=\"{realm}\""))
    }
}
