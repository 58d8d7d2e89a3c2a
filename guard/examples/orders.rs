//! An API with a guard: reading takes the scope `read`, writing the scope `write` and the group `staff`. A machine without
//! tokens may sign its requests instead.
//!
//! `ISSUER=http://localhost:8080 cargo run -p signet-guard --example orders`
//!
//! In Signet's document for `apply`: an API with the identifier `https://orders.example.com` and the scopes `read` and
//! `write`.
#![expect(clippy::print_stderr, reason = "an example says what it does on the terminal")]

use std::env;
use std::error::Error;

use axum::routing::{get, post};
use axum::{Extension, Router};
use signet_guard::{Caller, Guard, Identity, MemoryNonces, VerifyingKey, group, scope};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = env::var("ISSUER").unwrap_or_else(|_| "http://localhost:8080".to_owned());
    let mut guard = Guard::new(issuer, "https://orders.example.com").with_token_header("X-Gate-Token")?;
    if let Ok(secret) = env::var("PRINTER_SECRET") {
        let printer = Caller::new(VerifyingKey::from_secret(secret.as_bytes())?, "printer").with_scopes(["read"]);
        let keys = move |keyid: &str| (keyid == "printer-1").then(|| printer.clone());
        guard = guard.with_signatures("http://localhost:3000", keys, MemoryNonces::new(100_000))?;
    }
    if let Err(error) = guard.ready().await {
        eprintln!("{error}; it is asked again when the first token comes");
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("The API is at http://127.0.0.1:3000");
    axum::serve(listener, app(guard)).await?;
    Ok(())
}

fn app(guard: Guard) -> Router {
    let staff = guard.clone().require(scope("write")).require(group("staff"));
    Router::new()
        .route("/orders", get(list).layer(guard.clone().require(scope("read"))))
        .route("/orders", post(create).layer(staff))
        .route("/me", get(me).layer(guard))
        .route("/healthz", get(|| async { "ok" }))
}

async fn list(Extension(who): Extension<Identity>) -> String {
    format!("the orders of {}\n", who.subject())
}

async fn create(Extension(who): Extension<Identity>, order: String) -> String {
    format!("{} has ordered {order}\n", who.subject())
}

async fn me(Extension(who): Extension<Identity>) -> String {
    format!("{} by {}, with {:?}\n", who.subject(), who.client().unwrap_or("nothing"), who.scopes())
}
