//! The log on stderr, as text for people or as one JSON object a line. What others sent is in it only with hidden characters
//! escaped ([`crate::domain::printable`]): nobody writes a line of their own, or moves a terminal's cursor.

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal as _, Write};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::config::{Config, LogFormat};
use crate::domain::printable::{escaped, escaped_json};

/// Starts the log. A server tells what it does; a command only what goes wrong.
pub(super) fn start(config: &Config, serves: bool) -> Result<(), String> {
    let level = if serves { config.log.level.as_str() } else { "warn" };
    // PostgreSQL's notices say at each start that a table is there already; sqlx warns when a connection takes two seconds,
    // which a request that fails says anyway; rustls warns of how browsers end their
    // connections, tower-sessions of cookies whose session has ended, and the verifier of others' certificates says once
    // more what the request fails with. The setting comes later and may ask for them.
    let quiet = "sqlx::postgres::notice=warn,sqlx::pool::acquire=error,rustls=error,rustls_platform_verifier=off,\
                 tower_sessions_core=error";
    let filter = EnvFilter::try_new(format!("{quiet},{level}")).map_err(|error| format!("log.level: {error}"))?;
    // Where nobody takes the log (a full disk, a closed pipe) the service goes on: the layer would say so on the same
    // stderr, and panic over that.
    let log = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    match config.log.format {
        LogFormat::Text => {
            let log = log.with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
            log.fmt_fields(debug_fn(field).delimited(" ")).init();
        }
        LogFormat::Json => {
            let log = log.with_writer(|| EscapedJson(io::stderr())).with_ansi(false);
            log.json().flatten_event(true).with_span_list(false).init();
        }
    }
    // A panic is a line of the log like any other, not text that no machine reads.
    // One in the log itself is not: it would end the process.
    std::panic::set_hook(Box::new(|panic| {
        if panic.location().is_some_and(|at| at.file().contains("tracing")) {
            return;
        }
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, cause = panic.payload_as_str().unwrap_or_default(), "panicked");
    }));
    Ok(())
}

fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", escaped(&text)),
        name => write!(writer, "{name}={}", escaped(&text)),
    }
}

/// Writes lines of JSON, which escapes C0 controls by itself and leaves everything else as it is.
struct EscapedJson<W>(W);

impl<W: Write> Write for EscapedJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(escaped_json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
