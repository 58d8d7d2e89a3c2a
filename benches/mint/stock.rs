//! What stands in the database: one client and one person, codes and refresh tokens to be used, and, where that is asked
//! for, millions of rows that have nothing to do with them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use josekit::jwk::Jwk;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use signet::app::AppState;
use signet::config::Config;
use signet::domain::authorization::{Authorization, SignIn, SignInMethod, Subject};
use signet::domain::authorization_code::{AuthorizationCode, CodeChallenge};
use signet::domain::claims_request::RequestedClaims;
use signet::domain::client::{Client, RedirectAssurance, RegistrationKind};
use signet::domain::grant::{FamilySalt, Grant, RepeatTiming};
use signet::domain::ids::{ClientId, GrantId, SessionId, UserId};
use signet::domain::permissions::Permissions;
use signet::domain::scope::Scopes;
use signet::domain::secret::{Secret, SecretKind};
use signet::domain::session::Session;
use signet::domain::signature_key::{KeyId, KeyMaterial, SignatureAlg, SignatureKey};
use signet::domain::user::{Profile, User, Username};
use signet::domain::version::Versions;
use signet::env::Env;
use signet::keys::refresh_token;
use signet::store::authorizations::{self, RowLock};
use signet::store::{ChangeEvent, clients, codes, consents, grants, replay, sessions, signature_keys, users};

const SECRET: &str = "kY3v9QpT7mXw2LzR8sBn4HcD6fGj1VaE";
const CALLBACK: &str = "http://127.0.0.1:9999/cb";
const PASSWORD: &str = "correct horse battery staple";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Rows in one statement of the filling.
const CHUNK: usize = 100_000;
/// Rows in one transaction of the server's own kind.
const BATCH: usize = 500;

pub async fn open(data: &Path) -> AppState {
    AppState::open(Config { data_dir: data.to_owned(), ..Config::default() }, Env::system()).await.unwrap()
}

pub fn authorization() -> String {
    format!("Basic {}", STANDARD.encode(format!("bench:{SECRET}")))
}

pub fn redemption(code: &str) -> String {
    let redirect_uri: String = url::form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect();
    format!("grant_type=authorization_code&code={code}&redirect_uri={redirect_uri}&code_verifier={VERIFIER}")
}

/// A request that nobody needs to be asked about.
pub fn authorization_request() -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("client_id", "bench"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid profile"),
            ("state", "a-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    format!("/oauth2/authorize?{query}")
}

pub fn by_assertion(assertion: &str) -> String {
    format!(
        "grant_type=client_credentials&client_assertion={assertion}&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    )
}

fn assertion_client() -> ClientId {
    ClientId::parse("keys").unwrap()
}

/// The key of the client that proves itself by assertions.
pub fn assertion_key() -> Jwk {
    let mut key = Jwk::generate_ec_key(josekit::jwk::alg::ec::EcCurve::P256).unwrap();
    key.set_key_id("k1");
    key
}

/// The set with the key's public half; josekit leaves its name out.
pub fn public_keys(key: &Jwk) -> serde_json::Value {
    let mut public = key.to_public_key().unwrap();
    public.set_key_id(key.key_id().unwrap());
    json!({ "keys": [public.as_ref()] })
}

/// So many assertions for the server at `issuer`, each with a name of its own.
pub fn assertions(key: &Jwk, issuer: &str, now: i64, count: usize) -> Vec<String> {
    let signer = josekit::jws::ES256.signer_from_jwk(key).unwrap();
    let header = josekit::jws::JwsHeader::new();
    (0..count)
        .map(|number| {
            let claims =
                json!({ "iss": "keys", "sub": "keys", "aud": issuer, "exp": now + 3600, "jti": number.to_string() });
            josekit::jws::serialize_compact(claims.to_string().as_bytes(), &header, &signer).unwrap()
        })
        .collect()
}

/// Signs alice in over HTTP; the cookies of her browser.
pub async fn signed_in(address: std::net::SocketAddr) -> String {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let login = http.get(format!("http://{address}/login")).send().await.unwrap();
    let mut cookies = set_cookies(&login);
    let html = login.text().await.unwrap();
    let (_, rest) = html.split_once("name=\"csrf\" value=\"").unwrap();
    let csrf = rest.split('"').next().unwrap();
    let form = [("csrf", csrf), ("username", "alice"), ("password", PASSWORD), ("next", "")];
    let request = http.post(format!("http://{address}/login")).header("cookie", cookies.join("; ")).form(&form);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    cookies.extend(set_cookies(&answer));
    cookies.join("; ")
}

fn set_cookies(answer: &reqwest::Response) -> Vec<String> {
    let lines = answer.headers().get_all("set-cookie").iter();
    lines.map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
}

pub fn client_id() -> ClientId {
    ClientId::parse("bench").unwrap()
}

/// Of the client that signs its requests.
pub const SHARED_SECRET: &[u8] = b"a secret of both that has 32 bytes or more";

fn shared_key(app: &AppState) -> SignatureKey {
    let keyid = KeyId::try_from("bench".to_owned()).unwrap();
    let sealed = app.provider.master.seal_shared_secret(&keyid, SHARED_SECRET).unwrap();
    SignatureKey { keyid, alg: SignatureAlg::HmacSha256, material: KeyMaterial::SealedSecret(sealed) }
}

pub async fn people_and_client(app: &AppState, key: &Jwk) {
    let now = app.env().now();
    let meta = json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "scope": "openid profile offline_access read",
    });
    let client = Client {
        id: client_id(),
        meta: serde_json::from_value(meta).unwrap(),
        secret: Some(app.provider.master.hash_client_secret(app.env(), &Secret::new(SECRET.into()))),
        signature_keys: vec![shared_key(app)],
        disabled: false,
        registration_kind: RegistrationKind::Admin,
        registration_token: None,
        created_at: now,
        updated_at: now,
        version: 0,
        settings_version: 0,
        incarnation: 0,
    };
    let meta = json!({
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": public_keys(key),
    });
    let keys = Client {
        id: assertion_client(),
        meta: serde_json::from_value(meta).unwrap(),
        secret: None,
        signature_keys: Vec::new(),
        ..client.clone()
    };
    let user = User {
        id: UserId(app.env().uuid()),
        username: Username::parse("alice").unwrap(),
        profile: Profile::default(),
        email_unconfirmed: false,
        password: Some(app.hasher.hash(Secret::new(PASSWORD.into())).await.unwrap()),
        password_changed_at: None,
        admin: false,
        disabled: false,
        self_registered: false,
        created_at: now,
        updated_at: now,
    };
    let write = app.store().write(move |tx| {
        Box::pin(async move {
            users::insert(tx, std::slice::from_ref(&user)).await?;
            clients::insert(tx, &client).await?;
            signature_keys::put(tx, &client.id, client.signature_keys.iter().map(|key| &key.keyid)).await?;
            clients::insert(tx, &keys).await?;
            consents::give(
                tx,
                user.id,
                &client.id,
                (&Permissions::general(client.meta.scope.clone()), &Versions::default()),
                &[RedirectAssurance::ClientAuthentication],
            )
            .await?;
            tx.publish(ChangeEvent::Client(client.id.clone())).await
        })
    });
    write.await.unwrap();
}

