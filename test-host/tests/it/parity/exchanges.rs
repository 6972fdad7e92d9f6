//! What is compared: the bundled recording's exchanges, and the hand-made ones.

use std::{path::Path, sync::Arc};

use wayside::{
    message::{Connection, Direction, Exchange, ExchangeId, Message, Origin, Timing},
    parity::Cases,
    traffic,
};

use super::handmade::{self, Handmade};

/// The bundled recording, proxy by proxy, then what is made by hand.
pub(super) fn load() -> Cases {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recording = traffic::load(&[folder.join("recordings/bookshop")], &traffic::Limits::default());
    let recording = recording.expect("the bundled recording is sound");
    let mut cases = Cases::default();
    for exchange in recording.exchanges {
        let name = exchange.id.to_string();
        if let Some(admitted) = with_the_demo_key(&exchange) {
            cases.add(format!("{name}+key"), admitted);
        }
        cases.add(name, exchange);
    }
    for Handmade { name, in_capitals, request, response, after } in handmade::load() {
        let case = cases.add(format!("handmade/{name}"), handmade_exchange(request, response));
        let case = case.expect("hand-made exchanges are comparable");
        (case.in_capitals, case.after) = (in_capitals, after);
    }
    cases
}

/// Most recorded clients show no credentials, and are turned away by the example's configuration; with them, their
/// exchanges reach the upstream.
fn with_the_demo_key(exchange: &Exchange) -> Option<Exchange> {
    let headers = &exchange.request.headers;
    if headers.contains(b"x-api-key") || headers.contains(b"authorization") || headers.is_empty() {
        return None;
    }
    let mut admitted = exchange.clone();
    admitted.request.headers.push("x-api-key", handmade::DEMO_KEY);
    Some(admitted)
}

fn handmade_exchange(request: Message, response: Message) -> Exchange {
    Exchange {
        id: ExchangeId { proxy: Arc::from("parity"), direction: Direction::Unspecified, number: 0 },
        origin: Origin { file: Path::new("handmade.yaml").into(), offset: 0, trace_id: 0 },
        request,
        response: Some(response),
        timing: Timing::default(),
        connection: Connection::default(),
        answers: Vec::new(),
        notes: Vec::new(),
    }
}
