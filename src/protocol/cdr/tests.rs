//! Tests of the reader, against the writer, against an XML parser of another make and against what senders get wrong.

use proptest::prelude::*;

use super::*;
use crate::protocol::api::xml::Element;

/// What the reader has against a body: place, whether it is malformed, words.
fn deviations(body: &str) -> Vec<(usize, bool, String)> {
    let mut tape = Tape::new();
    let set = tape.read(body.as_bytes());
    set.deviations().iter().map(|found| (found.at_bytes, found.malformed, found.what.clone())).collect()
}

/// A set as text: one line a record.
fn outline(body: &[u8]) -> Vec<String> {
    fn element(field: Field<'_>) -> String {
        let attributes: String = field.attributes().map(|(name, value)| format!(" {name}={value}")).collect();
        let children: String = field.children().map(element).collect();
        format!("<{}{attributes}>{}{children}", field.name(), field.value())
    }
    let mut tape = Tape::new();
    let set = tape.read(body);
    let record = |record: Record<'_>| {
        let attributes: Vec<_> = record.attributes().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}: {}", attributes.join(" "), record.elements().map(element).collect::<String>())
    };
    set.records().map(record).collect()
}

/// Two records in a set, the way the guide prints them.
const SAMPLE: &str = r#"<?xml version="1.0"?>
<records session="3e7a2a80-2b1c-4ee1-9a4f-7b5f7a4b8c11" callBridge="b1">
  <record type="callStart" time="2015-07-21T16:34:08Z" recordIndex="2" correlatorIndex="1">
    <call id="c1">
      <name>Andy &amp; B&#233;a's &lt;space&gt;</name>
      <callType>coSpace</callType><ownerName/>
    </call>
  </record>
  <record type="callLegEnd" time="2015-07-21T16:34:19Z" correlatorIndex="6" numPreceedingRecordsMissing="3">
    <callLeg id="l&#x31;">
      <!-- a comment --><reason><![CDATA[remoteTeardown]]></reason>
      <rxAudio><codec>opus</codec><packetStatistics><packetGap><duration>0.000</duration></packetGap></packetStatistics></rxAudio>
      <alarm type='packetLoss' durationPercentage="1.5"/>
    </callLeg>
  </record>
</records>
"#;

#[test]
fn set_is_read_into_views() {
    let mut tape = Tape::new();
    let set = tape.read(SAMPLE.as_bytes());
    assert_eq!(set.deviations(), []);
    assert!(set.is_well_formed() && set.is_read_whole());
    assert_eq!((set.root(), set.call_bridge()), (Some("records"), Some("b1")));
    assert_eq!(set.session(), Some("3e7a2a80-2b1c-4ee1-9a4f-7b5f7a4b8c11"));
    let [start, end] = set.records().collect::<Vec<_>>()[..] else { panic!("two records") };
    assert_eq!((start.kind(), start.id()), (Some(RecordType::CallStart), Some("c1")));
    assert_eq!((start.correlator_index(), start.record_index(), start.missing()), (Some("1"), Some("2"), None));
    assert_eq!(start.value(FieldName::Name), Some("Andy & Béa's <space>"));
    assert_eq!(start.value(FieldName::OwnerName), Some(""));
    assert_eq!(start.value(FieldName::Tenant), None);
    assert_eq!((end.missing(), end.id()), (Some("3"), Some("l1")));
    assert_eq!(end.value(FieldName::Reason), Some("remoteTeardown"));
    let statistics = end.field(FieldName::RxAudio).unwrap().get(FieldName::PacketStatistics).unwrap();
    let duration = statistics.get(FieldName::PacketGap).unwrap().get(FieldName::Duration).unwrap();
    assert_eq!(duration.value(), "0.000");
    let alarm = end.field(FieldName::Alarm).unwrap();
    assert_eq!((alarm.attribute("type"), alarm.attribute("durationPercentage")), (Some("packetLoss"), Some("1.5")));
    assert_eq!(set.place(end.at_bytes()), (9, 3));
    assert_eq!(set.place(usize::MAX), (17, 1));
}

#[test]
fn tape_that_is_used_again_holds_nothing_of_what_it_held() {
    let mut tape = Tape::new();
    tape.read(b"\xff<records session='s'><x/><record type='callEnd'><call id='&lt;'/></record>");
    let set = tape.read(b"<records/>");
    assert_eq!((set.records().len(), set.others().count(), set.session(), set.deviations()), (0, 0, None, &[][..]));
    assert!(set.is_well_formed());
}

