//! Which addresses may be asked.

use url::Url;

/// The addresses that begin with an allowed one.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    prefixes: Vec<Url>,
}

/// Parses what an address must begin with to be allowed.
pub fn prefix(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match () {
        _ if !matches!(url.scheme(), "http" | "https") => Err("it begins with neither https:// nor http://".to_owned()),
        _ if has_password(&url) => Err("it has a name or a password".to_owned()),
        _ if url.query().is_some() || url.fragment().is_some() => Err("it has a ? or a #".to_owned()),
        _ => Ok(url),
    }
}

fn has_password(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

impl Allowed {
    pub fn new(prefixes: &[Url]) -> Allowed {
        Allowed {
            prefixes: prefixes.to_vec(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Returns the address to ask, if it lies below an allowed one however it is written.
    pub fn parse(&self, text: &str) -> Option<Url> {
        Url::parse(text).ok().filter(|url| self.permits(url))
    }

    pub fn permits(&self, url: &Url) -> bool {
        let is_below = |prefix: &Url| {
            let rest = url.path().strip_prefix(prefix.path());
            prefix.scheme() == url.scheme()
                && prefix.host() == url.host()
                && prefix.port_or_known_default() == url.port_or_known_default()
                && rest.is_some_and(|rest| rest.is_empty() || prefix.path().ends_with('/') || rest.starts_with('/'))
        };
        !has_password(url) && !climbs(url.path()) && self.prefixes.iter().any(is_below)
    }
}

/// Whether a server that decodes a path once more than it should would find `..` in it. The parser itself has resolved
/// those that it sees.
fn climbs(path: &str) -> bool {
    let mut path = path.to_owned();
    // Encodings of encodings; what is still encoded then is refused.
    for _ in 0..4 {
        let is_climbing = |part: &str| part.trim_end_matches(' ') == "..";
        if path.split(['/', '\\']).any(is_climbing) || path.contains('\0') {
            return true;
        }
        match decoded(&path) {
            Some(next) => path = next,
            None => return false,
        }
    }
    true
}

/// The text without one layer of percent encoding, or nothing if there is none.
fn decoded(text: &str) -> Option<String> {
    let mut rest = text;
    let mut result = String::new();
    let mut any = false;
    while let Some(at) = rest.find('%') {
        result.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(byte) => {
                any = true;
                result.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            // What is no ASCII separates nothing.
            None => {
                result.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    result.push_str(rest);
    any.then_some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_is_allowed() {
        let allowed = [
            "https://media.example/a",
            "http://127.0.0.1:8080/",
            "https://media.example/b/",
        ];
        let allowed = Allowed::new(&allowed.map(|text| prefix(text).unwrap()));
        for text in [
            "https://media.example/a",
            "https://media.example/a/b.mp4?token=/../x#y",
            "HTTPS://MEDIA.example:443/a/./b.mp4",
            "https://media.example/x/../a/b.mp4",
            "http://127.0.0.1:8080/",
            "http://127.1:8080/x",
            "https://media.example/b/c%20d.mp4",
            "https://media.example/a/%2fx",
            "https://media.example/a/100%",
        ] {
            assert!(allowed.parse(text).is_some(), "{text}");
        }
        for text in [
            "http://media.example/a/b.mp4",
            "https://media.example/ab.mp4",
            "https://media.example/A/b.mp4",
            "https://media.example:444/a/b.mp4",
            "https://media.example.evil.example/a/b.mp4",
            "https://media.example@evil.example/a/b.mp4",
            "https://evil.example#@media.example/a/b.mp4",
            "https://user@media.example/a/b.mp4",
            "https://evil.example\\@media.example/a/b.mp4",
            "https://media.example/a/../c",
            "https://media.example/a/%2e%2e/c",
            "https://media.example/a/.%2E/c",
            "https://media.example/a/..%2fc",
            "https://media.example/a/..%5cc",
            "https://media.example/a/%252e%252e/c",
            "https://media.example/a/%25252e%25252e/c",
            "https://media.example/a/%2525252525252e/c",
            "https://media.example/b",
            "http://127.0.0.1:80/",
            "http://[::1]:8080/",
            "file:///etc/passwd",
            "media.example/a",
            "",
        ] {
            assert!(allowed.parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_a_plain_address() {
        for text in ["ftp://x/", "https://a@b/", "https://a/?x", "https://a/#x", "x", ""] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }
}
