//! What cannot be read: each kind by its own error, and none of them a panic.

use signet_signatures::{Error, ErrorKind, Request, Signatures};

use crate::support;

const GOOD: &str = r#"("@method");created=1;keyid="k""#;

fn own(signature_input: &str, signature: &str) -> Error {
    let error = support::read(signature_input, signature).expect_err(signature_input);
    assert_eq!(error.kind(), ErrorKind::Malformed, "{signature_input}");
    error
}

#[test]
fn nothing_is_there() {
    let request = Request::to("GET", "https://a.example/").unwrap();
    assert_eq!(Signatures::of(&request), Ok(None));
    assert!(support::read("", "").unwrap().unwrap().only().unwrap().is_none());
}

#[test]
fn no_structured_field() {
    for wrong in [
        "(",
        "s",
        "s=(",
        "s=(\"a\"",
        "s=(\"a\");",
        "s=(a",
        "S=()",
        "s=() t=()",
        "s=(),",
        ",",
        "s=(\"\u{e4}\")",
        "s=()\n",
    ] {
        if wrong == "s" {
            assert_eq!(own(wrong, "s=:AA==:"), Error::NotComponents("s".into()));
        } else {
            assert!(
                matches!(own(wrong, "s=:AA==:"), Error::NotStructured(name, _) if name == "Signature-Input"),
                "{wrong}"
            );
        }
    }
    for wrong in ["s=:A:", "s=:AA==", "s=:\u{e4}:", "s=:AA==:;", "s:AA==:"] {
        assert!(
            matches!(own(&format!("s={GOOD}"), wrong), Error::NotStructured(name, _) if name == "Signature"),
            "{wrong}"
        );
    }
}

#[test]
fn of_another_type() {
    for wrong in ["s=1", "s=\"x\"", "s=:AA==:", "s"] {
        assert_eq!(own(wrong, "s=:AA==:"), Error::NotComponents("s".into()), "{wrong}");
    }
    for wrong in ["s=\"AA==\"", "s=AA", "s=(:AA==:)", "s", "s=1"] {
        assert_eq!(own(&format!("s={GOOD}"), wrong), Error::NotBytes("s".into()), "{wrong}");
    }
}

#[test]
fn a_label_without_its_other_half() {
    let unmatched = |label: &str| Error::Unmatched(label.to_owned());
    assert_eq!(own(&format!("s={GOOD}"), ""), unmatched("s"));
    assert_eq!(own(&format!("s={GOOD}"), "t=:AA==:"), unmatched("s"));
    assert_eq!(own(&format!("s={GOOD}"), "s=:AA==:, t=:AA==:"), unmatched("t"));
    assert_eq!(own(&format!("s={GOOD}, t={GOOD}"), "s=:AA==:"), unmatched("t"));
    let request = Request::to("GET", "https://a.example/").unwrap();
    let alone = request.clone().with_field("Signature", b"s=:AA==:").unwrap();
    assert_eq!(Signatures::of(&alone), Err(unmatched("s")));
    let alone = request.with_field("Signature-Input", b"s=()").unwrap();
    assert_eq!(Signatures::of(&alone), Err(unmatched("s")));
}

