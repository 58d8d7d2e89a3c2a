//! A request to the protocol's endpoints: its parameters (query of a GET, form of a POST) and the credentials beside them.

use std::net::{IpAddr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use crate::app::App;
use crate::config::NetworkList;
use crate::domain::event::Origin;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::ApiError;
use crate::web::sessions;

/// The id that a request has in the log, on error pages and in events.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

pub struct Asked {
    pub parameters: Parameters,
    pub authorization: Option<String>,
    pub origin: Origin,
}

impl FromRequest<App> for Asked {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
        let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
        let authorization = headers.next().map(|value| value.to_str().map(ToOwned::to_owned));
        if headers.next().is_some() {
            return Err(invalid("The Authorization header is repeated.").into());
        }
        let authorization = authorization.transpose().map_err(|_| invalid("The Authorization header is not ASCII."))?;
        let origin = origin(&parts, &app.config.trusted_proxies);
        let parameters = if parts.method == Method::POST {
            if !is_form(&parts.headers) {
                // RFC 6750 §2.2: a bearer token in the header needs no form.
                let body = Bytes::from_request(Request::from_parts(parts, body), app).await;
                return match body {
                    Ok(body) if body.is_empty() => {
                        Ok(Self { parameters: Parameters::default(), authorization, origin })
                    }
                    _ => Err(invalid("The body must be application/x-www-form-urlencoded.").into()),
                };
            }
            let body = Bytes::from_request(Request::from_parts(parts, body), app)
                .await
                .map_err(|_| invalid("The body is too large or did not arrive."))?;
            Parameters::parse(&body)?
        } else {
            Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())?
        };
        Ok(Self { parameters, authorization, origin })
    }
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// From where a request came: the peer, or, where that is a trusted proxy, the last address it names that is none.
pub fn origin(parts: &Parts, trusted: &NetworkList) -> Origin {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let address = match peer {
        Some(peer) if trusted.contains(peer) => forwarded(&parts.headers, trusted).or(Some(peer)),
        peer => peer,
    };
    Origin {
        address: address.map(|address| address.to_canonical().to_string()).unwrap_or_default(),
        user_agent: sessions::header(&parts.headers, "user-agent"),
        request_id: parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
    }
}

fn forwarded(headers: &HeaderMap, trusted: &NetworkList) -> Option<IpAddr> {
    let all: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|text| text.trim().parse().ok())
        .collect();
    all.into_iter().rev().find(|address| !trusted.contains(*address))
}
