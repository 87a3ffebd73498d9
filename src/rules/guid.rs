//! GUIDs in one spelling: the guides do not say whether their digits are upper or lower case, nor that API and events
//! agree on it, so the same GUID is the same object however it is spelt.

use std::borrow::Cow;

use crate::protocol::api::xml::Element;
use crate::protocol::events::names::is_guid;
pub(super) use crate::protocol::guid::number;

/// A GUID in lower case; any other text as it is.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().fold(false, |any, byte| any | byte.is_ascii_uppercase()) && is_guid(text) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// A path with its GUIDs in lower case.
pub(super) fn folded_path(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let folded: Vec<Cow<'_, str>> = path.split('/').map(folded).collect();
    let folded = folded.join("/");
    query.map_or_else(|| folded.clone(), |query| format!("{folded}?{query}"))
}

/// Folds the GUIDs of a document: ids and texts.
pub(super) fn fold_document(element: &mut Element) {
    for (_, value) in &mut element.attributes {
        if let Cow::Owned(folded) = folded(value) {
            *value = folded;
        }
    }
    if let Cow::Owned(folded) = folded(&element.text) {
        element.text = folded;
    }
    for child in &mut element.children {
        fold_document(child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPPER: &str = "97C771AE-FC2E-4257-B129-30EE818E034B";
    const LOWER: &str = "97c771ae-fc2e-4257-b129-30ee818e034b";

    #[test]
    fn guids_are_folded_and_other_texts_are_not() {
        assert_eq!(folded(UPPER), LOWER);
        assert_eq!(folded("ABC"), "ABC");
        assert_eq!(number(UPPER), Some(0x97c7_71ae_fc2e_4257_b129_30ee_818e_034b));
        assert_eq!(number(UPPER), number(LOWER));
        for wrong in [
            "",
            "97c771ae-fc2e-4257-b129-30ee818e034",
            "97c771ae0fc2e-4257-b129-30ee818e034b",
            "97c771ag-fc2e-4257-b129-30ee818e034b",
        ] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
        assert_eq!(folded_path(&format!("/api/v1/callLegs/{UPPER}?X=Y")), format!("/api/v1/callLegs/{LOWER}?X=Y"));
        let mut call = Element::new("call").attribute("id", UPPER).field("coSpace", UPPER).field("name", "A B");
        fold_document(&mut call);
        assert_eq!(call, Element::new("call").attribute("id", LOWER).field("coSpace", LOWER).field("name", "A B"));
    }
}
