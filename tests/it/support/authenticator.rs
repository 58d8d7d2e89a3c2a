//! An authenticator in the test's hand: one discoverable P-256 passkey (WebAuthn Level 3 §6), attestation "none". It does
//! what it is told, wrong things too. Chromium's virtual one is for `browser`.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use signet::domain::secret::{base64url, from_base64url};

#[derive(Clone)]
pub struct Authenticator {
    key: EcKey<Private>,
    pub id: Vec<u8>,
    pub user_handle: String,
    pub origin: String,
    pub rp_id: String,
    /// User present 0x01, user verified 0x04 (§6.1).
    pub flags: u8,
    pub counter: u32,
}

impl Authenticator {
    pub fn new(origin: &str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let id = Sha256::digest(key.private_key().to_vec()).to_vec();
        let (origin, rp_id) = (origin.to_owned(), "localhost".to_owned());
        Self { key, id, user_handle: String::new(), origin, rp_id, flags: 0x05, counter: 0 }
    }

    /// `navigator.credentials.create` for the `publicKey` of a challenge.
    pub fn create(&mut self, public_key: &Value) -> String {
        public_key["user"]["id"].as_str().unwrap().clone_into(&mut self.user_handle);
        let mut data = self.authenticator_data(self.flags | 0x40);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose_key());
        // {"fmt": "none", "attStmt": {}, "authData": …} in CBOR (§6.5.4, RFC 8949).
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        let client_data = self.client_data("webauthn.create", public_key);
        self.credential(&json!({
            "attestationObject": base64url(&object), "clientDataJSON": base64url(client_data.as_bytes()),
        }))
    }

    /// `navigator.credentials.get` for the `publicKey` of a challenge.
    pub fn get(&mut self, public_key: &Value) -> String {
        self.counter += 1;
        let data = self.authenticator_data(self.flags);
        let client_data = self.client_data("webauthn.get", public_key);
        let key = PKey::from_ec_key(self.key.clone()).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        signer.update(&data).unwrap();
        signer.update(&Sha256::digest(&client_data)).unwrap();
        self.credential(&json!({
            "authenticatorData": base64url(&data),
            "clientDataJSON": base64url(client_data.as_bytes()),
            "signature": base64url(&signer.sign_to_vec().unwrap()),
            "userHandle": self.user_handle,
        }))
    }

    fn credential(&self, response: &Value) -> String {
        let id = base64url(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response": response,
        })
        .to_string()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(&self.rp_id).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y} (RFC 9053 §7.1.1).
    fn cose_key(&self) -> Vec<u8> {
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        self.key.public_key().affine_coordinates(self.key.group(), &mut x, &mut y, &mut context).unwrap();
        let mut key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".to_vec();
        key.extend(x.to_vec_padded(32).unwrap());
        key.extend(b"\x22\x58\x20");
        key.extend(y.to_vec_padded(32).unwrap());
        key
    }

    fn client_data(&self, kind: &str, public_key: &Value) -> String {
        let challenge = public_key["challenge"].as_str().unwrap();
        assert!(from_base64url(challenge).unwrap().len() >= 16, "§13.4.3: at least 16 random bytes");
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false }).to_string()
    }
}
