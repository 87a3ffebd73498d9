//! What the API tells of conferences and participants: what may be gone, what is denied, what changed and what is open.

use crate::protocol::http::{Headers, Method, Request, Response};
use crate::rules::api_view::{ApiView, Life, Override};
use crate::time::Instant;
use crate::trace::{ExchangeId, Seq};

/// A view and the exchanges that it is told of.
#[derive(Default)]
struct Told {
    view: ApiView,
    exchanges: u32,
    seq: u64,
}

impl Told {
    fn next(&mut self) -> (Instant, Seq) {
        self.seq += 1;
        (Instant::from_millis(self.seq), Seq(self.seq))
    }

    fn asks(&mut self, method: Method, path: &str, form: &str) -> ExchangeId {
        self.exchanges += 1;
        let exchange = ExchangeId(self.exchanges);
        let (at, seq) = self.next();
        let request = Request { body: form.into(), ..Request::new(method, format!("/api/v1/{path}")) };
        self.view.sent(exchange, &request, at, seq);
        exchange
    }

    fn answers(&mut self, exchange: ExchangeId, response: &Response) {
        let (at, seq) = self.next();
        self.view.answered(exchange, response, at, seq);
    }

    fn exchange(&mut self, method: Method, path: &str, form: &str, response: &Response) {
        let exchange = self.asks(method, path, form);
        self.answers(exchange, response);
    }

    fn makes(&mut self, path: &str, form: &str, new: &str) {
        let headers = Headers::new().with("Location", format!("/api/v1/{new}"));
        self.exchange(Method::Post, path, form, &Response { headers, ..Response::new(200) });
    }

    fn reads(&mut self, path: &str, body: &str) {
        self.exchange(Method::Get, path, "", &Response { body: body.into(), ..Response::new(200) });
    }

    fn life(&self, call: &str) -> Life {
        self.view.calls[call].life
    }

    fn alive(&self, call: &str) -> bool {
        self.view.alive(call)
    }

    /// Whether the participant is there, and whether it is connected.
    fn participant(&self, id: &str) -> (bool, bool) {
        let participant = &self.view.participants[id];
        (participant.alive, participant.connected)
    }
}

const CONNECTED: &str = "<participant><call>c</call><status><state>connected</state></status></participant>";

/// Calls c and d of coSpaces s and t, and participant p in c with leg l.
fn told() -> Told {
    let mut told = Told::default();
    told.makes("calls", "coSpace=s", "calls/c");
    told.makes("calls", "coSpace=t", "calls/d");
    told.makes("calls/c/participants", "remoteParty=x", "participants/p");
    told.reads("participants/p", CONNECTED);
    told.reads("participants/p/callLegs", "<callLegs><callLeg id=\"l\"/></callLegs>");
    told
}

#[test]
fn what_is_being_removed_may_be_gone_until_that_is_refused() {
    let mut told = told();
    let exchange = told.asks(Method::Delete, "calls/d", "");
    assert_eq!((told.life("d"), told.alive("c")), (Life::Unsure, true));
    told.answers(exchange, &Response::new(503));
    assert!(told.alive("d"));
    // A change that is refused says nothing of that, nor does a removal of what is gone.
    let exchange = told.asks(Method::Delete, "calls/d", "");
    told.exchange(Method::Put, "calls/d", "name=x", &Response::new(503));
    assert_eq!(told.life("d"), Life::Unsure);
    told.answers(exchange, &Response::new(200));
    assert!(told.view.ended("d").is_some());
    assert!(told.view.last_end.is_some());
    told.exchange(Method::Delete, "calls/d", "", &Response::new(404));
    assert!(told.view.ended("d").is_some());
    assert!(told.view.just_ended.is_empty());
    let of_the_whole = told.view.changes.iter().filter(|change| change.object == "d" && change.elements.is_empty());
    assert_eq!(of_the_whole.count(), 2, "its creation and its end");
}

#[test]
fn a_participant_leaves_as_itself_or_by_its_leg() {
    for path in ["participants/p", "callLegs/l"] {
        let mut told = told();
        assert_eq!(told.participant("p"), (true, true));
        let exchange = told.asks(Method::Delete, path, "");
        assert_eq!((told.participant("p"), told.life("c")), ((false, false), Life::Unsure));
        // It still shows, until the removal is granted.
        told.reads("participants/p", CONNECTED);
        assert_eq!(told.participant("p"), (true, true));
        told.answers(exchange, &Response::new(200));
        assert_eq!(told.participant("p"), (false, false));
        let change = told.view.changes.back().unwrap();
        assert_eq!((change.object.as_str(), &change.elements[..]), ("c", &["participants"][..]));
    }
    let mut told = told();
    told.view.participant_removed("p", Seq(told.seq));
    assert_eq!(told.participant("p"), (false, false));
    told.makes("calls/d/participants", "movedParticipant=q", "participants/r");
    told.makes("calls/c/participants", "remoteParty=x", "participants/q");
    told.reads("participants/q", CONNECTED);
    told.makes("calls/d/participants", "movedParticipant=q", "participants/r");
    assert_eq!(told.participant("q"), (false, false));
}

