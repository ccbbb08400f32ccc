//! `keyward doctor`: finds what is wrong or soon will be, and says what to do. A server may run meanwhile.
//!
//! Invariant: it changes nothing, except that it writes and deletes a small object in the bucket.

mod bucket;
mod certificate;
mod data;
mod keys;
mod machine;
mod postgres;
mod redis;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use crate::output;
use crate::settings::{Database, Flags, Settings, Topic, Warning};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// The result of one check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            advice: Some(advice.into()),
            ..Self::ok(check, found)
        }
    }

    fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(check, found, advice)
        }
    }
}

impl Arguments {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        let findings = match super::settings(flags) {
            Ok(settings) => examine(&settings),
            Err(error) => vec![Finding::fail(
                "settings",
                format!("{error:#}"),
                "correct them; `keyward config example` explains every setting",
            )],
        };
        if self.json {
            output::json(&findings)?;
        } else {
            for finding in &findings {
                let Finding {
                    check,
                    level,
                    found,
                    advice,
                } = finding;
                output::line(&format!("{:4}  {check}: {found}", level.name()))?;
                if let Some(advice) = advice {
                    output::line(&format!("      -> {advice}"))?;
                }
            }
        }
        match findings
            .iter()
            .filter(|finding| finding.level == Level::Fail)
            .count()
        {
            0 => Ok(()),
            count => bail!("{count} of {} checks failed", findings.len()),
        }
    }
}

fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("settings", "they are valid")];
    for (topic, check, fine) in [
        (Topic::Names, "setting names", "all are known and current"),
        (
            Topic::Files,
            "settings files",
            "other users cannot change them or read the secrets in them",
        ),
        (Topic::Secrets, "secrets", "none of the given ones is weak"),
    ] {
        findings.extend(about(settings, topic, check, fine));
    }
    findings.extend(data::examine(settings));
    if let Database::Postgres(url) = &settings.database {
        findings.extend(postgres::examine(url));
    }
    findings.extend(redis::examine(settings));
    findings.extend(keys::examine(settings));
    findings.extend(bucket::examine(settings));
    findings.extend(certificate::examine(settings));
    findings.extend(machine::examine(settings));
    findings
}

/// The warnings of one topic, or the finding that there are none.
fn about(
    settings: &Settings,
    topic: Topic,
    check: &'static str,
    fine: &'static str,
) -> Vec<Finding> {
    let warnings = settings.warnings.iter();
    let found: Vec<Finding> = warnings
        .filter(|warning| warning.topic == topic)
        .map(|Warning { found, advice, .. }| Finding::warn(check, found, advice))
        .collect();
    match found.is_empty() {
        true => vec![Finding::ok(check, fine)],
        false => found,
    }
}

/// A number of bytes in a readable unit.
fn shown(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes / 1024, 0);
    while value >= 10_240 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024, unit + 1);
    }
    format!("{value} {}", UNITS[unit])
}
