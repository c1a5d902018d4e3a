//! Where things are: https, the provider's own host, and a site that can be reached. Addresses are
//! read as the client and the provider read them, whatever they look like.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::report::ReadinessFinding;
use super::rule::ReadinessRule;
use crate::config::{Config, Mode};
use crate::port::Capabilities;

/// The provider's host, exactly.
const API_HOST: &str = "api.ikhokha.com";
/// Ends of names that nobody outside can look up (RFC 2606, RFC 6761, RFC 6762, RFC 8375).
const PRIVATE_ENDS: [&str; 12] = [
    "localhost",
    "local",
    "internal",
    "test",
    "example",
    "invalid",
    "lan",
    "home",
    "corp",
    "localdomain",
    "intranet",
    "home.arpa",
];
/// Names that lead back to the machine that asks, or to an address that stands in the name.
const BACK_HERE: [&str; 8] = [
    "localtest.me",
    "lvh.me",
    "vcap.me",
    "lacolhost.com",
    "nip.io",
    "sslip.io",
    "xip.io",
    "traefik.me",
];
/// Names that are kept for examples (RFC 2606).
const EXAMPLES: [&str; 3] = ["example.com", "example.net", "example.org"];
/// Names of tunnels to a developer's machine: they end, and others get them.
const TUNNELS: [&str; 16] = [
    "ngrok.io",
    "ngrok.app",
    "ngrok.dev",
    "ngrok-free.app",
    "ngrok-free.dev",
    "trycloudflare.com",
    "loca.lt",
    "localtunnel.me",
    "localhost.run",
    "lhr.life",
    "serveo.net",
    "pagekite.me",
    "tunnelto.dev",
    "bore.pub",
    "devtunnels.ms",
    "loclx.io",
];

pub(super) fn findings(config: &Config) -> Vec<ReadinessFinding> {
    let site = &config.site;
    let is_staging = config.mode == Mode::Staging;
    let mut findings = Vec::new();
    let pages = [
        ("COURSEGATE_SUCCESS_URL", Some(site.success_url.as_str())),
        ("COURSEGATE_FAILURE_URL", Some(site.failure_url.as_str())),
        ("COURSEGATE_CANCEL_URL", site.cancel_url.as_deref()),
    ];
    let callback = ("COURSEGATE_CALLBACK_URL", Some(site.callback_url.as_str()));
    let requester = ("COURSEGATE_SITE_URL", Some(site.requester_url.as_str()));
    let api = ("IKHOKHA_API_URL", Some(config.api_url.as_str()));
    for (name, text) in pages.iter().chain(&[callback, requester, api]) {
        let Some(text) = text else { continue };
        match read(text) {
            None => {
                findings.push(ReadinessFinding::new(ReadinessRule::AddressUnreadable).about(*name));
            }
            // Nobody is on the way to this machine.
            Some(url) if is_staging && is_local(&url) => {}
            Some(url) if url.scheme() != "https" => {
                findings.push(ReadinessFinding::new(ReadinessRule::PlainHttp).about(*name));
            }
            Some(_) => {}
        }
    }
    findings.extend(of_api(&config.api_url, api.0, config.mode));
    if let Some(url) = read(&site.callback_url) {
        if !is_public(&url) && !is_staging {
            findings
                .push(ReadinessFinding::new(ReadinessRule::CallbackNotPublic).about(callback.0));
        }
        findings.extend(of_callback(&site.callback_url, &url, callback.0));
    }
    let own = read(&site.requester_url);
    for (name, text) in pages {
        let Some(page) = text.and_then(read) else {
            continue;
        };
        if let Some(own) = &own
            && !same_site(&page, own)
        {
            findings.push(ReadinessFinding::new(ReadinessRule::PageElsewhere).about(name));
        }
        if let Some(rule) = name_of_others(&page) {
            findings.push(ReadinessFinding::new(rule).about(name));
        }
    }
    if !site.success_url.contains("{reference}") {
        findings.push(
            ReadinessFinding::new(ReadinessRule::PageWithoutReference)
                .about("COURSEGATE_SUCCESS_URL"),
        );
    }
    findings
}

/// An address as the client reads it; `None` when it is none, or nothing can be there.
fn read(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let there = url.has_host() && url.port() != Some(0);
    there.then_some(url)
}

/// What is wrong with the address that callbacks come to.
fn of_callback(text: &str, url: &Url, subject: &str) -> Vec<ReadinessFinding> {
    let mut findings = Vec::new();
    findings.extend(name_of_others(url).map(|rule| ReadinessFinding::new(rule).about(subject)));
    if url.query().is_some() || url.fragment().is_some() {
        findings.push(ReadinessFinding::new(ReadinessRule::CallbackWithQuery).about(subject));
    }
    // What the provider is given and signs is how a URL parser writes it.
    if is_ambiguous(url.path()) {
        findings.push(ReadinessFinding::new(ReadinessRule::CallbackPathOdd).about(subject));
    } else if path_as_written(text) != url.path() {
        findings.push(ReadinessFinding::new(ReadinessRule::CallbackPathRewritten).about(subject));
    }
    findings
}

