//! What the API tells of receivers, Call Bridges, calls and tags: what follows from it, and what is left open.

use super::records_channels::{added, shown};
use super::records_content::{SPACE, example};
use super::sender::{Lab, leg, legs, numbered, record};
use crate::protocol::cdr::RecordType::{CallLegUpdate, CallStart};
use crate::protocol::events::Resource;
use crate::protocol::http::{Headers, Method, Request, Response};
use crate::rules::script::guid;
use crate::trace::{Event, ExchangeId, NetworkError, NetworkErrorKind};

pub(super) const NODE: &str = "/api/v1/system/cdrReceivers";
pub(super) const OLDER_NODE: &str = "/api/v1/system/cdrReceiver";

/// A URI as a form.
pub(super) fn form(name: &str, uri: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, uri).finish()
}

pub(super) fn full() -> Response {
    Response { body: b"<failureDetails><tooManyCdrReceivers/></failureDetails>".to_vec(), ..Response::new(400) }
}

pub(super) fn shows(uri: &str) -> Response {
    Response { body: format!("<cdrReceiver><uri>{uri}</uri></cdrReceiver>").into(), ..Response::new(200) }
}

/// The answer to a request that made something.
pub(super) fn made(status: u16, path: &str) -> Response {
    Response { headers: Headers::new().with("Location", path), ..Response::new(status) }
}

/// Entries of a list, with their URIs.
pub(super) fn listing(total: Option<usize>, entries: &[(u32, &str)]) -> Response {
    let total = total.map_or_else(String::new, |total| format!(" total=\"{total}\""));
    let entry = |(id, uri): &(u32, &str)| format!("<cdrReceiver id=\"{}\"><uri>{uri}</uri></cdrReceiver>", guid(*id));
    let entries: String = entries.iter().map(entry).collect();
    Response { body: format!("<cdrReceivers{total}>{entries}</cdrReceivers>").into(), ..Response::new(200) }
}

impl Lab {
    pub(super) fn sends(&mut self, exchange: u32, method: Method, target: &str, form: &str) -> &mut Self {
        let request = Request { body: form.into(), ..Request::new(method, target) };
        self.script.observe(Event::RequestSent { exchange: ExchangeId(exchange), request: &request });
        self
    }

    pub(super) fn receives(&mut self, exchange: u32, response: &Response) -> &mut Self {
        self.script.observe(Event::ResponseReceived { exchange: ExchangeId(exchange), response });
        self
    }

    pub(super) fn hears_nothing(&mut self, exchange: u32) -> &mut Self {
        let error = NetworkError { kind: NetworkErrorKind::Timeout, address: String::new(), cause: "none".to_owned() };
        self.script.observe(Event::RequestFailed { exchange: ExchangeId(exchange), error: &error });
        self
    }

    pub(super) fn deletes(&mut self, entry: u32, status: u16) -> &mut Self {
        self.api(Method::Delete, &Self::entry(entry), "", &Response::new(status))
    }

    pub(super) fn changes(&mut self, entry: u32, form: &str, status: u16) -> &mut Self {
        self.api(Method::Put, &Self::entry(entry), form, &Response::new(status))
    }

    pub(super) fn asks_for(&mut self, name: &str, uri: &str, response: &Response) -> &mut Self {
        self.api(Method::Post, NODE, &form(name, uri), response)
    }

    pub(super) fn reads(&mut self, entry: u32, response: &Response) -> &mut Self {
        self.api(Method::Get, &Self::entry(entry), "", response)
    }

    #[track_caller]
    pub(super) fn breaks_once(self, expected: &str) {
        let found = self.script.finish().findings;
        let found: Vec<&str> = found.iter().map(|finding| finding.requirement.as_str()).collect();
        assert_eq!(found, [expected]);
    }
}

