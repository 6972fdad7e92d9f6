//! Sending a list and judging what came back.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};

use crate::{
    attacks::{Attack, Attacks, Must, Smuggled},
    message::Message,
    report::{Report, Row, Verdict},
    wire::{self, Answer},
};

/// Where requests are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: SocketAddr,
    /// What they say of it.
    pub authority: String,
}

/// Nothing can be sent there, or must not be.
#[derive(Debug, thiserror::Error)]
pub enum Unsuitable {
    #[error("--target: found {0:?}, expected http://HOST[:PORT]")]
    Url(String),
    #[error("--target: {0}: {1}")]
    Unknown(String, io::Error),
    #[error(
        "--target: {0} is not on this machine; attack only what is yours, and say so with --allow-remote"
    )]
    Remote(SocketAddr),
    #[error("{0}: {1}")]
    Silent(SocketAddr, io::Error),
}

impl Target {
    /// # Errors
    /// It is no such URL, its host is unknown, or it is not on this machine, which must be allowed.
    pub fn new(url: &str, allow_remote: bool) -> Result<Target, Unsuitable> {
        let wrong = || Unsuitable::Url(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if authority.is_empty() || !authority.bytes().all(plain) {
            return Err(wrong());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let unknown = |error| Unsuitable::Unknown(authority.to_owned(), error);
        let mut addresses = with_port.to_socket_addrs().map_err(unknown)?;
        // Resolved once: what is checked here is what is attacked.
        let address = addresses.next().ok_or_else(wrong)?;
        if !address.ip().is_loopback() && !allow_remote {
            return Err(Unsuitable::Remote(address));
        }
        Ok(Target { address, authority: authority.to_owned() })
    }
}

/// Sends all attacks, one after the other.
///
/// # Errors
/// The target does not answer the first request at all. Of later ones, that is told in their rows.
pub fn run(target: &Target, attacks: Attacks) -> Result<Report, Unsuitable> {
    let send = |message: &Message| wire::send(target.address, &target.authority, message);
    let silent = |error| Unsuitable::Silent(target.address, error);
    send(&Message::get("/")).map_err(silent)?;
    let mut rows = Vec::new();
    let mut echoes = None;
    for attack in attacks.sent {
        let answer = send(&attack.message);
        let mut verdict = judged(attack.must, &answer);
        if verdict == Verdict::AsItMust
            && let (Some(smuggled), Ok(answer)) = (&attack.smuggled, &answer)
            && passed(answer)
        {
            let echoes = *echoes.get_or_insert_with(|| tells_what_it_was_sent(&attack, send));
            if arrived(smuggled, &answer.body) {
                verdict = Verdict::Leaked;
            } else if !echoes {
                verdict = Verdict::NotJudged;
            }
        }
        let seen = seen(&answer);
        rows.push(Row {
            group: attack.group.name(),
            name: attack.name,
            must: attack.must.into(),
            rule: attack.rule,
            seen,
            verdict,
        });
    }
    Ok(Report { rows, skipped: attacks.skipped.into_iter().map(Into::into).collect() })
}

/// Whether the upstream answers with the headers it was sent, so that one can see what came to it.
fn tells_what_it_was_sent(attack: &Attack, send: impl Fn(&Message) -> io::Result<Answer>) -> bool {
    const SENTINEL: &str = "wayside-was-sent";
    let asked = attack.message.clone().header("x-wayside-sentinel", SENTINEL);
    send(&asked).is_ok_and(|answer| arrived(&Smuggled::Text(SENTINEL.to_owned()), &answer.body))
}

/// Names at the start of a line or in quotes: as headers are written, or JSON of them.
fn arrived(smuggled: &Smuggled, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    match smuggled {
        Smuggled::Text(text) => body.contains(&text.to_ascii_lowercase()),
        Smuggled::Header(name) => {
            let name = name.to_ascii_lowercase();
            [format!("\n{name}:"), format!("\"{name}\"")].iter().any(|written| body.contains(written))
        }
    }
}

fn is_refusal(answer: &Answer) -> bool {
    match (answer.status, answer.grpc) {
        (None, _) => true,
        (Some(200), Some(grpc)) => matches!(grpc, 3 | 7 | 8 | 16),
        (Some(status), _) => {
            matches!(status, 400 | 401 | 403 | 405 | 413 | 414 | 417 | 421 | 426 | 431 | 501 | 505)
        }
    }
}

fn is_failure(answer: &Answer) -> bool {
    let grpc = answer.grpc.is_some_and(|grpc| matches!(grpc, 2 | 13 | 14));
    grpc || (!is_refusal(answer) && answer.status.is_some_and(|status| status >= 500))
}

fn passed(answer: &Answer) -> bool {
    !is_refusal(answer) && !is_failure(answer)
}

fn judged(must: Must, answer: &io::Result<Answer>) -> Verdict {
    match (must, answer) {
        (_, Err(_)) => Verdict::Broke,
        (_, Ok(answer)) if is_failure(answer) => Verdict::Broke,
        (Must::Refuse, Ok(answer)) if !is_refusal(answer) => Verdict::LetIn,
        (Must::Pass, Ok(answer)) if is_refusal(answer) => Verdict::KeptOut,
        _ => Verdict::AsItMust,
    }
}

fn seen(answer: &io::Result<Answer>) -> String {
    match answer {
        Err(error) => error.to_string(),
        Ok(Answer { status: None, .. }) => "closed".to_owned(),
        Ok(Answer { status: Some(status), grpc: None, .. }) => status.to_string(),
        Ok(Answer { status: Some(status), grpc: Some(grpc), .. }) => format!("{status}, gRPC {grpc}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_attacked_unless_it_is_allowed() {
        let remote = Target::new("http://192.0.2.1:8080", false);
        assert!(matches!(remote, Err(Unsuitable::Remote(_))), "{remote:?}");
        assert!(Target::new("http://192.0.2.1:8080", true).is_ok());
        let here = Target::new("http://127.0.0.1:8080/", false).expect("it is here");
        assert_eq!((here.address.port(), here.authority.as_str()), (8080, "127.0.0.1:8080"));
        assert_eq!(Target::new("http://[::1]", false).expect("it is here").address.port(), 80);
        for bad in
            ["https://127.0.0.1", "127.0.0.1", "http://", "http://127.0.0.1/path", "http://a@127.0.0.1"]
        {
            assert!(matches!(Target::new(bad, true), Err(Unsuitable::Url(_))), "{bad}");
        }
    }

    fn verdict(must: Must, status: Option<u16>, grpc: Option<u32>) -> Verdict {
        judged(must, &Ok(Answer { status, grpc, body: Vec::new() }))
    }

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        assert_eq!(verdict(Must::Refuse, Some(200), None), Verdict::LetIn);
        assert_eq!(verdict(Must::Refuse, Some(404), None), Verdict::LetIn, "the upstream was asked");
        assert_eq!(verdict(Must::Refuse, Some(401), None), Verdict::AsItMust);
        assert_eq!(verdict(Must::Refuse, None, None), Verdict::AsItMust);
        assert_eq!(verdict(Must::Refuse, Some(200), Some(16)), Verdict::AsItMust);
        assert_eq!(verdict(Must::Refuse, Some(200), Some(0)), Verdict::LetIn);
        assert_eq!(verdict(Must::Refuse, Some(503), None), Verdict::Broke);
        assert_eq!(verdict(Must::Pass, Some(401), None), Verdict::KeptOut);
        assert_eq!(verdict(Must::Either, Some(200), Some(14)), Verdict::Broke);
    }

    #[test]
    fn a_name_in_a_value_is_no_header() {
        let name = Smuggled::Header("x-in".to_owned());
        assert!(!arrived(&name, b"x-auth-subject: kit%0D%0Ax-in: root\n"));
        assert!(arrived(&name, b"x-auth-subject: kit\r\nX-In: root\n"));
        assert!(arrived(&name, b"{\"X-In\": \"root\"}"));
    }
}
