//! Mutants of who gets records (CDR-13 to CDR-15, CDR-19).

use std::collections::{BTreeMap, BTreeSet};

use super::super::cdr::ReceiverKey;
use super::super::mutant::{Mutant, Question};
use super::super::typed::{Effect, ExchangeKey, Input};
use super::fault::Fault;
use super::registry::{Registered, row};
use crate::protocol::http::{Method, Response};

const NODE: &str = "/system/cdrreceivers";

const GAP: (&str, &str) = ("CDR-10", "what is not sent leaves a gap");
const COUNTED: (&str, &str) = ("CDR-12", "what is not sent was not discarded");
const EVERYTHING: (&str, &str) = ("CDR-13", "a receiver lacks records");
const LEG: (&str, &str) = ("REC-04", "the start of a leg is missing");
const CALL: (&str, &str) = ("REC-03", "the start of a call is missing");
const NO_CALL: (&str, &str) = ("REC-14", "the start of a call is missing");
const PARTS: (&str, &str) = ("REC-05", "the start of a recording is missing");
const COUNTS: (&str, &str) = ("REC-06", "the end of a leg is missing");
const AGREEMENT: (&str, &str) = ("REC-24", "a record of a call is missing");
const NAMES: (&str, &str) = ("REC-22", "the leg of a recording is missing");

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "three-receivers-at-most",
        "CDR-13",
        &[("CDR-14", "there are no four to go on"), ("CDR-15", "a receiver cannot be created")],
        "One place is kept for the product's own manager.",
        || places(3),
    ),
    row(
        "fourth-receiver-gets-nothing",
        "CDR-13",
        &[AGREEMENT, ("CDR-19", "the fourth gets nothing beside bad ones")],
        "The table of senders has three rows.",
        || unserved(|receiver, _| receiver.0 == 4),
    ),
    row(
        "third-receiver-skips-now-and-then",
        "CDR-13",
        &[GAP, COUNTED, LEG, CALL, NO_CALL, PARTS, COUNTS, AGREEMENT, NAMES],
        "A lock is tried, not waited for.",
        || unserved(|receiver, index| receiver.0 == 3 && index % 3 == 2),
    ),
    row("fifth-receiver-is-taken", "CDR-14", &[], "The comparison is off by one.", || places(5)),
    row(
        "fifth-receiver-accepted-and-forgotten",
        "CDR-14",
        &[("CDR-15", "what was created is not there"), EVERYTHING],
        "The failure is logged, and the answer is the usual one.",
        || {
            Fault::<bool>::new()
                .decide(|refused, question, answer| {
                    if matches!(question, Question::IsReceiverPlaceFree(_)) {
                        *refused = !answer;
                    }
                    answer
                })
                .effect(|refused, _, mut effect, pass| {
                    if let Effect::Answer { response, .. } = &mut effect
                        && std::mem::take(refused)
                    {
                        *response = Response::new(200);
                        let nobody = "/api/v1/system/cdrReceivers/00000000-0000-4000-8000-000000000005";
                        response.headers.push("Location", nobody);
                    }
                    pass.now(effect);
                })
                .boxed()
        },
    ),
    row(
        "fifth-attempt-stops-the-fourth",
        "CDR-14",
        &[
            ("CDR-13", "the fourth gets nothing any more"),
            AGREEMENT,
            ("CDR-19", "the fourth gets nothing any more"),
            GAP,
        ],
        "The last row of the table is cleared for the newcomer before the check.",
        || disturbed(|receiver| receiver.0 == 4),
    ),
    row("uri-shown-without-path", "CDR-15", &[], "Only the host is kept for show.", || {
        rewriting(|text| match (text.find("://"), text.find("</uri>")) {
            (Some(from), Some(to)) if from < to && text.matches("<uri>").count() == 1 => {
                let shown = text[from + 3..to].split('/').next().unwrap_or_default();
                format!("{}://{shown}{}", &text[..from], &text[to..])
            }
            _ => text.to_owned(),
        })
    }),
    row(
        "deleted-receiver-served-on",
        "CDR-15",
        &[("CDR-18", "two senders reach the same place")],
        "The list is changed, the sender is not told.",
        || {
            Fault::<()>::new()
                .decide(|(), question, answer| answer && !matches!(question, Question::EndsWithDelete { .. }))
                .boxed()
        },
    ),
    row(
        "change-of-receiver-without-effect",
        "CDR-15",
        &[("CDR-16", "the new URI is not used"), EVERYTHING],
        "PUT reads its parameters from the query.",
        || {
            Fault::<()>::new()
                .input(|(), _, mut input, pass| {
                    if let Input::Request { request, .. } = &mut input
                        && request.method == Method::Put
                        && request.path().to_ascii_lowercase().contains(NODE)
                    {
                        request.body.clear();
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row(
        "newest-receiver-not-listed",
        "CDR-15",
        &[("CDR-14", "the list is not that of the four")],
        "The list is read before the change is stored.",
        || {
            rewriting(|text| match (text.rfind("<cdrReceiver "), text.rfind("</cdrReceivers>")) {
                (Some(from), Some(to)) if from < to => {
                    let left = text[..from].matches("<cdrReceiver ").count();
                    let total = |count: usize| format!("total=\"{count}\"");
                    format!("{}{}", &text[..from], &text[to..]).replace(&total(left + 1), &total(left))
                }
                _ => text.to_owned(),
            })
        },
    ),
    row("all-wait-for-the-slowest", "CDR-19", &[AGREEMENT], "One thread serves all receivers.", || waiting(|_| true)),
    row(
        "later-receivers-wait-for-the-first",
        "CDR-19",
        &[AGREEMENT],
        "A loop over receivers stops at the first error.",
        || waiting(|receiver| receiver.0 > 1),
    ),
    row(
        "newest-receiver-stops-when-another-fails",
        "CDR-19",
        &[EVERYTHING, AGREEMENT],
        "The error of one sender ends the thread that the newest one shares with it.",
        || {
            Fault::<(BTreeSet<ReceiverKey>, BTreeSet<ReceiverKey>)>::new()
                .decide(|(known, stopped), question, answer| match question {
                    Question::GoesAlone { receiver, others_failing, .. } => {
                        known.insert(*receiver);
                        if *others_failing && known.last() == Some(receiver) {
                            stopped.insert(*receiver);
                        }
                        answer && !stopped.contains(receiver)
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "others-lose-while-one-fails",
        "CDR-10",
        &[
            EVERYTHING,
            ("CDR-03", "a record seems not to be sent"),
            ("CDR-19", "what fails elsewhere costs a good receiver records"),
            COUNTED,
            LEG,
            CALL,
            NO_CALL,
            PARTS,
            COUNTS,
            AGREEMENT,
            NAMES,
        ],
        "The buffer of the one that fails uses up the memory of all.",
        || {
            Fault::<BTreeMap<ReceiverKey, bool>>::new()
                .decide(|failing, question, answer| match question {
                    Question::GoesAlone { receiver, others_failing, .. } => {
                        failing.insert(*receiver, *others_failing);
                        answer
                    }
                    Question::Receives { receiver, index } => {
                        answer && !(failing.get(receiver) == Some(&true) && index % 3 == 0)
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
];

type IsUnserved = fn(ReceiverKey, u64) -> bool;

/// A mutant that does not queue some records for some receivers.
fn unserved(when: IsUnserved) -> Box<dyn Mutant> {
    Fault::<Option<IsUnserved>>::new()
        .decide(|when, question, answer| match question {
            Question::Receives { receiver, index } => answer && !when.is_some_and(|when| when(*receiver, *index)),
            _ => answer,
        })
        .with(Some(when))
        .boxed()
}

/// A mutant with another number of places for receivers.
fn places(most: u64) -> Box<dyn Mutant> {
    Fault::<u64>::new()
        .decide(|most, question, answer| match question {
            Question::IsReceiverPlaceFree(count) => count < most,
            _ => answer,
        })
        .with(most)
        .boxed()
}

pub(super) type IsThisOne = fn(ReceiverKey) -> bool;

/// A mutant that stops serving receivers when a fifth one is asked for.
pub(super) fn disturbed(which: IsThisOne) -> Box<dyn Mutant> {
    Fault::<(bool, Option<IsThisOne>)>::new()
        .decide(|(asked, which), question, answer| match question {
            Question::IsReceiverPlaceFree(count) => {
                *asked |= *count >= 4;
                answer
            }
            Question::Receives { receiver, .. } => answer && !(*asked && which.is_some_and(|which| which(*receiver))),
            _ => answer,
        })
        .with((false, Some(which)))
        .boxed()
}

/// A mutant whose receivers of this kind wait while another fails, unless they fail themselves.
fn waiting(which: IsThisOne) -> Box<dyn Mutant> {
    Fault::<(BTreeSet<ReceiverKey>, Option<IsThisOne>)>::new()
        .decide(|(failing, which), question, answer| match question {
            Question::IsRepeated { receiver, .. } => {
                failing.insert(*receiver);
                answer
            }
            Question::IsAcknowledged { receiver, .. } if answer => {
                failing.remove(receiver);
                answer
            }
            Question::GoesAlone { receiver, others_failing, .. } => {
                let held = *others_failing && !failing.contains(receiver);
                answer && !(held && which.is_some_and(|which| which(*receiver)))
            }
            _ => answer,
        })
        .with((BTreeSet::new(), Some(which)))
        .boxed()
}

type Rewrite = fn(&str) -> String;

/// A mutant that answers GETs of receivers otherwise.
fn rewriting(change: Rewrite) -> Box<dyn Mutant> {
    Fault::<(BTreeSet<ExchangeKey>, Option<Rewrite>)>::new()
        .input(|(asked, _), _, input, pass| {
            if let Input::Request { exchange, request } = &input
                && request.method == Method::Get
                && request.path().to_ascii_lowercase().contains(NODE)
            {
                asked.insert(*exchange);
            }
            pass.now(input);
        })
        .effect(|(asked, change), _, mut effect, pass| {
            if let (Effect::Answer { exchange, response, .. }, Some(change)) = (&mut effect, change)
                && asked.remove(exchange)
            {
                response.body = change(&response.text()).into_bytes();
            }
            pass.now(effect);
        })
        .with((BTreeSet::new(), Some(change)))
        .boxed()
}
