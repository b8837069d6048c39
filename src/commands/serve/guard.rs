//! Who may ask: decided from the head alone, before anything of the body is read.

use std::net::IpAddr;

use super::request::{Head, Refusal};

/// Refuses a request that a web page may have made, on this machine or by way of a name
/// that points to it (DNS rebinding).
pub(super) fn no_web_page(head: &Head, is_loopback: bool) -> Result<(), Refusal> {
    let Some(host) = head.header("host")? else {
        return Err(Refusal::new(400, "the request has no Host header"));
    };
    if is_loopback && !is_this_machine(host) {
        return Err(Refusal::new(403, "the Host header names another machine than this one"));
    }
    let foreign = match head.header("origin")? {
        Some(origin) => origin.strip_prefix("http://") != Some(host),
        None => false,
    };
    let crossing =
        head.header("sec-fetch-site")?.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if foreign || crossing {
        return Err(Refusal::new(403, "requests of web pages are not answered"));
    }
    Ok(())
}

/// Refuses who has not the token, where there is one.
pub(super) fn has_token(head: &Head, token: Option<&str>) -> Result<(), Refusal> {
    let Some(token) = token else { return Ok(()) };
    let Some(said) = head.header("authorization")? else {
        return Err(Refusal::new(401, "a token is needed (Authorization: Bearer TOKEN)"));
    };
    let said = said.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if said.is_some_and(|(_, said)| is_same(said.trim().as_bytes(), token.as_bytes())) {
        return Ok(());
    }
    Err(Refusal::new(401, "the token is not the one of this server"))
}

/// Refuses what a form of a web page could send, too.
pub(super) fn is_json(head: &Head) -> Result<(), Refusal> {
    let kind = head.header("content-type")?.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::new(415, "the request has to be application/json (Content-Type)"))
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Compares without telling by the time it takes where the first difference is.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &str) -> Head {
        let text = format!("POST /run HTTP/1.1\r\n{headers}\r\n");
        Head::parse(text.as_bytes()).expect("parses").expect("whole").0
    }

    fn status(result: Result<(), Refusal>) -> Option<u16> {
        result.err().map(|refusal| refusal.status)
    }

    #[test]
    fn web_pages_are_kept_out() {
        let page = |headers: &str| status(no_web_page(&head(headers), true));
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:1", "127.9.9.9", "[::1]:8080"] {
            assert_eq!(page(&format!("Host: {host}\r\n")), None, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil",
            "10.0.0.1",
            "[fe80::1]",
            "",
        ] {
            assert_eq!(page(&format!("Host: {host}\r\n")), Some(403), "{host}");
        }
        assert_eq!(page(""), Some(400));
        assert_eq!(page("Host: localhost\r\nHost: localhost\r\n"), Some(400));
        for origin in ["http://evil.example", "null", "https://localhost:80", "http://localhost:81"]
        {
            let headers = format!("Host: localhost:80\r\nOrigin: {origin}\r\n");
            assert_eq!(page(&headers), Some(403), "{origin}");
        }
        assert_eq!(page("Host: localhost:80\r\nOrigin: http://localhost:80\r\n"), None);
        assert_eq!(page("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"), Some(403));
        assert_eq!(page("Host: localhost\r\nSec-Fetch-Site: none\r\n"), None);
        // Elsewhere names are not ours to know, and there is a token.
        assert_eq!(status(no_web_page(&head("Host: build.example\r\n"), false)), None);
        let foreign = head("Host: build.example\r\nOrigin: http://evil.example\r\n");
        assert_eq!(status(no_web_page(&foreign, false)), Some(403));
    }

    #[test]
    fn the_token_has_to_be_the_very_one() {
        let token = |headers: &str| status(has_token(&head(headers), Some("s3cret")));
        assert_eq!(token("Authorization: Bearer s3cret\r\n"), None);
        assert_eq!(token("authorization: bearer  s3cret\r\n"), None);
        let wrong = [
            "",
            "Bearer",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer S3cret",
            "Basic s3cret",
            "s3cret",
        ];
        for said in wrong {
            assert_eq!(token(&format!("Authorization: {said}\r\n")), Some(401), "{said}");
        }
        assert_eq!(token(""), Some(401));
        let twice = "Authorization: Bearer s3cret\r\nAuthorization: Bearer x\r\n";
        assert_eq!(token(twice), Some(400));
        assert_eq!(status(has_token(&head(""), None)), None);
    }

    #[test]
    fn only_json_is_taken() {
        let kind = |kind: &str| status(is_json(&head(&format!("Content-Type: {kind}\r\n"))));
        assert_eq!(kind("application/json"), None);
        assert_eq!(kind("Application/JSON; charset=utf-8"), None);
        for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            assert_eq!(kind(wrong), Some(415), "{wrong}");
        }
        assert_eq!(status(is_json(&head(""))), Some(415));
    }
}
