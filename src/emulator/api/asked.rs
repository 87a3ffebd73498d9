//! What a request asks for: the ids of its path and its parameters, read on demand with the failure that a bad value gets.

use std::collections::BTreeMap;

use super::answer::{Failure, parameter_error};
use crate::protocol::http::{Method, Request};

/// The ids and parameters of one request.
#[derive(Debug)]
pub(in crate::emulator) struct Asked {
    /// The wildcards of the route, in order, in the letter case in which ids are kept.
    pub(super) ids: Vec<String>,
    /// Query parameters of a GET, either kind of a DELETE, form parameters of anything else; the last of a name counts.
    parameters: BTreeMap<String, String>,
}

impl Asked {
    pub(super) fn new(request: &Request, ids: Vec<String>) -> Self {
        let (query, body) = (request.query().as_bytes(), request.body.as_slice());
        let sources: &[&[u8]] = match request.method {
            Method::Get => &[query],
            Method::Delete => &[query, body],
            Method::Post | Method::Put => &[body],
        };
        let pairs = sources.iter().flat_map(|source| form_urlencoded::parse(source));
        let parameters = pairs.map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self { ids, parameters: parameters.collect() }
    }

    /// The first id of the path.
    pub(super) fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }

    /// A parameter; names compare without case, since real clients differ.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let exact = self.parameters.get(name);
        let any_case = || self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        exact.or_else(any_case).map(String::as_str)
    }

    /// All parameters.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A number, if the parameter is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.text(name).map(|text| text.parse().map_err(|_| parameter_error(name))).transpose()
    }

    /// A number or, where the text is empty, its removal, if the parameter is there.
    pub(super) fn number_or_unset(&self, name: &str) -> Result<Option<Option<u64>>, Failure> {
        match self.text(name) {
            Some("") => Ok(Some(None)),
            _ => self.number(name).map(|number| number.map(Some)),
        }
    }

    /// A boolean, if the parameter is there.
    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.text(name)
            .map(|text| match text {
                "true" | "on" => Ok(true),
                "false" | "off" => Ok(false),
                _ => Err(parameter_error(name)),
            })
            .transpose()
    }

    /// A boolean or, where the text is empty, its removal, if the parameter is there.
    pub(super) fn boolean_or_unset(&self, name: &str) -> Result<Option<Option<bool>>, Failure> {
        match self.text(name) {
            Some("") => Ok(Some(None)),
            _ => self.boolean(name).map(|value| value.map(Some)),
        }
    }

    /// `active` or `inactive`, if the parameter is there; booleans are taken too.
    pub(super) fn activity(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.text(name) {
            Some("active") => Ok(Some(true)),
            Some("inactive") => Ok(Some(false)),
            _ => self.boolean(name),
        }
    }

    /// One of these words, if the parameter is there.
    pub(super) fn word(&self, name: &str, words: &[String]) -> Result<Option<String>, Failure> {
        match self.text(name) {
            None => Ok(None),
            Some(text) if words.iter().any(|word| word == text) => Ok(Some(text.to_owned())),
            Some(_) => Err(parameter_error(name)),
        }
    }
}