#[test]
fn what_is_asked_for_may_be_done_before_it_is_answered() {
    for (method, target, form) in [
        (Method::Delete, Lab::entry(1), ""),
        (Method::Put, Lab::entry(1), "uri=http%3A%2F%2Fb%2F"),
        (Method::Put, OLDER_NODE.to_owned(), "uri="),
        (Method::Post, OLDER_NODE.to_owned(), "uri=http%3A%2F%2Fb%2F"),
    ] {
        let start = || {
            let mut lab = Lab::new();
            lab.lists(&[1]).refuses(1, 9, &legs(0..3), 503).sends(900, method, &target, form);
            lab
        };
        // For as long as no answer comes.
        let mut lab = start();
        lab.passes(60).refuses(1, 9, &legs(3..5), 503).passes(60);
        lab.breaks(&[]);
        // Nor later, if none comes at all, or one that says nothing.
        for answered in [false, true] {
            let mut lab = start();
            if answered {
                lab.receives(900, &Response::new(500));
            } else {
                lab.hears_nothing(900);
            }
            lab.refuses(1, 9, &legs(3..5), 503).passes(60);
            lab.reads(1, &Response::new(404)).lists(&[]).reads(1, &shows("http://c/")).deletes(1, 404);
            lab.breaks(&[]);
        }
    }
    // A request that only reads leaves nothing open, nor does one that is about something else.
    for (method, target) in [
        (Method::Get, Lab::entry(1)),
        (Method::Get, OLDER_NODE.to_owned()),
        (Method::Put, "/api/v1/system/load".to_owned()),
        (Method::Put, "/api/v1/test/cdrReceiver".to_owned()),
        (Method::Put, format!("{OLDER_NODE}/x")),
        (Method::Delete, Lab::entry(2)),
        (Method::Post, NODE.to_owned()),
    ] {
        let mut lab = Lab::new();
        lab.lists(&[1]).refuses(1, 9, &legs(0..3), 503);
        lab.sends(900, method, &target, "uri=http%3A%2F%2Fb%2F").hears_nothing(900).passes(40);
        lab.breaks(&["CDR-03"]);
    }
}

#[test]
fn the_older_node_stands_for_one_receiver_that_is_not_known() {
    for method in [Method::Put, Method::Post] {
        // It leads here now, beside what was there before or in its place.
        let mut lab = Lab::idle();
        lab.opens(1).api(method, OLDER_NODE, &form("uri", &Lab::uri(1)), &Response::new(200));
        lab.refuses(1, 9, &legs(0..3), 503).passes(40);
        lab.breaks(&["CDR-03"]);
        // What it made has an id of its own, or the id of one that was removed.
        let mut lab = Lab::new();
        lab.lists(&[1]).deletes(1, 200).api(method, OLDER_NODE, &form("uri", &Lab::uri(1)), &Response::new(200));
        lab.api(Method::Get, NODE, "", &listing(None, &[(1, &Lab::uri(1))]));
        lab.gets(1, 9, &legs(0..3));
        lab.breaks(&[]);
        let mut lab = Lab::new();
        lab.api(method, OLDER_NODE, &form("uri", &Lab::uri(1)), &Response::new(200)).lists(&[]).lists(&[71]);
        lab.breaks(&[]);
        // Emptied, it leads nowhere.
        let mut lab = Lab::idle();
        lab.opens(1).api(method, OLDER_NODE, &form("uri", &Lab::uri(1)), &Response::new(200)).gets(1, 9, &legs(0..3));
        lab.api(method, OLDER_NODE, "uri=", &Response::new(200)).passes(60).link(1).gets(1, 9, &legs(3..4));
        lab.breaks(&["CDR-15"]);
        // A server that does not have it any more changes nothing.
        let mut lab = Lab::new();
        lab.lists(&[1]).api(method, OLDER_NODE, "uri=", &Response::new(404));
        lab.refuses(1, 9, &legs(0..3), 503).passes(40);
        lab.breaks(&["CDR-03"]);
        // How many there are now is open.
        let mut lab = Lab::idle();
        lab.lists(&[]);
        (1..=3).for_each(|receiver| _ = lab.receiver(receiver));
        lab.api(method, OLDER_NODE, "uri=http%3A%2F%2Fb%2F", &Response::new(500)).asks_for("uri", "http://a/", &full());
        lab.breaks(&[]);
    }
}

