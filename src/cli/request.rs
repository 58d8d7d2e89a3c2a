//! `signet request`: sends a request that is signed with HTTP Message Signatures (RFC 9421), for callers of an
//! API whose gate or guard accepts `message_signature`. The signature covers the required components
//! (docs/gate.md) and has the parameters `created`, `nonce` and `keyid`. `signet-signatures` makes the
//! signature, [`outbound::send`](mod@outbound::send) sends the request.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ArgAction;
use serde::Serialize;
use serde_json::{Map, Value, json};
use signet_signatures::{Component, ContentDigest, DigestAlgorithm, Input, Parameters, Policy, Request, SigningKey};
use url::Url;
use zeroize::Zeroizing;

use super::{error_line, note, print, print_json};
use crate::config::Config;
use crate::domain::printable::{bytes_without_bom, escaped};
use crate::domain::secret::base64url;
use crate::env::Env;
use crate::outbound::send::{IncomingResponse, OutgoingRequest, send};

/// The maximum response body that `--json` buffers. Without that option nothing is buffered.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
/// The maximum number of characters that are shown of the error in a response.
const MAX_SHOWN_CHARACTERS: usize = 300;
/// The headers that are set here. With another value, the request that is sent would differ from the signed one.
const RESERVED_HEADERS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "content-digest", "signature-input", "signature"];

#[derive(Debug, clap::Args)]
pub(super) struct RequestArgs {
    /// The method: GET, POST and so on.
    method: String,
    /// The URL with its query; http or https.
    url: String,
    /// The key: a file with a private JWK (Ed25519, P-256 or RSA) or a symmetric one (`oct`); `-` reads it from stdin.
    #[arg(long, value_name = "FILE")]
    sign: PathBuf,
    /// The key id that the receiver knows; without this the JWK's `kid`.
    #[arg(long, value_name = "ID")]
    keyid: Option<String>,
    /// A header, `Name: value`; may be repeated.
    #[arg(long = "header", short = 'H', value_name = "HEADER", value_parser = header, action = ArgAction::Append)]
    headers: Vec<(String, String)>,
    /// The body: the text itself, `@FILE`, or `@-` for stdin.
    #[arg(long, value_name = "TEXT")]
    data: Option<String>,
    /// What the signature covers besides method, target and body: the name of a header, or a component as in
    /// `Signature-Input` (`"@query-param";name="id"`); may be repeated.
    #[arg(long = "cover", value_name = "COMPONENT", value_parser = component, action = ArgAction::Append)]
    cover: Vec<Component>,
    /// Seconds until the signature expires; without this the receiver decides.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    expires: Option<u32>,
    /// Seconds to wait for the whole response.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Print the signed request and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the response's status and headers on stderr.
    #[arg(long, short, conflicts_with = "json")]
    verbose: bool,
    /// Print status, headers and body of the response as one JSON object.
    #[arg(long)]
    json: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("is `Name: value`")?;
    let value = value.trim();
    if RESERVED_HEADERS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(format!("{name} is made here, of what is sent"));
    }
    if value.contains(|letter: char| letter.is_control() && letter != '\t') {
        return Err("has a control character in its value".to_owned());
    }
    // The name is validated together with everything else that is signed.
    Request::to("GET", "http://localhost/")
        .and_then(|probe| probe.with_field(name, b"").map(|_| ()))
        .map_err(error_line)?;
    Ok((name.to_owned(), value.to_owned()))
}

fn component(text: &str) -> Result<Component, String> {
    let read = if text.starts_with('"') { Component::parse(text) } else { Component::new(&text.to_ascii_lowercase()) };
    read.map_err(error_line)
}

