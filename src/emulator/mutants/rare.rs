//! Mutants that deviate once in a hundred thousand times: only a load finds them.
//!
//! They are not in the list that the suite is proven with, which ends long before, and are chosen by name like the others.

use super::super::typed::Event;
use super::fault::Fault;
use super::registry::{Registered, row};
use crate::protocol::events::UpdateType;

/// How many updates are as they should be before one is not.
const RARELY: u64 = 100_000;

pub(super) const MUTANTS: &[Registered] = &[row(
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
)];
