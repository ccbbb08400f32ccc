//! Where metrics are served.

use std::net::SocketAddr;

use super::{Raw, Value};

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricsListen {
    /// On the usual port of this machine, unless it is taken.
    Auto,
    /// Nowhere.
    Off,
    /// There, or the server does not start.
    At(SocketAddr),
}

impl Value for MetricsListen {
    fn expected() -> String {
        "\"auto\", \"off\", or an IP address and a port, such as \"127.0.0.1:9464\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "auto" => Some(Self::Auto),
            "off" => Some(Self::Off),
            address => address.parse().ok().map(Self::At),
        }
    }
}
