//! The host that a request names, and the hosts that a server accepts.
//!
//! Invariant: a demo, and a server with a list of hosts, refuse every request for another host, whatever its path and
//! headers. This prevents DNS rebinding, in which a page of another site reaches this server under a name of that site.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::HOST;
use http::{HeaderMap, Uri};

use crate::byte_set::ByteSet;

/// The hosts that a server accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// Every host.
    #[default]
    Any,
    /// The names and addresses of the machine itself, unless a trusted proxy sent the request.
    Loopback,
    /// A list of names, of `*.` and a name for all names below it, and of IP addresses. They are in lower case and
    /// without a dot at the end.
    Only(Vec<String>),
}

/// The text is not a host.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a host such as keyward.example.org, *.example.org or [::1], without a port")]
pub struct NotAHost(String);

/// The hosts in a setting. An empty list means every host, or in a demo only the machine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostList(Vec<String>);

impl HostList {
    /// Parses names, `*.` and a name for all names below it, and IP addresses, with IPv6 in brackets. `*` means every
    /// host.
    ///
    /// # Errors
    /// The first text that is not a host.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, NotAHost> {
        let host = |text: T| {
            let text = text.as_ref();
            if text.trim() == "*" {
                return Ok("*".to_owned());
            }
            let host = text.trim().trim_end_matches('.').to_ascii_lowercase();
            let name = host.strip_prefix("*.").unwrap_or(&host);
            let is_one = is_uri_host(name) && !name.is_empty() && !name.contains('*');
            match is_one {
                true => Ok(host),
                false => Err(NotAHost(text.to_owned())),
            }
        };
        texts
            .into_iter()
            .map(host)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The hosts that a server accepts.
    ///
    /// Only a demo restricts them by default. Any other server may be behind a proxy that passes on the client's
    /// `Host`, even on a loopback address.
    #[must_use]
    pub fn of_server(&self, is_demo: bool) -> Hosts {
        let Self(hosts) = self;
        match hosts.is_empty() {
            true if is_demo => Hosts::Loopback,
            false if !hosts.iter().any(|host| host == "*") => Hosts::Only(hosts.clone()),
            _ => Hosts::Any,
        }
    }
}

impl Hosts {
    /// Whether a request to `uri` is for one of the hosts. `vouched` tells whether a trusted proxy sent it. A request
    /// without a host is accepted, since no browser sends one.
    pub(crate) fn include(&self, uri: &Uri, headers: &HeaderMap, vouched: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => vouched || host(uri, headers).is_none_or(is_loopback),
            Self::Only(hosts) => host(uri, headers).is_none_or(|host| {
                let listed = |listed: &String| match listed.strip_prefix('*') {
                    Some(domain) => is_below(host, domain),
                    None => host.eq_ignore_ascii_case(listed),
                };
                hosts.iter().any(listed)
            }),
        }
    }
}

/// The host that a request names, without the port: that of the request target if it has one (RFC 9112 §3.2.2), else
/// that of `Host`.
pub(crate) fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let named = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(HOST)?.to_str().ok()?,
    };
    let end = match named.find(']') {
        Some(bracket) => bracket + 1,
        None => named.find(':').unwrap_or(named.len()),
    };
    let host = named[..end].trim_end_matches('.');
    (!host.is_empty()).then_some(host)
}

/// Whether `host` is a name below `domain`, which begins with a dot.
fn is_below(host: &str, domain: &str) -> bool {
    let at = host.len().checked_sub(domain.len());
    at.filter(|&at| at > 0)
        .and_then(|at| host.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(domain))
}

/// Whether the host is a loopback name (RFC 6761 §6.3) or a loopback address.
fn is_loopback(host: &str) -> bool {
    let is_address = match host.strip_prefix('[') {
        Some(six) => six.strip_suffix(']').and_then(|six| six.parse().ok()),
        None => host.parse().ok().map(|four: Ipv4Addr| four.into()),
    }
    .is_some_and(|address: IpAddr| address.to_canonical().is_loopback());
    is_address || host.eq_ignore_ascii_case("localhost") || is_below(host, ".localhost")
}

/// Whether `text` is `uri-host [ ":" port ]` (RFC 9110 §7.2). The host may be empty.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    // Almost every host is a plain name or an IPv4 address.
    let name = text.iter().take_while(|&&byte| is_name_byte(byte)).count();
    match &text[name..] {
        [] => return true,
        [b':', port @ ..] => return port.iter().all(u8::is_ascii_digit),
        _ => {}
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    // In a host with brackets, only a colon after them separates the port.
    let colon = text[text.find(']').unwrap_or(0)..].rfind(':');
    let (host, port) = match colon {
        Some(_) => text.rsplit_once(':').unwrap_or((text, "")),
        None => (text, ""),
    };
    is_uri_host(host) && port.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether `text` is the host of a URI (RFC 3986 §3.2.2).
fn is_uri_host(text: &str) -> bool {
    if let Some(literal) = text.strip_prefix('[') {
        return literal
            .strip_suffix(']')
            .is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok() || is_future(inside));
    }
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_part = match byte {
            b'%' => {
                let mut is_digit = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                is_digit() && is_digit()
            }
            other => is_name_byte(other),
        };
        if !is_part {
            return false;
        }
    }
    true
}

