//! Calls a gRPC service, in the way that the header `x-do` says, and logs what came of it.

use std::{future::Future, rc::Rc, time::Duration};
use wayside_sdk::callout::Unary;
use wayside_sdk::{
    Cluster, ConfigErrors, Flow, GrpcError, HttpFilter, Init, Plugin, Reply, RequestHeaders, Stream, join,
    log, name,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    greeter: Cluster,
}

struct Greeter(Cluster);
struct Filter(Rc<Greeter>);

impl Plugin for Greeter {
    const NAME: &'static str = "grpc";
    type Config = Config;
    type Filter = Filter;
    fn configure(config: Config, _: &mut Init) -> Result<Greeter, ConfigErrors> {
        Ok(Greeter(config.greeter))
    }
    fn stream(self: &Rc<Self>) -> Filter {
        Filter(self.clone())
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, request: RequestHeaders) -> Flow {
        let Ok(headers) = request.headers.block() else { return Reply::new(503, "grpc.no_headers").into() };
        let what = headers.first(name!("x-do")).unwrap_or_default().to_vec();
        let greeter = self.0.clone();
        Flow::wait(async move {
            let hello = greeter.0.grpc("pkg.Greeter", "Hello").message(&b"hello"[..]);
            match &*what {
                b"metadata" => {
                    let named = greeter.0.clone().with_authority("greeter.example");
                    let call = named.grpc("pkg.Greeter", "Hello").metadata(name!("x-tenant"), "a");
                    tell(call.metadata(name!("x-tenant"), "b"), request.stream()).await;
                }
                b"small" => tell(hello.read_message(3), request.stream()).await,
                b"short" => tell(hello.timeout(Duration::from_micros(100_001)), request.stream()).await,
                b"forever" => tell(hello.timeout(Duration::ZERO), request.stream()).await,
                b"unnamed" => tell(Cluster::new("").grpc("a", "B"), request.stream()).await,
                b"both" => {
                    let auth = Cluster::new("auth");
                    let http = auth.call("GET", "/").send(request.stream());
                    let (grpc, http) = join(hello.send(request.stream()), http).await;
                    log!(Warn, "{} and {:?}", told(&grpc), http.map(|answer| answer.status()));
                }
                b"forget" => {
                    let forgotten = hello.send(request.stream());
                    tell(greeter.0.grpc("pkg.Greeter", "Again"), request.stream()).await;
                    drop(forgotten);
                }
                _ => return answer(hello.send(request.stream())).await,
            }
            Flow::Continue
        })
    }
}

/// What most filters would do: go on with the service's leave, and tell the client what it said otherwise.
async fn answer(call: impl Future<Output = Result<Vec<u8>, GrpcError>>) -> Flow {
    match call.await {
        Ok(message) => {
            log!(Warn, "{}", message.escape_ascii());
            Flow::Continue
        }
        Err(error) => {
            log!(Warn, "{error}");
            let reply = Reply::new(503, "grpc.refused");
            match error {
                GrpcError::Status(status) => reply.grpc(status.code).body(status.message),
                GrpcError::Call(_) | GrpcError::Malformed => reply,
            }
            .into()
        }
    }
}

async fn tell(call: Unary<'_>, stream: &Stream) {
    log!(Warn, "{}", told(&call.send(stream).await));
}

fn told(answer: &Result<Vec<u8>, GrpcError>) -> String {
    match answer {
        Ok(message) => message.escape_ascii().to_string(),
        Err(error) => error.to_string(),
    }
}

wayside_sdk::plugin!(Greeter);
