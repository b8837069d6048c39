//! Where an HTTP worker is, and how it is asked.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// An HTTP worker. Holds no secret: it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What `/run` is put behind.
    pub url: BaseUrl,
    /// Whether it is asked to tell what it does while it does it.
    #[serde(default)]
    pub stream: bool,
    /// Who is to do the work behind it, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Who else, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// `http://HOST[:PORT][/PATH]` or the same with `https`; without a user, a password, a
/// query or a fragment, and without a `/` at its end. It can be shown to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl(String);

/// Why a word is no such URL; the end of a sentence that begins with the word, which
/// must not be shown where it [may hold a secret](UrlError::is_secret).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("does not begin with http:// or https://")]
    Scheme,
    /// No host, or what cannot be one.
    #[error("names no host")]
    Host,
    /// What cannot be a port.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    /// `user:password@`.
    #[error("has a user or a password in it")]
    Login,
    /// `?...` or `#...`.
    #[error("has a '?' or a '#' in it, and /run is put behind it")]
    Query,
    /// White space, control characters, or what is not ASCII.
    #[error("has a character in it that has to be written as %XX")]
    Character,
}

impl UrlError {
    /// Whether the word may hold a secret.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Login | Self::Query)
    }
}

impl BaseUrl {
    /// The URL of a page below it.
    pub fn below(&self, page: &str) -> String {
        format!("{}/{page}", self.0)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name or the number of its host; of version 6 without the brackets.
    pub fn host(&self) -> &str {
        split(&self.0).map_or("", |(_, host, _)| host)
    }

    /// Whether what is sent there stays on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether what is sent there can be read on the way.
    pub fn is_plain(&self) -> bool {
        split(&self.0).is_ok_and(|(scheme, ..)| scheme.eq_ignore_ascii_case("http"))
    }
}

/// Scheme, host and port of a URL.
fn split(url: &str) -> Result<(&str, &str, Option<&str>), UrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(UrlError::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(UrlError::Login);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(six) => {
            let (host, after) = six.split_once(']').ok_or(UrlError::Host)?;
            let port = match after.strip_prefix(':') {
                None if after.is_empty() => None,
                None => return Err(UrlError::Host),
                port => port,
            };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(UrlError::Host);
            }
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    Ok((scheme, host, port))
}

impl FromStr for BaseUrl {
    type Err = UrlError;

    fn from_str(word: &str) -> Result<Self, UrlError> {
        let (_, host, port) = split(word)?;
        if !word.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        if word.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || host.starts_with('-') || !host.chars().all(is_name) {
            return Err(UrlError::Host);
        }
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(UrlError::Port);
        }
        Ok(Self(word.trim_end_matches('/').to_owned()))
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = UrlError;

    fn try_from(word: String) -> Result<Self, UrlError> {
        word.parse()
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> Self {
        url.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_as_they_are_but_for_the_last_slash() {
        for (word, kept, host, loopback, plain) in [
            ("http://127.0.0.1:80", "http://127.0.0.1:80", "127.0.0.1", true, true),
            ("HTTP://LocalHost/", "HTTP://LocalHost", "LocalHost", true, true),
            ("http://[::1]:8080/a/b//", "http://[::1]:8080/a/b", "::1", true, true),
            ("https://a-b.example/v1", "https://a-b.example/v1", "a-b.example", false, false),
            (
                "http://127.0.0.1.example",
                "http://127.0.0.1.example",
                "127.0.0.1.example",
                false,
                true,
            ),
        ] {
            let url: BaseUrl = word.parse().expect(word);
            assert_eq!(url.as_str(), kept);
            assert_eq!((url.host(), url.is_loopback(), url.is_plain()), (host, loopback, plain));
            assert_eq!(url.below("run"), format!("{kept}/run"));
        }
    }

    #[test]
    fn what_is_no_url_is_named() {
        for (word, error) in [
            ("", UrlError::Scheme),
            ("localhost:80", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("http://", UrlError::Host),
            ("http://:80", UrlError::Host),
            ("http:///run", UrlError::Host),
            ("http://-o", UrlError::Host),
            ("http://[::1", UrlError::Host),
            ("http://[::1]x", UrlError::Host),
            ("http://[nine]", UrlError::Host),
            ("http://a{b,c}", UrlError::Host),
            ("http://a:", UrlError::Port),
            ("http://a:0", UrlError::Port),
            ("http://a:65536", UrlError::Port),
            ("https://me:secret@a/", UrlError::Login),
            ("https://a/?key=secret", UrlError::Query),
            ("https://a/#b", UrlError::Query),
            ("https://a/b c", UrlError::Character),
            ("https://a/\r\nX: y", UrlError::Character),
            ("https://ä/", UrlError::Character),
        ] {
            assert_eq!(word.parse::<BaseUrl>(), Err(error), "{word:?}");
        }
        assert!(serde_json::from_str::<BaseUrl>("\"ftp://a\"").is_err());
    }
}