/// Transactions a second that write one row, one after the other: what a commit costs here.
pub async fn commits(app: &AppState, seconds: std::time::Duration) -> f64 {
    let (begun, mut done) = (crate::now(), 0u32);
    while begun.elapsed() < seconds {
        let digest = SecretKind::AuthorizationCode.digest(&format!("commit {done}"));
        let until = app.env().now();
        app.store().write(move |tx| Box::pin(async move { replay::claim(tx, &digest, until).await })).await.unwrap();
        done += 1;
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}

/// A sign-in of alice's that came to `scope`.
async fn authorized(app: &AppState, scope: &str) -> Authorization {
    let alice = users::by_username(app.store().read(), &Username::parse("alice").unwrap()).await.unwrap().unwrap();
    let (now, id) = (app.env().now(), SessionId(app.env().uuid()));
    let session = Session {
        digest: SecretKind::Session.digest(&id.to_string()),
        id,
        user: alice.id,
        auth_time: now,
        method: SignInMethod::Passkey,
        passkey: None,
        used_strongest_method: true,
        remembered: false,
        created_at: now,
        last_seen: now,
        idle_until: now.plus_seconds(3600),
        expires_at: now.plus_seconds(3600),
        address: String::new(),
        user_agent: String::new(),
        data: String::new(),
        read_at: now,
    };
    let write = app.store().write(move |tx| Box::pin(async move { sessions::insert(tx, &session).await }));
    write.await.unwrap();
    let authorization = Authorization {
        subject: Subject::User(alice.id),
        client: client_id(),
        sign_in: Some(SignIn {
            session: id,
            auth_time: now,
            method: SignInMethod::Passkey,
            passkey: None,
            told_acr: None,
            session_ends: None,
        }),
        grant: Some(GrantId(app.env().uuid())),
        permissions: Permissions::general(Scopes::parse(scope).unwrap()),
        part_of_offline: false,
        nonce: Some("n-0S6_WzA2Mj".to_owned()),
        claims: RequestedClaims::default(),
        act: None,
        through: Vec::new(),
        bound_to: None,
        versions: Versions::default(),
    };
    let now = authorizations::versions(app.store().read(), &authorization.versioned_entities(), None, RowLock::None)
        .await
        .unwrap();
    Authorization { versions: now.unwrap(), ..authorization }
}

/// So many codes, good for an hour, each worth an access token (ES256), an ID token (RS256) and a refresh token.
pub async fn codes(app: &AppState, count: usize) -> Vec<String> {
    let authorization = authorized(app, "openid profile").await;
    let mut texts = Vec::with_capacity(count);
    while texts.len() < count {
        let mut batch = Vec::new();
        for _ in 0..BATCH.min(count - texts.len()) {
            let secret = SecretKind::AuthorizationCode.mint(app.env().random());
            batch.push(AuthorizationCode {
                digest: SecretKind::AuthorizationCode.digest(secret.expose()),
                authorization: Authorization { grant: Some(GrantId(app.env().uuid())), ..authorization.clone() },
                redirect_uri: CALLBACK.to_owned(),
                redirect_uri_sent: true,
                challenge: Some(CodeChallenge(URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)))),
                issued_at: app.env().now(),
                expires_at: app.env().now().plus_seconds(3600),
            });
            texts.push(secret.expose().to_owned());
        }
        let write = app.store().write(move |tx| {
            Box::pin(async move {
                for code in &batch {
                    codes::insert(tx, code).await?;
                }
                Ok(())
            })
        });
        write.await.unwrap();
    }
    texts
}

