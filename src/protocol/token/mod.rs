//! The token endpoint (RFC 6749 §3.2): authenticates the client, parses the request into an enum, and calls the module
//! of its grant type.
//!
//! One module per grant type: [`authorization_code`], [`refresh_token`], [`client_credentials`], [`device_code`],
//! [`token_exchange`], [`jwt_bearer`]. See also: [`issue`], which issues the tokens; [`wrong_method`], the error for a
//! client that authenticated by a method it may not use.

mod authorization_code;
mod client_credentials;
mod device_code;
mod exchange_check;
mod issue;
mod jwt_bearer;
mod refresh_token;
mod token_exchange;
mod wrong_method;

use std::sync::Arc;

use serde::Serialize;

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::client::Client;
use crate::domain::client_metadata::GrantType;
use crate::domain::event::RequestOrigin;
use crate::domain::scope::Scopes;
use crate::keys::certificate::ClientCertificate;

/// A successful token response (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
#[derive(Serialize)]
pub struct TokenResponse {
    pub access_token: String,
    pub token_type: &'static str,
    /// RFC 8693 §2.2.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
    pub expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    #[serde(skip_serializing_if = "Scopes::is_empty")]
    pub scope: Scopes,
}

/// A token request, by grant type.
enum GrantRequest<'a> {
    AuthorizationCode { code: &'a str, redirect_uri: Option<&'a str>, verifier: Option<&'a str> },
    RefreshToken { token: &'a str, scope: Option<&'a str> },
    ClientCredentials,
    DeviceCode { device_code: &'a str },
    TokenExchange(token_exchange::ExchangeRequest<'a>),
    JwtBearer { assertion: &'a str },
}

impl<'a> GrantRequest<'a> {
    fn parse(parameters: &'a Parameters) -> Result<Self> {
        parameters.check_repetition()?;
        match parameters.required("grant_type")? {
            "authorization_code" => Ok(Self::AuthorizationCode {
                code: parameters.required("code")?,
                redirect_uri: parameters.one("redirect_uri")?,
                verifier: parameters.one("code_verifier")?,
            }),
            "refresh_token" => {
                Ok(Self::RefreshToken { token: parameters.required("refresh_token")?, scope: parameters.scope()? })
            }
            "client_credentials" => Ok(Self::ClientCredentials),
            "urn:ietf:params:oauth:grant-type:device_code" => {
                Ok(Self::DeviceCode { device_code: parameters.required("device_code")? })
            }
            "urn:ietf:params:oauth:grant-type:token-exchange" => {
                Ok(Self::TokenExchange(token_exchange::ExchangeRequest::parse(parameters)?))
            }
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                Ok(Self::JwtBearer { assertion: parameters.required("assertion")? })
            }
            other => {
                let text = "This grant type is not supported.";
                Err(OAuthError::new(ErrorCode::UnsupportedGrantType, text).with_cause(other))
            }
        }
    }

    /// Parses the request. Returns an error if the client may not use the grant type.
    fn allowed(client: &Client, parameters: &'a Parameters) -> Result<Self> {
        let grant = Self::parse(parameters)?;
        if client.meta.allows(grant.grant_type()) {
            return Ok(grant);
        }
        let text = "This client may not use this grant type.";
        Err(OAuthError::new(ErrorCode::UnauthorizedClient, text).with_cause(parameters.required("grant_type")?))
    }

    const fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::ClientCredentials => GrantType::ClientCredentials,
            Self::DeviceCode { .. } => GrantType::DeviceCode,
            Self::TokenExchange(_) => GrantType::TokenExchange,
            Self::JwtBearer { .. } => GrantType::JwtBearer,
        }
    }
}

/// A token request of an authenticated client.
pub struct TokenRequest<'a> {
    pub client: &'a Arc<Client>,
    pub parameters: &'a Parameters,
    /// The client certificate of the connection.
    pub certificate: Option<&'a ClientCertificate>,
    pub origin: RequestOrigin,
}

impl Provider {
    /// Returns the response to a token request of an authenticated client.
    pub async fn token(&self, asking: TokenRequest<'_>) -> Result<TokenResponse> {
        let TokenRequest { client, parameters, .. } = asking;
        match GrantRequest::allowed(client, parameters)? {
            GrantRequest::AuthorizationCode { code, redirect_uri, verifier } => {
                self.redeem_code(asking, code, redirect_uri, verifier).await
            }
            GrantRequest::RefreshToken { token, scope } => self.refresh(asking, token, scope).await,
            GrantRequest::ClientCredentials => self.client_credentials(asking).await,
            GrantRequest::DeviceCode { device_code } => self.redeem_device_code(asking, device_code).await,
            GrantRequest::TokenExchange(exchange) => self.exchange_token(asking, exchange).await,
            GrantRequest::JwtBearer { assertion } => self.redeem_jwt_assertion(asking, assertion).await,
        }
    }
}
