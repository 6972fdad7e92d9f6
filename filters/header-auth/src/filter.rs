//! The glue: what the proxy knows goes into the decision, what was decided goes to the proxy.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use wayside_credentials::jose::Verifier;
use wayside_credentials::messages::replay::Spent;
use wayside_sdk::headers::{Headers, Request as OfRequest};
use wayside_sdk::policy::DEFAULT_RULE;
use wayside_sdk::property::{
    CLUSTER_NAME, CONNECTION_DNS_SAN_PEER, CONNECTION_MTLS, CONNECTION_PEER_VALID, CONNECTION_SHA256_PEER,
    CONNECTION_SUBJECT_PEER, CONNECTION_URI_SAN_PEER, Prop, ROUTE_NAME,
};
use wayside_sdk::{
    Collect, CollectError, ConfigErrors, Counter, CounterFamily, Environment, Flow, GrpcCode, HeaderBlock,
    Histogram, Host, HttpFilter, Init, Mode, Monotonic, NameRef, OwnedName, Plugin, Redacted, Reply,
    RequestBody, RequestHeaders, RequestTrailers, Wall, log, name, rng,
};

use crate::access::{Admission, Halt};
use crate::config::Config;
use crate::decision::{Admitted, Decision, Policy, Request, told};
use crate::denial::{Denial, Reason};
use crate::jwks::{self, More, Remote};
use crate::kinds::Awaited;
use crate::means::{CertificatePart, Event, Means, Unavailable, Vm};
use crate::signatures;
use crate::source::{Edit, Header};
use crate::spent::Table;
use crate::timestamp::Timestamp;
use crate::waiting::{Held, Patience, Waiting, a_moment};

/// The configured filter.
#[derive(Debug)]
pub struct HeaderAuth {
    mode: Mode,
    policy: Policy,
    signatures: signatures::Host,
    spent: Table,
    remotes: Vec<Rc<Remote>>,
    waiting: Waiting,
    counters: Counters,
    route_path: OnceCell<Box<[u8]>>,
    publish: bool,
}

/// One request.
#[derive(Debug)]
pub struct Stream {
    plugin: Rc<HeaderAuth>,
    /// Whether it came with identity headers of its own: trailers do not count it again
    claimed_identity: bool,
    waiting: Option<Box<ForBody>>,
}

/// A request about which nothing can be said before its body is there.
#[derive(Debug)]
struct ForBody {
    snapshot: Snapshot,
    /// Who asks for it
    rule: String,
    provider: String,
    up_to: usize,
    /// What has passed, where the filter only watches; otherwise the proxy holds it
    passed: Vec<u8>,
}

