//! A scenario as a whole, and the list of its steps.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::api_steps::{
    CallIn, CallOnly, ChangeCall, ChangeParticipant, CreateSpace, Dial, Emulate, Move, ParticipantOnly, Request,
    SpaceOnly, StartCall,
};
use super::client_steps::{
    AckNow, Acks, ClientOnly, Close, Connect, Send, SendBytes, SendFrame, SendText, Subscribe, Token,
};
use super::control_steps::{Compare, Expect, Pause, Repeat, Rest, Wait};
use super::load::Load;
use super::receiver_steps::{
    ChangeReceiver, MakePlan, ReceiverHead, ReceiverOnly, Register, Restart, WaitRecord, WaitSet,
};
use super::values::Time;

/// One scenario: one behaviour, put to the test.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence that says what is tested.
    pub title: String,
    /// Why it matters or how it works, for readers.
    #[serde(default)]
    pub about: Option<String>,
    /// The requirements that this scenario is there to put to the test.
    #[schemars(with = "Vec<String>")]
    pub exercises: Vec<Spanned<String>>,
    /// What the target must be able to do, or be allowed; without it the scenario is skipped.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub needs: Vec<Spanned<String>>,
    /// Who is judged: the server (the default), or the events clients and CDR receivers of this scenario.
    #[serde(default)]
    pub judge: Judged,
    /// The events clients that take part, by name. Their connections are opened by `connect`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub clients: Vec<Spanned<String>>,
    /// The CDR receivers that take part, each a name or a mapping with `name`, `tls` and `path`. They are configured on
    /// the server by `register`.
    #[serde(default)]
    #[schemars(with = "Vec<ReceiverHead>")]
    pub receivers: Vec<Spanned<ReceiverHead>>,
    /// How long the scenario may take in all; 60 s unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Time>,
    /// What is done, in order.
    #[serde(default)]
    #[schemars(with = "Vec<Step>")]
    pub steps: Vec<Spanned<Step>>,
    /// What is put on the server, in place of steps.
    #[serde(default)]
    #[schemars(with = "Option<Load>")]
    pub load: Option<Spanned<Load>>,
}

impl Scenario {
    /// What one of so many servers, counted from 0, has of a load ([`Load::share`]).
    #[must_use]
    pub fn part(&self, index: u32, of: u32) -> Self {
        let mut part = self.clone();
        if let Some(load) = &mut part.load {
            load.value = load.value.share(index, of);
        }
        part
    }
}

/// Whose conformance a scenario judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// The Meeting Server.
    #[default]
    Server,
    /// The events clients and CDR receivers that the harness plays.
    Client,
}

/// One step. Each has one word that says what it does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    // ── connections ──
    /// Ask for a token; store it.
    Token(Token),
    /// Open an events client's connection (with a fresh token unless one is named).
    Connect(Connect),
    /// End a connection with the closing handshake. Without an open connection it does nothing.
    Close(Close),
    /// End a connection abruptly, without a close frame. Without an open connection it does nothing.
    Drop(ClientOnly),
    // ── events ──
    /// Ask for a complete set of subscriptions.
    Subscribe(Subscribe),
    /// Change how a client acknowledges from now on.
    Acks(Acks),
    /// Send acks by hand.
    Ack(AckNow),
    /// Send a message, as JSON.
    Send(Send),
    /// Send a text frame with any text.
    SendText(SendText),
    /// Send one frame, legal or not.
    SendFrame(SendFrame),
    /// Send bytes that need not be a frame.
    SendBytes(SendBytes),
    // ── the API ──
    /// Create a coSpace.
    CreateSpace(CreateSpace),
    /// Remove a coSpace.
    DeleteSpace(SpaceOnly),
    /// Start a conference.
    StartCall(StartCall),
    /// Change a conference: `locked`, `recording`, `streaming`, `name`, `joinAudioMuteOverride`, ...
    ChangeCall(ChangeCall),
    /// End a conference.
    EndCall(CallOnly),
    /// Dial a party into a conference.
    Dial(Dial),
    /// Change a participant: `importance`, `layout`, ...
    ChangeParticipant(ChangeParticipant),
    /// Change the call leg of a participant: `rxAudioMute`, `rxVideoMute`, ...
    ChangeLeg(ChangeParticipant),
    /// Take a participant out of its conference.
    HangUp(ParticipantOnly),
    /// Move a participant to another conference.
    Move(Move),
    /// Send any request to the API.
    Request(Request),
    /// Have somebody call in (needs `test-api`).
    CallIn(CallIn),
    /// Make something happen on the emulator that the real API has no way for (needs `test-api`).
    Emulate(Emulate),
    // ── call detail records ──
    /// Let a receiver take connections.
    Listen(ReceiverOnly),
    /// Let a receiver take no more connections: attempts are refused.
    Refuse(ReceiverOnly),
    /// Configure a receiver on the server.
    Register(Register),
    /// Change what is configured for a receiver on the server.
    ChangeReceiver(ChangeReceiver),
    /// Remove a receiver from the server's list.
    Unregister(ReceiverOnly),
    /// Say what a receiver does with the sets that it gets from now on.
    Plan(MakePlan),
    /// Wait until a record that fits is taken (or has been taken since the receiver's last `wait-record`).
    WaitRecord(WaitRecord),
    /// Wait until sets have begun to arrive.
    WaitSet(WaitSet),
    /// Restart the Call Bridge, and wait until its API answers again (needs `restart`).
    Restart(Restart),
    // ── waiting, comparing, expecting ──
    /// Wait until a message that fits arrives (or has arrived since the client's last `wait`).
    Wait(Wait),
    /// Wait until nothing has arrived for a while.
    Rest(Rest),
    /// Let time pass.
    Pause(Pause),
    /// At rest, read the state over the API and let the rules compare it with what events have told.
    Compare(Compare),
    /// An assertion of the scenario's own.
    Expect(Expect),
    // ── structure ──
    /// Repeat steps for a range of numbers.
    Repeat(Repeat),
}

#[cfg(test)]
mod tests {
    use super::super::values::Template;
    use super::*;

    #[test]
    fn a_scenario_reads() {
        let text = "
title: t
exercises: [MSG-03]
clients: [alice]
steps:
  - connect: {client: alice}
  - subscribe: {client: alice, set: [{index: 3, type: calls, elements: [name]}], within: 2s}
  - repeat: {each: n, to: 3, steps: [{start-call: {as: 'call-${n}'}}]}
";
        let scenario: Scenario = serde_saphyr::from_str(text).unwrap();
        assert_eq!(scenario.steps.len(), 3);
        let Step::Subscribe(step) = &scenario.steps[1].value else { panic!("no subscribe") };
        assert_eq!(step.set[0].value.index, Template("3".into()));
    }
}