/// RFC 9651 would keep the last.
#[test]
fn what_stands_twice() {
    let twice = format!("s={GOOD}, s={GOOD}");
    assert_eq!(own(&twice, "s=:AA==:"), Error::RepeatedLabel("s".into(), "Signature-Input"));
    assert_eq!(own(&format!("s={GOOD}"), "s=:AA==:, s=:AQ==:"), Error::RepeatedLabel("s".into(), "Signature"));
    // In two lines of the field, too.
    let good = format!("s={GOOD}");
    let request = Request::to("GET", "https://a.example/").unwrap().with_fields([
        ("Signature-Input", good.as_bytes()),
        ("Signature", b"s=:AA==:"),
        ("signature-input", good.as_bytes()),
    ]);
    assert_eq!(Signatures::of(&request.unwrap()), Err(Error::RepeatedLabel("s".into(), "Signature-Input")));
    assert_eq!(own(r#"s=();nonce="a";nonce="b""#, "s=:AA==:"), Error::RepeatedParameter("nonce".into()));
    assert_eq!(own(r#"s=("a";sf;sf)"#, "s=:AA==:"), Error::RepeatedParameter("sf".into()));
    assert_eq!(own(r#"s=("a" "b" "a")"#, "s=:AA==:"), Error::RepeatedComponent("\"a\"".into()));
}

/// What looks like a repetition inside a string is none.
#[test]
fn what_stands_once_and_looks_like_twice() {
    let text = r#"("a");nonce="x;created=1;created=2";created=1;keyid="(\"a\" \"a\")""#;
    assert_eq!(support::unsigned(text).only().unwrap().unwrap().input().to_string(), text);
}

#[test]
fn too_much() {
    let labels = |count: usize| {
        let both = |value: &str| (0..count).map(|at| format!("s{at}={value}")).collect::<Vec<_>>().join(", ");
        support::read(&both("()"), &both(":AA==:")).map(|read| read.unwrap().iter().count())
    };
    assert_eq!(labels(32), Ok(32));
    assert_eq!(labels(33), Err(Error::TooManySignatures));
    let long = format!("s=();nonce=\"{}\"", "x".repeat(16 * 1024));
    assert_eq!(own(&long, "s=:AA==:"), Error::TooLong("Signature-Input".into()));
    assert_eq!(own("s=()", &format!("s=:{}:", "A".repeat(16 * 1024))), Error::TooLong("Signature".into()));
    let names: Vec<String> = (0..65).map(|at| format!("\"x{at}\"")).collect();
    assert_eq!(own(&format!("s=({})", names.join(" ")), "s=:AA==:"), Error::TooManyComponents);
    let parameters: Vec<String> = (0..2000).map(|at| format!("x{at}")).collect();
    assert!(support::read(&format!("s=();{}", parameters.join(";")), "s=:AA==:").is_ok());
}

#[test]
fn no_component_of_a_request() {
    for (component, error) in [
        (r#""@status""#, Error::OfResponses("@status".into())),
        (r#""@method";req"#, Error::OfResponses("@method".into())),
        (r#""date";tr"#, Error::OfTrailers("date".into())),
        (r#""@nothing""#, Error::UnknownComponent("@nothing".into())),
        (r#""@signature-params""#, Error::UnknownComponent("@signature-params".into())),
        (r#""date";x"#, Error::ComponentParameters("date".into())),
        (r#""Date""#, Error::ComponentName),
        ("date", Error::ComponentName),
    ] {
        assert_eq!(own(&format!("s=({component})"), "s=:AA==:"), error);
    }
}

/// Each parameter of a query reads all of it: many of them over a long one would cost a thousand times the request.
#[test]
fn what_costs_more_than_it_weighs_is_not_read() {
    let names: Vec<String> = (0..60).map(|at| format!("p{at}")).collect();
    let target = format!("https://a.example/?{}{}", names.join("&"), "&x".repeat(7000));
    let request = Request::to("GET", &target).unwrap();
    let covered = |names: &[String]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("\"@query-param\";name=\"{name}\"")).collect();
        format!("s=({});keyid=\"k\"", quoted.join(" "))
    };
    let base = |names: &[String]| {
        let input = covered(names);
        let request = request.clone().with_field("Signature-Input", input.as_bytes()).unwrap();
        let request = request.with_field("Signature", b"s=:AA==:").unwrap();
        let signatures = Signatures::of(&request).unwrap().unwrap();
        let signature = signatures.only().unwrap().unwrap();
        signature.input().base(&request).map(|base| base.lines().count())
    };
    assert_eq!(base(&names[..8]), Ok(9));
    assert_eq!(base(&names), Err(Error::BaseTooLong));
}
