//! The report for CI servers: JUnit XML, a test suite for each proxy and a test case for each exchange and connection. No wall-clock
//! times in it: the same bytes for the same report.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::{
    ConnectionReport, ExchangeReport, FieldDifference, ProxyReport, Report, Text,
    connection::fate_of,
    printable::{Printable, clipped},
    text::change_of,
};
use crate::proxy::End;

/// Letters of one value that are shown.
const VALUE: usize = 300;
/// Letters of a test case's name.
const NAME: usize = 200;
/// Differences that a failure lists.
const LISTED: usize = 50;

impl Report {
    /// A test case fails where a client would have noticed, a filter failed, or the stream hung; so there are failures
    /// exactly when [`Report::differs`]. Exchanges without a configuration are skipped test cases.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_junit(&self, to: impl Write) -> io::Result<()> {
        let mut report = quick_junit::Report::new("wayside replay");
        let (mut exchanges, mut connections) = (self.exchanges.iter(), self.connections.iter());
        for proxy in &self.proxies {
            let exchanges = exchanges.by_ref().take(proxy.exchanges).map(case);
            let connections = connections.by_ref().take(proxy.connections).map(of_connection);
            report.add_test_suite(suite(self, proxy, exchanges.chain(connections)));
        }
        if !self.skipped.is_empty() {
            report.add_test_suite(skipped(&self.skipped));
        }
        report.serialize(to).map_err(io::Error::other)
    }
}

fn suite(report: &Report, proxy: &ProxyReport, cases: impl Iterator<Item = TestCase>) -> TestSuite {
    let mut suite = TestSuite::new(clipped(&proxy.name, NAME));
    suite.add_property(Property::new("configuration", clipped(&proxy.configuration, NAME)));
    suite.add_property(Property::new("seed", report.seed.0.to_string()));
    suite.add_property(Property::new("random_bytes", proxy.random_bytes.to_string()));
    for filter in &proxy.filters {
        let name = format!("sha256 of {} ({})", filter.name, filter.listener);
        suite.add_property(Property::new(clipped(name, NAME), filter.sha256.as_str()));
    }
    if let Some(case) = outside_streams(proxy) {
        suite.add_test_case(case);
    }
    for case in cases {
        suite.add_test_case(case);
    }
    suite
}

/// Filters that failed at their start, in a tick or in a callout's answer; none where none did.
fn outside_streams(proxy: &ProxyReport) -> Option<TestCase> {
    let mut faults = proxy.events.iter().filter(|event| event.fault).peekable();
    let first = faults.peek()?;
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type("fault").set_message(one_line(&first.said));
    let lines = faults.map(|event| format!("{}: {}", event.filter.as_deref().unwrap_or("proxy"), event.said));
    status.set_description(clipped(lines.collect::<Vec<_>>().join("\n"), VALUE * LISTED));
    let mut case = TestCase::new("outside streams", status);
    case.set_classname(clipped(&proxy.name, NAME));
    Some(case)
}

fn case(exchange: &ExchangeReport) -> TestCase {
    let (class, number) = exchange.id.rsplit_once('/').unwrap_or(("", &exchange.id));
    let name = format!("{number} {} {}", exchange.method, exchange.path);
    let mut case = TestCase::new(clipped(name, NAME), status(exchange));
    case.set_classname(clipped(class.replace('/', "."), NAME));
    case
}

fn status(exchange: &ExchangeReport) -> TestCaseStatus {
    let fault = exchange.filters.iter().find_map(|filter| Some((filter, filter.faults.first()?)));
    let (kind, message) = match (exchange.end, fault) {
        (End::Hung, _) => ("hung", "the stream never ended".to_owned()),
        (_, Some((filter, fault))) => ("fault", format!("{} failed: {fault}", filter.name)),
        _ if exchange.visible => ("difference", change_of(exchange)),
        _ => return TestCaseStatus::success(),
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind).set_message(one_line(message)).set_description(essentials(exchange));
    status
}

fn of_connection(connection: &ConnectionReport) -> TestCase {
    let (class, number) = connection.id.rsplit_once('/').unwrap_or(("", &connection.id));
    let fault = connection.filters.iter().find_map(|filter| Some((filter, filter.faults.first()?)));
    let failure = match fault {
        Some((filter, fault)) => Some(("fault", format!("{} failed: {fault}", filter.name))),
        None if connection.hung => Some(("hung", "the connection never ended".to_owned())),
        None if connection.visible => Some(("difference", fate_of(connection))),
        None => None,
    };
    let status = match failure {
        None => TestCaseStatus::success(),
        Some((kind, message)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let mut lines = vec![
                format!("{}, recorded at {}", Printable(&connection.id), Printable(&connection.origin)),
                clipped(fate_of(connection), VALUE),
            ];
            lines.extend(connection.differences.iter().map(line));
            status.set_type(kind).set_message(one_line(message)).set_description(lines.join("\n"));
            status
        }
    };
    let mut case = TestCase::new(clipped(format!("{number} TCP {}", connection.listener), NAME), status);
    case.set_classname(clipped(class.replace('/', "."), NAME));
    case
}

fn essentials(exchange: &ExchangeReport) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}, recorded at {}", Printable(&exchange.id), Printable(&exchange.origin));
    let _ = writeln!(out, "{}", clipped(change_of(exchange), VALUE));
    for filter in &exchange.filters {
        for fault in &filter.faults {
            let _ = writeln!(out, "{} failed: {}", Printable(&filter.name), clipped(fault, VALUE));
        }
    }
    for difference in exchange.differences.iter().take(LISTED) {
        let _ = writeln!(out, "{}", line(difference));
    }
    if let Some(more) = exchange.differences.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let _ = writeln!(out, "… and {more} more differences, in the JSON report");
    }
    out
}

fn line(difference: &FieldDifference) -> String {
    let side = |values: &[Text]| match values {
        [] => "(absent)".to_owned(),
        values => clipped(values.iter().map(Text::to_string).collect::<Vec<_>>().join(" | "), VALUE),
    };
    let name = difference.name.as_ref().map(|name| format!(" {}", clipped(name, VALUE))).unwrap_or_default();
    let (recorded, replayed) = (side(&difference.recorded), side(&difference.replayed));
    format!("{}{name}: recorded {recorded}, replayed {replayed}", difference.label())
}

fn one_line(text: impl std::fmt::Display) -> String {
    clipped(text, VALUE).replace('\n', " ")
}

fn skipped(ids: &[String]) -> TestSuite {
    let mut suite = TestSuite::new("no configuration");
    for id in ids {
        let mut status = TestCaseStatus::skipped();
        status.set_message("no configuration stands for this proxy");
        suite.add_test_case(TestCase::new(clipped(id, NAME), status));
    }
    suite
}