#[test]
fn unknown_elements_and_attributes_are_kept_and_are_no_deviations() {
    let body = "<records session='s' new='1'><extra a='b'>x</extra><record type='callPaused' newer='2'>\
                <call id='c' hue='3'><mood deep='yes'>blue<tone/></mood><x:name xmlns:x='y'>z</x:name></call></record></records>";
    assert_eq!(deviations(body), []);
    assert_eq!(
        outline(body.as_bytes()),
        ["type=callPaused newer=2: <call id=c hue=3><mood deep=yes>blue<tone><x:name xmlns:x=y>z"]
    );
    let mut tape = Tape::new();
    let set = tape.read(body.as_bytes());
    assert_eq!(set.others().map(|other| (other.name(), other.value())).collect::<Vec<_>>(), [("extra", "x")]);
    assert_eq!(set.records().next().unwrap().kind(), None);
}

#[test]
fn every_way_to_be_malformed_is_told_where_it_is() {
    for (body, at, words) in [
        ("", 0, "no element"),
        ("  hello", 0, "text outside the root element"),
        ("<records/>x", 10, "text outside the root element"),
        ("<records/><records/>", 10, "a second root element"),
        ("<records>", 9, "the document ends inside \"records\""),
        ("<records></record></records>", 9, "the end tag \"record\" where \"records\" is to be closed"),
        ("<records/></records>", 10, "the end tag \"records\" where nothing is open"),
        ("<records a='1' a='2'/>", 15, "the attribute \"a\" is there twice"),
        ("<records a='1'b='2'/>", 14, "no white space before an attribute"),
        ("<records a/>", 10, "an attribute without a value"),
        ("<records a=1/>", 11, "an attribute's value is not in quotes"),
        ("<records a='<'/>", 12, "< in an attribute"),
        ("<records a='x&y'/>", 13, "an ampersand that begins no reference"),
        ("<records a='x&nbsp;y'/>", 13, "the reference \"nbsp\" stands for nothing that XML defines"),
        ("<records><a>b & c</a></records>", 14, "an ampersand that begins no reference"),
        ("<records><a>&nbsp;</a></records>", 12, "the reference \"nbsp\" stands for nothing that XML defines"),
        ("<records><a>&#0;</a></records>", 12, "the reference \"#0\" stands for nothing that XML defines"),
        ("<records><a>]]></a></records>", 12, "]]> in text"),
        ("<records><a>\u{0}</a></records>", 12, "a character that XML does not allow"),
        ("<records><a>\u{FFFE}</a></records>", 12, "a character that XML does not allow"),
        ("<records><1/></records>", 9, "an element with the name \"1\""),
        ("<records><!-- a -- b --></records>", 16, "two hyphens in a comment"),
        ("<records><!foo></records>", 9, "a tag that begins with <! and is none that XML knows"),
        ("<records><?xml version='1.0'?></records>", 9, "an XML declaration that does not open the document"),
        ("<records><!DOCTYPE a></records>", 9, "a document type declaration: it is not followed"),
        ("<records>\u{FEFF}&nbsp;</records>", 12, "the reference \"nbsp\" stands for nothing that XML defines"),
    ] {
        let found = deviations(body);
        assert!(found.contains(&(at, true, words.to_owned())), "{body}: {found:?}");
    }
}

#[test]
fn documents_that_are_well_formed_but_no_sets_are_told_apart() {
    for (body, at, words) in [
        ("<html/>", 0, "the root element is \"html\", not \"records\""),
        ("<record type='callEnd'><call id='c'/></record>", 0, "the root element is \"record\", not \"records\""),
        ("<records>x</records>", 9, "text directly inside \"records\""),
        ("<records><record>x</record></records>", 17, "text directly inside \"record\""),
        ("<records><a><record type='b'/></a></records>", 12, "a record inside \"a\""),
        ("<records><a>x<b/>y</a></records>", 17, "text behind an element inside \"a\": it is not kept"),
        ("<!DOCTYPE records><records/>", 0, "a document type declaration: it is not followed"),
        (
            "<?xml version='1.0' encoding='ISO-8859-1'?><records a='é'/>",
            0,
            "the document declares the encoding \"ISO-8859-1\"; it is read as UTF-8",
        ),
    ] {
        assert_eq!(deviations(body), [(at, false, words.to_owned())], "{body}");
    }
    for body in
        ["\u{FEFF}<?xml version='1.0' encoding='utf-8'?><records/>", "<?a b?><!-- c --><records/>\n<!-- d --> <?e?>"]
    {
        assert_eq!(deviations(body), [], "{body}");
    }
}

