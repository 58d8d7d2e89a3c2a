//! A reader at a terminal: an empty directory, a shell that keeps its variables, programs that go on in the background, and a
//! network of their own, so that port 8080 is free for each document at once.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::commands::{Step, has_shown, is_as_shown};

/// Far more than any command takes; a machine may be busy.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

/// What needs the network or a build, each with what has been installed and built already.
const STAND_INS: [(&str, &str); 3] = [
    ("cargo", include_str!("stand_ins/cargo")),
    ("npm", include_str!("stand_ins/npm")),
    ("python3", include_str!("stand_ins/python3")),
];

/// Where the programs are that a reader has installed.
pub struct Installed {
    /// The checkout, which a reader has as `~/signet`.
    pub source: PathBuf,
    pub signet: PathBuf,
    pub python: PathBuf,
    pub node: PathBuf,
    pub node_modules: PathBuf,
    pub mcp_node_modules: PathBuf,
    pub nginx: PathBuf,
}

pub struct Reader {
    folder: tempfile::TempDir,
    shell: Child,
    input: ChildStdin,
    statuses: Receiver<String>,
    steps: usize,
    /// Whether a command has not ended.
    stuck: bool,
    /// Without a network of its own, one reader after the other.
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Reader {
    pub fn new(installed: &Installed) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        for name in ["bin", "home", "here", "steps"] {
            fs::create_dir(folder.path().join(name)).expect("it is empty");
        }
        let bin = folder.path().join("bin");
        for (name, script) in STAND_INS {
            fs::write(bin.join(name), script).expect("a stand-in");
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("a stand-in");
        }
        let home = folder.path().join("home");
        for (link, to) in [
            (home.join("signet"), &installed.source),
            (bin.join("signet"), &installed.signet),
            (bin.join("node"), &installed.node),
            (bin.join("nginx"), &installed.nginx),
        ] {
            symlink(to, link).expect("a link");
        }
        // At a terminal curl shows no progress beside what it prints.
        fs::write(home.join(".curlrc"), "no-progress-meter\n").expect("curl's settings");
        let (mut command, alone) = shell();
        command.env_clear().env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", bin.display()));
        command.env("HOME", &home).env("LANG", "C.UTF-8").env("NO_PROXY", "localhost,127.0.0.1");
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        command.env("NODE_OPTIONS", "--dns-result-order=ipv4first");
        for (name, path) in [
            ("STAND_IN_SIGNET", &installed.signet),
            ("STAND_IN_PYTHON", &installed.python),
            ("STAND_IN_NODE_MODULES", &installed.node_modules),
            ("STAND_IN_MCP_NODE_MODULES", &installed.mcp_node_modules),
        ] {
            command.env(name, path);
        }
        command.current_dir(folder.path().join("here")).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut shell = command.spawn().expect("bash starts");
        let (input, output) = (shell.stdin.take().expect("a pipe"), shell.stdout.take().expect("a pipe"));
        let (sender, statuses) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut reader = Self { folder, shell, input, statuses, steps: 0, stuck: false, _alone: alone };
        reader.say("set -o pipefail");
        reader
    }

    /// The directory that was empty.
    pub fn here(&self) -> PathBuf {
        self.folder.path().join("here")
    }

    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Writes a file as the document tells, below the directory in which the reader is.
    pub fn write(&mut self, name: &str, text: &str) -> Result<(), String> {
        let copy = self.path("file");
        fs::write(&copy, text).expect("a file");
        let (_, printed) =
            self.finish(&format!("mkdir -p \"$(dirname '{name}')\" && cp '{}' '{name}'", copy.display()))?;
        if printed.is_empty() { Ok(()) } else { Err(printed) }
    }

    /// Runs a command to its end.
    pub fn run(&mut self, step: &Step) -> Result<(), String> {
        let (status, printed) = self.finish(&step.command)?;
        if status != "0" {
            return Err(format!("exit status {status}\n{printed}"));
        }
        if !step.shown.is_empty() && !is_as_shown(&step.shown, &printed) {
            return Err(format!("prints otherwise than shown:\n{printed}"));
        }
        Ok(())
    }

    /// Starts a command that goes on, and waits until it has printed what is shown.
    #[expect(clippy::disallowed_methods, reason = "a program of its own is waited for")]
    pub fn leave_running(&mut self, step: &Step) -> Result<(), String> {
        if step.shown.is_empty() {
            return Err("a command that is left running shows what it prints when it is ready".to_owned());
        }
        let (script, printed) = (self.path("sh"), self.path("out"));
        fs::write(&script, &step.command).expect("a script");
        let (script, out) = (script.display(), printed.display());
        self.say(&format!("{{ ( . '{script}' ); echo ended $?; }} >'{out}' 2>&1 </dev/null &"));
        let until = Instant::now() + COMMAND_TIMEOUT;
        loop {
            let text = fs::read_to_string(&printed).unwrap_or_default();
            if has_shown(&step.shown, &text) {
                return Ok(());
            }
            if text.lines().last().is_some_and(|line| line.starts_with("ended ")) || Instant::now() > until {
                return Err(format!("does not go on and print what is shown:\n{text}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The exit status of a command, and what it prints.
    fn finish(&mut self, command: &str) -> Result<(String, String), String> {
        let (script, printed) = (self.path("sh"), self.path("out"));
        fs::write(&script, command).expect("a script");
        self.say(&format!(". '{}' >'{}' 2>&1 </dev/null; echo $?", script.display(), printed.display()));
        let status = self.statuses.recv_timeout(COMMAND_TIMEOUT);
        let printed = fs::read_to_string(&printed).unwrap_or_default();
        if let Ok(status) = status {
            return Ok((status, printed));
        }
        self.stuck = true;
        Err(format!("does not end; a program that goes on is followed by \"Leave it running\":\n{printed}"))
    }

    fn path(&mut self, ending: &str) -> PathBuf {
        self.steps += 1;
        self.folder.path().join("steps").join(format!("{}.{ending}", self.steps))
    }

    fn say(&mut self, line: &str) {
        // A shell that has ended says so by the status that does not come.
        drop(writeln!(self.input, "{line}"));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let group = format!("-{}", self.shell.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        // It has left the group, and ends its workers when it is asked to.
        if let Ok(nginx) = fs::read_to_string(self.here().join("nginx.pid")) {
            drop(Command::new("kill").args(["-TERM", nginx.trim()]).status());
        }
        drop(self.shell.wait());
    }
}

/// A shell with a network of its own, or, where the machine gives none, the right to be the only one.
fn shell() -> (Command, Option<MutexGuard<'static, ()>>) {
    static UNSHARE: OnceLock<Option<&str>> = OnceLock::new();
    static ALONE: Mutex<()> = Mutex::new(());
    let unshare = *UNSHARE.get_or_init(|| ["-n", "-rn"].into_iter().find(|flags| works(flags)));
    if let Some(flags) = unshare {
        let mut command = Command::new("unshare");
        command.args([flags, "bash", "-c", "ip link set lo up && exec bash"]);
        return (command, None);
    }
    (Command::new("bash"), Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn works(flags: &str) -> bool {
    let tried = Command::new("unshare").args([flags, "ip", "link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// Runs a program of the reader's on its own, with `input`; what it prints where it fails.
pub fn aside(program: &Path, arguments: &[&str], folder: &Path, input: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdin.take().expect("a pipe").write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(()) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}
