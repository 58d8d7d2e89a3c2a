//! What each fuzz target does with its bytes, and what must hold of the answer; that nothing panics holds for all.
//!
//! The targets in `fuzz_targets/` give these functions to libFuzzer. `tests/it/fuzz.rs` is the same file under the
//! server's own tests: it replays the seeds in `corpus/` and mutations of them, on any toolchain.
//!
//! Request objects and client assertions: RFC 9101, RFC 7523 §3. `claims`: OpenID Connect Core §5.5. Redirect URIs: RFC
//! 9700 §4.1.3, RFC 8252 §7.3. Registration: RFC 7591 §2. `http_signature`: RFC 9421, RFC 9530.
//! `gate_question`: what a proxy asks and what its caller has presented, RFC 5849 among it.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use signet::domain::algorithms::SigningAlg;
use signet::domain::claims_request::{ClaimsRequest, RequestedClaims};
use signet::domain::client_metadata::ClientMetadata;
use signet::domain::ids::ClientId;
use signet::domain::jwks::JwkSet;
use signet::domain::redirect_uri::RedirectUri;
use signet::domain::scope::Scopes;
use signet::domain::secret::Secret;
use signet::env::Timestamp;
use signet::gate::GateRequest;
use signet::gate::credentials::PresentedCredential;
use signet::gate::forwarded_request::ForwardedRequest;
use signet::gate::headers::Headers;
use signet::gate::{oauth1, path};
use signet::keys::client_jws::{self, VerifiedJws};
use signet::keys::encryption;
use signet::protocol::authorize::request_object;
use signet::protocol::client_assertion;
use signet::protocol::parameters::Parameters;
use signet::protocol::registration::read;
use signet_signatures::{ContentDigest, Input, Policy, Request, Signatures, SigningKey, VerifyingKey};
use url::Url;

/// All that was ever signed with [`keys`]: the payloads of RFC 7515 A.2 and A.3, and of RFC 8037 A.4.
const SIGNED: [&[u8]; 2] = [
    b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}",
    b"Example of Ed25519 signing",
];
/// 2030-01-01, when the assertions of the corpus are good.
const NOW: i64 = 1_893_456_000;

