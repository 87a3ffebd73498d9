//! Tags in records: the one that was configured (REC-12). How long it may be is judged in `content.rs`.
//!
//! A tag may be changed while records are under way. Until the change was surely made when a record was, each of the
//! tags that there were is right.

use super::Moment;
use super::content::Facts;
use super::history::{Leg, Reach};
use super::ledger::Ledger;
use crate::protocol::cdr::{FieldName, RecordType};
use crate::rules::docket::quote;
use crate::rules::registry::R;
use crate::rules::verdict::Deadlines;
use crate::time::Instant;

/// The tag of a leg may be set when the leg is there already, and is the one that was configured where it is shown.
pub(super) fn leg_tag(facts: &Facts<'_>, leg: &mut Leg, reach: Reach, ledger: &Ledger, moment: &mut Moment<'_>) {
    let ends = facts.kind == RecordType::CallLegEnd;
    if facts.text(FieldName::CdrTag).is_some() || (ends && leg.whole && !leg.tagged) {
        leg.tagged = true;
        let Deadlines { reaction, redelivery } = moment.deadlines;
        let (at, prompt) = (moment.at, matches!(reach, Reach::Since(_)));
        tag(facts, facts.id, |since| prompt && at > since + reaction + redelivery, ledger, moment);
    }
}

/// The tag is the one that was configured. `later` tells whether the record was surely made after an instant.
pub(super) fn tag(
    facts: &Facts<'_>,
    tagged: u128,
    later: impl Fn(Instant) -> bool,
    ledger: &Ledger,
    moment: &mut Moment<'_>,
) {
    let Some(tag) = ledger.tag(tagged) else { return };
    let settled = tag.since.is_some_and(later);
    if tag.open && !settled {
        return;
    }
    let told = facts.get(FieldName::CdrTag).unwrap_or_default();
    let from = if settled { tag.values.len().saturating_sub(1) } else { 0 };
    if tag.values[from..].iter().any(|value| value.trim() == told || value.chars().count() > 100) {
        return moment.docket.tested(R::Rec12);
    }
    let seq = tag.seq;
    let expected = match tag.values.last().filter(|value| !value.is_empty()) {
        Some(value) => format!("the cdrTag {}", quote(value)),
        None => "no cdrTag".to_owned(),
    };
    moment.fail(R::Rec12, &expected, quote(told), &[seq]);
}