pub(super) async fn run(config: &Config, args: RequestArgs) -> Result<(), String> {
    if args.sign.as_os_str() == "-" && args.data.as_deref() == Some("@-") {
        return Err("the key and the body cannot both come from stdin: put one of them into a file".to_owned());
    }
    let (key, kid) = key(&args.sign)?;
    let keyid = args.keyid.or(kid).ok_or("the JWK has no `kid`: say with --keyid by which name the key is known")?;
    let mut request = build_request(&args.method, &args.url, args.headers, args.data.as_deref())?;
    sign(&mut request, &key, &args.cover, signature_parameters(&Env::system(), keyid, args.expires))?;
    if args.dry_run {
        return if args.json { print_json(&request_json(&request)) } else { print_request(&request) };
    }
    let shown = format!("{} {}", request.method, request.url);
    let patience = Duration::from_secs(args.timeout);
    let answer = send(request, patience, config.outbound.ca_file.as_deref()).await;
    let mut answer = answer.map_err(|error| format!("{shown}: no answer: {error}"))?;
    let refused = failure_reason(&answer);
    let received = if args.json {
        response_json(&mut answer).await.and_then(|value| print_json(&value))
    } else {
        if args.verbose || refused.is_none() {
            print_status(&answer, args.verbose);
        }
        copy_body(&mut answer).await
    };
    received.map_err(|error| format!("{shown}: {error}"))?;
    refused.map_or(Ok(()), |why| Err(format!("{shown}: {why}")))
}

/// Returns the key in a file, and its `kid`. Errors contain neither the file's content nor the argument, which
/// might be the key itself.
fn key(path: &Path) -> Result<(SigningKey, Option<String>), String> {
    let name = path.display().to_string();
    if name.trim_start().starts_with('{') {
        return Err("--sign takes a file, or - for stdin: an argument can be read by everybody on this machine".into());
    }
    let shown = if name == "-" { "stdin" } else { &name };
    let text = Zeroizing::new(read(&name).map_err(|error| format!("{shown}: {error}"))?);
    let jwk: Map<String, Value> = serde_json::from_slice(bytes_without_bom(&text))
        .map_err(|_| format!("{shown}: is no JWK: that is a JSON object (RFC 7517)"))?;
    if jwk.contains_key("keys") {
        return Err(format!("{shown}: is a set of keys: take the one that is to sign out of it"));
    }
    let key = SigningKey::from_jwk(&jwk).map_err(|error| format!("{shown}: {error}"))?;
    if name != "-" && others_may_read(path) {
        note(&format!("signet: others on this machine can read {shown}: chmod 600 {shown}"));
    }
    Ok((key, jwk.get("kid").and_then(Value::as_str).map(str::to_owned)))
}

/// Reads a file, or stdin.
fn read(name: &str) -> std::io::Result<Vec<u8>> {
    if name != "-" {
        return fs::read(name);
    }
    let mut all = Vec::new();
    std::io::stdin().lock().read_to_end(&mut all)?;
    Ok(all)
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}

/// Returns the unsigned request with all of its headers.
fn build_request(
    method: &str,
    url: &str,
    headers: Vec<(String, String)>,
    data: Option<&str>,
) -> Result<OutgoingRequest, String> {
    let mut url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{url}: is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL has a user name or password in it: a request has one credential, its signature".into());
    }
    url.set_fragment(None);
    // Methods are case-sensitive, and all methods in use are upper-case.
    let method = method.to_ascii_uppercase();
    let always = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
    let body = match data {
        None => always.then(Vec::new),
        Some(text) => Some(match text.strip_prefix('@') {
            None => text.as_bytes().to_vec(),
            Some(file) => read(file).map_err(|error| format!("--data {text}: {error}"))?,
        }),
    };
    let mut request = OutgoingRequest { method, url, headers, body };
    let mut add = |name: &str, value: String| {
        if !request.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            request.headers.push((name.to_owned(), value));
        }
    };
    add("Accept", "*/*".to_owned());
    add("User-Agent", "Signet".to_owned());
    if let Some(body) = &request.body {
        add("Content-Length", body.len().to_string());
        add("Content-Digest", ContentDigest::made(DigestAlgorithm::Sha256, body).to_string());
    }
    Ok(request)
}

fn signature_parameters(env: &Env, keyid: String, expires: Option<u32>) -> Parameters {
    let now = env.now().seconds();
    Parameters {
        created: Some(now),
        expires: expires.map(|seconds| now.saturating_add(seconds.into())),
        nonce: Some(base64url(&env.random::<18>())),
        keyid: Some(keyid),
        ..Parameters::default()
    }
}

