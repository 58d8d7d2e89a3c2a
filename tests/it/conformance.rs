//! docs/conformance.md says which test shows each row; here the page is held to it.

use std::fs;
use std::path::Path;

/// The rows of every table, cell by cell, without heads and rules.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let rows = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells[0] != "section" && !cells[0].starts_with("---")).collect()
}

/// The names in backquotes that have the form of a test's.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|name| name.rsplit_once("::")).collect()
}

/// Whether the file has a test of that name: a function below an attribute that says so, or one of proptest's.
fn has(file: &str, function: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = if file.starts_with("src/") {
        root.join(file)
    } else {
        let file = root.join("tests/it").join(file);
        if file.is_dir() { file.join("mod.rs") } else { file.with_extension("rs") }
    };
    let Ok(text) = fs::read_to_string(path) else { return false };
    let head = format!("fn {function}(");
    text.match_indices(&head).any(|(at, _)| {
        let (before, _) = text.split_at(at);
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        attributes.contains("test]") || attributes.contains("test(") || before.rfind("proptest! {").is_some()
    })
}

#[test]
fn every_row_names_a_test_that_exists() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = rows(&text);
    assert!(rows.len() > 50, "the tables are read");
    let mut wrong = Vec::new();
    for cells in &rows {
        let [section, what, shown] = cells[..] else {
            wrong.push(format!("{cells:?} has not three cells"));
            continue;
        };
        let tests = tests(shown);
        if section.is_empty() || what.is_empty() || tests.is_empty() {
            wrong.push(format!("{section} ({what}) names no test"));
        }
        wrong.extend(
            tests.iter().filter(|(file, function)| !has(file, function)).map(|(file, name)| format!("{file}::{name}")),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_row_without_a_test_is_seen() {
    let page = "| section | what | test |\n| --- | --- | --- |\n| §1 | a thing | `conformance::no_such_test` |\n| §2 | b | |\n";
    let found = rows(page);
    assert_eq!((found.len(), tests(found[0][2])), (2, vec![("conformance", "no_such_test")]));
    assert!(!has("conformance", "no_such_test") && !has("no_such_file", "rows"));
    assert!(!has("conformance", "rows"), "a function that is no test");
    assert!(has("conformance", "every_row_names_a_test_that_exists"));
    assert!(has("src/protocol/authorize/interaction.rs", "nothing_is_issued_against_the_request"));
    assert!(found[1].get(2).is_none_or(|cell| tests(cell).is_empty()));
}
