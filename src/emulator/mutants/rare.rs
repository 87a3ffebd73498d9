//! Mutants that deviate once in a hundred thousand times: only a load finds them.
//!
//! They are not in the list that the suite is proven with, which ends long before, and are chosen by name like the others.

use super::super::typed::Event;
use super::fault::{Fault, entries};
use super::registry::{Registered, row};
use crate::protocol::events::UpdateType;

/// How many updates are as they should be before one is not.
const RARELY: u64 = 100_000;

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "one-in-a-hundred-thousand-told-twice",
        "UPD-06",
        &[],
        "A buffer is full just when its sender wakes, and is sent again.",
        || {
            Fault::<u64>::new()
                .event(|count, _, to, event, pass| {
                    if let Event::Update { entries, .. } = &event
                        && entries.iter().all(|entry| entry.kind == UpdateType::Update)
                    {
                        *count += 1;
                        if count.is_multiple_of(RARELY) {
                            pass.now((to, event.clone()));
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "one-lock-in-a-hundred-thousand-told-in-another-word",
        "UPD-09",
        &[("UPD-06", "the next change tells what stood before"), ("UPD-14", "what is told is not what stands")],
        "A table of words is read while it is replaced.",
        || {
            entries(|count, _, _, entry| {
                if entry.kind == UpdateType::Update && entry.fields.contains_key("lockState") {
                    *count += 1;
                    if count.is_multiple_of(RARELY) {
                        entry.fields.insert("lockState".to_owned(), "shut".into());
                    }
                }
                true
            })
        },
    ),
];
