//! The kit at gateways of a few lines, whose mistakes are known.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use wayside_attack::{Gateway, LAB, Report, Target, Verdict, attacks};

/// Some moment: these gateways have no clock.
const NOW: u64 = 1_800_000_000;

/// Answers each request as a function of its text says.
fn gateway(answer: impl Fn(&str) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut bytes = vec![0; 1 << 16];
            let read = stream.read(&mut bytes).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            drop(stream.write_all(answer(&text).as_bytes()));
        }
    });
    address
}

fn status(line: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Without what travels over HTTP/2, which these gateways do not speak.
fn attacked(address: SocketAddr) -> Report {
    let target = Target::new(&format!("http://{address}"), false).expect("it is on this machine");
    let gateway = Gateway::new(LAB.0, Some(LAB.1)).expect("the lab");
    let mut all = attacks::all(&gateway, NOW);
    all.sent.retain(|attack| attack.message.protocol == wayside_attack::Protocol::Http1);
    all.sent.retain(|attack| attack.message.http1("x").len() < 60_000);
    wayside_attack::run(&target, all).expect("it answers")
}

fn count(report: &Report, verdict: Verdict) -> usize {
    report.rows.iter().filter(|row| row.verdict == verdict).count()
}

#[test]
fn who_lets_everybody_in_is_told_so_and_who_passes_on_what_was_sent_too() {
    let report = attacked(gateway(|request| status("200 OK", request)));
    assert!(count(&report, Verdict::LetIn) > 200, "{report}");
    assert_eq!(count(&report, Verdict::KeptOut), 0, "{report}");
    // On the public path and with a good credential: three names in twelve spellings, and named by `connection`, and twice.
    assert!(count(&report, Verdict::Leaked) >= 2 * 3 * 12, "{report}");
}

#[test]
fn who_lets_nobody_in_keeps_good_ones_out() {
    let report = attacked(gateway(|_| status("401 Unauthorized", "")));
    assert_eq!((count(&report, Verdict::LetIn), count(&report, Verdict::Leaked)), (0, 0), "{report}");
    let kept_out = report.rows.iter().filter(|row| row.verdict == Verdict::KeptOut);
    assert!(kept_out.clone().any(|row| row.name == "a good credential (partners)"), "{report}");
    assert!(kept_out.count() > 10, "{report}");
}

#[test]
fn who_answers_nothing_of_what_was_sent_cannot_be_judged_on_it() {
    let report = attacked(gateway(|_| status("200 OK", "")));
    assert!(count(&report, Verdict::NotJudged) >= 2 * 3 * 12, "{report}");
    assert!(
        report.to_string().contains("the upstream does not answer with the headers it is sent"),
        "{report}"
    );
}

#[test]
fn a_failure_is_no_refusal() {
    let report = attacked(gateway(|_| status("503 Service Unavailable", "")));
    assert_eq!(count(&report, Verdict::Broke), report.rows.len(), "{report}");
}

#[test]
fn a_target_that_nobody_listens_at_is_no_good_result() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let target = Target::new(&format!("http://{address}"), false).expect("it is on this machine");
    let gateway = Gateway::new(LAB.0, Some(LAB.1)).expect("the lab");
    assert!(wayside_attack::run(&target, attacks::all(&gateway, NOW)).is_err());
}
