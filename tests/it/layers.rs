//! The house's rules that the compiler does not hold: imports point down, and each outside crate has its room.

use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Lower may not know higher.
fn height(room: &str) -> Option<u32> {
    Some(match room {
        "env" => 0,
        "config" => 1,
        "domain" => 2,
        "store" | "outbound" => 3,
        "keys" => 4,
        "protocol" | "identity" | "gate" => 5,
        "manage" => 6,
        "app" => 7,
        "web" => 8,
        "server" => 9,
        "cli" => 10,
        _ => return None,
    })
}

#[test]
fn imports_point_down_and_outside_crates_stay_in_their_rooms() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    assert!(all.len() > 50, "the walk found the house");
    let homes: &[(&str, &[&str])] = &[
        ("axum", &["web", "server"]),
        ("askama", &["web"]),
        ("tower_sessions", &["web"]),
        ("sea_orm", &["store"]),
        ("josekit", &["keys"]),
        ("argon2", &["identity"]),
        ("bcrypt", &["identity"]),
        ("pbkdf2", &["identity"]),
        ("scrypt", &["identity"]),
        ("sha_crypt", &["identity"]),
        ("webauthn_rs", &["identity"]),
        ("reqwest", &["outbound"]),
    ];
    let mut wrong = Vec::new();
    for file in all {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        for line in fs::read_to_string(&file).unwrap().lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (name, rooms) in homes {
                if line.contains(&format!("{name}::")) && !rooms.contains(&room.as_str()) {
                    wrong.push(format!("{}: {line}", inside.display()));
                }
            }
            if let Some(other) = line
                .split("crate::")
                .nth(1)
                .and_then(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
                && let (Some(here), Some(there)) = (height(&room), height(other))
                && there > here
            {
                wrong.push(format!("{}: {line}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
