//! The syntax of scenario files. These types are the language: parser, JSON Schema and engine all work on them.
//!
//! Enumerations are tagged from outside (`- connect: {...}`), so that every error has the exact place. Values that may
//! be computed are [`Template`]s: text with `${...}` in it. `${name}` is what an earlier step stored with `as: name`,
//! the number of a loop (`each: name`), or one of the built-in values:
//!
//! | built-in | value |
//! |---|---|
//! | `${run}` | the run's id, which every object made on the target has in its name |
//! | `${guid}` | a GUID that no object has, another one each time |
//! | `${CLIENT.unacked}` | the messageId of the oldest server message that CLIENT has not acknowledged |
//! | `${CLIENT.last}` | the messageId of the message that the server sent CLIENT last |
//! | `${CLIENT.received}` | how many messages (acks not counted) CLIENT has received |
//! | `${RECEIVER.uri}` | the URI under which the CDR receiver RECEIVER can be reached |
//! | `${RECEIVER.id}` | the id of RECEIVER's entry in the server's list |
//! | `${RECEIVER.sets}` | how many sets have begun to arrive at RECEIVER |
//! | `${RECEIVER.records}` | how many records RECEIVER has taken |
//!
//! A template may add or subtract a number, with spaces around the sign: `${n + 100}`. Names may themselves be made by
//! templates, which is how loops keep several things apart: `as: call-${n}`, later `${call-${n}}`. Two dollars, `$${`,
//! stand for the text `${`. [`super::template`] reads and resolves templates.
//!
//! [`Scenario`] and [`Step`] are where to begin; each word of a step has a type of its own. [`Load`] stands in place of steps;
//! [`ClientScenario`] is a file of its own, for a load on what connects to an emulated server.

mod api_steps;
mod client_load;
mod client_steps;
mod control_steps;
mod load;
mod receiver_steps;
mod scenario;
mod values;

pub use api_steps::{
    CallIn, CallOnly, ChangeCall, ChangeParticipant, CreateSpace, Dial, DialUntil, Emulate, Move, ParticipantOnly,
    Request, RequestOutcome, SpaceOnly, StartCall,
};
pub use client_load::{ClientLoad, ClientScenario, Records, Updates, WaitFor};
pub use client_steps::{
    AckMode, AckNow, Acks, ClientOnly, Close, Connect, ConnectOutcome, Send, SendBytes, SendFrame, SendText, SendUntil,
    Subscribe, SubscribeUntil, Token, TokenPlace, Wanted,
};
pub use control_steps::{Compare, Expect, Pause, Repeat, Rest, Wait};
pub use load::{
    Capacity, Confirm, ConstantArrivalRate, ConstantVus, Load, LoadAcks, LoadExecutor, LoadStage, LoadThreshold,
    MaxLag, RampingArrivalRate, SharedIterations, Stimuli, Stimulus, Weight,
};
pub use receiver_steps::{
    ChangeReceiver, Failing, MakePlan, PlanEntry, Ranges, ReceiverHead, ReceiverOnly, Register, RegisterOutcome,
    Restart, Slowly, WaitRecord, WaitSet,
};
pub use scenario::{Judged, Scenario, Step};
pub use values::{Elements, Fields, NumberTemplate, Pattern, Template, Time, parse_time};