#[test]
fn records_are_read_on_after_what_is_malformed() {
    let record = |index: u32| {
        format!("<record correlatorIndex='{index}' type='callEnd'><call id='c'><name>n</name></call></record>")
    };
    let (one, two) = (record(1), record(2));
    let whole =
        ["correlatorIndex=1 type=callEnd: <call id=c><name>n", "correlatorIndex=2 type=callEnd: <call id=c><name>n"];
    for body in [
        format!("<records>{one}{two}"),
        format!("{one}{two}"),
        format!("<records>{one}</records><records>{two}</records>"),
        format!("<records>{one}</call></extra>&&{two}</records>"),
        format!("<records>{}{two}</records>", one.replace("</call>", "")),
        format!("<records>{}{two}</records>", one.replace("</name></call>", "</nome></call>")),
        format!("<records>{}{two}</records>", one.replace("</record>", "")),
        format!("<records><batch>{one}</batch>{two}</records>"),
        format!("<!DOCTYPE records SYSTEM 'x'><records>{one}<!x>{two}</records>"),
        format!("<records>{one}{}", two.replace("</name></call></record>", "")),
    ] {
        assert_eq!(outline(body.as_bytes()), whole, "{body}");
        assert_ne!(deviations(&body), []);
    }
    // So the guide's own sample ends a record.
    let slip = format!("<records>{}{two}</records>", one.replace("</record>", "<record>"));
    assert_eq!(outline(slip.as_bytes()), [&format!("{}<record>", whole[0])[..], whole[1]]);
    assert!(deviations(&slip).iter().any(|found| found.1));
}

#[test]
fn bytes_that_are_no_utf_8_are_replaced_and_told() {
    let body = b"<records><record type='callStart'><call id='c'><name>a\xffb</name></call></record></records>";
    assert_eq!(outline(body), ["type=callStart: <call id=c><name>a\u{FFFD}b"]);
    let mut tape = Tape::new();
    let set = tape.read(body);
    assert_eq!(set.deviations()[0].at_bytes, 54);
    assert!(!set.is_well_formed());
    let latin = [&b"<?xml version='1.0' encoding='ISO-8859-1'?><records a='\xe9'/>"[..]].concat();
    assert!(tape.read(&latin).is_well_formed(), "what another encoding says cannot be known");
    let wide: Vec<u8> = "\u{FEFF}<records session='é'/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let set = tape.read(&wide);
    assert_eq!((set.session(), set.is_well_formed()), (Some("é"), true));
}

#[test]
fn entities_are_never_expanded() {
    let body = "<!DOCTYPE records [<!ENTITY a 'bomb'><!ENTITY b '&a;&a;&a;'>]><records session='&b;'>\
                <record type='callStart'><call id='c'><name>x&b;y</name></call></record></records>";
    assert_eq!(outline(body.as_bytes()), ["type=callStart: <call id=c><name>x&b;y"]);
    assert!(deviations(body).iter().all(|(_, malformed, _)| !malformed), "a declared entity is well-formed");
}

#[test]
fn hostile_bodies_are_bounded_in_what_they_leave() {
    let mut tape = Tape::new();
    let deep = b"<a>".repeat(100_000);
    let set = tape.read(&deep);
    assert_eq!(set.limit(), Some("elements nest deeper than 64 levels"));
    assert_eq!(set.deviations().len(), 2);
    let many = "<records>".to_owned() + &"&x;<b 1='a' 1='a'>".repeat(5) + &"&y;</c>".repeat(20_000);
    let set = tape.read(many.as_bytes());
    assert_eq!(set.deviations().len(), 1000);
    let long = format!("<records><{}/></records>", "é".repeat(100_000));
    assert_eq!(tape.read(long.as_bytes()).deviations(), []);
    let long = format!("<records></{}></records>", "é".repeat(100_000));
    assert!(tape.read(long.as_bytes()).deviations()[0].what.len() < 300);
    let attributes: String = (0..1000).map(|n| format!(" a{n}='{n}'")).collect();
    let wide = format!("<records{attributes}/>");
    let set = tape.read(wide.as_bytes());
    assert_eq!((set.attributes().count(), set.limit()), (64, Some("an element with more than 64 attributes")));
    assert!(set.is_well_formed() && !set.is_read_whole());
    let wide =
        format!("<records><record type='callEnd'{attributes}><call id='c'/></record><record type='a'/></records>");
    let set = tape.read(wide.as_bytes());
    assert_eq!((set.records().len(), set.is_read_whole()), (2, false), "what follows is read");
    assert!(tape.read(b"<records/>").is_read_whole());
}

