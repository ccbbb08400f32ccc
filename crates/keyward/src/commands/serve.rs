//! `keyward serve`: one server on one data folder, from start to a clean stop.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use futures_util::FutureExt as _;
use futures_util::future::{self, OptionFuture};
use keyward_core::accounts::Accounts;
use keyward_core::clock::Clock;
use keyward_core::error::chain;
use keyward_core::keys::Ring;
use keyward_server::limits::Limits;
use keyward_server::limits::shared::{self, Shared};
use keyward_server::{App, Base, Policies, redirect, serve, site};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::background::Background;
use crate::certificate::Presented;
use crate::data::Data;
use crate::metrics::{Metrics, Sources};
use crate::settings::{Flags, Settings};
use crate::storage::OpenStorage;
use crate::traces::{Export, Traces};
use crate::{demo, log, services, supervisor};

/// How long the end waits for work on the disk that nobody waits for any more.
const LAST_WAIT: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 takes a free port
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Serve demo data with public keys and passwords, reachable from this machine only
    #[arg(long)]
    demo: bool,
}

impl Arguments {
    pub(crate) fn run(self, mut flags: Flags) -> anyhow::Result<()> {
        let started = Instant::now();
        flags.add("--listen", "listen", self.listen.as_deref());
        let settings = super::settings(&flags)?;
        if self.demo {
            demo::check(&settings)?;
        }
        let traces = settings.traces.as_ref().map(Traces::prepare).transpose()?;
        let _log = log::start(&settings.log, traces.as_ref())?;
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        raise_file_limit();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(run(settings, traces, self.demo, started));
        runtime.shutdown_timeout(LAST_WAIT);
        result
    }
}

/// Looks at the costs of the stored password hashes while requests are served already.
fn learn_costs(accounts: Accounts) {
    tokio::spawn(async move {
        if let Err(error) = accounts.learn_costs().await {
            let cause = chain(&error);
            tracing::warn!(
                cause,
                "the costs of the stored password hashes could not be read"
            );
        }
    });
}

async fn run(
    mut settings: Settings,
    traces: Option<Traces>,
    is_demo: bool,
    started: Instant,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let scheme = start_tls(&mut settings)?;
    let metrics = Metrics::install(settings.metrics)?;
    let export = traces.map(Traces::start);
    let (folder, data) = Data::open_to_serve(&settings, is_demo).await?;
    let listener = match supervisor::listener()? {
        Some(passed) => adopt(passed)?,
        None => listen(settings.listen).await?,
    };
    let address = listener.local_addr()?;
    let metrics = match metrics {
        Some(metrics) => metrics.bind().await?,
        None => None,
    };
    let redirect = Redirect::bind(&settings, address).await?;
    let base = services::start(&data, settings.passwords, settings.max_revocation_lag).await?;
    let ring = services::ring(&data, &settings).await?;
    let base = base.with_ring(&ring);
    learn_costs(base.accounts.clone());
    let storage = OpenStorage::open(&settings.storage, &folder, &data, &base).await?;
    let app = assemble(&settings, &base, &ring, &storage)?;
    if is_demo {
        demo::fill(&base, &app.customers).await?;
        demo::warn();
    }

    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = stopped.map(drop).shared();
    let router = keyward_server::Settings {
        hosts: settings.hosts.of_server(is_demo),
        ..settings.router
    };
    let site = site(&app, &router);
    let (engine, files) = (data.engine.name(), storage.name());
    let min_free = settings.storage.min_free();
    let sources = Sources::new(&app, &data, files, folder.path().to_owned(), min_free);
    let metrics = metrics.map(|metrics| metrics.serve(sources, stopped.clone()));
    let redirect = redirect.map(|redirect| redirect.serve(&app, &router, stopped.clone()));
    let serving = serve::run(listener, site, settings.serve, settings.proxies, stopped);
    let others = future::join(OptionFuture::from(metrics), OptionFuture::from(redirect));
    let mut server = tokio::spawn(async move { tokio::join!(serving, others).0 });
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%address, folder = %folder.path().display(), engine, files, millis, version = env!("CARGO_PKG_VERSION"), "ready");
    announce(&format!("ready {scheme}://{address}"));
    supervisor::ready();
    tokio::spawn(supervisor::keep_alive());
    let background = Background::start(&app, ring, data.engine.follow_closures());

    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping"),
        cause = broken(&data, &storage) => bail!(
            "the disk failed to make a write durable, and nothing more can be promised: {cause}. \
             Check the disk, then start again: what was answered before is kept"
        ),
        ended = &mut server => bail!("the server ended by itself: {ended:?}"),
    }
    drop(stop);
    let finished = finish(server, &mut signals, background, &data).await;
    OptionFuture::from(export.map(Export::stop)).await;
    finished
}

