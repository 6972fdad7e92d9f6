//! What the standard library asks of WASI: environment, both clocks, standard output and error, a sleep, chance. Only for
//! `wasm32-wasip1`, where it asks at all.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    time::{Duration, Instant, SystemTime},
};

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::{Action, LogLevel},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Standard));
}}

struct Standard;

impl Context for Standard {}

impl HttpContext for Standard {
    #[expect(
        clippy::print_stdout,
        clippy::print_stderr,
        clippy::disallowed_methods,
        reason = "what the standard library asks of the host is what is shown"
    )]
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for (name, value) in std::env::vars() {
            println!("{name} is {value}");
        }
        let before = Instant::now();
        if std::env::var_os("SLEEP").is_some() {
            std::thread::sleep(Duration::from_secs(1));
        }
        println!("{:?} went by", before.elapsed());
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        eprintln!("it is {} s after 1970", wall.as_secs());
        let chance = RandomState::new().hash_one(1) != RandomState::new().hash_one(2);
        println!("chance works: {chance}");
        Action::Continue
    }
}