/// The first refresh tokens of so many families, without ID tokens.
pub async fn refresh_tokens(app: &AppState, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        let authorization = authorized(app, "offline_access profile").await;
        let (now, id) = (app.env().now(), authorization.grant.unwrap());
        let salt = FamilySalt(app.env().random());
        let (secret, digest) = refresh_token::derive(&app.provider.master, id, 1, &salt);
        let grant = Grant {
            id,
            authorization,
            generation: 1,
            salt,
            current: digest,
            previous: None,
            superseded: Vec::new(),
            rotated_at: now,
            repeats: RepeatTiming::None,
            contested: 0,
            created_at: now,
            expires_at: now.plus_seconds(86_400),
            ends_at: now.plus_seconds(86_400),
            revoked: false,
        };
        app.store().write(move |tx| Box::pin(async move { grants::insert(tx, &grant).await })).await.unwrap();
        texts.push(secret.expose().to_owned());
    }
    texts
}

/// Puts in `users` people with `each` grants, past the server: by SQL alone, and without a journal. The ids rise with
/// time as the server's own do.
pub async fn fill(data: &Path, users: usize, each: usize) {
    let app = open(data).await;
    let (now, sample) = (app.env().now().0, authorized(&app, "offline_access profile").await);
    app.store().close().await;
    let authorization = serde_json::to_string(&sample).unwrap().replace('\'', "''");
    let profile = serde_json::to_string(&Profile { name: Some("Bob Example".into()), ..Profile::default() }).unwrap();
    let (begun, ends) = (now - 100_000_000, now + 86_400_000 * 30);
    let db = Database::connect(format!("sqlite://{}", data.join("signet.db").display())).await.unwrap();
    for pragma in ["journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"] {
        db.execute_unprepared(&format!("PRAGMA {pragma}")).await.unwrap();
    }
    let id = |at: String| format!("unhex(printf('%012x', {at})) || randomblob(10)");
    for first in (1..=users).step_by(CHUNK) {
        let last = users.min(first + CHUNK - 1);
        let id = id(format!("{begun} + i"));
        let insert = format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
             INSERT INTO person (id, username, email_unproven, profile, searched, admin, disabled, self_registered, created_at, updated_at)
             SELECT {id}, 'bob' || i, 0, '{profile}', 'bob' || i, 0, 0, 0, {now}, {now} FROM n"
        );
        db.execute_unprepared(&insert).await.unwrap();
    }
    for of_each in [
        "INSERT INTO sign_in_name (name, user_id) SELECT username, id FROM person WHERE username LIKE 'bob%'",
        "INSERT INTO version (subject, version, user_id) SELECT 'user:' || hex(id), 1, id FROM person WHERE username LIKE 'bob%'",
    ] {
        db.execute_unprepared(of_each).await.unwrap();
    }
    let (lowest, highest) = (1, users + 1);
    for round in 0..each {
        for first in (lowest..=highest).step_by(CHUNK) {
            let (last, at) = (first + CHUNK - 1, begun + i64::try_from(round * users).unwrap());
            let (id, session) = (id(format!("{at} + rowid")), id(format!("{at} + rowid")));
            let families = format!(
                "INSERT INTO grant_family (id, user_id, client_id, session_id, authorization, generation, salt,
                                           current_digest, superseded, rotated_at, repeats, contested, created_at, expires_at,
                                           ends_at, revoked)
                 SELECT {id}, id, 'bench', {session}, '{authorization}', 1, randomblob(16), randomblob(32), x'', {now}, 0, 0,
                        {now}, {ends}, {ends}, 0
                 FROM person WHERE rowid BETWEEN {first} AND {last}"
            );
            db.execute_unprepared(&families).await.unwrap();
        }
    }
    db.execute_unprepared("PRAGMA journal_mode = WAL").await.unwrap();
    db.close().await.unwrap();
}
