//! The engine: one scenario from its first step to the last exchange of tidying up.
//!
//! At the end, in this order: the trace goes on while the sink says that something is due; open connections are closed
//! in order; CDR receivers are removed from the target and listen no more; what else was made on the target is removed,
//! and only that. So it is after a failure, too. After an interruption nothing is waited for that only the judge would
//! like to see.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use super::core::{Core, Handle, Stop};
use super::driver::{Command, Input};
use super::options::Options;
use super::outcome::{End, Outcome, StepMark};
use super::scratch::Scratch;
use super::step_text;
use crate::load::Part;
use crate::load::search::Search;
use crate::scenario::syntax::{Repeat, Scenario, Step, Stimulus};
use crate::time::Instant;
use crate::trace::{Event, Sink};

/// From when on the harness counts as late.
const LATE: Duration = Duration::from_millis(250);

/// How long a scenario may take unless it says otherwise.
const SCENARIO_DEADLINE: Duration = Duration::from_secs(60);

/// Carries out one scenario over a driver.
pub struct Engine<'s, S: Sink> {
    handle: Handle<S>,
    work: Option<Pin<Box<dyn Future<Output = End> + Send + 's>>>,
    started: bool,
    /// Whether something has arrived that was only acknowledged so far.
    is_looking: bool,
    end: Option<End>,
}

impl<S: Sink> fmt::Debug for Engine<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("started", &self.started).field("end", &self.end).finish_non_exhaustive()
    }
}

impl<'s, S: Sink + Send + 's> Engine<'s, S> {
    /// An engine for `scenario`, which is called `id`. It begins with the first input, which should be a
    /// [`Input::Tick`].
    pub fn new(id: &str, scenario: &'s Scenario, options: Options, sink: S) -> Self {
        let handle = Handle::new(Core::new(scenario, options, sink));
        let work = Box::pin(carry_out(handle.clone(), id.to_owned(), scenario));
        Self { handle, work: Some(work), started: false, is_looking: false, end: None }
    }

    /// Has the engine carry out only this part of the load, beside others that have the rest. The scenario is that of the
    /// part: it says what this server gets.
    #[must_use]
    pub fn with_part(self, part: Part) -> Self {
        self.handle.with(|core| core.part = Some(part));
        self
    }

    /// Takes what happened. Commands follow from [`Engine::poll_command`].
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        while self.look() {}
        let is_first = !std::mem::replace(&mut self.started, true);
        if is_first {
            self.handle.with(|core| {
                core.now = now.max(core.now);
                core.last_activity = now;
            });
            // The scenario's beginning comes before anything that the first input causes.
            self.poll_work();
        }
        let has_work = self.work.is_some();
        let is_arrival = matches!(input, Input::Received { .. } | Input::LinkReceived { .. });
        let (is_looking, is_calm) = self.handle.with(|core| {
            let meant = if has_work { core.poll_timeout() } else { None };
            core.now = now.max(core.now);
            if let Some(by) = meant.map(|at| now.since(at)).filter(|by| !is_first && *by > LATE) {
                core.observe(Event::HarnessLate { by });
            }
            core.take(input);
            (core.is_looking(), core.is_calm())
        });
        self.is_looking = is_looking;
        if !is_looking && (!is_arrival || !is_calm) {
            self.poll_work();
        }
    }

    /// Looks at what has arrived and was only acknowledged so far, or at a part of it. Whether there was something.
    fn look(&mut self) -> bool {
        if !self.is_looking {
            return false;
        }
        let (is_looking, is_calm) = self.handle.with(|core| {
            core.look();
            (core.is_looking(), core.is_calm())
        });
        self.is_looking = is_looking;
        if !is_looking && !is_calm {
            self.poll_work();
        }
        true
    }

    fn poll_work(&mut self) {
        let Some(work) = &mut self.work else { return };
        self.handle.with(Core::reset_timer);
        let mut context = Context::from_waker(Waker::noop());
        if let std::task::Poll::Ready(end) = work.as_mut().poll(&mut context) {
            self.end = Some(end);
            self.work = None;
        }
    }

    /// The next command, in the order in which they are to be carried out. Acks of what has arrived come first, and are best
    /// carried out before the next one is asked for: only then it is looked at more deeply what that was.
    pub fn poll_command(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = self.handle.with(|core| core.commands.pop_front()) {
                return Some(command);
            }
            if !self.look() {
                return None;
            }
        }
    }

    /// Takes back the bytes of a [`Command::Send`] once they are sent, so that sending needs no new memory.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        self.handle.with(|core| core.scratch.recycle(bytes));
    }

    /// Takes another scratch and hands out its own, so that engines that one thread drives in turns can share one.
    ///
    /// To be called before an input, and again once [`Engine::poll_command`] has given `None`: what was taken in before lies in
    /// the scratch. Where that is not done it is looked at now.
    pub fn exchange_scratch(&mut self, scratch: &mut Box<Scratch>) {
        debug_assert!(!self.is_looking, "all commands were asked for");
        while self.look() {}
        self.handle.with(|core| std::mem::swap(&mut core.scratch, scratch));
    }

    /// When the engine wants a [`Input::Tick`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.started, &self.work) {
            (false, _) => Some(Instant::ZERO),
            (true, None) => None,
            (true, Some(_)) => self.handle.with(|core| core.poll_timeout()),
        }
    }

    /// Whether the scenario is over, tidying up included. Commands may be left that have to be carried out.
    pub fn is_done(&self) -> bool {
        self.work.is_none()
    }

    /// Ends the steps for a reason of the driver's, as a step that could not be carried out would. Takes effect with the
    /// next input.
    pub fn stop(&mut self, why: &str) {
        self.handle.with(|core| core.stop = Some(Stop::Unfinished(why.to_owned())));
    }

    /// The sink and what became of the scenario. An engine that is not done counts as interrupted.
    pub fn finish(mut self) -> (S, Outcome) {
        while self.look() {}
        let Self { handle, work, end, .. } = self;
        drop(work);
        let core = handle.into_core().expect("the work that held the other handle is dropped");
        let outcome = Outcome {
            end: end.unwrap_or(End::Interrupted),
            failed_expectations: core.failed_expectations,
            network_errors: core.network_errors,
            cut: core.cut,
            left_behind: core.api.left_behind,
            left_because: core.api.left_because,
            observations: core.trace.last().0,
            steps: core.steps,
            loaded: core.part.and_then(|part| part.loaded_alone()),
        };
        (core.trace.into_sink(), outcome)
    }
}