#[test]
fn another_encoding_and_a_document_type_are_told() {
    let mut tape = Tape::new();
    let mut told = |body: &[u8]| {
        let set = tape.read(body);
        (set.encoding().map(str::to_owned), set.has_document_type())
    };
    assert_eq!(told(b"<?xml version='1.0' encoding='ISO-8859-1'?><records/>"), (Some("ISO-8859-1".to_owned()), false));
    assert_eq!(told(b"<?xml version='1.0' encoding='cp1252'?><records a='\xe9'/>").0.as_deref(), Some("cp1252"));
    assert_eq!(told(b"\xff\xfe<\0a\0/\0>\0"), (Some("UTF-16".to_owned()), false));
    assert_eq!(told(b"<!DOCTYPE records><records/>"), (None, true));
    assert_eq!(told(b"<?xml version='1.0' encoding='UTF-8'?><records/>"), (None, false));
}

#[test]
fn body_of_nothing_but_deviations_is_not_read_to_its_end() {
    let body = format!("<records>{}<record type='callEnd'/></records>", "&".repeat(200_000));
    let mut tape = Tape::new();
    let set = tape.read(body.as_bytes());
    assert!(!set.is_read_whole() && !set.is_well_formed());
    let last = set.deviations().last().unwrap();
    assert_eq!(last.what, "100000 deviations: from here on the set is not read");
    assert_eq!((set.records().len(), set.deviations().len()), (0, 1001));
}

#[test]
fn deviation_that_makes_a_body_malformed_is_kept_among_a_thousand_others() {
    let body = format!("<records>{}</wrong></records>", "x<a/>".repeat(3000));
    let mut tape = Tape::new();
    let set = tape.read(body.as_bytes());
    assert_eq!(set.deviations().len(), 1000);
    assert!(set.deviations().iter().any(|found| found.malformed) && !set.is_well_formed());
}

/// A field with a text, where the catalogue says how: `name` or `name { parts }`.
fn sample_field(name: &str, table: &toml::Table) -> Element {
    let element = Element::new(name);
    let parts = table.get("of").and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str);
    let parts: Vec<&str> = parts.map(|part| part.split([' ', ':']).next().unwrap_or(part)).collect();
    match name {
        "alarm" => parts.iter().fold(element, |element, part| element.attribute(*part, "12.5")),
        "ivr" => element,
        _ if parts.is_empty() => Element { text: format!("a value of {name} & <more>"), ..element },
        _ => parts.iter().fold(element, |element, part| match *part {
            "packetStatistics" => {
                let pair = || Element::new("packetGap").field("duration", "0.100").field("density", "1.50");
                let bursts = Element { name: "packetLossBursts".to_owned(), ..pair() };
                element.child(Element::new(*part).child(bursts).child(pair()))
            }
            part => element.field(part, "1"),
        }),
    }
}

/// One record of each type with every documented field.
fn every_record() -> NewSet {
    let catalogue: toml::Table = toml::from_str(include_str!("../../spec/records.toml")).unwrap();
    let record = |(index, kind): (usize, &RecordType)| {
        let table = catalogue[kind.as_str()].as_table().unwrap();
        let subject = Element::new(table["element"].as_str().unwrap()).attribute("id", "0b5a");
        let fields = table.get("fields").and_then(toml::Value::as_table);
        let fields = fields.into_iter().flatten().map(|(name, field)| sample_field(name, field.as_table().unwrap()));
        NewRecord {
            kind: kind.as_str().to_owned(),
            time: "2026-01-02T03:04:05Z".to_owned(),
            correlator_index: Some(index as u64),
            record_index: Some(index as u64 + 1),
            missing: (index == 3).then_some((names::MISSING[0], 7)),
            content: fields.fold(subject, Element::child),
        }
    };
    NewSet {
        session: Some("5e55".to_owned()),
        call_bridge: Some("b1".to_owned()),
        records: RecordType::ALL.iter().enumerate().map(record).collect(),
    }
}

