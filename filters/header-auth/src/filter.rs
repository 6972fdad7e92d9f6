//! The glue: what the proxy knows goes into the decision, what was decided goes to the proxy.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use wayside_sdk::policy::{Asked, DEFAULT_RULE};
use wayside_sdk::property::{
    CLUSTER_NAME, CONNECTION_DNS_SAN_PEER, CONNECTION_SHA256_PEER, CONNECTION_SUBJECT_PEER,
    CONNECTION_URI_SAN_PEER, ROUTE_NAME,
};
use wayside_sdk::{
    ConfigErrors, Counter, CounterFamily, Environment, Flow, GrpcCode, HeaderBlock, Histogram, Host,
    HttpFilter, Init, Mode, Monotonic, OwnedName, Plugin, Redacted, Reply, RequestHeaders, RequestTrailers,
    Wall, log, name, rng,
};

use crate::access::{Admission, Halt};
use crate::config::Config;
use crate::decision::{Admitted, Decision, Policy, Request};
use crate::denial::{Denial, Reason};
use crate::means::{CertificatePart, Event, Means, Unavailable, Vm};
use crate::source::{Edit, Header};
use crate::timestamp::Timestamp;

/// The configured filter.
#[derive(Debug)]
pub struct HeaderAuth {
    mode: Mode,
    policy: Policy,
    counters: Counters,
}

/// One request.
#[derive(Debug)]
pub struct Stream {
    plugin: Rc<HeaderAuth>,
    /// Whether it came with identity headers of its own: trailers do not count it again
    claimed_identity: bool,
}

impl Plugin for HeaderAuth {
    const NAME: &'static str = "header_auth";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, init: &mut Init) -> Result<Self, ConfigErrors> {
        config.arm(&ThisVm::default())?;
        let counters = Counters::new(&config, init)?;
        Ok(Self { mode: config.mode, policy: config.policy, counters })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream { plugin: Rc::clone(self), claimed_identity: false }
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, mut request: RequestHeaders) -> Flow {
        let plugin = &*self.plugin;
        if plugin.mode == Mode::Off {
            return Flow::Continue;
        }
        let snapshot = match Snapshot::take(&request, plugin.policy.asked) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                return plugin.cannot(DEFAULT_RULE, format_args!("the request cannot be read: {error}"));
            }
        };
        let headers: Vec<Header<'_>> = snapshot.block.iter().collect();
        let view = Request {
            headers: &headers,
            body: None,
            route_name: &snapshot.route_name,
            cluster: &snapshot.cluster,
        };
        let proxy = Proxy::new(request.stream(), &plugin.counters);
        let decision = plugin.policy.decide(&view, &proxy, snapshot.now);
        proxy.over();
        self.claimed_identity = decision.claimed_identity;
        plugin.counters.count(&decision);
        match (plugin.mode, decision.outcome) {
            (Mode::Shadow | Mode::Off, _) => Flow::Continue,
            // Nothing is remembered or awaited yet: what needs that is refused.
            (Mode::Enforce, Ok(Admitted { once, .. })) if !once.is_empty() => {
                plugin.cannot(decision.rule, format_args!("what is good once cannot be spent"))
            }
            (Mode::Enforce, Err(Halt::Awaits { provider, awaited })) => plugin
                .cannot(decision.rule, format_args!("{provider} awaits {awaited:?}, which does not come")),
            (Mode::Enforce, Ok(admitted)) => match apply(&admitted, &mut request) {
                Ok(()) => Flow::Continue,
                Err(error) => {
                    plugin.cannot(decision.rule, format_args!("the identity headers cannot be set: {error}"))
                }
            },
            (Mode::Enforce, Err(Halt::Denied(denial))) => {
                let provider = denial.provider.as_deref().unwrap_or("none");
                let (rule, reason) = (decision.rule, denial.reason.label());
                log!(Debug, "denied: rule {rule}, provider {provider}, reason {reason}");
                refuse(&denial).into()
            }
        }
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

