//! What all servers of this process log, kept so that a test can look for its own request, or for what must never be in
//! there.
//!
//! A subscriber of its own kind: `tracing_subscriber`'s registry, set for the whole process, would be asked about the
//! spans of the registries that other tests set for their own threads.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static LINES: Mutex<String> = Mutex::new(String::new());
/// By the id of the request.
static LEVELS: LazyLock<Mutex<HashMap<String, Vec<Level>>>> = LazyLock::new(Mutex::default);
static BEGUN: Once = Once::new();

thread_local! {
    /// The spans that this thread is in.
    static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
struct Keeper {
    next: AtomicU64,
    /// The requests' ids, by the number of their span.
    requests: Mutex<HashMap<u64, String>>,
}

#[derive(Default)]
struct Text {
    line: String,
    id: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.line, " {}={value:?}", field.name()).unwrap();
        if field.name() == "request_id" {
            self.id = format!("{value:?}");
        }
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let most = if metadata.target().starts_with("signet") { Level::DEBUG } else { Level::WARN };
        *metadata.level() <= most
    }

    /// Asked each time: other tests have subscribers of their own, which want other things.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        if span.metadata().name() == "request" {
            let mut text = Text::default();
            span.record(&mut text);
            writeln!(LINES.lock().unwrap(), "request{}", text.line).unwrap();
            self.requests.lock().unwrap().insert(number, text.id);
        }
        Id::from_u64(number)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        LINES.lock().unwrap().push_str(&text.line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = *event.metadata().level();
        writeln!(LINES.lock().unwrap(), "{level}{}", text.line).unwrap();
        let requests = self.requests.lock().unwrap();
        let request = INSIDE.with_borrow(|inside| inside.iter().rev().find_map(|number| requests.get(number)).cloned());
        if let Some(request) = request {
            LEVELS.lock().unwrap().entry(request).or_default().push(level);
        }
    }

    fn enter(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(span.into_u64()));
    }

    fn exit(&self, _: &Id) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

/// Begins to keep what is logged.
pub fn keep() {
    BEGUN.call_once(|| tracing::subscriber::set_global_default(Keeper::default()).unwrap());
}

/// Everything so far.
pub fn all() -> String {
    LINES.lock().unwrap().clone()
}

/// The levels of what was logged for the request of that id.
pub fn levels(request: &str) -> Vec<Level> {
    LEVELS.lock().unwrap().get(request).cloned().unwrap_or_default()
}
