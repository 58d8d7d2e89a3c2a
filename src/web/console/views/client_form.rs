//! The template values of one client's settings: values, choices and errors. The page is
//! [`super::clients::ClientPage`].

use super::groups::GroupPicker;
use super::{Choice, errors_of};
use crate::domain::algorithms::SigningAlg;
use crate::domain::client_metadata::{ClientAuthMethod, GrantType, ResponseType};
use crate::web::console::client_form::name_of;
use crate::web::console::client_members::{GROUPS, MemberGroup, MemberInput, MetadataMember};
use crate::web::console::metadata_fields::FieldTexts;
use crate::web::edit::EditState;

/// The settings of one client, submitted or stored.
#[derive(Clone, Default)]
pub struct ClientForm {
    pub client_name: String,
    /// One URI per line.
    pub redirect_uris: String,
    pub post_logout_redirect_uris: String,
    /// The ticked values of `grant_types`.
    pub grant_types: Vec<String>,
    pub token_endpoint_auth_method: String,
    pub scope: String,
    /// The stored scopes that neither the standard nor an API defines.
    pub unknown_scopes: String,
    /// `required` or `trusted`.
    pub consent: String,
    /// The users that may use the client: `everybody` or `groups`.
    pub access: String,
    pub allowed_groups: GroupPicker,
    pub require_pkce: bool,
    /// `jwt` or `opaque`.
    pub access_token_format: String,
    pub id_token_signed_response_alg: String,
    pub policy_uri: String,
    pub tos_uri: String,
    /// The ticked values of `response_types`.
    pub response_types: Vec<String>,
    /// The members that few clients need.
    pub members: FieldTexts,
    pub edit: EditState,
    /// Field (empty for the form as a whole) and message.
    pub errors: Vec<(String, String)>,
}

impl ClientForm {
    pub fn error(&self, field: &str) -> Option<String> {
        errors_of(&self.errors, field)
    }

    /// Returns all grant types with labels.
    pub fn grant_choices(&self) -> Vec<Choice> {
        let words = |grant_type| match grant_type {
            GrantType::AuthorizationCode => "Sign people in: authorization_code",
            GrantType::Implicit => "Get tokens straight from the sign-in: implicit",
            GrantType::RefreshToken => "Stay connected: refresh_token",
            GrantType::ClientCredentials => "Act for itself: client_credentials",
            GrantType::DeviceCode => "Sign people in on a device without a keyboard: device_code",
            GrantType::TokenExchange => "Exchange one token for another: token-exchange",
            GrantType::JwtBearer => "Act for itself by somebody else’s JWT: jwt-bearer",
        };
        let choices = GrantType::ALL.into_iter().map(|grant_type| {
            let value = name_of(&grant_type);
            let selected = self.grant_types.contains(&value);
            Choice { label: words(grant_type).to_owned(), value, selected }
        });
        choices.collect()
    }

    pub fn response_choices(&self) -> Vec<Choice> {
        let choices = ResponseType::ALL.into_iter().map(|response_type| {
            let value = response_type.as_str().to_owned();
            Choice { label: value.clone(), selected: self.response_types.contains(&value), value }
        });
        choices.collect()
    }

    pub fn auth_methods(&self) -> Vec<Choice> {
        let words = |method| match method {
            ClientAuthMethod::ClientSecretBasic => "Secret in the header: client_secret_basic",
            ClientAuthMethod::ClientSecretPost => "Secret in the form: client_secret_post",
            ClientAuthMethod::ClientSecretJwt => "JWT under its secret: client_secret_jwt",
            ClientAuthMethod::PrivateKeyJwt => "JWT under its own key: private_key_jwt",
            ClientAuthMethod::TlsClientAuth => "A certificate of an issuer you believe: tls_client_auth",
            ClientAuthMethod::SelfSignedTlsClientAuth => "A certificate of its own: self_signed_tls_client_auth",
            ClientAuthMethod::None => "Not at all, it is public: none",
        };
        let choices = ClientAuthMethod::ALL.into_iter().map(|method| {
            let value = name_of(&method);
            let selected = value == self.token_endpoint_auth_method;
            Choice { label: words(method).to_owned(), value, selected }
        });
        choices.collect()
    }

    pub fn signing_algs(&self) -> Vec<Choice> {
        chosen(SigningAlg::ALL.iter().map(|alg| alg.as_str()), &self.id_token_signed_response_alg)
    }

    /// Returns the choices for a member of the table. If the member is optional, the first choice is empty.
    pub fn choices(&self, member: &MetadataMember) -> Vec<Choice> {
        let present = self.members.get(member.name);
        match member.shape {
            MemberInput::Choice(names) => {
                let open = Choice { value: String::new(), label: "Left open".to_owned(), selected: present.is_empty() };
                let mut all = vec![open];
                all.extend(chosen(names().into_iter(), present));
                all
            }
            MemberInput::RequiredChoice(names) => chosen(names.iter().copied(), present),
            _ => Vec::new(),
        }
    }

    /// Returns whether a member of the group has an error.
    pub fn refused_in(&self, group: &MemberGroup) -> bool {
        group.members.iter().any(|member| self.error(member.name).is_some())
    }

    pub fn groups(&self) -> &'static [MemberGroup] {
        &GROUPS
    }

    pub fn folded_error(&self) -> bool {
        let folded = |field: &str| {
            let everyday = ["", "client_name", "redirect_uris", "post_logout_redirect_uris", "scope", "consent"];
            !everyday.contains(&field) && !GROUPS.iter().any(|group| group.members.iter().any(|it| it.name == field))
        };
        self.errors.iter().any(|(field, _)| folded(field))
    }
}

fn chosen<'a>(names: impl Iterator<Item = &'a str>, present: &str) -> Vec<Choice> {
    names.map(|name| Choice { value: name.to_owned(), label: name.to_owned(), selected: name == present }).collect()
}
