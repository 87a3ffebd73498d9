//! Entries of receivers as the API shows, changes and removes them (CDR-13, CDR-15), and what leaves it open.

use super::sender::{Lab, legs};
use crate::protocol::http::{Method, Request, Response};
use crate::trace::{Event, ExchangeId, NetworkError, NetworkErrorKind};

const RECEIVERS: &str = "/api/v1/system/cdrReceivers";

fn shows(uri: &str) -> Response {
    Response { body: format!("<cdrReceiver><uri>{uri}</uri></cdrReceiver>").into(), ..Response::new(200) }
}

/// A request about an entry, and the status of its answer.
fn asks(lab: &mut Lab, method: Method, entry: u32, form: &str, status: u16) {
    lab.api(method, &Lab::entry(entry), form, &Response::new(status));
}

/// A request about the first entry that gets no answer.
fn in_vain(lab: &mut Lab, method: Method) {
    let (exchange, request) = (ExchangeId(900), Request::new(method, Lab::entry(1)));
    lab.script.observe(Event::RequestSent { exchange, request: &request });
    let error = NetworkError { kind: NetworkErrorKind::Timeout, address: String::new(), cause: "none".to_owned() };
    lab.script.observe(Event::RequestFailed { exchange, error: &error });
}

/// One receiver of ours, and none of others.
fn alone() -> Lab {
    let mut lab = Lab::new();
    lab.lists(&[1]);
    lab
}

#[test]
fn each_step_of_managing_receivers_is_put_to_the_test() {
    let mut lab = alone();
    lab.api(Method::Get, &Lab::entry(1), "", &shows(&Lab::uri(1)));
    asks(&mut lab, Method::Put, 1, "uri=http%3A%2F%2Fb%3A1%2F", 200);
    asks(&mut lab, Method::Delete, 1, "", 200);
    assert_eq!(lab.script.times_tested("CDR-15"), 5);
}

#[test]
fn what_was_removed_is_not_shown() {
    let removed = || {
        let mut lab = Lab::new();
        lab.receiver(2);
        asks(&mut lab, Method::Delete, 1, "", 200);
        lab
    };
    let mut lab = removed();
    lab.api(Method::Get, &Lab::entry(1), "", &shows(&Lab::uri(1)));
    lab.breaks(&["CDR-15"]);
    let mut lab = removed();
    lab.api(Method::Get, &Lab::entry(2), "", &shows(&Lab::uri(2)));
    lab.breaks(&[]);
}

#[test]
fn an_entry_that_the_api_denies_was_lost_unless_others_removed_it() {
    for (mut lab, status, broken) in [
        (alone(), 404, &["CDR-15"][..]),
        (alone(), 503, &[]),
        // Whether there are others is not known.
        (Lab::new(), 404, &[]),
    ] {
        asks(&mut lab, Method::Get, 1, "", status);
        // What it is from now on is open.
        lab.api(Method::Get, &Lab::entry(1), "", &shows("http://other/")).lists(&[]);
        lab.breaks(broken);
    }
    for (status, broken) in [(404, &[][..]), (503, &["CDR-03"])] {
        let mut lab = Lab::new();
        lab.refuses(1, 9, &legs(0..3), 503);
        asks(&mut lab, Method::Get, 1, "", status);
        lab.passes(60);
        lab.breaks(broken);
    }
}

#[test]
fn a_change_that_is_refused_breaks_the_rule_where_nothing_else_explains_it() {
    for (mut lab, method, form, status, broken) in [
        (alone(), Method::Delete, "", 400, &["CDR-15"][..]),
        (alone(), Method::Delete, "", 503, &[]),
        (Lab::new(), Method::Delete, "", 400, &[]),
        (alone(), Method::Put, "uri=http%3A%2F%2Fb%3A1%2F", 400, &["CDR-15"]),
        (alone(), Method::Put, "uri=nonsense", 400, &[]),
        // The parameter may have another name.
        (alone(), Method::Put, "url=http%3A%2F%2Fb%3A1%2F", 400, &[]),
    ] {
        asks(&mut lab, method, 1, form, status);
        lab.api(Method::Get, &Lab::entry(1), "", &shows("http://other/"));
        lab.breaks(broken);
    }
    let mut lab = alone();
    asks(&mut lab, Method::Get, 1, "", 503);
    asks(&mut lab, Method::Delete, 1, "", 404);
    lab.breaks(&[]);
}

#[test]
fn a_list_without_an_entry_is_charged_once_and_only_where_it_is_whole() {
    let mut lab = Lab::new();
    lab.lists(&[]).lists(&[]);
    assert_eq!(lab.script.finish().finding_counts.values().sum::<u64>(), 1);
    let empty = || Response { body: b"<cdrReceivers total=\"0\"/>".to_vec(), ..Response::new(200) };
    let mut lab = Lab::new();
    lab.api(Method::Get, &format!("{RECEIVERS}?offset=9"), "", &empty());
    lab.api(Method::Get, RECEIVERS, "", &Response { status: 503, ..empty() });
    lab.breaks(&[]);
    // Somebody else took the place, and keeps it.
    let mut lab = Lab::new();
    lab.lists(&[71]).lists(&[71]);
    lab.breaks(&[]);
    // What the entry became is open after a restart and a change without an answer, but not after a look at it.
    let mut lab = Lab::new();
    lab.restarts().lists(&[]);
    lab.breaks(&[]);
    for (method, broken) in [(Method::Delete, &[][..]), (Method::Get, &["CDR-15"])] {
        let mut lab = Lab::new();
        in_vain(&mut lab, method);
        lab.lists(&[]);
        lab.breaks(broken);
    }
}

#[test]
fn a_refusal_breaks_the_rule_where_neither_the_name_nor_the_number_explains_it() {
    let (uri, url, other) = ("uri=http%3A%2F%2Fa%2F", "url=http%3A%2F%2Fa%2F", "url=http%3A%2F%2Fb%2F");
    let refused = |lab: &mut Lab, form: &str| _ = lab.api(Method::Post, RECEIVERS, form, &Response::new(400));
    for (second, broken) in [(url, &["CDR-15"][..]), (uri, &[]), (other, &[])] {
        let mut lab = Lab::idle();
        lab.lists(&[]);
        refused(&mut lab, uri);
        refused(&mut lab, second);
        lab.breaks(broken);
    }
    // One is taken already.
    let mut lab = alone();
    refused(&mut lab, uri);
    refused(&mut lab, url);
    lab.breaks(&["CDR-13"]);
    // One is taken in between.
    let mut lab = Lab::idle();
    lab.lists(&[]);
    refused(&mut lab, uri);
    lab.receiver(1);
    refused(&mut lab, url);
    lab.breaks(&[]);
    let full =
        || Response { body: b"<failureDetails><tooManyCdrReceivers/></failureDetails>".to_vec(), ..Response::new(400) };
    let mut lab = Lab::idle();
    lab.lists(&[]).api(Method::Post, RECEIVERS, uri, &full());
    lab.breaks(&["CDR-13"]);
    // After a restart others may have places again.
    let mut lab = Lab::idle();
    lab.lists(&[]).restarts().api(Method::Post, RECEIVERS, uri, &full());
    lab.breaks(&[]);
    // A server in trouble refuses nothing.
    let mut lab = Lab::idle();
    (1..=4).for_each(|receiver| _ = lab.receiver(receiver));
    lab.configures(5, &Lab::uri(5), 503);
    assert_eq!(lab.script.times_tested("CDR-14"), 0);
}
