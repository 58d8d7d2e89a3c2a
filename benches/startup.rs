//! How soon the program is ready, how much memory it keeps while idle, and how large it is.
//!
//! ```console
//! $ cargo bench --bench startup
//! ```
//!
//! Ready is the first 200 from `/readyz`, with a database that exists; the first start, which makes keys, is not counted.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails says where")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_signet");
const STARTS: usize = 10;
const START_TIMEOUT: Duration = Duration::from_mins(1);

fn main() {
    let data = tempfile::tempdir().unwrap();
    let (first, _) = Running::start(data.path());
    drop(first);
    let mut times: Vec<Duration> = (0..STARTS).map(|_| Running::start(data.path()).1).collect();
    times.sort_unstable();
    let (least, median) = (times.first().unwrap(), times.get(STARTS / 2).unwrap());
    println!("ready in       {least:.0?} at best, {median:.0?} in the middle of {STARTS}");
    let (running, _) = Running::start(data.path());
    std::thread::sleep(Duration::from_secs(5));
    println!("idle memory    {:.1} MB resident, 5 s after the start", running.resident_kib() / 1024.0);
    println!("program size   {} kB", std::fs::metadata(PROGRAM).unwrap().len() / 1000);
}

struct Running(Child);

impl Running {
    fn start(data: &Path) -> (Self, Duration) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let begun = now();
        let process = Command::new(PROGRAM)
            .current_dir(data)
            .env("SIGNET_DATA_DIR", data)
            .env("SIGNET_LISTEN", address.to_string())
            .env("SIGNET_ISSUER", format!("http://{address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Self(process);
        while !ready(address) {
            assert!(begun.elapsed() < START_TIMEOUT, "the server does not become ready");
            std::thread::sleep(Duration::from_millis(1));
        }
        (running, begun.elapsed())
    }

    fn resident_kib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200 ")
}

#[expect(clippy::disallowed_methods, reason = "a duration is measured; nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}
