use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn reason(text: &str) -> &'static str {
    xml(text.as_bytes(), Charset::Utf8).err().unwrap_or("accepted")
}

fn path(text: &str) -> XmlPath {
    let namespaces = [("s", "urn:soap"), ("j", "urn:juki")].map(|(p, n)| (p.to_owned(), n.to_owned()));
    let mut path = XmlPath::parse(text).unwrap();
    path.resolve(&BTreeMap::from(namespaces)).unwrap();
    path
}

fn find(document: &str, at: &str) -> String {
    let document = xml(document.as_bytes(), Charset::Utf8).unwrap();
    match document.find(&path(at), document.root()) {
        Found::Nothing => "nothing".to_owned(),
        Found::Plain(text) => format!("={text}"),
        Found::NotPlain => "not plain".to_owned(),
        Found::Several => "several".to_owned(),
    }
}

const SOAP: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="urn:soap"><soap:Header><Seq xmlns="urn:juki">S-1</Seq></soap:Header>
<soap:Body><x:Result xmlns:x="urn:juki" asOf="7" x:kind="2"><x:Name>山田 &amp; &#22826;郎</x:Name><x:Pdf><![CDATA[JVBERi0=]]></x:Pdf><faultcode/></x:Result></soap:Body></soap:Envelope>
"#;

#[test]
fn a_place_is_found_by_namespace_and_not_by_prefix() {
    assert_eq!(find(SOAP, "/s:Envelope/s:Header/j:Seq"), "=S-1");
    assert_eq!(find(SOAP, "//j:Result/j:Name"), "=山田 & 太郎");
    assert_eq!(find(SOAP, "//j:Result/@asOf"), "=7");
    assert_eq!(find(SOAP, "//j:Result/@j:kind"), "=2");
    assert_eq!(find(SOAP, "//j:Pdf"), "=JVBERi0=");
    assert_eq!(find(SOAP, "//j:Result/faultcode"), "=");
    for nothing in ["//Result/j:Name", "/j:Seq", "//j:Result/@j:asOf", "//j:faultcode", "//s:Name", "j:Result"] {
        assert_eq!(find(SOAP, nothing), "nothing", "{nothing}");
    }
    assert_eq!(find(SOAP, "//j:Result"), "not plain");
}

#[test]
fn a_place_that_matches_two_nodes_is_no_place() {
    let twice = r#"<a xmlns="urn:juki"><b><Number>1</Number></b><c><Number>2</Number></c></a>"#;
    assert_eq!(find(twice, "//j:Number"), "several");
    assert_eq!(find(twice, "/j:a/j:b/j:Number"), "=1");
    let nested = r#"<a xmlns="urn:juki"><b><b><n>1</n></b><n>2</n></b></a>"#;
    assert_eq!(find(nested, "//j:b/j:n"), "several");
    let mixed = r#"<a xmlns="urn:juki" xmlns:o="urn:other"><n>1</n><o:n>2</o:n></a>"#;
    assert_eq!(find(mixed, "//j:n"), "=1", "another namespace is another name");
    let shadowed = r#"<j:a xmlns:j="urn:juki"><j:b xmlns:j="urn:other"><j:n>2</j:n></j:b></j:a>"#;
    assert_eq!(find(shadowed, "//j:n"), "nothing", "a prefix means what its nearest declaration says");
}

#[test]
fn a_value_that_readers_take_apart_differently_is_refused() {
    assert_eq!(reason("<a>10<!-- -->01</a>"), "xml_comment_in_value");
    assert_eq!(reason("<a>10<![CDATA[01]]></a>"), "xml_value_in_pieces");
    assert_eq!(reason("<a><![CDATA[10]]><![CDATA[01]]></a>"), "xml_value_in_pieces");
    assert_eq!(reason("<a>1001<b/></a>"), "xml_text_beside_elements");
    assert_eq!(reason("<a><b/><![CDATA[1001]]></a>"), "xml_text_beside_elements");
    assert_eq!(reason("<a>]]></a>"), "xml_malformed");
    assert_eq!(reason("<a id='1'><b Id='1'/></a>"), "xml_duplicate_id");
    assert_eq!(reason("<a id='1' id='2'/>"), "xml_attribute");
    assert_eq!(reason("<a xmlns:p='u' xmlns:q='u' p:n='1' q:n='2'/>"), "xml_attribute");
    assert_eq!(reason("<a n='1\n2'/>"), "xml_attribute");
    assert_eq!(reason("<a n='<'/>"), "xml_attribute");
}

