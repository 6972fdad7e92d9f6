//! What Envoy does for filters beyond Proxy-Wasm, as the header `x-do` says; it logs what came of it.

use std::rc::Rc;
use wayside_sdk::foreign::{self, FilterState, Hash, LifeSpan};
use wayside_sdk::prelude::*;
use wayside_sdk::{Host, Monotonic, Wall, log, property, property::Expression, rng};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Foreign {
    allowed: Expression<bool>,
    agent: Expression<Vec<u8>>,
    sum: Expression<u64>,
    refused: String,
}

struct Filter {
    plugin: Rc<Foreign>,
    in_the_response: bool,
}

macro_rules! keys {
    ($($name:ident = $file:literal;)*) => {
        $(const $name: &[u8] = include_bytes!(concat!("../../../test-host/probes/examples/script/keys/", $file));)*
    };
}

keys! {
    RSA_PRIVATE = "rsa_private.der";
    RSA_PUBLIC = "rsa_public.der";
    P256_PRIVATE = "p256_private.der";
    P256_PUBLIC = "p256_public.der";
}

impl Plugin for Foreign {
    const NAME: &'static str = "foreign";
    type Config = Config;
    type Filter = Filter;

    fn configure(_: Config, init: &mut Init) -> Result<Foreign, ConfigErrors> {
        let refused =
            init.expression::<bool>("1 +").map_or_else(|error| error.to_string(), |_| String::new());
        Ok(Foreign {
            allowed: init.expression("request.method == 'GET' && request.path.startsWith('/open')")?,
            agent: init.expression("request.headers['user-agent']")?,
            sum: init.expression("1 + 1")?,
            refused,
        })
    }

