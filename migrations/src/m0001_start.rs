//! The first schema: people, clients, APIs, keys, sessions, interactions, codes, grants, tokens, consents, passkeys,
//! API keys, signature keys, names in certificates, events, the throttle, the gate's record, and the change feed that
//! every node follows.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary_len, binary_len_null, blob, boolean, integer, integer_null, pk_auto, pk_uuid,
    string, string_null, text, text_null, uuid, uuid_null,
};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

fn key(name: &'static str, length: u32) -> ColumnDef {
    binary_len(name, length).primary_key().to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on both engines: a node that dies half-way leaves nothing behind.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for statement in tables(m.get_database_backend()) {
            m.create_table(statement).await?;
        }
        for (name, columns) in INDICES {
            let mut index = Index::create();
            index.name(index_name(name, columns)).table(*name);
            for column in *columns {
                index.col(*column);
            }
            m.create_index(index.take()).await?;
        }
        Ok(())
    }
}

/// Look-ups other than by primary key or unique column: all are for one person, one client, one grant, or by age.
pub(crate) const INDICES: &[(&str, &[&str])] = &[
    ("membership", &["group_name"]),
    ("client_group", &["group_name"]),
    ("session", &["user_id"]),
    ("session", &["idle_until"]),
    ("session_client", &["user_id"]),
    ("session_client", &["client_id"]),
    ("session_client", &["expires_at"]),
    ("delivery", &["due_at"]),
    ("delivery", &["by_admin", "origin", "due_at"]),
    ("delivery", &["client_id"]),
    ("interaction", &["expires_at"]),
    ("answered_interaction", &["expires_at"]),
    ("answered_interaction", &["pushed_request"]),
    ("code", &["expires_at"]),
    ("device_code", &["expires_at"]),
    ("device_code", &["client_id"]),
    ("grant_family", &["user_id", "client_id"]),
    ("grant_family", &["client_id"]),
    ("grant_family", &["session_id"]),
    ("grant_family", &["expires_at"]),
    ("access_token", &["expires_at"]),
    ("access_token", &["grant_id"]),
    ("consent", &["client_id"]),
    ("passkey", &["user_id"]),
    ("version", &["user_id"]),
    ("revoked_token", &["expires_at"]),
    ("throttle", &["resets_at"]),
    ("used_once", &["expires_at"]),
    ("pushed_request", &["expires_at"]),
    // An event's id begins with its time.
    ("event", &["kind", "id"]),
    ("event", &["user_id", "id"]),
    ("event", &["user_id", "kind", "id"]),
    ("event", &["client_id", "id"]),
    ("event", &["client_id", "kind", "id"]),
    ("event", &["actor", "id"]),
    ("event", &["actor", "kind", "id"]),
    ("event", &["address", "id"]),
    ("event", &["request_id", "id"]),
    ("change_feed", &["at"]),
    ("change_feed", &["xid"]),
    ("client", &["name"]),
    ("client", &["registered"]),
    ("client", &["opens_here", "name"]),
    ("initial_access", &["expires_at"]),
    ("signature_key", &["client_id"]),
    ("client_certificate", &["client_id"]),
    ("api_key", &["user_id"]),
    ("api_key", &["client_id"]),
    ("api_key", &["api"]),
    ("api_key", &["gate"]),
    ("api_key", &["expires_at"]),
    ("sign_in_name", &["user_id"]),
    ("person", &["disabled"]),
    ("person", &["self_registered"]),
    ("person", &["password_work"]),
    ("quota", &["kind", "address", "expires_at"]),
    ("quota", &["kind", "site", "expires_at"]),
    ("quota", &["kind", "part", "expires_at"]),
    ("quota", &["expires_at"]),
    ("gate_bucket", &["full_at"]),
    ("gate_count", &["hour"]),
    ("refusal", &["at"]),
    ("gate_refusal", &["at"]),
    ("gate_refusal", &["gate", "at"]),
];

pub(crate) fn index_name(table: &str, columns: &[&str]) -> String {
    format!("{table}_{}_idx", columns.join("_"))
}

/// The id of the writing transaction, by which readers of the feed know what their last snapshot did not show.
fn transaction_id(engine: DbBackend) -> &'static str {
    match engine {
        DbBackend::Postgres => "(pg_current_xact_id()::text::bigint)",
        _ => "0",
    }
}

