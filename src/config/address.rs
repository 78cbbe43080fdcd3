//! URLs and host addresses that people write, and how to show them without the secrets in them.

use std::ops::Range;

use url::Url;

use super::{BasicAuth, Secret, SecretText};

/// What is shown in place of a password in a URL; Prometheus' own.
const HIDDEN: &str = "xxxxx";

/// An http or https URL with a host.
pub fn parse_http_url(text: &str) -> Result<Url, String> {
    parse_url(text, &["http", "https"], "an http or https URL")
}

/// A proxy's URL.
pub(super) fn parse_proxy_url(text: &str) -> Result<Url, String> {
    parse_url(text, &["http", "https", "socks5", "socks5h"], "an http, https or socks5 URL")
}

fn parse_url(text: &str, schemes: &[&str], kind: &str) -> Result<Url, String> {
    let wrong = |why: String| format!("{} is not {kind}: {why}", quoted(text));
    let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !schemes.contains(&url.scheme()) {
        return Err(wrong(format!("its scheme is {}", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it has no host".to_owned()));
    }
    Ok(url)
}

/// Takes the user information out of a URL, as what it means: basic authentication.
pub(super) fn take_user_info(url: &mut Url) -> Option<BasicAuth> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let text = |part: &str| SecretText::Inline(Secret::new(percent_decoded(part)));
    let auth = BasicAuth { username: text(url.username()), password: url.password().map(text) };
    // Neither can fail: both are refused only for URLs without a host, which have no user information.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(auth)
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The URL with a mark in place of its password.
pub fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // Cannot fail: a URL that has a password may have another one.
        let _ = url.set_password(Some(HIDDEN));
    }
    url.into()
}

/// A text in quotes, as messages show it, without the user information of a URL.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = text.to_owned();
    for range in user_info_ranges(text).into_iter().rev() {
        shown.replace_range(range, HIDDEN);
    }
    format!("{shown:?}")
}

/// Where `//user:password@` stands in a text, without the slashes and the `@`.
pub(super) fn user_info_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find("//") {
        let start = from + found + 2;
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'');
        let end = text[start..].find(ends).map_or(text.len(), |length| start + length);
        if let Some(at) = text[start..end].rfind('@') {
            ranges.push(start..start + at);
        }
        from = start;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart_without_showing_passwords() {
        for (text, expected) in [
            ("http://h:9090/x", "http://h:9090/x"),
            ("ftp://h", "\"ftp://h\" is not an http or https URL: its scheme is ftp"),
            ("h:9090", "\"h:9090\" is not an http or https URL: its scheme is h"),
            ("/x", "\"/x\" is not an http or https URL: relative URL without a base"),
            ("http://u:pw@:80", "\"http://xxxxx@:80\" is not an http or https URL: empty host"),
        ] {
            assert_eq!(parse_http_url(text).map_or_else(|error| error, |url| redacted(&url)), expected);
        }
    }

    #[test]
    fn user_information_becomes_basic_authentication() {
        let mut url = parse_http_url("http://me:p%40ss%zz@h/").unwrap();
        assert_eq!(redacted(&url), "http://me:xxxxx@h/");
        let auth = take_user_info(&mut url).unwrap();
        let (SecretText::Inline(user), Some(SecretText::Inline(password))) = (auth.username, auth.password) else {
            panic!("both are in place");
        };
        assert_eq!((user.expose(), password.expose(), url.as_str()), ("me", "p@ss%zz", "http://h/"));
    }
}
