//! What an element must be according to the API's documents (wire-facts 3.5, 3.6, 5.3 to 5.5).
//!
//! Only elements that the API reports in the same sense are compared; where it shows a setting rather than the state
//! (recording, streaming) only the status fields of later releases count.

use std::fmt;

use super::api_view::ApiView;
use super::value::Value;
use crate::protocol::api::xml::Element;
use crate::protocol::events::Resource;
use crate::trace::Seq;

/// The documents of one conference or participant, read since a snapshot began.
pub(super) struct Documents<'v> {
    call: Option<&'v (Seq, Element)>,
    participant: Option<&'v (Seq, Element)>,
    leg: Option<&'v (Seq, Element)>,
}

impl<'v> Documents<'v> {
    /// The documents of an object, if it was read since `since`.
    pub(super) fn of(resource: Resource, object: &str, api: &'v ApiView, since: Seq) -> Option<Self> {
        let recent = |document: &'v Option<(Seq, Element)>| document.as_ref().filter(|(seq, _)| *seq >= since);
        match resource {
            Resource::Calls | Resource::CallInfo => {
                let call = recent(&api.calls.get(object)?.document)?;
                Some(Self { call: Some(call), participant: None, leg: None })
            }
            Resource::CallRoster => {
                let known = api.participants.get(object)?;
                let participant = recent(&known.document)?;
                Some(Self { call: None, participant: Some(participant), leg: recent(&known.leg) })
            }
        }
    }
}

/// How a value has to agree.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Text(String),
    /// Text that compares without case.
    Guid(String),
    /// The user part of an address, or all of it.
    User(String),
    Number(f64),
    Bool(bool),
    Locked(bool),
    Unset,
}

/// What the API reports of an element.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    form: Form,
    proof: Seq,
}

impl Expected {
    /// The observation that says so.
    pub(super) const fn proof(&self) -> Seq {
        self.proof
    }

    /// Whether it is not set.
    pub(super) const fn is_unset(&self) -> bool {
        matches!(self.form, Form::Unset)
    }

    /// Whether what was told agrees; `None` is never told.
    pub(super) fn agrees(&self, told: Option<&Value>) -> bool {
        let Some(told) = told else { return matches!(self.form, Form::Unset) };
        match &self.form {
            Form::Text(text) => told.text() == Some(text),
            Form::Guid(text) => told.text().is_some_and(|told| told.eq_ignore_ascii_case(text)),
            Form::User(uri) => told.text().is_some_and(|told| {
                let user = uri.split_once('@').map_or(uri.as_str(), |(user, _)| user);
                told == uri || told == user || told.split_once('@').is_some_and(|(told, _)| told == user)
            }),
            Form::Number(number) => told.number() == Some(*number),
            Form::Bool(value) => told.boolean() == Some(*value),
            Form::Locked(locked) => told.text().is_some_and(|word| (word == "locked") == *locked),
            Form::Unset => told.is_unset(),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Text(text) | Form::Guid(text) | Form::User(text) => write!(f, "{text}"),
            Form::Number(number) => write!(f, "{number}"),
            Form::Bool(value) => write!(f, "{value}"),
            Form::Locked(true) => f.write_str("locked"),
            Form::Locked(false) => f.write_str("not locked"),
            Form::Unset => f.write_str("not set"),
        }
    }
}

/// What the API reports of an element, where it reports it in the same sense.
pub(super) fn expected_value(resource: Resource, element: &str, documents: &Documents<'_>) -> Option<Expected> {
    match resource {
        Resource::Calls | Resource::CallInfo => of_call(element, documents.call?),
        Resource::CallRoster => of_participant(element, documents),
    }
}

fn of_call(element: &str, (proof, document): &(Seq, Element)) -> Option<Expected> {
    let field = |name: &str| document.text_at(&[name]).filter(|text| !text.is_empty());
    let number = |name: &str| field(name).and_then(|text| text.parse::<f64>().ok());
    let form = match element {
        "name" => Form::Text(field("name")?.to_owned()),
        "participants" => {
            Form::Number(number("numParticipantsLocal")? + number("numParticipantsRemote").unwrap_or(0.0))
        }
        "distributedInstances" => Form::Number(number("numDistributedInstances")?),
        "recording" => Form::Text(field("recordingStatus")?.to_owned()),
        "streaming" => Form::Text(field("streamingStatus")?.to_owned()),
        "endpointRecording" => Form::Text(
            match field("endpointRecording")? {
                "true" => "active",
                "false" => "inactive",
                other => other,
            }
            .to_owned(),
        ),
        "lockState" => Form::Locked(field("locked")?.parse().ok()?),
        "callType" => Form::Text(field("callType")?.to_owned()),
        "callCorrelator" => Form::Guid(field("callCorrelator")?.to_owned()),
        "joinAudioMuteOverride" => Form::Bool(field("joinAudioMuteOverride")?.parse().ok()?),
        _ => return None,
    };
    Some(Expected { form, proof: *proof })
}

