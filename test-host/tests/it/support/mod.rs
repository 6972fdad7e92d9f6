//! A proxy, its traffic and its outcome in a few words, on the library's public interface only.

mod filter;
mod text;
mod traffic;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use wayside::{
    abi::LogLevel,
    clock::Seed,
    message::{Direction, Recording},
    proxy::{
        Outcome, StartError,
        spec::{
            ClusterSpec, DEFAULT_BUFFER_LIMIT, DEFAULT_MAX_RETRIES, Discovery, EndpointSpec, FilterChain,
            FilterSpec, HttpConnectionManagerSpec, ListenerSpec, Locality, NodeSpec, ProxySpec, RouterSpec,
            ServerHeader, StreamTimeouts,
        },
    },
    replay::{self, Isolation, Options, Replay, Specs},
    router::{
        ClusterChoice, Forward, Metadata, PathMatch, Route, RouteAction, RouteMatch, RouteTable, VirtualHost,
    },
    trace::TraceLevel,
    upstream::{CalloutAnswer, Services},
    vm::{Limits, Metering, Modules},
};

pub(crate) use filter::{Filter, probe, script, wasi_probe, wat};
pub(crate) use traffic::{Traffic, get, post};

/// Compiled modules are shared by all tests of this binary.
pub(crate) static MODULES: LazyLock<Arc<Modules>> = LazyLock::new(|| Arc::new(Modules::new()));

/// The same, for tests that count instructions.
static METERED: LazyLock<Arc<Modules>> = LazyLock::new(|| Arc::new(Modules::metering_by(Metering::Fuel)));

/// The same, for tests that give every exchange VMs of its own.
static POOLED: LazyLock<Arc<Modules>> = LazyLock::new(|| Arc::new(Modules::for_isolation(Metering::Off)));

/// A proxy with a chain of filters, in front of one cluster called `upstream`.
pub(crate) struct Proxy {
    filters: Vec<Filter>,
    traffic: Vec<Traffic>,
    clusters: BTreeMap<String, Cluster>,
    timeout: Option<Duration>,
    options: Options,
    metered: bool,
    /// Of the exchanges in the recording; empty: as they were added.
    order: Vec<usize>,
}

#[derive(Clone)]
struct Cluster {
    healthy: bool,
    answers: Option<Vec<CalloutAnswer>>,
}

pub(crate) fn chain(filters: impl IntoIterator<Item = Filter>) -> Proxy {
    let upstream = Cluster { healthy: true, answers: None };
    Proxy {
        filters: filters.into_iter().collect(),
        traffic: Vec::new(),
        clusters: BTreeMap::from([("upstream".to_owned(), upstream)]),
        timeout: None,
        options: Options::default(),
        metered: false,
        order: Vec::new(),
    }
}

impl Proxy {
    /// Sends an exchange through it; one after the other, a second apart, unless they say otherwise.
    pub(crate) fn on(mut self, traffic: Traffic) -> Self {
        self.traffic.push(traffic);
        self
    }

    /// A cluster that filters may call, and what it answers, one call after the other; the last for all that follow.
    pub(crate) fn cluster(mut self, name: &str, answers: impl IntoIterator<Item = CalloutAnswer>) -> Self {
        let cluster = Cluster { healthy: true, answers: Some(answers.into_iter().collect()) };
        self.clusters.insert(name.to_owned(), cluster);
        self
    }

    /// A cluster none of whose endpoints is healthy.
    pub(crate) fn cluster_without_host(mut self, name: &str) -> Self {
        let cluster = Cluster { healthy: false, answers: Some(vec![CalloutAnswer::NoHealthyHost]) };
        self.clusters.insert(name.to_owned(), cluster);
        self
    }

    pub(crate) fn route_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn tracing(mut self, level: TraceLevel) -> Self {
        self.options.trace = level;
        self
    }

    /// Every exchange has VMs of its own.
    pub(crate) fn isolated(mut self) -> Self {
        self.options.isolation = Isolation::EachExchange;
        self
    }

    /// The recording holds the exchanges in another order.
    pub(crate) fn in_order(mut self, order: &[usize]) -> Self {
        self.order = order.to_vec();
        self
    }

    pub(crate) fn workers(mut self, workers: u32) -> Self {
        self.options.workers = std::num::NonZeroU32::new(workers).expect("at least one");
        self
    }