    fn stream(self: &Rc<Self>) -> Filter {
        Filter { plugin: self.clone(), in_the_response: false }
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        let Ok(headers) = request.headers.block() else {
            return Reply::new(503, "foreign.no_headers").into();
        };
        let stream = request.stream();
        match headers.first(name!("x-do")).unwrap_or_default() {
            b"sign" => sign(),
            b"clocks" => log!(Warn, "{:?}", clocks(stream)),
            b"route" => {
                self.in_the_response = true;
                let route = || stream.get(&property::ROUTE_NAME).map(Option::unwrap_or_default);
                let name = || route().map(|name| name.escape_ascii().to_string());
                log!(Warn, "{:?}", name());
                log!(Warn, "{:?}", stream.set_filter_state(&foreign::TEXT, b"two", LifeSpan::Request));
                log!(Warn, "{:?}", name());
                log!(Warn, "{:?} {:?}", stream.clear_route_cache(), name());
            }
            b"keep" => {
                self.in_the_response = true;
                log!(Warn, "{:?}", stream.set_filter_state(&foreign::TEXT, b"two", LifeSpan::Request));
            }
            b"state" => {
                let set = |value: &[u8], span| stream.set_filter_state(&foreign::TEXT, value, span);
                log!(Warn, "{:?} {:?}", set(b"one", LifeSpan::Request), set(b"two", LifeSpan::Filters));
                log!(Warn, "{:?}", stream.set_filter_state(&foreign::DYNAMIC_PORT, &80, LifeSpan::Filters));
                let to = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
                let there =
                    stream.set_filter_state(&foreign::ORIGINAL_DESTINATION, &to, LifeSpan::Connection);
                log!(Warn, "{there:?}");
                let named = |name, value| {
                    stream.set_filter_state(&FilterState::named(name), value, LifeSpan::Filters)
                };
                log!(Warn, "{:?} {:?}", named("envoy.bool", &true), named("envoy.nothing", &true));
                let wrong = FilterState::<[u8]>::named("envoy.network.ip");
                log!(Warn, "{:?}", stream.set_filter_state(&wrong, b"x", LifeSpan::Filters));
                let read = stream.get(&property::custom("filter_state\0envoy.string"));
                log!(Warn, "{:?}", read.map(|value| value.map(|value| value.escape_ascii().to_string())));
            }
            b"expressions" => self.plugin.evaluate(stream),
            b"response" => self.in_the_response = true,
            b"later" => {
                let plugin = self.plugin.clone();
                return Flow::wait(async move {
                    let _ = Cluster::new("auth").call("GET", "/").send(request.stream()).await;
                    plugin.evaluate(request.stream());
                    log!(
                        Warn,
                        "{:?}",
                        request.stream().set_filter_state(&foreign::TEXT, b"x", LifeSpan::Request)
                    );
                    log!(Warn, "{:?}", request.stream().clear_route_cache());
                    Flow::Continue
                });
            }
            _ => {}
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, response: ResponseHeaders) -> Flow {
        if self.in_the_response {
            log!(
                Warn,
                "{:?}",
                response
                    .stream()
                    .get(&property::ROUTE_NAME)
                    .map(Option::unwrap_or_default)
                    .map(|name| name.escape_ascii().to_string())
            );
            self.plugin.evaluate(response.stream());
        }
        Flow::Continue
    }
}

impl Foreign {
    fn evaluate(&self, stream: &Stream) {
        let agent = stream.evaluate(&self.agent).map(|agent| agent.escape_ascii().to_string());
        log!(Warn, "{:?} {:?} {agent:?}", stream.evaluate(&self.sum), stream.evaluate(&self.allowed));
        log!(Warn, "{}", self.refused);
    }
}

/// Whether random bytes differ from call to call, and what the clocks have in common with a day of 2024 and with each other.
fn clocks(stream: &Stream) -> Host<[bool; 4]> {
    let (one, other) = (rng::bytes::<16>()?, rng::bytes::<16>()?);
    let (first, here, later) = (Monotonic::now()?, stream.now()?, Monotonic::now()?);
    let wall = Wall::now()?.since_epoch().as_secs();
    Ok([one != other, first <= here && here <= later, stream.now()? == here, wall > 1_704_067_200])
}

fn sign() {
    for (private, public) in [(RSA_PRIVATE, RSA_PUBLIC), (P256_PRIVATE, P256_PUBLIC)] {
        for hash in [Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let Ok(Some(signature)) = foreign::sign(hash, private, b"text") else {
                return log!(Warn, "not signed");
            };
            let verified = |text, key| foreign::verify_signature(hash, key, &signature, text);
            log!(
                Warn,
                "{hash:?}: {:?} {:?} {:?}",
                verified(b"text", public),
                verified(b"other", public),
                verified(b"text", b"key")
            );
        }
    }
    log!(
        Warn,
        "{:?} {:?}",
        foreign::sign(Hash::Sha256, RSA_PUBLIC, b"text"),
        foreign::sign(Hash::Sha256, b"", b"text")
    );
    // RFC 7515, appendix A.3: `ES256`, whose signature is two numbers.
    let verified = foreign::ecdsa_der(&ES256_SIGNATURE).map(|signature| {
        let key = [SPKI_OF_P256, &ES256_KEY].concat();
        foreign::verify_signature(Hash::Sha256, &key, &signature, ES256_TEXT)
    });
    log!(Warn, "{verified:?}");
}

const ES256_TEXT: &[u8] = b"eyJhbGciOiJFUzI1NiJ9\
      .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const ES256_SIGNATURE: [u8; 64] = [
    14, 209, 33, 83, 121, 99, 108, 72, 60, 47, 127, 21, 88, 7, 212, 2, 163, 178, 40, 3, 58, 249, 124, 126,
    23, 129, 154, 195, 22, 158, 166, 101, 197, 10, 7, 211, 140, 60, 112, 229, 216, 241, 45, 175, 8, 74, 84,
    128, 166, 101, 144, 197, 242, 147, 80, 154, 143, 63, 127, 138, 131, 163, 84, 213,
];
/// `x` and `y` of the key.
const ES256_KEY: [u8; 64] = [
    127, 205, 206, 39, 112, 246, 196, 93, 65, 131, 203, 238, 111, 219, 75, 123, 88, 7, 51, 53, 123, 233, 239,
    19, 186, 207, 110, 60, 123, 209, 84, 69, 199, 241, 68, 205, 27, 189, 155, 126, 135, 44, 223, 237, 185,
    238, 185, 244, 179, 105, 93, 110, 169, 11, 36, 173, 138, 70, 35, 40, 133, 136, 229, 173,
];
/// What is in front of them in a SubjectPublicKeyInfo of P-256.
const SPKI_OF_P256: &[u8] =
    &[48, 89, 48, 19, 6, 7, 42, 134, 72, 206, 61, 2, 1, 6, 8, 42, 134, 72, 206, 61, 3, 1, 7, 3, 66, 0, 4];

wayside_sdk::plugin!(Foreign);
