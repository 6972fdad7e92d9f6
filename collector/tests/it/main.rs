//! A collector must be able to say no.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use wayside_collector::{Collector, Manner, RetryAfter};

fn two_spans() -> ExportTraceServiceRequest {
    let span = |id| Span { trace_id: vec![1; 16], span_id: vec![id; 8], ..Span::default() };
    let scope_spans = ScopeSpans { spans: vec![span(1), span(2)], ..ScopeSpans::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() }],
    }
}

async fn told(
    collector: &Collector,
    http2: bool,
    media_type: &str,
    body: Vec<u8>,
) -> anyhow::Result<(u16, Option<String>, Bytes)> {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).http2_only(http2).build(HttpConnector::new());
    let request = Request::post(format!("http://{}/v1/traces", collector.address))
        .header("content-type", media_type)
        .body(Full::new(body.into()))?;
    let (head, body) = client.request(request).await?.into_parts();
    let retry_after =
        head.headers.get("retry-after").map(|value| value.to_str().map(str::to_owned)).transpose()?;
    Ok((head.status.as_u16(), retry_after, body.collect().await?.to_bytes()))
}

#[tokio::test]
async fn it_keeps_what_it_is_sent_over_both_protocols_and_in_both_encodings() -> anyhow::Result<()> {
    let collector = Collector::start([]).await?;
    for http2 in [false, true] {
        told(&collector, http2, "application/x-protobuf", two_spans().encode_to_vec()).await?;
        told(&collector, http2, "application/json", serde_json::to_vec(&two_spans())?).await?;
    }
    let ids: Vec<u8> = collector
        .requests()
        .iter()
        .flat_map(|request| request.message.spans().iter().map(|span| span.span_id[0]).collect::<Vec<_>>())
        .collect();
    assert_eq!(ids, [1, 2].repeat(4));
    Ok(())
}

#[tokio::test]
async fn it_follows_its_script_and_stays_with_the_last_manner() -> anyhow::Result<()> {
    let script = [
        Manner::Rejects(1),
        Manner::Throttles(RetryAfter::Seconds(7)),
        Manner::Status(503),
        Manner::Junk,
        Manner::Resets,
        Manner::Takes,
    ];
    let collector = Collector::start(script).await?;
    let mut statuses = Vec::new();
    for number in 0..7 {
        match told(&collector, false, "application/x-protobuf", two_spans().encode_to_vec()).await {
            Ok((status, retry_after, body)) => {
                if number == 0 {
                    let answer = ExportTraceServiceResponse::decode(body)?;
                    assert_eq!(answer.partial_success.context("told")?.rejected_spans, 1);
                }
                assert_eq!(retry_after.as_deref(), (number == 1).then_some("7"));
                statuses.push(status);
            }
            Err(_) => statuses.push(0),
        }
    }
    assert_eq!(statuses, [200, 429, 503, 200, 0, 200, 200]);
    let kept: Vec<bool> = collector.requests().iter().map(|request| request.kept).collect();
    assert_eq!(kept, [true, false, false, true, true, true, true]);
    Ok(())
}

#[tokio::test]
async fn what_is_no_otlp_is_refused_with_a_reason() -> anyhow::Result<()> {
    let collector = Collector::start([]).await?;
    let unknown_field = [two_spans().encode_to_vec(), vec![0x78, 1]].concat();
    for (media_type, body) in [
        ("application/x-protobuf", b"\xff".to_vec()),
        ("application/x-protobuf", unknown_field),
        ("application/json", b"{".to_vec()),
        ("text/plain", Vec::new()),
    ] {
        assert_eq!(told(&collector, false, media_type, body).await?.0, 400);
    }
    assert_eq!((collector.unreadable().len(), collector.requests().len()), (4, 0));
    Ok(())
}
