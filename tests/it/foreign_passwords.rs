//! People who come from another system with their password hashes: they sign in as before, and have one of ours after.

use serde_json::json;
use signet::domain::user::Username;
use signet::identity::foreign_hash::{canonical, check};
use signet::manage::AuditContext;
use signet::manage::apply::{ApplyOptions, ApplyPlan, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::store::users;

use crate::support::Server;

/// Of `correct_clock horse battery staple`, made by Python's bcrypt.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";

/// Of the same, made by passlib 1.7.4 (as Authelia writes them, too) and Django 5.2.
const BY_OTHER_PROGRAMS: [&str; 13] = [
    "$pbkdf2$1000$./8CAwQFBgcICQoLDA0ODw$k85m3m5N9Y.xToTrTYISCv0V9Nk",
    "$pbkdf2-sha256$1000$./8CAwQFBgcICQoLDA0ODw$j/Lzaw6baxGABARC6xGPWA4dm36rpHjPZOZxv/pjkbY",
    "$pbkdf2-sha512$1000$./8CAwQFBgcICQoLDA0ODw$iZyljoCbtfjYwKkAAZGQxEUYLFqhPusGMrlOqeM4G5uLI6dq11D7M1Mya3Jh00Qo3wVjcIITYs3zXvh4tWFJ5Q",
    "$6$rounds=1000$AbC./9xYz0123456$SrJ3sg2E/NsDT3QHjMTOm12b9ONJn5mQSLRXCMNZlHszBtg79kAqKtD9XnAdFggJwIGfLWIgevWU7HgFcvbOX.",
    "$6$AbC./9xY$dsBSx5uOOVorfIDpBSPIXMZPzQ9o1QgvOUVBwYVC4oUMPWLgVW.PtUT5EbVh3HADyu/AzNqhkiDFTr.j9ow5A0",
    "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$h8GCYhBqatMGV8VIjRD4nhRxM87r3yu",
    "pbkdf2_sha256$1000$seasalt2seasalt2seasalt$YpOxCbFandtQDvh8LfxbwDEgWqL3CDKcP2YnJ2/04D8=",
    "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuaBT8mpw5tGdD3eO40znWcQP/dT9hEVK",
    "bcrypt$$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
    "argon2$argon2id$v=19$m=8192,t=2,p=8$c2Vhc2FsdDJzZWFzYWx0Mg$d+15/mbP0vrT1N92NPd7A5/zsWGxb/cVMPNfRrqZKVs",
    "scrypt$1024$seasalt2seasalt2$8$5$SB+t556J5w45eqD8NxF1KJwHP+lAxQ9AlLvc36bDdAZyFtZ9AMEPjoXWnFOIWzzQYJ9MiOG+riB6AmCUM/E7FQ==",
    // As LDAP directories write what crypt(3) made (RFC 2307 §5.3).
    "{CRYPT}$6$rounds=1000$AbC./9xYz0123456$SrJ3sg2E/NsDT3QHjMTOm12b9ONJn5mQSLRXCMNZlHszBtg79kAqKtD9XnAdFggJwIGfLWIgevWU7HgFcvbOX.",
    "{crypt}$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG",
];

async fn bring(server: &Server, hash: &str) -> ApplyPlan {
    bring_all(server, &[("alice", hash)]).await
}

async fn bring_all(server: &Server, users: &[(&str, &str)]) -> ApplyPlan {
    let row = |(name, hash): &(&str, &str)| json!({ "username": name, "password_hash": hash });
    let document = json!({ "users": users.iter().map(row).collect::<Vec<_>>() }).to_string();
    let document = Document::parse(&document, DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap()
}

async fn kept(server: &Server) -> String {
    kept_of(server, "alice").await
}

async fn kept_of(server: &Server, name: &str) -> String {
    let name = Username::parse(name).unwrap();
    users::by_username(server.app.store().read(), &name).await.unwrap().unwrap().password.unwrap().0
}

#[tokio::test]
async fn hashes_of_passlib_django_and_authelia_sign_in_and_are_replaced() {
    let server = Server::start().await;
    let names: Vec<String> = (0..BY_OTHER_PROGRAMS.len()).map(|at| format!("user{at}")).collect();
    let users: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(BY_OTHER_PROGRAMS).collect();
    bring_all(&server, &users).await;
    assert_eq!(bring_all(&server, &users).await.changes, [], "once more before anybody has signed in");
    for (name, hash) in &users {
        let browser = server.browser();
        let login = browser.page("/login").await;
        let wrong = [("username", *name), ("password", "correct horse battery stable")];
        let refused = browser.submit(&login, &wrong).await.ok().unwrap();
        assert_eq!((refused.name().as_str(), kept_of(&server, name).await.contains("m=19456")), ("login", false));
        for _ in 0..2 {
            assert_eq!(server.browser().sign_in_as(name).await.path, "/", "{hash}");
            assert!(kept_of(&server, name).await.starts_with("$argon2id$v=19$m=19456,t=2,p=1,"), "{hash}");
        }
    }
    assert_eq!(bring_all(&server, &users).await.changes, [], "they speak of the same passwords");
    let text =
        json!({ "users": [{ "username": "mallory", "password_hash": "md5$salt$d41d8cd98f00b204e9800998ecf8427e" }] });
    let document = Document::parse(&text.to_string(), DocumentFormat::Json).unwrap();
    let refused = apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await;
    assert!(refused.unwrap_err().to_string().contains("password_hash"));
}

#[tokio::test]
async fn a_hash_from_elsewhere_signs_in_and_is_replaced_and_the_document_still_fits() {
    let server = Server::start().await;
    server.client("web", json!({})).await;
    bring(&server, BCRYPT).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    assert!(kept(&server).await.starts_with("$argon2id$"));
    assert_eq!(bring(&server, BCRYPT).await.changes, [], "it speaks of the same password");
    let again = browser.open(&server.authorize(&[("prompt", "none")])).await.err().unwrap();
    assert!(again.contains_key("code"), "and nobody was signed out");
    browser.sign_in(&server.authorize(&[("prompt", "login")])).await;
    let other = BCRYPT.replace("7EJV", "7EJW");
    assert_eq!(bring(&server, &other).await.changes.len(), 1);
    assert_eq!(kept(&server).await, other);
}

#[test]
fn crypt_prefix_is_dropped_in_any_case() {
    let sha256 = "$5$rounds=1000$AbC./9xYz0123456$R9HOWRswThZD1bFj1l7mVkYFY/yZoOZjhvv/Z2pwV35".to_owned();
    let sha512 = BY_OTHER_PROGRAMS[4].to_owned();
    let bcrypt = |version: &str| BCRYPT.replace("$2b$", version);
    for hash in [sha256, sha512, bcrypt("$2a$"), bcrypt("$2b$"), bcrypt("$2y$")] {
        for prefix in ["{CRYPT}", "{crypt}", "{Crypt}"] {
            let known = canonical(&format!("{prefix}{hash}"));
            assert_eq!((known.0.as_str(), check(&known)), (hash.as_str(), Ok(())), "{prefix}");
        }
    }
    for wrong in [
        "{CRYPT}".to_owned(),
        "{CRYPT}$1$abcdefgh$OqVHJYJXq3pBGFxfKGcwx1".to_owned(),
        "{CRYPT}rl0uE0r1yM5Uk".to_owned(),
        "{CRYPT}$6$AbC./9xY".to_owned(),
        "{SSHA}MTIzNDU2Nzg5MDEyMzQ1Njc4OTBhYmNk".to_owned(),
        "{CRYPT\u{e9}".to_owned(),
        format!("{{CRYPT}}{{CRYPT}}{BCRYPT}"),
        format!("{{CRYPT}} {BCRYPT}"),
        format!("CRYPT{BCRYPT}"),
    ] {
        assert!(check(&canonical(&wrong)).is_err(), "{wrong}");
    }
}
