//! Mutants of sessions, times and numbers of records (CDR-05 to CDR-12).

use std::collections::BTreeMap;

use super::super::cdr::{Post, ReceiverKey};
use super::super::mutant::{Mutant, Question};
use super::fault::{Fault, posts, records};
use super::registry::{Registered, row};
use crate::protocol::cdr::NewRecord;

const PAIR: (&str, &str) = ("CDR-09", "one pair of session and index names two records");
const AGAIN: (&str, &str) = ("CDR-02", "an index that was acknowledged comes again");
const UNCOUNTED: (&str, &str) = ("CDR-12", "the gap is not counted");
const FRESH: (&str, &str) = ("CDR-08", "the session's first record is not the first");
const NUMBER: (&str, &str) = ("CDR-11", "recordIndex has the gap, too");
const ORDER: (&str, &str) = ("CDR-04", "an index is lower than one before");

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "session-of-its-own-at-the-second-receiver",
        "CDR-05",
        &[],
        "Each sender is an object that makes its session.",
        || {
            posts(|_, _, post| {
                if post.receiver.0 == 2 {
                    post.set.session = post.set.session.as_deref().map(turned);
                }
            })
        },
    ),
    row(
        "session-missing",
        "CDR-05",
        &[("CDR-03", "what has no session counts as not sent"), ("REC-24", "what has no session is missing")],
        "The attribute came with a later release of the writer.",
        || posts(|_, _, post| post.set.session = None),
    ),
    row(
        "session-survives-the-restart",
        "CDR-05",
        &[PAIR, AGAIN, ORDER, FRESH, ("CDR-11", "recordIndex starts again in the session")],
        "The session is stored with the configuration.",
        || {
            Fault::<()>::new()
                .decide(|(), question, answer| answer && !matches!(question, Question::StartsSession))
                .boxed()
        },
    ),
    row(
        "session-renewed-by-a-repetition",
        "CDR-05",
        &[
            PAIR,
            FRESH,
            ("CDR-11", "recordIndex goes on in the new session"),
            ("CDR-03", "the repetition looks like another record"),
        ],
        "Losing the connection is taken for losing the server.",
        || {
            Fault::<BTreeMap<ReceiverKey, bool>>::new()
                .post(|renewed, _, mut post, pass| {
                    let renewed = renewed.entry(post.receiver).or_default();
                    *renewed |= post.attempt > 1;
                    if *renewed {
                        post.set.session = post.set.session.as_deref().map(turned);
                    }
                    pass.now(post);
                })
                .boxed()
        },
    ),
    row("call-bridge-without-a-cluster", "CDR-06", &[], "The id is there, so it is sent.", || {
        posts(|_, view, post| {
            post.set.call_bridge.get_or_insert_with(|| view.world.bridge.clone());
        })
    }),
    row("call-bridge-empty", "CDR-06", &[], "What is not set is written as empty.", || {
        posts(|_, _, post| {
            if post.records().len() > 1 {
                post.set.call_bridge.get_or_insert_default();
            }
        })
    }),
    row("call-bridge-in-repetitions", "CDR-06", &[], "Repetitions go through another writer.", || {
        posts(|_, view, post| {
            if post.attempt > 1 {
                post.set.call_bridge.get_or_insert_with(|| view.world.bridge.clone());
            }
        })
    }),
    row("time-without-zone", "CDR-07", &[], "The clock's text is taken as it is.", || {
        records(|_, _, draft| {
            draft.time.retain(|c| c != 'Z');
            true
        })
    }),
    row(
        "call-ends-in-local-time",
        "CDR-07",
        &[("REC-08", "an hour lies between"), ("REC-09", "the end seems later")],
        "One place formats with the zone of the host.",
        || {
            records(|_, _, draft| {
                if draft.kind == "callEnd" {
                    draft.time = draft.time.replace('Z', "+01:00");
                }
                true
            })
        },
    ),
    row("time-of-moved-legs-in-seconds", "CDR-07", &[], "The mover passes the raw value on.", || {
        records(|_, view, draft| {
            if draft.value("movedCallLeg").is_some() || draft.value("reason") == Some("callMoved") {
                draft.time = (1_767_225_600 + view.now.as_millis() / 1000).to_string();
            }
            true
        })
    }),
    row(
        "every-fifteenth-time-without-t",
        "CDR-07",
        &[("REC-08", "no duration can be told")],
        "A log line's format is used by one thread.",
        || {
            records(|count, _, draft| {
                *count += 1;
                if count.is_multiple_of(15) {
                    draft.time = draft.time.replace('T', " ").replace('-', "/");
                }
                true
            })
        },
    ),
    row("correlator-starts-at-1", "CDR-08", &[], "It was modelled on recordIndex.", || indexes(|index| index + 1)),
    row(
        "correlator-starts-at-1-after-a-restart",
        "CDR-08",
        &[],
        "The start itself is numbered, where it is not the first.",
        || {
            Fault::<String>::new()
                .post(|first, _, mut post, pass| {
                    let session = post.set.session.clone().unwrap_or_default();
                    if first.is_empty() {
                        first.clone_from(&session);
                    }
                    if *first != session {
                        for record in post.records() {
                            record.correlator_index = record.correlator_index.map(|index| index + 1);
                        }
                    }
                    pass.now(post);
                })
                .boxed()
        },
    ),
    row("correlator-goes-on-after-the-restart", "CDR-08", &[], "The counter is stored.", || {
        Fault::<()>::new().decide(|(), question, answer| answer && !matches!(question, Question::StartsIndexes)).boxed()
    }),
    row(
        "repetition-with-new-time",
        "CDR-09",
        &[("REC-08", "the times are not those of the events")],
        "The time is put in when a set is written.",
        || {
            posts(|_, view, post| {
                if post.attempt > 1 {
                    let time = view.cdr.time(view.settings, view.now + std::time::Duration::from_secs(1));
                    post.records().iter_mut().for_each(|record| record.time.clone_from(&time));
                }
            })
        },
    ),
    row("second-receiver-lacks-addresses", "CDR-09", &[], "A setting for privacy holds for one receiver.", || {
        posts(|_, _, post| {
            if post.receiver.0 == 2 {
                contents(post, |record| record.content.children.retain(|field| field.name != "remoteParty"));
            }
        })
    }),
    row("third-attempt-is-shorter", "CDR-09", &[], "After two failures the size is suspected.", || {
        posts(|_, _, post| {
            if post.attempt >= 3 {
                contents(post, |record| {
                    record
                        .content
                        .children
                        .retain(|field| !["groupId", "name", "durationSeconds"].contains(&field.name.as_str()));
                });
            }
        })
    }),
    row("leg-updated-in-the-queue", "CDR-09", &[], "Records that wait hold references, not copies.", || {
        posts(|_, _, post| {
            if post.attempt > 1 {
                contents(post, |record| {
                    for field in &mut record.content.children {
                        if ["displayName", "name", "callLegsCompleted"].contains(&field.name.as_str()) {
                            field.text.push('0');
                        }
                    }
                });
            }
        })
    }),
    row(
        "every-sixteenth-index-twice",
        "CDR-09",
        &[
            AGAIN,
            ("CDR-03", "a record seems not to be sent"),
            ORDER,
            FRESH,
            UNCOUNTED,
            ("REC-05", "a record is taken for another"),
            ("REC-07", "a record is taken for another"),
            ("REC-09", "a record is taken for another"),
            ("REC-22", "a record is taken for another"),
            ("REC-03", "a record is taken for another"),
            ("REC-04", "a record is taken for another"),
            ("REC-06", "a record is taken for another"),
            ("REC-14", "a record is taken for another"),
            ("REC-24", "a record is taken for another"),
        ],
        "The counter is read before it is raised.",
        || indexes(|index| index - index / 16),
    ),
    row(
        "discards-without-need",
        "CDR-10",
        &[],
        "A slot of the queue is left out at each turn, and honestly counted.",
        || {
            posts(|_, _, post| {
                let moved = |index: u64| index + index / 8;
                for record in post.records() {
                    let index = record.correlator_index.unwrap_or_default();
                    record.correlator_index = Some(moved(index));
                    let lost = record.missing.map_or(0, |(_, count)| count);
                    if let Some(before) = index.checked_sub(lost + 1) {
                        let gap = moved(index) - moved(before) - 1;
                        record.missing = (gap > 0).then_some(("numPrecedingRecordsMissing", gap));
                    }
                }
            })
        },
    ),
    row(
        "index-skipped-now-and-then",
        "CDR-10",
        &[UNCOUNTED, ("CDR-08", "it grows by two"), ("CDR-03", "a record seems not to be sent")],
        "Records of an internal kind are numbered, too.",
        || indexes(|index| index + index / 8),
    ),
    row(
        "last-of-a-large-set-lost",
        "CDR-10",
        &[
            UNCOUNTED,
            ("CDR-19", "a good receiver lacks it beside bad ones"),
            ("CDR-03", "a record seems not to be sent"),
            NUMBER,
            ("CDR-13", "a receiver lacks a record"),
            ("REC-03", "a record of a call is lost"),
            ("REC-04", "a record of a leg is lost"),
            ("REC-05", "a record is lost"),
            ("REC-06", "the end of a leg is lost"),
            ("REC-14", "the start of a call is lost"),
            ("REC-22", "a start is lost"),
            ("REC-24", "a record of a call is lost"),
        ],
        "The loop over a full buffer ends one too early.",
        || {
            posts(|_, _, post| {
                if post.records().len() > 5 {
                    post.records().pop();
                }
            })
        },
    ),
    row(
        "index-skipped-after-the-fiftieth",
        "CDR-10",
        &[UNCOUNTED, ("CDR-08", "it grows by two"), ("CDR-03", "a record seems not to be sent")],
        "A block of numbers is fetched anew.",
        || indexes(|index| if index >= 40 { index + 1 } else { index }),
    ),
    row("record-index-from-0", "CDR-11", &[], "It was modelled on correlatorIndex.", || {
        posts(|_, _, post| {
            numbers(post, |record, number| {
                let _ = record;
                number.saturating_sub(1)
            })
        })
    }),
    row("record-index-is-the-correlator", "CDR-11", &[], "It is derived from correlatorIndex, plus one.", || {
        posts(|_, _, post| numbers(post, |record, number| record.correlator_index.map_or(number, |index| index + 1)))
    }),
    row("record-index-of-one-byte", "CDR-11", &[], "The field of an old structure has few bits.", || {
        posts(|_, _, post| numbers(post, |_, number| number % 32))
    }),
    row("record-index-counts-attempts", "CDR-11", &[], "The number is drawn when a record is written.", || {
        Fault::<BTreeMap<ReceiverKey, u64>>::new()
            .post(|extra, _, mut post, pass| {
                let extra = extra.entry(post.receiver).or_default();
                if post.attempt > 1 {
                    *extra += post.records().len() as u64;
                }
                for record in post.records() {
                    record.record_index = record.record_index.map(|number| number + *extra);
                }
                pass.now(post);
            })
            .boxed()
    }),
    row("discarded-counted-once-too-often", "CDR-12", &[], "The first record that is there counts as missing.", || {
        missing(|count| count + 1)
    }),
    row(
        "discarded-not-counted",
        "CDR-12",
        &[
            ("CDR-03", "what is not counted seems not to be sent"),
            ("CDR-13", "long after the outage it is missing at this receiver alone"),
        ],
        "The attribute was never implemented.",
        || posts(|_, _, post| post.records().iter_mut().for_each(|record| record.missing = None)),
    ),
    row(
        "discarded-counted-in-every-record-of-the-set",
        "CDR-12",
        &[],
        "The count stands with the set, not with the record.",
        || {
            posts(|_, _, post| {
                let count = post.records().iter().find_map(|record| record.missing);
                for record in post.records() {
                    record.missing = record.missing.or(count);
                }
            })
        },
    ),
    row("discarded-of-all-outages-added-up", "CDR-12", &[], "The counter is not set back.", || {
        Fault::<BTreeMap<ReceiverKey, (u64, u64)>>::new()
            .post(|totals, _, mut post, pass| {
                let (total, last) = totals.entry(post.receiver).or_default();
                for record in post.records() {
                    let index = record.correlator_index.unwrap_or_default();
                    if let Some((_, count)) = &mut record.missing {
                        if index != *last {
                            *total += *count;
                            *last = index;
                        }
                        *count = *total;
                    }
                }
                pass.now(post);
            })
            .boxed()
    }),
];