#[test]
fn what_is_under_way_beside_it_may_come_first() {
    let get = |lab: &mut Lab, target: &str, beside: (Method, &str, &str), first: &Response, second: &Response| {
        for is_first in [true, false] {
            let mut one = std::mem::replace(lab, Lab::idle());
            one.lists(&[]).receiver(1).receiver(2);
            one.sends(900, Method::Get, target, "").sends(901, beside.0, beside.1, beside.2);
            if is_first {
                one.receives(900, first).receives(901, second);
            } else {
                one.receives(901, second).receives(900, first);
            }
            one.breaks(&[]);
        }
    };
    let mut lab = Lab::idle();
    let (uri, other) = (Lab::uri(1), Lab::uri(2));
    let (both, one) = (listing(None, &[(1, &uri), (2, &other)]), listing(None, &[(2, &other)]));
    let (entry, gone) = (Lab::entry(1), Response::new(200));
    for list in [&both, &one] {
        get(&mut lab, NODE, (Method::Delete, &entry, ""), list, &gone);
    }
    for shown in [&shows(&uri), &Response::new(404)] {
        get(&mut lab, &entry, (Method::Delete, &entry, ""), shown, &gone);
    }
    for shown in [&shows(&uri), &shows("http://b/")] {
        get(&mut lab, &entry, (Method::Put, &entry, "uri=http%3A%2F%2Fb%2F"), shown, &gone);
    }
    // The list was asked for before the third was.
    let third = form("uri", "http://c/");
    get(&mut lab, NODE, (Method::Post, NODE, &third), &both, &made(200, &Lab::entry(3)));
    // One that was removed, and whose id is given out again.
    for is_first in [true, false] {
        let mut lab = Lab::new();
        lab.lists(&[1]).deletes(1, 200);
        lab.sends(900, Method::Post, NODE, &form("uri", &uri)).sends(901, Method::Get, NODE, "");
        let (list, answer) = (listing(None, &[(1, &uri)]), made(200, &Lab::entry(1)));
        if is_first {
            lab.receives(900, &answer).receives(901, &list);
        } else {
            lab.receives(901, &list).receives(900, &answer);
        }
        lab.breaks(&[]);
    }
    // Which of two changes comes last is open.
    for is_first in [true, false] {
        let mut lab = Lab::new();
        lab.sends(900, Method::Put, &entry, "uri=http%3A%2F%2Fb%2F");
        lab.sends(901, Method::Put, &entry, "uri=http%3A%2F%2Fc%2F");
        let answers = if is_first { [900, 901] } else { [901, 900] };
        answers.iter().for_each(|exchange| _ = lab.receives(*exchange, &gone));
        lab.reads(1, &shows("http://b/"));
        lab.breaks(&[]);
    }
    // A change of what is just removed is refused.
    for is_first in [true, false] {
        let mut lab = Lab::new();
        lab.lists(&[1]).sends(900, Method::Put, &entry, "uri=http%3A%2F%2Fb%2F").sends(901, Method::Delete, &entry, "");
        let answers = [(900, Response::new(404)), (901, gone.clone())];
        let order = if is_first { [0, 1] } else { [1, 0] };
        order.iter().for_each(|place| _ = lab.receives(answers[*place].0, &answers[*place].1));
        lab.breaks(&[]);
    }
    // But what nothing under way touches is judged.
    let mut lab = Lab::new();
    lab.receiver(2).sends(900, Method::Delete, &Lab::entry(2), "").lists(&[]);
    lab.breaks_once("CDR-15");
    let mut lab = Lab::new();
    lab.deletes(1, 200).sends(900, Method::Get, &Lab::entry(2), "").lists(&[1]);
    lab.breaks_once("CDR-15");
}

