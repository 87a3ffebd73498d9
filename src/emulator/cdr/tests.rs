//! Tests of records and of their delivery, on virtual time.

use std::time::Duration;

use crate::emulator::bench::{Bench, Plan};
use crate::protocol::api::xml::Element;
use crate::protocol::http::Method;

const PORT: u16 = 5000;

fn number(record: &Element, name: &str) -> u64 {
    record.get_attribute(name).unwrap().parse().unwrap()
}

fn value<'r>(record: &'r Element, field: &str) -> Option<&'r str> {
    record.children[0].text_at(&[field])
}

/// Type, and the id's part of the cast: `A`, `B` for legs, `C` for the call.
fn outline(record: &Element, cast: &[(&str, &str)]) -> String {
    let id = record.children[0].get_attribute("id").unwrap();
    let who = cast.iter().find(|(known, _)| *known == id).map_or("?", |(_, name)| name);
    format!(
        "{} {who} {}/{}",
        record.get_attribute("type").unwrap(),
        number(record, "recordIndex"),
        number(record, "correlatorIndex")
    )
}

/// Starts and ends calls, one after the other: two records each.
fn calls(bench: &mut Bench, count: usize) {
    for _ in 0..count {
        let id = bench.create("/api/v1/calls", "name=one");
        bench.call(Method::Delete, &format!("/api/v1/calls/{id}"), "");
    }
}

fn indexes(bench: &Bench, port: u16) -> Vec<u64> {
    bench.records(port).iter().map(|record| number(record, "correlatorIndex")).collect()
}

#[test]
fn the_example_of_the_guide_comes_out_record_by_record() {
    let mut bench = Bench::new(&[]);
    bench.receiver(PORT);
    let space = bench.create("/api/v1/coSpaces", "name=test564_1&cdrTag=tag");
    let call_in = |bench: &mut Bench, name: &str| {
        let form = format!("remoteParty={name}@example.com&localAddress=access1@127.0.0.1&coSpace={space}");
        let leg = bench.create("/emulator/v1/callLegs", &form);
        bench.pass(100);
        leg
    };
    let a = call_in(&mut bench, "sipclient1");
    let b = call_in(&mut bench, "sipclient2");
    let call = bench.get("/api/v1/calls").children[0].get_attribute("id").unwrap().to_owned();
    bench.pass(9_800);
    bench.call(Method::Delete, &format!("/emulator/v1/callLegs/{b}"), "");
    bench.pass(10);
    bench.call(Method::Delete, &format!("/emulator/v1/callLegs/{a}?reason=callDeactivated"), "");
    bench.pass(100);
    let cast = [(a.as_str(), "A"), (b.as_str(), "B"), (call.as_str(), "C")];
    let sets: Vec<Vec<String>> = bench
        .posts(PORT)
        .iter()
        .map(|post| post.set.children.iter().map(|record| outline(record, &cast)).collect())
        .collect();
    assert_eq!(
        sets,
        [
            vec!["callLegStart A 1/0"],
            vec!["callStart C 2/1", "callLegUpdate A 3/2"],
            vec!["callLegStart B 4/3"],
            vec!["callLegUpdate B 5/4"],
            vec!["callLegEnd B 6/5"],
            vec!["callLegEnd A 7/6", "callEnd C 8/7"],
        ]
    );
    let records = bench.records(PORT);
    assert_eq!(value(&records[0], "direction"), Some("incoming"));
    assert_eq!(value(&records[0], "call"), None);
    assert_eq!(value(&records[1], "coSpace"), Some(space.as_str()));
    assert_eq!(value(&records[1], "cdrTag"), Some("tag"));
    assert_eq!((value(&records[2], "state"), value(&records[2], "call")), (Some("connected"), Some(call.as_str())));
    assert_eq!(
        (value(&records[5], "reason"), value(&records[5], "remoteTeardown")),
        (Some("remoteTeardown"), Some("true"))
    );
    assert_eq!(value(&records[6], "remoteTeardown"), Some("false"));
    assert_eq!(
        records[6].children[0].text_at(&["rxAudio", "packetStatistics", "packetGap", "duration"]),
        Some("10.000")
    );
    let end = |field| value(&records[7], field);
    assert_eq!(
        (end("callLegsCompleted"), end("callLegsMaxActive"), end("durationSeconds")),
        (Some("2"), Some("2"), Some("10"))
    );
    let first = &bench.posts(PORT)[0];
    assert!(first.head.starts_with("POST /cdr HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n"), "{}", first.head);
    assert_eq!(records[0].get_attribute("time"), Some("2026-01-01T00:00:00Z"));
    assert!(bench.posts(PORT).iter().all(|post| post.link == first.link), "one connection carries all");
}

