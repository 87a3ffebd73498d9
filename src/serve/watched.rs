//! A judge and a chronicle of what connects, in reach of both the shell and the one who reports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
