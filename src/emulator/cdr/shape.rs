//! What stands in each record: fields in the guide's order (section 4), as the settings spell them.

use std::time::Duration;

use super::leg::{Media, Service};
use super::reasons;
use crate::emulator::settings::Settings;
use crate::emulator::values::{KeyOrder, Rounding};
use crate::emulator::world::{Call, CoSpace, Participant};
use crate::protocol::api::xml::Element;

/// Fields in the order of being added.
struct Fields<'s> {
    settings: &'s Settings,
    list: Vec<Element>,
}

impl<'s> Fields<'s> {
    const fn new(settings: &'s Settings) -> Self {
        Self { settings, list: Vec::new() }
    }

    /// A text that may be empty.
    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() || self.settings.cdr_empty_fields || self.settings.cdr_empty_values {
            self.list.push(Element { name: name.to_owned(), text: value.to_owned(), ..Element::default() });
        }
    }

    /// A value that is there or not.
    fn known(&mut self, name: &str, value: Option<&str>) {
        // These say something by being there.
        let says = matches!(name, "state" | "ivr");
        let value = value.or_else(|| (self.settings.cdr_empty_values && !says).then_some(""));
        if let Some(value) = value {
            self.list.push(Element { name: name.to_owned(), text: value.to_owned(), ..Element::default() });
        }
    }

    /// A value that a record can do without.
    fn optional(&mut self, name: &str, value: Option<&str>) {
        self.known(name, value.filter(|_| self.settings.cdr_optional_fields));
    }

    /// The record's element with these fields.
    fn finish(mut self, subject: &str, id: &str) -> Element {
        if self.settings.cdr_extra_fields {
            self.text("serviceLevel", "standard");
        }
        match self.settings.cdr_order {
            KeyOrder::Guide => {}
            KeyOrder::Sorted => self.list.sort_by(|a, b| a.name.cmp(&b.name)),
            KeyOrder::Reversed => self.list.reverse(),
        }
        let mut element = Element::new(subject).attribute("id", id);
        element.children = self.list;
        element
    }
}

