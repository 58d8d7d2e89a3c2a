//! The rules for the standard claims (OpenID Connect Core §5.1) that an administrator or a document sets for a
//! user.

use serde_json::Value;

use super::FieldError;
use crate::domain::printable::is_hidden;
use crate::domain::user::Profile;

const MAX_CHARACTERS: usize = 500;

/// Returns what is wrong with a profile. Relying parties show these claims, so its URLs must be safe to open in
/// a browser.
pub(super) fn problems(profile: &Profile) -> Vec<FieldError> {
    let mut problems = Vec::new();
    if let Ok(Value::Object(claims)) = serde_json::to_value(profile) {
        for (name, value) in &claims {
            match value {
                Value::String(text) => problems.extend(text_problem(name, text, false)),
                Value::Object(parts) => {
                    for (part, value) in parts {
                        let name = format!("{name}.{part}");
                        problems.extend(value.as_str().and_then(|text| text_problem(&name, text, true)));
                    }
                }
                _ => {}
            }
        }
    }
    if profile.email.as_deref().is_some_and(|email| !is_email(email)) {
        problems.push(FieldError::new("email", "is no email address"));
    }
    for (name, address) in [("profile", &profile.profile), ("picture", &profile.picture), ("website", &profile.website)]
    {
        if address.as_deref().is_some_and(|address| !is_web_address(address)) {
            problems.push(FieldError::new(name, "must be an address that begins with https:// or http://"));
        }
    }
    if profile.email_verified && profile.email.is_none() {
        problems.push(FieldError::new("email_verified", "needs an email"));
    }
    if profile.phone_number_verified && profile.phone_number.is_none() {
        problems.push(FieldError::new("phone_number_verified", "needs a phone_number"));
    }
    problems
}

fn text_problem(name: &str, text: &str, lines: bool) -> Option<FieldError> {
    let message = if text.trim().is_empty() {
        "is empty; leave it out instead"
    } else if text.chars().count() > MAX_CHARACTERS {
        "is longer than 500 characters"
    } else if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r'))) {
        "has a control character"
    } else {
        return None;
    };
    Some(FieldError::new(name, message))
}

/// Returns whether a text has the form of an email address (RFC 5321 §4.1.2, §4.5.3.1). Only a message can show
/// whether it can be delivered.
fn is_email(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    text.len() <= 254
        && !text.contains(|c: char| c.is_whitespace() || is_hidden(c) || "<>,;:\"()".contains(c))
        && parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && local.len() <= 64)
}

fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some())
}

#[cfg(test)]
mod tests {
    use super::problems;
    use crate::domain::user::Profile;

    #[test]
    fn invalid_email_and_website_are_rejected() {
        let with = |email: &str, website: &str| Profile {
            email: Some(email.to_owned()),
            website: Some(website.to_owned()),
            ..Profile::default()
        };
        assert!(problems(&with("alice@example.com", "https://example.com")).is_empty());
        for (email, website, field) in [
            ("alice", "https://example.com", "email"),
            ("a b@example.com", "https://example.com", "email"),
            ("alice@example.com", "javascript:alert(1)", "website"),
            ("alice@example.com", "", "website"),
        ] {
            assert!(problems(&with(email, website)).iter().any(|problem| problem.field == field), "{email} {website}");
        }
    }
}
