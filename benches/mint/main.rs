//! What the token endpoint costs beside the signatures that it makes: both measured in one run, on one machine.
//!
//! ```console
//! $ cargo bench --bench mint
//! $ BENCH_USERS=1000000 cargo bench --bench mint     # and again with so many people and five times as many grants
//! ```
//!
//! `BENCH_SECONDS` (5) is how long each figure is taken, `BENCH_CODES` (20000) how many codes are redeemed at most. The
//! server is the built program in a process of its own, on SQLite; the load comes over loopback and shares its
//! processors, so a rate is a lower bound. The server's own processor time a request stands beside it.
//! Next door: [`gate`] what the gate costs; [`load`] drives, [`server`] runs the program, [`stock`] puts rows into its database.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement that fails says where"
)]

mod gate;
mod load;
mod server;
mod stock;

use std::time::{Duration, Instant};

use load::{Figure, Kind};
use server::Server;
use signet::app::AppState;
use signet::domain::algorithms::SigningAlg;
use signet::domain::jwks::JwkSet;
use signet::keys::client_jws;
use signet::keys::jwt::{self, JwtType};

const CLIENTS: usize = 16;
const GRANTS_OF_A_USER: usize = 5;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let data = tempfile::tempdir().unwrap();
    let (users, seconds) = (number("BENCH_USERS", 0), Duration::from_secs(number("BENCH_SECONDS", 5) as u64));
    let app = stock::open(data.path()).await;
    let key = stock::assertion_key();
    stock::people_and_client(&app, &key).await;
    let (es256, rs256) = (Signing::measure(&app, SigningAlg::ES256), Signing::measure(&app, SigningAlg::RS256));
    println!("signing alone       one thread     all cores");
    println!("  ES256          {:>9.0} /s  {:>9.0} /s", es256.alone, es256.together);
    println!("  RS256          {:>9.0} /s  {:>9.0} /s", rs256.alone, rs256.together);

    let verify = verifying(&key);
    println!("  ES256 verified {verify:>9.0} /s");

    println!("\ndocuments, assertions and authorization");
    conformance(&app, data.path(), seconds, &key, &es256, verify).await;

    println!("\nthe gate");
    gate::figures(&app, data.path(), seconds, verify).await;

    println!("\nwith an empty database");
    let empty = figures(&app, data.path(), seconds, &es256, &rs256).await;
    if users == 0 {
        return;
    }
    app.store().close().await;
    drop(app);
    println!("\nwith {users} people and {} grants", users * GRANTS_OF_A_USER);
    stock::fill(data.path(), users, GRANTS_OF_A_USER).await;
    let app = stock::open(data.path()).await;
    let full = figures(&app, data.path(), seconds, &es256, &rs256).await;
    println!("\nfull against empty");
    for (empty, full) in empty.iter().zip(&full) {
        println!("  {:<34} {:>+6.1} %", empty.name, (full.rate / empty.rate - 1.0) * 100.0);
    }
}

/// Signatures a second, by the server's own keys and with nothing to say but `{}`.
struct Signing {
    alone: f64,
    together: f64,
}

impl Signing {
    fn measure(app: &AppState, alg: SigningAlg) -> Self {
        let cores = std::thread::available_parallelism().unwrap().get();
        let rate = |threads: usize| {
            let each = || {
                let (begun, mut signed) = (now(), 0u32);
                while begun.elapsed() < Duration::from_secs(1) {
                    jwt::sign(&app.provider.keys, alg, JwtType::AccessToken, &serde_json::json!({})).unwrap();
                    signed += 1;
                }
                f64::from(signed) / begun.elapsed().as_secs_f64()
            };
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            })
        };
        Self { alone: rate(1), together: rate(cores) }
    }
}