/// Whether others read a path otherwise even in this form: proxies merge slashes, and older parsers
/// than WHATWG's encode more signs.
fn is_ambiguous(path: &str) -> bool {
    let mut escapes = path.split('%').skip(1);
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    path.contains("//") || path.contains(['\'', '|', '^', '[', ']']) || !escapes.all(is_escape)
}

/// The path of an address as it is written, without query and fragment.
fn path_as_written(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let path = rest[..end].find('/').map(|start| &rest[start..end]);
    path.unwrap_or("/")
}

/// What is wrong with the address of the provider's API.
pub(crate) fn of_api(text: &str, subject: &str, mode: Mode) -> Option<ReadinessFinding> {
    let url = read(text)?;
    let right = Url::parse(Config::API_URL).ok()?;
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let has_path = path(&url) == path(&right);
    let is_provider = url.host_str() == Some(API_HOST) && url.port_or_known_default() == Some(443);
    let found = |rule| Some(ReadinessFinding::new(rule).about(subject));
    match (mode, is_local(&url)) {
        (Mode::Staging, false) => found(ReadinessRule::StagingProvider),
        (Mode::Staging, true) if has_path => None,
        (Mode::Staging, true) => {
            let remedy = format!("A simulator's address ends with `{}`.", right.path());
            found(ReadinessRule::ApiPathOther).map(|finding| finding.doing(remedy))
        }
        (Mode::Live | Mode::Test, _) if is_provider && has_path => None,
        (Mode::Live | Mode::Test, _) if is_provider => found(ReadinessRule::ApiPathOther),
        (Mode::Live | Mode::Test, false) => found(ReadinessRule::ApiHostOther),
        (Mode::Live | Mode::Test, true) => found(ReadinessRule::ApiHostOther).map(|finding| {
            let staging =
                "to try everything out with a simulator there, set COURSEGATE_MODE to staging";
            let remedy = format!("Unset IKHOKHA_API_URL; {staging}.");
            finding.doing(remedy)
        }),
    }
}

/// Whether a gateway may lead to a provider that moves real money.
pub(crate) fn may_be_real(capabilities: &Capabilities) -> bool {
    match &capabilities.address {
        Some(address) => !read(address).is_some_and(|url| is_local(&url)),
        None => !capabilities.is_test_double,
    }
}

/// Whether two addresses are one, however they are written.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let form = |text: &str| {
        let form = Url::parse(text).map_or_else(|_| text.to_owned(), String::from);
        form.trim_end_matches('/').to_owned()
    };
    form(one) == form(other)
}

/// Whether a name is one that others have: an example, or a tunnel.
fn name_of_others(url: &Url) -> Option<ReadinessRule> {
    let Some(Host::Domain(name)) = url.host() else {
        return None;
    };
    if is_below(name, &EXAMPLES) {
        Some(ReadinessRule::AddressExample)
    } else if is_below(name, &TUNNELS) {
        Some(ReadinessRule::AddressTunnel)
    } else {
        None
    }
}

fn is_below(name: &str, ends: &[&str]) -> bool {
    let name = name.trim_end_matches('.');
    let below = |end: &&str| {
        name.strip_suffix(*end)
            .is_some_and(|start| start.is_empty() || start.ends_with('.'))
    };
    ends.iter().any(below)
}

/// Whether the internet can reach it, as far as its name tells.
fn is_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public_v4(address),
        Some(Host::Ipv6(address)) => is_public_v6(address),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !is_below(name, &PRIVATE_ENDS) && !is_below(name, &BACK_HERE)
        }
        None => false,
    }
}

/// Whether it is on this machine or its own network. No public certificate is made for such names,
/// so that none of them leads to the provider, whatever they are looked up as.
fn is_local(url: &Url) -> bool {
    let is_local_v4 = |address: Ipv4Addr| address.is_loopback() || address.is_private();
    match url.host() {
        Some(Host::Ipv4(address)) => is_local_v4(address),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(older) => is_local_v4(older),
            None => address.is_loopback() || address.is_unique_local(),
        },
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            !name.contains('.') || is_below(name, &PRIVATE_ENDS)
        }
        None => false,
    }
}

/// Not one of the special ranges of the IANA registry (RFC 6890 and later).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let relay = (a, b, c) == (192, 88, 99);
    let benchmarks = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || a >= 224
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || protocols
        || relay
        || benchmarks)
}

/// The same; those that hold an older address are as public as that is.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [.., high, low] = segments;
    let older = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match segments {
        // IPv4-mapped and NAT64.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            is_public_v4(older(high, low))
        }
        // 6to4.
        [0x2002, high, low, ..] => is_public_v4(older(high, low)),
        // Teredo, benchmarks and other protocols' own; documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Only this much is given out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The same host, or one below the other.
fn same_site(page: &Url, own: &Url) -> bool {
    let name = |url: &Url| {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        host.strip_prefix("www.").unwrap_or(host).to_owned()
    };
    let (page, own) = (name(page), name(own));
    let below = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|start| start.ends_with('.'));
    page == own || below(&page, &own) || below(&own, &page)
}
