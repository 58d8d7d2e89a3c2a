//! The form, the checksum, and where a key fits.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use super::{ApiKey, ApiKeyError, ApiKeySecret, Owner, ResolvedOwner, checksum, network, parse_key_name};
use crate::domain::api::Api;
use crate::domain::client::Client;
use crate::domain::ids::{ApiKeyId, ClientId};
use crate::domain::secret::SecretKind;
use crate::env::{Env, Timestamp};

/// Made by another implementation: Python's `zlib.crc32`, and `divmod` by 62.
const KNOWN: [&str; 3] = [
    "sgk_000000000000000000000000000000003DUITA",
    "sgk_0123456789ABCDEFGHIJKLMNOPQRSTUV1Wkb19",
    "sgk_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz4Zp94E",
];

#[test]
fn parse_verifies_form_and_checksum() {
    for key in KNOWN {
        assert_eq!(ApiKeySecret::parse(key).expect(key).expose(), key);
    }
    let key = KNOWN[1];
    for bad in [
        "",
        "sgk_",
        key.strip_suffix('9').unwrap(),
        &format!("{key}0"),
        &format!(" {key}"),
        &key.replace("sgk_", "SGK_"),
        &key.replace("sgk_", "sgs_"),
        &key.replace("sgk_", ""),
        &key.replace('V', "W"),
        &key.replace('V', "-"),
        &key.replace('V', "ä"),
        &key.to_lowercase(),
        // The last characters of something longer than ASCII.
        &format!("sgk_{}", "ä".repeat(19)),
    ] {
        assert!(ApiKeySecret::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn minted_keys_are_uniform_and_hidden_from_debug() {
    let env = Env::system();
    let keys: Vec<_> = (0..500).map(|_| ApiKeySecret::mint(&env)).collect();
    let mut counts = [0_u32; 128];
    for key in &keys {
        let text = key.expose();
        assert_eq!(ApiKeySecret::parse(text).unwrap().digest(), key.digest());
        let letters = text.strip_prefix("sgk_").unwrap();
        assert!(!format!("{key:?} {:?}", key.digest()).contains(letters));
        for byte in letters.bytes().take(32) {
            counts[usize::from(byte)] += 1;
        }
    }
    assert_eq!(keys.iter().map(ApiKeySecret::expose).collect::<HashSet<_>>().len(), 500);
    // 258 of each are to be expected, give or take 16. Of a remainder without the drawing again the first eight letters
    // would be a quarter more likely than the rest: 312 on average.
    let of = |letters: &[u8]| letters.iter().map(|byte| counts[usize::from(*byte)]).sum::<u32>() / 8;
    assert!((225..290).contains(&of(b"01234567")), "{}", of(b"01234567"));
    assert!(super::BASE62.iter().all(|byte| (150..380).contains(&counts[usize::from(*byte)])), "{counts:?}");
}

#[test]
fn digest_differs_from_other_secret_kinds() {
    let key = ApiKeySecret::parse(KNOWN[0]).unwrap();
    assert_ne!(key.digest(), SecretKind::AccessToken.digest(key.expose()));
    assert_ne!(key.digest(), SecretKind::ClientSecret.digest(key.expose()));
}

fn api(identifier: &str, gate: &str) -> Api {
    serde_json::from_value(json!({
        "identifier": identifier, "scopes": ["read", "write"], "gate": gate, "accepts": ["api_key"],
    }))
    .unwrap()
}

fn key(networks: &[&str]) -> ApiKey {
    let api = api("https://orders.example", "orders");
    ApiKey {
        id: ApiKeyId(uuid::Uuid::nil()),
        digest: ApiKeySecret::parse(KNOWN[0]).unwrap().digest(),
        owner: Owner::Client(ClientId::parse("web").unwrap()),
        api: api.identifier,
        api_version: api.version,
        gate: api.gate.unwrap(),
        name: "ci".to_owned(),
        scopes: "read write".split(' ').collect(),
        networks: networks.iter().map(|text| network(text).unwrap()).collect(),
        created_at: Timestamp(0),
        expires_at: Some(Timestamp(1000)),
        last_used_at: None,
    }
}

#[test]
fn key_is_limited_to_gate_expiry_and_networks() {
    let orders = api("https://orders.example", "orders");
    let fits = |key: &ApiKey, api: &Api, from: &str, now| key.check_usable(api, from.parse().ok(), Timestamp(now));
    assert_eq!(fits(&key(&[]), &orders, "203.0.113.9", 999), Ok(()));
    assert_eq!(fits(&key(&[]), &orders, "203.0.113.9", 1000), Err(ApiKeyError::Expired));
    for other in [api("https://orders.example", "other"), api("https://other.example", "orders")] {
        assert_eq!(fits(&key(&[]), &other, "203.0.113.9", 0), Err(ApiKeyError::WrongGate));
    }
    let few = key(&["10.1.2.3/8", "203.0.113.7", "2001:db8::/32", "::ffff:192.0.2.0/120"]);
    for inside in ["10.255.0.1", "203.0.113.7", "::ffff:10.0.0.1", "2001:db8:1::1", "192.0.2.200", "::ffff:192.0.2.1"] {
        assert_eq!(fits(&few, &orders, inside, 0), Ok(()), "{inside}");
    }
    for outside in ["11.0.0.1", "203.0.113.8", "::ffff:11.0.0.1", "2001:db9::1", "192.0.3.1", "::10.0.0.1", "::1"] {
        assert_eq!(fits(&few, &orders, outside, 0), Err(ApiKeyError::NetworkNotAllowed), "{outside}");
    }
    let endless = ApiKey { expires_at: None, ..key(&[]) };
    assert_eq!(fits(&endless, &orders, "203.0.113.9", i64::MAX), Ok(()));
}

#[test]
fn effective_scopes_follow_api_and_client() {
    let client = |scope: &str| {
        let scopes: Vec<&str> = scope.split(' ').collect();
        let elsewhere = ["read", "write"];
        let api_scopes = json!({ "https://orders.example": scopes, "https://stock.example": elsewhere });
        let meta = serde_json::from_value(json!({ "scope": "openid read", "api_scopes": api_scopes })).unwrap();
        let client = Client::from_document(ClientId::parse("web").unwrap(), meta, Timestamp(0));
        ResolvedOwner::Client(std::sync::Arc::new(client))
    };
    let orders = api("https://orders.example", "orders");
    assert_eq!(key(&[]).effective_scopes(&orders, &client("read write")).to_string(), "read write");
    assert_eq!(key(&[]).effective_scopes(&orders, &client("write")).to_string(), "write");
    let fewer = Api { scopes: "read".split(' ').collect(), ..orders };
    assert_eq!(key(&[]).effective_scopes(&fewer, &client("read write")).to_string(), "read");
}

#[test]
fn key_names_and_networks_are_normalized() {
    assert_eq!(parse_key_name("  my laptop ").unwrap(), "my laptop");
    assert_eq!(parse_key_name(&"ä".repeat(100)).unwrap().chars().count(), 100);
    for bad in ["", "  ", "a\nb", "a\u{7f}b", &"a".repeat(101)] {
        assert!(parse_key_name(bad).is_err(), "{bad:?}");
    }
    for (typed, kept) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        (" 192.0.2.7 ", "192.0.2.7/32"),
        ("2001:db8::7/32", "2001:db8::/32"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ("::ffff:0:0/90", "::ffc0:0:0/90"),
    ] {
        assert_eq!(network(typed).unwrap().to_string(), kept);
    }
    for bad in ["", "10.0.0.0/33", "10.0.0", "example.com", "10.0.0.0/8,11.0.0.0/8", "fe80::1%eth0"] {
        assert!(network(bad).is_err(), "{bad}");
    }
}

proptest! {
    /// One wrong character, or two that have changed places, never make another key.
    #[test]
    fn checksum_detects_typos_and_swaps(at in 4_usize..42, letter in "[0-9A-Za-z]") {
        let key = KNOWN[1];
        let mut slipped = key.to_owned();
        slipped.replace_range(at..=at, &letter);
        prop_assert_eq!(ApiKeySecret::parse(&slipped).is_some(), slipped == key);
        let mut swapped = key.as_bytes().to_vec();
        swapped.swap(at, if at == 41 { 40 } else { at + 1 });
        let swapped = String::from_utf8(swapped).unwrap();
        prop_assert_eq!(ApiKeySecret::parse(&swapped).is_some(), swapped == key);
    }

    #[test]
    fn parse_never_panics(text in "(sgk_)?.{0,60}") {
        if let Some(key) = ApiKeySecret::parse(&text) {
            prop_assert_eq!(key.expose(), text.as_str());
        }
        prop_assert_eq!(checksum(&text).len(), 6);
    }
}