/// Whether `text` is an `IPvFuture` address, `v1.…`.
fn is_future(text: &str) -> bool {
    let Some((version, address)) = text
        .strip_prefix(['v', 'V'])
        .and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    let is_hex = !version.is_empty() && version.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_address = |byte: u8| byte == b':' || is_name_byte(byte);
    is_hex && !address.is_empty() && address.bytes().all(is_address)
}

/// Whether the byte is unreserved or a sub-delimiter (RFC 3986 §2.2, §2.3).
fn is_name_byte(byte: u8) -> bool {
    static NAME: ByteSet = ByteSet::alphanumeric_and(b"-._~!$&'()*+,;=");
    NAME.contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for text in [
            "",
            "a",
            "a:80",
            "a:",
            ":80",
            "A.example.",
            "a_b~c-d",
            "a,b",
            "a%20b",
            "127.0.0.1:5000",
            "[::1]",
            "[::1]:5000",
            "[::ffff:127.0.0.1]:",
            "[v1.a:b]",
            "a:99999",
            "!$&'()*+,;=",
        ] {
            assert!(is_authority(text.as_bytes()), "{text}");
        }
        for text in [
            "a b",
            "a\tb",
            "a/b",
            "a@b",
            "a?b",
            "a#b",
            "a\\b",
            "http://a",
            "a:b",
            "a:8 0",
            "a:-1",
            "a:+1",
            "a:80:80",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]:x",
            "[::1%eth0]",
            "[::1%25eth0]",
            "[a]",
            "[]",
            "[v.a]",
            "[v1.]",
            "a%zz",
            "a%2",
            "a%",
            "é",
            "\"a\"",
            "<a>",
            "a|b",
            "a^b",
            "{a}",
            "a`b",
            "[127.0.0.1]",
        ] {
            assert!(!is_authority(text.as_bytes()), "{text}");
        }
        assert!(!is_authority(b"a\xff") && !is_authority(b"a\0"));
    }

    fn include(hosts: &Hosts, host: &str, vouched: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        hosts.include(&Uri::from_static("/"), &headers, vouched)
    }

    #[test]
    fn a_demo_answers_for_loopback_alone_unless_a_proxy_vouches() {
        assert_eq!(HostList::default().of_server(true), Hosts::Loopback);
        assert_eq!(HostList::default().of_server(false), Hosts::Any);
        for host in [
            "localhost",
            "LocalHost:5000",
            "localhost.",
            "a.localhost:1",
            "127.0.0.1",
            "127.1.2.3:80",
            "[::1]:5000",
            "[0:0::1]",
            "[::ffff:127.0.0.1]",
            "",
            ":80",
        ] {
            assert!(include(&Hosts::Loopback, host, false), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            ".localhost.evil",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "127.1",
            "0x7f000001",
            "2130706433",
            "[::2]",
            "[::]",
            "%6cocalhost",
            "127.0.0.01",
        ] {
            assert!(!include(&Hosts::Loopback, host, false), "{host}");
            assert!(include(&Hosts::Loopback, host, true), "{host}");
            assert!(include(&Hosts::Any, host, false), "{host}");
        }
        assert!(Hosts::Loopback.include(&Uri::from_static("/"), &HeaderMap::new(), false));
    }

    #[test]
    fn the_target_names_the_host_where_it_has_one() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        let uri = Uri::from_static("http://evil.example/");
        assert!(!Hosts::Loopback.include(&uri, &headers, false));
        headers.insert(HOST, "evil.example".parse().unwrap());
        let uri = Uri::from_static("http://localhost:5000/");
        assert!(Hosts::Loopback.include(&uri, &headers, false));
    }

    #[test]
    fn a_list_of_hosts_holds_for_every_listener_and_every_sender() {
        let hosts = HostList::parse(["Keyward.Example.", "*.example.org", "[::1]"])
            .unwrap()
            .of_server(true);
        for host in [
            "keyward.example:443",
            "KEYWARD.example.",
            "a.example.org",
            "a.b.example.org",
            "[::1]:80",
        ] {
            assert!(include(&hosts, host, false), "{host}");
        }
        for host in [
            "example.org",
            "xexample.org",
            "a.keyward.example",
            "localhost",
            "127.0.0.1",
        ] {
            assert!(
                !include(&hosts, host, false) && !include(&hosts, host, true),
                "{host}"
            );
        }
        assert_eq!(
            HostList::parse(["a", "*"]).unwrap().of_server(true),
            Hosts::Any
        );
        for text in [
            "", "a b", "http://a", "a:80", "[::1", "*.", "a.*.b", "**", ".", "*.*",
        ] {
            let refused = HostList::parse([text]).unwrap_err();
            assert!(
                refused.to_string().contains(&format!("`{text}`")),
                "{refused}"
            );
        }
    }
}
