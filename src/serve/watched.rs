//! A judge and a chronicle of what connects, in reach of both the shell and the one who reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::load::{Moment, Standing, Watch, Watcher};
use crate::report::assemble::ScenarioRun;
use crate::rules::{Context, Deadlines, Judge, R};
use crate::spec::{Subject, Version};
use crate::trace::{Chronicle, Event, Observation, Side, Sink};

/// A judge and a chronicle that both the shell and the one who reports can reach.
#[derive(Clone)]
pub(super) struct Watched(Arc<Mutex<Option<Watching>>>);

struct Watching {
    judge: Judge,
    chronicle: Chronicle,
    /// Whether an events client has connected.
    clients: bool,
    /// Whether a CDR receiver was connected to.
    receivers: bool,
}

impl Watched {
    pub(super) fn new() -> Self {
        let context = Context {
            judged: Side::Client,
            observer: Side::Server,
            version: Version::LATEST,
            clustered: Some(false),
            deadlines: Deadlines::default(),
        };
        let (judge, chronicle) = (Judge::new(context), Chronicle::new());
        Self(Arc::new(Mutex::new(Some(Watching { judge, chronicle, clients: false, receivers: false }))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Watching>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many findings there are so far.
    fn found(&self) -> u64 {
        self.lock().as_ref().map_or(0, |watching| watching.judge.found())
    }

    /// Who watches a load, if every second is to have the findings that were made in it.
    pub(super) fn counting(&self, watch: Watch) -> Watch {
        Watch(Some(Arc::new(Counting { watch, watched: self.clone(), counted: AtomicU64::new(0) })))
    }

    /// Puts what was judged into the run.
    pub(super) fn judge(&self, run: &mut ScenarioRun) {
        let Some(Watching { judge, chronicle, clients, receivers }) = self.lock().take() else { return };
        // Where nobody came, events clients were expected.
        let wanted = |subject| match subject {
            Subject::Client => clients || !receivers,
            Subject::Receiver => receivers,
            _ => false,
        };
        let all = R::ALL.iter().map(|rule| rule.id());
        run.exercises = all.filter(|id| wanted(id.get().subject)).collect();
        run.judgement = judge.finish();
        let cited: BTreeSet<_> = run.judgement.findings.iter().flat_map(|finding| finding.evidence.clone()).collect();
        run.evidence = cited.into_iter().filter_map(|seq| Some((seq, chronicle.line(seq)?))).collect();
        run.connections = chronicle.clients().map(|(id, name)| (id, name.to_owned())).collect::<BTreeMap<_, _>>();
        run.observations = chronicle.count();
    }
}

impl Sink for Watched {
    fn observe(&mut self, observation: &Observation<'_>) {
        if let Some(Watching { judge, chronicle, clients, receivers }) = self.lock().as_mut() {
            *clients |= matches!(observation.event, Event::Opening { .. });
            *receivers |= matches!(observation.event, Event::LinkOpened { .. });
            judge.observe(observation);
            chronicle.observe(observation);
            chronicle.keep(judge.findings().iter().map(|finding| finding.evidence.as_slice()));
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

/// Adds to each second of a load the findings that were made in it.
#[derive(Debug)]
struct Counting {
    watch: Watch,
    watched: Watched,
    /// How many findings there were when the present second began.
    counted: AtomicU64,
}

impl Watcher for Counting {
    fn begins(&self) {
        self.counted.store(self.watched.found(), Ordering::Relaxed);
        if let Some(watcher) = &self.watch.0 {
            watcher.begins();
        }
    }

    fn watch(&self, standing: &Standing, moment: &mut Moment) {
        let found = self.watched.found();
        moment.counts.findings = found.saturating_sub(self.counted.swap(found, Ordering::Relaxed));
        if let Some(watcher) = &self.watch.0 {
            watcher.watch(standing, moment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Counts;
    use crate::protocol::ws::frame::{Frame, Header, Opcode};
    use crate::protocol::ws::handshake;
    use crate::time::Instant;
    use crate::trace::{ConnectionId, Seq};

    #[test]
    fn each_second_has_the_findings_that_were_made_in_it() {
        let watched = Watched::new();
        let watch = watched.counting(Watch::default()).0.unwrap();
        let (mut seq, connection) = (0, ConnectionId(1));
        let mut observe = |event: Event<'_>| {
            seq += 1;
            watched.clone().observe(&Observation { seq: Seq(seq), at: Instant::from_millis(seq), event });
        };
        let second = || {
            let mut moment = Moment::at(0, Counts::default());
            watch.watch(&Standing::default(), &mut moment);
            moment.counts.findings
        };
        watch.begins();
        let request = handshake::upgrade_request(Some("token"), [7; 16]);
        observe(Event::Opening { connection, client: "c", request: &request });
        observe(Event::Opened { connection, response: &handshake::switching_protocols(&request) });
        assert_eq!(second(), 0);
        let header = Header { mask: Some([1; 4]), ..Header::new(Opcode::BINARY, 0) };
        observe(Event::Frame { connection, from: Side::Client, frame: Frame { header, payload: b"" }, text: None });
        assert_eq!([second(), second()], [1, 0]);
    }
}
