//! What all servers of this process have logged, as JSON lines, so that a test can look for its own request, or for what
//! must never be in there.

use std::io::{self, Write};
use std::sync::{Mutex, Once};

use serde_json::Value;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static BEGUN: Once = Once::new();

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to keep what is logged.
pub fn keep() {
    BEGUN.call_once(|| {
        tracing_subscriber::fmt().json().with_env_filter("signet=debug,warn").with_writer(|| Kept).init();
    });
}

/// Everything so far.
pub fn all() -> String {
    String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned()
}

/// The levels of what was logged for the request of that id.
pub fn levels(request: &str) -> Vec<String> {
    let of_request = |line: &&str| line.contains(request);
    let level = |line: &str| serde_json::from_str::<Value>(line).unwrap()["level"].as_str().unwrap().to_owned();
    all().lines().filter(of_request).map(level).collect()
}
