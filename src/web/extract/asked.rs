//! A request to the protocol's endpoints: its parameters (query of a GET, form of a POST) and the credentials beside them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, header};

use super::certificate::client_certificate;
use crate::app::App;
use crate::config::NetworkList;
use crate::domain::event::Origin;
use crate::keys::certificate::ClientCertificate;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::ApiError;
use crate::web::sessions;

/// No client of ours sends so slowly; a hand that does wants to keep a connection busy.
const BODY: Duration = Duration::from_secs(10);

/// The id that a request has in the log, on error pages and in events.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

pub struct Asked {
    pub parameters: Parameters,
    pub authorization: Option<String>,
    pub certificate: Option<ClientCertificate>,
    pub origin: Origin,
}

impl FromRequest<App> for Asked {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
        let authorization = authorization(&parts.headers)?;
        let origin = origin(&parts, &app.config.trusted_proxies);
        let certificate = client_certificate(&parts, &app.config).map_err(invalid)?;
        let parameters = if parts.method == Method::POST {
            if !is_form(&parts.headers) {
                // RFC 6750 §2.2: a bearer token in the header needs no form.
                if !self::body(Request::from_parts(parts, body)).await?.is_empty() {
                    return Err(invalid("The body must be application/x-www-form-urlencoded.").into());
                }
                return Ok(Self { parameters: Parameters::default(), authorization, certificate, origin });
            }
            let parameters = Parameters::parse(&self::body(Request::from_parts(parts, body)).await?)?;
            parameters.check_repetition()?;
            parameters
        } else {
            Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())?
        };
        Ok(Self { parameters, authorization, certificate, origin })
    }
}

/// The `Authorization` header, which stands once or not at all.
pub fn authorization(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let first = all.next().map(|value| value.to_str().map(ToOwned::to_owned));
    if all.next().is_some() {
        return Err(invalid("The Authorization header is repeated."));
    }
    first.transpose().map_err(|_| invalid("The Authorization header is not ASCII."))
}

/// A request's body, which has to be there within [`BODY`] and is no longer than the router allows.
pub async fn body(request: Request) -> Result<Bytes, OAuthError> {
    let missing = || OAuthError::new(ErrorCode::InvalidRequest, "The body is too large or did not arrive.");
    let read = tokio::time::timeout(BODY, Bytes::from_request(request, &())).await;
    read.map_err(|_| missing().because("it took too long"))?.map_err(|error| missing().because(error.to_string()))
}

/// The parameters of a body that is a form.
pub async fn form(request: Request) -> Result<Parameters, OAuthError> {
    if !is_form(request.headers()) {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "The body must be application/x-www-form-urlencoded."));
    }
    Parameters::parse(&body(request).await?)
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Who is at the other end of the connection.
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

/// Whether a trusted proxy sent it, which may say things that nobody else is believed about.
pub fn from_proxy(parts: &Parts, trusted: &NetworkList) -> bool {
    peer(&parts.extensions).is_some_and(|peer| trusted.contains(peer))
}

/// From where a request came: the peer, or, where that is a trusted proxy, the last address it names that is none.
pub fn caller(parts: &Parts, trusted: &NetworkList) -> Option<IpAddr> {
    let address = match peer(&parts.extensions) {
        Some(peer) if trusted.contains(peer) => forwarded(&parts.headers, trusted).or(Some(peer)),
        peer => peer,
    };
    address.map(|address| address.to_canonical())
}

/// From where the request came about which a trusted proxy asks: nothing where the proxy does not say, since its own
/// address is nobody's.
pub fn forwarded_caller(parts: &Parts, trusted: &NetworkList) -> Option<IpAddr> {
    let mut farthest = None;
    for address in named(&parts.headers) {
        farthest = Some(address?.to_canonical());
        if farthest.is_some_and(|address| !trusted.contains(address)) {
            break;
        }
    }
    farthest
}

/// What is written down of a request: its [`caller`], and what else it says.
pub fn origin(parts: &Parts, trusted: &NetworkList) -> Origin {
    Origin {
        address: caller(parts, trusted).map(|address| address.to_string()).unwrap_or_default(),
        user_agent: sessions::header(&parts.headers, "user-agent"),
        request_id: parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
    }
}

/// What is no address ends it: what stands before was not written by a proxy of ours.
fn forwarded(headers: &HeaderMap, trusted: &NetworkList) -> Option<IpAddr> {
    named(headers).map_while(|address| address).find(|address| !trusted.contains(*address))
}

/// The addresses in `X-Forwarded-For`, from the nearest on; nothing in the place of what is none.
fn named(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all("x-forwarded-for").iter();
    let all: Vec<&str> = lines.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(str::trim).collect();
    all.into_iter().rev().map(|text| text.parse().ok())
}
