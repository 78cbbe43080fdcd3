//! Where a redirect leads, and what may go there.

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

/// Hops followed before the answer is called a loop. The reference's bound.
pub(super) const HOPS_MAX: usize = 10;

/// Where to send the same request next; `None` where the answer is the answer.
///
/// A request keeps its method and body. The reference turns a redirected POST into a GET without a body, which asks
/// nothing and delivers nothing, and is then answered with 200; a 303, which demands just that, is therefore an answer.
pub(super) fn next_hop(status: StatusCode, method: &Method, headers: &HeaderMap, from: &Url) -> Option<Url> {
    let followed = match status {
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::SEE_OTHER => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    };
    let location = headers.get(LOCATION).filter(|_| followed)?;
    let next = from.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// Whether credentials and custom headers may go along: to the same host only, and never from TLS to plain text.
pub(super) fn may_carry_secrets(from: &Url, to: &Url) -> bool {
    let same_port = from.port_or_known_default() == to.port_or_known_default();
    let upgraded = from.scheme() == "http" && to.scheme() == "https";
    let same_scheme = from.scheme() == to.scheme();
    from.host() == to.host() && ((same_scheme && same_port) || upgraded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn secrets_stay_at_home() {
        for (from, to, carried) in [
            ("http://am:9093/a", "http://am:9093/b", true),
            ("http://am/a", "http://am:80/b", true),
            ("http://am/a", "https://am/b", true),
            ("https://am/a", "http://am/b", false),
            ("http://am:9093/a", "http://am:9094/a", false),
            ("http://am/a", "http://other/a", false),
            ("http://am/a", "http://x.am/a", false),
        ] {
            let url = |text| Url::parse(text).unwrap();
            assert_eq!(may_carry_secrets(&url(from), &url(to)), carried, "{from} to {to}");
        }
    }

    #[test]
    fn a_redirected_post_stays_a_post_or_is_not_followed() {
        for (status, method, location, next) in [
            (301, Method::POST, "/b", Some("http://am/b")),
            (302, Method::POST, "https://other/x", Some("https://other/x")),
            (303, Method::POST, "/b", None),
            (303, Method::GET, "/b", Some("http://am/b")),
            (308, Method::POST, "b", Some("http://am/b")),
            (304, Method::GET, "/b", None),
            (301, Method::GET, "ftp://am/b", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            let status = StatusCode::from_u16(status).unwrap();
            let from = Url::parse("http://am/a").unwrap();
            assert_eq!(next_hop(status, &method, &headers, &from).map(String::from).as_deref(), next);
        }
    }
}
