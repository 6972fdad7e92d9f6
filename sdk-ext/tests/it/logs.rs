//! What a record that nobody keeps costs.

use crate::behaviours;

#[test]
fn a_record_that_the_level_does_not_let_through_makes_no_hostcall() {
    let told = |name: &str| {
        let ledger = behaviours::ledger("logs", name);
        let calls =
            |call: &str, callback: &str| ledger.answers.keys().any(|(a, b)| *a == call && *b == callback);
        let streams = ["on_request_headers", "on_response_headers", "on_log"];
        let written = streams.map(|callback| calls("proxy_log", callback));
        let ids = ledger.properties.keys().filter(|(path, _)| path == "request.id");
        (written, ids.map(|(_, callback)| *callback).collect::<Vec<_>>())
    };
    assert_eq!(told("what the level does not let through is not written"), ([false; 3], vec![]));
    // The same filter, heard: the id is asked for with the first record and no other.
    let heard =
        "a record says of which stream and request it is, as the id was when the stream first wrote one";
    assert_eq!(told(heard), ([true; 3], vec!["on_request_headers"]));
}
