//! Does on ticks what its configuration says.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use wayside_sdk::{
    Cluster, ConfigErrors, Counter, Flow, HttpFilter, Init, Lease, Plugin, Reply, RequestHeaders, Root, log,
    name,
};

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Plan {
    /// Nothing: streams set their own.
    Nothing,
    /// Two that repeat, one that comes once, and the plugin's own tick.
    Several,
    /// Streams that wait are answered from the root.
    Sweep,
    /// One VM of all leads, for good.
    Lead,
    /// One VM after the other leads, each for once.
    LeadInTurn,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    plan: Plan,
}

struct Ticks {
    ticks: Cell<u32>,
}

struct Stream;

impl Plugin for Ticks {
    const NAME: &'static str = "ticks";
    type Config = Config;
    type Filter = Stream;

    fn configure(config: Config, init: &mut Init) -> Result<Ticks, ConfigErrors> {
        match config.plan {
            Plan::Nothing => {}
            Plan::Several => {
                init.tick(Duration::from_millis(550))?;
                several(init)?;
            }
            Plan::Sweep => {
                init.every(Duration::from_millis(600), |root| {
                    root.for_each_waiting(|waiting| waiting.reply(Reply::new(503, "ticks.swept")));
                })?;
            }
            Plan::Lead | Plan::LeadInTurn => lead(init, config.plan == Plan::LeadInTurn)?,
        }
        Ok(Ticks { ticks: Cell::new(0) })
    }

    fn stream(self: &Rc<Self>) -> Stream {
        Stream
    }

    fn on_tick(self: &Rc<Self>, _: &mut Root) {
        self.ticks.set(self.ticks.get().saturating_add(1));
        if self.ticks.get() <= 2 {
            log!(Warn, "own tick {}", self.ticks.get());
        }
    }
}

/// At 400, 800, 1200: a. At 550, 1100: the plugin's own. At 700, 1400: b, which then cancels itself and a; at 1700 what b set for later.
fn several(init: &mut Init) -> Result<(), ConfigErrors> {
    let mut a = 0_u32;
    let timer = init.every(Duration::from_millis(400), move |_| {
        a = a.saturating_add(1);
        log!(Warn, "a {a}");
    })?;
    let (mut b, own) = (0_u32, Rc::new(Cell::new(None)));
    let known = own.clone();
    let itself = init.every(Duration::from_millis(700), move |root| {
        b = b.saturating_add(1);
        log!(Warn, "b {b}");
        if b == 2 {
            if let Some(own) = known.get() {
                root.cancel(own);
            }
            root.cancel(timer);
            let later = root.now().plus(Duration::from_millis(300));
            if let Err(error) = root.at(later, |_| log!(Warn, "later")) {
                log!(Warn, "{error}");
            }
        }
    })?;
    own.set(Some(itself));
    Ok(())
}

fn lead(init: &mut Init, in_turn: bool) -> Result<(), ConfigErrors> {
    let (lease, leaders): (Lease, Counter) = (Lease::new("ticks.leader")?, init.counter("leaders")?);
    let led = Cell::new(false);
    init.every(Duration::from_millis(100), move |root| {
        if in_turn && led.get() {
            return;
        }
        match lease.try_hold(root.now(), Duration::from_secs(60)) {
            Ok(true) if !led.replace(true) => {
                leaders.inc();
                if in_turn && let Err(error) = lease.release() {
                    log!(Warn, "{error}");
                }
            }
            Ok(_) => {}
            Err(error) => log!(Warn, "{error}"),
        }
    })?;
    Ok(())
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        let deadline = match request.headers.first(name!("x-deadline-ms")) {
            Ok(Some(millis)) => String::from_utf8_lossy(&millis).parse().ok().map(Duration::from_millis),
            _ => None,
        };
        let stream = request.stream();
        if let (Some(deadline), Ok(now)) = (deadline, stream.now()) {
            let set = stream.at(now.plus(deadline), |waiting| {
                log!(Warn, "a deadline passed");
                waiting.reply(Reply::new(504, "ticks.deadline"));
            });
            if let Err(error) = set {
                log!(Warn, "{error}");
            }
        }
        Flow::wait(async move {
            let auth = Cluster::new("auth");
            let call = auth.call("GET", "/").timeout(Duration::from_secs(30));
            match call.send(request.stream()).await {
                Ok(_) => Flow::Continue,
                Err(_) => Reply::new(503, "ticks.no_answer").into(),
            }
        })
    }
}

wayside_sdk::plugin!(Ticks);
