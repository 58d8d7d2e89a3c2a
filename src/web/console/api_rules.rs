//! The rules in the form of an API: one row per rule in order of evaluation, and an empty row for a new rule.
//! Errors are shown at the row of the rule.
//!
//! See also [`super::api_form`], for the rest of the form, and `domain::gate`, which defines the rules.

use super::api_form::wrong;
use super::views::apis::{RuleRow, rule_field, rule_name};
use super::{FieldErrors, at};
use crate::domain::authorization::Acr;
use crate::domain::gate::{Allow, Rule};
use crate::domain::gate_path::PathPattern;
use crate::domain::scope::Scopes;
use crate::web::extract::AdminForm;

/// The maximum number of rows. The size limit of a form's body allows fewer.
const MAX_RULES: usize = 1000;

pub fn shown(rules: &[Rule]) -> Vec<RuleRow> {
    let row = |(index, rule): (usize, &Rule)| RuleRow {
        index,
        at: (index + 1).to_string(),
        methods: rule.methods.join(" "),
        path: rule.path.as_str().to_owned(),
        who: match (rule.allow, rule.acr) {
            (Some(Allow::Anonymous), _) => RuleRow::ANYBODY.to_owned(),
            (None, acr) => acr.map(|acr| acr.as_str().to_owned()).unwrap_or_default(),
        },
        scopes: rule.scopes.join(" "),
        groups: rule.groups.join(", "),
        remove: false,
    };
    rules.iter().enumerate().map(row).collect()
}

/// Returns the submitted rows. Returns `None` if any row is incomplete or missing: without a lost rule, its
/// requests would be decided by the next matching rule.
pub fn typed(form: &AdminForm) -> Option<Vec<RuleRow>> {
    let count: usize = form.text("rules").parse().ok().filter(|count| *count <= MAX_RULES)?;
    let row = |index: usize| {
        let text = |field: &str| form.text(&rule_field(index, field)).trim().to_owned();
        let whole = RuleRow::FIELDS.iter().all(|field| form.has(&rule_field(index, field)));
        whole.then(|| RuleRow {
            index,
            at: text("at"),
            methods: text("methods"),
            path: text("path"),
            who: text("who"),
            scopes: text("scopes"),
            groups: text("groups"),
            remove: form.ticked(&rule_field(index, "remove")),
        })
    };
    (0..count).map(row).collect()
}

/// Returns the rules in their new order, without the removed ones.
pub fn read(rows: &[RuleRow], scopes: &Scopes) -> Result<Vec<Rule>, FieldErrors> {
    let (mut rules, mut errors) = (Vec::new(), FieldErrors::new());
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| !row.remove && !row.is_blank()) {
        match (place(index, row), rule(index, row, scopes)) {
            (Ok(place), Ok(rule)) => rules.push((place, rule)),
            (place, rule) => errors.extend(place.err().into_iter().chain(rule.err()).flatten()),
        }
    }
    rules.sort_by_key(|(place, _)| *place);
    if errors.is_empty() { Ok(rules.into_iter().map(|(_, rule)| rule).collect()) } else { Err(errors) }
}

/// Returns the sort key of a row. If a moved rule gets the number of another one, the moved rule takes the
/// place: when moved up it comes before the other, when moved down after it.
fn place(index: usize, row: &RuleRow) -> Result<(i64, std::cmp::Ordering), FieldErrors> {
    let before = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
    match row.at.parse::<i64>() {
        Ok(now) => Ok((now, now.cmp(&before))),
        Err(_) => Err(at(&rule_field(index, "at"), "Write a number.")),
    }
}

fn rule(index: usize, row: &RuleRow, scopes: &Scopes) -> Result<Rule, FieldErrors> {
    let words = |text: &str| text.split([' ', ',']).filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect();
    let mut errors = FieldErrors::new();
    let path = PathPattern::try_from(row.path.clone());
    let path = path.map_err(|problem| errors.push(wrong(rule_field(index, "path"), problem))).ok();
    let (allow, acr) = match (row.who.as_str(), Acr::parse(&row.who)) {
        ("", _) => (None, None),
        (RuleRow::ANYBODY, _) => (Some(Allow::Anonymous), None),
        (_, Some(acr)) => (None, Some(acr)),
        _ => {
            errors.extend(at(&rule_field(index, "who"), "Choose one of these."));
            (None, None)
        }
    };
    let groups = row.groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(ToOwned::to_owned);
    let methods: Vec<String> = words(&row.methods);
    let Some(path) = path else { return Err(errors) };
    let rule = Rule {
        methods: methods.iter().map(|method| method.to_ascii_uppercase()).collect(),
        path,
        allow,
        scopes: words(&row.scopes),
        groups: groups.collect(),
        acr,
    };
    errors.extend(rule.problems(scopes).into_iter().map(|problem| wrong(rule_name(index), problem.message)));
    if errors.is_empty() { Ok(rule) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::{RuleRow, read};
    use crate::domain::scope::Scopes;

    fn rows(numbers: &[&str]) -> Vec<RuleRow> {
        let row = |(index, at): (usize, &&str)| RuleRow {
            at: (*at).to_owned(),
            methods: "get".to_owned(),
            path: format!("/{}", char::from(b'a' + u8::try_from(index).unwrap())),
            ..RuleRow::default()
        };
        numbers.iter().enumerate().map(row).collect()
    }

    #[test]
    fn rule_numbers_set_the_order() {
        for (numbers, order) in [
            (["1", "2", "3", "4"], "/a /b /c /d"),
            (["1", "2", "3", "1"], "/d /a /b /c"),
            (["4", "2", "3", "4"], "/b /c /d /a"),
            (["2", "1", "3", "4"], "/b /a /c /d"),
            (["3", "2", "1", "4"], "/c /b /a /d"),
            (["1", "2", "0", "-1"], "/d /c /a /b"),
            (["99", "2", "3", "4"], "/b /c /d /a"),
        ] {
            let rules = read(&rows(&numbers), &Scopes::default()).unwrap();
            let paths: Vec<&str> = rules.iter().map(|rule| rule.path.as_str()).collect();
            assert_eq!(paths.join(" "), order, "{numbers:?}");
        }
    }

    #[test]
    fn rule_errors_name_their_row() {
        let mut typed = rows(&["1", "x", "3", "4", "5", "6"]);
        typed[2].path = "orders".to_owned();
        typed[2].who = "somebody".to_owned();
        typed[3].methods = String::new();
        let groups = "staff".to_owned();
        typed[4] =
            RuleRow { who: RuleRow::ANYBODY.to_owned(), groups, scopes: "read write".to_owned(), ..typed[4].clone() };
        typed[5] = RuleRow { path: "?".to_owned(), remove: true, ..typed[5].clone() };
        let errors = read(&typed, &Scopes::default()).unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["rule_1_at", "rule_2_path", "rule_2_who", "rule_3", "rule_4", "rule_4", "rule_4"]);
        assert!(
            errors.iter().all(|(_, text)| text.ends_with('.') && text.starts_with(char::is_uppercase)),
            "{errors:?}"
        );
    }
}
