//! Tests of the events client on its own, byte by byte.

use proptest::prelude::*;
use rand::SeedableRng as _;

use super::*;
use crate::protocol::ws::frame::close_payload;

/// Keeps what was observed, on a line each.
#[derive(Debug, Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn observe(&mut self, observation: &Observation<'_>) {
        let Event::Frame { from, frame, text, .. } = &observation.event else { return };
        let text = match text {
            Some(Text::Json { text, .. }) => (*text).to_owned(),
            Some(Text::NotJson { .. }) => "no JSON".to_owned(),
            Some(Text::NotUtf8 { .. }) => "no UTF-8".to_owned(),
            None => String::new(),
        };
        self.0.push(format!("{from:?} {} {text}", frame.header.opcode).trim_end().to_owned());
    }
}

struct Bench {
    client: EventsClient,
    trace: Tracer<Lines>,
    out: Vec<u8>,
    heard: Vec<String>,
    ahead: Ahead,
}

impl Bench {
    fn new(policy: AckPolicy) -> Self {
        let client = EventsClient::new(ConnectionId(1), policy, ChaCha8Rng::seed_from_u64(1), 1000);
        Self {
            client,
            trace: Tracer::new(Lines::default()),
            out: Vec::new(),
            heard: Vec::new(),
            ahead: Ahead::default(),
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let heard = &mut self.heard;
        let mut hear = |what: Heard<'_>| {
            heard.push(match what {
                Heard::Message(message) => message.body().to_string(),
                Heard::Ack(ack) => format!("ack {}", ack.body()),
            });
        };
        self.client.take(bytes, &mut self.ahead, &mut self.out);
        while self.client.look(Instant::ZERO, &mut self.ahead, &mut self.out, &mut self.trace, &mut hear) {}
    }

    fn lines(&self) -> Vec<&str> {
        self.trace.sink.0.iter().map(String::as_str).collect()
    }

    /// The payloads that were sent, unmasked.
    fn sent(&mut self) -> Vec<String> {
        let mut bytes = std::mem::take(&mut self.out);
        let mut texts = Vec::new();
        while let Decoded::Frame { frame, consumed } = frame::decode(&mut bytes, u64::MAX) {
            assert!(frame.header.mask.is_some(), "a client masks what it sends");
            texts.push(String::from_utf8_lossy(frame.payload).into_owned());
            bytes.drain(..consumed);
        }
        assert!(bytes.is_empty());
        texts
    }
}

fn wire(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode(&Header { fin, ..Header::new(opcode, payload.len() as u64) }, payload, &mut out);
    out
}