impl Plugin for HeaderAuth {
    const NAME: &'static str = "header_auth";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, init: &mut Init) -> Result<Self, ConfigErrors> {
        config.arm(&ThisVm::default())?;
        let counters = Counters::new(&config, init)?;
        if config.mode != Mode::Off {
            config.remotes.iter().try_for_each(|remote| remote.start(&counters.jwks, init))?;
        }
        let spent = Table::new(config.replay_room, config.mode == Mode::Shadow);
        Ok(Self {
            mode: config.mode,
            policy: config.policy,
            signatures: signatures::Host::default(),
            spent,
            remotes: config.remotes,
            waiting: Waiting::default(),
            counters,
            route_path: OnceCell::new(),
            publish: config.publish && config.mode == Mode::Enforce,
        })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream { plugin: Rc::clone(self), claimed_identity: false, waiting: None }
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        let plugin = &*self.plugin;
        if plugin.mode == Mode::Off {
            return Flow::Continue;
        }
        let snapshot = match Snapshot::take(&request, plugin) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                return plugin.cannot(DEFAULT_RULE, format_args!("the request cannot be read: {error}"));
            }
        };
        // Of a request that ends here the body is known.
        let body = request.end_of_stream().then_some(&[][..]);
        let patience = Patience::new(plugin.mode);
        let decision = plugin.decide(&snapshot, body, request.stream(), &patience);
        self.claimed_identity = decision.claimed_identity;
        if let Err(Halt::Awaits { provider, awaited: Awaited::Body { up_to } }) = &decision.outcome
            && body.is_none()
        {
            let (rule, provider) = (decision.rule.to_owned(), provider.clone());
            let waiting = ForBody { rule, provider, up_to: *up_to, passed: Vec::new(), snapshot };
            self.waiting = Some(Box::new(waiting));
            return match plugin.mode {
                Mode::Enforce => request.hold_for_body(),
                Mode::Shadow | Mode::Off => Flow::Continue,
            };
        }
        if awaits_keys(&decision) {
            let body = body.map(<[u8]>::to_vec);
            return until_there_are_keys(Rc::clone(&self.plugin), request, snapshot, body, patience);
        }
        plugin.carry_out(decision, Some(&mut request.headers))
    }

    /// Nothing of a request goes on before its body has been seen, if it takes the body to decide.
    fn on_request_body(&mut self, mut body: RequestBody) -> Flow {
        let Some(waiting) = &mut self.waiting else {
            return Flow::Continue;
        };
        let plugin = &*self.plugin;
        let collected = match plugin.mode {
            Mode::Enforce => Collect::up_to(waiting.up_to).whole(&body),
            Mode::Shadow | Mode::Off => waiting.take_in(&body),
        };
        let whole = match (collected, plugin.mode) {
            (Ok(Some(whole)), _) => whole,
            (Ok(None), Mode::Enforce) => return Flow::Buffer,
            (Ok(None), Mode::Shadow | Mode::Off) => return Flow::Continue,
            (Err(CollectError::TooLarge { .. }), _) => {
                let flow = plugin.too_large(waiting);
                self.waiting = None;
                return flow;
            }
            (Err(CollectError::Unreadable(error)), _) => {
                self.waiting = None;
                return plugin.cannot(DEFAULT_RULE, format_args!("the body cannot be read: {error}"));
            }
        };
        let snapshot = match (self.waiting.take().map(|waiting| waiting.snapshot), now()) {
            (Some(snapshot), Ok(now)) => Snapshot { now, ..snapshot },
            _ => return plugin.cannot(DEFAULT_RULE, format_args!("there is no time")),
        };
        let patience = Patience::new(plugin.mode);
        let decision = plugin.decide(&snapshot, Some(&whole), body.stream(), &patience);
        if awaits_keys(&decision) {
            return until_there_are_keys(Rc::clone(&self.plugin), body, snapshot, Some(whole), patience);
        }
        plugin.carry_out(decision, body.headers())
    }

    /// Trailers are no place for an identity either: some servers add them to the headers.
    fn on_request_trailers(&mut self, mut request: RequestTrailers) -> Flow {
        let plugin = &*self.plugin;
        if plugin.mode == Mode::Off {
            return Flow::Continue;
        }
        match plugin.strip(&mut request) {
            Ok(claimed) => {
                if claimed && !self.claimed_identity {
                    plugin.counters.stripped.inc([DEFAULT_RULE.as_bytes()]);
                }
                Flow::Continue
            }
            Err(error) => {
                plugin.cannot(DEFAULT_RULE, format_args!("the trailers cannot be cleansed: {error}"))
            }
        }
    }
}

impl ForBody {
    /// Of a body that passes: the whole of it, once it has.
    fn take_in(&mut self, body: &RequestBody) -> Result<Option<Vec<u8>>, CollectError> {
        let came = self.passed.len().saturating_add(body.len());
        if came > self.up_to {
            return Err(CollectError::TooLarge { came, request: true });
        }
        self.passed.extend(body.read(body.len()).map_err(CollectError::Unreadable)?);
        Ok(body.is_complete().then(|| std::mem::take(&mut self.passed)))
    }
}