fn sign(
    request: &mut OutgoingRequest,
    key: &SigningKey,
    cover: &[Component],
    said_of: Parameters,
) -> Result<(), String> {
    let url = request.url.to_string();
    let fields = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let signed = Request::to(&request.method, &url).and_then(|known| known.with_fields(fields)).map_err(error_line)?;
    let needed = Policy::components(&signed).into_iter().map(Component::new).collect::<Result<Vec<_>, _>>();
    let mut covered = needed.map_err(error_line)?;
    for more in cover {
        if !covered.contains(more) {
            covered.push(more.clone());
        }
    }
    let fields = Input::new(covered, said_of).and_then(|input| input.sign("sig1", &signed, key)).map_err(error_line)?;
    request.headers.push(("Signature-Input".to_owned(), fields.signature_input));
    request.headers.push(("Signature".to_owned(), fields.signature));
    Ok(())
}

fn print_request(request: &OutgoingRequest) -> Result<(), String> {
    let target = request.url.query().map_or_else(String::new, |query| format!("?{query}"));
    print(&format!("{} {}{target} HTTP/1.1\nHost: {}", request.method, request.url.path(), request.url.authority()));
    for (name, value) in &request.headers {
        print(&format!("{name}: {value}"));
    }
    print("");
    request.body.as_deref().map_or(Ok(()), put)
}

fn request_json(request: &OutgoingRequest) -> Value {
    let headers = by_name(request.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut shown = member("method", &request.method);
    shown.extend(member("url", &request.url.as_str()));
    shown.extend(member("headers", &headers));
    shown.extend(request.body.as_deref().map(text_or_base64).unwrap_or_default());
    Value::Object(shown)
}

async fn response_json(answer: &mut IncomingResponse) -> Result<Value, String> {
    let mut body = Vec::new();
    while let Some(piece) = answer.piece().await? {
        if body.len() + piece.len() > MAX_RESPONSE_BYTES {
            return Err("the answer has more than 64 MiB: leave --json out".to_owned());
        }
        body.extend_from_slice(&piece);
    }
    let mut shown = member("status", &answer.status().0);
    shown.extend(member("headers", &by_name(answer.headers())));
    shown.extend(text_or_base64(&body));
    Ok(Value::Object(shown))
}

/// Groups the values of headers by lower-case name.
fn by_name<'a>(headers: impl Iterator<Item = (&'a str, String)>) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in headers {
        all.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    all
}

fn text_or_base64(body: &[u8]) -> Map<String, Value> {
    match std::str::from_utf8(body) {
        Ok(text) => member("body", &text),
        Err(_) => member("body_base64", &STANDARD.encode(body)),
    }
}

fn member(name: &str, value: &impl Serialize) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), json!(value))])
}

fn print_status(answer: &IncomingResponse, headers: bool) {
    let (status, reason) = answer.status();
    note(&format!("{} {status} {reason}", answer.version()));
    for (name, value) in answer.headers().filter(|_| headers) {
        note(&format!("{name}: {}", printable(&value)));
    }
}

async fn copy_body(answer: &mut IncomingResponse) -> Result<(), String> {
    while let Some(piece) = answer.piece().await? {
        put(&piece)?;
    }
    Ok(())
}

/// Returns why the response is not a success, with the reason that the server gives.
fn failure_reason(answer: &IncomingResponse) -> Option<String> {
    let (status, reason) = answer.status();
    if (200..300).contains(&status) {
        return None;
    }
    let told = answer.headers().filter_map(|(name, value)| match name {
        "location" if (300..400).contains(&status) => {
            Some(format!("; to {}, which a signature for this address is not for", printable(&value)))
        }
        "www-authenticate" | "x-gate-reason" | "retry-after" => Some(format!("; {name}: {}", printable(&value))),
        _ => None,
    });
    Some(format!("the answer is {status} {reason}{}", told.collect::<String>()))
}

/// Returns text of another server, with escapes for control, hidden and bidirectional characters.
fn printable(text: &str) -> String {
    let start: String = text.chars().take(MAX_SHOWN_CHARACTERS).collect();
    escaped(&start).into_owned()
}

/// Writes raw bytes to stdout.
fn put(bytes: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| format!("the output cannot be written: {error}"))
}