/// A duration in whole seconds.
pub(super) fn seconds(settings: &Settings, time: Duration) -> u64 {
    let exact = time.as_millis();
    let rounded = match settings.cdr_rounding {
        Rounding::Down => exact / 1000,
        Rounding::Nearest => (exact + 500) / 1000,
        Rounding::Up => exact.div_ceil(1000),
    };
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

const fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// `callStart`; `space` is the coSpace of the call, if it has one.
pub(super) fn call_start(settings: &Settings, call: &Call, space: Option<&CoSpace>) -> Element {
    let of_space = |name: &str| space.and_then(|space| space.parameters.get(name)).map(String::as_str);
    let owner = of_space("meetingScheduler").or_else(|| of_space("ownerJid")).unwrap_or_default();
    let configured = call.co_space.is_some() && of_space("metaDataConfigured") == Some("true");
    let mut fields = Fields::new(settings);
    fields.text("name", &call.name);
    fields.text("ownerName", owner);
    fields.known("callType", Some(&call.call_type));
    fields.known("coSpace", call.co_space.as_deref());
    fields.known("tenant", of_space("tenant"));
    fields.text("cdrTag", of_space("cdrTag").unwrap_or_default());
    fields.known("callCorrelator", Some(&call.correlator));
    fields.optional("coSpaceMetaDataConfigured", Some(boolean(configured)));
    fields.finish("call", &call.id)
}

/// `callEnd`.
pub(super) fn call_end(settings: &Settings, id: &str, counts: [u64; 3], endpoint_recorded: bool) -> Element {
    let [completed, most, duration] = counts.map(|count| count.to_string());
    let mut fields = Fields::new(settings);
    fields.known("callLegsCompleted", Some(&completed));
    fields.known("callLegsMaxActive", Some(&most));
    fields.known("durationSeconds", Some(&duration));
    fields.optional("endpointRecorded", Some(boolean(endpoint_recorded)));
    fields.finish("call", id)
}

/// `callLegStart`; `call` is the call, if it is to be named.
pub(super) fn leg_start(settings: &Settings, who: &Participant, call: Option<&str>) -> Element {
    let detail = &who.detail;
    let mut fields = Fields::new(settings);
    fields.text("displayName", &who.name);
    fields.known("remoteParty", Some(&who.remote_party));
    fields.text("localAddress", &detail.local_address);
    fields.optional("remoteAddress", Some(remote_address(who)));
    fields.text("cdrTag", detail.cdr_tag.as_deref().unwrap_or_default());
    fields.optional("guestConnection", detail.guest.then_some("true"));
    fields.known("recording", (detail.service == Some(Service::Recording)).then_some("true"));
    fields.known("streaming", (detail.service == Some(Service::Streaming)).then_some("true"));
    fields.known("type", Some(if detail.acano { "acano" } else { "sip" }));
    fields.known("subType", detail.sub_type.as_deref());
    fields.known("lyncSubType", detail.lync_sub_type.as_deref());
    fields.known("direction", Some(if who.incoming { "incoming" } else { "outgoing" }));
    fields.known("call", call);
    fields.known("ownerId", detail.owner_id.as_deref());
    fields.known("groupId", Some(&detail.group_id));
    fields.known("sipCallId", (!detail.acano).then_some(detail.sip_call_id.as_str()));
    fields.known("replacesSipCallId", detail.replaces.as_deref());
    fields.optional("canMove", Some(boolean(who.can_move)));
    fields.known("movedCallLeg", detail.moved_leg.as_deref());
    fields.known("movedCallLegCallBridge", who.moved_from_bridge.as_deref());
    fields.optional("confirmationStatus", Some(detail.confirmation.as_str()));
    fields.finish("callLeg", &who.leg)
}

fn remote_address(who: &Participant) -> &str {
    who.detail.remote_address.as_deref().unwrap_or(&who.remote_party)
}

/// What updates tell about a leg; empty texts stand for what is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    pub(super) call: String,
    pub(super) connected: bool,
    pub(super) in_ivr: bool,
    rest: Vec<(&'static str, String)>,
}

impl News {
    /// What there is to tell about a leg now.
    pub(super) fn of(who: &Participant, connected: bool) -> Self {
        let detail = &who.detail;
        let owned = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            call: who.call.clone(),
            connected,
            in_ivr: detail.in_ivr,
            rest: vec![
                ("cdrTag", owned(&detail.cdr_tag)),
                ("deactivated", boolean(detail.deactivated).to_owned()),
                ("remoteAddress", remote_address(who).to_owned()),
                ("ownerId", owned(&detail.owner_id)),
                ("displayName", who.name.clone()),
                ("canMove", boolean(who.can_move).to_owned()),
                ("confirmationStatus", detail.confirmation.as_str().to_owned()),
            ],
        }
    }
}

/// `callLegUpdate`; `told` is what the last record of the leg said.
pub(super) fn leg_update(settings: &Settings, who: &Participant, news: &News, told: &News) -> Element {
    let detail = &who.detail;
    let mut fields = Fields::new(settings);
    let says_state = news.connected && !(settings.cdr_state_once && told.connected);
    let value = |name: &str| news.rest.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let changed = |name: &'static str| {
        let before = told.rest.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        value(name) != before
    };
    fields.text("cdrTag", value("cdrTag").unwrap_or_default());
    fields.known("state", says_state.then_some("connected"));
    for name in ["deactivated", "remoteAddress"] {
        let keep = changed(name) || settings.cdr_optional_fields;
        fields.known(name, value(name).filter(|_| keep));
    }
    fields.known("call", Some(news.call.as_str()).filter(|call| !call.is_empty()));
    fields.known("ivr", (news.in_ivr && news.call.is_empty()).then_some(""));
    fields.known("ownerId", value("ownerId").filter(|id| !id.is_empty()));
    fields.known("groupId", Some(&detail.group_id));
    fields.known("sipCallId", (!detail.acano).then_some(detail.sip_call_id.as_str()));
    for name in ["displayName", "canMove", "confirmationStatus"] {
        let keep = changed(name) || settings.cdr_optional_fields;
        fields.known(name, value(name).filter(|value| keep && (!value.is_empty() || settings.cdr_empty_fields)));
    }
    fields.finish("callLeg", &who.leg)
}

/// How long a leg was there, and how long of that it was connected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    pub(super) total: Duration,
    pub(super) connected: Option<Duration>,
}

