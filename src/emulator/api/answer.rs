//! Answers: documents, pages of lists, created objects, failures.

use super::asked::Asked;
use crate::emulator::settings::Settings;
use crate::emulator::values::Order;
use crate::protocol::api::names::{BASE, XML};
use crate::protocol::api::xml::Element;
use crate::protocol::http::Response;

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::emulator) struct Failure {
    /// The status; `None` is that of missing objects.
    pub(super) status: Option<u16>,
    /// The element inside `failureDetails`.
    pub(super) reason: Element,
}

/// What a handler gives.
pub(in crate::emulator) type Answer = Result<Response, Failure>;

/// The object does not exist.
pub(super) fn missing(reason: &str) -> Failure {
    Failure { status: None, reason: Element::new(reason) }
}

/// The request cannot be carried out as things are.
pub(super) fn refused(reason: &str) -> Failure {
    Failure { status: Some(400), reason: Element::new(reason) }
}

/// A parameter has a value that it cannot have, or is missing.
pub(super) fn parameter_error(parameter: &str) -> Failure {
    let reason = Element::new("parameterError").attribute("parameter", parameter).attribute("error", "invalidValue");
    Failure { status: Some(400), reason }
}

/// A success without a document.
pub(super) const fn done() -> Response {
    Response::new(200)
}

/// A success with a document.
pub(super) fn document(root: &Element) -> Response {
    let mut response = Response::new(200);
    response.headers.push("Content-Type", XML);
    response.body = root.to_document().into_bytes();
    response
}

/// The creation of an object: where it is, and no body.
pub(super) fn created(node: &str, id: &str) -> Response {
    let mut response = Response::new(200);
    response.headers.push("Location", format!("{BASE}/{node}/{id}"));
    response
}

/// A failure with its details, where the settings have them.
pub(super) fn failure(settings: &Settings, failure: &Failure) -> Response {
    let mut response = Response::new(failure.status.unwrap_or(settings.missing_status));
    if settings.failure_details {
        response.headers.push("Content-Type", XML);
        let root = Element::new("failureDetails").child(failure.reason.clone());
        response.body = root.to_document().into_bytes();
    }
    response
}

/// One object of a list, with its place in the order of creation.
pub(super) struct Row {
    pub(super) created: u64,
    pub(super) id: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

impl Row {
    fn matches(&self, filter: &str) -> bool {
        let filter = filter.to_lowercase();
        let searched = ["name", "uri", "remoteParty", "callId"];
        self.fields.iter().any(|(name, value)| searched.contains(name) && value.to_lowercase().contains(&filter))
    }
}

/// One page of a list: `filter`, `offset` and `limit` from the request; `total` counts all that match.
pub(super) fn list(settings: &Settings, asked: &Asked, root: &str, item: &str, rows: Vec<Row>) -> Answer {
    list_with(settings, asked, Element::new(root), item, rows)
}

/// The same, with a root that has attributes of its own besides `total`.
pub(super) fn list_with(settings: &Settings, asked: &Asked, root: Element, item: &str, mut rows: Vec<Row>) -> Answer {
    let offset = asked.number("offset")?.unwrap_or(0);
    let limit = asked.number("limit")?.unwrap_or(u64::MAX).min(settings.list_cap.max(1));
    if let Some(filter) = asked.text("filter").filter(|filter| !filter.is_empty()) {
        rows.retain(|row| row.matches(filter));
    }
    match settings.list_order {
        Order::Oldest => rows.sort_by_key(|row| row.created),
        Order::Newest => rows.sort_by_key(|row| std::cmp::Reverse(row.created)),
        Order::Id => rows.sort_by(|a, b| a.id.cmp(&b.id)),
    }
    let mut page = root;
    page.attributes.insert(0, ("total".to_owned(), rows.len().to_string()));
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    for row in rows.into_iter().skip(from).take(most) {
        let element = Element::new(item).attribute("id", row.id);
        let full = row.fields.into_iter().fold(element, |element, (name, value)| element.field(name, value));
        page.children.push(full);
    }
    Ok(document(&page))
}

/// A boolean as the API writes it.
pub(super) fn boolean(value: bool) -> String {
    value.to_string()
}

/// A state of recording or streaming as the API writes it.
pub(super) fn activity(active: bool) -> &'static str {
    if active { "active" } else { "inactive" }
}
