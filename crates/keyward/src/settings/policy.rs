//! The settings as the policies that core and server take.
//!
//! Invariant: rules that concern several settings are here, and code that takes a policy knows neither names nor units
//! nor files of settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use keyward_core::accounts::{SignUpPolicy, passwords};
use keyward_core::secret::SecretText;
use keyward_core::{files, keys, tokens};
use keyward_jose::{Algorithm, HmacKey, hmac};
use keyward_server::address::TrustedProxies;
use keyward_server::hosts::{HostList, Hosts};
use keyward_server::{Contracts, limits, serve};

use super::files::TextFile;
use super::layers::Layers;
use super::list::{self, Values};
use super::secret::Secret;
use super::storage::{self, Storage};
use super::traces::{self, Traces};
use super::value::{Database, LogFilter, LogFormat, MetricsListen};
use super::{SettingError, SettingsError, Topic, Warning, urls, weak};
use crate::certificate;

/// Room beside a file for the other parts of its form, in bytes.
const FORM_ROOM: u64 = 64 * 1_024;
/// How long a stop waits for requests under way: all of it is to take 30 s at most.
const DRAIN: Duration = Duration::from_secs(28);
/// The algorithm of the notary contract.
const NOTARY_ALGORITHM: Algorithm = Algorithm::HS512;

/// Everything that the settings decide.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) database: Database,
    pub(crate) keys: keys::Policy,
    /// The file of the master key; `None` for the one in the data folder.
    pub(crate) master_key_file: Option<PathBuf>,
    pub(crate) tokens: tokens::Policy,
    /// How stale the list of closed sessions may be where several servers share a database.
    pub(crate) max_revocation_lag: Duration,
    pub(crate) passwords: passwords::Policy,
    pub(crate) sign_ups: SignUpPolicy,
    pub(crate) files: files::Policy,
    pub(crate) storage: Storage,
    pub(crate) serve: serve::Settings,
    /// The files of the certificate; none without TLS.
    pub(crate) tls: Option<certificate::Files>,
    /// Where clear text is redirected to https, and to which port; 0 is that of `listen`.
    pub(crate) redirect: Option<(SocketAddr, u16)>,
    pub(crate) proxies: Arc<TrustedProxies>,
    /// How many bytes may wait for clients.
    pub(crate) memory_budget: u64,
    pub(crate) limits: limits::Policy,
    /// The Redis in which several servers count together.
    pub(crate) redis: Option<SecretText>,
    /// The hosts that requests may name. Their meaning depends on whether a demo is served.
    pub(crate) hosts: HostList,
    pub(crate) router: keyward_server::Settings,
    /// Where metrics are served.
    pub(crate) metrics: MetricsListen,
    /// Where traces are sent; nowhere without a collector.
    pub(crate) traces: Option<Traces>,
    pub(crate) log: Log,
    /// What is unsafe or out of date in the settings.
    pub(crate) warnings: Vec<Warning>,
}

/// What is logged, and how.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) filter: LogFilter,
    pub(crate) format: LogFormat,
}

impl Settings {
    /// Reads the layers as what the program works with.
    ///
    /// # Errors
    /// Every value that is not allowed.
    pub(crate) fn read(layers: &Layers) -> Result<Self, SettingsError> {
        let Values {
            place,
            tokens,
            keys,
            sessions,
            passwords,
            accounts,
            files,
            http,
            tls,
            limits,
            contracts,
            metrics,
            traces,
            log,
        } = Values::read(layers)?;
        let mut warnings = layers.warnings.clone();
        if http.trusted_proxies.includes_clients() {
            warnings.push(everyone(layers));
        }
        Ok(Self {
            listen: place.listen,
            data_dir: layers.folder.join(&place.data_dir),
            database: urls::database(&place, layers, &mut warnings)?,
            master_key_file: master_key_file_of(&keys, layers),
            keys: keys_of(&tokens, &keys, layers, &mut warnings)?,
            tokens: tokens_of(tokens),
            max_revocation_lag: sessions.max_revocation_lag.0,
            passwords: passwords_of(&passwords),
            sign_ups: sign_ups_of(&accounts),
            storage: storage::read(&files, layers, &mut warnings)?,
            files: files_of(&files),
            serve: serve_of(&http),
            redirect: redirect_of(&tls, &http, layers)?,
            tls: tls_of(&tls, layers, &mut warnings)?,
            proxies: Arc::new(http.trusted_proxies),
            hosts: http.hosts,
            memory_budget: http.memory_budget.0,
            limits: limits_of(&limits),
            redis: urls::redis(&limits, layers, &mut warnings)?,
            router: keyward_server::Settings {
                contracts: contracts_of(&contracts),
                documentation: http.docs,
                access_log: http.access_log,
                traced: traces.otlp_endpoint.is_some(),
                strict_transport: (tls.certificate_file.is_some() && !tls.hsts.0.is_zero())
                    .then_some(tls.hsts.0),
                hosts: Hosts::default(),
                largest_upload: files.max_size.0.saturating_add(FORM_ROOM),
            },
            metrics: metrics.listen,
            traces: traces::read(traces, layers, &mut warnings)?,
            log: Log {
                filter: log.level,
                format: log.format,
            },
            warnings,
        })
    }
}

