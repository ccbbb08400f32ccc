//! No method of a store trait goes without a case.

const TRAITS: [(&str, &str); 7] = [
    (
        "accounts",
        include_str!("../../../core/src/accounts/store.rs"),
    ),
    (
        "sessions",
        include_str!("../../../core/src/sessions/store.rs"),
    ),
    ("feed", include_str!("../../../core/src/sessions/feed.rs")),
    (
        "customers",
        include_str!("../../../core/src/customers/store.rs"),
    ),
    ("files", include_str!("../../../core/src/files/store.rs")),
    ("health", include_str!("../../../core/src/health.rs")),
    ("keys", include_str!("../../../core/src/keys/store.rs")),
];

const CASES: &str = concat!(
    include_str!("accounts.rs"),
    include_str!("invitations.rs"),
    include_str!("sessions.rs"),
    include_str!("session_races.rs"),
    include_str!("session_epochs.rs"),
    include_str!("session_feed.rs"),
    include_str!("rewinds.rs"),
    include_str!("customers.rs"),
    include_str!("files.rs"),
    include_str!("file_room.rs"),
    include_str!("health.rs"),
    include_str!("keys.rs"),
    include_str!("blobs.rs"),
);

#[test]
fn every_method_of_every_store_trait_is_called_by_a_case() {
    let mut methods = 0;
    for (capability, source) in TRAITS {
        let names = source.lines().filter_map(|line| {
            let signature = line.trim_start();
            let name = signature
                .strip_prefix("async fn ")
                .or_else(|| signature.strip_prefix("fn "))?;
            name.split_once(['(', '<']).map(|(name, _)| name)
        });
        for name in names.filter(|name| *name != "fmt") {
            let called = CASES.contains(&format!(".{name}("));
            assert!(called, "{capability}: no case calls {name}");
            methods += 1;
        }
    }
    assert!(methods > 30, "the traits were read: {methods} methods");
}

#[test]
fn every_case_is_in_the_list() {
    let list = include_str!("suite.rs");
    for line in CASES.lines() {
        let Some(signature) = line.strip_prefix("pub(crate) async fn ") else {
            continue;
        };
        let (name, parameters) = signature.split_once('(').expect("parameters");
        if parameters.is_empty() || parameters == "backend: &Backend) {" {
            assert!(list.contains(name), "{name} is not in the list");
        }
    }
}