#[test]
fn places_that_are_taken_or_left_at_that_moment_count_either_way() {
    let three = || {
        let mut lab = Lab::idle();
        lab.lists(&[]);
        (1..=3).for_each(|receiver| _ = lab.receiver(receiver));
        lab
    };
    let (delete, post) = (Lab::entry(3), form("uri", "http://a/"));
    // The fourth is asked for beside the fifth, which comes first.
    let mut lab = three();
    lab.sends(900, Method::Post, NODE, &post).sends(901, Method::Post, NODE, &post);
    lab.receives(901, &full()).receives(900, &made(200, &Lab::entry(4)));
    lab.breaks(&[]);
    // One may have been made although its answer was lost, or spoke of a fault.
    for lost in [true, false] {
        let mut lab = three();
        lab.sends(900, Method::Post, NODE, &post);
        if lost {
            lab.hears_nothing(900);
        } else {
            lab.receives(900, &Response::new(500));
        }
        lab.asks_for("uri", "http://a/", &full());
        lab.breaks(&[]);
    }
    // A place that is left just after the refusal, and answered first.
    let mut lab = three();
    lab.receiver(4).sends(900, Method::Post, NODE, &post).sends(901, Method::Delete, &delete, "");
    lab.receives(901, &Response::new(200)).receives(900, &full());
    lab.breaks(&[]);
    // And one that is left just before the next is taken, and answered later.
    let mut lab = three();
    lab.receiver(4).sends(901, Method::Delete, &delete, "").sends(900, Method::Post, NODE, &post);
    lab.receives(900, &made(200, &Lab::entry(5))).receives(901, &Response::new(200));
    lab.breaks(&[]);
    // Five at a time are too many all the same.
    let mut lab = Lab::idle();
    (1..=5).for_each(|number| _ = lab.sends(900 + number, Method::Post, NODE, &post));
    (1..=5).for_each(|number| _ = lab.receives(900 + number, &made(200, &Lab::entry(number))));
    lab.breaks_once("CDR-14");
    // A place that was left long before is free.
    let mut lab = three();
    lab.receiver(4).deletes(4, 200).asks_for("uri", "http://a/", &full());
    lab.breaks_once("CDR-13");
}

#[test]
fn a_refusal_is_charged_where_nothing_explains_it() {
    let refusals = |entries: u32, refused: &[(&str, &str, Response)]| {
        let mut lab = Lab::idle();
        lab.lists(&[]);
        (1..=entries).for_each(|receiver| _ = lab.receiver(receiver));
        for (name, uri, response) in refused {
            lab.asks_for(name, uri, response);
        }
        lab
    };
    let (no, busy) = (|| Response::new(400), || Response::new(503));
    // Under both names of the parameter.
    refusals(0, &[("uri", "http://a/", no()), ("url", "http://a/", no())]).breaks(&["CDR-15"]);
    refusals(1, &[("uri", "http://a/", no()), ("url", "http://a/", no())]).breaks(&["CDR-13"]);
    refusals(0, &[("url", "http://a/", no()), ("uri", "http://a/", no())]).breaks(&["CDR-15"]);
    // As if there were no place.
    refusals(0, &[("uri", "http://a/", full())]).breaks(&["CDR-13"]);
    // Another receiver, the same name again, no receiver at all, or a fault of the moment.
    refusals(0, &[("uri", "http://a/", no()), ("url", "http://b/", no())]).breaks(&[]);
    refusals(0, &[("uri", "http://a/", no()), ("uri", "http://a/", no())]).breaks(&[]);
    refusals(0, &[("uri", "a", no()), ("url", "a", no())]).breaks(&[]);
    refusals(0, &[("uri", "http://a/", busy()), ("url", "http://a/", busy())]).breaks(&[]);
    refusals(0, &[("uri", "http://a/", busy()), ("url", "http://a/", no())]).breaks(&[]);
    // One name was taken meanwhile, so that it is the name of the other that was wrong.
    let mut lab = refusals(0, &[("uri", "http://a/", no())]);
    lab.receiver(1).asks_for("url", "http://a/", &no());
    lab.breaks(&[]);
    // Others may have all places.
    let mut lab = Lab::idle();
    lab.asks_for("uri", "http://a/", &full());
    lab.breaks(&[]);
    let mut lab = Lab::idle();
    lab.lists(&[71]).asks_for("uri", "http://a/", &full());
    lab.breaks(&[]);
}