/// Every figure, printed as it is taken: the rate and what it is of the signatures' rate on all cores; the server's
/// processor time and how many times the signatures' own that is.
async fn figures(
    app: &AppState,
    data: &std::path::Path,
    seconds: Duration,
    es256: &Signing,
    rs256: &Signing,
) -> Vec<Figure> {
    let server = Server::start(data).await;
    let both = Signing { alone: 1.0 / (1.0 / es256.alone + 1.0 / rs256.alone), together: both_together(es256, rs256) };
    let mut figures: Vec<Figure> = Vec::new();
    let codes = stock::codes(app, number("BENCH_CODES", 20_000)).await;
    let plan = [
        ("an empty answer, 16 clients", es256, (0..CLIENTS).map(|_| Kind::Get("/livez")).collect()),
        ("client_credentials, 16 clients", es256, (0..CLIENTS).map(|_| Kind::ClientCredentials).collect()),
        ("code to tokens, 16 clients", &both, load::shared(codes, CLIENTS, Kind::Codes)),
        ("refresh, 1 client", es256, refreshing(app, 1).await),
        ("refresh, 16 clients", es256, refreshing(app, CLIENTS).await),
    ];
    for (name, signing, kinds) in plan {
        let figure = load::drive(name, &server, kinds, seconds).await;
        println!(
            "  {name:<34} {:>8.0} /s  {:.2} of signing  {:>6.0} µs of the server = {:.1} x signing",
            figure.rate,
            figure.rate / signing.together,
            figure.cpu_micros,
            figure.cpu_micros * signing.alone / 1e6,
        );
        figures.push(figure);
    }
    if let [.., one, many] = figures.as_slice() {
        println!("  refreshing, 16 clients against 1:   {:.1} x", many.rate / one.rate);
    }
    figures
}

/// Client assertions verified a second, on one thread.
fn verifying(key: &josekit::jwk::Jwk) -> f64 {
    let keys = JwkSet::parse(stock::public_keys(key).to_string().as_bytes()).unwrap();
    let assertion = stock::assertions(key, "https://id.example.com", 0, 1).remove(0);
    let (begun, mut verified) = (now(), 0u32);
    while begun.elapsed() < Duration::from_secs(1) {
        client_jws::verify(&assertion, &[SigningAlg::ES256], &keys).unwrap();
        verified += 1;
    }
    f64::from(verified) / begun.elapsed().as_secs_f64()
}

/// Prepared documents against an empty answer; `private_key_jwt` against one verify and one sign; the authorization
/// endpoint against one commit.
async fn conformance(
    app: &AppState,
    data: &std::path::Path,
    seconds: Duration,
    key: &josekit::jwk::Jwk,
    es256: &Signing,
    verify: f64,
) {
    let commits = stock::commits(app, seconds).await;
    println!("  {:<34} {commits:>8.0} /s", "a commit, one after the other");
    let server = Server::start(data).await;
    let mut livez = 0.0;
    for (name, path) in [
        ("an empty answer, 16 clients", "/livez"),
        ("discovery, 16 clients", "/.well-known/openid-configuration"),
        ("JWKS, 16 clients", "/.well-known/jwks.json"),
    ] {
        let kinds = (0..CLIENTS).map(|_| Kind::Get(path)).collect();
        let figure = load::drive(name, &server, kinds, seconds).await;
        livez = if livez == 0.0 { figure.rate } else { livez };
        println!("  {name:<34} {:>8.0} /s  {:.2} of the empty answer", figure.rate, figure.rate / livez);
    }
    let issuer = format!("http://{}", server.address);
    let assertions = stock::assertions(key, &issuer, app.env().now().seconds(), number("BENCH_CODES", 20_000));
    let kinds = load::shared(assertions, CLIENTS, Kind::Assertions);
    let figure = load::drive("private_key_jwt, 16 clients", &server, kinds, seconds).await;
    let both = 1e6 / verify + 1e6 / es256.alone;
    println!(
        "  {:<34} {:>8.0} /s  {:>6.0} µs of the server = {:.1} x one verify and one sign",
        figure.name,
        figure.rate,
        figure.cpu_micros,
        figure.cpu_micros / both
    );
    let cookie = stock::signed_in(server.address).await;
    for (name, clients) in [("authorize to a code, 1 client", 1), ("authorize to a code, 16 clients", CLIENTS)] {
        let kinds = (0..clients).map(|_| Kind::Authorize(cookie.clone())).collect();
        let figure = load::drive(name, &server, kinds, seconds).await;
        println!("  {name:<34} {:>8.0} /s  {:.2} x the time of a commit", figure.rate, commits / figure.rate);
    }
}

async fn refreshing(app: &AppState, clients: usize) -> Vec<Kind> {
    stock::refresh_tokens(app, clients).await.into_iter().map(Kind::Refresh).collect()
}

fn both_together(es256: &Signing, rs256: &Signing) -> f64 {
    1.0 / (1.0 / es256.together + 1.0 / rs256.together)
}

#[expect(clippy::disallowed_methods, reason = "a duration is measured; nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}
