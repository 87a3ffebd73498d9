//! `compare`: reads the state of the target over the API at rest, so that the rules can hold it against the events.
//!
//! While the sink says that something is due, the state is read again: what is not there yet may come in time.

use std::time::Duration;

use super::core::{Core, Handle, Stop};
use crate::protocol::api::xml::Element;
use crate::scenario::syntax::Compare;
use crate::trace::{Event, Seq, Sink};

/// How many entries of a list are asked for at once.
const PAGE: usize = 20;

/// How many pages of a list are read at most.
const PAGE_LIMIT: usize = 500;

/// How long the engine rests before it reads the state again.
const AGAIN: Duration = Duration::from_millis(200);

impl<S: Sink + Send> Handle<S> {
    pub(super) async fn compare(&self, step: &Compare) -> Result<(), Stop> {
        self.rest(None).await?;
        let chosen = match &step.calls {
            Some(calls) => {
                Some(self.with(|core| calls.iter().map(|call| core.resolve(call)).collect::<Result<Vec<_>, _>>())?)
            }
            None => None,
        };
        let bound = self.deadline(None);
        loop {
            self.snapshot(chosen.as_deref()).await?;
            let due = |core: &mut Core<S>| core.trace.due().is_some_and(|due| due >= core.now);
            if !self.with(due) || self.now() >= bound {
                return Ok(());
            }
            self.pause(AGAIN).await?;
        }
    }

    async fn snapshot(&self, chosen: Option<&[String]>) -> Result<(), Stop> {
        let since = self.with(|core| Seq(core.trace.last().0 + 1));
        let listed = self.list("/calls", "call").await?;
        let made = self.with(|core| core.api.calls_made.clone());
        for call in listed.iter().filter(|call| chosen.unwrap_or(&made).contains(call)) {
            self.read(&format!("/calls/{call}")).await?;
            for participant in self.list(&format!("/calls/{call}/participants"), "participant").await? {
                self.read(&format!("/participants/{participant}")).await?;
                for leg in self.list(&format!("/participants/{participant}/callLegs"), "callLeg").await? {
                    self.read(&format!("/callLegs/{leg}")).await?;
                }
            }
        }
        self.with(|core| core.observe(Event::Snapshot { since }));
        Ok(())
    }

    /// The ids of all entries of a list, page by page.
    async fn list(&self, path: &str, entry: &str) -> Result<Vec<String>, Stop> {
        let mut ids = Vec::new();
        for _ in 0..PAGE_LIMIT {
            let page = self.read(&format!("{path}?offset={}&limit={PAGE}", ids.len())).await?;
            let before = ids.len();
            ids.extend(entries(&page, entry));
            let total = page.get_attribute("total").and_then(|total| total.parse::<usize>().ok()).unwrap_or(0);
            if ids.len() == before || ids.len() >= total {
                break;
            }
        }
        Ok(ids)
    }
}

fn entries(page: &Element, entry: &str) -> impl Iterator<Item = String> {
    page.children
        .iter()
        .filter(move |child| child.name == entry)
        .filter_map(|child| child.get_attribute("id"))
        .map(str::to_owned)
}
