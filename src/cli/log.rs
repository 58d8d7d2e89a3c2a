//! The log on stderr, as text or as one JSON object a line. Hidden characters in untrusted data are escaped
//! ([`crate::domain::printable`]), so that it cannot forge a line or move the cursor of a terminal.

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal as _, Write};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::config::{Config, LogFormat};
use crate::domain::printable::{escaped, escaped_json};

/// Starts the log. A server logs its activity, a command only problems.
pub(super) fn start(config: &Config, serves: bool) -> Result<(), String> {
    let level = if serves { config.log.level.as_str() } else { "warn" };
    // At each start, PostgreSQL sends notices that a table exists already. sqlx warns when a connection takes
    // two seconds, which the failed request reports anyway. rustls warns about how browsers close connections,
    // tower-sessions about cookies of expired sessions, and the certificate verifier repeats the error of the
    // failed request. The setting is applied later and can enable these messages.
    let quiet = "sqlx::postgres::notice=warn,sqlx::pool::acquire=error,rustls=error,rustls_platform_verifier=off,\
                 tower_sessions_core=error";
    let filter = EnvFilter::try_new(format!("{quiet},{level}")).map_err(|error| format!("log.level: {error}"))?;
    // If the log cannot be written (a full disk, a closed pipe), the service continues. The layer would report
    // the error on the same stderr, and panic.
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
    // A panic is logged like any other event, so that machines can parse it. A panic in the log itself is not
    // logged, because that would abort the process.
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

/// Writes lines of JSON. JSON itself escapes only the C0 controls.
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
