//! `docs/conformance.md` and `tests/README.md` name a test for each thing that they say is done, and each of these tests is
//! there; the map in `src/lib.rs` names rooms of tests, and those are there too.

use std::fs;
use std::path::Path;

/// The names in backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether a function stands in `source`, and is a test: the attribute is above it, in the same paragraph.
fn has_test(source: &str, function: &str) -> bool {
    source.match_indices(&format!("fn {function}(")).any(|(at, _)| {
        let above = source.get(..at).unwrap_or_default();
        let paragraph = above.rsplit("\n\n").next().unwrap_or_default();
        ["#[test]", "#[tokio::test"].iter().any(|attribute| paragraph.contains(attribute))
    })
}

/// The packages beside the server, whose tests are named by their files.
const MEMBERS: [&str; 2] = ["guard", "signatures"];

/// The source that the room of a test is.
fn source(room: &str) -> Option<String> {
    let in_package = |package: &&str| {
        let inside = room.strip_prefix(*package).and_then(|rest| rest.strip_prefix('/'));
        inside.is_some_and(|inside| inside.starts_with("src/") || inside.starts_with("tests/it/"))
    };
    let path = if room.starts_with("src/") || MEMBERS.iter().any(in_package) {
        room.to_owned()
    } else {
        format!("tests/it/{}", room.replace("::", "/"))
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    [".rs", "/mod.rs"].iter().find_map(|end| fs::read_to_string(here.join(format!("{path}{end}"))).ok())
}

/// Whether there is a test of that name.
fn exists(test: &str) -> bool {
    let found = test.rsplit_once("::").and_then(|(room, function)| Some((source(room)?, function)));
    found.is_some_and(|(source, function)| has_test(&source, function))
}

#[test]
fn every_row_names_tests_that_exist() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md")).unwrap();
    let (done, left_out) = document.split_once("\n## Left out, and why\n").unwrap();
    let rows = |text: &'static str, part: &str| -> Vec<Vec<String>> {
        let lines = part.lines().filter(|line| line.starts_with('|') && !line.starts_with("| ---"));
        let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        lines.filter(|line| !line.starts_with(text)).map(cells).collect()
    };
    let (mut wrong, mut named) = (Vec::new(), 0);
    for row in rows("| section ", done) {
        let [section, does, tests] = row.as_slice() else {
            wrong.push(format!("{row:?} has not three cells"));
            continue;
        };
        let tests = quoted(tests);
        if !section.contains('§') || does.is_empty() || tests.is_empty() {
            wrong.push(format!("{section}: {does}: a row has sections, words and a test"));
        }
        for test in tests {
            named += 1;
            if !exists(test) {
                wrong.push(format!("{section}: there is no test {test}"));
            }
        }
    }
    for row in rows("| what ", left_out) {
        if row.len() != 3 || row.iter().any(String::is_empty) {
            wrong.push(format!("{row:?}: what is left out has a reason and an answer"));
        }
    }
    assert!(wrong.is_empty(), "docs/conformance.md: {wrong:#?}");
    assert!(named > 150, "only {named} tests were found in the document");
}

#[test]
fn every_promise_names_tests_that_exist() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/README.md")).unwrap();
    let section = document.split_once("\n## Where each promise is tested\n").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| part ") && !line.starts_with("| --- "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let parts: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(parts, (1..=22).map(|part| part.to_string()).collect::<Vec<_>>());
    for row in rows {
        let [part, promise, tests] = row.as_slice() else { panic!("{row:?} has not three cells") };
        let tests = quoted(tests);
        assert!(!promise.is_empty() && !tests.is_empty(), "{part}: a row has words and a test");
        let missing: Vec<_> = tests.into_iter().filter(|test| !exists(test)).collect();
        assert!(missing.is_empty(), "tests/README.md, {part}: there are no tests {missing:?}");
    }
}

#[test]
fn the_map_names_rooms_of_tests_that_exist() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let table = map.split_once("//! | spec | room | tests").unwrap().1.split_once("\n\n").unwrap().0;
    let rooms: Vec<&str> = table.lines().skip(2).flat_map(|line| quoted(line.rsplit('|').nth(1).unwrap())).collect();
    let missing: Vec<_> = rooms.iter().filter(|room| source(room).is_none()).collect();
    assert!(rooms.len() > 30 && missing.is_empty(), "of {} rooms these are not there: {missing:?}", rooms.len());
}