fn of_participant(element: &str, documents: &Documents<'_>) -> Option<Expected> {
    let (participant_seq, participant) = documents.participant?;
    let field = |path: &[&str]| participant.text_at(path).filter(|text| !text.is_empty()).map(str::to_owned);
    let leg = |path: &[&str]| {
        let (seq, leg) = documents.leg?;
        leg.text_at(path).filter(|text| !text.is_empty()).map(|text| (*seq, text.to_owned()))
    };
    let (proof, form) = match element {
        "name" => (*participant_seq, Form::Text(field(&["name"])?)),
        "uri" => (*participant_seq, Form::User(field(&["uri"])?)),
        "state" => (*participant_seq, Form::Text(field(&["status", "state"])?)),
        "importance" => {
            let form = match field(&["configuration", "importance"]) {
                Some(text) => Form::Number(text.parse().ok()?),
                None => {
                    participant.get("configuration")?;
                    Form::Unset
                }
            };
            (*participant_seq, form)
        }
        "canMove" => (*participant_seq, Form::Bool(field(&["canMove"])?.parse().ok()?)),
        "movedParticipant" => (*participant_seq, Form::Guid(field(&["movedParticipant"])?)),
        "audioMuted" => boolean(leg(&["configuration", "rxAudioMute"])?)?,
        "videoMuted" => boolean(leg(&["configuration", "rxVideoMute"])?)?,
        "direction" => leg(&["direction"]).map(|(seq, text)| (seq, Form::Text(text)))?,
        "layout" => leg(&["status", "layout"]).map(|(seq, text)| (seq, Form::Text(text)))?,
        _ => return None,
    };
    Some(Expected { form, proof })
}

fn boolean((seq, text): (Seq, String)) -> Option<(Seq, Form)> {
    Some((seq, Form::Bool(text.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(fields: &[(&str, &str)]) -> (Seq, Element) {
        (Seq(1), fields.iter().fold(Element::new("call"), |call, (name, value)| call.field(*name, *value)))
    }

    #[test]
    fn what_the_api_does_not_report_in_the_same_sense_is_not_compared() {
        let document = call(&[("recording", "true"), ("locked", "false"), ("name", "")]);
        assert_eq!(of_call("recording", &document), None);
        assert_eq!(of_call("name", &document), None);
        let lock = of_call("lockState", &document).unwrap();
        assert!(
            lock.agrees(Some(&Value::Text("notLocked".into()))) && lock.agrees(Some(&Value::Text("unlocked".into())))
        );
        assert!(!lock.agrees(Some(&Value::Text("locked".into()))) && !lock.agrees(None));
    }

    #[test]
    fn a_uri_may_be_told_by_its_user_part() {
        let uri = Expected { form: Form::User("a@x.example".into()), proof: Seq(1) };
        assert!(uri.agrees(Some(&Value::Text("a".into()))) && uri.agrees(Some(&Value::Text("a@x.example".into()))));
        assert!(uri.agrees(Some(&Value::Text("a@y.example".into()))));
        assert!(!uri.agrees(Some(&Value::Text("b".into()))) && !uri.agrees(Some(&Value::Text("b@x.example".into()))));
    }

    fn text(text: &str) -> Option<Form> {
        Some(Form::Text(text.to_owned()))
    }

    #[test]
    fn what_the_api_reports_of_a_call() {
        let fields = [
            ("name", "n"),
            ("numParticipantsLocal", "2"),
            ("numParticipantsRemote", "1"),
            ("numDistributedInstances", "3"),
            ("recordingStatus", "active"),
            ("streamingStatus", "inactive"),
            ("endpointRecording", "true"),
            ("locked", "true"),
            ("callType", "adHoc"),
            ("callCorrelator", "c"),
            ("joinAudioMuteOverride", "false"),
        ];
        let mut document = call(&fields);
        let form = |document: &_, element| of_call(element, document).map(|expected| expected.form);
        for (element, expected) in [
            ("name", text("n")),
            ("participants", Some(Form::Number(3.0))),
            ("distributedInstances", Some(Form::Number(3.0))),
            ("recording", text("active")),
            ("streaming", text("inactive")),
            ("endpointRecording", text("active")),
            ("lockState", Some(Form::Locked(true))),
            ("callType", text("adHoc")),
            ("callCorrelator", Some(Form::Guid("c".to_owned()))),
            ("joinAudioMuteOverride", Some(Form::Bool(false))),
        ] {
            assert_eq!(form(&document, element), expected, "{element}");
        }
        for (reported, expected) in [("false", "inactive"), ("else", "else")] {
            document = call(&[("endpointRecording", reported), ("numParticipantsLocal", "2")]);
            assert_eq!(form(&document, "endpointRecording"), text(expected));
        }
        assert_eq!(form(&document, "participants"), Some(Form::Number(2.0)));
    }

    #[test]
    fn what_the_api_reports_of_a_participant() {
        let participant = Element::new("participant")
            .field("name", "n")
            .field("uri", "u")
            .child(Element::new("status").field("state", "connected"))
            .child(Element::new("configuration").field("importance", "5"))
            .field("canMove", "true")
            .field("movedParticipant", "m");
        let leg = Element::new("callLeg")
            .field("direction", "incoming")
            .child(Element::new("status").field("layout", "stacked"))
            .child(Element::new("configuration").field("rxAudioMute", "true").field("rxVideoMute", "false"));
        let (participant, leg) = ((Seq(3), participant), (Seq(4), leg));
        let documents = Documents { call: None, participant: Some(&participant), leg: Some(&leg) };
        for (element, form, proof) in [
            ("name", text("n"), 3),
            ("uri", Some(Form::User("u".to_owned())), 3),
            ("state", text("connected"), 3),
            ("importance", Some(Form::Number(5.0)), 3),
            ("canMove", Some(Form::Bool(true)), 3),
            ("movedParticipant", Some(Form::Guid("m".to_owned())), 3),
            ("audioMuted", Some(Form::Bool(true)), 4),
            ("videoMuted", Some(Form::Bool(false)), 4),
            ("direction", text("incoming"), 4),
            ("layout", text("stacked"), 4),
        ] {
            let expected = form.map(|form| Expected { form, proof: Seq(proof) });
            assert_eq!(of_participant(element, &documents), expected, "{element}");
        }
    }
}
