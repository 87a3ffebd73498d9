//! Mutants of how records travel (CDR-01 to CDR-04, CDR-16, CDR-18).

use std::collections::{BTreeMap, BTreeSet};

use super::super::cdr::ReceiverKey;
use super::super::mutant::{Mutant, Question};
use super::fault::{Fault, posts};
use super::registry::{Registered, row};

const UNCOUNTED: (&str, &str) = ("CDR-12", "what was lost is not counted");
const GAP: (&str, &str) = ("CDR-10", "what was lost leaves a gap");
const LOST: (&str, &str) = ("CDR-13", "a receiver lacks what was lost");
const ORDER: (&str, &str) = ("CDR-10", "what comes later is missing before it comes");
const HALF: (&str, &str) = ("REC-04", "the record that begins a leg is lost");
const HALF_CALL: (&str, &str) = ("REC-03", "the record that begins a call is lost");
const NO_CALL: (&str, &str) = ("REC-14", "the record that begins a call is lost");
const AGREEMENT: (&str, &str) = ("REC-24", "the record of a call is lost");

const GIVEN_UP: &[(&str, &str)] = &[
    UNCOUNTED,
    GAP,
    LOST,
    HALF,
    HALF_CALL,
    NO_CALL,
    AGREEMENT,
    ("CDR-11", "what was lost leaves a gap in recordIndex"),
    ("REC-05", "the start of a recording is lost"),
    ("REC-06", "the end of a leg is lost"),
    ("REC-22", "the start of a leg is lost"),
];