#[test]
fn a_list_is_judged_where_it_is_whole() {
    let list = |target: &str, response: &Response| {
        let mut lab = Lab::new();
        lab.api(Method::Get, target, "", response);
        lab
    };
    let none = listing(None, &[]);
    list(NODE, &none).breaks(&["CDR-15"]);
    list(&format!("{NODE}?offset=1"), &none).breaks(&[]);
    list(NODE, &Response { status: 503, ..none.clone() }).breaks(&[]);
    list(NODE, &listing(Some(1), &[])).breaks(&[]);
    // Each that is missing is charged once.
    let mut lab = Lab::new();
    lab.lists(&[]).lists(&[]);
    lab.breaks_once("CDR-15");
    // Once somebody else may have taken its place, nothing more is said of it.
    let mut lab = Lab::idle();
    lab.lists(&[71]).receiver(1).lists(&[71, 72]).lists(&[71, 72]);
    lab.breaks(&[]);
    // The first list shows others that may have been there before.
    let mut lab = Lab::new();
    lab.lists(&[71]);
    lab.breaks(&[]);
    let mut lab = Lab::idle();
    lab.lists(&[71]).receiver(1).lists(&[71]);
    lab.breaks(&["CDR-15"]);
    // A restart may change the list.
    let mut lab = Lab::new();
    lab.lists(&[1]).restarts().lists(&[]);
    lab.breaks(&[]);
    let mut lab = Lab::new();
    lab.lists(&[1]).restarts().asks_for("uri", "http://a/", &full());
    lab.breaks(&[]);
}

#[test]
fn what_was_removed_does_not_come_back() {
    let removed = || {
        let mut lab = Lab::new();
        lab.receiver(2).deletes(1, 200).deletes(2, 200);
        lab
    };
    for back in [1, 2] {
        let mut lab = removed();
        lab.lists(&[back]);
        lab.breaks_once("CDR-15");
        let mut lab = removed();
        lab.reads(back, &shows(&Lab::uri(back)));
        lab.breaks_once("CDR-15");
        let mut lab = removed();
        lab.reads(back, &Response::new(404)).reads(3, &shows("http://a/"));
        lab.breaks(&[]);
        // Somebody else was given the same id.
        let mut lab = removed();
        lab.api(Method::Get, NODE, "", &listing(Some(1), &[(back, "http://x/")])).reads(back, &shows("http://x/"));
        lab.breaks(&[]);
    }
    let mut lab = Lab::new();
    lab.receiver(2).deletes(2, 200).reads(1, &shows(&Lab::uri(1)));
    lab.breaks(&[]);
}

