//! The layer at work: who is it (a token or a signature, one of them), may they (what the route requires), is the body
//! what it says, in this order, so that a body is only read of somebody who may send it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use signet_signatures::{ContentDigest, Error, Policy};
use tower_layer::Layer;
use tower_service::Service;

use crate::challenge::{Rejection, RejectionCode};
use crate::guard::{Guard, Settings};
use crate::identity::{CredentialKind, Identity};
use crate::requirement::Requirement;
use crate::signed;
use crate::token::{self, UnverifiedToken};

/// A service behind a [`Guard`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

/// That a guard has seen this request already: one further out, of the same settings.
#[derive(Clone)]
struct AlreadyAdmitted(Arc<Settings>);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready, and not a copy of it that may not be.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let guard = self.guard.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match guard.admit(&mut parts, body).await {
                Ok(body) => inner.call(Request::from_parts(parts, body)).await,
                Err(refusal) => {
                    tracing::info!(status = refusal.status().as_u16(), reason = refusal.text, "not let in");
                    let components = signed::without_address(&parts).map(|request| Policy::components(&request));
                    Ok(refusal.response(&guard.settings, &components.unwrap_or_default()))
                }
            }
        })
    }
}

impl Guard {
    async fn admit<B>(&self, parts: &mut Parts, body: B) -> Result<B, Rejection>
    where
        B: Body + From<Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let before = parts.extensions.get::<AlreadyAdmitted>().filter(|it| Arc::ptr_eq(&it.0, &self.settings));
        if let (Some(_), Some(who)) = (before, parts.extensions.get::<Identity>()) {
            return self.authorize(who).map(|()| body);
        }
        let who = self.identify(parts).await?;
        self.authorize(&who)?;
        let digest = ContentDigest::of(&signed::without_address(parts)?).map_err(|error| signed::rejection(&error))?;
        let body = match digest {
            Some(digest) => checked(body, &digest, self.settings.body_limit).await?,
            // Whoever is on the way could have put it in: a signature speaks for the body by its digest alone.
            None if who.credential_kind() == CredentialKind::Signature && !body.is_end_stream() => {
                return Err(signed::rejection(&Error::ComponentNotCovered("content-digest")));
            }
            None => body,
        };
        parts.extensions.insert(who);
        parts.extensions.insert(AlreadyAdmitted(Arc::clone(&self.settings)));
        Ok(body)
    }

    async fn identify(&self, parts: &Parts) -> Result<Identity, Rejection> {
        let headers = &parts.headers;
        if let Some(name) = self.settings.token_header.as_ref().filter(|name| headers.contains_key(*name)) {
            return self.by_token(once(headers, name)?.trim()).await;
        }
        let bearer = bearer(headers)?;
        let signed = self.settings.signed.as_ref().filter(|_| signed::is_signed(headers));
        match (bearer, signed) {
            (Some(_), Some(_)) => Err(Rejection::new(
                RejectionCode::InvalidRequest,
                "There are two credentials: a token and a signature.",
            )),
            (Some(token), None) => self.by_token(token).await,
            (None, Some(signed)) => signed.identify(parts, (self.settings.clock)()).await.map(Identity::from_caller),
            (None, None) => Err(Rejection::new(RejectionCode::Nothing, "Say who you are.")),
        }
    }

    async fn by_token(&self, text: &str) -> Result<Identity, Rejection> {
        let settings = &self.settings;
        // The same words for whatever is wrong with one.
        let invalid =
            || Rejection::new(RejectionCode::InvalidToken, "The token is unknown, expired or not for this API.");
        let token = UnverifiedToken::read(text, &settings.algorithms).ok_or_else(invalid)?;
        let found = settings.keys.find(token.kid()).await;
        let found = found
            .map_err(|_| Rejection::new(RejectionCode::Unavailable, "The issuer cannot be asked for its keys now."));
        let claims = found?.and_then(|key| token.verify(&key)).ok_or_else(invalid)?;
        let now = (settings.clock)();
        token::judge(claims, settings.keys.issuer(), &settings.audience, now).ok_or_else(invalid)
    }

    /// RFC 6750 §3.1, `insufficient_scope`.
    fn authorize(&self, who: &Identity) -> Result<(), Rejection> {
        let Some(missing) = self.required.iter().find(|required| !required.is_met(who)) else { return Ok(()) };
        let mut scopes: Vec<&str> = Vec::new();
        for scope in self.required.iter().flat_map(Requirement::scopes) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let mut refusal = Rejection::new(RejectionCode::InsufficientScope, format!("That needs {missing}."));
        refusal.scopes = (!scopes.is_empty()).then(|| scopes.join(" "));
        Err(refusal)
    }
}

/// The body again, where it is the one that the digest was made of.
async fn checked<B>(body: B, digest: &ContentDigest, most: usize) -> Result<B, Rejection>
where
    B: Body + From<Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let read = Limited::new(body, most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Rejection::new(RejectionCode::TooLarge, format!("A body with a digest has at most {most} bytes."))
        } else {
            Rejection::new(RejectionCode::InvalidRequest, "The body did not arrive whole.")
        }
    });
    let bytes = read?.to_bytes();
    digest.check(&bytes).map_err(|error| Rejection::new(RejectionCode::InvalidRequest, format!("{error}.")))?;
    Ok(B::from(bytes))
}

/// RFC 6750 §2.1; other schemes are nothing to us.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Rejection> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let (scheme, token) = once(headers, &AUTHORIZATION)?.split_once(' ').unwrap_or_default();
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Rejection> {
    let mut all = headers.get_all(name).iter();
    let first = all.next().and_then(|value| value.to_str().ok());
    first.filter(|_| all.next().is_none()).ok_or_else(|| {
        Rejection::new(
            RejectionCode::InvalidRequest,
            format!("The header {name} stands more than once, or is not ASCII."),
        )
    })
}
