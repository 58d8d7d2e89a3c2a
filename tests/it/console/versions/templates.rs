//! Each form that edits something has a version: the templates are read.

use std::path::{Path, PathBuf};

fn templates(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { templates(&path, found) } else { found.push(path) }
    }
}

/// Forms of the account and the console that edit nothing: they make something new, or do at once what their button says,
/// whatever was changed since.
const EDIT_NOTHING: [&str; 25] = [
    "/oauth2/logout",
    "{{ action }}",
    "{{ below }}/{{ key.id }}/revoke",
    "{{ href }}/{% if on %}disable{% else %}enable{% endif %}",
    "{{ href }}/rotate-secret",
    "{{ href }}/signature-keys",
    "{{ href }}/signature-keys/remove",
    "/admin/apis/new",
    "/admin/clients/new/{{ kind.as_str() }}",
    "/admin/keys/{{ algorithm.alg|urlencode_strict }}/rotate",
    "/admin/people/new",
    "/admin/people/{{ path }}/api-keys/revoke",
    "/admin/people/{{ path }}/{% if user.disabled %}enable{% else %}disable{% endif %}",
    "/admin/people/{{ path }}/passkeys/remove",
    "/admin/people/{{ path }}/password",
    "/admin/people/{{ path }}/sessions/end",
    "/admin/people/{{ path }}/sessions/end-all",
    "/admin/registration",
    "/admin/registration/tokens/{{ row.id }}/revoke",
    "/account/apps/{{ line.client_path }}/revoke",
    "/account/passkeys/finish",
    "/account/passkeys/{{ passkey.id }}/delete",
    "/account/password",
    "/account/sessions/end-others",
    "/account/sessions/{{ session.id }}/end",
];

/// Whoever adds a form either gives it a version or says above that it edits nothing.
#[test]
fn every_form_that_edits_has_a_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut files = vec![root.join("app.html"), root.join("api_key.html")];
    templates(&root.join("console"), &mut files);
    templates(&root.join("account"), &mut files);
    let (mut versioned, mut unknown) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for form in text.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap()) {
            let Some((_, action)) = form.split_once("action=\"") else { continue };
            let action = action.split('"').next().unwrap();
            if form.contains("method=\"get\"") || EDIT_NOTHING.contains(&action) {
                assert!(!form.contains("edit::state("), "{action} has a version");
            } else if form.contains("edit::state(") {
                versioned += 1;
            } else {
                unknown.push(format!("{}: {action}", file.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "these forms have no version: {unknown:#?}");
    assert_eq!(versioned, 5, "client, API, details, groups, passkey");
}
