//! Typed views of event messages, over a document that was parsed once.
//!
//! A view never refuses: a field that is missing or of another type is `None` or shows up as the [`Json`] that it is,
//! so that a rule can say exactly what was wrong. Both directions use the same views.

use super::names::{MessageType, Resource, State, UpdateType};
use crate::protocol::json::{Json, Kind, Name, Names, Place};

const CALL_INFO: Name = Name::known("callInfo");
const SUBSCRIPTIONS: Name = Name::known("subscriptions");
const UPDATES: Name = Name::known("updates");
const UPDATE_TYPE: Name = Name::known("updateType");

/// The outermost object of a text frame.
#[derive(Debug, Clone, Copy)]
pub enum Envelope<'d> {
    /// `{"type":"message","message":{...}}`
    Message(Message<'d>),
    /// `{"type":"messageAck","messageAck":{...}}`
    Ack(Ack<'d>),
    /// Neither: another type, none, or no object where one belongs.
    Other(Json<'d>),
}

impl<'d> Envelope<'d> {
    /// The view of a document.
    pub fn of(document: Json<'d>) -> Self {
        Layout::of(document).envelope(document)
    }
}

/// Where the parts of an envelope lie in its document: what has to be looked for, without the document.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    form: Form,
    id: Option<Place>,
    /// The type of a message, the status of an ack.
    word: Option<Place>,
    index: Option<Place>,
    message_type: Option<MessageType>,
}

/// What an envelope is, and where the object inside it lies.
#[derive(Debug, Clone, Copy)]
enum Form {
    Message(Place),
    Ack(Place),
    Other,
}

impl Layout {
    /// The layout of a document.
    pub fn of(document: Json<'_>) -> Self {
        const OUTER: Names<3> = Names::new(["type", "message", "messageAck"]);
        const OF_MESSAGE: Names<3> = Names::new(["messageId", "type", "subscriptionIndex"]);
        const OF_ACK: Names<2> = Names::new(["messageId", "status"]);
        let [kind, message, ack] = document.places(&OUTER);
        let object = |inner: Option<Place>| inner.filter(|inner| document.at(*inner).kind() == Kind::Object);
        match (kind.and_then(|kind| document.at(kind).as_str()), object(message), object(ack)) {
            (Some("message"), Some(body), _) => {
                let [id, word, index] = document.at(body).places(&OF_MESSAGE);
                let message_type = word.and_then(|word| document.at(word).as_str()).and_then(MessageType::from_word);
                Self { form: Form::Message(body), id, word, index, message_type }
            }
            (Some("messageAck"), _, Some(body)) => {
                let [id, word] = document.at(body).places(&OF_ACK);
                Self { form: Form::Ack(body), id, word, index: None, message_type: None }
            }
            _ => Self { form: Form::Other, id: None, word: None, index: None, message_type: None },
        }
    }

    /// The view of the document that this is the layout of.
    ///
    /// # Panics
    /// Perhaps, if it is the layout of another document.
    #[inline]
    pub const fn envelope(self, document: Json<'_>) -> Envelope<'_> {
        match self.form {
            Form::Message(body) => Envelope::Message(Message { document, body, layout: self }),
            Form::Ack(body) => Envelope::Ack(Ack { document, body, layout: self }),
            Form::Other => Envelope::Other(document),
        }
    }
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy)]
pub struct Ack<'d> {
    document: Json<'d>,
    body: Place,
    layout: Layout,
}

impl<'d> Ack<'d> {
    /// The id of the message that is acknowledged, if it is a number without sign and fraction.
    pub fn message_id(self) -> Option<u64> {
        self.raw_id().and_then(Json::as_u64)
    }

    /// The `messageId` as it stands.
    pub fn raw_id(self) -> Option<Json<'d>> {
        self.layout.id.map(|id| self.document.at(id))
    }

    /// The status, if it is text.
    pub fn status(self) -> Option<&'d str> {
        self.raw_status().and_then(Json::as_str)
    }

    /// The status as it stands.
    pub fn raw_status(self) -> Option<Json<'d>> {
        self.layout.word.map(|status| self.document.at(status))
    }

    /// The object inside the envelope.
    pub fn body(self) -> Json<'d> {
        self.document.at(self.body)
    }
}

/// A message of either side.
#[derive(Debug, Clone, Copy)]
pub struct Message<'d> {
    document: Json<'d>,
    body: Place,
    layout: Layout,
}

impl<'d> Message<'d> {
    /// The id, if it is a number without sign and fraction.
    pub fn message_id(self) -> Option<u64> {
        self.raw_id().and_then(Json::as_u64)
    }