impl HeaderAuth {
    /// What is decided about a request, with what is good once spent.
    fn decide<'p>(
        &'p self,
        snapshot: &Snapshot,
        body: Option<&[u8]>,
        stream: &wayside_sdk::Stream,
        patience: &Patience,
    ) -> Decision<'p> {
        let headers: Vec<Header<'_>> = snapshot.block.iter().collect();
        let request = Request {
            headers: &headers,
            body,
            route_name: &snapshot.route_name,
            cluster: &snapshot.cluster,
            route_says: snapshot.route_says.as_deref(),
        };
        let proxy = Proxy {
            stream,
            patience,
            signatures: &self.signatures,
            counters: &self.counters,
            verifies: Cell::new(None),
        };
        let mut decision = self.policy.decide(&request, &proxy, snapshot.now);
        proxy.over();
        if let Ok(admitted) = &decision.outcome
            && let Err(reason) = self.spend(admitted, snapshot.now)
        {
            let denial = match &admitted.admission {
                Admission::Known { provider, .. } => provider.denial(reason, &self.policy.realm),
                Admission::Open | Admission::Anonymous => Denial::of(reason),
            };
            decision.outcome = Err(denial.into());
        }
        if let Some(told) = self.publish.then(|| told(&decision)).flatten()
            && let Err(error) = stream.publish("l7.auth", told.as_bytes())
        {
            log!(Warn, "access logs are not told who it was: {error}");
        }
        decision
    }

    /// Spends what is good once. Unless it is certain that this is the first time, the request does not pass.
    fn spend(&self, admitted: &Admitted<'_>, now: Timestamp) -> Result<(), Reason> {
        for once in &admitted.once {
            match self.spent.spend(once, now) {
                Ok(Spent::Now) => {}
                Ok(Spent::Before) => {
                    self.counters.replayed.inc();
                    return Err(Reason::Replayed);
                }
                Ok(Spent::NoRoom) => {
                    self.counters.replay_full.inc();
                    return Err(Reason::ReplayFull);
                }
                Err(error) => {
                    log!(Error, "what is good once cannot be spent: {error}");
                    return Err(Reason::Internal);
                }
            }
        }
        Ok(())
    }

    /// Another number whenever something has become of a fetch of keys. `None`: nobody knows.
    fn news(&self, stream: &wayside_sdk::Stream) -> Option<u64> {
        let now = stream.now().ok()?;
        Some(self.remotes.iter().fold(0, |sum, remote| remote.news(now).wrapping_add(sum)))
    }

    /// Counts what was decided and does it, unless the filter only watches.
    fn carry_out(&self, decision: Decision<'_>, headers: Option<&mut Headers<OfRequest>>) -> Flow {
        self.counters.count(&decision);
        match (self.mode, decision.outcome) {
            (Mode::Shadow | Mode::Off, _) => Flow::Continue,
            (Mode::Enforce, Ok(admitted)) => match apply(&admitted, headers) {
                Ok(()) => Flow::Continue,
                Err(error) => {
                    self.cannot(decision.rule, format_args!("the identity headers cannot be set: {error}"))
                }
            },
            (Mode::Enforce, Err(Halt::Awaits { provider, awaited })) => {
                self.cannot(decision.rule, format_args!("{provider} awaits {awaited:?}, which does not come"))
            }
            (Mode::Enforce, Err(Halt::Denied(denial))) => {
                let provider = denial.provider.as_deref().unwrap_or("none");
                let (rule, reason) = (decision.rule, denial.reason.label());
                log!(Debug, "denied: rule {rule}, provider {provider}, reason {reason}");
                refuse(&denial).into()
            }
        }
    }

    /// More of a body has come than anybody looks at.
    fn too_large(&self, waiting: &ForBody) -> Flow {
        let reason = Reason::BodyTooLarge;
        let labels = [&waiting.provider, reason.label(), &waiting.rule];
        self.counters.denied.inc(labels.map(str::as_bytes));
        match self.mode {
            Mode::Enforce => refuse(&Denial::of(reason)).into(),
            Mode::Shadow | Mode::Off => Flow::Continue,
        }
    }

    /// Takes identities out of trailers, unless it only watches. Whether there were any.
    fn strip(&self, request: &mut RequestTrailers) -> Result<bool, EditError> {
        let block = request.headers.block()?;
        let trailers: Vec<Header<'_>> = block.iter().collect();
        let claimed = self.policy.identity.claimed(&trailers);
        if self.mode == Mode::Enforce {
            for name in &claimed {
                request.headers.remove(parsed(name, &mut None)?)?;
            }
        }
        Ok(!claimed.is_empty())
    }

    /// The filter cannot do its work: nobody gets in, unless it only watches.
    fn cannot(&self, rule: &str, why: std::fmt::Arguments<'_>) -> Flow {
        log!(Error, "{why}");
        self.counters.internal.inc([rule.as_bytes()]);
        match self.mode {
            Mode::Enforce => refuse(&Denial::of(Reason::Internal)).into(),
            Mode::Shadow | Mode::Off => Flow::Continue,
        }
    }
}

fn awaits_keys(decision: &Decision<'_>) -> bool {
    matches!(decision.outcome, Err(Halt::Awaits { awaited: Awaited::Keys, .. }))
}

/// Decides again and again, until there are keys or the request may wait for them no longer.
fn until_there_are_keys(
    plugin: Rc<HeaderAuth>,
    mut message: impl Held + 'static,
    mut snapshot: Snapshot,
    body: Option<Vec<u8>>,
    mut patience: Patience,
) -> Flow {
    let place = plugin.waiting.place();
    if place.is_none() {
        patience = Patience::none();
    }
    Flow::wait(async move {
        let _place = place;
        let mut known = None;
        loop {
            if let Err(error) = a_moment(message.stream()).await {
                log!(Error, "nobody can wait: {error}");
                patience = Patience::none();
            }
            let news = plugin.news(message.stream());
            if known == news && known.is_some() && patience.lasts(message.stream()) {
                continue;
            }
            known = news;
            match now() {
                Ok(now) => snapshot.now = now,
                Err(error) => return plugin.cannot(DEFAULT_RULE, format_args!("there is no time: {error}")),
            }
            let decision = plugin.decide(&snapshot, body.as_deref(), message.stream(), &patience);
            if !awaits_keys(&decision) {
                return plugin.carry_out(decision, message.headers());
            }
        }
    })
}

