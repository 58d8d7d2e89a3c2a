//! The group pickers of the console's forms ([`GroupPicker`]): which check boxes a form shows, and whether it
//! was submitted to search for groups. A search shows the form again with the results and a note that nothing
//! has been saved.

use super::views::Choice;
use super::views::groups::GroupPicker;
use crate::domain::user::group_name;
use crate::store::users;
use crate::web::error::PageError;
use crate::web::extract::{AdminForm, SignedIn};
use crate::web::view::visible;

/// The maximum number of groups that are all shown as check boxes. If there are more, the form has a search
/// field.
const MAX_BOXES: usize = 12;
/// The maximum number of search results.
const MAX_FOUND: usize = 20;

/// The names of the search field, the search button and the hidden field with the last search.
const QUERY: &str = "group_q";
const BUTTON: &str = "find_groups";
const SHOWN: &str = "group_q_shown";
/// The value of [`BUTTON`] if Enter was pressed in a text field. Enter activates the first button of a form
/// (`parts::enter_sends`).
const ENTER: &str = "enter";

/// Returns whether the form was submitted to search for groups rather than to save. That is so if the search
/// button was pressed, or Enter while the search field has a text that was not searched for yet. All other
/// buttons save.
pub fn is_search(form: &AdminForm) -> bool {
    match form.text(BUTTON) {
        "" => false,
        ENTER => {
            let query = form.text(QUERY).trim();
            !query.is_empty() && query != form.text(SHOWN).trim()
        }
        _ => true,
    }
}

/// Returns the picker of a submitted form.
pub async fn typed(form: &AdminForm, field: &'static str) -> Result<GroupPicker, PageError> {
    let picker = picker(&form.signed_in, field, &form.all(field), form.text(QUERY).trim()).await?;
    Ok(GroupPicker { was_searched: is_search(form), ..picker })
}

/// Returns the picker with the given groups ticked. A ticked group is shown even if it does not exist, so
/// that it can be unticked.
pub async fn picker(
    person: &SignedIn,
    field: &'static str,
    ticked: &[String],
    query: &str,
) -> Result<GroupPicker, PageError> {
    let all = users::all_groups(person.app().store().read()).await.map_err(|error| person.error(error))?;
    let has_search = all.len() > MAX_BOXES;
    let needle = query.to_lowercase();
    let is_found = |name: &String| !query.is_empty() && name.to_lowercase().contains(&needle);
    let hits = all.iter().filter(|name| is_found(name)).count();
    let mut shown = 0;
    let mut boxes: Vec<Choice> = Vec::new();
    for name in &all {
        let selected = ticked.contains(name);
        let listed = !has_search || (is_found(name) && shown < MAX_FOUND);
        shown += usize::from(listed && has_search);
        if selected || listed {
            boxes.push(Choice { value: name.clone(), label: visible(name), selected });
        }
    }
    for name in ticked.iter().filter(|name| !all.contains(name) && group_name(name).is_ok()) {
        let label = format!("{} (there is no such group)", visible(name));
        boxes.push(Choice { value: name.clone(), label, selected: true });
    }
    let found = match hits {
        _ if query.is_empty() => format!("{} groups", all.len()),
        0 => "No group has that in its name.".to_owned(),
        hits if hits > MAX_FOUND => format!("{hits} groups found, the first {MAX_FOUND} are shown"),
        1 => "1 group found".to_owned(),
        hits => format!("{hits} groups found"),
    };
    Ok(GroupPicker { field, boxes, has_search, was_searched: false, query: query.to_owned(), found })
}