#[test]
fn a_receiver_that_is_not_found_may_have_been_removed_by_others() {
    let reads = |others: &[u32], status: u16| {
        let mut lab = Lab::idle();
        lab.lists(others).receiver(1).reads(1, &Response::new(status));
        lab
    };
    for status in [400, 404, 410] {
        reads(&[], status).breaks(&["CDR-15"]);
        let mut lab = reads(&[71], status);
        // Then nothing is owed to it, and no list need show it.
        lab.refuses(1, 9, &legs(0..3), 503).passes(60).reads(1, &Response::new(status)).lists(&[71]);
        lab.breaks(&[]);
        // Charged once.
        let mut lab = reads(&[], status);
        lab.reads(1, &Response::new(status)).lists(&[]);
        lab.breaks_once("CDR-15");
    }
    let mut lab = Lab::new();
    lab.reads(1, &Response::new(404));
    lab.breaks(&[]);
    // A server that is busy does not say that it is gone.
    let mut lab = reads(&[], 503);
    lab.refuses(1, 9, &legs(0..3), 503).passes(40);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn a_change_that_is_refused_is_charged_where_nothing_explains_it() {
    let changes = |others: &[u32], method: Method, form: &str, status: u16| {
        let mut lab = Lab::idle();
        lab.lists(others).receiver(1).api(method, &Lab::entry(1), form, &Response::new(status));
        lab
    };
    let (uri, url) = (form("uri", "http://b/"), form("url", "http://b/"));
    changes(&[], Method::Put, &uri, 400).breaks(&["CDR-15"]);
    changes(&[], Method::Delete, "", 404).breaks(&["CDR-15"]);
    // Others may have removed it, the server may be busy, or what was asked for may be wrong.
    changes(&[71], Method::Put, &uri, 400).breaks(&[]);
    changes(&[71], Method::Delete, "", 404).breaks(&[]);
    changes(&[], Method::Put, &uri, 503).breaks(&[]);
    changes(&[], Method::Delete, "", 503).breaks(&[]);
    changes(&[], Method::Put, "uri=nowhere", 400).breaks(&[]);
    // Under another name than the one that was taken when it was made.
    changes(&[], Method::Put, &url, 400).breaks(&[]);
    let other_name = |form: &str, status: u16| {
        let mut lab = Lab::idle();
        lab.opens(1).lists(&[]).asks_for("url", &Lab::uri(1), &made(200, &Lab::entry(1))).changes(1, form, status);
        lab
    };
    other_name(&url, 400).breaks(&["CDR-15"]);
    other_name(&uri, 400).breaks(&[]);
    // What it is after that is open.
    for method in [Method::Put, Method::Delete] {
        let mut lab = changes(&[71], method, &uri, 400);
        lab.refuses(1, 9, &legs(0..3), 503).passes(60).reads(1, &Response::new(404)).deletes(1, 404).lists(&[71]);
        lab.breaks(&[]);
    }
    // A server may not heed the other name.
    let mut lab = changes(&[], Method::Put, &url, 200);
    lab.reads(1, &shows(&Lab::uri(1)));
    lab.breaks(&[]);
    let mut lab = other_name(&url, 200);
    lab.reads(1, &shows(&Lab::uri(1)));
    lab.breaks(&["CDR-15"]);
}

#[test]
fn a_receiver_whose_entry_was_changed_begins_anew() {
    let other = form("uri", "http://127.0.0.1:7001/other");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).changes(1, &other, 200);
    lab.head.1 = "/other".to_owned();
    lab.link(1).passes(10).gets(1, 9, &legs(6..8)).passes(60);
    lab.breaks(&[]);
    // From there on as any other, however often the list is read.
    let mut lab = Lab::new();
    lab.changes(1, &other, 200);
    lab.head.1 = "/other".to_owned();
    lab.gets(1, 9, &legs(0..3)).lists(&[1]).gets(1, 9, &legs(6..8)).passes(60);
    lab.breaks(&["CDR-10"]);
    // Of two entries the one that is left.
    let mut lab = Lab::new();
    lab.configures(2, &Lab::uri(1), 200).deletes(2, 200).deletes(1, 200).passes(60).link(1).gets(1, 9, &legs(0..1));
    lab.breaks(&["CDR-15"]);
    // Led elsewhere, nothing comes here any more.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).changes(1, &form("uri", "http://b/"), 200).passes(60).link(1).gets(1, 9, &legs(3..4));
    lab.breaks(&["CDR-15"]);
}

#[test]
fn numbers_begin_with_one_at_a_receiver_that_is_new() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(4), 7)]);
    lab.breaks(&["CDR-11"]);
    // One that was sent to before it was configured here.
    let mut lab = Lab::idle();
    lab.opens(1).gets(1, 9, &legs(0..1)).configures(1, &Lab::uri(1), 200).gets(1, 9, &[numbered(leg(1), 7)]);
    lab.breaks(&[]);
    // The entry is an older one.
    let mut lab = Lab::new();
    lab.opens(2).changes(1, &form("uri", &Lab::uri(2)), 200).gets(2, 9, &[numbered(leg(4), 7)]);
    lab.breaks(&[]);
}

#[test]
fn a_receiver_that_nobody_listens_at_may_hold_up_the_others() {
    let run = |reached: bool| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1)).configures(2, &Lab::uri(2), 200);
        if reached {
            lab.opens(2);
        }
        shown(&mut lab);
        lab.passes(40);
        lab
    };
    run(false).breaks(&["CDR-19"]);
    run(true).breaks(&["CDR-13", "REC-24"]);
}

#[test]
fn after_a_restart_nothing_is_put_down_to_a_refusal_of_before() {
    let run = |restarts: bool| {
        let mut lab = Lab::idle();
        lab.lists(&[]);
        (1..=4).for_each(|receiver| _ = lab.receiver(receiver));
        (1..=4).for_each(|receiver| _ = lab.gets(receiver, 9, &legs([0])));
        lab.configures(5, &Lab::uri(5), 400);
        if restarts {
            lab.restarts();
        }
        let session = if restarts { 10 } else { 9 };
        lab.passes(10);
        (1..=3).for_each(|receiver| _ = lab.gets(receiver, session, &legs([u64::from(!restarts)])));
        lab.passes(60);
        lab
    };
    run(false).breaks(&["CDR-14"]);
    run(true).breaks(&["CDR-13"]);
}

