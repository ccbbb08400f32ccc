//! Checks SQLite's own query plans: every statement of this store reads a range of an index, never a whole table.

use rusqlite::Connection;

use super::{Options, Sqlite};

const SOURCES: [(&str, &str); 6] = [
    ("accounts", include_str!("accounts.rs")),
    ("sessions", include_str!("sessions.rs")),
    ("closures", include_str!("closures.rs")),
    ("customers", include_str!("customers.rs")),
    ("files", include_str!("files.rs")),
    ("keys", include_str!("keys.rs")),
];

/// Plans that read an index from its start and stop at a limit, and those that read a whole table: no request waits for the files, and the keys
/// are few.
const ALLOWED: [&str; 3] = [
    "SCAN customers USING INDEX customers_by_birth",
    "SCAN files",
    "SCAN keys",
];

/// The constants of a source that hold SQL: their names and texts.
fn statements(source: &str) -> Vec<(&str, &str)> {
    source
        .split("\nconst ")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once(": &str = \"")?;
            Some((name, rest.split_once("\";")?.0))
        })
        .collect()
}

#[test]
fn no_statement_reads_a_whole_table_or_sorts() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("keyward.db");
    let _store = Sqlite::open(&path, Options::default()).expect("a store");
    let db = Connection::open(&path).expect("a connection");
    for (file, source) in SOURCES {
        let statements = statements(source);
        assert!(!statements.is_empty(), "{file} has statements");
        for (name, sql) in statements {
            let mut explain = db
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap_or_else(|error| panic!("{file}::{name}: {error}"));
            let plan: Vec<String> = explain
                .raw_query()
                .mapped(|row| row.get(3))
                .collect::<Result<_, _>>()
                .expect("a plan");
            for step in plan {
                let ranged = !step.starts_with("SCAN") || ALLOWED.contains(&step.as_str());
                let sorted = step.contains("TEMP B-TREE");
                assert!(ranged && !sorted, "{file}::{name}: {step}");
            }
        }
    }
}

#[test]
fn every_statement_that_runs_is_one_of_those_checked() {
    for (file, source) in SOURCES {
        let names: Vec<_> = statements(source).iter().map(|(name, _)| *name).collect();
        for used in source.split(".prepare_cached(").skip(1) {
            let (argument, _) = used.split_once(')').expect("a closing parenthesis");
            let known = names.contains(&argument) || argument == "sql";
            assert!(known, "{file} prepares {argument}");
        }
        let others = [".prepare(", ".execute_batch(", ".query_one(", "db.execute("];
        assert!(
            others.iter().all(|call| !source.contains(call)),
            "{file} runs a statement some other way"
        );
    }
}
