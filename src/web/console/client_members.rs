//! The table of the metadata members that few clients need. The page renders its fields from the table, and
//! the submitted values are written to the metadata under the same names (RFC 7591 §2, OpenID Connect
//! Registration §2, RFC 9101 §10.5, RFC 9126 §6, RFC 9701 §6 and the logout specifications).
//!
//! See also [`super::metadata_fields`], which reads and fills these fields, and [`super::client_form`], for
//! the members that every client has.

use crate::domain::algorithms::{ContentEncryption, KeyManagementAlg, SigningAlg};

/// The input of a member.
#[derive(Clone, Copy)]
pub enum MemberInput {
    /// One of these values, or none.
    Choice(fn() -> Vec<&'static str>),
    /// One of these values.
    RequiredChoice(&'static [&'static str]),
    Flag,
    Text,
    Seconds,
    /// Words separated by spaces.
    Words,
    /// One URL per line.
    Lines,
    Json,
}

pub struct MetadataMember {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub shape: MemberInput,
}

impl MetadataMember {
    pub fn is_flag(&self) -> bool {
        matches!(self.shape, MemberInput::Flag)
    }

    pub fn is_chosen(&self) -> bool {
        matches!(self.shape, MemberInput::Choice(_) | MemberInput::RequiredChoice(_))
    }

    pub fn has_lines(&self) -> bool {
        matches!(self.shape, MemberInput::Json | MemberInput::Lines)
    }
}

/// The members under one collapsed heading.
pub struct MemberGroup {
    pub title: &'static str,
    pub members: &'static [MetadataMember],
}

const fn member(name: &'static str, label: &'static str, shape: MemberInput, hint: &'static str) -> MetadataMember {
    MetadataMember { name, label, hint, shape }
}

fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().copied().map(name).collect()
}

const SIGNING: MemberInput = MemberInput::Choice(|| names(SigningAlg::ALL, SigningAlg::as_str));
const KEY_MANAGEMENT: MemberInput = MemberInput::Choice(|| names(KeyManagementAlg::ALL, KeyManagementAlg::as_str));
const CONTENT: MemberInput = MemberInput::Choice(|| names(ContentEncryption::ALL, ContentEncryption::as_str));

const CONTENT_HINT: &str = "A128CBC-HS256 where it is left open.";