#[test]
fn a_call_bridge_in_a_cluster_is_one_that_the_api_lists() {
    let run = |target: &str, response: &Response| {
        let mut lab = Lab::in_cluster();
        lab.receiver(1).api(Method::Get, target, "", response);
        lab.call_bridge = Some(guid(77));
        lab.gets(1, 9, &legs(0..3));
        lab
    };
    let node = "/api/v1/callBridges";
    let bridges = |status: u16, total: Option<usize>, ids: &[u32]| {
        let total = total.map_or_else(String::new, |total| format!(" total=\"{total}\""));
        let ids: String = ids.iter().map(|id| format!("<callBridge id=\"{}\"/>", guid(*id))).collect();
        Response { body: format!("<callBridges{total}>{ids}</callBridges>").into(), ..Response::new(status) }
    };
    run(node, &bridges(200, Some(2), &[76, 77])).meets("CDR-06");
    run(node, &bridges(200, Some(1), &[76])).breaks(&["CDR-06"]);
    run(node, &bridges(200, None, &[76])).breaks(&["CDR-06"]);
    // Lists that are not whole, empty ones, and those of other things.
    run(node, &bridges(200, Some(2), &[76])).breaks(&[]);
    run(node, &bridges(200, None, &[])).breaks(&[]);
    run(node, &bridges(200, Some(0), &[])).breaks(&[]);
    run(node, &bridges(503, Some(1), &[76])).breaks(&[]);
    run("/api/v1/callBridges?limit=1", &bridges(200, Some(1), &[76])).breaks(&[]);
    run("/api/v1/callBrandings", &bridges(200, Some(1), &[76])).breaks(&[]);
    run(&format!("{node}/{}", guid(76)), &bridges(200, Some(1), &[76])).breaks(&[]);
}

#[test]
fn only_calls_that_were_made_or_ended_have_records() {
    // An object of another kind, or an answer that made none.
    for (target, status) in [
        ("calls", 200),
        ("callProfiles", 200),
        ("calls", 307),
        ("calls/x/participants", 200),
        ("calls", 503),
        ("calls/x", 200),
    ] {
        let mut lab = Lab::new();
        lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
        lab.api(Method::Post, &format!("/api/v1/{target}"), "", &made(status, &format!("/api/v1/calls/{}", guid(1))));
        added(&mut lab);
        lab.gets(1, 9, &example()[..1]).passes(40);
        lab.breaks(if (target, status) == ("calls", 200) { &["REC-24"] } else { &[] });
    }
    let ended = |method: Method, target: &str, status: u16| {
        let mut lab = Lab::new();
        lab.script.starts_call(1, &format!("coSpace={}", guid(SPACE)));
        lab.gets(1, 9, &example()[..7]);
        lab.api(method, &format!("/api/v1/{target}/{}", guid(1)), "", &Response::new(status)).passes(40);
        lab
    };
    ended(Method::Delete, "calls", 200).breaks(&["REC-24"]);
    ended(Method::Delete, "calls", 503).breaks(&[]);
    ended(Method::Delete, "callLegs", 200).breaks(&[]);
    ended(Method::Delete, "callProfiles", 200).breaks(&[]);
    ended(Method::Put, "calls", 200).breaks(&[]);
}

