//! Checks that Redis can count the limits.

use keyward_core::error::chain;
use keyward_server::limits::shared;

use super::Finding;
use crate::settings::Settings;

pub(super) fn examine(settings: &Settings) -> Option<Finding> {
    const CHECK: &str = "redis";
    let url = settings.redis.as_ref()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let checked = match runtime {
        Ok(runtime) => runtime.block_on(shared::check(url.expose())),
        Err(error) => {
            let advice = "see the message; Redis was not looked at";
            return Some(Finding::fail(CHECK, error.to_string(), advice));
        }
    };
    Some(match checked {
        Ok(Ok(())) => Finding::ok(CHECK, "it counts the limits"),
        // Servers run without it.
        Ok(Err(error)) => Finding::warn(CHECK, chain(&error), error.advice()),
        Err(error) => Finding::fail(CHECK, chain(&error), "correct limits.redis in the settings"),
    })
}