#[test]
fn nothing_is_expanded_fetched_or_carried_out() {
    assert_eq!(reason("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>"), "xml_doctype");
    assert_eq!(reason("<!DOCTYPE a SYSTEM 'http://127.0.0.1/x'><a/>"), "xml_doctype");
    assert_eq!(reason("<a>&e;</a>"), "xml_entity");
    assert_eq!(reason("<a n='&e;'/>"), "xml_entity");
    for number in ["&#0;", "&#xd800;", "&#x110000;", "&#xfffe;", "&#;", "&#x;", "&#+1;", "&#1_0;"] {
        assert_eq!(reason(&format!("<a>{number}</a>")), "xml_entity", "{number}");
    }
    assert_eq!(reason("<?xml-stylesheet href='x'?><a/>"), "xml_processing_instruction");
    assert_eq!(reason("<a><?php 1 ?></a>"), "xml_processing_instruction");
    assert_eq!(reason("<a/><?xml version='1.0'?>"), "xml_processing_instruction");
    assert_eq!(reason("<?xml version='1.1'?><a/>"), "xml_version");
}

#[test]
fn there_is_one_root_and_nothing_around_it() {
    assert_eq!(reason("<a/><b/>"), "xml_several_roots");
    assert_eq!(reason("<a/>x"), "xml_outside_root");
    assert_eq!(reason("&lt;<a/>"), "xml_outside_root");
    assert_eq!(reason("<![CDATA[]]><a/>"), "xml_outside_root");
    assert_eq!(reason(""), "xml_without_root");
    assert_eq!(reason("<a>"), "xml_malformed");
    assert_eq!(reason("<a></b>"), "xml_malformed");
    assert_eq!(reason("<a/></a>"), "xml_malformed");
    assert_eq!(reason("<a>\u{1}</a>"), "xml_forbidden_character");
    assert_eq!(reason("<a/>\0"), "xml_forbidden_character");
}

#[test]
fn names_are_whole_and_their_prefixes_declared() {
    assert_eq!(reason("<p:a/>"), "xml_undeclared_prefix");
    assert_eq!(reason("<a p:n='1'/>"), "xml_undeclared_prefix");
    assert_eq!(reason("<a xmlns:p='u'><b/></a><p:c/>"), "xml_several_roots");
    assert_eq!(reason("<a><b xmlns:p='u'/><p:c/></a>"), "xml_undeclared_prefix");
    for name in ["1a", "-a", "a:b:c", ":a", "a:"] {
        assert_eq!(reason(&format!("<{name} xmlns:a='u'/>")), "xml_name", "{name}");
    }
    for declared in ["xmlns:xml='u'", "xmlns:p=''", "xmlns:xmlns='u'", "xmlns:p='http://www.w3.org/2000/xmlns/'"] {
        assert_eq!(reason(&format!("<a {declared}/>")), "xml_namespace", "{declared}");
    }
}