/// The public keys of RFC 7515 A.2 and A.3 and RFC 8037 A.2.
fn keys() -> JwkSet {
    let keys = json!({ "keys": [
        { "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" },
        { "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
        { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    ] });
    JwkSet::parse(keys.to_string().as_bytes()).expect("the keys of the specifications")
}

/// A token as a server takes it that knows the clients' keys: whatever verifies says what was signed with them.
fn token(text: &str) -> Option<VerifiedJws> {
    // Nobody has signed with this one.
    let secret = Secret::new("nobody has signed anything with this secret".to_owned());
    assert!(client_jws::verify_mac(text, &secret).is_err(), "verified without the secret");
    assert!(client_jws::verify(text, &[], &keys()).is_err(), "verified by an algorithm that nobody allowed");
    let verified = client_jws::verify(text, &SigningAlg::ASYMMETRIC, &keys()).ok()?;
    assert!(SIGNED.contains(&verified.payload.as_slice()), "verified without the key");
    let header = client_jws::peek_header(text).expect("the header of what verifies");
    assert_eq!(header.get("alg").and_then(Value::as_str), Some(verified.header.alg.as_str()));
    assert_eq!(client_jws::peek_claims(text), verified.claims());
    Some(verified)
}

/// A request object, or the claims in one.
pub fn request_object(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // An encrypted one has five parts, a signed one three.
    if encryption::is_encrypted(text) {
        assert!(token(text).is_none(), "encrypted and signed at once");
    }
    let inside = token(text).and_then(|verified| verified.claims());
    // As it stands: what reads the claims must bear any of them, whoever signed.
    let claims = inside.or_else(|| client_jws::peek_claims(text)).or_else(|| serde_json::from_slice(data).ok());
    let Some(read) = claims.and_then(|claims| request_object::parameters(&claims).ok()) else { return };
    let again = Parameters::parse(read.encoded().as_bytes()).expect("what is kept of a pushed request is read again");
    assert_eq!(again.encoded(), read.encoded());
}

/// A client assertion, or the claims in one.
pub fn client_assertion(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(client) = client_assertion::unverified_subject(text) {
        assert_eq!(ClientId::parse(client.as_str()).ok(), Some(client));
    }
    let verified = token(text).and_then(|verified| verified.claims());
    let claims = verified.or_else(|| client_jws::peek_claims(text)).or_else(|| serde_json::from_slice(data).ok());
    let Some(claims) = claims else { return };
    if let Ok(until) = client_assertion::good_until(&claims, Timestamp::from_seconds(NOW)) {
        assert!((NOW - 60..=NOW + 86_400).contains(&until.seconds()), "good until {}", until.seconds());
    }
}

/// The `claims` parameter.
pub fn claims(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(asked) = ClaimsRequest::parse(text) else { return };
    // An object with each name once, and what is neither null nor an object is refused.
    let all: Map<String, Value> = serde_json::from_str(text).expect("it was parsed before");
    for (names, member) in [(&asked.claims.userinfo, "userinfo"), (&asked.claims.id_token, "id_token")] {
        assert!(names.is_sorted() && names.iter().all(|name| all[member].get(name).is_some()), "{names:?}");
    }
    // It is kept as JSON with the code.
    let kept = serde_json::to_value(&asked.claims).expect("it is kept");
    assert_eq!(serde_json::from_value::<RequestedClaims>(kept).ok(), Some(asked.claims.clone()));
    let none = asked.claims.clone().restricted_to(&Scopes::default());
    assert!(none.is_empty(), "claims of no scope: {none:?}");
    let scopes = asked.claims.scopes();
    assert_eq!(asked.claims.restricted_to(&scopes).scopes(), scopes);
}

/// Two lines: an address to register, and one that is sent. Both readings, ours and the WHATWG parser's, agree that
/// what is accepted is the same, but for the port on loopback.
pub fn redirect_uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, sent) = text.split_once('\n').unwrap_or((text, text));
    let Ok(registered) = RedirectUri::parse(first) else { return };
    assert_eq!(registered.as_str(), first);
    assert!(registered.matches(first, false) && registered.matches(first, true));
    let url = Url::parse(first).expect("an absolute URI");
    assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none(), "{first}");
    assert!(!matches!(url.scheme(), "javascript" | "data" | "file" | "blob" | "about"), "{first}");
    assert_eq!(registered.matches(sent, false), sent == first, "a web client's is its bytes");
    if !registered.matches(sent, true) || sent == first {
        return;
    }
    let mut other = Url::parse(sent).expect("what is accepted is a URI");
    let mut ours = url;
    assert_eq!((other.scheme(), ours.scheme()), ("http", "http"), "{sent}");
    assert!(matches!(ours.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")), "{sent}");
    other.set_port(None).expect("it has a host");
    ours.set_port(None).expect("it has a host");
    assert_eq!(other.as_str(), ours.as_str(), "it differs in more than the port");
}

/// The body of a registration.
pub fn registration(data: &[u8]) {
    let Ok(mut meta) = read::members(data).and_then(read::metadata) else { return };
    // What it must be together; the names of what is wrong are in the answer.
    assert!(meta.problems().iter().all(|problem| !problem.field.is_empty() && !problem.message.is_empty()));
    // It is kept as JSON, and told as JSON that the client may send back (RFC 7592 §2.2).
    let kept = serde_json::to_vec(&meta).expect("it is kept");
    let mut sent_back = read::members(&kept).and_then(read::metadata).expect("what was told may be sent back");
    let mut loaded: ClientMetadata = serde_json::from_slice(&kept).expect("what is kept is read");
    // A number in a published key may come back with another last digit.
    let number = |meta: &mut ClientMetadata| meta.jwks.take().map(|set| set.keys().count());
    let published = number(&mut meta);
    for other in [&mut sent_back, &mut loaded] {
        assert_eq!(number(other), published);
        assert_eq!(*other, meta);
    }
}

macro_rules! vector {
    ($name:literal) => {
        include_str!(concat!("../../tests/vectors/", $name, ".json"))
    };
}

/// Vectors of signed requests; the last of each pair is the key.
const VECTORS: [(&str, &str); 9] = [
    (vector!("rfc9421/b2.1"), vector!("rfc9421/keys/test-key-rsa-pss")),
    (vector!("rfc9421/b2.2"), vector!("rfc9421/keys/test-key-rsa-pss")),
    (vector!("rfc9421/b2.5"), vector!("rfc9421/keys/test-shared-secret")),
    (vector!("rfc9421/b2.6"), vector!("rfc9421/keys/test-key-ed25519")),
    (vector!("rfc9421/b4"), vector!("rfc9421/keys/test-key-ed25519")),
    (vector!("signet/components"), vector!("signet/keys/ed25519")),
    (vector!("signet/ed25519"), vector!("signet/keys/ed25519")),
    (vector!("signet/ecdsa-p256-sha256"), vector!("signet/keys/ecdsa-p256-sha256")),
    (vector!("signet/hmac-sha256-get"), vector!("signet/keys/hmac-sha256")),
];

/// All that was ever signed, each with the key that did it.
static SIGNED_REQUESTS: LazyLock<Vec<(String, VerifyingKey)>> = LazyLock::new(|| {
    let read = |(vector, key): (&str, &str)| {
        let [vector, key]: [Value; 2] = [vector, key].map(|text| serde_json::from_str(text).expect("a vector"));
        let base = vector.get("base").and_then(Value::as_str).expect("what was signed").to_owned();
        let jwk = key.get("jwk").and_then(Value::as_object).expect("a key");
        (base, SigningKey::from_jwk(jwk).and_then(|key| key.verifying_key()).expect("a key"))
    };
    VECTORS.map(read).into()
});

/// A signed request as text: method and target URI, then a line for each header field.
pub fn http_signature(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok()).and_then(|line| line.split_once(' '));
    let Some(Ok(mut request)) = first.map(|(method, uri)| Request::to(method, uri)) else { return };
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at(colon);
        let Ok(name) = std::str::from_utf8(name) else { return };
        let Ok(with) = request.with_field(name, value.get(1..).unwrap_or_default()) else { return };
        request = with;
    }
    if let Ok(Some(digest)) = ContentDigest::of(&request) {
        assert_eq!(ContentDigest::parse(digest.to_string().as_bytes()).as_ref(), Ok(&digest));
        assert!(digest.check(b"nobody made a digest of this").is_err());
    }
    let Ok(Some(signatures)) = Signatures::of(&request) else { return };
    for signature in signatures.iter() {
        assert_eq!(read_again(signature.input()).as_ref(), Some(signature.input()), "written in another way than read");
        let Ok(base) = signature.input().base(&request) else { continue };
        // Nothing that was sent makes a line of its own.
        assert_eq!(base.split('\n').count(), signature.input().components().len() + 1);
        assert!(base.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')));
        if let Ok(checked) = Policy::default().check(signature, &request, 1_750_000_000) {
            assert!(checked.good_until() >= 1_750_000_000 && !checked.nonce().is_empty());
        }
        for (_, key) in SIGNED_REQUESTS.iter() {
            let forged = || SIGNED_REQUESTS.iter().all(|(signed, _)| *signed != base);
            assert!(signature.verify(&request, key).is_err() || !forged(), "verified without the key");
        }
    }
}

