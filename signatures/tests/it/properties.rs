//! What holds of every request: what is signed verifies, anything else does not, and no text makes the parser stop.

use proptest::prelude::*;
use signet_signatures::{Component, ContentDigest, DigestAlgorithm, Error, Input, Parameters, Request, Signatures};

use crate::support;

fn components() -> impl Strategy<Value = Vec<Component>> {
    let known = [
        "@method",
        "@target-uri",
        "@authority",
        "@scheme",
        "@request-target",
        "@path",
        "@query",
        "x-one",
        "x-two",
        r#""x-one";bs"#,
        r#""x-two";bs"#,
        r#""priority";sf"#,
        r#""priority";key="a""#,
        r#""@query-param";name="q""#,
    ];
    proptest::sample::subsequence(known.to_vec(), 0..=known.len())
        .prop_shuffle()
        .prop_map(|all| support::components(&all))
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let seconds = || proptest::option::of(-999_999_999_999_999_i64..=999_999_999_999_999);
    let text = || proptest::option::of("[ -~]{0,40}");
    (seconds(), seconds(), text(), text(), text()).prop_map(|(created, expires, nonce, keyid, tag)| Parameters {
        created,
        expires,
        nonce,
        keyid,
        tag,
        alg: None,
    })
}

#[derive(Clone, Debug)]
struct Sent {
    method: String,
    uri: String,
    one: String,
    two: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let two = proptest::collection::vec(prop_oneof![Just(b'\t'), b' '..=b'~'], 0..60);
    ("[A-Z]{1,8}", "(/[a-z0-9%._-]{0,9}){1,4}", "[a-z0-9+&=%]{0,20}", "[!-~]{0,40}", two).prop_map(
        |(method, path, query, one, two)| {
            // A percent sign may stand before what makes it no UTF-8.
            let query = query.replace('%', "%41");
            Sent { method, uri: format!("https://api.example{path}?z=1&{}&q=1", query.replace('q', "p")), one, two }
        },
    )
}

impl Sent {
    fn request(&self) -> Request<'_> {
        let fields =
            [("X-One", self.one.as_bytes()), ("x-two", &self.two), ("X-One", b"again"), ("Priority", b"a,  b=2")];
        Request::to(&self.method, &self.uri).unwrap().with_fields(fields).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_signed_verifies(sent in sent(), covered in components(), said in parameters(), which in 0_usize..4) {
        let (signing, verifying) = support::each_pair().swap_remove(which);
        let request = sent.request();
        let input = Input::new(covered, said).unwrap();
        let signed = input.sign("sig1", &request, &signing).unwrap();
        let received = request.clone()
            .with_field("Signature-Input", signed.signature_input.as_bytes()).unwrap()
            .with_field("Signature", signed.signature.as_bytes()).unwrap();
        let signatures = Signatures::of(&received).unwrap().unwrap();
        let signature = signatures.only().unwrap().unwrap();
        prop_assert_eq!(signature.input(), &input);
        prop_assert_eq!(signature.verify(&received, &verifying), Ok(()));
    }

    #[test]
    fn a_changed_byte_does_not_verify(base in ".{1,80}", at in any::<prop::sample::Index>(), bit in 0_u8..8, which in 0_usize..4) {
        let (signing, verifying) = support::each_pair().swap_remove(which);
        let value = signing.sign(base.as_bytes()).unwrap();
        let flipped = |bytes: &[u8]| {
            let mut changed = bytes.to_vec();
            changed[at.index(bytes.len())] ^= 1 << bit;
            changed
        };
        prop_assert_eq!(verifying.verify(base.as_bytes(), &value), Ok(()));
        prop_assert_eq!(verifying.verify(&flipped(base.as_bytes()), &value), Err(Error::NotVerified));
        prop_assert_eq!(verifying.verify(base.as_bytes(), &flipped(&value)), Err(Error::NotVerified));
        let mut longer = value.clone();
        longer.push(0);
        prop_assert_eq!(verifying.verify(base.as_bytes(), &longer), Err(Error::NotVerified));
        prop_assert_eq!(verifying.verify(base.as_bytes(), &value[..value.len() - 1]), Err(Error::NotVerified));
    }

    /// The bases of two requests that differ in what is covered differ: no value can be taken for another line.
    #[test]
    fn another_request_is_another_base(one in sent(), other in sent(), said in parameters()) {
        let covered = ["@method", "@target-uri", r#""x-one";bs"#, r#""x-two";bs"#];
        let input = Input::new(support::components(&covered), said).unwrap();
        let trimmed = |sent: &Sent| {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            let begin = sent.two.iter().position(|byte| !blank(byte)).unwrap_or(sent.two.len());
            let end = sent.two.iter().rposition(|byte| !blank(byte)).map_or(begin, |at| at + 1);
            (sent.method.clone(), sent.uri.clone(), sent.one.clone(), sent.two[begin..end].to_vec())
        };
        let same = input.base(&one.request()).unwrap() == input.base(&other.request()).unwrap();
        prop_assert_eq!(same, trimmed(&one) == trimmed(&other));
    }

    #[test]
    fn the_parser_takes_any_bytes(signature_input in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let request = Request::to("GET", "https://a.example/").unwrap()
            .with_field("Signature-Input", &signature_input).unwrap()
            .with_field("Signature", &signature).unwrap();
        let _ = Signatures::of(&request);
        let _ = ContentDigest::parse(&signature);
    }

    /// What is read is written so that it is read again.
    #[test]
    fn what_looks_like_a_signature_is_read_in_one_way(
        text in r#"\((" ?"@?[a-z-]{1,6}"(;(sf|bs|key="[a-z]"|name="a"|req|tr))?){0,4}\)(;(created|nonce|keyid|x)(=([0-9]{1,4}|"[a-z]{0,3}"|:AA==:))?){0,4}"#,
    ) {
        if let Ok(Some(signatures)) = support::read(&format!("s={text}"), "s=:AA==:") {
            let input = signatures.only().unwrap().unwrap().input().clone();
            let again = support::unsigned(&input.to_string());
            prop_assert_eq!(again.only().unwrap().unwrap().input(), &input);
        }
    }

    #[test]
    fn a_digest_is_of_its_body_alone(body in any::<Vec<u8>>(), other in any::<Vec<u8>>()) {
        for algorithm in DigestAlgorithm::ALL {
            let digest = ContentDigest::made(algorithm, &body);
            prop_assert_eq!(&ContentDigest::parse(digest.to_string().as_bytes()).unwrap(), &digest);
            prop_assert_eq!(digest.check(&body), Ok(()));
            prop_assert_eq!(digest.check(&other).is_ok(), body == other);
        }
    }
}