#[expect(clippy::too_many_lines, reason = "one schema, read as one list")]
pub(crate) fn tables(engine: DbBackend) -> Vec<TableCreateStatement> {
    vec![
        table("setting").col(string("name").primary_key()).col(text("value")).to_owned(),
        table("person")
            .col(pk_uuid("id"))
            .col(string("username").unique_key())
            .col(boolean("email_unproven"))
            .col(text("profile"))
            .col(text("searched"))
            .col(text_null("password_hash"))
            .col(string_null("password_work"))
            .col(big_integer_null("password_changed_at"))
            .col(boolean("admin"))
            .col(boolean("disabled"))
            .col(boolean("self_registered"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .to_owned(),
        table("sign_in_name").col(string("name").primary_key()).col(uuid("user_id")).to_owned(),
        table("taken_username").col(string("skeleton").primary_key()).col(big_integer("taken_at")).to_owned(),
        table("person_group").col(string("name").primary_key()).col(big_integer("created_at")).to_owned(),
        table("membership")
            .col(uuid("user_id"))
            .col(string("group_name"))
            .primary_key(Index::create().col("user_id").col("group_name"))
            .to_owned(),
        table("client")
            .col(string("id").primary_key())
            .col(string("name"))
            .col(string("kind"))
            .col(text("searched"))
            .col(text("metadata"))
            .col(text_null("secret_hash"))
            .col(text("signature_keys"))
            .col(boolean("disabled"))
            .col(boolean("opens_here"))
            .col(string("registered"))
            .col(binary_len_null("registration_digest", 32))
            .col(big_integer("incarnation"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .to_owned(),
        table("client_group")
            .col(string("client_id"))
            .col(string("group_name"))
            .primary_key(Index::create().col("client_id").col("group_name"))
            .to_owned(),
        table("api").col(string("identifier").primary_key()).col(text("document")).to_owned(),
        table("signing_key")
            .col(string("kid").primary_key())
            .col(string("alg"))
            .col(string("state"))
            .col(text("public_jwk"))
            .col(text("sealed"))
            .col(big_integer("created_at"))
            .col(big_integer_null("activated_at"))
            .col(big_integer_null("retired_at"))
            .to_owned(),
        table("session")
            .col(key("digest", 32))
            .col(uuid("id").unique_key())
            .col(uuid("user_id"))
            .col(big_integer("auth_time"))
            .col(string("method"))
            .col(uuid_null("passkey_id"))
            .col(boolean("strongest"))
            .col(boolean("remembered"))
            .col(big_integer("created_at"))
            .col(big_integer("last_seen"))
            .col(big_integer("idle_until"))
            .col(big_integer("expires_at"))
            .col(text("address"))
            .col(text("user_agent"))
            .col(text("data"))
            .to_owned(),
        table("session_use").col(pk_uuid("session_id")).to_owned(),
        table("session_client")
            .col(uuid("session_id"))
            .col(string("client_id"))
            .col(big_integer("client_incarnation"))
            .col(uuid("user_id"))
            .col(big_integer("expires_at"))
            .primary_key(Index::create().col("session_id").col("client_id"))
            .to_owned(),
        table("delivery")
            .col(pk_uuid("id"))
            .col(string("client_id"))
            .col(boolean("by_admin"))
            .col(string("origin"))
            .col(text("what"))
            .col(integer("attempts"))
            .col(big_integer("due_at"))
            .to_owned(),
        table("interaction")
            .col(pk_uuid("id"))
            .col(text("request"))
            .col(text("progress"))
            .col(binary_len("browser", 32))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at"))
            .to_owned(),
        table("answered_interaction")
            .col(pk_uuid("id"))
            .col(binary_len("browser", 32))
            .col(string("client_id"))
            .col(big_integer("client_version"))
            .col(binary_len_null("pushed_request", 32))
            .col(text_null("sign_in"))
            .col(binary_len_null("code_digest", 32))
            .col(text_null("answer"))
            .col(big_integer("repeatable_until"))
            .col(big_integer("expires_at"))
            .to_owned(),
        table("code")
            .col(key("digest", 32))
            .col(string("client_id"))
            .col(uuid("grant_id"))
            .col(text("authorization"))
            .col(text("redirect_uri"))
            .col(boolean("redirect_uri_sent"))
            .col(text_null("challenge"))
            .col(big_integer("issued_at"))
            .col(big_integer("expires_at"))
            .col(big_integer_null("used_at"))
            .to_owned(),
        table("device_code")
            .col(key("digest", 32))
            .col(binary_len("user_digest", 32).unique_key())
            .col(string("client_id"))
            .col(text("permissions"))
            .col(text("versions"))
            .col(text("address"))
            .col(text("user_agent"))
            .col(big_integer("issued_at"))
            .col(big_integer("expires_at"))
            .col(big_integer("poll_seconds"))
            .col(big_integer_null("polled_at"))
            .col(text_null("authorization"))
            .col(big_integer_null("decided_at"))
            .col(uuid_null("decided_in"))
            .col(big_integer_null("used_at"))
            .to_owned(),
        table("grant_family")
            .col(pk_uuid("id"))
            .col(uuid("user_id"))
            .col(string("client_id"))
            .col(uuid_null("session_id"))
            .col(uuid_null("passkey_id"))
            .col(text("authorization"))
            .col(integer("generation"))
            .col(binary_len("salt", 16))
            .col(binary_len("current_digest", 32))
            .col(binary_len_null("previous_digest", 32))
            .col(blob("superseded"))
            .col(big_integer("rotated_at"))
            .col(integer("repeats"))
            .col(integer("contested"))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at"))
            .col(big_integer("ends_at"))
            .col(boolean("revoked"))
            .to_owned(),
        table("access_token")
            .col(key("digest", 32))
            .col(uuid_null("grant_id"))
            .col(text("authorization"))
            .col(big_integer("issued_at"))
            .col(big_integer("expires_at"))
            .to_owned(),
        table("consent")
            .col(uuid("user_id"))
            .col(string("client_id"))
            .col(text("allowed"))
            .col(text("remembered"))
            .col(text("api_versions"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .primary_key(Index::create().col("user_id").col("client_id"))
            .to_owned(),
        table("revoked_token").col(key("jti", 16)).col(big_integer("expires_at")).to_owned(),
        table("version")
            .col(string("subject").primary_key())
            .col(big_integer("version"))
            .col(uuid_null("user_id"))
            .to_owned(),
        table("passkey")
            .col(pk_uuid("id"))
            .col(uuid("user_id"))
            .col(blob("credential_id").unique_key())
            .col(text("credential"))
            .col(string("name"))
            .col(big_integer("created_at"))
            .col(big_integer_null("last_used_at"))
            .to_owned(),
        table("throttle").col(key("digest", 32)).col(integer("failures")).col(big_integer("resets_at")).to_owned(),
        table("initial_access")
            .col(key("digest", 32))
            .col(uuid("id").unique_key())
            .col(integer_null("uses_left"))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at"))
            .to_owned(),
        table("api_key")
            .col(pk_uuid("id"))
            .col(binary_len("digest", 32).unique_key())
            .col(uuid_null("user_id"))
            .col(string_null("client_id"))
            .col(string("api"))
            .col(big_integer("api_version"))
            .col(string("gate"))
            .col(string("name"))
            .col(text("scopes"))
            .col(text("networks"))
            .col(big_integer("created_at"))
            .col(big_integer_null("expires_at"))
            .col(big_integer_null("last_used_at"))
            .to_owned(),
        table("signature_key").col(string("keyid").primary_key()).col(string("client_id")).to_owned(),
        table("client_certificate")
            .col(binary_len("name", 32))
            .col(string("client_id"))
            .primary_key(Index::create().col("name").col("client_id"))
            .to_owned(),
        table("pushed_request")
            .col(key("digest", 32))
            .col(string("client_id"))
            .col(text("versions"))
            .col(text("parameters"))
            .col(big_integer("expires_at"))
            .to_owned(),
        table("quota")
            .col(pk_uuid("id"))
            .col(string("kind"))
            .col(binary_len("address", 16))
            .col(binary_len("site", 16))
            .col(integer("part"))
            .col(big_integer("expires_at"))
            .to_owned(),
        table("used_once").col(key("digest", 32)).col(big_integer("expires_at")).to_owned(),
        table("event")
            .col(pk_uuid("id"))
            .col(big_integer("at"))
            .col(string("kind"))
            .col(string("actor"))
            .col(uuid_null("user_id"))
            .col(string_null("client_id"))
            .col(text("address"))
            .col(text("user_agent"))
            .col(string("request_id"))
            .col(text("detail"))
            .to_owned(),
        table("gate_bucket").col(key("digest", 32)).col(big_integer("full_at")).to_owned(),
        table("gate_count")
            .col(string("gate"))
            .col(big_integer("hour"))
            .col(string("way"))
            .col(string("reason"))
            .col(big_integer("count"))
            .primary_key(Index::create().col("gate").col("hour").col("way").col("reason"))
            .to_owned(),
        table("refusal")
            .col(string("request_id").primary_key())
            .col(big_integer("at"))
            .col(string("method"))
            .col(text("path"))
            .col(string("error"))
            .col(text("description"))
            .col(text("cause"))
            .col(text("client_id"))
            .col(text("address"))
            .to_owned(),
        table("gate_refusal")
            .col(string("request_id").primary_key())
            .col(big_integer("at"))
            .col(string("gate"))
            .col(string("method"))
            .col(text("path"))
            .col(string("way"))
            .col(string("reason"))
            .col(text("subject"))
            .col(text("client_id"))
            .col(text("address"))
            .to_owned(),
        table("change_feed")
            .col(pk_auto("seq").big_integer())
            .col(big_integer("at"))
            .col(big_integer("xid").default(Expr::cust(transaction_id(engine))))
            .col(big_integer("tag"))
            .col(string("kind"))
            .col(text("entry"))
            .to_owned(),
    ]
}
