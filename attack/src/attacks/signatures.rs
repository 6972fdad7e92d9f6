//! Messages that are signed (RFC 9421), and those whose signature says something else than the message.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

use super::{Attack, Attacks, Group, Must, tokens::NO_KEY};
use crate::{
    gateway::{Gateway, Provider, Signers},
    keys::{Algorithm, Key},
    message::Message,
};

const RULE: &str = "RFC 9421, 3.2";
const COVERED: &str = "\"@method\" \"@authority\" \"@path\" \"@query\"";

/// What a signature is made of, to be spoilt before or after it is made.
#[derive(Clone)]
struct Draft<'a> {
    algorithm: Algorithm,
    key: &'a Key,
    id: String,
    message: Message,
    authority: String,
    label: String,
    covered: String,
    /// After the list of what is covered.
    parameters: String,
}

impl Draft<'_> {
    /// The line of a covered component as the message has it; empty where nobody can tell.
    fn line(&self, component: &str) -> String {
        let target = String::from_utf8_lossy(&self.message.target).into_owned();
        let (path, query) =
            target.split_once('?').map_or((target.as_str(), ""), |(path, query)| (path, query));
        let name = component.trim_matches('"');
        let value = match name {
            "@method" => self.message.method.clone(),
            "@authority" => self.authority.to_lowercase(),
            "@path" => path.to_owned(),
            "@query" => format!("?{query}"),
            name => {
                let found = self.message.headers.iter().find(|(given, _)| given == name.as_bytes());
                found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
            }
        };
        format!("{component}: {value}\n")
    }

    fn input(&self) -> String {
        format!("({}){}", self.covered, self.parameters)
    }

    fn signature(&self) -> Vec<u8> {
        let lines: String = self.covered.split(' ').map(|component| self.line(component)).collect();
        let base = format!("{lines}\"@signature-params\": {}", self.input());
        self.key.sign(self.algorithm, base.as_bytes()).unwrap_or_default()
    }

    fn signed(&self) -> Message {
        self.with(&STANDARD.encode(self.signature()))
    }

    /// With this text as the signature.
    fn with(&self, signature: &str) -> Message {
        let message = self.message.clone().authority(&self.authority);
        let message = message.header("signature-input", format!("{}={}", self.label, self.input()));
        message.header("signature", format!("{}=:{signature}:", self.label))
    }

    fn parameters(&self, created: impl std::fmt::Display, more: &str) -> Self {
        let id = &self.id;
        Draft { parameters: format!(";created={created};keyid=\"{id}\"{more}"), ..self.clone() }
    }

    fn covering(&self, covered: &str) -> Self {
        Draft { covered: covered.to_owned(), ..self.clone() }
    }
}

/// One of them after another, each with a nonce of its own, so that none is refused as a replay.
struct Signing<'a> {
    gateway: &'a Gateway,
    provider: &'a Provider,
    signers: &'a Signers,
    algorithm: Algorithm,
    key: &'a Key,
    now: u64,
    nonces: u32,
    list: Vec<(&'static str, Must, Message)>,
}

impl<'a> Signing<'a> {
    fn draft(&mut self) -> Draft<'a> {
        self.nonces += 1;
        let id = self.key.kid().unwrap_or_default().to_owned();
        let tag = self.signers.tag.as_ref().map(|tag| format!(";tag=\"{tag}\"")).unwrap_or_default();
        let parameters =
            format!(";created={};keyid=\"{id}\";nonce=\"kit-{}-{}\"{tag}", self.now, self.now, self.nonces);
        Draft {
            algorithm: self.algorithm,
            key: self.key,
            id,
            message: Message::get(self.provider.place.as_str()),
            authority: self.gateway.authority.clone(),
            label: self.signers.label.clone().unwrap_or_else(|| "sig1".to_owned()),
            covered: COVERED.to_owned(),
            parameters,
        }
    }

    fn refuse(&mut self, name: &'static str, message: Message) {
        self.list.push((name, Must::Refuse, message));
    }
}

/// A message that is good once.
pub(super) fn good(gateway: &Gateway, provider: &Provider, signers: &Signers, now: u64) -> Option<Message> {
    let (algorithm, key) = signers.keys.first()?;
    let mut signing = Signing {
        gateway,
        provider,
        signers,
        algorithm: *algorithm,
        key,
        now,
        nonces: 900,
        list: Vec::new(),
    };
    Some(signing.draft().signed())
}

pub(super) fn add(
    attacks: &mut Attacks,
    gateway: &Gateway,
    provider: &Provider,
    signers: &Signers,
    now: u64,
) {
    if signers.keys.is_empty() {
        attacks.skip(Group::Signatures, &provider.name, NO_KEY);
    }
    for (number, (algorithm, key)) in (0..).zip(&signers.keys) {
        let mut signing = Signing {
            gateway,
            provider,
            signers,
            algorithm: *algorithm,
            key,
            now,
            nonces: number * 100,
            list: Vec::new(),
        };
        what_is_signed(&mut signing);
        parameters(&mut signing);
        fields(&mut signing);
        content(&mut signing);
        let id = key.kid().unwrap_or_default();
        for (name, must, message) in signing.list {
            let name = format!("{name}, {id} ({})", provider.name);
            attacks.sent.push(Attack::new(Group::Signatures, name, must, RULE, message));
        }
    }
}

