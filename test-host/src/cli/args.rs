//! What can be typed.

use std::{num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    abi::LogLevel,
    envoy_config::Setting,
    replay::{Chunking, Isolation},
};

/// Replays recorded traffic through Envoy's WebAssembly filters, without a cluster
#[derive(Debug, Parser)]
#[command(name = "wayside", version)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Replay a recording through the filters of an Envoy configuration
    Replay(ReplayArguments),
    /// Run scenarios: folders with a chain, its traffic and the story expected of it
    Check(CheckArguments),
    /// Send a recording through the host and through a real Envoy, and compare what came of it
    Parity(ParityArguments),
    /// Show what a module, a recording or an Envoy configuration holds
    Inspect(InspectArguments),
    /// Send forged tokens, keys, headers and paths to a gateway of yours, and tell what it lets in
    Attack(AttackArguments),
    /// Make the entry that header-auth's configuration holds in the place of a key or a password
    HashKey(HashKeyArguments),
}

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// An Envoy configuration for every recorded proxy, or a folder with one `<proxy>.yaml` each
    #[arg(long, value_name = "FILE|DIR", required = true)]
    pub(super) envoy: Vec<PathBuf>,
    /// Recordings: files of Envoy's tap filter, or folders of them
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(super) traffic: Vec<PathBuf>,
    /// Change one value in a filter's configuration: `timeout./defaults/timeout="2s"`
    #[arg(long, value_name = "FILTER.POINTER=JSON")]
    pub(super) set: Vec<Setting>,
    /// Roll out another configuration while traffic runs: `2s=new.yaml`, or a folder as with --envoy; can be given several times
    #[arg(long, value_name = "AT=FILE|DIR")]
    pub(super) then: Vec<Then>,
    /// What streams and connections of a configuration that is replaced have left, as `envoy --drain-time-s`
    #[arg(long, value_name = "TIME", default_value = "600s", value_parser = duration)]
    pub(super) drain: Duration,
    /// What answers the calls that filters make: YAML, by cluster
    #[arg(long, value_name = "FILE")]
    pub(super) callouts: Option<PathBuf>,
    /// A cluster to which filters export spans by OTLP over HTTP: it takes them all, and the report tells each trace over all hops
    #[arg(long, value_name = "CLUSTER")]
    pub(super) collector: Option<String>,
    /// What all chance grows from
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Worker threads of each proxy, as `envoy --concurrency`; each has VMs of its own, and so has the main thread
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN, value_parser = workers)]
    pub(super) workers: NonZeroU32,
    /// Where bodies are cut before the first filter sees them: what it does should not depend on it
    #[arg(long, value_enum, default_value_t = Cutting::Recorded)]
    pub(super) chunking: Cutting,
    /// What an exchange may find of those before it: all that filters keep, as in an Envoy, or nothing, each with VMs, shared
    /// data and metrics of its own, as if the recording held it alone; metrics are added up
    #[arg(long, value_enum, default_value_t = Isolating::Shared)]
    pub(super) isolation: Isolating,
    /// The level of Envoy's `wasm` logger
    #[arg(long, value_enum, default_value_t = Level::Info)]
    pub(super) log_level: Level,
    /// Count the instructions of each filter exactly; slower, and a callback ends by its count instead of by real time
    #[arg(long)]
    pub(super) fuel: bool,
    /// Keep what each exchange came to and what it cost, not what each filter did: faster, in less memory
    #[arg(long)]
    pub(super) no_trace: bool,
    /// Write the report as JSON (schema wayside.replay/2)
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the report as one HTML file that needs no other
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Write the report as JUnit XML: a test suite for each proxy, a test case for each exchange
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Print every exchange, filter by filter
    #[arg(long)]
    pub(super) each: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Folders of scenarios, at any depth
    #[arg(required = true)]
    pub(super) folders: Vec<PathBuf>,
    /// Where the modules lie that scenarios name
    #[arg(long, value_name = "DIR", default_value = "dist")]
    pub(super) modules: PathBuf,
    /// Make what came of each scenario the expected story
    #[arg(long)]
    pub(super) bless: bool,
}

#[derive(Debug, Args)]
pub(super) struct ParityArguments {
    /// The Envoy configuration whose filters are compared
    #[arg(long, value_name = "FILE")]
    pub(super) envoy: PathBuf,
    /// Recordings: files of Envoy's tap filter, or folders of them
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(super) traffic: Vec<PathBuf>,
    /// The Envoy binary; else $ENVOY_BIN, else the one that `cargo xtask envoy` has installed under target/
    #[arg(long, value_name = "BIN")]
    pub(super) envoy_bin: Option<PathBuf>,
    /// What answers the calls that filters make: YAML, by cluster
    #[arg(long, value_name = "FILE")]
    pub(super) callouts: Option<PathBuf>,
    /// Differences that are known, each with its reason: YAML
    #[arg(long, value_name = "FILE")]
    pub(super) known: Option<PathBuf>,
    /// Write what was compared as JSON (schema wayside.parity/1)
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// A `.wasm` module, a recording, or an Envoy configuration: told by content
    pub(super) file: PathBuf,
    /// Only what a module needs of its VM, as the field `capability_restriction_config` beside its `vm_config`
    #[arg(long)]
    pub(super) capabilities: bool,
}

