//! Whatever filters answer and whenever they let go: nothing is lost, doubled or put in another order.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{Action, FilterIndex, FilterManager, Part, Path, Step};
use crate::message::{HeaderMap, Message};

const FILTERS: usize = 3;

/// What a filter does when it is called, and whether it also asks to go on in the middle of the call.
#[derive(Clone, Debug)]
struct Answer {
    headers: Action,
    data: Action,
    trailers: Action,
    resumes: bool,
    /// Adds trailers if this is the last data.
    adds_trailers: bool,
}

fn lossless() -> impl Strategy<Value = Answer> {
    let headers =
        vec![Action::Continue, Action::StopIteration, Action::StopAllAndBuffer, Action::StopAllAndWatermark];
    let data = vec![Action::Continue, Action::Continue, Action::StopAndBuffer, Action::StopAndWatermark];
    answer(headers, data)
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let all = vec![
        Action::Continue,
        Action::StopIteration,
        Action::StopAllAndBuffer,
        Action::StopAllAndWatermark,
        Action::StopAndBuffer,
        Action::StopAndWatermark,
        Action::StopNoBuffer,
    ];
    answer(all.clone(), all)
}

fn answer(headers: Vec<Action>, data: Vec<Action>) -> impl Strategy<Value = Answer> {
    let trailers = select(vec![Action::Continue, Action::StopIteration]);
    // Both in one call let trailers overtake data, in Envoy too.
    let flags = select(vec![(false, false), (false, false), (true, false), (false, true)]);
    (select(headers), select(data), trailers, flags).prop_map(
        |(headers, data, trailers, (resumes, adds_trailers))| Answer {
            headers,
            data,
            trailers,
            resumes,
            adds_trailers,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let body = vec(vec(any::<u8>(), 0..5).prop_map(Bytes::from), 0..6);
    (body, any::<bool>()).prop_map(|(body, trailers)| Message {
        headers: HeaderMap::from_iter([(":path", "/")]),
        body,
        trailers: trailers.then(|| HeaderMap::from_iter([("t", "1")])),
    })
}

/// What went out behind the last filter.
#[derive(Debug, Default, PartialEq)]
struct Sent {
    parts: Vec<&'static str>,
    body: Vec<u8>,
    ends: usize,
}

impl Sent {
    fn take(&mut self, part: Part, data: &[u8]) {
        self.body.extend_from_slice(data);
        let (name, end) = match part {
            Part::Headers { end_of_stream } => ("headers", end_of_stream),
            Part::Data { end_of_stream } => ("data", end_of_stream),
            Part::Trailers => ("trailers", true),
        };
        if self.parts.last() != Some(&name) || name != "data" {
            self.parts.push(name);
        }
        self.ends += usize::from(end);
    }
}

/// Runs a message through the chain; a stream that waits is let go filter by filter.
fn pass(path: Path, message: Message, answers: &[Answer]) -> Sent {
    let mut manager = FilterManager::new(FILTERS, None);
    manager.receive(path, message);
    let mut sent = Sent::default();
    let (mut answers, mut calls) = (answers.iter().cycle(), 0);
    while calls < 500 {
        advance(&mut manager, path, &mut answers, &mut sent, &mut calls);
        let stopped = (0..FILTERS).map(FilterIndex).find(|filter| manager.is_stopped(*filter, path));
        let Some(filter) = stopped else { break };
        manager.resume(filter, path);
        calls += 1;
    }
    sent
}

/// Takes the stream as far as it goes; what a filter sets going in the middle of its call comes before its answer.
fn advance<'a>(
    manager: &mut FilterManager,
    path: Path,
    answers: &mut impl Iterator<Item = &'a Answer>,
    sent: &mut Sent,
    calls: &mut usize,
) {
    while *calls < 500
        && let Some(step) = manager.next_step()
    {
        let (filter, part) = match step {
            Step::Forward { part, data, .. } => {
                sent.take(part, &data);
                continue;
            }
            Step::TooLarge { .. } => panic!("bodies are small here"),
            Step::Call { filter, part, .. } => (filter, part),
        };
        *calls += 1;
        let Some(answer) = answers.next() else { return };
        // With data that stays behind, a request's trailers overtake it, in Envoy too.
        let goes = path == Path::Encode || answer.data == Action::Continue;
        if answer.adds_trailers && goes && part == (Part::Data { end_of_stream: true }) {
            manager.message_mut(path).trailers.get_or_insert_default().push("late", "1");
        }
        // Asking to go on and then stopping all the same leaves two filters with one buffer, in Envoy too.
        let lets_go = answer.resumes && answer.data == Action::Continue;
        if lets_go && matches!(part, Part::Data { .. }) {
            manager.resume(filter, path);
            advance(manager, path, answers, sent, calls);
        }
        manager.answered(match part {
            Part::Headers { .. } => answer.headers,
            Part::Data { .. } => answer.data,
            Part::Trailers => answer.trailers,
        });
    }
}

proptest! {
    #[test]
    fn whatever_filters_stop_and_let_go_the_same_message_comes_out_behind_them(
        message in message(),
        answers in vec(lossless(), 1..20),
        decode in any::<bool>(),
    ) {
        let body = message.whole_body();
        let has_trailers = message.trailers.is_some();
        let sent = pass(if decode { Path::Decode } else { Path::Encode }, message, &answers);
        prop_assert_eq!(&sent.body[..], &body[..]);
        prop_assert_eq!(sent.parts.first(), Some(&"headers"));
        prop_assert_eq!(sent.parts.iter().filter(|part| **part == "headers").count(), 1);
        prop_assert!(sent.parts.iter().filter(|part| **part == "trailers").count() >= usize::from(has_trailers));
        prop_assert_eq!(sent.ends, 1, "one end, and nothing behind it: {:?}", sent);
    }

    #[test]
    fn no_answers_make_the_chain_panic_or_send_anything_behind_the_end(
        message in message(),
        answers in vec(any_answer(), 1..20),
        decode in any::<bool>(),
    ) {
        let sent = pass(if decode { Path::Decode } else { Path::Encode }, message, &answers);
        prop_assert!(sent.ends <= 1);
        prop_assert!(sent.parts.iter().filter(|part| **part == "headers").count() <= 1);
    }
}

#[test]
fn data_a_filter_let_go_comes_before_the_chunk_it_is_being_shown() {
    let mut manager = FilterManager::new(1, None);
    let body = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    manager.receive(Path::Decode, Message { body, ..Message::default() });
    let mut body = Vec::new();
    let mut actions =
        [Action::Continue, Action::StopAndWatermark, Action::Continue, Action::Continue].into_iter();
    while let Some(step) = manager.next_step() {
        match step {
            Step::Forward { data, .. } => body.extend_from_slice(&data),
            Step::TooLarge { .. } => panic!("the body is small"),
            Step::Call { filter, path, part } => {
                if part == (Part::Data { end_of_stream: false }) {
                    manager.resume(filter, path);
                }
                manager.answered(actions.next().unwrap_or(Action::Continue));
            }
        }
    }
    assert_eq!(body, b"onetwo");
}