#[test]
fn tags_are_those_of_co_spaces_and_legs_that_were_made() {
    let shown = |target: &str, status: u16| {
        let mut lab = Lab::new();
        let response = made(status, &format!("/api/v1/x/{}", guid(13)));
        lab.api(Method::Post, &format!("/api/v1/{target}"), "cdrTag=a", &response);
        lab.gets(1, 9, &[record(0, CallLegUpdate, 13, &[("cdrTag", "b")])]);
        lab
    };
    let call = guid(1);
    shown(&format!("calls/{call}/callLegs"), 200).breaks(&["REC-12"]);
    shown(&format!("calls/{call}/callLegs"), 307).breaks(&[]);
    shown(&format!("calls/{call}/participants"), 200).breaks(&[]);
    shown(&format!("participants/{call}/callLegs"), 200).breaks(&[]);
    shown("callLegProfiles", 200).breaks(&[]);
    let space = |change: &dyn Fn(&mut Lab, &str), tag: &str| {
        let mut lab = Lab::new();
        let path = format!("/api/v1/coSpaces/{}", guid(SPACE));
        lab.api(Method::Post, "/api/v1/coSpaces", "cdrTag=a", &made(200, &path));
        change(&mut lab, &path);
        lab.passes(1).script.starts_call(1, &format!("coSpace={}", guid(SPACE)));
        let fields = [("name", "n"), ("callType", "coSpace"), ("coSpace", &guid(SPACE)), ("cdrTag", tag)];
        lab.gets(1, 9, &[record(0, CallStart, 1, &fields)]);
        lab
    };
    let put =
        |form: &'static str| move |lab: &mut Lab, path: &str| _ = lab.api(Method::Put, path, form, &Response::new(200));
    space(&put("name=x&cdrTag=b"), "b").meets("REC-12");
    space(&put("name=x&cdrTag=b"), "a").breaks(&["REC-12"]);
    space(&put("name=x"), "a").meets("REC-12");
    space(&put("name=x"), "x").breaks(&["REC-12"]);
    // What is asked for holds, if at all, from some time on.
    let asked = |lab: &mut Lab, path: &str| _ = lab.sends(900, Method::Put, path, "cdrTag=b");
    space(&asked, "a").breaks(&[]);
    space(&asked, "b").breaks(&[]);
    space(&asked, "c").breaks(&["REC-12"]);
    let refused = |lab: &mut Lab, path: &str| _ = lab.api(Method::Put, path, "cdrTag=b", &Response::new(400));
    space(&refused, "a").breaks(&[]);
    // A change of something else decides nothing.
    let other = |lab: &mut Lab, path: &str| {
        lab.sends(900, Method::Put, path, "cdrTag=b").hears_nothing(900);
        lab.api(Method::Put, path, "name=x", &Response::new(200));
    };
    space(&other, "a").breaks(&[]);
    space(&other, "b").breaks(&[]);
    // Nor does it leave anything open, if it is under way beside.
    for (method, node) in [(Method::Get, SPACE), (Method::Put, SPACE + 1)] {
        let beside = |lab: &mut Lab, path: &str| {
            lab.sends(900, method, &format!("/api/v1/coSpaces/{}", guid(node)), "cdrTag=c");
            lab.api(Method::Put, path, "cdrTag=b", &Response::new(200));
        };
        space(&beside, "a").breaks(&["REC-12"]);
        space(&beside, "b").breaks(&[]);
    }
    // Several requests may be under way.
    let several = |lab: &mut Lab, path: &str| {
        lab.sends(900, Method::Put, path, "cdrTag=b").sends(901, Method::Put, path, "cdrTag=c");
        lab.receives(900, &Response::new(200)).receives(901, &Response::new(200));
    };
    space(&several, "b").breaks(&[]);
    space(&several, "c").breaks(&[]);
    // What is no leg has no tag that a leg shows.
    let profile = |node: &str| {
        let mut lab = Lab::new();
        lab.passes(60).api(Method::Put, &format!("/api/v1/{node}/{}", guid(13)), "cdrTag=b", &Response::new(200));
        lab.passes(60).gets(1, 9, &[record(0, CallLegUpdate, 13, &[("cdrTag", "c")])]);
        lab
    };
    profile("callLegs").breaks(&["REC-12"]);
    profile("callLegProfiles").breaks(&[]);
    // A coSpace of somebody else is no more ours for being changed: whoever starts its calls may choose correlators.
    let mut lab = Lab::new();
    let path = format!("/api/v1/coSpaces/{}", guid(SPACE));
    lab.api(Method::Put, &path, "cdrTag=b", &Response::new(200));
    for (index, correlator) in [(0, 61), (1, 62)] {
        let (space, correlator) = (guid(SPACE), guid(correlator));
        let fields = [("name", "n"), ("callType", "coSpace"), ("coSpace", &*space), ("callCorrelator", &*correlator)];
        lab.gets(1, 9, &[record(index, CallStart, 1 + index as u32, &fields)]);
    }
    lab.breaks(&[]);
    // Of one that was removed, nothing is said.
    let removed = |lab: &mut Lab, path: &str| _ = lab.api(Method::Delete, path, "", &Response::new(200));
    space(&removed, "b").breaks(&[]);
}
