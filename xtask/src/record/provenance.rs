//! What a recording holds, counted, and the part of its README that tells it.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::Context as _;

use super::{
    tap_proto::Piece,
    taps::{Direction, Stream, Written, request_header, response_header},
};

/// What a stream can be an example of. Every one of these has to be in a recording at least once.
pub(super) fn features(direction: Direction, stream: &Stream) -> [(&'static str, bool); 15] {
    let outbound = direction == Direction::Outbound;
    let status = response_header(stream, ":status");
    let attempts = response_header(stream, "x-envoy-attempt-count");
    let has =
        |wanted: fn(&Piece) -> bool| stream.segments.iter().filter_map(|s| s.piece.as_ref()).any(wanted);
    let grpc_status = response_header(stream, "grpc-status");
    [
        (
            "with a deadline from the caller (x-envoy-expected-rq-timeout-ms)",
            request_header(stream, "x-envoy-expected-rq-timeout-ms").is_some(),
        ),
        ("answered with 2xx", status.is_some_and(|s| s.starts_with('2'))),
        ("answered with 4xx", status.is_some_and(|s| s.starts_with('4'))),
        ("answered with 5xx", status.is_some_and(|s| s.starts_with('5'))),
        ("timed out by Envoy (504, outbound)", outbound && status == Some("504")),
        ("answered at the second attempt (outbound)", outbound && attempts == Some("2")),
        ("answered at the third attempt (outbound)", outbound && attempts == Some("3")),
        ("without any answer (the client left)", status.is_none()),
        (
            "without request headers (refused before the first filter)",
            !has(|p| matches!(p, Piece::RequestHeaders(_))),
        ),
        ("with a request body", has(|p| matches!(p, Piece::RequestBodyChunk(_)))),
        ("with request trailers", has(|p| matches!(p, Piece::RequestTrailers(_)))),
        ("with response trailers", has(|p| matches!(p, Piece::ResponseTrailers(_)))),
        ("with a gRPC status in the response headers", grpc_status.is_some()),
        ("with a response body of several chunks", chunks(stream) > 1),
        ("with a response body of 64 KiB or more", response_bytes(stream) >= 64 * 1024),
    ]
}

fn response_chunks(stream: &Stream) -> impl Iterator<Item = usize> {
    stream.segments.iter().filter_map(|segment| match &segment.piece {
        Some(Piece::ResponseBodyChunk(chunk)) => Some(chunk.as_bytes.len()),
        _ => None,
    })
}

fn chunks(stream: &Stream) -> usize {
    response_chunks(stream).count()
}

fn response_bytes(stream: &Stream) -> usize {
    response_chunks(stream).sum()
}

const BEGIN: &str = "<!-- written by `cargo xtask record` from here -->\n";
const END: &str = "<!-- to here -->";

/// Replaces the counted part of the recordings' README.
pub(super) fn write(
    folder: &Path,
    version: &str,
    written: &[Written],
    features: &BTreeMap<&'static str, usize>,
) -> anyhow::Result<()> {
    let path = folder.join("README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (head, rest) =
        text.split_once(BEGIN).with_context(|| format!("README.md: expected the line {BEGIN}"))?;
    let (_, tail) = rest.split_once(END).with_context(|| format!("README.md: expected the line {END}"))?;
    fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", counted(version, written, features)))?;
    Ok(())
}

fn counted(version: &str, written: &[Written], features: &BTreeMap<&'static str, usize>) -> String {
    let mut text = format!(
        "\nRecorded with `{version}`.\n\n| proxy | direction | streams | streamed, bytes | buffered, bytes |\n|---|---|---:|---:|---:|\n"
    );
    for line in written {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            line.service, line.direction, line.streams, line.streamed_bytes, line.buffered_bytes
        );
    }
    let total = |of: fn(&Written) -> usize| written.iter().map(of).sum::<usize>();
    let _ = writeln!(
        text,
        "| all | | {} | {} | {} |\n\nOf these streams:\n",
        total(|w| w.streams),
        total(|w| w.streamed_bytes),
        total(|w| w.buffered_bytes)
    );
    for (what, count) in features {
        let _ = writeln!(text, "- {count} {what}");
    }
    text.push('\n');
    text
}