/// The whole scenario.
async fn carry_out<S: Sink + Send>(handle: Handle<S>, id: String, scenario: &Scenario) -> End {
    handle.with(|core| {
        let limit = scenario.deadline.map_or_else(|| default_deadline(scenario), |time| time.0);
        core.deadline = Some((core.now + limit, limit));
        core.observe(Event::ScenarioStarted { id: &id });
        if let Some(unix_ms) = core.options.wall_clock_unix_ms {
            core.observe(Event::WallClock { unix_ms });
        }
    });
    let done = match &scenario.load {
        None => run_steps(&handle, scenario.steps.iter().map(|step| &step.value)).await,
        Some(load) => handle.load(&load.value).await,
    };
    let mut end = match done {
        Ok(()) => End::Finished,
        Err(Stop::Interrupted) => End::Interrupted,
        Err(Stop::Unfinished(why)) => {
            let step = handle.with(|core| core.steps.last().map_or(0, |mark| mark.number));
            End::Unfinished { step, why }
        }
    };
    handle.with(|core| core.ending = true);
    handle.linger().await;
    handle.close_all().await;
    handle.linger().await;
    handle.stop_receiving().await;
    handle.clean_up().await;
    handle.with(|core| {
        if core.interrupted && end == End::Finished {
            end = End::Interrupted;
        }
        let unfinished = match &end {
            End::Finished => None,
            End::Unfinished { why, .. } => Some(why.as_str()),
            End::Interrupted => Some("interrupted"),
        };
        core.observe(Event::ScenarioEnded { unfinished });
    });
    end
}

/// What a stretch of load may take before and after work begins, until the server rests and what was left is removed.
const AROUND_A_STRETCH: Duration = Duration::from_secs(15);

/// How long a request may take that makes what a load is put on.
const FOR_ONE_OBJECT: Duration = Duration::from_millis(100);

