//! What does it cost to read one message of a server: its frame, and its JSON?
//!
//! Compare `decode/*` and `parse/*` with `judge/*` (the other bench file): ratios within one run mean something, absolute
//! times do not.

use std::hint::black_box;

use bridgeproof::protocol::events::{Envelope, Resource};
use bridgeproof::protocol::json::Document;
use bridgeproof::protocol::ws::frame::{Decoded, Header, Opcode, decode, encode};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CALL_LIST_UPDATE: &str = r#"{"type":"message","message":{"messageId":3,"type":"callListUpdate","subscriptionIndex":3,"updates":[{"call":"97c771ae-fc2e-4257-b129-30ee818e034b","updateType":"update","participants":12}]}}"#;

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, length) in [("frame-of-180-bytes", 180), ("frame-of-16-kilobytes", 16 << 10)] {
        let payload = vec![b'x'; length];
        let mut wire = Vec::new();
        encode(&Header::new(Opcode::TEXT, length as u64), &payload, &mut wire);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| match decode(black_box(&mut wire), u64::MAX) {
                Decoded::Frame { consumed, .. } => consumed,
                _ => 0,
            });
        });
    }
    group.finish();
}

fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    let mut tape = Document::new();
    group.throughput(Throughput::Elements(1));
    group.bench_function("call-list-update", |b| {
        b.iter(|| {
            let json = tape.parse(black_box(CALL_LIST_UPDATE)).expect("the text is JSON");
            match Envelope::of(json) {
                Envelope::Message(message) => message.entries(Resource::Calls).map_or(0, Iterator::count),
                _ => 0,
            }
        });
    });
    group.bench_function("call-list-update-by-serde-json-value", |b| {
        b.iter(|| {
            serde_json::from_str::<serde_json::Value>(black_box(CALL_LIST_UPDATE))
                .map(|value| value.is_object())
                .is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, frames, messages);
criterion_main!(benches);