/// What is read from the proxy for one request.
#[derive(Debug)]
struct Snapshot {
    block: HeaderBlock,
    route_name: Vec<u8>,
    cluster: Vec<u8>,
    route_says: Option<Vec<u8>>,
    now: Timestamp,
}

impl Snapshot {
    fn take(request: &RequestHeaders, plugin: &HeaderAuth) -> Host<Self> {
        let Policy { asked, by_route, .. } = &plugin.policy;
        let property = |wanted: bool, property| match wanted {
            true => request.stream().get(property).map(Option::unwrap_or_default),
            false => Ok(Vec::new()),
        };
        Ok(Self {
            block: request.headers.block()?,
            route_name: property(asked.route_name, &ROUTE_NAME)?,
            cluster: property(asked.cluster, &CLUSTER_NAME)?,
            route_says: request.stream().route_metadata(&by_route.namespace, &plugin.route_path)?,
            now: now()?,
        })
    }
}

/// The VM this runs in, asked for what a configuration needs of it and for nothing else.
#[derive(Default)]
struct ThisVm {
    environment: OnceCell<Environment>,
    random: OnceCell<Option<[u8; 32]>>,
}

impl Vm for ThisVm {
    fn secret(&self, name: &str) -> Option<Redacted<Vec<u8>>> {
        self.environment.get_or_init(|| Environment::of_vm().unwrap_or_default()).get(name).cloned()
    }

    fn random(&self) -> Option<[u8; 32]> {
        *self.random.get_or_init(|| rng::bytes().ok())
    }
}

fn now() -> Host<Timestamp> {
    Ok(Timestamp(Wall::now()?.since_epoch()))
}

/// The proxy, asked on behalf of one request.
struct Proxy<'a> {
    stream: &'a wayside_sdk::Stream,
    patience: &'a Patience,
    signatures: &'a signatures::Host,
    counters: &'a Counters,
    /// Since when a credential is being verified
    verifies: Cell<Option<Monotonic>>,
}

impl Proxy<'_> {
    fn told(&self, property: &'static Prop<bool>) -> Result<bool, Unavailable> {
        self.stream.get(property).ok().flatten().ok_or(Unavailable)
    }

    /// The decision is made.
    fn over(self) {
        if let Some(since) = self.verifies.get()
            && let Ok(now) = Monotonic::now()
        {
            let micros = u64::try_from(now.since(since).as_micros()).unwrap_or(u64::MAX);
            self.counters.verify.record(micros);
        }
    }
}

impl Means for Proxy<'_> {
    fn noticed(&self, event: Event) {
        match event {
            Event::CacheHit => self.counters.cache_hit.inc(),
            Event::CacheMiss => self.counters.cache_miss.inc(),
            Event::Verifies if self.verifies.get().is_none() => self.verifies.set(Monotonic::now().ok()),
            Event::Verifies => {}
        }
    }

    fn shows_certificate(&self) -> Result<bool, Unavailable> {
        self.told(&CONNECTION_MTLS)
    }

    fn certificate_is_valid(&self) -> Result<bool, Unavailable> {
        self.told(&CONNECTION_PEER_VALID)
    }

    fn certificate(&self, part: CertificatePart) -> Result<Option<Vec<u8>>, Unavailable> {
        let property = match part {
            CertificatePart::UriSan => &CONNECTION_URI_SAN_PEER,
            CertificatePart::DnsSan => &CONNECTION_DNS_SAN_PEER,
            CertificatePart::Subject => &CONNECTION_SUBJECT_PEER,
            CertificatePart::Sha256 => &CONNECTION_SHA256_PEER,
        };
        let value = self.stream.get(property).map_err(|_| Unavailable)?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn more_keys(&self, keys: &Rc<Remote>) -> More {
        match keys.want(self.stream) {
            More::Coming if !self.patience.lasts_for(keys.wait(), self.stream) => More::No,
            more => more,
        }
    }

    fn verifier(&self) -> &dyn Verifier {
        self.signatures
    }
}