const PASSED_OVER: &[(&str, &str)] = &[
    ("CDR-03", "what is no set of records counts as not sent"),
    ("CDR-10", "what is no set of records leaves a gap"),
    ("CDR-11", "what is no set of records leaves a gap in recordIndex"),
    ("CDR-12", "what is no set of records is not counted as missing"),
    ("CDR-13", "what is no set of records is missing"),
    ("CDR-19", "what is no set of records is missing at a good receiver"),
    ("REC-03", "the start of a call is in no set of records"),
    ("REC-04", "the start of a leg is in no set of records"),
    ("REC-05", "a start is in no set of records"),
    ("REC-06", "the end of a leg is in no set of records"),
    ("REC-07", "the start of a leg is in no set of records"),
    ("REC-14", "the start of a call is in no set of records"),
    ("REC-22", "the start of a leg is in no set of records"),
    ("REC-24", "a record of a call is in no set of records"),
];

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "empty-set-after-the-last",
        "CDR-01",
        &[],
        "A timer that finds nothing to send sends nothing all the same.",
        || {
            Fault::<BTreeMap<ReceiverKey, u64>>::new()
                .decide(|sent, question, answer| match question {
                    Question::SendsEmptySet { receiver } => {
                        let count = sent.entry(*receiver).or_default();
                        *count += 1;
                        !count.is_multiple_of(2)
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row("root-called-cdrs", "CDR-01", PASSED_OVER, "The root element was renamed in a draft of the format.", || {
        bodies(|_, body| replace(body, "records", "cdrs"))
    }),
    row("ampersand-as-it-is", "CDR-01", PASSED_OVER, "Names are put into the document without being escaped.", || {
        bodies(|_, body| replace(body, "&amp;", "&"))
    }),
    row(
        "repetition-by-put",
        "CDR-01",
        PASSED_OVER,
        "Whoever repeats takes the idempotent method for the right one.",
        || {
            posts(|_, _, post| {
                if post.attempt > 1 {
                    "PUT".clone_into(&mut post.method);
                }
            })
        },
    ),
    row(
        "end-of-the-longer-set-before",
        "CDR-01",
        PASSED_OVER,
        "A buffer is used again and sent to where its content ended before.",
        || {
            Fault::<BTreeMap<ReceiverKey, Vec<u8>>>::new()
                .body(|before, receiver, body| {
                    let own = body.clone();
                    if let Some(longer) = before.get(&receiver).filter(|before| before.len() > body.len() + 200) {
                        body.extend_from_slice(&longer[longer.len() - 10..]);
                    }
                    before.insert(receiver, own);
                })
                .boxed()
        },
    ),
    row("every-set-sent-twice", "CDR-02", &[], "Two workers take from one queue.", || {
        Fault::<BTreeSet<ReceiverKey>>::new()
            .decide(|again, question, answer| match question {
                Question::IsAcknowledged { receiver, .. } if answer => {
                    again.remove(receiver) || {
                        again.insert(*receiver);
                        false
                    }
                }
                _ => answer,
            })
            .boxed()
    }),
    row(
        "seventh-acknowledgement-overlooked",
        "CDR-02",
        &[],
        "An answer that comes with a timer's tick is lost.",
        || {
            Fault::<u64>::new()
                .decide(|count, question, answer| match question {
                    Question::IsAcknowledged { .. } if answer => {
                        *count += 1;
                        !count.is_multiple_of(7)
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "acknowledged-repetition-sent-again",
        "CDR-02",
        &[],
        "The answer to a repetition is booked on the first attempt.",
        || {
            Fault::<BTreeMap<ReceiverKey, bool>>::new()
                .decide(|failed, question, answer| match question {
                    Question::IsRepeated { receiver, status: None, .. } => {
                        failed.insert(*receiver, true);
                        answer
                    }
                    Question::IsAcknowledged { receiver, .. } if answer => {
                        failed.insert(*receiver, false) != Some(true)
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row("second-receiver-acknowledges-in-vain", "CDR-02", &[], "The answers of all receivers go to the first.", || {
        Fault::<u64>::new()
            .decide(|count, question, answer| match question {
                Question::IsAcknowledged { receiver: ReceiverKey(2), .. } if answer => {
                    *count += 1;
                    count.is_multiple_of(2)
                }
                _ => answer,
            })
            .boxed()
    }),
    row("client-error-is-final", "CDR-03", GIVEN_UP, "Statuses from 400 to 499 are held to be permanent.", || {
        given_up(|_, status| status.is_some_and(|status| (400..500).contains(&status)))
    }),
    row("failed-set-given-up", "CDR-03", GIVEN_UP, "Delivery is tried, and that is all.", || given_up(|_, _| true)),
    row("given-up-after-three-attempts", "CDR-03", GIVEN_UP, "A library for retries has a limit of its own.", || {
        given_up(|attempt, _| attempt >= 3)
    }),
    row(
        "closed-connection-taken-for-an-answer",
        "CDR-03",
        GIVEN_UP,
        "The end of the connection ends the exchange, whatever was read.",
        || given_up(|_, status| status.is_none()),
    ),
    row("last-two-of-a-large-set-swapped", "CDR-04", &[], "Two threads write into one set.", || {
        posts(|_, _, post| {
            let records = post.records();
            if let [_, .., former, latter] = records.as_mut_slice()
                && latter.missing.is_none()
            {
                std::mem::swap(former, latter);
                std::mem::swap(&mut former.record_index, &mut latter.record_index);
                std::mem::swap(&mut former.missing, &mut latter.missing);
            }
        })
    }),
    row(
        "two-sets-at-a-time",
        "CDR-04",
        &[
            ("CDR-18", "there is a second connection"),
            ("CDR-11", "a set overtakes another"),
            ("CDR-12", "a set overtakes another"),
            ("CDR-13", "what is discarded while a later set is under way is missing at this receiver alone"),
        ],
        "Sets go out over a pool of connections.",
        || {
            Fault::<()>::new()
                .decide(|(), question, answer| match question {
                    Question::MaySendNext { outstanding, .. } => *outstanding < 2,
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "new-before-repeated",
        "CDR-04",
        &[
            ORDER,
            UNCOUNTED,
            HALF,
            HALF_CALL,
            NO_CALL,
            ("CDR-11", "recordIndex runs backwards with it"),
            ("REC-05", "an end overtakes its start"),
            ("CDR-03", "the repetition waits for a pause"),
        ],
        "What failed goes to the end of the queue.",
        || {
            Fault::<()>::new()
                .decide(|(), question, answer| answer && !matches!(question, Question::RepeatsFirst { .. }))
                .boxed()
        },
    ),
    row("query-cut-off", "CDR-16", &[], "Only the path of the URI is kept.", || {
        posts(|_, _, post| {
            if let Some(at) = post.target.find('?') {
                post.target.truncate(at);
            }
        })
    }),
    row("query-decoded", "CDR-16", &[], "The URI is taken apart and put together again without its escapes.", || {
        posts(|_, _, post| {
            for (escape, character) in
                [("%20", "+"), ("%26", "&"), ("%3D", "="), ("%3d", "="), ("%2F", "/"), ("%2f", "/")]
            {
                post.target = post.target.replace(escape, character);
            }
        })
    }),
    row("query-sent-once", "CDR-16", &[], "What follows the first set is sent to what is left of the URI.", || {
        Fault::<BTreeSet<ReceiverKey>>::new()
            .post(|seen, _, mut post, pass| {
                if !seen.insert(post.receiver)
                    && let Some(at) = post.target.find('?')
                {
                    post.target.truncate(at);
                }
                pass.now(post);
            })
            .boxed()
    }),
    row("path-in-lower-case", "CDR-16", &[], "A URI is folded to find equal ones.", || {
        posts(|_, _, post| post.target = post.target.to_lowercase())
    }),
    row("connection-per-set", "CDR-18", &[], "The HTTP library is used in its simplest form.", || {
        Fault::<()>::new()
            .decide(|(), question, answer| answer && !matches!(question, Question::KeepsConnection { .. }))
            .boxed()
    }),
    row("connection-per-set-after-a-failure", "CDR-18", &[], "After an error the careful mode stays on.", || {
        Fault::<BTreeSet<ReceiverKey>>::new()
            .decide(|failed, question, answer| match question {
                Question::IsRepeated { receiver, .. } => {
                    failed.insert(*receiver);
                    answer
                }
                Question::KeepsConnection { receiver } => answer && !failed.contains(receiver),
                _ => answer,
            })
            .boxed()
    }),
    row("only-the-first-receiver-is-kept-open", "CDR-18", &[], "The pool of connections holds one.", || {
        Fault::<()>::new()
            .decide(|(), question, answer| match question {
                Question::KeepsConnection { receiver } => answer && receiver.0 == 1,
                _ => answer,
            })
            .boxed()
    }),
];

type OnBody = fn(&mut u64, &mut Vec<u8>);

/// A mutant that changes every body.
fn bodies(change: OnBody) -> Box<dyn Mutant> {
    Fault::<(u64, Option<OnBody>)>::new()
        .body(|(count, change), _, body| {
            if let Some(change) = change {
                change(count, body);
            }
        })
        .with((0, Some(change)))
        .boxed()
}

type IsGivenUp = fn(u64, Option<u16>) -> bool;

/// A mutant that gives up sets, by the number of attempts and the status of the last answer.
fn given_up(when: IsGivenUp) -> Box<dyn Mutant> {
    Fault::<Option<IsGivenUp>>::new()
        .decide(|when, question, answer| match question {
            Question::IsRepeated { attempt, status, .. } => answer && !when.is_some_and(|when| when(*attempt, *status)),
            _ => answer,
        })
        .with(Some(when))
        .boxed()
}

/// Replaces a text in a body, as far as the body is text.
fn replace(body: &mut Vec<u8>, old: &str, new: &str) {
    let text = String::from_utf8_lossy(body).replace(&format!("<{old} "), &format!("<{new} "));
    let text = text.replace(&format!("</{old}>"), &format!("</{new}>"));
    *body = if old.starts_with('&') { text.replace(old, new) } else { text }.into_bytes();
}
