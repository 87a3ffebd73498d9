//! Whose records arrive at a receiver: entries that may be gone, entries of others, and requests that somebody else sent.

use super::sender::{Lab, legs};
use crate::protocol::http::{Method, Request, Response};
use crate::rules::script::guid;
use crate::trace::{Event, ExchangeId, NetworkError, NetworkErrorKind, ReceiverId};

/// The removal of the receiver's entry is asked for, and no answer comes.
fn asks_in_vain(lab: &mut Lab) {
    let (exchange, request) = (ExchangeId(900), Request::new(Method::Delete, Lab::entry(1)));
    lab.script.observe(Event::RequestSent { exchange, request: &request });
    let error = NetworkError { kind: NetworkErrorKind::Timeout, address: String::new(), cause: "none".to_owned() };
    lab.script.observe(Event::RequestFailed { exchange, error: &error });
}

#[test]
fn nothing_is_owed_where_the_entry_may_be_gone() {
    let fail = || {
        let mut lab = Lab::new();
        lab.lists(&[1]).refuses(1, 9, &legs(0..3), 503);
        lab
    };
    // The removal's answer is not known.
    let mut lab = fail();
    asks_in_vain(&mut lab);
    lab.passes(60);
    lab.breaks(&[]);
    // Somebody else has removed it.
    let mut lab = fail();
    lab.lists(&[71]).passes(60);
    lab.breaks(&[]);
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 503).api(Method::Delete, &Lab::entry(1), "", &Response::new(404)).passes(60);
    lab.breaks(&[]);
    // It is there after all.
    let mut lab = fail();
    asks_in_vain(&mut lab);
    lab.lists(&[1]).refuses(1, 9, &legs(0..3), 503).passes(70);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn an_entry_of_somebody_else_may_lead_to_the_same_receiver() {
    let uri = Lab::uri(1);
    let list = format!(
        "<cdrReceivers total=\"2\"><cdrReceiver id=\"{}\"><uri>{uri}</uri></cdrReceiver><cdrReceiver id=\"{}\"/></cdrReceivers>",
        guid(71),
        guid(1)
    );
    let mut lab = Lab::new();
    let shown = Response { body: list.into_bytes(), ..Response::new(200) };
    lab.api(Method::Get, "/api/v1/system/cdrReceivers", "", &shown);
    lab.gets(1, 9, &legs(0..3)).gets(1, 9, &legs(0..3)).gets(1, 9, &legs(3..5)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn requests_of_somebody_else_are_not_judged() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3));
    let check = |lab: &mut Lab| {
        let head = std::mem::replace(&mut lab.head, ("GET", "/".to_owned(), "Host: a\r\n"));
        let set = lab.link(1).body(1, b"");
        lab.answers(set, 200);
        lab.head = head;
    };
    check(&mut lab);
    lab.refuses(1, 9, &legs(3..5), 503);
    check(&mut lab);
    // It does not hide what is owed.
    lab.passes(31);
    lab.breaks(&["CDR-03"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3));
    let head = std::mem::replace(&mut lab.head, ("POST", "/other".to_owned(), "Host: a\r\n"));
    lab.link(1).gets(1, 77, &legs(4..9));
    lab.head = head;
    lab.link(1).gets(1, 9, &legs(3..5)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_certificate_may_be_refused_without_a_word() {
    let run = |refuses: bool| {
        let mut lab = Lab::idle();
        let (receiver, uri) = (ReceiverId(1), "https://127.0.0.1:7001/cdr");
        lab.script.observe(Event::ReceiverOpened { receiver, name: "r", uri });
        lab.configures(1, uri, 200).receiver(2);
        if refuses {
            let what = "it was ended with the alert UnknownCA";
            lab.script.observe(Event::HandshakeFailed { receiver, what, by_peer: true });
        }
        lab.passes(12).gets(2, 9, &legs(0..2)).passes(10);
        lab.gets(2, 9, &legs(2..4)).passes(60);
        lab
    };
    let judgement = run(true).script.finish();
    assert!(judgement.findings.is_empty(), "{:#?}", judgement.findings);
    assert!(judgement.undecided.iter().any(|(id, _)| id.as_str() == "CDR-16"));
    // One that did not even try.
    run(false).breaks(&["CDR-16"]);
}

#[test]
fn the_older_node_changes_or_removes_what_was_there() {
    let older = |form: &str| {
        let mut lab = Lab::new();
        lab.lists(&[1]).refuses(1, 9, &legs(0..3), 503);
        lab.api(Method::Put, "/api/v1/system/cdrReceiver", form, &Response::new(200));
        lab
    };
    let mut lab = older("uri=");
    lab.passes(60).api(Method::Delete, &Lab::entry(1), "", &Response::new(404));
    lab.breaks(&[]);
    let mut lab = older("uri=http%3A%2F%2F127.0.0.1%3A7001%2Fother");
    lab.head.1 = "/other".to_owned();
    lab.link(1).gets(1, 9, &legs(0..4)).api(Method::Put, "/api/v1/system/cdrReceiver", "uri=", &Response::new(200));
    // Which of both entries is left is not known.
    lab.passes(60).link(1).gets(1, 9, &legs(4..5));
    lab.breaks(&[]);
}