#[test]
fn the_calls_of_a_space_may_end_with_it() {
    let mut told = told();
    told.makes("calls", "coSpace=s", "calls/e");
    told.exchange(Method::Delete, "calls/e", "", &Response::new(200));
    let exchange = told.asks(Method::Delete, "coSpaces/s", "");
    assert_eq!((told.life("c"), told.alive("d")), (Life::Unsure, true));
    assert!(told.view.ended("e").is_some());
    // One that was started meanwhile.
    told.makes("calls", "coSpace=s", "calls/f");
    assert!(told.alive("f"));
    told.answers(exchange, &Response::new(200));
    assert_eq!((told.life("f"), told.alive("d")), (Life::Unsure, true));
}

#[test]
fn a_change_without_a_plain_answer_may_have_been_made() {
    for refused in [true, false] {
        let mut told = told();
        let set = |told: &Told| told.view.calls["c"].mute_override;
        assert_eq!(set(&told), Override::Unset);
        told.exchange(Method::Put, "calls/c", "joinAudioMuteOverride=true", &Response::new(200));
        assert_eq!(set(&told), Override::Set(true));
        told.exchange(Method::Put, "calls/c", "joinAudioMuteOverride=false", &Response::new(200));
        assert_eq!(set(&told), Override::Set(false));
        told.exchange(Method::Put, "calls/c", "joinAudioMuteOverride=", &Response::new(200));
        assert_eq!(set(&told), Override::Unset);
        told.exchange(Method::Put, "calls/c", "joinAudioMuteOverride=false", &Response::new(200));
        told.exchange(Method::Get, "calls/c", "", &Response::new(503));
        assert_eq!(set(&told), Override::Set(false));
        let exchange = told.asks(Method::Put, "calls/c", "joinAudioMuteOverride=");
        if refused {
            told.answers(exchange, &Response::new(503));
        } else {
            told.view.failed(exchange);
        }
        assert_eq!(set(&told), Override::Unknown);
        let change = told.view.changes.back().unwrap();
        assert_eq!((change.granted, &change.elements[..]), (false, &["joinAudioMuteOverride"][..]));
        assert_eq!(told.view.changes_made, 7, "two calls, one participant and four changes of a call");
    }
}

#[test]
fn changes_are_in_the_order_of_their_requests() {
    let mut told = told();
    let exchanges = ["x", "y"].map(|name| told.asks(Method::Put, "calls/c", &format!("name={name}")));
    for exchange in exchanges.into_iter().rev() {
        told.answers(exchange, &Response::new(200));
    }
    assert!(told.view.changes.iter().map(|change| change.seq).is_sorted());
}

#[test]
fn changes_that_are_not_answered_are_counted_by_what_they_change() {
    let mut told = told();
    let count = |told: &Told| (told.view.pending_changes("c"), told.view.pending_changes("p"));
    assert!(!told.view.any_pending_change());
    told.asks(Method::Get, "calls/c", "");
    assert!(!told.view.any_pending_change() && !told.view.pending_change("c"));
    told.asks(Method::Put, "calls/d", "name=x");
    assert!(told.view.any_pending_change() && told.view.pending_change("d") && !told.view.pending_change("calls/c"));
    told.asks(Method::Delete, "participants/p", "");
    assert_eq!(count(&told), (0, 0));
    told.asks(Method::Put, "callLegs/l", "rxAudioMute=true");
    assert_eq!(count(&told), (0, 1));
    told.asks(Method::Put, "calls/c", "name=x");
    assert_eq!(count(&told), (1, 1));
    // The leg of a conference that ended is nobody's.
    told.exchange(Method::Delete, "calls/c", "", &Response::new(200));
    assert_eq!(count(&told), (1, 0));
}

#[test]
fn what_events_announce_is_known_and_may_be_there_again() {
    let mut told = told();
    let (at, seq) = told.next();
    told.view.call_announced("x", at, seq);
    assert!(told.alive("x"));
    told.exchange(Method::Delete, "calls/c", "", &Response::new(200));
    told.view.call_announced("c", at, seq);
    assert_eq!(told.life("c"), Life::Unsure);
}

#[test]
fn a_participant_that_the_api_denies_is_gone_until_it_shows() {
    let mut told = told();
    told.exchange(Method::Get, "participants/p", "", &Response::new(404));
    assert!(!told.participant("p").0);
    told.reads("participants/p", "<participant><call></call><status><state>ringing</state></status></participant>");
    assert_eq!(told.participant("p"), (true, false));
    assert_eq!(told.view.participants["p"].call.as_deref(), Some("c"));
    told.reads("participants/p", "<participant><call>d</call></participant>");
    assert_eq!(told.view.participants["p"].call.as_deref(), Some("d"));
}

