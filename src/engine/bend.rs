//! The seams at which an events client is bent: the counterpart of the emulator's mutants, for rules that judge clients.
//!
//! A bent client breaks one requirement on purpose, so that the rules which judge clients can be proven as those which
//! judge servers are. In the order in which things pass them: [`Bend::acks`] for each message that is acknowledged,
//! [`Bend::document`] for each JSON text that is sent, [`Bend::frames`] for each frame as it leaves. A client that is not bent
//! pays nothing for them.

use std::fmt;

use serde_json::Value;

use crate::protocol::events::message::Message;
use crate::protocol::ws::frame::Header;

/// A message that arrived, about to be acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// How many arrived on this connection, this one included.
    pub nth: u64,
    /// The message.
    pub message: Message<'a>,
}

/// A frame about to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFrame {
    /// All but the payload and the mask.
    pub header: Header,
    /// Whether it is masked.
    pub masked: bool,
    /// The payload.
    pub payload: Vec<u8>,
}

/// A fault on purpose in an events client. Every method passes by default.
pub trait Bend: fmt::Debug + Send {
    /// Changes the acks of a message: their ids and statuses, in order.
    fn acks(&mut self, _arrived: &Arrived<'_>, _acks: &mut Vec<(u64, String)>) {}

    /// Changes a JSON text that is about to be framed, envelope included.
    fn document(&mut self, _document: &mut Value) {}

    /// Changes a frame that is about to leave; what is left in the list leaves in its order.
    fn frames(&mut self, _frames: &mut Vec<NewFrame>) {}
}

/// What a connection is bent by.
#[derive(Debug, Default)]
pub struct Bends(Vec<Box<dyn Bend>>);

impl Bends {
    /// The bends of these names; a name that none has is passed over.
    pub fn named(names: &[String]) -> Self {
        Self(names.iter().filter_map(|name| super::bends::make(name)).collect())
    }

    /// Whether the client is as it should be.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The acks of a message that would be acknowledged `times` times with `status`.
    pub(super) fn acks(&mut self, arrived: &Arrived<'_>, id: u64, times: u32, status: &str) -> Vec<(u64, String)> {
        let mut acks: Vec<_> = (0..times).map(|_| (id, status.to_owned())).collect();
        for bend in &mut self.0 {
            bend.acks(arrived, &mut acks);
        }
        acks
    }

    /// The text to send instead of this one. What is no JSON passes.
    pub(super) fn text(&mut self, text: &str) -> String {
        let Ok(mut document) = serde_json::from_str(text) else { return text.to_owned() };
        for bend in &mut self.0 {
            bend.document(&mut document);
        }
        document.to_string()
    }

    /// The frames to send instead of this one.
    pub(super) fn frames(&mut self, frame: NewFrame) -> Vec<NewFrame> {
        let mut frames = vec![frame];
        for bend in &mut self.0 {
            bend.frames(&mut frames);
        }
        for frame in &mut frames {
            frame.header.length = frame.payload.len() as u64;
        }
        frames
    }
}

type OnAcks = fn(&mut u64, &Arrived<'_>, &mut Vec<(u64, String)>);
type OnDocument = fn(&mut u64, &mut Value);
type OnFrames = fn(&mut u64, &mut Vec<NewFrame>);

/// A bend made of functions over one number that they may remember something in.
#[derive(Debug, Default)]
pub(super) struct Bent {
    state: u64,
    acks: Option<OnAcks>,
    document: Option<OnDocument>,
    frames: Option<OnFrames>,
}

impl Bent {
    pub(super) fn acks(acks: OnAcks) -> Box<dyn Bend> {
        Box::new(Self { acks: Some(acks), ..Self::default() })
    }

    pub(super) fn document(document: OnDocument) -> Box<dyn Bend> {
        Box::new(Self { document: Some(document), ..Self::default() })
    }

    pub(super) fn frames(frames: OnFrames) -> Box<dyn Bend> {
        Box::new(Self { frames: Some(frames), ..Self::default() })
    }
}

impl Bend for Bent {
    fn acks(&mut self, arrived: &Arrived<'_>, acks: &mut Vec<(u64, String)>) {
        if let Some(change) = self.acks {
            change(&mut self.state, arrived, acks);
        }
    }

    fn document(&mut self, document: &mut Value) {
        if let Some(change) = self.document {
            change(&mut self.state, document);
        }
    }

    fn frames(&mut self, frames: &mut Vec<NewFrame>) {
        if let Some(change) = self.frames {
            change(&mut self.state, frames);
        }
    }
}