    /// Runs with other filters from a time on, in milliseconds; what they replace has as long again.
    pub(crate) fn changing(self, at: u64, filters: impl IntoIterator<Item = Filter>) -> Replay {
        let at = Duration::from_millis(at);
        let change =
            replay::Change { at, specs: Specs::Everywhere(Arc::new(chain(filters).spec())), drain: at };
        self.run_with(&[change]).expect("the first filters start")
    }

    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.options.seed = Seed(seed);
        self
    }

    /// Instructions are counted, and end a callback.
    pub(crate) fn metered(mut self) -> Self {
        self.metered = true;
        self
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    pub(crate) fn log_level(mut self, level: LogLevel) -> Self {
        self.options.log_level = level;
        self
    }

    /// What happened, as text.
    pub(crate) fn text(self) -> String {
        let names: Vec<String> = self.filters.iter().map(|filter| filter.spec.filter_name.clone()).collect();
        match self.run() {
            Ok(replay) => text::of(&replay, &names),
            Err(error) => format!("{error}\n"),
        }
    }

    /// The lines of the text that hold one of these words.
    pub(crate) fn lines(self, words: &[&str]) -> String {
        let text = self.text();
        let lines = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
        lines.map(|line| format!("{}\n", line.trim_start())).collect()
    }

    /// What became of each exchange.
    pub(crate) fn outcomes(self) -> Vec<Outcome> {
        self.run().expect("the filters start").outcomes().cloned().collect()
    }

    pub(crate) fn run(self) -> Result<Replay, StartError> {
        self.run_with(&[])
    }

    fn run_with(self, changes: &[replay::Change]) -> Result<Replay, StartError> {
        let exchanges = self.traffic.iter().zip(1u32..).map(|(traffic, number)| traffic.exchange(number));
        let mut exchanges: Vec<_> = exchanges.collect();
        if !self.order.is_empty() {
            exchanges = self.order.iter().map(|at| exchanges[*at].clone()).collect();
        }
        let recording = Recording { exchanges, connections: Vec::new(), notes: Vec::new() };
        let specs = Specs::Everywhere(Arc::new(self.spec()));
        let modules = match self.options.isolation {
            _ if self.metered => &METERED,
            Isolation::Shared => &MODULES,
            Isolation::EachExchange => &POOLED,
        };
        replay::replay_with_changes(modules, &specs, changes, recording, &self.options, |_| self.services())
    }

    fn services(&self) -> Services {
        let scripted =
            self.clusters.iter().filter_map(|(name, cluster)| Some((name, cluster.answers.clone()?)));
        scripted.fold(Services::default(), |services, (name, answers)| {
            let mut answers = answers.into_iter().peekable();
            services.with(name, move |_: &_| {
                let answer = answers.next().expect("there is an answer");
                if answers.peek().is_none() {
                    answers = vec![answer.clone()].into_iter().peekable();
                }
                answer
            })
        })
    }

    fn spec(&self) -> ProxySpec {
        let mut chain: Vec<FilterSpec> =
            self.filters.iter().map(|filter| FilterSpec::Wasm(Box::new(filter.spec.clone()))).collect();
        chain.push(FilterSpec::Router(RouterSpec {
            filter_name: "router".to_owned(),
            ..RouterSpec::default()
        }));
        let http = HttpConnectionManagerSpec {
            access_loggers: Vec::new(),
            stat_prefix: "ingress".to_owned(),
            use_remote_address: false,
            preserve_external_request_id: false,
            generate_request_id: false,
            internal_addresses: Vec::new(),
            http_filters: FilterChain::new(chain).expect("the router is last"),
            routes: Arc::new(routes(self.timeout)),
            timeouts: StreamTimeouts::default(),
            server_header: ServerHeader::default(),
        };
        let listener = ListenerSpec {
            name: "listener".to_owned(),
            address: None,
            direction: Direction::Inbound,
            filter_chain_name: "filter-chain".to_owned(),
            metadata: Metadata::default(),
            buffer_limit: Some(DEFAULT_BUFFER_LIMIT),
            http,
        };
        ProxySpec {
            name: "envoy".to_owned(),
            node: NodeSpec { id: "node-1".to_owned(), cluster: "mesh".to_owned(), ..NodeSpec::default() },
            listeners: vec![listener],
            tcp_listeners: Vec::new(),
            clusters: self
                .clusters
                .iter()
                .map(|(name, cluster)| (name.clone(), cluster.spec(name)))
                .collect(),
        }
    }
}

impl Cluster {
    fn spec(&self, name: &str) -> ClusterSpec {
        let endpoint = EndpointSpec {
            host: "10.0.0.9".to_owned(),
            port: 8080,
            healthy: self.healthy,
            locality: Locality::default(),
            locality_metadata: Metadata::default(),
            metadata: Metadata::default(),
        };
        ClusterSpec {
            name: name.to_owned(),
            discovery: Discovery::Static,
            connect_timeout: Duration::from_secs(5),
            endpoints: vec![endpoint],
            metadata: Metadata::default(),
            upstream_filters: None,
            max_retries: DEFAULT_MAX_RETRIES,
        }
    }
}

/// `/elsewhere` has a route of its own; everything else goes by `main`.
fn routes(timeout: Option<Duration>) -> RouteTable {
    let route = |name: &str, prefix: &str| {
        let forward = Forward {
            cluster: ClusterChoice::Name("upstream".to_owned()),
            timeout,
            retry_policy: None,
            hedge_on_per_try_timeout: false,
            idle_timeout: None,
            max_stream_duration: None,
        };
        let matches = RouteMatch {
            path: PathMatch::Prefix(prefix.to_owned()),
            case_sensitive: true,
            headers: Vec::new(),
            query_parameters: Vec::new(),
            grpc_only: false,
        };
        let action = RouteAction::Forward(forward);
        let name = name.to_owned();
        Arc::new(Route { name, matches, action, buffer_limit: None, metadata: Metadata::default() })
    };
    let host = VirtualHost {
        name: "host".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route("elsewhere", "/elsewhere"), route("main", "/")],
        ..VirtualHost::default()
    };
    RouteTable::new("routes", false, vec![host]).expect("one virtual host")
}