#[test]
fn a_list_shows_what_is_there() {
    let both = "<calls total=\"2\"><call id=\"c\"/><call id=\"d\"/></calls>";
    let mut told = told();
    let one = "<calls total=\"1\"><call id=\"d\"/></calls>";
    told.reads("calls?coSpaceFilter=t", one);
    assert!(told.view.list.is_none() && told.alive("c"));
    told.reads("calls?coSpaceFilter=", one);
    assert_eq!(told.view.list.as_ref().unwrap().1, ["d"]);
    assert_eq!((told.life("c"), told.alive("d")), (Life::Unsure, true));
    let before = (told.view.calls["c"].seq, told.view.calls["d"].seq);
    // Reading begins anew.
    told.reads("calls?offset=0", "<calls total=\"2\"><call id=\"d\"/></calls>");
    told.reads("calls", both);
    assert_eq!(told.view.list, Some((Seq(told.seq - 1), vec!["c".to_owned(), "d".to_owned()])));
    assert!(told.alive("c"));
    assert_eq!((told.view.calls["c"].seq, told.view.calls["d"].seq), (Seq(told.seq), before.1));
}

#[test]
fn the_space_of_a_call_is_read_where_it_is_not_known() {
    for (document, space) in [
        ("<call><coSpace>s</coSpace><callType>coSpace</callType></call>", Some(Some("s".to_owned()))),
        ("<call><coSpace></coSpace><callType>adHoc</callType></call>", Some(None)),
        ("<call><callType>adHoc</callType></call>", Some(None)),
        ("<call><callType>forwarding</callType></call>", None),
    ] {
        let mut told = Told::default();
        told.reads("calls/x", document);
        assert_eq!(told.view.calls["x"].space, space);
    }
}

#[test]
fn with_a_conference_goes_what_was_in_it() {
    let mut told = told();
    told.makes("calls/d/participants", "remoteParty=x", "participants/q");
    told.reads("calls/c", "<call/>");
    told.reads("calls/c/participants", "<participants total=\"1\"><participant id=\"p\"/></participants>");
    assert!(told.view.calls["c"].document.is_some() && told.view.calls["c"].roster.is_some());
    told.exchange(Method::Delete, "calls/c", "", &Response::new(200));
    assert!(told.view.calls["c"].document.is_none() && told.view.calls["c"].roster.is_none());
    assert!(told.view.participants.keys().eq(["q"]));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut told = told();
    let before = told.view.changes_made;
    told.makes("calls/c/callLegs", "remoteParty=x", "callLegs/m");
    assert_eq!(told.view.changes_made, before + 1);
    let change = told.view.changes.back().unwrap();
    assert_eq!((change.object.as_str(), &change.elements[..]), ("c", &["participants"][..]));
    for n in 0..600 {
        told.exchange(Method::Put, "calls/c", &format!("name={n}"), &Response::new(200));
    }
    assert_eq!(told.view.changes.len(), 512);
    for n in 0..4200 {
        told.makes("calls", "", &format!("calls/x{n}"));
        told.exchange(Method::Delete, &format!("calls/x{n}"), "", &Response::new(200));
    }
    assert_eq!(told.view.calls.len(), 4096 + 2);
}

#[test]
fn a_call_that_is_denied_when_it_is_ended_is_gone() {
    for (status, life) in [(404, None), (410, None), (400, Some(Life::Unsure))] {
        let mut told = told();
        told.exchange(Method::Delete, "calls/c", "", &Response::new(status));
        assert_eq!(told.view.ended("c").is_none().then(|| told.life("c")), life);
    }
}

#[test]
fn an_answer_that_was_under_way_shows_nothing_of_what_ended_meanwhile() {
    let list = Response { body: b"<calls total=\"1\"><call id=\"c\"/></calls>".to_vec(), ..Response::new(200) };
    let call = Response { body: b"<call><callType>adHoc</callType></call>".to_vec(), ..Response::new(200) };
    let participant = Response { body: CONNECTED.into(), ..Response::new(200) };
    let mut told = told();
    let asked = ["calls", "calls/c", "participants/p"].map(|path| told.asks(Method::Get, path, ""));
    told.exchange(Method::Delete, "participants/p", "", &Response::new(200));
    told.answers(asked[2], &participant);
    assert_eq!(told.participant("p"), (false, false));
    told.exchange(Method::Delete, "calls/c", "", &Response::new(200));
    told.answers(asked[0], &list);
    told.answers(asked[1], &call);
    assert!(told.view.ended("c").is_some() && told.view.calls["c"].document.is_none());
    // What is asked for later does.
    told.exchange(Method::Get, "calls/c", "", &call);
    assert!(told.alive("c"));
    told.exchange(Method::Get, "participants/p", "", &participant);
    assert_eq!(told.participant("p"), (true, true));
}