/// `callLegEnd`.
pub(super) fn leg_end(settings: &Settings, who: &Participant, reason: &str, spans: Spans) -> Element {
    let detail = &who.detail;
    let open = reasons::find(reason).and_then(|reason| reason.remote);
    let remote = open.or(detail.remote_teardown).unwrap_or(false);
    let word = match reason {
        "confirmationTimeOut" if settings.cdr_confirmation_lower => "confirmationTimeout",
        other => other,
    };
    let details = if detail.sub_type.as_deref() == Some("webApp") { "WebRTC call" } else { "SIP call" };
    let mut fields = Fields::new(settings);
    fields.text("cdrTag", detail.cdr_tag.as_deref().unwrap_or_default());
    fields.known("reason", Some(word));
    fields.known("remoteTeardown", Some(boolean(remote)));
    fields.optional("reasonDetails", remote.then_some(details));
    fields.known("durationSeconds", Some(&seconds(settings, spans.total).to_string()));
    let activated = seconds(settings, spans.connected.unwrap_or_default());
    fields.optional("activatedDuration", Some(&activated.to_string()));
    if let Some(connected) = spans.connected {
        media(&mut fields, &detail.media, connected);
    }
    fields.known("ownerId", detail.owner_id.as_deref());
    fields.known("sipCallId", (!detail.acano).then_some(detail.sip_call_id.as_str()));
    fields.optional("confirmationStatus", Some(detail.confirmation.as_str()));
    fields.finish("callLeg", &who.leg)
}

fn media(fields: &mut Fields<'_>, media: &Media, connected: Duration) {
    let multistream = if fields.settings.cdr_multistream_capital { "multiStreamVideo" } else { "multistreamVideo" };
    let mut usage = Element::new("mediaUsagePercentages");
    for (name, share) in &media.usage {
        let name = if *name == "multistreamVideo" { multistream } else { name };
        usage = usage.field(name, share.clone());
    }
    if !usage.children.is_empty() {
        fields.list.push(usage);
    }
    if let Some(screens) = media.max_screens {
        fields.list.push(Element::new(multistream).field("maxScreens", screens.to_string()));
    }
    fields.known("encryptedMedia", media.encrypted.map(boolean));
    fields.known("unencryptedMedia", media.unencrypted.map(boolean));
    for (kind, share) in &media.alarms {
        let alarm =
            Element::new("alarm").attribute("type", kind.clone()).attribute("durationPercentage", share.clone());
        fields.list.push(alarm);
    }
    let statistics = statistics(media, connected);
    for (name, codec, size, receives) in [
        ("rxAudio", &media.rx_audio, None, true),
        ("txAudio", &media.tx_audio, None, false),
        ("rxVideo", &media.rx_video, Some(("768", "448")), true),
        ("txVideo", &media.tx_video, Some(("1280", "720")), false),
    ] {
        let Some(codec) = codec else { continue };
        let mut section = Element::new(name).field("codec", codec.clone());
        if let Some((width, height)) = size {
            section = section.field("maxSizeWidth", width).field("maxSizeHeight", height);
        }
        if receives && fields.settings.cdr_optional_fields {
            section = section.child(statistics.clone());
        }
        fields.list.push(section);
    }
}

fn statistics(media: &Media, connected: Duration) -> Element {
    let (duration, density) = media.bursts.clone();
    let gap = format!("{}.{:03}", connected.as_secs(), connected.subsec_millis());
    let bursts = Element::new("packetLossBursts").field("duration", duration).field("density", density);
    let gaps = Element::new("packetGap").field("duration", gap).field("density", media.gap_density.clone());
    Element::new("packetStatistics").child(bursts).child(gaps)
}

/// `recordingStart` or `streamingStart`; `place` is the field that says where to, and its value.
pub(super) fn service_start(
    settings: &Settings,
    (subject, id): (&str, &str),
    place: (&str, &str),
    call: &str,
    leg: &str,
) -> Element {
    let mut fields = Fields::new(settings);
    fields.known(place.0, Some(place.1));
    fields.known("call", Some(call));
    fields.known("callLeg", Some(leg));
    fields.finish(subject, id)
}

/// `recordingEnd` or `streamingEnd`.
pub(super) fn service_end(settings: &Settings, subject: &str, id: &str) -> Element {
    Fields::new(settings).finish(subject, id)
}