#[derive(Debug, Args)]
pub(super) struct AttackArguments {
    /// The gateway: `http://127.0.0.1:8080`
    #[arg(long, value_name = "URL")]
    pub(super) target: String,
    /// What header-auth is configured with there, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) auth_config: PathBuf,
    /// Credentials that are good there, as JSON by the provider's name: `key`; `user` and `password`; `jwks` of private keys with
    /// the `claims` of a good token. Without them, what needs one is not sent
    #[arg(long, value_name = "FILE")]
    pub(super) credentials: Option<PathBuf>,
    /// Also a target that is not on this machine. Attack only what is yours
    #[arg(long)]
    pub(super) allow_remote: bool,
    /// Only attacks whose name or chapter has this in it
    #[arg(long, value_name = "TEXT")]
    pub(super) only: Option<String>,
    /// Write the table as JSON (schema wayside.attack/1)
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Cutting {
    Recorded,
    Whole,
    Random,
}

impl From<Cutting> for Chunking {
    fn from(cutting: Cutting) -> Self {
        match cutting {
            Cutting::Recorded => Chunking::Recorded,
            Cutting::Whole => Chunking::Whole,
            Cutting::Random => Chunking::Random,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Isolating {
    Shared,
    EachExchange,
}

impl From<Isolating> for Isolation {
    fn from(isolating: Isolating) -> Self {
        match isolating {
            Isolating::Shared => Isolation::Shared,
            Isolating::EachExchange => Isolation::EachExchange,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
            Level::Critical => LogLevel::Critical,
        }
    }
}

/// Each worker costs a VM for every VM of the configuration.
const WORKERS_MAX: u32 = 1024;

fn workers(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse().ok().and_then(NonZeroU32::new).filter(|number| number.get() <= WORKERS_MAX);
    number.ok_or_else(|| format!("expected a number of workers from 1 to {WORKERS_MAX}"))
}

/// A configuration, and when it is rolled out.
#[derive(Clone, Debug)]
pub(super) struct Then {
    pub(super) at: Duration,
    pub(super) envoy: PathBuf,
}

impl FromStr for Then {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at, path) = text
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or_else(|| format!("found {text:?}, expected a time and a file, as in 2s=new.yaml"))?;
        Ok(Then { at: duration(at)?, envoy: PathBuf::from(path) })
    }
}

/// A number with an optional fraction, and a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("found {text:?}, expected a time such as 500ms, 2s, 1.5m or 1h");
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit)?;
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number: f64 = number.parse().ok().filter(|_| plain)?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    parsed.ok_or_else(expected)
}

/// The key or password is one line of standard input, or is asked for where that is a terminal: never an argument, which other users of the machine see.
#[derive(Debug, Args)]
pub(super) struct HashKeyArguments {
    /// Of an API key: whom the upstream is told of
    #[arg(long, conflicts_with = "user", required_unless_present = "user")]
    pub(super) id: Option<String>,
    /// Of a password: its user (Basic)
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// How it is stored; without: a key as sha256, or as hmac_sha256 with --pepper-env, a password as argon2id
    #[arg(long = "as", value_enum, value_name = "HASH")]
    pub(super) hash: Option<Hash>,
    /// The variable that holds the pepper, here as in the filter's VM: 32 bytes or more
    #[arg(long, value_name = "NAME")]
    pub(super) pepper_env: Option<String>,
    /// What its holder may do; as often as there are scopes
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// When a key begins to count, such as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) not_before: Option<String>,
    /// When it no longer does
    #[arg(long, value_name = "TIME")]
    pub(super) not_after: Option<String>,
    /// Of bcrypt: 4 to 12, each twice the work
    #[arg(long, default_value_t = 10)]
    pub(super) cost: u32,
    /// Of argon2id: KiB of memory
    #[arg(long, default_value_t = 19_456, value_name = "KIB")]
    pub(super) memory_kib: u32,
    /// Of argon2id
    #[arg(long, default_value_t = 2)]
    pub(super) passes: u32,
    /// Of argon2id
    #[arg(long, default_value_t = 1)]
    pub(super) lanes: u32,
    /// A document with the entry, where it belongs and what its provider has to have (schema wayside.hash-key/1)
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Hash {
    /// For random keys
    Sha256,
    /// The same with a pepper, without which it is of no use
    HmacSha256,
    /// Of passwords
    Sha256Salted,
    Bcrypt,
    Argon2id,
    /// {SHA} of htpasswd
    Sha1,
}