pub const GROUPS: [MemberGroup; 11] = [
    MemberGroup {
        title: "Client details",
        members: &[
            member(
                "application_type",
                "Application type",
                MemberInput::Choice(|| vec!["web", "native"]),
                "native: on the user’s own device. If it is left open, the redirect URIs decide: a private-use scheme, or loopback without a secret, means native.",
            ),
            member(
                "http_redirect_hosts",
                "Redirect hosts without https",
                MemberInput::Words,
                "Hosts in your own network, with spaces between them: nas.lan, *.home.arpa, 192.168.1.0/24. Who shares that network can read what is sent.",
            ),
            member(
                "logo_uri",
                "Logo",
                MemberInput::Text,
                "An https address of a picture. It is fetched and served by us.",
            ),
            member("client_uri", "Home page", MemberInput::Text, "An https address."),
            member("contacts", "Contacts", MemberInput::Words, "E-mail addresses, with spaces between them."),
            member("software_id", "Software ID", MemberInput::Text, "What all installations of it have in common."),
            member("software_version", "Software version", MemberInput::Text, "As its makers write it."),
        ],
    },
    MemberGroup {
        title: "APIs",
        members: &[
            member(
                "api_scopes",
                "Scopes by API",
                MemberInput::Json,
                "JSON: {\"https://orders.example.com\": [\"read\"]}.",
            ),
            member(
                "introspection_apis",
                "Introspects tokens of",
                MemberInput::Lines,
                "For a gateway before APIs: one API’s identifier a line.",
            ),
        ],
    },
    MemberGroup {
        title: "Sign-in",
        members: &[
            member(
                "initiate_login_uri",
                "Initiate login URI",
                MemberInput::Text,
                "An https address where the app begins a sign-in.",
            ),
            member(
                "require_auth_time",
                "Requires auth_time",
                MemberInput::Flag,
                "Every ID token of ours has it, whether this is set or not.",
            ),
            member(
                "default_max_age",
                "Maximum age of a sign-in",
                MemberInput::Seconds,
                "Seconds; older ones sign in again.",
            ),
            member(
                "default_acr_values",
                "Default authentication contexts",
                MemberInput::Words,
                "The best first, with spaces between them.",
            ),
            member(
                "id_token_claims",
                "Claims in the ID token",
                MemberInput::Words,
                "Such as groups email, with spaces between them. Each needs its scope. UserInfo has them anyway.",
            ),
            member(
                "subject_type",
                "Subject type",
                MemberInput::RequiredChoice(&["public", "pairwise"]),
                "pairwise: names no other app knows. A change makes everybody new to the app.",
            ),
            member(
                "sector_identifier_uri",
                "Sector identifier URI",
                MemberInput::Text,
                "An https document that lists the redirect URIs of all clients that share pairwise subjects.",
            ),
        ],
    },
    MemberGroup {
        title: "Logout",
        members: &[
            member(
                "backchannel_logout_uri",
                "Back-channel logout URI",
                MemberInput::Text,
                "An address that is sent a logout token.",
            ),
            member(
                "backchannel_logout_session_required",
                "Back-channel session ID required",
                MemberInput::Flag,
                "Every logout token of ours says so, whether this is set or not.",
            ),
            member(
                "frontchannel_logout_uri",
                "Front-channel logout URI",
                MemberInput::Text,
                "A page of the app that is opened in a frame.",
            ),
            member(
                "frontchannel_logout_session_required",
                "Front-channel session ID required",
                MemberInput::Flag,
                "Its page is always opened with iss and sid, whether this is set or not.",
            ),
        ],
    },
    MemberGroup {
        title: "Client secret",
        members: &[member(
            "strict_client_authentication",
            "Registered method only",
            MemberInput::Flag,
            "Its secret is taken by the registered method alone, not by client_secret_basic and client_secret_post alike.",
        )],
    },
    MemberGroup {
        title: "Keys",
        members: &[
            member("jwks", "Public keys", MemberInput::Json, "A JWK set, as JSON. The public halves only."),
            member(
                "jwks_uri",
                "JWKS URI",
                MemberInput::Text,
                "Instead of the set itself: an https address that is read when needed.",
            ),
            member(
                "token_endpoint_auth_signing_alg",
                "Client assertion algorithm",
                SIGNING,
                "Whatever fits its method where it is left open.",
            ),
        ],
    },
    MemberGroup {
        title: "TLS certificate",
        members: &[
            member(
                "tls_client_auth_subject_dn",
                "Certificate subject",
                MemberInput::Text,
                "Such as CN=reports,O=Example. With tls_client_auth, one of these five.",
            ),
            member("tls_client_auth_san_dns", "Certificate DNS name", MemberInput::Text, "As the certificate has it."),
            member(
                "tls_client_auth_san_uri",
                "Certificate URI",
                MemberInput::Text,
                "As a workload is named: spiffe://…",
            ),
            member("tls_client_auth_san_ip", "Certificate IP address", MemberInput::Text, "IPv4 or IPv6."),
            member(
                "tls_client_auth_san_email",
                "Certificate email address",
                MemberInput::Text,
                "As the certificate has it.",
            ),
            member(
                "tls_client_certificate_bound_access_tokens",
                "Certificate-bound access tokens",
                MemberInput::Flag,
                "Its access tokens are good beside the certificate with which it got them, and alone they are nothing.",
            ),
        ],
    },
    MemberGroup {
        title: "Signed and encrypted responses",
        members: &[
            member(
                "id_token_encrypted_response_alg",
                "ID token is encrypted by",
                KEY_MANAGEMENT,
                "To a key of the app’s own.",
            ),
            member("id_token_encrypted_response_enc", "ID token’s content is encrypted with", CONTENT, CONTENT_HINT),
            member(
                "userinfo_signed_response_alg",
                "UserInfo is signed with",
                SIGNING,
                "Plain JSON where it is left open.",
            ),
            member(
                "userinfo_encrypted_response_alg",
                "UserInfo is encrypted by",
                KEY_MANAGEMENT,
                "To a key of the app’s own.",
            ),
            member("userinfo_encrypted_response_enc", "UserInfo’s content is encrypted with", CONTENT, CONTENT_HINT),
            member(
                "introspection_signed_response_alg",
                "Introspection is signed with",
                SIGNING,
                "Plain JSON where it is left open.",
            ),
            member(
                "introspection_encrypted_response_alg",
                "Introspection is encrypted by",
                KEY_MANAGEMENT,
                "Only what is signed is encrypted.",
            ),
            member(
                "introspection_encrypted_response_enc",
                "Introspection’s content is encrypted with",
                CONTENT,
                CONTENT_HINT,
            ),
        ],
    },
    MemberGroup {
        title: "Requests it pushes or signs",
        members: &[
            member(
                "require_pushed_authorization_requests",
                "Pushed requests only",
                MemberInput::Flag,
                "It hands requests to us directly, not through the browser.",
            ),
            member(
                "require_signed_request_object",
                "Signed requests only",
                MemberInput::Flag,
                "Each request is a JWT under a key of its own.",
            ),
            member(
                "request_object_signing_alg",
                "It signs requests with",
                SIGNING,
                "Any algorithm where it is left open.",
            ),
            member("request_object_encryption_alg", "It encrypts requests by", KEY_MANAGEMENT, "To a key of ours."),
            member("request_object_encryption_enc", "Content of its requests is encrypted with", CONTENT, CONTENT_HINT),
            member(
                "request_uris",
                "Its requests lie at",
                MemberInput::Lines,
                "One address a line, compared letter by letter.",
            ),
        ],
    },
    MemberGroup {
        title: "Refresh tokens",
        members: &[
            member(
                "refresh_token_rotation",
                "Replaced at each use",
                MemberInput::RequiredChoice(&["always", "never"]),
                "never: the same token until it expires. Only for apps that authenticate or bind tokens to a certificate.",
            ),
            member(
                "refresh_token_grace",
                "Repeats are answered for",
                MemberInput::Seconds,
                "Seconds, 0 to 600. A replaced token gets its successor again for so long; later its use ends the sign-in.",
            ),
        ],
    },
    MemberGroup {
        title: "Tokens for tokens",
        members: &[
            member(
                "token_exchange",
                "Whose tokens it may exchange",
                MemberInput::Json,
                "A list, as JSON: client, and impersonation or delegation.",
            ),
            member(
                "jwt_bearer",
                "Whose JWTs get it tokens",
                MemberInput::Json,
                "A list, as JSON: issuer, jwks_uri, subject, and audience where it is not ours.",
            ),
        ],
    },
];