/// A field that was read as the element that it was written from.
fn element_of(field: Field<'_>) -> Element {
    Element {
        name: field.name().to_owned(),
        attributes: field.attributes().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        children: field.children().map(element_of).collect(),
        text: field.value().to_owned(),
    }
}

/// A set that was read as the one that it was written from.
fn set_of(set: Set<'_>) -> NewSet {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    let record = |record: Record<'_>| NewRecord {
        kind: record.type_name().unwrap_or_default().to_owned(),
        time: record.time().unwrap_or_default().to_owned(),
        correlator_index: number(record.correlator_index()),
        record_index: number(record.record_index()),
        missing: names::MISSING.into_iter().find_map(|name| Some((name, number(record.attribute(name))?))),
        content: record.subject().map(element_of).unwrap_or_default(),
    };
    NewSet {
        session: set.session().map(str::to_owned),
        call_bridge: set.call_bridge().map(str::to_owned),
        records: set.records().map(record).collect(),
    }
}

#[test]
fn every_field_of_every_record_is_written_and_read() {
    let written = every_record();
    assert_eq!(written.records.len(), 9);
    let bytes = written.to_bytes(&Style::default());
    let mut tape = Tape::new();
    let set = tape.read(&bytes);
    assert_eq!(set.deviations(), []);
    assert_eq!(set_of(set), written);
    fn all_known(field: Field<'_>) -> bool {
        field.known().is_some() && field.children().all(all_known)
    }
    assert!(set.records().all(|record| record.kind().is_some() && record.elements().all(all_known)));
}

#[test]
fn style_says_what_xml_leaves_open() {
    let set = NewSet { session: Some("s".to_owned()), ..NewSet::default() };
    assert_eq!(set.to_bytes(&Style::default()), b"<?xml version=\"1.0\"?>\n<records session=\"s\"/>\n");
    let style = Style {
        declaration: String::new(),
        indent: None,
        long_empty: true,
        single_quotes: true,
        first_attributes: vec!["correlatorIndex".to_owned(), "type".to_owned()],
    };
    let record = NewRecord {
        kind: "callEnd".to_owned(),
        time: "t".to_owned(),
        correlator_index: Some(0),
        record_index: None,
        missing: None,
        content: Element::new("call"),
    };
    let set = NewSet { records: vec![record], ..NewSet::default() };
    let expected = "<records><record correlatorIndex='0' type='callEnd' time='t'><call></call></record></records>";
    assert_eq!(String::from_utf8(set.to_bytes(&style)).unwrap(), expected);
}

/// Whether an independent parser takes the body for one well-formed document.
fn is_well_formed(body: &str) -> bool {
    roxmltree::Document::parse(body).is_ok()
}

/// Everything on the tape after reading a body: the short way for plain elements, or quick-xml alone.
fn tape_of(body: &[u8], by_quick_xml_alone: bool) -> String {
    let mut tape = Tape { by_quick_xml_alone, ..Tape::new() };
    tape.read(body);
    tape.by_quick_xml_alone = false;
    format!("{tape:#?}")
}

fn some_style() -> impl Strategy<Value = Style> {
    let declaration =
        prop::sample::select(vec!["", "<?xml version=\"1.0\"?>", "<?xml version='1.0' encoding='UTF-8'?>"]);
    let first = prop::sample::subsequence(vec!["time", "correlatorIndex", "recordIndex", "type"], 0..4);
    (declaration, prop::option::of(0..4_usize), any::<bool>(), any::<bool>(), first).prop_map(
        |(declaration, indent, long_empty, single_quotes, first)| Style {
            declaration: declaration.to_owned(),
            indent,
            long_empty,
            single_quotes,
            first_attributes: first.into_iter().map(str::to_owned).collect(),
        },
    )
}

/// Text that a document can hold, without white space at its ends.
fn some_text() -> impl Strategy<Value = String> {
    "[ -~é通\u{1F600}\u{FF01}]{0,20}".prop_map(|text| text.trim().to_owned())
}

