//! Tests of receivers: what each entry of a plan does, in whatever pieces the bytes arrive.

use std::time::Duration;

use proptest::prelude::*;

use super::plan::{Action, Answer, Pace, Point, Which};
use super::*;
use crate::protocol::http1::{AnswerReader, NextAnswer, Unframed, write_request};
use crate::trace::Observation;

const RECEIVER: ReceiverId = ReceiverId(1);
const LINK: LinkId = LinkId(7);

/// Observations in words.
#[derive(Debug, Default)]
struct Words(Vec<String>);

impl Sink for Words {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.0.push(match &observation.event {
            Event::ReceiverOpened { uri, .. } => format!("opened {uri}"),
            Event::ReceiverClosed { .. } => "closed".to_owned(),
            Event::LinkOpened { .. } => "link".to_owned(),
            Event::LinkFault { what, .. } => format!("fault {}", what.split(' ').next().unwrap_or("")),
            Event::LinkEnded { cause, .. } => format!("end {cause:?}"),
            Event::SetReceived { set, head, records, .. } => {
                format!("set {} {} {}", set.0, head.target, records.body().len())
            }
            Event::SetCut { set, arrived_bytes, by_receiver, .. } => {
                let who = if *by_receiver { "receiver" } else { "sender" };
                format!("cut {} {} by {who}", set.0, if *arrived_bytes == 0 { "empty" } else { "in body" })
            }
            Event::SetAnswered { set, status, whole, .. } => {
                format!("answered {} {status}{}", set.0, if *whole { "" } else { " half" })
            }
            Event::SetUnanswered { set, .. } => format!("unanswered {}", set.0),
            other => panic!("{other:?}"),
        });
    }
}

/// A receiver and a sender's one connection to it.
struct Stage {
    receivers: Receivers,
    trace: Tracer<Words>,
    commands: VecDeque<Command>,
    now: Instant,
    taken: Vec<u64>,
    sent: Vec<u8>,
    did: Vec<String>,
}

impl Stage {
    fn new(entries: Vec<Entry>) -> Self {
        let mut stage = Self {
            receivers: Receivers::new(Limits { head_bytes: 1000, body_bytes: 5000 }),
            trace: Tracer::new(Words::default()),
            commands: VecDeque::new(),
            now: Instant::ZERO,
            taken: Vec::new(),
            sent: Vec::new(),
            did: Vec::new(),
        };
        let settings = ReceiverSettings { name: "main".to_owned(), tls: true, path: "/a?b=1".to_owned() };
        stage.receivers.add(RECEIVER, settings);
        stage.receivers.set_plan(Instant::ZERO, RECEIVER, entries);
        stage.act(|receivers, around| receivers.link_opened(RECEIVER, LINK, around));
        stage
    }

    /// A receiver that is bent, with a connection.
    fn bent(name: &str) -> Self {
        let mut stage = Self::new(Vec::new());
        let limits = Limits { head_bytes: 1000, body_bytes: 5000 };
        stage.receivers = Receivers::new(limits).bent(vec![name.to_owned()]);
        let settings = ReceiverSettings { name: "main".to_owned(), tls: false, path: String::new() };
        stage.receivers.add(RECEIVER, settings);
        stage.act(|receivers, around| receivers.link_opened(RECEIVER, LINK, around));
        stage
    }

    fn with(action: Action) -> Self {
        Self::new(vec![Entry { action, ..Entry::default() }])
    }

    fn act(&mut self, act: impl FnOnce(&mut Receivers, &mut Surroundings<'_, Words>)) {
        let taken = &mut self.taken;
        let mut hear = |heard: Heard<'_>| {
            if let Heard::Decided { set, taken: true, .. } = heard {
                taken.push(set.0);
            }
        };
        let (trace, commands) = (&mut self.trace, &mut self.commands);
        act(&mut self.receivers, &mut Surroundings { now: self.now, trace, commands, hear: &mut hear });
        for command in self.commands.drain(..) {
            match command {
                Command::SendLink { bytes, .. } => self.sent.extend(bytes),
                Command::CloseLink { .. } => self.did.push("close".to_owned()),
                Command::ResetLink { .. } => self.did.push("reset".to_owned()),
                Command::HoldLink { hold, .. } => self.did.push(if hold { "hold" } else { "read" }.to_owned()),
                other => self.did.push(format!("{other:?}")),
            }
        }
    }