/// What stopped an edit: the host, or a name the host cannot be told.
#[derive(Debug, thiserror::Error)]
enum EditError {
    #[error("{0}")]
    Host(#[from] wayside_sdk::HostError),
    #[error("a header name is no name")]
    Name,
    #[error("the headers have gone on")]
    Gone,
}

fn apply(admitted: &Admitted<'_>, headers: Option<&mut Headers<OfRequest>>) -> Result<(), EditError> {
    let headers = headers.ok_or(EditError::Gone)?;
    for edit in &admitted.edits {
        let mut folded = None;
        match edit {
            Edit::Set(name, path) if **name == *b":path" => headers.set(name!(":path"), path)?,
            Edit::Set(name, value) => headers.set(parsed(name, &mut folded)?, value)?,
            Edit::Add(name, value) => headers.append(parsed(name, &mut folded)?, value)?,
            Edit::Remove(name) => headers.remove(parsed(name, &mut folded)?)?,
        }
    }
    Ok(())
}

/// Names are nearly always in lower case as they stand.
fn parsed<'a>(name: &'a [u8], folded: &'a mut Option<OwnedName>) -> Result<NameRef<'a>, EditError> {
    if let Some(name) = NameRef::parse(name) {
        return Ok(name);
    }
    let name = std::str::from_utf8(name).ok().and_then(OwnedName::parse).ok_or(EditError::Name)?;
    Ok(NameRef::from(&*folded.insert(name)))
}

fn refuse(denial: &Denial) -> Reply {
    let grpc = match denial.status() {
        400 => GrpcCode::InvalidArgument,
        401 => GrpcCode::Unauthenticated,
        403 => GrpcCode::PermissionDenied,
        413 | 431 => GrpcCode::ResourceExhausted,
        _ => GrpcCode::Unavailable,
    };
    let reply =
        Reply::new(denial.status(), denial.reason.details()).body(denial.body().as_bytes()).grpc(grpc);
    denial
        .challenges
        .iter()
        .fold(reply, |reply, challenge| reply.header(name!("www-authenticate"), challenge.as_bytes()))
}

/// What happened, for the operator. No subject, key or header value ever becomes a label.
#[derive(Debug)]
struct Counters {
    allowed: CounterFamily<2>,
    denied: CounterFamily<3>,
    anonymous: CounterFamily<1>,
    stripped: CounterFamily<1>,
    internal: CounterFamily<1>,
    cache_hit: Counter,
    cache_miss: Counter,
    verify: Histogram,
    replayed: Counter,
    replay_full: Counter,
    jwks: Rc<jwks::Counters>,
}

impl Counters {
    fn new(config: &Config, init: &mut Init) -> Host<Self> {
        let metrics = &config.metrics;
        let prefix = &metrics.prefix;
        let limit = init.series_limit(prefix, metrics.max_series)?;
        let name = |base: &str| format!("{prefix}_auth_{base}_total");
        // What was not chosen has no name, and so is not there.
        let label = |label| {
            if metrics.labels.iter().any(|chosen| chosen == label) { label } else { "" }
        };
        let (provider, reason, rule) = (label("provider"), label("reason"), label("rule"));
        Ok(Self {
            allowed: init.counter_family(&name("allowed"), [provider, rule], &limit),
            denied: init.counter_family(&name("denied"), [provider, reason, rule], &limit),
            anonymous: init.counter_family(&name("anonymous"), [rule], &limit),
            stripped: init.counter_family(&name("identity_stripped"), [rule], &limit),
            internal: init.counter_family(&name("internal"), [rule], &limit),
            cache_hit: init.counter(&name("cache_hit"))?,
            cache_miss: init.counter(&name("cache_miss"))?,
            verify: init.histogram(&format!("{prefix}_auth_verify_us"))?,
            replayed: init.counter(&name("replay_hit"))?,
            replay_full: init.counter(&name("replay_full"))?,
            jwks: Rc::new(jwks::Counters::new(init, prefix, provider, reason, &limit)),
        })
    }

    /// A decision that is final.
    fn count(&self, decision: &Decision<'_>) {
        let rule = decision.rule.as_bytes();
        if decision.claimed_identity {
            self.stripped.inc([rule]);
        }
        match &decision.outcome {
            Ok(Admitted { admission: Admission::Open, .. }) => self.allowed.inc([b"none", rule]),
            Ok(Admitted { admission: Admission::Anonymous, .. }) => self.anonymous.inc([rule]),
            Ok(Admitted { admission: Admission::Known { provider, .. }, .. }) => {
                self.allowed.inc([provider.name.as_bytes(), rule]);
            }
            // What does not come is told as a fault.
            Err(Halt::Awaits { .. }) => {}
            Err(Halt::Denied(denial)) => {
                let provider = denial.provider.as_deref().unwrap_or("none");
                self.denied.inc([provider.as_bytes(), denial.reason.label().as_bytes(), rule]);
            }
        }
    }
}
