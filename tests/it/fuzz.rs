//! The fuzz targets of `fuzz/` on any toolchain: every seed of the corpus, and from each set of seeds the same so many
//! mutations in every run. What holds of each answer stands with the targets; a failure prints the input.
//!
//! T25: parsers that strangers reach, and what they take. libFuzzer looks further by the same functions: `tests/run`
//! runs it for seconds, `tests/run --fuzz` with `FUZZ_SECONDS` runs it for longer.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Mutations of each target's seeds.
const MUTATIONS: usize = 20_000;
/// Where a format has its corners.
const WORDS: [&[u8]; 32] = [
    b".",
    b"..",
    b"\n",
    b"\0",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[]",
    b"{}",
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"1e400",
    b"9223372036854775808",
    b"\\u0000",
    b"\\ud800",
    "\u{fffd}".as_bytes(),
    "\u{202e}".as_bytes(),
    b"\xff",
    b"=",
    b"@",
    b"#",
    b"%2f",
    b"//",
    b"\\",
    b"http://127.0.0.1",
    b":65536",
    b"eyJhbGciOiJub25lIn0",
];

/// `SplitMix64`: the same numbers in every run, from a generator that is no part of a test library's version.
pub struct Numbers(u64);

impl Numbers {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 where nothing is.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }
}

/// One change to `data`, of the kinds that libFuzzer knows.
fn change(data: &mut Vec<u8>, seeds: &[Vec<u8>], numbers: &mut Numbers) {
    let at = numbers.below(data.len());
    let end = at + numbers.below(data.len() - at + 1);
    match numbers.below(7) {
        0 if !data.is_empty() => data[at] ^= 1 << numbers.below(8),
        1 if !data.is_empty() => data[at] = numbers.below(256).to_le_bytes()[0],
        2 => data.truncate(at),
        3 => drop(data.drain(at..end)),
        4 => {
            let word = WORDS[numbers.below(WORDS.len())];
            data.splice(at..at, word.iter().copied());
        }
        // A piece of it again, a few times: names that stand twice, and nesting.
        5 if data.len() < 4096 => {
            let piece = data[at..end].repeat(1 + numbers.below(3));
            data.splice(end..end, piece);
        }
        _ => {
            let other = &seeds[numbers.below(seeds.len())];
            data.truncate(at);
            data.extend_from_slice(&other[numbers.below(other.len())..]);
        }
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 4, "{target} has seeds");
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

fn run(name: &str, target: fn(&[u8])) {
    let seeds = corpus(name);
    let mut numbers = Numbers::new(1);
    let mutated = (0..MUTATIONS).map(|_| {
        let mut data = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(4) {
            change(&mut data, &seeds, &mut numbers);
        }
        data
    });
    for data in seeds.iter().cloned().chain(mutated) {
        assert!(catch_unwind(|| target(&data)).is_ok(), "{name} fails, as said above, on: {}", data.escape_ascii());
    }
}

#[test]
fn request_objects() {
    run("request_object", targets::request_object);
}

#[test]
fn client_assertions() {
    run("client_assertion", targets::client_assertion);
}

#[test]
fn the_claims_parameter() {
    run("claims", targets::claims);
}

#[test]
fn redirect_uris() {
    run("redirect_uri", targets::redirect_uri);
}

#[test]
fn registration_documents() {
    run("registration", targets::registration);
}

#[test]
fn http_signatures() {
    run("http_signature", targets::http_signature);
}

#[test]
fn gate_questions() {
    run("gate_question", targets::gate_question);
}

/// Otherwise libFuzzer would run what no seed is for, or the other way round.
#[test]
fn every_target_is_run_both_ways() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(here.join("tests/it/fuzz.rs")).unwrap();
    let manifest = fs::read_to_string(here.join("fuzz/Cargo.toml")).unwrap();
    let listed: Vec<&str> =
        manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(listed.len(), 7);
    for name in listed {
        let target = fs::read_to_string(here.join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("signet_fuzz::{name}(data)")), "{name}");
        assert!(source.contains(&format!("run(\"{name}\", targets::{name})")), "{name}");
    }
}
