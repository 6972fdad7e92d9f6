//! What things cost: times as ratios in one run, and counts that are exact.

pub(crate) mod budget;
mod envoy;
mod proofs;

use crate::step::{cargo, must};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// The host against a bare wasmtime loop, with an optimised build
    Host {
        /// For the benchmark: --rounds, --exchanges, --only, --json, --gate
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        more: Vec<String>,
    },
    /// The filters in the real Envoy, beside sketches of the same jobs on the plain SDK (needs `h2load`)
    Envoy(envoy::Args),
    /// Instructions and hostcalls of the filters' requests, against budget.toml
    Budget(budget::Args),
    /// What an upstream that fails gets for each request: Envoy's own limits beside retry-budget
    Amplification(proofs::Amplification),
    /// What a list of attacks finds open: Envoy's own filters beside header-auth
    Attacks(proofs::Attacks),
    /// What is worked behind three Envoys for callers who have gone, with their own timeouts and with timeout
    Chain(proofs::Chain),
    /// How long an outage outlives its cause under each policy, simulated
    Recovery(proofs::Recovery),
    /// Whether the time of a comparison tells of the secret, with an optimised build
    Timing {
        /// Of each comparison
        #[arg(long, default_value_t = 100_000)]
        samples: u32,
    },
    /// How late a request is answered whose client is still sending: Envoy's router beside timeout
    Uploads(proofs::Uploads),
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Host { more } => {
            must(cargo(["bench", "--quiet", "--package", "wayside", "--bench", "host", "--"]).args(more))
        }
        Bench::Envoy(args) => envoy::run(args),
        Bench::Budget(args) => budget::run(args),
        Bench::Amplification(args) => proofs::amplification(args),
        Bench::Attacks(args) => proofs::attacks(args),
        Bench::Chain(args) => proofs::chain(args),
        Bench::Recovery(args) => proofs::recovery(args),
        Bench::Timing { samples } => {
            let bench = ["bench", "--quiet", "--package", "wayside-credentials", "--bench", "timing", "--"];
            must(cargo(bench).arg(samples.to_string()))
        }
        Bench::Uploads(args) => proofs::uploads(args),
    }
}
