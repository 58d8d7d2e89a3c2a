//! What has to be said and covered, and when.

use signet_signatures::{Error, ErrorKind, Parameters, Policy, Request};

use crate::support::{NOW, input, said, unsigned};

const ALL: [&str; 2] = ["@method", "@target-uri"];

fn check(method: &str, covered: &[&str], said: Parameters, now: i64) -> Result<i64, Error> {
    let signatures = unsigned(&input(covered, said).to_string());
    let request = Request::to(method, "https://api.example/orders").unwrap();
    let checked = Policy::default().check(signatures.only().unwrap().unwrap(), &request, now);
    checked.map(|checked| {
        assert_eq!((checked.keyid(), checked.nonce()), ("k1", "n1"));
        checked.good_until()
    })
}

fn refused(method: &str, covered: &[&str], said: Parameters, now: i64) -> Error {
    let error = check(method, covered, said, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unverified);
    error
}

#[test]
fn three_parameters_have_to_be_there() {
    assert_eq!(check("GET", &ALL, said(), NOW), Ok(NOW + 300));
    for (name, without) in [
        ("created", Parameters { created: None, ..said() }),
        ("nonce", Parameters { nonce: None, ..said() }),
        ("keyid", Parameters { keyid: None, ..said() }),
    ] {
        assert_eq!(refused("GET", &ALL, without, NOW), Error::Needs(name));
    }
}

#[test]
fn a_nonce_is_short_and_visible() {
    let with = |nonce: &str| Parameters { nonce: Some(nonce.to_owned()), ..said() };
    for wrong in ["", " ", "a b", &"x".repeat(129)] {
        assert_eq!(refused("GET", &ALL, with(wrong), NOW), Error::Nonce, "{wrong:?}");
    }
    let long = unsigned(&input(&ALL, with(&"x".repeat(128))).to_string());
    let request = Request::to("GET", "https://api.example/").unwrap();
    assert!(Policy::default().check(long.only().unwrap().unwrap(), &request, NOW).is_ok());
}

#[test]
fn it_is_made_within_the_window_either_way() {
    for (now, expected) in [
        (NOW - 301, Err(Error::Stale)),
        (NOW - 300, Ok(NOW + 300)),
        (NOW + 300, Ok(NOW + 300)),
        (NOW + 301, Err(Error::Stale)),
        (i64::MAX, Err(Error::Stale)),
        (i64::MIN, Err(Error::Stale)),
    ] {
        assert_eq!(check("GET", &ALL, said(), now), expected, "{now}");
    }
    let signatures = unsigned(&input(&ALL, said()).to_string());
    let request = Request::to("GET", "https://api.example/orders").unwrap();
    let narrow = |now| Policy::within(10).check(signatures.only().unwrap().unwrap(), &request, now).map(|_| ());
    assert_eq!((narrow(NOW + 10), narrow(NOW + 11)), (Ok(()), Err(Error::Stale)));
    for created in [-999_999_999_999_999, 999_999_999_999_999] {
        let said = Parameters { created: Some(created), ..said() };
        assert_eq!(refused("GET", &ALL, said, NOW), Error::Stale);
    }
}

#[test]
fn expires_shortens_and_never_lengthens() {
    let until = |expires: i64| Parameters { expires: Some(expires), ..said() };
    assert_eq!(check("GET", &ALL, until(NOW + 60), NOW + 60), Ok(NOW + 60));
    assert_eq!(refused("GET", &ALL, until(NOW + 60), NOW + 61), Error::Expired);
    assert_eq!(check("GET", &ALL, until(NOW + 9999), NOW), Ok(NOW + 300));
    assert_eq!(refused("GET", &ALL, until(NOW + 9999), NOW + 301), Error::Stale);
    assert_eq!(check("GET", &ALL, until(NOW), NOW), Ok(NOW));
    assert_eq!(refused("GET", &ALL, until(NOW - 1), NOW - 2), Error::ExpiresFirst);
}

#[test]
fn method_target_and_body_have_to_be_covered() {
    assert_eq!(refused("GET", &["@target-uri"], said(), NOW), Error::ComponentNotCovered("@method"));
    for less in
        [&["@method"][..], &["@method", "@path", "@query", "@authority", "@scheme"], &["@method", "@request-target"]]
    {
        assert_eq!(refused("GET", less, said(), NOW), Error::ComponentNotCovered("@target-uri"));
    }
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(refused(method, &ALL, said(), NOW), Error::ComponentNotCovered("content-digest"), "{method}");
        assert!(check(method, &[ALL[0], ALL[1], "content-digest"], said(), NOW).is_ok(), "{method}");
        assert!(check(method, &[ALL[0], ALL[1], r#""content-digest";bs"#], said(), NOW).is_ok(), "{method}");
        let part = [ALL[0], ALL[1], r#""content-digest";key="sha-256""#];
        assert_eq!(refused(method, &part, said(), NOW), Error::ComponentNotCovered("content-digest"), "{method}");
    }
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "QUERY", "post"] {
        assert!(check(method, &ALL, said(), NOW).is_ok(), "{method}");
    }
}

#[test]
fn a_digest_that_was_sent_has_to_be_covered_whatever_the_method() {
    let signatures = unsigned(&input(&ALL, said()).to_string());
    let request =
        Request::to("DELETE", "https://api.example/").unwrap().with_field("content-digest", b"x=:AA==:").unwrap();
    let checked = Policy::default().check(signatures.only().unwrap().unwrap(), &request, NOW);
    assert_eq!(checked.unwrap_err(), Error::ComponentNotCovered("content-digest"));
    assert_eq!(Policy::components(&request), ["@method", "@target-uri", "content-digest"]);
}
