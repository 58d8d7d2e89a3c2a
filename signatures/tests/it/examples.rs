//! The examples in the text of RFC 9421: values of fields (§2.1) and of what is derived (§2.2), and a whole signature base
//! (§2.5).

use signet_signatures::{Component, Error, Input, Parameters, Request, Result, StructuredType};

use crate::support;

/// The value of one component.
fn value(request: &Request<'_>, component: &str) -> Result<String> {
    let input = Input::new(support::components(&[component]), Parameters::default())?;
    let base = input.base(request)?;
    let line = base.strip_suffix(&format!("\n\"@signature-params\": {input}")).expect("the last line");
    Ok(line.split_once(": ").expect("a name and a value").1.to_owned())
}

fn fields<'a>(lines: &[(&'a str, &'a str)]) -> Request<'a> {
    let lines = lines.iter().map(|(name, value)| (*name, value.as_bytes()));
    Request::to("GET", "https://www.example.com/path").unwrap().with_fields(lines).unwrap()
}

/// §2.1.
#[test]
fn lines_of_a_field_are_trimmed_and_joined() {
    let request = fields(&[
        ("Host", "www.example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("X-OWS-Header", "   Leading and trailing whitespace.   "),
        ("X-Obs-Fold-Header", "Obsolete\r\n    line folding."),
        ("Cache-Control", "max-age=60"),
        ("Cache-Control", "    must-revalidate"),
        ("Example-Dict", "  a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
        ("X-Empty-Header", ""),
    ]);
    for (name, expected) in [
        ("host", "www.example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("x-ows-header", "Leading and trailing whitespace."),
        ("x-obs-fold-header", "Obsolete line folding."),
        ("cache-control", "max-age=60, must-revalidate"),
        ("example-dict", "a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
        ("x-empty-header", ""),
    ] {
        assert_eq!(value(&request, name).as_deref(), Ok(expected), "{name}");
    }
    assert!(matches!(value(&request, "etag"), Err(Error::Absent(_))));
}

/// §2.1.1, §2.1.2.
#[test]
fn structured_fields_are_written_anew() {
    let dictionary = "  a=1,    b=2;x=1;y=2,   c=(a   b   c), d";
    let known = fields(&[("Example-Dict", dictionary)]).with_type("example-dict", StructuredType::Dictionary);
    assert_eq!(value(&known, r#""example-dict";sf"#).as_deref(), Ok("a=1, b=2;x=1;y=2, c=(a b c), d"));
    let unknown = fields(&[("Example-Dict", dictionary)]);
    assert!(matches!(value(&unknown, r#""example-dict";sf"#), Err(Error::UnknownType(_))));
    for (key, expected) in [("a", "1"), ("d", "?1"), ("b", "2;x=1;y=2"), ("c", "(a b c)")] {
        let component = format!("\"example-dict\";key=\"{key}\"");
        assert_eq!(value(&unknown, &component).as_deref(), Ok(expected), "{key}");
    }
    assert!(matches!(value(&unknown, r#""example-dict";key="e""#), Err(Error::Absent(_))));
    let list = fields(&[("Cache-Status", "a;  hit,b"), ("Client-Cert", " :AA==:")]);
    assert_eq!(value(&list, r#""cache-status";sf"#).as_deref(), Ok("a;hit, b"));
    assert_eq!(value(&list, r#""client-cert";sf"#).as_deref(), Ok(":AA==:"));
    for (field, component) in [
        ("a=", r#""priority";sf"#),
        ("a=", r#""priority";key="a""#),
        ("(a", r#""priority";sf"#),
        ("1", r#""priority";sf"#),
    ] {
        assert!(
            matches!(value(&fields(&[("Priority", field)]), component), Err(Error::ValueNotStructured(_))),
            "{field}"
        );
    }
}

/// §2.1.3.
#[test]
fn bytes_tell_lines_apart() {
    let two = fields(&[("Example-Header", "value, with, lots"), ("Example-Header", "of, commas")]);
    let one = fields(&[("Example-Header", "value, with, lots, of, commas")]);
    assert_eq!(value(&two, "example-header"), value(&one, "example-header"));
    let bytes = r#""example-header";bs"#;
    assert_eq!(value(&two, bytes).as_deref(), Ok(":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"));
    assert_eq!(value(&one, bytes).as_deref(), Ok(":dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:"));
}

/// §2.5: nothing that is no ASCII, and no line end, stands in the base.
#[test]
fn what_is_no_ascii_is_covered_as_bytes_alone() {
    for text in ["caf\u{e9}", "a\nb", "a\r\nb", "a\rb", "a\0b", "a\x7f", "\"@method\": GET\n\"@path\": /"] {
        let request = fields(&[("X-Text", text)]);
        assert_eq!(value(&request, "x-text"), Err(Error::NotAscii("x-text".into())), "{text:?}");
        assert!(value(&request, r#""x-text";bs"#).is_ok(), "{text:?}");
    }
    assert_eq!(value(&fields(&[("X-Text", "a\tb")]), "x-text").as_deref(), Ok("a\tb"));
}

/// §2.2.
#[test]
fn what_is_derived_of_a_request() {
    for (method, uri, component, expected) in [
        ("POST", "https://www.example.com/path?param=value", "@method", "POST"),
        ("pOsT", "https://www.example.com/", "@method", "pOsT"),
        ("POST", "https://www.example.com/path?param=value", "@target-uri", "https://www.example.com/path?param=value"),
        ("POST", "https://www.Example.com:443/path", "@authority", "www.example.com"),
        ("POST", "http://www.example.com:8080/path", "@authority", "www.example.com:8080"),
        ("POST", "http://www.example.com/path?param=value", "@scheme", "http"),
        ("POST", "https://www.example.com/path?param=value", "@request-target", "/path?param=value"),
        ("GET", "https://www.example.com/path?param=value", "@path", "/path"),
        ("GET", "https://www.example.com", "@path", "/"),
        ("GET", "https://www.example.com/a//%2f/..", "@path", "/a//%2f/.."),
        (
            "GET",
            "https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman",
            "@query",
            "?param=value&foo=bar&baz=bat%2Dman",
        ),
        ("GET", "https://www.example.com/path?queryString", "@query", "?queryString"),
        ("GET", "https://www.example.com/path", "@query", "?"),
        ("GET", "https://www.example.com/path?", "@query", "?"),
        ("GET", "https://www.example.com/path?param=value&baz=batman", r#""@query-param";name="baz""#, "batman"),
    ] {
        let request = Request::to(method, uri).unwrap();
        assert_eq!(value(&request, component).as_deref(), Ok(expected), "{uri} {component}");
    }
}

/// §2.5.
#[test]
fn a_whole_signature_base() {
    let request = Request::to("POST", "https://example.com/foo?param=Value&Pet=dog")
        .unwrap()
        .with_fields([
            ("Content-Type", &b"application/json"[..]),
            (
                "Content-Digest",
                b"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
            ),
            ("Content-Length", b"18"),
        ])
        .unwrap();
    let covered = ["@method", "@authority", "@path", "content-digest", "content-length", "content-type"];
    let said =
        Parameters { created: Some(1_618_884_473), keyid: Some("test-key-rsa-pss".into()), ..Parameters::default() };
    let expected = r#""@method": POST
"@authority": example.com
"@path": /foo
"content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
"content-length": 18
"content-type": application/json
"@signature-params": ("@method" "@authority" "@path" "content-digest" "content-length" "content-type");created=1618884473;keyid="test-key-rsa-pss""#;
    assert_eq!(support::input(&covered, said).base(&request).unwrap(), expected);
}

#[test]
fn what_is_covered_is_bounded() {
    let long = "x".repeat(16 * 1024 + 1);
    assert!(matches!(value(&fields(&[("X-Long", &long)]), "x-long"), Err(Error::TooLong(_))));
    let half = &"x".repeat(8 * 1024 + 1);
    assert!(matches!(value(&fields(&[("X-Long", half), ("X-Long", half)]), "x-long"), Err(Error::TooLong(_))));
    let whole = &"x".repeat(16 * 1024);
    let names: Vec<String> = (0..9).map(|at| format!("x-{at}")).collect();
    let lines: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), whole.as_str())).collect();
    let covered: Vec<Component> = names.iter().map(|name| Component::new(name).unwrap()).collect();
    let of = |count: usize| Input::new(covered[..count].to_vec(), Parameters::default()).unwrap().base(&fields(&lines));
    assert!(of(7).is_ok());
    assert_eq!(of(8), Err(Error::BaseTooLong));
}