#[test]
fn what_is_not_acknowledged_is_sent_again_until_it_is() {
    let plans = [
        Plan::status(500),
        Plan::Close,
        Plan::Silent,
        Plan::Answer("HTTP/1.1 nonsense\r\n\r\n".to_owned()),
        Plan::AnswerAndClose("HTTP/1.1 200 O".to_owned()),
        Plan::status(302),
    ];
    let mut bench = Bench::new(&[]);
    bench.receiver(PORT);
    bench.receptions.get_mut(&PORT).unwrap().plans = plans.clone().into();
    calls(&mut bench, 1);
    bench.pass(10_000);
    let posts = bench.posts(PORT);
    assert_eq!(posts.len(), plans.len() + 2);
    assert!(posts[..=plans.len()].iter().all(|post| post.set == posts[0].set), "repetitions are equal");
    let gaps: Vec<Duration> = posts.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
    assert_eq!(gaps[0], Duration::from_millis(100));
    assert_eq!(gaps[1], Duration::from_millis(200));
    assert_eq!(gaps[2], Duration::from_millis(1500 + 400));
    assert_eq!(gaps[4], Duration::from_secs(1), "the wait does not grow for ever");
    assert_eq!(indexes(&bench, PORT), [0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn the_answer_of_the_guides_receiver_has_neither_body_nor_length() {
    let mut bench = Bench::new(&[]);
    bench.receiver(PORT);
    let plan = Plan::Answer("HTTP/1.1 200 OK\r\nServer: sample\r\n\r\n".to_owned());
    bench.receptions.get_mut(&PORT).unwrap().plans = vec![plan; 4].into();
    calls(&mut bench, 2);
    bench.pass(10);
    assert_eq!(indexes(&bench, PORT), [0, 1, 2, 3]);
    assert_eq!(bench.receptions[&PORT].opened, 1);
}

#[test]
fn an_overflow_is_counted_and_leaves_no_gap_in_the_record_index() {
    for (order, expected, missing) in [("oldest", [0, 8, 9, 10, 11], 7), ("newest", [0, 1, 2, 3, 4], 0)] {
        let overflow = format!("cdr-overflow={order}");
        let mut bench = Bench::new(&["cdr-queue=4", "cdr-batch=3", overflow.as_str()]);
        bench.receiver(PORT);
        bench.receiver(PORT + 1);
        bench.receptions.get_mut(&PORT).unwrap().refuses = true;
        calls(&mut bench, 6);
        bench.receptions.get_mut(&PORT).unwrap().refuses = false;
        bench.pass(3_000);
        assert_eq!(indexes(&bench, PORT), expected, "{order}");
        let records = bench.records(PORT);
        let numbers: Vec<u64> = records.iter().map(|record| number(record, "recordIndex")).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        let lost = |record: &Element| record.get_attribute("numPrecedingRecordsMissing").map(str::to_owned);
        assert_eq!(
            lost(&records[1]).unwrap_or_default(),
            if missing > 0 { missing.to_string() } else { String::new() }
        );
        assert_eq!(indexes(&bench, PORT + 1), (0..12).collect::<Vec<u64>>(), "others lose nothing");
        calls(&mut bench, 1);
        bench.pass(10);
        let next = &bench.records(PORT)[5];
        assert_eq!((number(next, "correlatorIndex"), number(next, "recordIndex")), (12, 6));
        assert_eq!(lost(next), (order == "newest").then(|| "7".to_owned()));
    }
}

#[test]
fn a_restart_begins_a_new_session_and_loses_what_waits() {
    let mut bench = Bench::new(&[]);
    let id = bench.receiver(PORT);
    calls(&mut bench, 1);
    bench.pass(10);
    let connection = bench.open();
    let lost = bench.create("/api/v1/calls", "name=lost");
    bench.receptions.get_mut(&PORT).unwrap().refuses = true;
    assert_eq!(bench.call(Method::Post, "/emulator/v1/restart", "").status, 200);
    assert_eq!(bench.seen[&connection].ended, Some("dropped"));
    assert_eq!(bench.call(Method::Get, "/api/v1/calls", "").status, 503);
    bench.pass(300);
    assert_eq!(bench.get("/api/v1/calls").get_attribute("total"), Some("0"));
    assert_eq!(bench.call(Method::Get, &format!("/api/v1/calls/{lost}"), "").status, 404);
    assert!(bench.get(&format!("/api/v1/system/cdrReceivers/{id}")).text_at(&["uri"]).is_some());
    assert_eq!(bench.get("/api/v1/system/status").text_at(&["cdrCorrelatorIndex"]), Some("0"));
    bench.receptions.get_mut(&PORT).unwrap().refuses = false;
    calls(&mut bench, 1);
    bench.pass(10);
    assert_eq!(indexes(&bench, PORT), [0, 1, 2, 0, 1]);
    let sessions: Vec<_> = bench.posts(PORT).iter().map(|post| post.set.get_attribute("session").unwrap()).collect();
    assert_eq!(sessions[0], sessions[2]);
    assert_ne!(sessions[0], sessions[3]);
}

#[test]
fn receivers_are_managed_over_the_api() {
    let mut bench = Bench::new(&[]);
    let ids: Vec<String> = (0..4).map(|at| bench.receiver(PORT + at)).collect();
    let list = bench.get("/api/v1/system/cdrReceivers");
    assert_eq!((list.get_attribute("total"), list.get_attribute("maximum")), (Some("4"), Some("4")));
    let fifth = bench.call(Method::Post, "/api/v1/system/cdrReceivers", "uri=http://127.0.0.1:5004/");
    assert!(fifth.status == 400 && fifth.text().contains("tooManyCdrReceivers"));
    calls(&mut bench, 1);
    bench.pass(10);
    assert!((0..4).all(|at| indexes(&bench, PORT + at) == [0, 1]));
    let one = |at: usize| format!("/api/v1/system/cdrReceivers/{}", ids[at]);
    assert_eq!(bench.call(Method::Delete, &one(0), "").status, 200);
    assert!(bench.call(Method::Get, &one(0), "").text().contains("cdrReceiverDoesNotExist"));
    assert_eq!(bench.call(Method::Put, &one(1), "uri=").status, 200);
    assert_eq!(bench.get(&one(1)).text_at(&["uri"]), Some(""));
    bench.call(Method::Put, &one(2), "url=http://127.0.0.1:5010/new%2520place?system_id=cms1%26a=%2526");
    assert_eq!(bench.call(Method::Put, &one(3), "uri=ftp://127.0.0.1").status, 400);
    calls(&mut bench, 1);
    bench.pass(10);
    assert_eq!((0..4).map(|at| indexes(&bench, PORT + at).len()).collect::<Vec<_>>(), [2, 2, 2, 4]);
    assert_eq!(indexes(&bench, 5010), [2, 3]);
    assert!(bench.posts(5010)[0].head.starts_with("POST /new%20place?system_id=cms1&a=%26 HTTP/1.1"));
    assert_eq!(bench.get("/api/v1/system/status").text_at(&["cdrCorrelatorIndex"]), Some("4"));
    bench.call(Method::Put, &one(1), "uri=http://127.0.0.1:5001/");
    calls(&mut bench, 1);
    bench.pass(10);
    assert_eq!(indexes(&bench, PORT + 1), [0, 1, 4, 5]);
}

#[test]
fn the_older_node_has_one_receiver_and_an_empty_uri_removes_it() {
    let mut bench = Bench::new(&[]);
    let node = "/api/v1/system/cdrReceiver";
    assert_eq!(bench.call(Method::Put, node, "url=http://127.0.0.1:5000/").status, 200);
    assert_eq!(bench.get(node).text_at(&["uri"]), Some("http://127.0.0.1:5000/"));
    assert_eq!(bench.get("/api/v1/system/cdrReceivers").get_attribute("total"), Some("1"));
    assert_eq!(bench.call(Method::Put, node, "url=").status, 200);
    assert_eq!(bench.get("/api/v1/system/cdrReceivers").get_attribute("total"), Some("0"));
}

#[test]
fn a_receiver_that_fails_raises_an_alarm_and_delays_no_other() {
    let mut bench = Bench::new(&[]);
    bench.receiver(PORT);
    bench.receiver(PORT + 1);
    bench.receptions.get_mut(&PORT).unwrap().refuses = true;
    calls(&mut bench, 2);
    bench.pass(20);
    assert_eq!(indexes(&bench, PORT + 1), [0, 1, 2, 3]);
    let alarms = bench.get("/api/v1/system/alarms");
    assert_eq!(alarms.children[0].text_at(&["type"]), Some("cdrConnectionFailure"));
    bench.receptions.get_mut(&PORT).unwrap().refuses = false;
    bench.pass(2_000);
    assert_eq!(indexes(&bench, PORT), [0, 1, 2, 3]);
    assert_eq!(bench.get("/api/v1/system/alarms").get_attribute("total"), Some("0"));
}

/// Everything that can happen to legs, in one call after the other.
fn run_of_things(bench: &mut Bench) {
    let space =
        bench.create("/api/v1/coSpaces", "name=room&streamUrl=rtmp://stream.example/live&ownerJid=eve@example.com");
    let arrive = |bench: &mut Bench, form: &str| {
        let leg = bench.create("/emulator/v1/callLegs", form);
        bench.pass(150);
        leg
    };
    let put = |bench: &mut Bench, target: String, form: &str| {
        let answer = bench.call(Method::Put, &target, form);
        assert_eq!(answer.status, 200, "{target} {form}: {}", answer.text());
        bench.pass(20);
    };
    let in_ivr = arrive(bench, "remoteParty=anna@example.com&ownerId=7&type=acano&guest=true");
    arrive(bench, "remoteParty=lost@example.com");
    let moved = bench.call(Method::Post, &format!("/emulator/v1/callLegs/{in_ivr}/move"), &format!("coSpace={space}"));
    assert_eq!(moved.status, 200);
    let lync = format!("remoteParty=ben@example.com&coSpace={space}&subType=lync&lyncSubType=audioVideo");
    let ben = arrive(bench, &lync);
    let call = bench.get("/api/v1/calls").children[0].get_attribute("id").unwrap().to_owned();
    put(bench, format!("/api/v1/calls/{call}"), "recording=true&streaming=true");
    let dialled =
        bench.create(&format!("/api/v1/calls/{call}/callLegs"), "remoteParty=carl&confirmation=true&cdrTag=t");
    bench.create(&format!("/api/v1/calls/{call}/callLegs"), "remoteParty=busy");
    bench.pass(500);
    put(bench, format!("/emulator/v1/callLegs/{dialled}"), "confirmation=confirmed");
    put(
        bench,
        format!("/emulator/v1/callLegs/{ben}"),
        "alarm=packetLoss:1.5,excessiveJitter:0.1&rxVideo=&multistreamVideo=5.0&maxScreens=2",
    );
    put(bench, format!("/api/v1/callLegs/{ben}"), "ownerId=9");
    let other = bench.create("/api/v1/calls", "name=adhoc");
    let who =
        bench.get(&format!("/api/v1/calls/{call}/participants")).children[1].get_attribute("id").unwrap().to_owned();
    bench.create(&format!("/api/v1/calls/{other}/participants"), &format!("movedParticipant={who}"));
    bench.pass(300);
    put(bench, format!("/api/v1/calls/{call}"), "recording=false");
    for call in [call, other] {
        bench.call(Method::Delete, &format!("/emulator/v1/calls/{call}?reason=callDeactivated"), "");
    }
    bench.pass(3_000);
}

fn types(records: &[Element]) -> Vec<&str> {
    records.iter().map(|record| record.get_attribute("type").unwrap()).collect()
}

#[test]
fn legs_in_the_ivr_say_so_until_they_are_in_a_call() {
    let mut bench = Bench::new(&[]);
    bench.receiver(PORT);
    run_of_things(&mut bench);
    let records = bench.records(PORT);
    let start = ["callLegStart", "callLegUpdate", "callLegStart", "callLegUpdate", "callStart", "callLegUpdate"];
    assert_eq!(types(&records)[..6], start);
    assert!(value(&records[1], "ivr") == Some("") && value(&records[1], "call").is_none());
    assert_eq!(value(&records[5], "call"), records[4].children[0].get_attribute("id"));
    assert!(value(&records[5], "ivr").is_none());
    assert_eq!(value(&records[4], "ownerName"), Some("eve@example.com"));
}

#[test]
fn recordings_and_streams_have_legs_that_no_roster_shows() {
    let mut bench = Bench::new(&[]);
    bench.receiver(PORT);
    let call = bench.create("/api/v1/calls", "name=adhoc");
    for form in ["recording=true", "streaming=true", "recording=false"] {
        bench.call(Method::Put, &format!("/api/v1/calls/{call}"), form);
    }
    assert_eq!(bench.get("/api/v1/callLegs").get_attribute("total"), Some("0"));
    bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
    bench.pass(100);
    let records = bench.records(PORT);
    let expected = [
        "callStart",
        "callLegStart",
        "callLegUpdate",
        "recordingStart",
        "callLegStart",
        "callLegUpdate",
        "streamingStart",
        "recordingEnd",
        "callLegEnd",
        "streamingEnd",
        "callLegEnd",
        "callEnd",
    ];
    assert_eq!(types(&records), expected);
    assert_eq!((value(&records[1], "recording"), value(&records[4], "streaming")), (Some("true"), Some("true")));
    assert_eq!(value(&records[3], "callLeg"), records[1].children[0].get_attribute("id"));
    assert_eq!(value(&records[3], "call"), Some(call.as_str()));
    assert_eq!(value(&records[11], "callLegsCompleted"), Some("0"));
}

#[test]
fn every_reason_can_be_provoked_and_says_who_ended_the_leg() {
    for reason in super::reasons::ALL {
        let mut bench = Bench::new(&[]);
        bench.receiver(PORT);
        let leg = bench.create("/emulator/v1/callLegs", "remoteParty=anna");
        bench.pass(50);
        let target = format!("/emulator/v1/callLegs/{leg}?reason={}&remoteTeardown=true", reason.word);
        assert_eq!(bench.call(Method::Delete, &target, "").status, 200);
        bench.pass(10);
        let records = bench.records(PORT);
        let end = records.last().unwrap();
        assert_eq!(value(end, "reason"), Some(reason.word));
        let remote = reason.remote.unwrap_or(true);
        assert_eq!(value(end, "remoteTeardown"), Some(remote.to_string().as_str()));
        assert_eq!(value(end, "reasonDetails").is_some(), remote);
    }
}

#[test]
fn who_does_not_confirm_in_time_is_disconnected() {
    let mut bench = Bench::new(&["confirmation-timeout=2s"]);
    bench.receiver(PORT);
    let call = bench.create("/api/v1/calls", "name=adhoc");
    bench.create(&format!("/api/v1/calls/{call}/callLegs"), "remoteParty=anna&confirmation=true");
    let rejects = bench.create(&format!("/api/v1/calls/{call}/callLegs"), "remoteParty=ben&confirmation=true");
    bench.pass(1_000);
    bench.call(Method::Put, &format!("/emulator/v1/callLegs/{rejects}"), "confirmation=rejected");
    bench.pass(2_000);
    let records = bench.records(PORT);
    let ends: Vec<_> = records.iter().filter(|record| record.get_attribute("type") == Some("callLegEnd")).collect();
    assert_eq!(value(ends[0], "confirmationStatus"), Some("rejected"));
    assert_eq!(value(ends[1], "reason"), Some("confirmationTimeOut"));
    assert_eq!(value(ends[1], "confirmationStatus"), Some("required"));
}

#[test]
fn every_dialect_delivers_the_same_story() {
    for dialect in crate::emulator::dialects::DIALECTS {
        let mut bench = Bench::new(&[dialect.name]);
        bench.receiver(PORT);
        run_of_things(&mut bench);
        let records = bench.records(PORT);
        assert_eq!(indexes(&bench, PORT), (0..records.len() as u64).collect::<Vec<_>>(), "{}", dialect.name);
        let of = |kind: &str| types(&records).iter().filter(|known| **known == kind).count();
        let counts = ["callStart", "callEnd", "callLegStart", "recordingStart", "recordingEnd", "streamingEnd"].map(of);
        assert_eq!(counts, [2, 2, 8, 1, 1, 1], "{}", dialect.name);
        assert_eq!(of("callLegEnd"), 7, "one is in the IVR still: {}", dialect.name);
        let mut running: Vec<&str> = Vec::new();
        // What no guide knows belongs to no story.
        let known = |record: &&Element| record.get_attribute("type") != Some("weatherReport");
        for record in records.iter().filter(known) {
            let id = record.children[0].get_attribute("id").unwrap();
            let kind = record.get_attribute("type").unwrap();
            let begins = kind.ends_with("Start");
            assert_ne!(running.contains(&id), begins, "{}: {kind} {id}", dialect.name);
            if let Some(call) = value(record, "call").filter(|call| !call.is_empty()) {
                assert!(running.contains(&call), "{}: {kind} names an unknown call", dialect.name);
            }
            if begins {
                running.push(id);
            } else if kind.ends_with("End") {
                running.retain(|known| *known != id);
            }
        }
        assert_eq!(running.len(), 1, "{}", dialect.name);
    }
}

#[test]
fn records_of_unknown_type_have_indexes_like_all_others() {
    let mut bench = Bench::new(&["cdr-extra-records=2"]);
    bench.receiver(PORT);
    calls(&mut bench, 3);
    bench.pass(100);
    let kinds: Vec<_> =
        bench.records(PORT).iter().map(|record| record.get_attribute("type").unwrap().to_owned()).collect();
    let one = ["callStart", "callEnd", "weatherReport"];
    assert_eq!(kinds, [one, one, one].concat());
    assert_eq!(indexes(&bench, PORT), (0..9).collect::<Vec<_>>());
}

#[test]
fn sets_that_are_cut_and_answers_that_get_lost_are_sent_again() {
    let mut bench = Bench::new(&["cdr-cut-every=2"]);
    bench.receiver(PORT);
    calls(&mut bench, 4);
    bench.pass(5_000);
    // What was cut never arrived, so nothing is there twice.
    assert_eq!(indexes(&bench, PORT), (0..8).collect::<Vec<_>>());
    let mut bench = Bench::new(&[]);
    bench.receiver(PORT);
    assert_eq!(bench.call(Method::Put, "/emulator/v1/settings", "cdr-lose-every=2").status, 200);
    calls(&mut bench, 2);
    bench.pass(5_000);
    let seen = indexes(&bench, PORT);
    assert!(seen.len() > 4 && (0..4).all(|index| seen.contains(&index)), "{seen:?}");
    assert_ne!(bench.call(Method::Put, "/emulator/v1/settings", "cdr-lose-every=often").status, 200);
}
