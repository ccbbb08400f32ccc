//! The JSON format of the log: one object for each event, with the names of the Elastic Common Schema.
//!
//! Invariant: a line is valid JSON, and no name occurs in it twice, whatever the values are. A field without a name in
//! the schema is `keyward.` and its own name. Like the text format, this one formats nothing that needs no formatting.

use std::fmt::{self, Debug, Display, Write as _};
use std::ops::Range;

use keyward_core::clock::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::{ACCESS, time};

/// The version of the schema that has these names.
const SCHEMA: &str = "8.17.0";
/// The targets of the events of the program itself, whose addresses are those where it listens.
const PROGRAM: &str = "keyward::";

/// The format.
#[derive(Default)]
pub(super) struct Ecs(SystemClock);

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Line::new(metadata.target());
        event.record(&mut line);
        // The order of the first fields is that of Elastic's own loggers.
        let mut head = String::with_capacity(64);
        head.push_str("{\"@timestamp\":\"");
        time::push(&mut head, self.0.now());
        head.push_str("\",\"log.level\":\"");
        head.push_str(level(*metadata.level()));
        head.push('"');
        writer.write_str(&head)?;
        line.write_message(&mut writer)?;
        writer.write_str(concat!(
            ",\"service.name\":\"keyward\",\"service.version\":\"",
            env!("CARGO_PKG_VERSION"),
            "\",\"ecs.version\":\""
        ))?;
        writer.write_str(SCHEMA)?;
        writer.write_str(match line.is_access {
            true => "\",\"event.dataset\":\"keyward.access\"",
            false => "\",\"event.dataset\":\"keyward.log\",\"log.logger\":\"",
        })?;
        if !line.is_access {
            // Targets are names of the program, which need no escapes.
            writer.write_str(metadata.target())?;
            writer.write_char('"')?;
        }
        writer.write_str(&line.fields)?;
        writer.write_str("}\n")
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// What is recorded of an event.
struct Line {
    is_access: bool,
    is_program: bool,
    /// The fields but the message, each after a comma.
    fields: String,
    /// The message as a JSON string.
    message: String,
    /// Where the method, the path and the status of a request lie in `fields`.
    request: [Range<usize>; 3],
    has_error: bool,
    has_duration: bool,
}

impl Line {
    fn new(target: &str) -> Self {
        Self {
            is_access: target == ACCESS,
            is_program: target.starts_with(PROGRAM),
            fields: String::with_capacity(256),
            message: String::new(),
            request: [const { 0..0 }; 3],
            has_error: false,
            has_duration: false,
        }
    }

    /// The message. A request has none of its own: it is what a person looks for in a list of requests.
    fn write_message(&self, writer: &mut Writer<'_>) -> fmt::Result {
        if !self.message.is_empty() {
            writer.write_str(",\"message\":")?;
            return writer.write_str(&self.message);
        }
        let [method, path, status] = self.request.clone().map(|range| &self.fields[range]);
        if method.is_empty() {
            return Ok(());
        }
        for part in [",\"message\":\"", method, " ", path] {
            writer.write_str(part)?;
        }
        if !status.is_empty() {
            writer.write_char(' ')?;
            writer.write_str(status)?;
        }
        writer.write_char('"')
    }

    /// Begins a field, up to its value.
    fn begin(&mut self, field: &Field) {
        let known = match (field.name(), self.is_access) {
            ("method", true) => "http.request.method",
            ("path", true) => "url.path",
            ("status", true) => "http.response.status_code",
            ("id", _) => "http.request.id",
            ("trace", _) => "trace.id",
            ("address", _) if self.is_program => "server.address",
            ("address", _) => "client.ip",
            ("account", _) => "user.id",
            ("cause" | "error" | "panic", _) if !self.has_error => {
                self.has_error = true;
                "error.message"
            }
            _ => "",
        };
        self.fields.push_str(",\"");
        if known.is_empty() {
            self.fields.push_str("keyward.");
            self.fields.push_str(field.name());
        } else {
            self.fields.push_str(known);
        }
        self.fields.push_str("\":");
    }

    /// Writes a text. The range that is returned is that of the text without its quotes.
    fn text(&mut self, text: &str) -> Range<usize> {
        let start = self.fields.len() + 1;
        push_string(&mut self.fields, text);
        start..self.fields.len() - 1
    }

    /// Notes where a part of the message of a request lies.
    fn note(&mut self, field: &Field, range: Range<usize>) {
        let place = match field.name() {
            "method" => 0,
            "path" => 1,
            "status" => 2,
            _ => return,
        };
        if self.is_access {
            self.request[place] = range;
        }
    }

    /// Writes how long something took, in nanoseconds. Returns whether the field was one of these.
    fn duration(&mut self, field: &Field, value: u64) -> bool {
        let zeros = match field.name() {
            "micros" => "000",
            "millis" => "000000",
            _ => return false,
        };
        if self.has_duration {
            return false;
        }
        self.has_duration = true;
        // Writing to a string does not fail.
        let _ = write!(self.fields, ",\"event.duration\":{value}");
        if value > 0 {
            self.fields.push_str(zeros);
        }
        true
    }

