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

/// The packages whose code is in the program: what it depends on to run, not to be built or tested.
fn packages() -> Vec<Package> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["metadata", "--locked", "--format-version", "1"]).args(platform);
    let answer = cargo.output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let metadata: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> = nodes.iter().map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let mut waiting = vec![metadata["resolve"]["root"].as_str().unwrap()];
    let mut inside = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !inside.insert(id) {
            continue;
        }
        let to_run =
            |dependency: &&Value| dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
        let dependencies = nodes[id]["deps"].as_array().unwrap().iter().filter(to_run);
        waiting.extend(dependencies.map(|dependency| dependency["pkg"].as_str().unwrap()));
    }
    let all = metadata["packages"].as_array().unwrap().iter();
    // Our own packages have no source.
    let foreign =
        all.filter(|package| inside.contains(package["id"].as_str().unwrap()) && !package["source"].is_null());
    foreign.map(read).collect()
}

fn read(package: &Value) -> Package {
    let text = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
    let mut texts = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().to_uppercase();
        let is_notice =
            ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|start| name.starts_with(start));
        if is_notice && path.is_file() {
            let read = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = read.lines().map(str::trim_end).collect();
            texts.insert(lines.join("\n").trim_matches('\n').to_owned());
        }
    }
    Package { name: text("name"), version: text("version"), license: text("license").replace('/', " OR "), texts }
}

fn document(packages: &[Package]) -> String {
    let mut text = "Signet contains the libraries below, each under its own licence.\n\n".to_owned();
    for Package { name, version, license, .. } in packages {
        writeln!(text, "{name} {version}: {license}").unwrap();
    }
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        for notice in &package.texts {
            users.entry(notice).or_default().push(&package.name);
        }
    }
    let mut notices: Vec<_> = users.into_iter().collect();
    notices.sort_by(|(one, one_users), (other, other_users)| (one_users, one).cmp(&(other_users, other)));
    for (notice, users) in notices {
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
