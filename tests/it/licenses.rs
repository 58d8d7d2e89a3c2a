//! THIRD-PARTY-LICENSES.txt, which `signet licenses` prints: made from the packages that Cargo.lock names, with the licence
//! texts that they bring along. `UPDATE_DOCS=1 cargo test licenses` writes it.
//!
//! Which licences a library may have is decided here, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that permit what Signet does with a library: to distribute it unchanged inside a program under Apache-2.0.
/// MPL-2.0 concerns changed files only; the data of Unicode and Mozilla's certificates come with notices.
const ALLOWED: [&str; 10] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Zlib",
];
const FILE: &str = "THIRD-PARTY-LICENSES.txt";

struct Package {
    name: String,
    version: String,
    license: String,
    texts: BTreeSet<String>,
}

fn cargo(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let answer = Command::new(env!("CARGO")).current_dir(root).args(arguments).arg("--locked").output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap()
}

/// The packages of others whose code is in the program: what it depends on to run, not to be built or tested. `cargo metadata`
/// knows where they are, and `cargo tree` which of them are used.
fn packages() -> Vec<Package> {
    let platform = "x86_64-unknown-linux-gnu";
    let tree = ["tree", "--package=signet", "--edges=normal", "--prefix=none", "--format={p}", "--target", platform];
    let tree = cargo(&tree);
    let name_and_version = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned()))
    };
    let used: BTreeSet<(String, String)> = tree.lines().filter_map(name_and_version).collect();
    let metadata = cargo(&["metadata", "--format-version=1", "--filter-platform", platform]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let text = |package: &Value, name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let is_used = |package: &&Value| used.contains(&(text(package, "name"), text(package, "version")));
    // Our own packages have no source.
    let is_foreign = |package: &&Value| !package["source"].is_null();
    metadata["packages"].as_array().unwrap().iter().filter(is_used).filter(is_foreign).map(read).collect()
}

fn read(package: &Value) -> Package {
    let text = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
    let mut notices = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().to_uppercase();
        let starts = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
        if starts.iter().any(|start| name.starts_with(start)) && path.is_file() {
            notices.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    // Of two licences to choose from, the shorter text.
    let license = text("license").replace('/', " OR ");
    if license.contains(" OR ") && notices.keys().any(|name| name.contains("MIT")) {
        notices.retain(|name, _| !name.contains("APACHE") && !name.contains("UNLICENSE"));
    }
    let trimmed = |text: String| {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n").trim_matches('\n').to_owned()
    };
    let texts = notices.into_values().map(trimmed).collect();
    Package { name: text("name"), version: text("version"), license, texts }
}

fn document(packages: &[Package]) -> String {
    let mut text = "Signet contains the libraries below, each under its own licence.\n\n".to_owned();
    for Package { name, version, license, .. } in packages {
        writeln!(text, "{name} {version}: {license}").unwrap();
    }
    // By the words alone: many differ in their line breaks.
    let mut users: BTreeMap<String, (&str, Vec<&str>)> = BTreeMap::new();
    for package in packages {
        for notice in &package.texts {
            let words = notice.split_whitespace().collect::<Vec<_>>().join(" ");
            users.entry(words).or_insert((notice, Vec::new())).1.push(&package.name);
        }
    }
    let mut notices: Vec<_> = users.into_values().collect();
    notices.sort_by(|(one, one_users), (other, other_users)| (one_users, one).cmp(&(other_users, other)));
    for (notice, mut users) in notices {
        users.dedup();
        write!(text, "\n{}\n{}\n\n{notice}\n", "-".repeat(100), users.join(", ")).unwrap();
    }
    text
}

#[test]
fn licenses_of_every_library_are_in_the_program() {
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let expected = document(&packages);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap() == expected, "{FILE} is out of date: UPDATE_DOCS=1 cargo test licenses");
}

#[test]
fn every_library_has_an_allowed_license() {
    let is_allowed = |license: &str| {
        let expression = spdx::Expression::parse_mode(license, spdx::ParseMode::LAX).unwrap();
        expression.evaluate(|requirement| requirement.license.id().is_some_and(|id| ALLOWED.contains(&id.name)))
    };
    let packages = packages();
    let refused = packages.iter().filter(|package| !is_allowed(&package.license));
    let refused: Vec<_> = refused.map(|package| format!("{}: {}", package.name, package.license)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}