/// What is written for `Signature-Input`, as a reader takes it.
fn read_again(input: &Input) -> Option<Input> {
    let written = format!("s={input}");
    let request = Request::to("GET", "https://api.example/").and_then(|request| {
        request.with_field("Signature-Input", written.as_bytes())?.with_field("Signature", b"s=::")
    });
    let signatures = Signatures::of(&request.ok()?).ok()??;
    signatures.get("s").map(|signature| signature.input().clone())
}

/// Header lines of a proxy's question, as they come.
pub fn gate_question(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let fields: Vec<(String, &[u8])> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((std::str::from_utf8(name).ok()?.to_ascii_lowercase(), value.get(1..)?.trim_ascii()))
        })
        .collect();
    let fields = Headers(fields.iter().map(|(name, value)| (name.as_str(), *value)).collect());
    let asked =
        GateRequest { gate: "g", method: "GET", behind: None, fields: &fields, certificate: None, caller: None };
    // What is recorded has no end of a line in it, whatever came.
    let (method, shown) = ForwardedRequest::raw_method_and_path(&asked);
    assert!(!method.chars().chain(shown.chars()).any(char::is_control));
    let presented = PresentedCredential::read(&fields);
    let Ok(original) = ForwardedRequest::read(&asked) else { return };
    assert!(original.path.starts_with('/') && !original.path.contains("//"));
    assert!(!original.path.split('/').any(|segment| segment == "." || segment == ".."));
    if let Ok(again) = path::decoded(&original.path) {
        assert!(!again.split('/').any(|segment| segment == "." || segment == ".."), "decoded twice");
    }
    if let Ok(PresentedCredential::OAuth1(header)) = presented
        && let Ok(read) = oauth1::OAuth1Parameters::read(header)
    {
        // Three parts, and no ampersand of the caller's between them (§3.4.1.1).
        assert_eq!(read.base_string(&original).matches('&').count(), 2);
    }
}