fn everyone(layers: &Layers) -> Warning {
    let key = "http.trusted_proxies";
    let message =
        format!("{key} contains a network that clients are in, so that they can claim any address");
    let advice = "Name the addresses of your proxies only";
    Warning::new(Topic::Proxies, layers.place(key), message, advice)
}

fn keys_of(
    tokens: &list::Tokens,
    keys: &list::Keys,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<keys::Policy, SettingsError> {
    let access = Secret {
        key: "tokens.access_token_secret",
        text: &tokens.access_token_secret,
        file_key: "tokens.access_token_secret_file",
        file: tokens.access_token_secret_file.as_deref(),
    };
    let notary = Secret {
        key: "tokens.notary_key",
        text: &tokens.notary_key,
        file_key: "tokens.notary_key_file",
        file: tokens.notary_key_file.as_deref(),
    };
    Ok(keys::Policy {
        algorithm: tokens.algorithm,
        access: key_of(&access, tokens.algorithm, layers, warnings)?,
        notary: key_of(&notary, NOTARY_ALGORITHM, layers, warnings)?,
        access_lifetime: tokens
            .access_ttl
            .0
            .max(tokens.standalone_access_ttl.0)
            .max(tokens.exchange_access_ttl.0)
            .saturating_add(tokens.leeway.0),
        refresh_lifetime: tokens.refresh_ttl.0.saturating_add(tokens.leeway.0),
        announce: keys.announce.0,
        rotate_every: (!keys.rotate_every.0.is_zero()).then_some(keys.rotate_every.0),
    })
}

fn master_key_file_of(keys: &list::Keys, layers: &Layers) -> Option<PathBuf> {
    let file = keys.master_key_file.as_ref()?;
    Some(layers.folder.join(file))
}

fn sign_ups_of(accounts: &list::Accounts) -> SignUpPolicy {
    SignUpPolicy {
        default: accounts.sign_up_default.unwrap_or(accounts.sign_up),
        ops: accounts.sign_up_ops.unwrap_or(accounts.sign_up),
        client: accounts.sign_up_client.unwrap_or(accounts.sign_up),
    }
}

fn key_of(
    secret: &Secret<'_>,
    algorithm: Algorithm,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<Option<SecretText>, SettingError> {
    let Some(found) = secret.find(layers, warnings)? else {
        return Ok(None);
    };
    let source = secret.source();
    if let Err(weak) = HmacKey::new(algorithm, found.expose().as_bytes()) {
        return Err(layers.error(source, advice(secret.key, weak)));
    }
    warnings.extend(weak::warn(source, &layers.place(source), found.expose()));
    Ok(Some(found))
}

fn advice(key: &str, weak: hmac::Error) -> String {
    let bytes = match weak {
        hmac::Error::WeakKey { needed, .. } => needed,
        hmac::Error::NotHmac(_) => 32,
    };
    format!(
        "{key} is too short: {weak}. Make one with `openssl rand -hex {bytes}`, or unset it: then the first start \
         generates a random key and keeps it"
    )
}

fn tokens_of(tokens: list::Tokens) -> tokens::Policy {
    tokens::Policy {
        access_ttl: tokens.access_ttl.0,
        refresh_ttl: tokens.refresh_ttl.0,
        session_max_lifetime: tokens.session_max_lifetime.0,
        standalone_access_ttl: tokens.standalone_access_ttl.0,
        exchange_access_ttl: tokens.exchange_access_ttl.0,
        refresh_grace: tokens.refresh_grace.0,
        leeway: tokens.leeway.0,
        issuer: tokens.issuer,
    }
}

fn files_of(files: &list::Files) -> files::Policy {
    files::Policy {
        largest: files.max_size.0,
        room: files::Room {
            files: files.max_files.0,
            bytes: files.max_bytes_per_operator.0,
        },
        unfinished: files.max_unfinished.0,
        upload_timeout: files.upload_timeout.0,
    }
}

fn passwords_of(passwords: &list::Passwords) -> passwords::Policy {
    passwords::Policy {
        memory_kib: passwords.memory_kib.0,
        passes: passwords.passes.0,
        threads: match passwords.threads.size() {
            0 => available_parallelism().map_or(1, usize::from),
            threads => threads,
        },
        queue: passwords.queue.size(),
    }
}

fn serve_of(http: &list::Http) -> serve::Settings {
    serve::Settings {
        header_timeout: http.header_timeout.0,
        idle_timeout: http.idle_timeout.0,
        body_timeout: http.body_timeout.0,
        write_timeout: http.write_timeout.0,
        max_connections: http.max_connections.size(),
        max_connections_per_address: http.max_connections_per_address.size(),
        max_streams: http.max_streams.size(),
        h2c: http.h2c,
        drain: DRAIN,
        ..serve::Settings::default()
    }
}

fn tls_of(
    tls: &list::TlsSection,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<Option<certificate::Files>, SettingError> {
    let alone = |key: &str, other: &str| {
        let message = format!("{key} is given and {other} is not: TLS needs both");
        Err(layers.error(key, message))
    };
    match (&tls.certificate_file, &tls.key_file) {
        (None, None) => Ok(None),
        (Some(_), None) => alone("tls.certificate_file", "tls.key_file"),
        (None, Some(_)) => alone("tls.key_file", "tls.certificate_file"),
        (Some(certificate), Some(key)) => {
            let files = certificate::Files {
                certificate: layers.folder.join(certificate),
                key: layers.folder.join(key),
            };
            // A file that cannot be read is named by whoever needs it.
            if let Ok(text) = TextFile::read(&files.key) {
                warnings.extend(text.exposure(&files.key.display().to_string(), true));
            }
            Ok(Some(files))
        }
    }
}

fn redirect_of(
    tls: &list::TlsSection,
    http: &list::Http,
    layers: &Layers,
) -> Result<Option<(SocketAddr, u16)>, SettingError> {
    let Some(listen) = tls.redirect_listen else {
        return Ok(None);
    };
    let key = "tls.redirect_listen";
    let refused = |message: &str| Err(layers.error(key, format!("{key} {message}")));
    if tls.certificate_file.is_none() {
        return refused("needs TLS: name a certificate in tls.certificate_file");
    }
    if !matches!(http.hosts.of_server(false), Hosts::Only(_)) {
        return refused("needs the hosts of this server: list them in http.hosts");
    }
    let port = u16::try_from(tls.redirect_port.0).unwrap_or_default();
    Ok(Some((listen, port)))
}

fn limits_of(limits: &list::Limits) -> limits::Policy {
    limits::Policy {
        enabled: limits.enabled,
        logins_per_account: limits.logins_per_account.0,
        logins_per_address: limits.logins_per_address.0,
        sign_ups_per_address: limits.sign_ups_per_address.0,
        sign_ups_per_account_name: limits.sign_ups_per_account_name.0,
        refreshes_per_address: limits.refreshes_per_address.0,
        arrays_per_account: limits.arrays_per_account.0,
        requests_per_account: limits.requests_per_account.0,
        notary_per_address: limits.notary_per_address.0,
        ..limits::Policy::default()
    }
}

fn contracts_of(contracts: &list::Contracts) -> Contracts {
    macro_rules! same {
        ($( $(#[doc = $doc:literal])+ $name:ident )+) => {
            Contracts { $( $name: contracts.$name, )+ }
        };
    }
    keyward_server::contracts!(same)
}
