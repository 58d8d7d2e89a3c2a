//! The template values of a group picker: check boxes if there are few groups, a search field if there are
//! many. Ticked groups stay ticked during a search. `templates/console/parts.html` renders it.

use super::Choice;

/// The groups of a form, with one check box each.
#[derive(Clone, Debug, Default)]
pub struct GroupPicker {
    /// The name of the check boxes: `groups` or `allowed_groups`.
    pub field: &'static str,
    pub boxes: Vec<Choice>,
    /// Whether there are more groups than check boxes, so that a search field is shown.
    pub has_search: bool,
    /// Whether the form was submitted to search, so that nothing has been saved.
    pub was_searched: bool,
    /// The search term.
    pub query: String,
    /// The result of the search as text.
    pub found: String,
}

impl GroupPicker {
    pub fn ticked(&self) -> impl Iterator<Item = &str> {
        self.boxes.iter().filter(|group| group.selected).map(|group| group.value.as_str())
    }
}