/// Finishes the requests under way and closes the database, unless a second signal comes.
async fn finish(
    mut server: JoinHandle<usize>,
    signals: &mut Signals,
    background: Background,
    data: &Data,
) -> anyhow::Result<()> {
    supervisor::stopping();
    let cut_off = tokio::select! {
        cut_off = &mut server => cut_off?,
        signal = signals.next() => bail!("{signal} a second time: stopped without finishing requests"),
    };
    if cut_off > 0 {
        tracing::warn!(cut_off, "connections outlasted the stop and were cut off");
    }
    background.stop().await;
    data.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reads the certificate, if there is one, and follows its files. Gives the scheme of the server's URL.
fn start_tls(settings: &mut Settings) -> anyhow::Result<&'static str> {
    let Some(files) = &settings.tls else {
        return Ok("http");
    };
    // Before the files are read: until then the signal ends the program.
    let hangup = signal(SignalKind::hangup())?;
    let certificate = Presented::start(files)?;
    settings.serve.tls = Some(certificate.tls());
    tokio::spawn(certificate.follow(hangup));
    Ok("https")
}

/// The listener for clear text beside TLS.
struct Redirect {
    listener: TcpListener,
    port: u16,
    serve: serve::Settings,
}

impl Redirect {
    /// Opens the listener, if the settings have one. `address` is the address of the server itself.
    async fn bind(settings: &Settings, address: SocketAddr) -> anyhow::Result<Option<Self>> {
        let Some((listen, port)) = settings.redirect else {
            return Ok(None);
        };
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot listen on {listen}: stop what does, or change tls.redirect_listen")
        })?;
        tracing::info!(address = %listener.local_addr()?, "redirecting to https");
        Ok(Some(Self {
            listener,
            port: match port {
                0 => address.port(),
                port => port,
            },
            serve: redirect::connections(&settings.serve),
        }))
    }

    /// Redirects until `stop` is ready.
    fn serve<S: Future<Output = ()>>(
        self,
        app: &App,
        router: &keyward_server::Settings,
        stop: S,
    ) -> impl Future<Output = usize> + use<S> {
        let site = redirect::site(redirect::Settings {
            random: app.random.clone(),
            proxies: app.proxies.clone(),
            memory: app.memory.clone(),
            hosts: router.hosts.clone(),
            port: self.port,
            access_log: router.access_log,
        });
        serve::run(self.listener, site, self.serve, app.proxies.clone(), stop)
    }
}

/// The socket that the supervisor passes.
fn adopt(passed: std::net::TcpListener) -> anyhow::Result<TcpListener> {
    passed.set_nonblocking(true)?;
    Ok(TcpListener::from_std(passed)?)
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: stop what does, or name another with --listen")
    })
}

/// Why the disk can be trusted no more, once that is so.
async fn broken(data: &Data, storage: &OpenStorage) -> String {
    tokio::select! {
        cause = data.engine.failed() => cause,
        cause = storage.failed() => cause,
    }
}

/// All services of the server.
fn assemble(
    settings: &Settings,
    base: &Base,
    ring: &Arc<Ring>,
    storage: &OpenStorage,
) -> anyhow::Result<App> {
    let limits = limits(settings, ring, base.clock.clone())?;
    let policies = Policies {
        tokens: settings.tokens.clone(),
        files: settings.files,
        sign_ups: settings.sign_ups,
        proxies: settings.proxies.clone(),
        memory_budget: settings.memory_budget,
    };
    Ok(base.app(ring, storage.blobs(), limits, policies))
}

/// The rate limits, counted together with other servers where a Redis is named.
fn limits(settings: &Settings, ring: &Ring, clock: Arc<dyn Clock>) -> anyhow::Result<Limits> {
    let now = clock.now();
    let limits = Limits::new(&settings.limits, clock);
    let Some(url) = &settings.redis else {
        return Ok(limits);
    };
    // The servers of one Redis have this key in common, and Redis must not know it.
    let keys = ring.keys();
    let secret = keys.limits().signing(now).hmac();
    let secret = secret.sign(b"keyward shared limits key v1");
    let shared = Shared::start(&shared::Settings::new(url.expose(), secret.as_ref()))
        .context("limits.redis cannot be used: see docs/operations.md")?;
    Ok(limits.shared_by(shared))
}

/// Prints the one line of standard output; whoever closed that does not wait for it.
fn announce(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Allows as many open files as the system lets this process have: a connection is one.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(
            error = chain(&error),
            "the limit of open files stays as it is"
        );
    }
}

/// The signals that ask for a stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