    fn number(&mut self, field: &Field, value: impl Display) {
        self.begin(field);
        // In the schema an id is a text.
        let quote = if field.name() == "account" { "\"" } else { "" };
        let start = self.fields.len();
        // Writing to a string does not fail.
        let _ = write!(self.fields, "{quote}{value}{quote}");
        self.note(field, start..self.fields.len());
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => push_string(&mut self.message, value),
            // Each line has it.
            "version" => {}
            // A request that was given up has no status, and the schema's is a number.
            "status" if self.is_access => {}
            _ => {
                self.begin(field);
                let range = self.text(value);
                self.note(field, range);
            }
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if !self.duration(field, value) {
            self.number(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.begin(field);
        self.fields.push_str(if value { "true" } else { "false" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut shown = String::new();
        let _ = write!(shown, "{value:?}");
        self.record_str(field, &shown);
    }
}

/// Writes a text as a JSON string.
fn push_string(json: &mut String, text: &str) {
    // Without an early exit, so that the compiler can check many bytes at once.
    let special = text.bytes().fold(false, |special, byte| {
        special | (byte < b' ') | (byte == b'"') | (byte == b'\\')
    });
    if special {
        // A text has no value that cannot be written.
        json.push_str(&serde_json::to_string(text).unwrap_or_default());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The line of what `log` logs, and the object in it without the fields that depend on the time and the release.
    fn line(log: impl FnOnce()) -> (String, Value) {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Ecs::default())
            .with_writer(written.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let mut object: Value = serde_json::from_str(&text).unwrap();
        let fields = object.as_object_mut().unwrap();
        // A name that occurs twice would be lost in the object. In a value, a quote follows a backslash.
        for name in fields.keys() {
            assert!(
                text.matches(&format!(",\"{name}\":")).count() <= 1,
                "{text}"
            );
        }
        let time = fields.remove("@timestamp").unwrap();
        assert_eq!(
            time.as_str().unwrap().len(),
            "2020-07-08T12:55:49.930042Z".len()
        );
        assert_eq!(
            fields.remove("service.version").unwrap(),
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(fields.remove("service.name").unwrap(), "keyward");
        assert_eq!(fields.remove("ecs.version").unwrap(), SCHEMA);
        (text, object)
    }

    #[test]
    fn a_request_has_the_names_of_the_schema() {
        let (text, object) = line(|| {
            tracing::info!(
                target: "access",
                id = "7d1fa9",
                trace = "4bf92f3577b34da6a3ce929d0e0e4736",
                address = "203.0.113.9",
                method = "GET",
                path = "/customers/{id}",
                status = 200_u16,
                micros = 1_234_u64,
                client = Some("left"),
            );
        });
        assert!(text.starts_with("{\"@timestamp\":\"20"), "{text}");
        assert_eq!(
            object,
            json!({
                "log.level": "info",
                "message": "GET /customers/{id} 200",
                "event.dataset": "keyward.access",
                "http.request.id": "7d1fa9",
                "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736",
                "client.ip": "203.0.113.9",
                "http.request.method": "GET",
                "url.path": "/customers/{id}",
                "http.response.status_code": 200,
                "event.duration": 1_234_000,
                "keyward.client": "left",
            })
        );
    }

    #[test]
    fn a_request_that_was_given_up_has_no_status() {
        let (_, object) = line(|| {
            tracing::info!(target: "access", method = "PUT", path = "/a\"b", status = "-", micros = 0_u64);
        });
        let given_up = json!({
            "log.level": "info",
            "message": "PUT /a\"b",
            "event.dataset": "keyward.access",
            "http.request.method": "PUT",
            "url.path": "/a\"b",
            "event.duration": 0,
        });
        assert_eq!(object, given_up);
    }

    #[test]
    fn other_events_have_their_own_names_under_keyward() {
        let (_, object) = line(|| {
            let (address, lost) = ("127.0.0.1:5000", -3_i64);
            tracing::warn!(%address, path = "a/b", status = 5_u64, account = 7_u64, version = "1", lost, held = true, "it is {}", "so");
        });
        assert_eq!(
            object,
            json!({
                "log.level": "warn",
                "message": "it is so",
                "event.dataset": "keyward.log",
                "log.logger": "keyward::log::ecs::tests",
                "server.address": "127.0.0.1:5000",
                "keyward.path": "a/b",
                "keyward.status": 5,
                "user.id": "7",
                "keyward.lost": -3,
                "keyward.held": true,
            })
        );
        let (_, object) = line(|| {
            tracing::error!(target: "keyward_server::x", address = "::1", cause = "c", error = "e", millis = 2_u64, micros = 1_u64, "m");
        });
        assert_eq!(object["client.ip"], "::1");
        assert_eq!(
            (&object["error.message"], &object["keyward.error"]),
            (&json!("c"), &json!("e"))
        );
        assert_eq!(
            (&object["event.duration"], &object["keyward.micros"]),
            (&json!(2_000_000), &json!(1))
        );
    }

    #[test]
    fn no_value_breaks_a_line() {
        let mut values: Vec<String> = (0..=0x2030)
            .filter_map(char::from_u32)
            .map(String::from)
            .collect();
        values.extend(["\\u0000\\", "\"}\n{\"", "\u{10ffff}", ""].map(String::from));
        for value in values {
            let (_, object) = line(|| {
                tracing::info!(target: "access", path = value.as_str(), shown = %value, quoted = ?value, method = "GET");
            });
            assert_eq!(object["url.path"], value);
            assert_eq!(object["keyward.shown"], value);
            assert_eq!(object["keyward.quoted"], format!("{value:?}"));
            assert_eq!(object["message"], format!("GET {value}"));
            let (_, object) = line(|| tracing::info!("{value}"));
            assert_eq!(object["message"], value);
        }
    }
}