pub fn members() -> impl Iterator<Item = &'static MetadataMember> {
    GROUPS.iter().flat_map(|group| group.members)
}

/// Returns the fields that browsers send even if they are empty.
pub fn fields() -> Vec<&'static str> {
    members().filter(|member| !member.is_flag()).map(|member| member.name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::members;
    use crate::domain::client_metadata::ClientMetadata;
    use crate::web::console::client_form::FIELDS;

    /// Check boxes, which browsers send only if they are ticked.
    const BOXES: [&str; 4] = ["allowed_groups", "grant_types", "response_types", "require_pkce"];
    /// A field of the form that is not a metadata member.
    const BESIDE: &str = "access";

    #[test]
    fn every_member_of_the_metadata_has_a_field() {
        let odd = json!({ "odd": true });
        let error = serde_json::from_value::<ClientMetadata>(odd).unwrap_err().to_string();
        // The error of serde lists the known names: "unknown field `odd`, expected one of `client_name`, …".
        let known: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(known.len() > 40, "{error}");
        let mut shown: Vec<&str> = members().map(|member| member.name).chain(FIELDS).chain(BOXES).collect();
        shown.retain(|name| *name != BESIDE);
        shown.sort_unstable();
        let mut known = known;
        known.sort_unstable();
        assert_eq!(shown, known);
    }
}