fn what_is_signed(signing: &mut Signing<'_>) {
    let good = signing.draft().signed();
    signing.list.push(("good", Must::Pass, good.clone()));
    let again = if signing.signers.replays { Must::Pass } else { Must::Refuse };
    signing.list.push(("the same once more", again, good));
    let signed = signing.draft().signed();
    signing.refuse("another method", signed.method("DELETE"));
    let signed = signing.draft().signed();
    signing.refuse("another authority", signed.authority("elsewhere.example"));
    let signed = signing.draft().signed();
    let target = [signed.target.as_slice(), b"?admin=1"].concat();
    signing.refuse("a query more", Message { target, ..signed });
    let signed = signing.draft().signed();
    let target = [signed.target.as_slice(), b"/more"].concat();
    signing.refuse("another path", Message { target, ..signed });
    for (name, covered) in [
        ("nothing covered", ""),
        ("the method alone covered", "\"@method\""),
        ("the query not covered", "\"@method\" \"@authority\" \"@path\""),
        ("a component twice", "\"@method\" \"@method\" \"@authority\" \"@path\" \"@query\""),
        ("a derived component nobody knows", "\"@method\" \"@authority\" \"@path\" \"@query\" \"@nonsense\""),
        ("a component of answers", "\"@method\" \"@authority\" \"@path\" \"@query\" \"@status\""),
        ("a header that is not there", "\"@method\" \"@authority\" \"@path\" \"@query\" \"x-absent\""),
        ("a component in capitals", "\"@METHOD\" \"@authority\" \"@path\" \"@query\""),
        ("a parameter nobody knows", "\"@method\";x \"@authority\" \"@path\" \"@query\""),
    ] {
        let message = signing.draft().covering(covered).signed();
        signing.refuse(name, message);
    }
}

fn parameters(signing: &mut Signing<'_>) {
    let now = signing.now;
    let day = 24 * 3600;
    let cases = [
        ("created a day ago", (now - day).to_string(), String::new()),
        ("created in a day", (now + day).to_string(), String::new()),
        ("created as text", format!("\"{now}\""), String::new()),
        ("created with a fraction", format!("{now}.5"), String::new()),
        ("created below zero", "-1".to_owned(), String::new()),
        ("expired", now.to_string(), format!(";expires={}", now - 60)),
        ("an algorithm of another kind", now.to_string(), ";alg=\"hmac-sha256\"".to_owned()),
        ("an algorithm nobody knows", now.to_string(), ";alg=\"none\"".to_owned()),
        ("a parameter of the signature nobody knows", now.to_string(), ";x=1".to_owned()),
    ];
    for (name, created, more) in cases {
        let message = signing.draft().parameters(created, &more).signed();
        signing.refuse(name, message);
    }
    let none = Draft { parameters: format!(";keyid=\"{}\"", signing.draft().id), ..signing.draft() }.signed();
    signing.refuse("not created at all", none);
    let stranger = Draft { id: "nobody".to_owned(), ..signing.draft() }.parameters(now, "").signed();
    signing.refuse("an unknown key", stranger);
}

fn fields(signing: &mut Signing<'_>) {
    let draft = signing.draft();
    let mut other = draft.signature();
    if let Some(last) = other.last_mut() {
        *last ^= 1;
    }
    signing.refuse("another signature", draft.with(&STANDARD.encode(other)));
    let draft = signing.draft();
    signing.refuse("no signature", draft.with(""));
    for field in ["signature", "signature-input"] {
        let mut message = signing.draft().signed();
        message.headers.retain(|(name, _)| name != field.as_bytes());
        signing.refuse(
            if field == "signature" { "the signature's field missing" } else { "the input's field missing" },
            message,
        );
    }
    let mut message = signing.draft().signed();
    for (name, value) in &mut message.headers {
        if name == b"signature" {
            *value = [b"other".as_slice(), value].concat();
        }
    }
    signing.refuse("labels that differ", message);
    let mut message = signing.draft().signed();
    for (name, value) in &mut message.headers {
        if name == b"signature-input" {
            value.push(b',');
        }
    }
    signing.refuse("a comma after the input", message);
    let message = signing.draft().signed();
    let again = message.headers.last().cloned();
    let message = Message { headers: message.headers.iter().cloned().chain(again).collect(), ..message };
    // The last of two equal members counts: RFC 9651, 4.2.2. It is the same.
    signing.list.push(("the signature's field twice", Must::Either, message));
}

fn content(signing: &mut Signing<'_>) {
    let digest_of = |body: &[u8]| format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, body)));
    let covered = format!("{COVERED} \"content-digest\"");
    let body = b"{\"amount\": 1}";
    let mut post = |told: &[u8], covered: &str, sent: &[u8]| {
        let draft = signing.draft();
        let message = draft.message.clone().method("POST").header("content-digest", digest_of(told));
        let message = message.header("content-length", sent.len().to_string()).body(sent);
        Draft { message, ..draft }.covering(covered).signed()
    };
    let good = post(body, &covered, body);
    let other = post(body, &covered, b"{\"amount\": 9}");
    let uncovered = post(body, COVERED, body);
    let shorter = post(body, &covered, b"");
    signing.list.push(("a body with its digest", Must::Pass, good));
    signing.refuse("a body that is not that of the digest", other);
    signing.refuse("a digest that is not covered", uncovered);
    signing.refuse("no body where the digest is of one", shorter);
    let draft = signing.draft();
    let message = draft.message.clone().method("POST").header("content-length", "2").body("{}");
    signing.refuse("a body without a digest", Draft { message, ..draft }.signed());
}