/// A GUID that is another one.
fn turned(guid: &str) -> String {
    guid.chars()
        .map(|c| {
            if c == '0' {
                '1'
            } else if c == '1' {
                '0'
            } else {
                c
            }
        })
        .collect()
}

fn contents(post: &mut Post, change: fn(&mut NewRecord)) {
    post.records().iter_mut().for_each(change);
}

fn numbers(post: &mut Post, change: fn(&NewRecord, u64) -> u64) {
    for record in post.records() {
        record.record_index = record.record_index.map(|number| change(record, number));
    }
}

type Renumber = fn(u64) -> u64;

/// A mutant that gives records other values of `correlatorIndex`, the same ones at all receivers.
fn indexes(change: Renumber) -> Box<dyn Mutant> {
    Fault::<Option<Renumber>>::new()
        .post(|change, _, mut post, pass| {
            for record in post.records() {
                record.correlator_index =
                    record.correlator_index.map(|index| change.map_or(index, |change| change(index)));
            }
            pass.now(post);
        })
        .with(Some(change))
        .boxed()
}

/// A mutant that counts discarded records otherwise.
fn missing(change: Renumber) -> Box<dyn Mutant> {
    Fault::<Option<Renumber>>::new()
        .post(|change, _, mut post, pass| {
            for record in post.records() {
                record.missing =
                    record.missing.map(|(name, count)| (name, change.map_or(count, |change| change(count))));
            }
            pass.now(post);
        })
        .with(Some(change))
        .boxed()
}
