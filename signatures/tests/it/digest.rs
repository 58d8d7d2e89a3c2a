//! `Content-Digest` (RFC 9530): the examples of its text, and what is no digest.

use signet_signatures::{ContentDigest, DigestAlgorithm, Error, ErrorKind, Request};

const BODY: &[u8] = b"{\"hello\": \"world\"}\n";
const SHA256: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
const SHA512: &str =
    "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:";

/// RFC 9530 §2, B.1: one body, its line end included, by both algorithms.
#[test]
fn the_examples_of_the_rfc() {
    for (value, algorithm) in [(SHA256, DigestAlgorithm::Sha256), (SHA512, DigestAlgorithm::Sha512)] {
        assert_eq!(ContentDigest::made(algorithm, BODY).to_string(), value);
        let digest = ContentDigest::parse(value.as_bytes()).unwrap();
        assert_eq!(digest.to_string(), value);
        assert_eq!(digest.check(BODY), Ok(()));
        assert_eq!(digest.check(&BODY[..BODY.len() - 1]), Err(Error::DigestMismatch));
    }
    // B.2: of no content.
    let empty = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    assert_eq!(ContentDigest::parse(empty.as_bytes()).unwrap().check(b""), Ok(()));
}

#[test]
fn every_known_digest_has_to_fit() {
    let both = |one: &str, other: &str| ContentDigest::parse(format!("{one}, {other}").as_bytes()).unwrap().check(BODY);
    assert_eq!(both(SHA256, SHA512), Ok(()));
    let wrong = ContentDigest::made(DigestAlgorithm::Sha512, b"other").to_string();
    assert_eq!(both(SHA256, &wrong), Err(Error::DigestMismatch));
    assert_eq!(both(&wrong, SHA256), Err(Error::DigestMismatch));
    // Unknown and broken ones say nothing.
    assert_eq!(both("md5=:AAAA:, x=1", SHA256), Ok(()));
}

#[test]
fn what_is_no_digest_is_refused_by_its_own_error() {
    let own = |value: &str| {
        let error = ContentDigest::parse(value.as_bytes()).expect_err(value);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{value}");
        error
    };
    for value in ["", "md5=:AAAA:", "SHA=:AA==:".to_ascii_lowercase().as_str(), "sha-384=:AA==:"] {
        assert_eq!(own(value), Error::NoKnownDigest, "{value}");
    }
    for value in ["sha-256=x", "sha-256", "sha-256=:AA==:", "sha-256=(:AA==:)", "sha-256=::"] {
        assert_eq!(own(value), Error::DigestValue("sha-256"), "{value}");
    }
    assert_eq!(own(&SHA256.replace("sha-256", "sha-512")), Error::DigestValue("sha-512"));
    assert_eq!(own(&format!("{SHA256}, {SHA512}, {SHA256}")), Error::RepeatedDigest("sha-256".into()));
    for value in ["sha-256=:RK", "sha-256=:AA==:,", "Sha-256=:AA==:", "=", "\u{e4}"] {
        assert!(matches!(own(value), Error::NotStructured(..)), "{value}");
    }
    assert!(matches!(own(&format!("{SHA256}, x=\"{}\"", "y".repeat(16 * 1024))), Error::TooLong(_)));
}

#[test]
fn the_lines_of_the_field_are_one() {
    let request = Request::to("POST", "https://a.example/").unwrap();
    assert_eq!(ContentDigest::of(&request), Ok(None));
    let lines = [("Content-Digest", SHA256.as_bytes()), ("content-digest", SHA512.as_bytes())];
    assert_eq!(ContentDigest::of(&request.clone().with_fields(lines).unwrap()).unwrap().unwrap().check(BODY), Ok(()));
    let twice = request.with_fields([lines[0], lines[0]]).unwrap();
    assert_eq!(ContentDigest::of(&twice), Err(Error::RepeatedDigest("sha-256".into())));
}
