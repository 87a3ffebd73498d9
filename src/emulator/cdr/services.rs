//! Recordings and streams, with the legs that carry them.
//!
//! These legs exist in records only: no participant owns them, so rosters, counts and lists do not show them.

use super::leg::Service;
use super::shape;
use crate::emulator::core::Core;
use crate::emulator::values::Recorder;
use crate::emulator::world::{Participant, Signaling};
use crate::protocol::cdr::RecordType;

/// A recording or stream that goes on.
#[derive(Debug)]
pub(super) struct Running {
    id: String,
    leg: Box<Participant>,
}

const RECORDER: &str = "sip:recorder@recorder.example";
const STREAMER: &str = "sip:streamer@streamer.example";

impl Core {
    /// Starts or ends the recording or the stream of a call, if it is to be otherwise than it is.
    pub(super) fn run_service(&mut self, call: &str, service: Service, wanted: bool) {
        let Some(account) = self.cdr.ledger.calls.get_mut(call) else { return };
        let slot = match service {
            Service::Recording => &mut account.recording,
            Service::Streaming => &mut account.streaming,
        };
        match (wanted, slot.is_some()) {
            (true, false) => self.start_service(call, service),
            (false, true) => {
                if let Some(running) = slot.take() {
                    self.end_service(service, &running);
                }
            }
            _ => {}
        }
    }

    fn start_service(&mut self, call: &str, service: Service) {
        let (id, leg_id) = (self.world.new_id_aside(), self.world.new_id_aside());
        let (name, address) = match service {
            Service::Recording => ("recorder", RECORDER),
            Service::Streaming => ("streamer", STREAMER),
        };
        let mut leg = Participant::dialled(name, address);
        leg.leg.clone_from(&leg_id);
        call.clone_into(&mut leg.call);
        leg.started = self.now;
        leg.can_move = false;
        leg.detail.service = Some(service);
        leg.detail.sip_call_id = self.world.new_id_aside();
        leg.detail.group_id = self.world.new_id_aside();
        self.record_leg_start(&leg);
        leg.state = Signaling::Connected;
        self.record_leg_update(&leg);
        let path = format!("/recordings/{call}/{id}.mp4");
        let configured = self.world.calls.get(call).and_then(|call| call.co_space.as_ref());
        let stream_url = configured
            .and_then(|space| self.world.co_spaces.get(space)?.parameters.get("streamUrl").cloned())
            .unwrap_or_else(|| STREAMER.to_owned());
        let (kind, subject, place) = match (service, self.settings.cdr_recorder) {
            (Service::Recording, Recorder::Path) => (RecordType::RecordingStart, "recording", ("path", path.as_str())),
            (Service::Recording, Recorder::Uri) => (RecordType::RecordingStart, "recording", ("recorderUri", RECORDER)),
            (Service::Streaming, _) => (RecordType::StreamingStart, "streaming", ("streamerUri", stream_url.as_str())),
        };
        let content = shape::service_start(&self.settings, (subject, &id), place, call, &leg_id);
        self.record(kind, content);
        let running = Some(Running { id, leg: Box::new(leg) });
        if let Some(account) = self.cdr.ledger.calls.get_mut(call) {
            match service {
                Service::Recording => account.recording = running,
                Service::Streaming => account.streaming = running,
            }
        }
    }

    fn end_service(&mut self, service: Service, running: &Running) {
        let (kind, subject) = match service {
            Service::Recording => (RecordType::RecordingEnd, "recording"),
            Service::Streaming => (RecordType::StreamingEnd, "streaming"),
        };
        let content = shape::service_end(&self.settings, subject, &running.id);
        self.record(kind, content);
        self.record_leg_end(&running.leg, "localTeardown");
    }
}