fn some_element() -> impl Strategy<Value = Element> {
    let words: Vec<&str> = FieldName::ALL.iter().map(|name| name.as_str()).chain(["unknown", "通話"]).collect();
    let name = || prop::sample::select(words.clone()).prop_map(str::to_owned);
    let leaf = (name(), some_text()).prop_map(|(name, text)| Element { name, text, ..Element::default() });
    let names = name();
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let attribute = prop::option::of(("[a-z]{1,8}", some_text()));
        (names.clone(), attribute, prop::collection::vec(inner, 1..4)).prop_map(|(name, attribute, children)| Element {
            name,
            attributes: attribute.into_iter().collect(),
            children,
            text: String::new(),
        })
    })
}

fn some_set() -> impl Strategy<Value = NewSet> {
    let kind = prop::sample::select(RecordType::ALL).prop_map(|kind| kind.as_str().to_owned());
    let missing = prop::option::of((prop::sample::select(&names::MISSING[..]), any::<u64>()));
    let record = (kind, some_text(), any::<Option<u64>>(), any::<Option<u64>>(), missing, some_element());
    let record = record.prop_map(|(kind, time, correlator_index, record_index, missing, content)| NewRecord {
        kind,
        time,
        correlator_index,
        record_index,
        missing,
        content,
    });
    (prop::option::of(some_text()), prop::option::of(some_text()), prop::collection::vec(record, 0..5))
        .prop_map(|(session, call_bridge, records)| NewSet { session, call_bridge, records })
}

proptest! {
    #[test]
    fn what_is_written_is_read(written in some_set(), style in some_style()) {
        let bytes = written.to_bytes(&style);
        let mut tape = Tape::new();
        let set = tape.read(&bytes);
        prop_assert_eq!(set.deviations(), &[][..]);
        prop_assert_eq!(set_of(set), written);
        prop_assert_eq!(tape_of(&bytes, false), tape_of(&bytes, true));
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        outline(&body);
    }

    #[test]
    fn body_that_was_damaged_is_judged_as_an_independent_parser_judges_it(
        records in 0..9_usize,
        edits in prop::collection::vec((0..10_000_usize, 0..12_usize, "[<>/&;'\"= !\\-\\[\\]a\u{0}é]{0,3}"), 0..4),
    ) {
        let mut set = every_record();
        set.records.drain(..records);
        // The other parser does not look at the names of instructions, and knows namespaces: both are left out.
        let style = Style { declaration: String::new(), ..Style::default() };
        let text = String::from_utf8(set.to_bytes(&style)).unwrap().replace(':', ".");
        let mut text: Vec<char> = text.chars().collect();
        for (place, removed, added) in edits {
            let at = text.len() * place / 10_000;
            let end = (at + removed).min(text.len());
            text.splice(at..end, added.chars());
        }
        let body: String = text.into_iter().collect();
        let mut tape = Tape::new();
        let set = tape.read(body.as_bytes());
        prop_assert_eq!(set.is_well_formed(), is_well_formed(&body), "{}\n{:?}", body, set.deviations());
        prop_assert_eq!(tape_of(body.as_bytes(), false), tape_of(body.as_bytes(), true), "{}", body);
    }

    #[test]
    fn soup_of_tags_is_read_without_panic_and_judged_as_an_independent_parser_judges_it(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<records>", "</records>", "<record type='callEnd'>", "</record>", "<call id='c'>", "</call>", "<a/>", "x", " ",
            "<b>x</b>", "<b>", "</b>", "&amp;", "&b;", "&", "<", ">", "]]>", "<![CDATA[", "<!--", "-->", "--", "<?a ", "?>", "<?xml version='1.0'?>",
            "\u{FEFF}", "é", "'", "<records a='&#65;' b=\"\">", "\u{1}", "=", "/",
        ]), 0..14),
    ) {
        let body = pieces.concat();
        outline(body.as_bytes());
        let mut tape = Tape::new();
        let set = tape.read(body.as_bytes());
        prop_assert_eq!(set.is_well_formed(), is_well_formed(&body), "{}\n{:?}", body, set.deviations());
        prop_assert_eq!(tape_of(body.as_bytes(), false), tape_of(body.as_bytes(), true), "{}", body);
        for found in set.deviations() {
            prop_assert!(found.at_bytes <= body.len() && !found.what.is_empty());
            set.place(found.at_bytes);
        }
    }
}