fn message(id: &str) -> Vec<u8> {
    let text = format!(r#"{{"type":"message","message":{{"messageId":{id},"type":"x"}}}}"#);
    wire(Opcode::TEXT, true, text.as_bytes())
}

const ACK_7: &str = r#"{"type":"messageAck","messageAck":{"messageId":7,"status":"success"}}"#;

#[test]
fn a_message_is_acknowledged_however_its_bytes_arrive() {
    for size in 1..50 {
        let mut bench = Bench::new(AckPolicy::default());
        for piece in message("7").chunks(size) {
            bench.receive(piece);
        }
        assert_eq!(bench.sent(), [ACK_7]);
        assert_eq!(bench.heard.len(), 1);
        assert_eq!(bench.lines().len(), 2);
    }
}

#[test]
fn acks_are_there_before_anything_is_looked_at() {
    let mut bench = Bench::new(AckPolicy::default());
    let mut ahead = Ahead::default();
    let many = (1..=100).flat_map(|id| message(&id.to_string())).collect::<Vec<u8>>();
    bench.client.take(&many, &mut ahead, &mut bench.out);
    assert_eq!((bench.sent().len(), bench.lines().len()), (AHEAD, 0));
    let mut look =
        |bench: &mut Bench| bench.client.look(Instant::ZERO, &mut ahead, &mut bench.out, &mut bench.trace, |_| {});
    assert!(look(&mut bench));
    assert_eq!((bench.sent().len(), bench.lines().len()), (100 - AHEAD, 2 * AHEAD));
    assert!(!look(&mut bench));
    assert_eq!((bench.sent().len(), bench.lines().len()), (0, 200));
}

/// Frames of a server in order and out of order.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (1..5_u32).prop_map(|id| message(&id.to_string())),
        1 => Just(wire(Opcode::TEXT, true, ACK_7.as_bytes())),
        1 => Just(wire(Opcode::TEXT, true, b"{")),
        1 => Just(wire(Opcode::TEXT, true, b"\xff")),
        1 => Just(wire(Opcode::TEXT, true, br#"{"type":"message","message":{"messageId":9,"type":"\u0078"}}"#)),
        1 => Just(wire(Opcode::TEXT, false, br#"{"type":"message","message":"#)),
        1 => Just(wire(Opcode::CONTINUATION, true, br#"{"messageId":8}}"#)),
        1 => Just(wire(Opcode::PING, true, b"x")),
        1 => Just(wire(Opcode::BINARY, true, b"x")),
        1 => Just({
            let mut out = Vec::new();
            let text = ACK_7.as_bytes();
            frame::encode(&Header { mask: Some([7; 4]), ..Header::new(Opcode::TEXT, text.len() as u64) }, text, &mut out);
            out
        }),
        1 => Just(wire(Opcode::CLOSE, true, &close_payload(1000, ""))),
    ]
}

proptest! {
    #[test]
    fn it_is_the_same_in_whatever_pieces_frames_arrive(
        frames in prop::collection::vec(any_frame(), 0..200),
        sizes in prop::collection::vec(1..3000_usize, 1..9),
    ) {
        let bytes = frames.concat();
        let (mut single, mut pieces) = (Bench::new(AckPolicy::default()), Bench::new(AckPolicy::default()));
        bytes.iter().for_each(|byte| single.receive(&[*byte]));
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(rest.len().min(*size));
            pieces.receive(piece);
            rest = behind;
        }
        prop_assert_eq!(&single.out, &pieces.out);
        prop_assert_eq!(single.lines(), pieces.lines());
        prop_assert_eq!(&single.heard, &pieces.heard);
        prop_assert_eq!(single.client.last(), pieces.client.last());
    }
}

/// Updates that are much alike: of few lengths, with other numbers and words in the same places.
fn alike() -> impl Strategy<Value = Vec<u8>> {
    (1..2000_u32, "[a-c]{1,2}", prop_oneof![Just("1"), Just("true"), Just("\"é\""), Just("\"\\n\"")]).prop_map(
        |(id, name, on)| {
            let text = format!(
                r#"{{"type":"message","message":{{"messageId":{id},"type":"x","updates":["{name}",{{"name":{on}}}]}}}}"#
            );
            wire(Opcode::TEXT, true, text.as_bytes())
        },
    )
}

proptest! {
    #[test]
    fn it_is_the_same_whether_or_not_connections_share_what_they_work_with(
        frames in prop::collection::vec(prop::collection::vec(prop_oneof![1 => any_frame(), 4 => alike()], 0..40), 3),
        turns in prop::collection::vec((0..3_usize, 1..400_usize), 1..60),
    ) {
        let benches = || {
            let policy = |status: &str| AckPolicy { status: status.to_owned(), ..AckPolicy::default() };
            ["success", "failure", "success"].map(|status| Bench::new(policy(status)))
        };
        let (mut apart, mut together) = (benches(), benches());
        let mut shared = Ahead::default();
        let mut rest = frames.iter().map(|frames| frames.concat()).collect::<Vec<_>>();
        for (which, size) in turns {
            let size = size.min(rest[which].len());
            let piece: Vec<u8> = rest[which].drain(..size).collect();
            apart[which].receive(&piece);
            std::mem::swap(&mut shared, &mut together[which].ahead);
            together[which].receive(&piece);
            std::mem::swap(&mut shared, &mut together[which].ahead);
        }
        for (one, other) in apart.iter().zip(&together) {
            prop_assert_eq!(&one.out, &other.out);
            prop_assert_eq!(one.lines(), other.lines());
            prop_assert_eq!(&one.heard, &other.heard);
        }
    }
}

#[test]
fn what_a_long_message_needed_is_not_kept() {
    let mut bench = Bench::new(AckPolicy::default());
    bench.client = EventsClient::new(ConnectionId(1), AckPolicy::default(), ChaCha8Rng::seed_from_u64(1), 1 << 24);
    let many = "1,".repeat(1 << 18);
    let long = format!(r#"{{"type":"message","message":{{"messageId":1,"type":"x","updates":[{many}1]}}}}"#);
    for _ in 0..3 {
        bench.receive(&[message("7"), wire(Opcode::TEXT, true, long.as_bytes()), message("8")].concat());
    }
    bench.receive(&message("9"));
    let Ahead { bytes, texts, .. } = &bench.ahead;
    assert!(bytes.capacity().max(texts.capacity()) <= AHEAD_BYTES, "{} {}", bytes.capacity(), texts.capacity());
    assert!(bench.ahead.tapes.iter().all(Reading::is_small));
    assert_eq!(bench.heard.len(), 10);
}

#[test]
fn only_messages_with_a_usable_id_are_acknowledged() {
    let mut bench = Bench::new(AckPolicy::default());
    for id in ["\"7\"", "-1", "null", "7.5"] {
        bench.receive(&message(id));
    }
    bench.receive(&wire(Opcode::TEXT, true, ACK_7.as_bytes()));
    bench.receive(&wire(Opcode::TEXT, true, b"{"));
    bench.receive(&wire(Opcode::TEXT, true, b"\xff"));
    assert_eq!(bench.sent(), Vec::<String>::new());
    assert_eq!(bench.heard.len(), 5);
    assert_eq!(bench.lines()[5..], ["Server text no JSON", "Server text no UTF-8"]);
}

#[test]
fn fragments_are_joined_and_the_last_one_carries_the_text() {
    let mut bench = Bench::new(AckPolicy::default());
    let whole = r#"{"type":"message","message":{"messageId":7}}"#;
    bench.receive(&wire(Opcode::TEXT, false, &whole.as_bytes()[..10]));
    bench.receive(&wire(Opcode::CONTINUATION, true, &whole.as_bytes()[10..]));
    assert_eq!(bench.lines()[..2], ["Server text".to_owned(), format!("Server continuation {whole}")]);
    assert_eq!(bench.sent(), [ACK_7]);
}

#[test]
fn withheld_acks_are_owed_and_sent_oldest_first() {
    let mut bench = Bench::new(AckPolicy { when: AckWhen::Withhold, ..AckPolicy::default() });
    for id in ["7", "8", "9"] {
        bench.receive(&message(id));
    }
    assert_eq!((bench.client.oldest_owed(), bench.client.last()), (Some(7), Some(9)));
    bench.client.acknowledge(Instant::ZERO, 8, "success", &mut bench.out, &mut bench.trace);
    bench.client.set_policy(Instant::ZERO, AckPolicy::default(), &mut bench.out, &mut bench.trace);
    assert_eq!(bench.sent(), [8, 7, 9].map(|id| write::ack(id, "success")));
    assert_eq!(bench.client.oldest_owed(), None);
}

#[test]
fn late_acks_come_when_they_are_due_and_not_before() {
    let by = Duration::from_millis(50);
    let mut bench = Bench::new(AckPolicy { when: AckWhen::Late(by), times: 2, ..AckPolicy::default() });
    bench.receive(&message("7"));
    assert_eq!(bench.client.poll_timeout(), Some(Instant::from_millis(50)));
    bench.client.handle_timeout(Instant::from_millis(49), &mut bench.out, &mut bench.trace);
    assert!(bench.out.is_empty());
    bench.client.handle_timeout(Instant::from_millis(50), &mut bench.out, &mut bench.trace);
    assert_eq!(bench.sent(), [ACK_7, ACK_7]);
    assert_eq!(bench.client.poll_timeout(), None);
}

#[test]
fn a_close_frame_is_answered_a_ping_is_not_and_nothing_is_sent_after_a_close_frame() {
    let mut bench = Bench::new(AckPolicy::default());
    bench.receive(&wire(Opcode::PING, true, b"hi"));
    bench.receive(&wire(Opcode::CLOSE, true, &close_payload(1001, "")));
    bench.receive(&message("7"));
    bench.receive(&wire(Opcode::PING, true, b"hi"));
    assert_eq!(bench.sent().len(), 1);
    assert_eq!(bench.client.stage(), Stage::Closing);
    assert!(bench.client.server_closed());
    let lines = bench.lines();
    assert_eq!(lines[..3], ["Server ping", "Server close", "Client close"]);
    assert_eq!(lines.len(), 5);
}

#[test]
fn a_frame_beyond_the_limit_makes_the_connection_unreadable() {
    let mut bench = Bench::new(AckPolicy::default());
    bench.receive(&wire(Opcode::TEXT, true, &[b'x'; 1001]));
    bench.receive(&message("7"));
    assert_eq!(bench.client.stage(), Stage::Unreadable);
    assert!(bench.lines().is_empty() && bench.out.is_empty());
}