impl HeaderAuth {
    /// Takes identities out of trailers, unless it only watches. Whether there were any.
    fn strip(&self, request: &mut RequestTrailers) -> Result<bool, EditError> {
        let block = request.headers.block()?;
        let trailers: Vec<Header<'_>> = block.iter().collect();
        let claimed = self.policy.identity.claimed(&trailers);
        if self.mode == Mode::Enforce {
            for name in &claimed {
                request.headers.remove(&parsed(name)?)?;
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

/// What is read from the proxy for one request.
struct Snapshot {
    block: HeaderBlock,
    route_name: Vec<u8>,
    cluster: Vec<u8>,
    now: Timestamp,
}

impl Snapshot {
    fn take(request: &RequestHeaders, asked: Asked) -> Host<Self> {
        let property = |wanted: bool, property| match wanted {
            true => request.stream().get(property).map(Option::unwrap_or_default),
            false => Ok(Vec::new()),
        };
        Ok(Self {
            block: request.headers.block()?,
            route_name: property(asked.route_name, &ROUTE_NAME)?,
            cluster: property(asked.cluster, &CLUSTER_NAME)?,
            now: Timestamp(Wall::now()?.since_epoch()),
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

/// The proxy, asked on behalf of one request.
struct Proxy<'a> {
    stream: &'a wayside_sdk::Stream,
    counters: &'a Counters,
    /// Since when a credential is being verified
    verifies: Cell<Option<Monotonic>>,
}

impl<'a> Proxy<'a> {
    fn new(stream: &'a wayside_sdk::Stream, counters: &'a Counters) -> Self {
        Self { stream, counters, verifies: Cell::new(None) }
    }

    /// The decision is made.
    fn over(self) {
        if let (Some(since), Ok(now)) = (self.verifies.get(), Monotonic::now()) {
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
}

/// What stopped an edit: the host, or a name the host cannot be told.
#[derive(Debug, thiserror::Error)]
enum EditError {
    #[error("{0}")]
    Host(#[from] wayside_sdk::HostError),
    #[error("a header name is no name")]
    Name,
}

fn apply(admitted: &Admitted<'_>, request: &mut RequestHeaders) -> Result<(), EditError> {
    let headers = &mut request.headers;
    for edit in &admitted.edits {
        match edit {
            Edit::Set(name, path) if name == b":path" => headers.set(name!(":path"), path)?,
            Edit::Set(name, value) => headers.set(&parsed(name)?, value)?,
            Edit::Add(name, value) => headers.append(&parsed(name)?, value)?,
            Edit::Remove(name) => headers.remove(&parsed(name)?)?,
        }
    }
    Ok(())
}

fn parsed(name: &[u8]) -> Result<OwnedName, EditError> {
    std::str::from_utf8(name).ok().and_then(OwnedName::parse).ok_or(EditError::Name)
}

fn refuse(denial: &Denial) -> Reply {
    let grpc = match denial.reason.status() {
        400 => GrpcCode::InvalidArgument,
        401 => GrpcCode::Unauthenticated,
        403 => GrpcCode::PermissionDenied,
        431 => GrpcCode::ResourceExhausted,
        _ => GrpcCode::Unavailable,
    };
    let reply = Reply::new(denial.reason.status(), denial.reason.details())
        .body(denial.reason.body().as_bytes())
        .grpc(grpc);
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
            cache_hit: init.counter(&format!("{prefix}_auth_cache_hit"))?,
            cache_miss: init.counter(&format!("{prefix}_auth_cache_miss"))?,
            verify: init.histogram(&format!("{prefix}_auth_verify_us"))?,
        })
    }

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
            // Decided about once more.
            Err(Halt::Awaits { .. }) => {}
            Err(Halt::Denied(denial)) => {
                let provider = denial.provider.as_deref().unwrap_or("none");
                self.denied.inc([provider.as_bytes(), denial.reason.label().as_bytes(), rule]);
            }
        }
    }
}
