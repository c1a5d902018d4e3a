//! Where things are: https, the provider's own host, and a site that can be reached.

use std::net::{IpAddr, Ipv4Addr};

use super::report::Finding;
use super::rule::Rule;
use crate::config::Config;

/// The provider's host, exactly.
const API_HOST: &str = "api.ikhokha.com";
/// Ends of names that nobody outside can look up (RFC 2606, RFC 6761, RFC 6762, RFC 8375).
const PRIVATE_ENDS: [&str; 9] = [
    "localhost",
    "local",
    "internal",
    "test",
    "example",
    "invalid",
    "lan",
    "home",
    "corp",
];

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let site = &config.site;
    let mut findings = Vec::new();
    let pages = [
        ("COURSEGATE_SUCCESS_URL", Some(site.success_url.as_str())),
        ("COURSEGATE_FAILURE_URL", Some(site.failure_url.as_str())),
        ("COURSEGATE_CANCEL_URL", site.cancel_url.as_deref()),
    ];
    let others = [
        ("COURSEGATE_CALLBACK_URL", Some(site.callback_url.as_str())),
        ("COURSEGATE_SITE_URL", Some(site.requester_url.as_str())),
        ("IKHOKHA_API_URL", Some(config.api_url.as_str())),
    ];
    for (name, url) in pages.iter().chain(&others) {
        if url.is_some_and(|url| !url.starts_with("https://")) {
            findings.push(Finding::new(Rule::PlainHttp).about(*name));
        }
    }
    findings.extend(of_api(&config.api_url, "IKHOKHA_API_URL"));
    if !is_public(&host_of(&site.callback_url)) {
        findings.push(Finding::new(Rule::CallbackNotPublic).about("COURSEGATE_CALLBACK_URL"));
    }
    if site.callback_url.contains(['?', '#']) {
        findings.push(Finding::new(Rule::CallbackWithQuery).about("COURSEGATE_CALLBACK_URL"));
    }
    let own = host_of(&site.requester_url);
    for (name, url) in pages {
        if url.is_some_and(|url| !same_site(&host_of(url), &own)) {
            findings.push(Finding::new(Rule::PageElsewhere).about(name));
        }
    }
    findings
}

/// What is wrong with the address of the provider's API.
pub(crate) fn of_api(url: &str, subject: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if host_of(url) != API_HOST {
        findings.push(Finding::new(Rule::ApiHostOther).about(subject));
    } else if path_of(url) != path_of(Config::API_URL) {
        findings.push(Finding::new(Rule::ApiPathOther).about(subject));
    }
    findings
}

/// The path of an address, without a slash at its end.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.trim_end_matches('/')
}

/// The host of an address, in lower case and without its port.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    // What stands before an @ is no host, whatever it looks like.
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}

/// Whether the internet can reach it, as far as its name tells.
fn is_public(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_public_v4(address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => is_public_v4(address),
            None => {
                let first = address.segments()[0];
                let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
                !(address.is_loopback() || address.is_unspecified() || local)
            }
        },
        Err(_) => {
            let host = host.strip_suffix('.').unwrap_or(host);
            let end = host.rsplit('.').next().unwrap_or_default();
            host.contains('.') && !PRIVATE_ENDS.contains(&end)
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || shared)
}

/// The same host, or one below the other.
fn same_site(page: &str, own: &str) -> bool {
    let own = own.strip_prefix("www.").unwrap_or(own);
    let page = page.strip_prefix("www.").unwrap_or(page);
    let below = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|start| start.ends_with('.'));
    page == own || below(page, own) || below(own, page)
}
