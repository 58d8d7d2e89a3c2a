//! The redirect URIs of clients that no administrator registered: they register themselves (RFC 7591) or have a
//! metadata document. The settings vouch for schemes and hosts that anyone could claim.
//!
//! See also: [`super::policy`], the other limits on such clients; `domain::client_metadata::redirects`, the rules for
//! every client.

use crate::config::RegistrationPolicy;
use crate::domain::client_metadata::{ApplicationType, ClientMetadata, GrantType};
use crate::domain::http_host::HttpHost;
use crate::domain::redirect_uri::{RedirectKind, RedirectUri};
use crate::protocol::error::{ErrorCode, OAuthError, Result};

/// The schemes and hosts that an administrator vouches for in the settings.
#[derive(Clone, Debug, Default)]
pub struct VouchedRedirects {
    /// Private-use schemes without a domain name (RFC 8252 §7.1).
    schemes: Vec<String>,
    /// Hosts for which plain http is allowed.
    http_hosts: Vec<HttpHost>,
}

impl VouchedRedirects {
    /// # Errors
    /// If a setting is invalid. The text names the setting.
    pub fn new(settings: &RegistrationPolicy) -> std::result::Result<Self, String> {
        let scheme = |text: &String| match RedirectUri::parse(&format!("{text}://callback")) {
            Ok(uri)
                if uri.kind() == RedirectKind::PrivateUse
                    && uri.has_scheme(text)
                    && *text == text.to_ascii_lowercase() =>
            {
                Ok(text.clone())
            }
            _ => Err(format!(
                "registration_policy.redirect_schemes: {text:?} is not a scheme of its own, such as cursor"
            )),
        };
        let host = |text: &String| {
            let parsed = HttpHost::parse(text);
            parsed.map_err(|problem| format!("registration_policy.http_redirect_hosts: {text:?} {problem}"))
        };
        Ok(Self {
            schemes: settings.redirect_schemes.iter().map(scheme).collect::<std::result::Result<_, _>>()?,
            http_hosts: settings.http_redirect_hosts.iter().map(host).collect::<std::result::Result<_, _>>()?,
        })
    }

    /// Removes the redirect URIs that the client may not have. URIs that it already `had` are kept if they satisfy the
    /// rules. A single invalid URI does not prevent the registration.
    pub(in crate::protocol) fn narrow(&self, meta: &mut ClientMetadata, had: Option<&ClientMetadata>) -> Result<()> {
        let no_uris: &[RedirectUri] = &[];
        let (kept, kept_after_logout) =
            had.map_or((no_uris, no_uris), |had| (&had.redirect_uris, &had.post_logout_redirect_uris));
        // Only the host is stored, not the network in the settings, so that it remains valid if they change.
        for host in meta.redirect_hosts_within(&self.http_hosts) {
            if !meta.http_redirect_hosts.contains(&host) {
                meta.http_redirect_hosts.push(host);
            }
        }
        let mut first = None;
        // URIs that are not vouched for are removed first for every client: the remaining ones may indicate another
        // application type.
        meta.redirect_uris
            .retain(|uri| note(&mut first, uri, self.unvouched_problem(uri).filter(|_| !kept.contains(uri))));
        meta.post_logout_redirect_uris
            .retain(|uri| self.unvouched_problem(uri).is_none() || kept_after_logout.contains(uri));
        let of = meta.clone();
        meta.redirect_uris
            .retain(|uri| note(&mut first, uri, of.redirect_problem(uri).or_else(|| of_implicit(&of, uri))));
        meta.post_logout_redirect_uris.retain(|uri| of.redirect_problem(uri).is_none());
        match first {
            Some(problem) if meta.redirect_uris.is_empty() => {
                Err(OAuthError::new(ErrorCode::InvalidRedirectUri, format!("redirect_uris: {problem}.")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the problem if only an administrator may register the URI, because anyone could claim its scheme.
    fn unvouched_problem(&self, uri: &RedirectUri) -> Option<&'static str> {
        let is_vouched_for = || self.schemes.iter().any(|scheme| uri.has_scheme(scheme));
        (uri.kind() == RedirectKind::PrivateUse && !uri.has_domain_in_scheme() && !is_vouched_for()).then_some(
            "must begin with a scheme that has a domain name in it, such as com.example.app, unless an administrator \
             registers it or names its scheme in registration_policy.redirect_schemes",
        )
    }
}

/// Returns whether there is no `problem`, and stores the first one.
fn note(first: &mut Option<String>, uri: &RedirectUri, problem: Option<&'static str>) -> bool {
    if let Some(problem) = problem {
        first.get_or_insert_with(|| format!("{uri} {problem}"));
    }
    problem.is_none()
}

/// Returns the problem with the `application_type` (OpenID Connect Registration §2).
fn of_implicit(meta: &ClientMetadata, uri: &RedirectUri) -> Option<&'static str> {
    let is_web = meta.application_type() == ApplicationType::Web && meta.allows(GrantType::Implicit);
    (is_web && (uri.kind() != RedirectKind::Https || uri.has_loopback_host()))
        .then_some("must begin with https and not be at localhost, since this is a web client of the implicit grant")
}

#[cfg(test)]
mod tests {
    use super::VouchedRedirects;
    use crate::config::RegistrationPolicy;

    #[test]
    fn settings_name_schemes_that_an_app_can_own() {
        for (text, named) in [
            ("cursor", true),
            ("com.example.app", true),
            ("web+app", true),
            ("Cursor", false),
            ("cursor:", false),
            ("cursor://auth?next=", false),
            ("cursor*", false),
            ("", false),
            ("c", false),
            ("http", false),
            ("https", false),
            ("javascript", false),
            ("data", false),
            ("file", false),
        ] {
            let settings = RegistrationPolicy { redirect_schemes: vec![text.to_owned()], ..Default::default() };
            let read = VouchedRedirects::new(&settings);
            let is_refused = |problem: &String| problem.contains("registration_policy.redirect_schemes");
            assert_eq!(read.is_ok(), named, "{text}");
            assert!(read.err().is_none_or(|problem| is_refused(&problem)), "{text}");
        }
    }
}
