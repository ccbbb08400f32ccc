//! Metrics: recorded by all crates, and served as Prometheus's text on an address of their own.
//!
//! Invariant: the recorder is installed before anything that is measured is made, since handles are made once. What is
//! counted anyway is read when somebody asks, so that an idle server does nothing for its metrics.

mod collect;
mod histogram;
mod process;
mod recorder;
#[cfg(test)]
mod tests;
mod totals;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use keyward_core::error::chain;
use keyward_core::metrics::{Metric, gauge};
use keyward_server::serve;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

pub(crate) use self::collect::Sources;
use self::process::Process;
use self::recorder::{Recorder, Renderer};
use crate::settings::MetricsListen;

/// The address of `metrics.listen = "auto"`: the port that OpenTelemetry uses for this.
const AUTO: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

const BUILD: Metric = gauge(
    "keyward_build_info",
    &["version", "engine", "files"],
    "Always 1: the version of the program, its database engine and its storage of files.",
);

/// Everything that this program measures.
fn metrics() -> impl Iterator<Item = &'static Metric> {
    let of_program = [
        &[&BUILD],
        collect::METRICS,
        totals::METRICS,
        process::METRICS,
        crate::traces::METRICS,
    ];
    let of_crates = [
        keyward_core::METRICS,
        keyward_store::metrics::METRICS,
        &[keyward_server::metrics::METRICS],
    ];
    let lists = of_program
        .into_iter()
        .chain(of_crates.into_iter().flatten().copied());
    lists.flatten().copied()
}

/// An installed recorder, and where its metrics are to be served.
pub(crate) struct Metrics {
    renderer: Renderer,
    process: Process,
    listen: MetricsListen,
}

/// Metrics, and the socket on which they are served.
pub(crate) struct Listening {
    renderer: Renderer,
    process: Process,
    listener: TcpListener,
}

impl Metrics {
    /// Installs the recorder, unless metrics are off.
    ///
    /// # Errors
    /// When there is a recorder, which is a defect.
    pub(crate) fn install(listen: MetricsListen) -> anyhow::Result<Option<Self>> {
        if listen == MetricsListen::Off {
            return Ok(None);
        }
        let (recorder, renderer) = Recorder::new(metrics());
        ::metrics::set_global_recorder(recorder).map_err(|_| anyhow!("a second recorder"))?;
        Ok(Some(Self {
            renderer,
            process: Process::started(),
            listen,
        }))
    }

    /// Opens the socket. Where the address was not chosen and is taken, as by a second server on the machine, there is
    /// a warning and no socket.
    ///
    /// # Errors
    /// When the chosen address cannot be listened on.
    pub(crate) async fn bind(self) -> anyhow::Result<Option<Listening>> {
        let (address, is_chosen) = match self.listen {
            MetricsListen::At(address) => (address, true),
            MetricsListen::Auto | MetricsListen::Off => (AUTO, false),
        };
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) if !is_chosen => {
                let error = chain(&error);
                tracing::warn!(error, %address, "no metrics are served: set metrics.listen to another address");
                return Ok(None);
            }
            Err(error) => {
                let advice = format!(
                    "cannot serve metrics on {address}: set metrics.listen to another address or to \"off\""
                );
                return Err(error).context(advice);
            }
        };
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving metrics");
        Ok(Some(Listening {
            renderer: self.renderer,
            process: self.process,
            listener,
        }))
    }
}

impl Listening {
    /// Serves the metrics, and those of `sources`, until `stop` is ready and what is under way is finished.
    pub(crate) async fn serve(self, sources: Sources, stop: impl Future<Output = ()>) {
        let Self {
            renderer,
            process,
            listener,
        } = self;
        let random = sources.random();
        let render = move || {
            let (renderer, process, sources) = (renderer.clone(), process.clone(), sources.clone());
            async move {
                sources.collect().await;
                let render = move || {
                    process.collect();
                    renderer.render()
                };
                // A panic has been reported by its thread.
                spawn_blocking(render).await.unwrap_or_default()
            }
        };
        let site = keyward_server::metrics::site(random, render);
        let settings = keyward_server::metrics::connections();
        serve::run(listener, site, settings, Arc::default(), stop).await;
    }
}
