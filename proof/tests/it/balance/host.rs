//! The same through the host, where time is virtual and every request is known.

use std::{collections::BTreeMap, num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde_json::json;
use wayside::{
    envoy_config::{self, LoadOptions},
    message::{
        Answer, AnswerKind, Connection, Direction, Exchange, ExchangeId, HeaderMap, Message, Origin,
        Protocol, Recording, Security, Timing,
    },
    proxy::{Metric, Outcome, ProxyOutcome, spec::ProxySpec},
    replay::{Change, Options, Specs, replay_each},
    trace::{Thread, TraceLevel},
    upstream::Services,
    vm::{Limits, Modules},
};
use wayside_proof::{Door, Wasm, bootstrap};

use super::{Rollout, SLOT_MILLIS, ledger};

const REQUESTS: u32 = 28_000;
/// One request a millisecond; a configuration lasts for so many, and is gone for good some time after.
const ROLLOUT_MILLIS: u64 = 2_500;
const DRAIN: Duration = Duration::from_millis(1_500);
/// After the last request: all workers have told what they had, and the window still covers nearly all.
const QUIET_MILLIS: u64 = 4_500;
const WORKERS: u32 = 4;
/// A page of linear memory.
const PAGE: usize = 65_536;

/// Clients' ports, and of a hundred requests how many come from each: one worker has most.
const CLIENTS: [(u16, u64); 6] =
    [(40_000, 70), (40_001, 20), (40_002, 4), (40_003, 3), (40_004, 2), (40_005, 1)];

fn spec(rollout: Rollout) -> anyhow::Result<Arc<ProxySpec>> {
    let filter = Wasm::new(&crate::RETRY_BUDGET, "retry_budget", &rollout.defaults());
    let policy = json!({ "retry_on": "5xx,reset", "num_retries": 3 });
    let door = Door::new("door", ([127, 0, 0, 1], 1).into()).retries(policy).filters([filter]);
    let text = bootstrap::document(&[door]).to_string();
    Ok(Arc::new(envoy_config::from_text(&text, Path::new("door.json"), &LoadOptions::default())?.spec))
}

fn message(headers: &[(&'static str, &'static str)]) -> Message {
    let headers = headers.iter().map(|(name, value)| (*name, Bytes::from_static(value.as_bytes())));
    let mut map = HeaderMap::new();
    headers.for_each(|(name, value)| map.push(name, value));
    Message { headers: map, ..Message::default() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    /// Nobody answers.
    Outage,
    Calm,
}

impl Weather {
    /// A second in ten is an outage, and the last one leaves a budget something to be compared.
    fn at(millis: u64, of: u64) -> Weather {
        match millis / 1_000 % 10 {
            _ if millis + 1_000 > of => Weather::Calm,
            7 => Weather::Outage,
            _ => Weather::Fair,
        }
    }
}

/// Requests as chance has them, the same each time.
struct Traffic {
    chance: ChaCha8Rng,
    request: Message,
    good: Message,
    bad: Message,
    proxy: Arc<str>,
    file: Arc<Path>,
}

impl Traffic {
    fn new() -> Traffic {
        Traffic {
            chance: ChaCha8Rng::seed_from_u64(5),
            request: message(&[
                (":authority", "shop"),
                (":path", "/"),
                (":method", "GET"),
                (":scheme", "http"),
            ]),
            good: message(&[(":status", "200")]),
            bad: message(&[(":status", "503")]),
            proxy: Arc::from("door"),
            file: Path::new("balance").into(),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.chance.next_u64() % limit
    }

    fn answer(&mut self, kind: AnswerKind) -> Answer {
        Answer { after: Duration::from_millis(2 + self.below(30)), kind }
    }

    /// What each attempt meets: good answers, and failures of each kind that the next attempt gets over, or none.
    fn answers(&mut self, weather: Weather) -> Vec<Answer> {
        let response =
            |message: &Message| AnswerKind::Response { message: message.clone(), breaks_off: false };
        let (good, bad) = (response(&self.good), response(&self.bad));
        let kinds = match self.below(100) {
            _ if weather == Weather::Calm => vec![good],
            _ if weather == Weather::Outage => vec![bad],
            0..74 => vec![good],
            74..82 => vec![bad, good],
            82..88 => vec![AnswerKind::Resets, good],
            88..92 => vec![AnswerKind::Resets, bad, good],
            92..96 => vec![AnswerKind::Resets],
            _ => vec![bad],
        };
        kinds.into_iter().map(|kind| self.answer(kind)).collect()
    }

    fn exchange(&mut self, number: u32, of: u64) -> Exchange {
        let millis = u64::from(number);
        let answers = self.answers(Weather::at(millis, of));
        let mut chosen = self.below(100);
        let port = CLIENTS.iter().find_map(|(port, share)| match chosen.checked_sub(*share) {
            Some(rest) => {
                chosen = rest;
                None
            }
            None => Some(*port),
        });
        let last = answers.iter().rev().find_map(|answer| match &answer.kind {
            AnswerKind::Response { message, .. } => Some(message.clone()),
            _ => None,
        });
        let leaves = self.below(50) == 0;
        let began = Duration::from_secs(1_767_225_600) + Duration::from_millis(millis);
        Exchange {
            id: ExchangeId { proxy: Arc::clone(&self.proxy), direction: Direction::Inbound, number },
            origin: Origin { file: Arc::clone(&self.file), offset: 0, trace_id: u64::from(number) },
            request: self.request.clone(),
            response: last,
            answers,
            timing: Timing {
                request_headers: Some(began),
                client_patience: leaves.then_some(Duration::from_millis(10)),
                ..Timing::default()
            },
            connection: Connection {
                local: Some(([10, 0, 0, 1], 80).into()),
                remote: port.map(|port| ([10, 0, 0, 2], port).into()),
                protocol: Some(Protocol::Http11),
                security: Security::Plain,
                ..Connection::default()
            },
            notes: Vec::new(),
        }
    }
}

/// What is kept of a million outcomes.
#[derive(Default)]
struct Run {
    counted: Vec<ledger::Request>,
    /// Of all budgets.
    retries: u64,
    successes: u64,
    resets: u64,
    left: u64,
    threads: BTreeMap<Thread, u64>,
    rollouts: usize,
}

impl Run {
    fn add(&mut self, outcome: &Outcome) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let status =
            outcome.downstream_response.as_ref().and_then(|response| response.headers.first(b":status"));
        let request = ledger::Request {
            began_ms: millis(outcome.started),
            ended_ms: millis(outcome.ended),
            retries: outcome.earlier_attempts.len() as u64,
            succeeded: status.is_some_and(|status| &status[..] == b"200"),
        };
        self.retries += request.retries;
        self.successes += u64::from(request.succeeded);
        let reset = outcome.exchange.answers.iter().any(|answer| answer.kind == AnswerKind::Resets);
        self.resets += u64::from(reset);
        self.left += u64::from(status.is_none());
        *self.threads.entry(outcome.thread).or_default() += 1;
        let turn = usize::try_from(request.began_ms / ROLLOUT_MILLIS).unwrap_or(usize::MAX);
        if Rollout::turn(turn).is_counted() {
            self.counted.push(request);
        }
    }
}

/// So many requests or some more, so that they end with a configuration whose budget is counted.
fn whole_turns(requests: u32) -> u64 {
    let turn = ROLLOUT_MILLIS * Rollout::TURNS.len() as u64;
    let turns = (u64::from(requests) + ROLLOUT_MILLIS).div_ceil(turn);
    turns * turn - ROLLOUT_MILLIS
}

fn run(modules: &Arc<Modules>, requests: u64, memory: usize) -> anyhow::Result<(Run, ProxyOutcome)> {
    let specs = Rollout::TURNS.map(spec).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let everywhere = |number: usize| Specs::Everywhere(Arc::clone(&specs[number % specs.len()]));
    let change = |number: u64| -> anyhow::Result<Change> {
        // Just before the first request that it is for.
        let at = Duration::from_millis(number * ROLLOUT_MILLIS) - Duration::from_micros(500);
        Ok(Change { at, specs: everywhere(usize::try_from(number)?), drain: DRAIN })
    };
    let last = requests.div_ceil(ROLLOUT_MILLIS);
    let changes = (1..last).map(change).collect::<anyhow::Result<Vec<_>>>()?;
    let mut traffic = Traffic::new();
    let exchanges = (0..u32::try_from(requests)?).map(|number| traffic.exchange(number, requests)).collect();
    let recording = Recording { exchanges, ..Recording::default() };
    let options = Options {
        workers: NonZeroU32::new(WORKERS).context("workers")?,
        limits: Limits { memory, ..Limits::default() },
        trace: TraceLevel::Off,
        lasts: Some(Duration::from_millis(requests + QUIET_MILLIS)),
        ..Options::default()
    };
    let mut run = Run { rollouts: changes.len(), ..Run::default() };
    let replay = replay_each(
        modules,
        &everywhere(0),
        &changes,
        recording,
        &options,
        |_| Services::default(),
        |_, outcome| {
            run.add(&outcome);
        },
    )?;
    let proxy = replay.proxies.into_iter().next().context("one proxy")?;
    let findings: Vec<_> =
        proxy.outcome.trace.entries.iter().filter(|entry| entry.what.finding().is_some()).collect();
    ensure!(findings.is_empty(), "{findings:?}");
    Ok((run, proxy.outcome))
}

/// Over all labels.
fn metric(outcome: &ProxyOutcome, name: &str) -> u64 {
    let name = format!("l7_retry_budget_{name}");
    let of = outcome.metrics.iter().filter(|(full, _)| full.ends_with(name.as_bytes()));
    let value = |metric: &Metric| match metric {
        Metric::Counter(value) | Metric::Gauge(value) => *value,
        Metric::Histogram(_) => 0,
    };
    of.map(|(_, metric)| value(metric)).sum()
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures are of interest where they pass too")]
fn in_the_host_budgets_balance_to_the_token_through_resets_reloads_and_imbalance() -> anyhow::Result<()> {
    let requests = whole_turns(super::requests(REQUESTS));
    let modules = Arc::new(Modules::new());
    // The least memory in which some thousand requests pass.
    let few = requests.min(2 * ROLLOUT_MILLIS);
    let starts = (1..256)
        .find(|pages| run(&modules, 1, pages * PAGE).is_ok())
        .context("no memory is enough to start in")?;
    let enough = (starts..256).find(|pages| run(&modules, few, pages * PAGE).is_ok());
    let memory = enough.context("no memory is enough")? * PAGE;
    let (run, outcome) = run(&modules, requests, memory).context("more requests need more memory")?;

    let [granted, refunded, used, deposits, overdraft, exhausted] = [
        "granted_total",
        "refunded_total",
        "used_total",
        "deposits_total",
        "overdraft_total",
        "cas_exhausted_total",
    ]
    .map(|name| metric(&outcome, name));
    let told = metric(&outcome, "balance");
    let counted = run.counted.len();
    let balance = ledger::balance(run.counted, requests + QUIET_MILLIS - SLOT_MILLIS / 4)?;
    eprintln!(
        "{requests} requests ({} with a reset, {} callers left), {} rollouts, workers {:?}, {} KiB of linear memory each: {granted} \
         granted, {refunded} refunded, {used} used; of {counted} requests on one budget {balance} retries are left, it says {told}",
        run.resets,
        run.left,
        run.rollouts,
        run.threads.values().collect::<Vec<_>>(),
        memory / 1024,
    );
    let shares: Vec<u64> = run.threads.values().map(|count| count * 100 / requests).collect();
    ensure!(
        shares.len() == WORKERS as usize && shares.iter().any(|share| *share >= 60),
        "{shares:?}: no imbalance"
    );
    ensure!(run.resets > requests / 10 && run.left > requests / 200 && run.rollouts > 5, "too quiet");
    ensure!(granted == refunded + used, "{granted} granted, {refunded} refunded, {used} used");
    ensure!(used == run.retries, "{used} used, {} made", run.retries);
    ensure!(deposits == run.successes, "{deposits} deposits, {} successes", run.successes);
    ensure!(overdraft == 0 && exhausted == 0, "a budget was passed, or not reached");
    ensure!(told == balance && balance > 0, "{told} left as the filter says, {balance} as counted");
    Ok(())
}