    fn gets(&mut self, bytes: &[u8]) -> &mut Self {
        self.act(|receivers, around| receivers.link_received(LINK, bytes, around));
        self
    }

    /// Lets time pass, looking whenever the receiver wants to.
    fn later(&mut self, ms: u64) -> &mut Self {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.receivers.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.act(|receivers, around| receivers.handle_timeout(around));
        }
        self.now = end;
        self
    }

    fn ends(&mut self) -> &mut Self {
        self.act(|receivers, around| receivers.link_ended(LINK, EndCause::PeerClosed, around));
        self
    }

    /// The observations after the link was opened.
    fn words(self) -> Vec<String> {
        self.trace.into_sink().0[1..].to_vec()
    }

    /// The statuses of the answers that were sent.
    fn statuses(&self) -> Vec<u16> {
        let mut reader = AnswerReader::new(Unframed::NoBody);
        reader.feed(&self.sent);
        let mut statuses = Vec::new();
        while let NextAnswer::Answer { status, .. } = reader.next() {
            statuses.push(status);
        }
        statuses
    }
}

fn set() -> Vec<u8> {
    let body = br#"<?xml version="1.0"?><records session="s"><record type="callEnd"><call id="c"/></record></records>"#;
    post(body)
}

fn post(body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    write_request("POST", "/a?b=1", &[("Host", "x"), ("Content-Length", &length)], body)
}

fn length() -> usize {
    set().len() - set().windows(4).position(|window| window == b"\r\n\r\n").unwrap() - 4
}

fn received(number: u64) -> String {
    format!("set {number} /a?b=1 {}", length())
}

#[test]
fn sets_are_answered_at_once_on_one_connection() {
    let mut stage = Stage::new(Vec::new());
    stage.gets(&set()).gets(&[set(), b"\r\n".to_vec(), set()].concat());
    assert_eq!(stage.statuses(), [200, 200, 200]);
    assert!(stage.did.is_empty(), "{:?}", stage.did);
    assert_eq!(stage.taken, [1, 2, 3]);
    stage.ends();
    let expected = [1, 2, 3]
        .map(|n| [received(n), format!("answered {n} 200")])
        .concat()
        .into_iter()
        .chain(["end PeerClosed".to_owned()]);
    assert_eq!(stage.words(), expected.collect::<Vec<_>>());
}