    /// The `messageId` as it stands.
    pub fn raw_id(self) -> Option<Json<'d>> {
        self.layout.id.map(|id| self.document.at(id))
    }

    /// The type as it stands, if it is text.
    pub fn type_name(self) -> Option<&'d str> {
        self.layout.word.and_then(|word| self.document.at(word).as_str())
    }

    /// The type, if it is a known one.
    pub const fn message_type(self) -> Option<MessageType> {
        self.layout.message_type
    }

    /// The object inside the envelope.
    pub fn body(self) -> Json<'d> {
        self.document.at(self.body)
    }

    /// The index of the subscription that an update belongs to, if it is a number without sign and fraction.
    pub fn subscription_index(self) -> Option<u64> {
        self.layout.index.and_then(|index| self.document.at(index).as_u64())
    }

    /// The entries of a `subscribeRequest`; `None` if there is no array of that name.
    pub fn requested(self) -> Option<impl Iterator<Item = Requested<'d>>> {
        self.array(SUBSCRIPTIONS).map(|list| list.elements().map(|body| Requested { body }))
    }

    /// The entries of a `subscriptionUpdate`; `None` if there is no array of that name.
    pub fn states(self) -> Option<impl Iterator<Item = StateEntry<'d>>> {
        self.array(SUBSCRIPTIONS).map(|list| list.elements().map(|body| StateEntry { body }))
    }

    /// The entries of an update of that resource: those of `updates`, or the one object `callInfo`. `None` if the body
    /// does not have that shape.
    pub fn entries(self, resource: Resource) -> Option<impl Iterator<Item = Entry<'d>>> {
        let single = match resource {
            Resource::CallInfo => Some(self.body().member(CALL_INFO).filter(|info| info.kind() == Kind::Object)?),
            Resource::Calls | Resource::CallRoster => None,
        };
        let list = match single {
            Some(_) => None,
            None => Some(self.array(UPDATES)?),
        };
        Some(
            single
                .into_iter()
                .chain(list.into_iter().flat_map(Json::elements))
                .map(move |body| Entry { body, resource }),
        )
    }

    fn array(self, name: Name) -> Option<Json<'d>> {
        self.body().member(name).filter(|list| list.kind() == Kind::Array)
    }
}

/// One subscription of a `subscribeRequest`.
#[derive(Debug, Clone, Copy)]
pub struct Requested<'d> {
    body: Json<'d>,
}

impl<'d> Requested<'d> {
    /// The index, if it is a number without sign and fraction.
    pub fn index(self) -> Option<u64> {
        self.body.get("index").and_then(Json::as_u64)
    }

    /// The index as it stands.
    pub fn raw_index(self) -> Option<Json<'d>> {
        self.body.get("index")
    }

    /// The resource, if its word is a known one.
    pub fn resource(self) -> Option<Resource> {
        self.body.get("type").and_then(Json::as_str).and_then(Resource::from_word)
    }

    /// The call, if it is text.
    pub fn call(self) -> Option<&'d str> {
        self.body.get("call").and_then(Json::as_str)
    }

    /// The elements as they stand; none where the list is absent, empty or no array.
    pub fn elements(self) -> impl Iterator<Item = Json<'d>> {
        self.body.get("elements").into_iter().flat_map(Json::elements)
    }

    /// The whole entry.
    pub fn body(self) -> Json<'d> {
        self.body
    }
}

/// One entry of a `subscriptionUpdate`.
#[derive(Debug, Clone, Copy)]
pub struct StateEntry<'d> {
    body: Json<'d>,
}

impl<'d> StateEntry<'d> {
    /// The index, if it is a number without sign and fraction.
    pub fn index(self) -> Option<u64> {
        self.body.get("index").and_then(Json::as_u64)
    }

    /// The state, if its word is a known one.
    pub fn state(self) -> Option<State> {
        self.body.get("state").and_then(Json::as_str).and_then(State::from_word)
    }

    /// The whole entry.
    pub fn body(self) -> Json<'d> {
        self.body
    }
}

/// One entry of an update.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'d> {
    body: Json<'d>,
    resource: Resource,
}

impl<'d> Entry<'d> {
    /// What the entry is about: the call of a `calls` entry, the participant of a roster entry.
    pub fn key(self) -> Option<&'d str> {
        self.body.member(self.resource.entry_key()?).and_then(Json::as_str)
    }

    /// What it reports, if its word is a known one. `callInfo` has no such field.
    pub fn update_type(self) -> Option<UpdateType> {
        self.body.member(UPDATE_TYPE).and_then(Json::as_str).and_then(UpdateType::from_word)
    }

    /// All fields but the key and `updateType`, each of which knows its name.
    pub fn fields(self) -> impl Iterator<Item = Json<'d>> {
        let key = self.resource.entry_key();
        let is_field = move |name: Name| Some(name) != key && (name != UPDATE_TYPE || key.is_none());
        self.body.members().filter(move |member| is_field(member.name()))
    }

    /// The whole entry.
    pub fn body(self) -> Json<'d> {
        self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json::Document;

    #[test]
    fn a_call_list_update_shows_its_entries() {
        let mut tape = Document::new();
        let text = r#"{"type":"message","message":{"messageId":3,"type":"callListUpdate","subscriptionIndex":3,
            "updates":[{"call":"c","updateType":"add","name":"n","participants":0}]}}"#;
        let Envelope::Message(message) = Envelope::of(tape.parse(text).unwrap()) else { panic!("no message") };
        assert_eq!((message.message_id(), message.subscription_index()), (Some(3), Some(3)));
        assert_eq!(message.message_type(), Some(MessageType::CallListUpdate));
        let entry = message.entries(Resource::Calls).unwrap().next().unwrap();
        assert_eq!((entry.key(), entry.update_type()), (Some("c"), Some(UpdateType::Add)));
        assert_eq!(entry.fields().map(Json::name_text).collect::<Vec<_>>(), ["name", "participants"]);
        assert!(message.entries(Resource::CallInfo).is_none());
    }

    #[test]
    fn what_does_not_fit_is_shown_and_not_refused() {
        let mut tape = Document::new();
        let text = r#"{"type":"messageAck","messageAck":{"messageId":"8","status":null}}"#;
        let Envelope::Ack(ack) = Envelope::of(tape.parse(text).unwrap()) else { panic!("no ack") };
        assert_eq!((ack.message_id(), ack.status()), (None, None));
        assert!(ack.raw_id().is_some() && ack.raw_status().is_some());
        assert!(matches!(Envelope::of(tape.parse(r#"{"type":"message","message":[]}"#).unwrap()), Envelope::Other(_)));
        assert!(matches!(Envelope::of(tape.parse("[1]").unwrap()), Envelope::Other(_)));
    }
}