#[test]
fn the_encoding_is_the_declared_one_or_the_document_is_unreadable() {
    let declared = |encoding: &str| format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?><a>表</a>");
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode("<a>表\\</a>");
    assert!(xml(&bytes, Charset::ShiftJis).is_ok());
    assert_eq!(xml(&bytes, Charset::Utf8).err(), Some("charset_undecodable"));
    let (bytes, ..) = encoding_rs::SHIFT_JIS.encode("<?xml version=\"1.0\" encoding=\"Windows-31J\"?><a>表</a>");
    assert!(xml(&bytes, Charset::ShiftJis).is_ok());
    assert_eq!(reason(&declared("Shift_JIS")), "xml_encoding_conflict");
    assert_eq!(reason(&declared("UTF-16")), "xml_encoding_conflict");
    assert_eq!(
        xml(b"<a>\x95</a>", Charset::ShiftJis).err(),
        Some("charset_undecodable"),
        "half a character eats a tag"
    );
    assert!(xml(b"\xef\xbb\xbf<a/>", Charset::Utf8).is_ok());
    assert!(xml(b"\xef\xbb\xbf<a/>", Charset::ShiftJis).is_err());
    assert!(xml(b"\xfe\xff\0<\0a\0/\0>", Charset::Utf8).is_err());
}

#[test]
fn size_depth_and_nodes_are_bounded() {
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    assert_eq!(reason(&deep(MAX_XML_DEPTH)), "accepted");
    assert_eq!(reason(&deep(MAX_XML_DEPTH + 1)), "xml_too_deep");
    assert_eq!(reason(&"<a>".repeat(1_000_000)), "xml_too_deep");
    assert_eq!(reason(&format!("<r>{}</r>", "<a/>".repeat(MAX_XML_NODES - 1))), "accepted");
    assert_eq!(reason(&format!("<r>{}</r>", "<a/>".repeat(MAX_XML_NODES))), "xml_too_many_nodes");
    let many: String = (0..=MAX_XML_NAMESPACES).map(|n| format!(" xmlns:n{n}='u{n}'")).collect();
    assert_eq!(reason(&format!("<a{many}/>")), "xml_too_many_namespaces");
    assert_eq!(reason(&format!("<a>{}</a>", "x".repeat(MAX_XML_BYTES))), "xml_too_large");
}

#[test]
fn a_path_says_what_is_wrong_with_it() {
    for (text, message) in
        [("", "at least one"), ("//", "at least one"), ("/@a", "at least one"), ("//@a", "at least one")]
    {
        assert!(XmlPath::parse(text).unwrap_err().to_string().contains(message), "{text}");
    }
    for text in ["//a[1]", "//a/text()", "/a/@b/c", "a//b", "/a/", "//a:b:c", "/a/*", "/a/.."] {
        assert!(matches!(XmlPath::parse(text), Err(PathError::Step(_))), "{text}");
    }
    let unknown = XmlPath::parse("//k:a").unwrap().resolve(&BTreeMap::new());
    assert_eq!(unknown, Err(PathError::Prefix("k".to_owned())));
}

proptest! {
    /// Whatever text stands in an element comes back from a document that was written by the rules.
    #[test]
    fn escaped_text_comes_back(text in "[ -~ぁ-ん一-龠]{0,40}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let document = xml(format!("<a>{escaped}</a>").as_bytes(), Charset::Utf8).unwrap();
        let Found::Plain(found) = document.find(&path("/a"), document.root()) else { panic!("no value") };
        prop_assert_eq!(found.as_ref(), text.as_str());
    }

    /// Markup from arbitrary pieces is read or refused, never a panic.
    #[test]
    fn any_markup_ends(pieces in proptest::collection::vec(prop_oneof![
        Just("<a>"), Just("</a>"), Just("<b/>"), Just("<![CDATA["), Just("]]>"), Just("<!--"), Just("-->"), Just("&"), Just(";"),
        Just("#x41"), Just("xmlns='u'"), Just("<p:c xmlns:p='v' p:d=\"e\">"), Just("</p:c>"), Just("<?x?>"), Just("表"), Just("\r\n"),
    ], 0..24)) {
        let text = pieces.concat();
        if let Ok(document) = xml(text.as_bytes(), Charset::Utf8) {
            let _ = document.as_value();
            prop_assert!(document.nodes().count() >= 1);
        }
    }
}