#[test]
fn a_call_that_was_there_when_it_was_asked_for_may_be_as_somebody_else_chose() {
    let chosen = |told: &Told, call: &str| {
        let call = &told.view.calls[call];
        (call.ours, call.mute_override, call.correlator_given)
    };
    let mut told = told();
    assert_eq!(chosen(&told, "c"), (true, Override::Unset, false));
    told.makes("calls", "coSpace=s", "calls/c");
    assert_eq!(chosen(&told, "c"), (true, Override::Unset, false));
    told.makes("calls", "coSpace=s&joinAudioMuteOverride=true&callCorrelator=x", "calls/c");
    assert_eq!(chosen(&told, "c"), (true, Override::Unknown, true));
    // It goes on, although its end was asked for.
    told.asks(Method::Delete, "calls/c", "");
    told.makes("calls", "coSpace=s", "calls/c");
    assert!(told.alive("c"));
    // One of somebody else.
    told.reads("calls/x", "<call/>");
    told.makes("calls", "coSpace=u", "calls/x");
    assert_eq!(chosen(&told, "x"), (false, Override::Unknown, true));
    assert_eq!(told.view.calls["x"].space, Some(Some("u".to_owned())));
    // One that events told of before the answer came.
    let exchange = told.asks(Method::Post, "calls", "joinAudioMuteOverride=true");
    let (at, seq) = told.next();
    told.view.call_announced("y", at, seq);
    let headers = Headers::new().with("Location", "/api/v1/calls/y");
    told.answers(exchange, &Response { headers, ..Response::new(200) });
    assert_eq!(chosen(&told, "y"), (true, Override::Set(true), false));
}

fn exchange(view: &mut ApiView, n: u64, request: &Request, response: &Response) {
    let id = ExchangeId(n as u32);
    view.sent(id, request, Instant::from_millis(n), Seq(n * 2));
    view.answered(id, response, Instant::from_millis(n), Seq(n * 2 + 1));
}

fn post(target: &str, body: &str) -> Request {
    Request { body: body.into(), ..Request::new(Method::Post, target) }
}

fn located(path: &str) -> Response {
    Response { headers: Headers::new().with("Location", path), ..Response::new(200) }
}

#[test]
fn a_call_lives_from_its_creation_to_its_deletion() {
    let mut view = ApiView::default();
    exchange(&mut view, 1, &post("/api/v1/calls", "coSpace=s"), &located("/api/v1/calls/c"));
    assert!(view.alive("c"));
    assert_eq!(view.calls["c"].space, Some(Some("s".to_owned())));
    exchange(&mut view, 2, &Request::new(Method::Delete, "/api/v1/calls/c"), &Response::new(200));
    assert!(view.ended("c").is_some());
    assert_eq!(view.just_ended, ["c"]);
}

#[test]
fn a_call_that_the_api_denies_is_no_active_conference() {
    let mut view = ApiView::default();
    assert!(view.ended("ghost").is_none());
    exchange(&mut view, 1, &Request::new(Method::Get, "/api/v1/calls/ghost"), &Response::new(404));
    assert!(view.ended("ghost").is_some());
}

#[test]
fn a_list_counts_only_when_all_its_pages_were_read() {
    let mut view = ApiView::default();
    let page =
        |ids: &str| Response { body: format!("<calls total=\"2\">{ids}</calls>").into_bytes(), ..Response::new(200) };
    exchange(&mut view, 1, &Request::new(Method::Get, "/api/v1/calls?offset=0"), &page("<call id=\"a\"/>"));
    assert!(view.list.is_none());
    exchange(&mut view, 2, &Request::new(Method::Get, "/api/v1/calls?offset=1"), &page("<call id=\"b\"/>"));
    assert_eq!(view.list.as_ref().unwrap().1, ["a", "b"]);
    assert!(view.alive("b"));
}

#[test]
fn a_conference_whose_last_participant_leaves_may_have_ended() {
    let mut view = ApiView::default();
    exchange(&mut view, 1, &post("/api/v1/calls", ""), &located("/api/v1/calls/c"));
    exchange(&mut view, 2, &post("/api/v1/calls/c/participants", "remoteParty=x"), &located("/api/v1/participants/p"));
    exchange(&mut view, 3, &Request::new(Method::Delete, "/api/v1/participants/p"), &Response::new(200));
    assert_eq!(view.calls["c"].life, Life::Unsure);
    assert_eq!(view.changes.back().unwrap().elements, ["participants"]);
}