/// How long a scenario may take that does not say so itself.
pub fn default_deadline(scenario: &Scenario) -> Duration {
    let of_load = scenario.load.as_ref().map(|load| {
        let load = &load.value;
        let tries = load.capacity.as_ref().map_or(1, |capacity| Search::<()>::new(capacity.plan()).most_probes());
        let weights = Stimulus::ALL.map(|stimulus| load.stimuli.weight(stimulus)).into_iter();
        let lasts = weights.filter(|weight| weight.weight > 0).map(|weight| weight.lasts()).max().unwrap_or_default();
        // Making one takes a few requests; so does seeing that it is there.
        let made = load.calls().saturating_mul(load.participants().saturating_mul(4).saturating_add(2));
        let made = made.saturating_add(load.connections().saturating_mul(4)).saturating_add(128);
        (load.executor().duration() + load.within() * 5 + lasts + AROUND_A_STRETCH) * tries + FOR_ONE_OBJECT * made
    });
    SCENARIO_DEADLINE + of_load.unwrap_or_default()
}

/// Carries out steps in order.
async fn run_steps<'s, S: Sink + Send>(
    handle: &Handle<S>,
    steps: impl Iterator<Item = &'s Step> + Send,
) -> Result<(), Stop> {
    for step in steps {
        if let Step::Repeat(repeat) = step {
            Box::pin(run_repeat(handle, repeat)).await?;
            continue;
        }
        handle.with(|core| {
            let text = step_text::of(step, |template| core.resolve(template).unwrap_or_else(|_| template.0.clone()));
            let number = u32::try_from(core.steps.len() + 1).unwrap_or(u32::MAX);
            let seq = core.observe(Event::StepStarted { number, text: &text });
            core.steps.push(StepMark { number, text, seq });
        });
        run_step(handle, step).await?;
    }
    Ok(())
}

/// Carries out the steps of a loop once for each number.
async fn run_repeat<S: Sink + Send>(handle: &Handle<S>, repeat: &Repeat) -> Result<(), Stop> {
    for number in repeat.from.unwrap_or(1)..=repeat.to {
        handle.with(|core| core.variables.insert(repeat.each.clone(), number.to_string()));
        run_steps(handle, repeat.steps.iter().map(|step| &step.value)).await?;
    }
    handle.with(|core| core.variables.remove(&repeat.each));
    Ok(())
}

/// Carries out one step.
async fn run_step<S: Sink + Send>(handle: &Handle<S>, step: &Step) -> Result<(), Stop> {
    match step {
        Step::Token(step) => handle.token(step).await,
        Step::Connect(step) => handle.connect(step).await,
        Step::Close(step) => handle.close(step).await,
        Step::Drop(step) => handle.drop_connection(step),
        Step::Subscribe(step) => handle.subscribe(step).await,
        Step::Acks(step) => handle.set_acks(step),
        Step::Ack(step) => handle.ack(step),
        Step::Send(step) => handle.send(step).await,
        Step::SendText(step) => handle.send_text(step),
        Step::SendFrame(step) => handle.send_frame(step),
        Step::SendBytes(step) => handle.send_bytes(step),
        Step::CreateSpace(step) => handle.create_space(step).await,
        Step::DeleteSpace(step) => handle.delete_space(step).await,
        Step::StartCall(step) => handle.start_call(step).await,
        Step::ChangeCall(step) => handle.change_call(step).await,
        Step::EndCall(step) => handle.end_call(step).await,
        Step::Dial(step) => handle.dial(step).await,
        Step::ChangeParticipant(step) => handle.change_participant(step).await,
        Step::ChangeLeg(step) => handle.change_leg(step).await,
        Step::HangUp(step) => handle.hang_up(step).await,
        Step::Move(step) => handle.move_participant(step).await,
        Step::Request(step) => handle.request(step).await,
        Step::CallIn(step) => handle.call_in(step).await,
        Step::Emulate(step) => handle.emulate(step).await,
        Step::Listen(step) => handle.listen(&step.receiver.value).await.map(drop),
        Step::Refuse(step) => handle.refuse(step),
        Step::Register(step) => handle.register(step).await,
        Step::ChangeReceiver(step) => handle.change_receiver(step).await,
        Step::Unregister(step) => handle.unregister(step).await,
        Step::Plan(step) => handle.make_plan(step),
        Step::WaitRecord(step) => handle.wait_record(step).await,
        Step::WaitSet(step) => handle.wait_set(step).await,
        Step::Restart(step) => handle.restart(step).await,
        Step::Wait(step) => handle.wait(step).await,
        Step::Rest(step) => handle.rest(step.quiet.map(|time| time.0)).await,
        Step::Pause(step) => handle.pause(step.time.0).await,
        Step::Compare(step) => handle.compare(step).await,
        Step::Expect(step) => handle.expect(step),
        Step::Repeat(step) => Box::pin(run_repeat(handle, step)).await,
    }
}

#[cfg(test)]
mod tests;
