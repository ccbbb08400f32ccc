//! Forwarded addresses, and the networks that limits count.

use super::*;

fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
    let proxies = TrustedProxies::parse(["10.0.0.0/8", "::1", "2001:db8:ff::/48"]).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    client_address(peer.parse().unwrap(), &map, &proxies).to_string()
}

#[test]
fn forwarded_headers_of_untrusted_peers_are_ignored() {
    for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        for value in ["1.2.3.4", "for=1.2.3.4"] {
            assert_eq!(client("203.0.113.9", &[(header, value)]), "203.0.113.9");
        }
    }
    assert_eq!(
        client("::ffff:203.0.113.9", &[("x-forwarded-for", "1.2.3.4")]),
        "203.0.113.9"
    );
}

#[test]
fn the_rightmost_hop_that_is_no_proxy_is_the_client() {
    for (peer, header, address) in [
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.2.3.4", "203.0.113.9"),
        ("10.0.0.1", "10.9.9.9,10.2.3.4", "10.9.9.9"),
        ("::ffff:10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("::1", "[2001:db8::7]:80, 2001:db8:ff::1", "2001:db8::7"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, ,", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, \"[2001:db8::7]:4711\"", "2001:db8::7"),
        ("10.0.0.1", "\"203.0.113.9\"", "203.0.113.9"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "[fe80::1%25eth0]:80,10.0.0.2", "fe80::1"),
    ] {
        assert_eq!(
            client(peer, &[("x-forwarded-for", header)]),
            address,
            "{header}"
        );
    }
    let lines = [
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "203.0.113.9, 10.0.0.2"),
    ];
    assert_eq!(client("10.0.0.1", &lines), "203.0.113.9");
}

#[test]
fn a_hop_that_cannot_be_read_ends_at_the_last_trusted_address() {
    for (header, address) in [
        ("1.1.1.1, nonsense", "10.0.0.1"),
        ("1.1.1.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("1.1.1.1, unknown", "10.0.0.1"),
        ("203.0.113.9 1.1.1.1", "10.0.0.1"),
        ("1.1.1.1, é", "10.0.0.1"),
        ("[203.0.113.9", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("\"203.0.113.9", "10.0.0.1"),
        ("\"1.1.1.1, 203.0.113.9\"", "10.0.0.1"),
        ("\"\"", "10.0.0.1"),
        ("203.0.113.9%eth0", "10.0.0.1"),
        ("fe80::1%", "10.0.0.1"),
        ("%eth0", "10.0.0.1"),
        ("::ffff:1.1.1.1%eth0", "10.0.0.1"),
    ] {
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", header)]),
            address,
            "{header}"
        );
    }
}

#[test]
fn forwarded_is_read_with_quotes_brackets_ports_and_other_parameters() {
    for (header, address) in [
        ("for=203.0.113.9", "203.0.113.9"),
        (
            "for=1.1.1.1, For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.2",
            "2001:db8::7",
        ),
        (
            "proto=http;for=203.0.113.9;host=\"a, b;c\" , for=10.0.0.2",
            "203.0.113.9",
        ),
        ("for=\"203.0.113.\\9:80\"", "203.0.113.9"),
        ("for=1.1.1.1, for=_hidden", "10.0.0.1"),
        ("for=1.1.1.1, for=unknown, for=10.0.0.2", "10.0.0.2"),
        ("for=1.1.1.1, proto=https", "10.0.0.1"),
        ("for=1.1.1.1;for=2.2.2.2", "10.0.0.1"),
    ] {
        assert_eq!(
            client("10.0.0.1", &[("forwarded", header)]),
            address,
            "{header}"
        );
    }
}

#[test]
fn a_quote_left_open_by_the_client_does_not_let_it_choose_an_address() {
    for header in [
        "for=1.1.1.1;x=\", for=203.0.113.9",
        "for=1.1.1.1;x=\", for=\"[2001:db8::7]:80\"",
        "for=\"1.1.1.1\\, for=203.0.113.9",
        "for=\"1.1.1.1\"x, for=203.0.113.9",
    ] {
        assert_eq!(
            client("10.0.0.1", &[("forwarded", header)]),
            "10.0.0.1",
            "{header}"
        );
    }
}

#[test]
fn x_forwarded_for_alone_counts_where_both_are_sent() {
    let both = [
        ("forwarded", "for=1.1.1.1"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    assert_eq!(client("10.0.0.1", &both), "203.0.113.9");
    let broken = [
        ("forwarded", "for=1.1.1.1"),
        ("x-forwarded-for", "nonsense"),
    ];
    assert_eq!(client("10.0.0.1", &broken), "10.0.0.1");
}

#[test]
fn limits_count_ipv4_by_address_and_ipv6_by_its_first_half() {
    let count = |text: &str| networks(text.parse().unwrap()).0.to_string();
    assert_eq!(count("203.0.113.9"), "203.0.113.9");
    assert_eq!(count("::ffff:203.0.113.9"), "203.0.113.9");
    assert_eq!(count("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(count("2001:db8:1:3:3:4:5:6"), "2001:db8:1:3::");
    let site = |text: &str| {
        networks(text.parse().unwrap())
            .1
            .map(|site| site.to_string())
    };
    assert_eq!(site("2001:db8:1:3:3:4:5:6").unwrap(), "2001:db8:1::");
    assert_eq!(site("::ffff:203.0.113.9"), None);
}

#[test]
fn what_is_no_network_is_named() {
    for text in ["10.0.0.0/33", "proxy", "", "10.0.0"] {
        let refused = TrustedProxies::parse([text]).unwrap_err();
        assert!(
            refused.to_string().contains(&format!("`{text}`")),
            "{refused}"
        );
    }
}
