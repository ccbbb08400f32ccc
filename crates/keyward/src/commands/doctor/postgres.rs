//! Checks that PostgreSQL answers and that its commits survive a power cut.

use keyward_core::secret::SecretText;
use keyward_store::postgres::{Durability, durability};

use super::Finding;

pub(super) fn examine(url: &SecretText) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(durability(url.expose())),
        Err(error) => {
            let advice = "see the message; the database was not looked at";
            return vec![Finding::fail("database", error.to_string(), advice)];
        }
    };
    match asked {
        Ok(settings) => {
            let answers = Finding::ok("database", "PostgreSQL answers");
            std::iter::once(answers)
                .chain(settings.into_iter().map(judge))
                .collect()
        }
        Err(error) => vec![Finding::fail(
            "database",
            format!("{:#}", anyhow::Error::from(error)),
            "start it, or correct `database` in the settings",
        )],
    }
}

fn judge(durability: Durability) -> Finding {
    let Durability { setting, value } = durability;
    match value.as_deref() {
        None => Finding::warn(
            setting,
            "the database does not report it, so it cannot be checked",
            "make sure, with its manual, that a commit is on disk before it is acknowledged",
        ),
        Some("off") => Finding::fail(
            setting,
            "it is off: a power cut loses acknowledged writes or damages the database",
            format!(
                "as a superuser: ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf(); then look whether the \
                 command line, the role or the database sets it"
            ),
        ),
        Some(value) => Finding::ok(setting, format!("it is {value}")),
    }
}
