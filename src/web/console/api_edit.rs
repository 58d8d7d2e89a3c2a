//! The settings of an API as a form that several users may edit at the same time ([`crate::web::edit`]). All
//! rules together are one field: the first matching rule decides, so the meaning of a rule depends on the
//! others.

use super::views::apis::{ApiForm, RuleRow};
use crate::web::edit::{EditState, Editable, FormField};

impl Editable for ApiForm {
    fn fields(&self) -> Vec<FormField> {
        let format = Some(self.access_token_format.as_str()).filter(|format| !format.is_empty());
        let rate = if self.burst.is_empty() && self.per_second.is_empty() {
            "No limit".to_owned()
        } else {
            format!("{} at once, {} a second", self.burst, self.per_second)
        };
        let scopes: Vec<&str> = self.scopes.split_whitespace().collect();
        let rules: Vec<String> = self.rules.iter().filter(|row| !row.remove && !row.is_blank()).map(rule).collect();
        vec![
            FormField::text("name", "Name", &self.name),
            FormField::set("scopes", "Scopes", &scopes),
            FormField::flag(
                "self_registered_clients",
                "Apps that registered themselves may ask for it",
                self.self_registered_clients,
            ),
            FormField::text("access_token_format", "Its access tokens", format.unwrap_or("As the app has it, or JWT")),
            FormField::text("access_token_lifetime", "They live for", &self.access_token_lifetime),
            FormField::text("rate_limit", "Rate of requests", &rate),
            FormField::flag("upstream_token", "Hand on a JWT of the gate’s own", self.upstream_token),
            FormField::text("gate", "Name of the gate", &self.gate),
            FormField::set("accepts", "How callers prove who they are", &self.accepts),
            FormField::text("origins", "Where its browser apps are", &self.origins),
            FormField::text("rules", "Rules", &rules.join("\n")),
        ]
    }

    fn take(&mut self, field: &str, other: &Self) {
        match field {
            "name" => self.name.clone_from(&other.name),
            "scopes" => self.scopes.clone_from(&other.scopes),
            "self_registered_clients" => self.self_registered_clients = other.self_registered_clients,
            "access_token_format" => self.access_token_format.clone_from(&other.access_token_format),
            "access_token_lifetime" => self.access_token_lifetime.clone_from(&other.access_token_lifetime),
            "rate_limit" => {
                self.burst.clone_from(&other.burst);
                self.per_second.clone_from(&other.per_second);
            }
            "upstream_token" => self.upstream_token = other.upstream_token,
            "gate" => self.gate.clone_from(&other.gate),
            "accepts" => self.accepts.clone_from(&other.accepts),
            "origins" => self.origins.clone_from(&other.origins),
            _ => self.rules.clone_from(&other.rules),
        }
    }

    fn edit_mut(&mut self) -> &mut EditState {
        &mut self.edit
    }
}

/// Returns a rule as text: `1. GET /orders/**, who has signed in, scopes read, groups staff`.
fn rule(row: &RuleRow) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut parts = vec![format!("{}. {} {}", row.at, words(&row.methods).to_ascii_uppercase(), row.path)];
    let who = row.who_choices().into_iter().find(|who| who.selected && !who.value.is_empty());
    parts.extend(who.map(|who| who.label));
    for (name, values) in [("scopes", &row.scopes), ("groups", &row.groups)] {
        if !values.trim().is_empty() {
            parts.push(format!("{name} {}", words(values)));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::edit::assert_takes_every_field;

    #[test]
    fn every_setting_is_merged() {
        let text = || "1".to_owned();
        let row = RuleRow { at: text(), methods: text(), path: text(), ..RuleRow::default() };
        let other = ApiForm {
            name: text(),
            scopes: text(),
            self_registered_clients: true,
            access_token_format: text(),
            access_token_lifetime: text(),
            gate: text(),
            accepts: vec![text()],
            origins: text(),
            burst: text(),
            per_second: text(),
            upstream_token: true,
            rules: vec![row],
            ..ApiForm::default()
        };
        assert_takes_every_field(&ApiForm::default(), &other);
    }

    #[test]
    fn a_rule_reads_in_one_line() {
        let row = RuleRow {
            at: "2".to_owned(),
            methods: "get  post".to_owned(),
            path: "/orders/**".to_owned(),
            who: RuleRow::ANYBODY.to_owned(),
            scopes: "read".to_owned(),
            groups: "staff, ops".to_owned(),
            ..RuleRow::default()
        };
        assert_eq!(rule(&row), "2. GET POST /orders/**, Anybody, scopes read, groups staff, ops");
    }
}