#[test]
fn each_failure_does_what_it_says_and_is_told_in_order() {
    let whole = |rest: &[&str]| -> Vec<String> {
        [received(1)].into_iter().chain(rest.iter().map(|word| (*word).to_owned())).collect()
    };
    let words = |list: &[&str]| -> Vec<String> { list.iter().map(|word| (*word).to_owned()).collect() };
    let cases = [
        (Action::Close(Point::Start), "close", words(&["cut 1 empty by receiver", "end Closed"])),
        (Action::Reset(Point::Start), "reset", words(&["cut 1 empty by receiver", "end Dropped"])),
        (Action::Close(Point::InBody), "close", words(&["cut 1 in body by receiver", "end Closed"])),
        (Action::Reset(Point::InBody), "reset", words(&["cut 1 in body by receiver", "end Dropped"])),
        (Action::Close(Point::AfterBody), "close", whole(&["unanswered 1", "end Closed"])),
        (Action::Reset(Point::AfterBody), "reset", whole(&["unanswered 1", "end Dropped"])),
        (Action::LoseAnswer, "close", whole(&["unanswered 1", "end Closed"])),
        (Action::HalfAnswer, "close", whole(&["answered 1 200 half", "end Closed"])),
    ];
    for (action, command, expected) in cases {
        for piece in [1, 7, 1000] {
            let mut stage = Stage::with(action.clone());
            for bytes in set().chunks(piece) {
                stage.gets(bytes);
            }
            assert_eq!(stage.did, [command], "{action:?}");
            assert_eq!(stage.statuses(), Vec::<u16>::new(), "{action:?}");
            assert_eq!(stage.sent.is_empty(), action != Action::HalfAnswer, "{action:?}");
            assert_eq!(stage.taken.len(), usize::from(action == Action::LoseAnswer), "{action:?}");
            assert_eq!(stage.words(), expected, "{action:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_set_without_an_answer_waits_until_the_sender_gives_up() {
    let mut stage = Stage::with(Action::Never);
    stage.gets(&set()).later(60_000);
    assert!(stage.sent.is_empty() && stage.did.is_empty() && !stage.receivers.is_busy());
    stage.ends();
    assert_eq!(stage.words(), [received(1), "unanswered 1".to_owned(), "end PeerClosed".to_owned()]);
}

#[test]
fn late_answers_come_when_they_are_due_and_in_order() {
    let late = Answer { after: Duration::from_millis(500), ..Answer::default() };
    let first = Entry { times: Some(1), action: Action::Answer(late), ..Entry::default() };
    let mut stage = Stage::new(vec![first]);
    stage.gets(&[set(), set()].concat()).later(499);
    assert!(stage.sent.is_empty() && stage.receivers.is_busy());
    stage.later(1);
    assert_eq!(stage.statuses(), [200, 200]);
    let expected = [received(1), received(2), "answered 1 200".to_owned(), "answered 2 200".to_owned()];
    assert_eq!(stage.words(), expected);
}

#[test]
fn answers_have_the_form_that_is_asked_for() {
    let sent = |answer: Answer| {
        let mut stage = Stage::with(Action::Answer(answer));
        stage.gets(&set());
        (String::from_utf8(std::mem::take(&mut stage.sent)).unwrap(), stage.did.clone())
    };
    assert_eq!(sent(Answer::default()).0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(sent(Answer { bare: true, ..Answer::default() }), ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), Vec::new()));
    let (text, did) = sent(Answer { status: 503, close: true, ..Answer::default() });
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Connection: close\r\n"), "{text}");
    assert_eq!(did, ["close"]);
    let (text, _) = sent(Answer { status: 302, location: Some("http://y/".to_owned()), ..Answer::default() });
    assert!(text.contains("Location: http://y/\r\n"), "{text}");
}

#[test]
fn plans_address_sets_by_number_multiple_type_and_time() {
    let statuses = |which: Which, times: Option<u64>| {
        let action = Action::Answer(Answer { status: 503, ..Answer::default() });
        let mut stage = Stage::new(vec![Entry { which, times, action, ..Entry::default() }]);
        for _ in 0..6 {
            stage.gets(&set()).later(1000);
        }
        stage.statuses().iter().map(|status| if *status == 503 { 'x' } else { '.' }).collect::<String>()
    };
    let numbers = |numbers| Which { numbers, ..Which::default() };
    assert_eq!(statuses(numbers(vec![2..=3, 5..=u64::MAX]), None), ".xx.xx");
    assert_eq!(statuses(Which { every: Some(2), ..Which::default() }, None), ".x.x.x");
    assert_eq!(statuses(Which::default(), Some(4)), "xxxx..");
    assert_eq!(statuses(Which { types: vec!["callEnd".to_owned()], ..Which::default() }, Some(1)), "x.....");
    assert_eq!(statuses(Which { types: vec!["callStart".to_owned()], ..Which::default() }, None), "......");
    let second = Duration::from_secs(1);
    assert_eq!(statuses(Which { from: Some(second), to: Some(second * 3), ..Which::default() }, None), ".xxx..");
}

#[test]
fn the_first_entry_that_fits_decides_and_early_failures_too() {
    let typed = Entry {
        which: Which { types: vec!["callEnd".to_owned()], ..Which::default() },
        times: Some(1),
        action: Action::LoseAnswer,
        ..Entry::default()
    };
    let cut = Entry { action: Action::Close(Point::Start), ..Entry::default() };
    let mut stage = Stage::new(vec![typed, cut]);
    // What the set holds shows too late for the first entry.
    stage.gets(&set());
    assert_eq!(stage.words(), ["cut 1 empty by receiver", "end Closed"]);
}

#[test]
fn slow_reading_holds_the_sender() {
    let pace = Some(Pace { bytes: 20, every: Duration::from_millis(10) });
    let mut stage = Stage::new(vec![Entry { pace, times: Some(1), ..Entry::default() }]);
    let bytes = set();
    let pieces = bytes.len().div_ceil(20) as u64;
    stage.gets(&bytes).later((pieces - 1) * 10 - 1);
    assert!(stage.sent.is_empty());
    stage.later(1);
    assert_eq!(stage.statuses(), [200]);
    stage.later(10);
    assert_eq!(stage.did, ["hold", "read"]);
    assert!(!stage.receivers.is_busy());
    stage.gets(&set());
    assert_eq!(stage.statuses(), [200, 200]);
}

#[test]
fn what_is_no_request_and_what_is_too_long_ends_the_connection() {
    let mut stage = Stage::new(Vec::new());
    stage.gets(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    assert_eq!(stage.statuses(), [400]);
    let words = stage.words();
    assert!(words[0].starts_with("fault") && words.last().unwrap() == "end Closed", "{words:?}");
    for long in [post(&[b'x'; 6000]), format!("POST /{} HTTP/1.1\r\n", "x".repeat(2000)).into_bytes()] {
        let mut stage = Stage::new(Vec::new());
        stage.gets(&long).gets(b"more");
        assert_eq!(stage.did, ["reset"]);
        let words = stage.words();
        assert!(words[0].starts_with("fault") && words.last().unwrap() == "end TooLong", "{words:?}");
    }
}

#[test]
fn a_sender_that_vanishes_in_the_middle_is_told_of() {
    let mut stage = Stage::new(Vec::new());
    let bytes = set();
    stage.gets(&bytes[..bytes.len() - 5]).ends();
    assert_eq!(stage.words(), ["cut 1 in body by sender", "end PeerClosed"]);
}

#[test]
fn a_sender_that_expects_a_word_before_its_body_gets_it() {
    let mut stage = Stage::new(Vec::new());
    let body = b"<records/>";
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    stage.gets(head);
    assert_eq!(stage.sent, b"HTTP/1.1 100 Continue\r\n\r\n");
    stage.gets(body);
    assert_eq!(stage.statuses(), [200]);
}

#[test]
fn receivers_have_a_bound_of_connections_and_close_in_order() {
    let mut stage = Stage::new(Vec::new());
    for number in 0..MOST_LINKS as u32 {
        stage.act(|receivers, around| receivers.link_opened(RECEIVER, LinkId(100 + number), around));
    }
    assert_eq!(stage.did, ["close"]);
    stage.act(|receivers, around| receivers.opened(RECEIVER, "127.0.0.1:9", around));
    assert_eq!(stage.receivers.uri(RECEIVER), Some("https://127.0.0.1:9/a?b=1"));
    stage.did.clear();
    stage.act(|receivers, around| receivers.close_all(around));
    assert!(stage.did[0].starts_with("StopListening") && stage.did.len() == MOST_LINKS + 1, "{:?}", stage.did.len());
    assert_eq!(stage.receivers.stored_bytes, 0);
}

#[test]
fn a_sender_that_does_not_wait_for_answers_is_read_up_to_a_bound() {
    let mut stage = Stage::with(Action::Never);
    stage.gets(&set().repeat(100));
    assert_eq!(stage.did, ["hold"]);
    let arrived = stage.words().iter().filter(|word| word.starts_with("set")).count();
    assert_eq!(arrived, 64);
}

fn any_action() -> impl Strategy<Value = Action> {
    let point = prop_oneof![Just(Point::Start), Just(Point::InBody), Just(Point::AfterBody)];
    let answer = (200..600_u16, 0..50_u64, any::<bool>(), any::<bool>()).prop_map(|(status, after, close, bare)| {
        Answer { status, after: Duration::from_millis(after), close, bare, location: None }
    });
    prop_oneof![
        3 => answer.prop_map(Action::Answer),
        1 => point.clone().prop_map(Action::Close),
        1 => point.prop_map(Action::Reset),
        1 => Just(Action::Never),
        1 => Just(Action::HalfAnswer),
        1 => Just(Action::LoseAnswer),
    ]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let pace = proptest::option::of((1..50_usize, 1..20_u64))
        .prop_map(|pace| pace.map(|(bytes, every)| Pace { bytes, every: Duration::from_millis(every) }));
    (proptest::option::of(1..3_u64), any_action(), pace).prop_map(|(times, action, pace)| Entry {
        which: Which::default(),
        times,
        action,
        pace,
    })
}

proptest! {
    #[test]
    fn the_splitting_of_bytes_makes_no_difference(
        entries in proptest::collection::vec(any_entry(), 0..4),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let bytes = set();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let (mut whole, mut split) = (Stage::new(entries.clone()), Stage::new(entries));
        for _ in 0..3 {
            whole.gets(&bytes).later(10_000);
            for pair in places.windows(2) {
                split.gets(&bytes[pair[0]..pair[1]]);
            }
            split.later(10_000);
        }
        whole.ends();
        split.ends();
        prop_assert_eq!(whole.taken.clone(), split.taken.clone());
        prop_assert_eq!(whole.sent.clone(), split.sent.clone());
        let (whole, split) = (whole.words(), split.words());
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn no_bytes_make_a_receiver_panic_and_every_set_gets_one_outcome(
        entries in proptest::collection::vec(any_entry(), 0..3),
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..6),
        good_first in any::<bool>(),
    ) {
        let mut stage = Stage::new(entries);
        if good_first {
            stage.gets(&set());
        }
        for piece in pieces {
            stage.gets(&piece).later(5);
        }
        stage.later(1000).ends();
        prop_assert_eq!(stage.receivers.stored_bytes, 0);
        let words = stage.words();
        for (at, word) in words.iter().enumerate().filter(|(_, word)| word.starts_with("set ")) {
            let number = word.split(' ').nth(1).unwrap();
            let outcomes = words[at..].iter().filter(|later| {
                let mut parts = later.split(' ');
                matches!(parts.next(), Some("answered" | "unanswered")) && parts.next() == Some(number)
            });
            prop_assert_eq!(outcomes.count(), 1);
        }
        prop_assert!(words.last().unwrap().starts_with("end "));
        prop_assert_eq!(words.iter().filter(|word| word.starts_with("end ")).count(), 1);
    }
}

#[test]
fn a_post_that_does_not_say_how_long_it_is_is_refused() {
    let mut stage = Stage::new(Vec::new());
    stage.gets(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n<records/>");
    assert_eq!((stage.statuses(), stage.did.as_slice()), (vec![411], &["close".to_owned()][..]));
    assert_eq!(stage.words(), ["fault a", "cut 1 empty by receiver", "end Closed"]);
}

#[test]
fn a_set_that_takes_too_long_to_arrive_is_given_up_unless_it_is_read_slowly() {
    let slowly = Entry { pace: Some(Pace { bytes: 1, every: Duration::from_secs(1) }), ..Entry::default() };
    for (entries, ends) in [(Vec::new(), true), (vec![slowly], false)] {
        let mut stage = Stage::new(entries);
        stage.receivers.arrival_limit = Some(Duration::from_secs(5));
        stage.act(|receivers, around| {
            receivers.link_ended(LINK, EndCause::PeerClosed, around);
            receivers.link_opened(RECEIVER, LINK, around);
        });
        stage.gets(&set()[..40]).later(4999);
        assert!(!stage.did.contains(&"reset".to_owned()));
        stage.later(2);
        assert_eq!(stage.did.contains(&"reset".to_owned()), ends);
    }
}

#[test]
fn at_the_limit_the_connection_that_was_idle_longest_makes_room() {
    let mut stage = Stage::new(Vec::new());
    stage.gets(&set()[..40]);
    for link in 100..100 + MOST_LINKS as u32 - 1 {
        stage.later(1).act(|receivers, around| receivers.link_opened(RECEIVER, LinkId(link), around));
    }
    stage.later(1).act(|receivers, around| receivers.link_received(LinkId(100), &set(), around));
    assert!(stage.did.is_empty());
    stage.later(1).act(|receivers, around| receivers.link_opened(RECEIVER, LinkId(9999), around));
    let known = |stage: &Stage, link| stage.receivers.links.contains_key(&LinkId(link));
    assert_eq!((stage.did.len(), stage.receivers.links.len()), (1, MOST_LINKS));
    assert!(known(&stage, 9999) && known(&stage, 7) && known(&stage, 100) && !known(&stage, 101));
}

#[test]
fn a_bent_receiver_does_what_it_is_bent_to_unless_a_plan_decides() {
    let mut stage = Stage::bent("receiver-answers-204");
    stage.gets(&set());
    assert_eq!(stage.statuses(), [204]);
    stage.receivers.set_plan(stage.now, RECEIVER, vec![Entry::default()]);
    stage.gets(&set());
    assert_eq!(stage.statuses(), [204, 200]);
    let mut stage = Stage::bent("receiver-leaves-at-the-second-set");
    stage.gets(&set()).gets(&set());
    assert_eq!((stage.statuses(), &*stage.did), (vec![200], &["close".to_owned()][..]));
}

#[test]
fn a_receiver_that_is_bent_to_die_with_its_sender_takes_no_connection_after_half_a_set() {
    let mut stage = Stage::bent("receiver-dies-with-its-sender");
    stage.gets(&set());
    stage.gets(&set()[..20]);
    stage.act(|receivers, around| receivers.link_ended(LINK, EndCause::PeerClosed, around));
    assert!(stage.did.is_empty());
    stage.act(|receivers, around| receivers.link_opened(RECEIVER, LinkId(9), around));
    assert_eq!((stage.statuses(), &*stage.did), (vec![200], &["close".to_owned()][..]));
}
