//! The JSON format of the log: one object for each event, with the names of the Elastic Common Schema.
//!
//! Invariant: a line is valid JSON, and no name occurs in it twice, whatever the values are. A field without a name in
//! the schema is `keyward.` and its own name. Like the text format, this one formats nothing that needs no formatting.

use std::fmt::{Debug, Display};
use std::io::Write as _;
use std::ops::Range;

use keyward_core::clock::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::{ACCESS, time};
use crate::output::escaped;

/// The fields that every line has, up to the value of the last one. The version is that of the schema with these names.
const SERVICE: &str = concat!(
    ",\"service.name\":\"keyward\",\"service.version\":\"",
    env!("CARGO_PKG_VERSION"),
    "\",\"ecs.version\":\"8.17.0\",\"event.dataset\":\""
);
/// The targets of the events of the program itself, whose addresses are those where it listens.
const PROGRAM: &str = "keyward::";

/// Writes an event as a line, without its end.
pub(super) fn push(line: &mut Vec<u8>, event: &Event<'_>, now: Timestamp) {
    let metadata = event.metadata();
    let mut recorded = Recorded::new(metadata.target());
    event.record(&mut recorded);
    // The order of the first fields is that of Elastic's own loggers.
    line.extend_from_slice(b"{\"@timestamp\":\"");
    time::push(line, now);
    line.extend_from_slice(b"\",\"log.level\":\"");
    line.extend_from_slice(level(*metadata.level()).as_bytes());
    line.push(b'"');
    recorded.push_message(line);
    line.extend_from_slice(SERVICE.as_bytes());
    if recorded.is_access {
        line.extend_from_slice(b"keyward.access\"");
    } else {
        line.extend_from_slice(b"keyward.log\",\"log.logger\":\"");
        // Targets are names of the program, which need no escapes.
        line.extend_from_slice(metadata.target().as_bytes());
        line.push(b'"');
    }
    line.extend_from_slice(&recorded.fields);
    line.push(b'}');
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
struct Recorded {
    is_access: bool,
    is_program: bool,
    /// The fields but the message, each after a comma.
    fields: Vec<u8>,
    /// The message as a JSON string.
    message: Vec<u8>,
    /// Where the method, the path and the status of a request lie in `fields`.
    request: [Range<usize>; 3],
    has_error: bool,
    has_duration: bool,
}

impl Recorded {
    fn new(target: &str) -> Self {
        Self {
            is_access: target == ACCESS,
            is_program: target.starts_with(PROGRAM),
            fields: Vec::with_capacity(256),
            message: Vec::new(),
            request: [const { 0..0 }; 3],
            has_error: false,
            has_duration: false,
        }
    }

    /// The message. A request has none of its own: it is what a person looks for in a list of requests.
    fn push_message(&self, line: &mut Vec<u8>) {
        if !self.message.is_empty() {
            line.extend_from_slice(b",\"message\":");
            line.extend_from_slice(&self.message);
            return;
        }
        let [method, path, status] = self.request.clone().map(|range| &self.fields[range]);
        if method.is_empty() {
            return;
        }
        line.extend_from_slice(b",\"message\":\"");
        line.extend_from_slice(method);
        line.push(b' ');
        line.extend_from_slice(path);
        if !status.is_empty() {
            line.push(b' ');
            line.extend_from_slice(status);
        }
        line.push(b'"');
    }

    /// Begins a field, up to its value.
    fn begin(&mut self, field: &Field) {
        let known = match (field.name(), self.is_access) {
            ("method", true) => "http.request.method",
            ("path", true) => "url.path",
            ("http", true) => "http.version",
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
        self.fields.extend_from_slice(b",\"");
        if known.is_empty() {
            self.fields.extend_from_slice(b"keyward.");
            self.fields.extend_from_slice(field.name().as_bytes());
        } else {
            self.fields.extend_from_slice(known.as_bytes());
        }
        self.fields.extend_from_slice(b"\":");
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
        // Writing to a vector does not fail.
        let _ = write!(self.fields, ",\"event.duration\":{value}");
        if value > 0 {
            self.fields.extend_from_slice(zeros.as_bytes());
        }
        true
    }

    fn number(&mut self, field: &Field, value: impl Display) {
        self.begin(field);
        // In the schema an id is a text.
        let quote = if field.name() == "account" { "\"" } else { "" };
        let start = self.fields.len();
        // Writing to a vector does not fail.
        let _ = write!(self.fields, "{quote}{value}{quote}");
        self.note(field, start..self.fields.len());
    }
}

impl Visit for Recorded {
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
        let value: &[u8] = if value { b"true" } else { b"false" };
        self.fields.extend_from_slice(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Writes a text as a JSON string, with all control characters escaped.
fn push_string(json: &mut Vec<u8>, text: &str) {
    // Without an early exit, so that the compiler can check many bytes at once.
    let special = text.bytes().fold(false, |special, byte| {
        special | !(b' '..=b'~').contains(&byte) | (byte == b'"') | (byte == b'\\')
    });
    if special {
        // A text has no value that cannot be written. JSON itself allows the control characters from U+007F on.
        let quoted = serde_json::to_string(text).unwrap_or_default();
        json.extend_from_slice(escaped(&quoted).as_bytes());
    } else {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Format;
    use super::super::tests::logged;

    /// The line of what `log` logs, and the object in it without the fields that depend on the time and the release.
    fn line(log: impl FnOnce()) -> (String, Value) {
        let text = logged(Format::Json, log);
        assert!(!text.contains(char::is_control), "{text:?}");
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
        assert_eq!(fields.remove("ecs.version").unwrap(), "8.17.0");
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
