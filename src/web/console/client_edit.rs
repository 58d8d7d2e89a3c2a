//! The settings of a client as a form that several users may edit at the same time ([`crate::web::edit`]).

use super::client_members::{MemberInput, MetadataMember, members};
use super::views::client_form::ClientForm;
use super::views::clients::EVERYBODY;
use crate::web::edit::{EditState, Editable, FormField};

impl Editable for ClientForm {
    fn fields(&self) -> Vec<FormField> {
        // If no format is set, the page shows the default.
        let format = Some(self.access_token_format.as_str()).filter(|format| !format.is_empty()).unwrap_or("jwt");
        let consent = if self.consent == "trusted" { "No" } else { "Yes" };
        let groups: Vec<&str> = self.allowed_groups.ticked().collect();
        let scopes: Vec<&str> = self.scope.split_whitespace().collect();
        let mut all = vec![
            FormField::text("client_name", "Name", &self.client_name),
            FormField::text("redirect_uris", "Redirect URIs", &self.redirect_uris),
            FormField::text("post_logout_redirect_uris", "Post-logout redirect URIs", &self.post_logout_redirect_uris),
            FormField::text("consent", "Ask people before the first sign-in?", consent),
            if self.access == EVERYBODY {
                FormField::text("allowed_groups", "Who may use it", "Everybody who can sign in here")
            } else {
                FormField::set("allowed_groups", "Who may use it", &groups)
            },
            FormField::set("scope", "Scopes", &scopes).recorded(&["scope", "api_scopes"]),
            FormField::set("grant_types", "What it may do", &self.grant_types),
            FormField::set("response_types", "What the sign-in answers with", &self.response_types)
                .recorded(&["response_types", "grant_types"]),
            FormField::text("token_endpoint_auth_method", "How it proves who it is", &self.token_endpoint_auth_method),
            FormField::flag("require_pkce", "Require PKCE", self.require_pkce),
            FormField::text("access_token_format", "Access token", format),
            FormField::text(
                "id_token_signed_response_alg",
                "ID token is signed with",
                &self.id_token_signed_response_alg,
            ),
            FormField::text("policy_uri", "Privacy policy", &self.policy_uri),
            FormField::text("tos_uri", "Terms", &self.tos_uri),
        ];
        all.extend(members().map(|member| of_member(member, self.members.get(member.name))));
        all
    }

    fn take(&mut self, field: &str, other: &Self) {
        match field {
            "client_name" => self.client_name.clone_from(&other.client_name),
            "redirect_uris" => self.redirect_uris.clone_from(&other.redirect_uris),
            "post_logout_redirect_uris" => {
                self.post_logout_redirect_uris.clone_from(&other.post_logout_redirect_uris);
            }
            "consent" => self.consent.clone_from(&other.consent),
            "allowed_groups" => {
                self.access.clone_from(&other.access);
                self.allowed_groups.clone_from(&other.allowed_groups);
            }
            "scope" => {
                self.scope.clone_from(&other.scope);
                self.unknown_scopes.clone_from(&other.unknown_scopes);
            }
            "grant_types" => self.grant_types.clone_from(&other.grant_types),
            "response_types" => self.response_types.clone_from(&other.response_types),
            "token_endpoint_auth_method" => {
                self.token_endpoint_auth_method.clone_from(&other.token_endpoint_auth_method);
            }
            "require_pkce" => self.require_pkce = other.require_pkce,
            "access_token_format" => self.access_token_format.clone_from(&other.access_token_format),
            "id_token_signed_response_alg" => {
                self.id_token_signed_response_alg.clone_from(&other.id_token_signed_response_alg);
            }
            "policy_uri" => self.policy_uri.clone_from(&other.policy_uri),
            "tos_uri" => self.tos_uri.clone_from(&other.tos_uri),
            member => self.members.take(member, &other.members),
        }
    }

    fn edit_mut(&mut self) -> &mut EditState {
        &mut self.edit
    }
}

fn of_member(member: &MetadataMember, text: &str) -> FormField {
    let (name, label) = (member.name, member.label);
    match member.shape {
        MemberInput::Flag => FormField::flag(name, label, text == "true"),
        MemberInput::Words => FormField::words(name, label, text),
        // If there is no value, the page shows the first choice.
        MemberInput::RequiredChoice(values) if text.is_empty() => {
            FormField::text(name, label, values.first().unwrap_or(&""))
        }
        _ => FormField::text(name, label, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::client_form;
    use super::*;
    use crate::web::console::metadata_fields::FieldTexts;
    use crate::web::console::views::groups::GroupPicker;
    use crate::web::edit::assert_takes_every_field;
    use crate::web::view::Choice;

    #[test]
    fn every_setting_is_merged() {
        let text = || "other".to_owned();
        let group = Choice { value: text(), label: text(), selected: true };
        let other = ClientForm {
            client_name: text(),
            redirect_uris: text(),
            post_logout_redirect_uris: text(),
            grant_types: vec![text()],
            token_endpoint_auth_method: text(),
            scope: text(),
            consent: "trusted".to_owned(),
            access: "groups".to_owned(),
            allowed_groups: GroupPicker { boxes: vec![group], ..GroupPicker::default() },
            require_pkce: true,
            access_token_format: text(),
            id_token_signed_response_alg: text(),
            policy_uri: text(),
            tos_uri: text(),
            response_types: vec![text()],
            members: FieldTexts::all(|member| if member.is_flag() { "true" } else { "other" }),
            ..ClientForm::default()
        };
        let form =
            ClientForm { access: EVERYBODY.to_owned(), members: FieldTexts::all(|_| ""), ..ClientForm::default() };
        assert_takes_every_field(&form, &other);
        // Every text field of the form must belong to a field of the merge.
        let fields = other.fields();
        let known = |name: &str| fields.iter().any(|field| field.name == name);
        let inside: Vec<&str> = client_form::FIELDS.into_iter().filter(|name| !known(name)).collect();
        assert_eq!(inside, ["access"], "a part of allowed_groups");
    }
}
