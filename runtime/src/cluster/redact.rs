//! What may be told of addresses: no name, no password, and nothing behind a `?`, which is often a signature.

/// An address as it may be told. One that is used is told as it is, apart from its signature.
pub fn shown(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", plain(rest)),
        None => cut(address).to_owned(),
    }
}

/// A text with its addresses as they may be told, whatever else it is.
pub fn redacted(text: &str) -> String {
    // In JSON a slash may be written in two ways.
    const STARTS: [&str; 2] = ["://", ":\\/\\/"];
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let starts = STARTS.iter().filter_map(|start| Some((rest.find(start)?, start.len())));
        let Some((at, length)) = starts.min() else {
            return told + rest;
        };
        let (before, address) = rest.split_at(at + length);
        let is_end = |char: char| char.is_whitespace() || matches!(char, '"' | '\'' | '`' | '<' | '>');
        let (address, after) = address.split_at(address.find(is_end).unwrap_or(address.len()));
        told.push_str(before);
        told.push_str(plain(address));
        rest = after;
    }
}

/// What follows the scheme, without what is not told.
fn plain(address: &str) -> &str {
    let host = &address[..address.find(['/', '\\', '?', '#']).unwrap_or(address.len())];
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    // A key may have a slash in it, so that it ends behind what looks like the host.
    let has_key = host.rsplit_once(':').is_some_and(|(_, port)| !is_port(port));
    let name = match has_key {
        true => address.rfind('@'),
        false => host.rfind('@'),
    };
    cut(&address[name.map_or(0, |at| at + 1)..])
}

fn cut(address: &str) -> &str {
    let end = address.find(['?', '#']).into_iter().chain(address.find("\\u")).min();
    &address[..end.unwrap_or(address.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_secrets() {
        for (address, told) in [
            ("s3://media/a@b:c.mp4", "s3://media/a@b:c.mp4"),
            ("https://host:8080/x?X-Signature=y", "https://host:8080/x"),
            ("s3://KEY:SECRET@media/x", "s3://media/x"),
            ("s3://KEY@media/x", "s3://media/x"),
            ("s3://KEY:SEC/RE?T@media/x#y", "s3://media/x"),
            ("file:///srv/a#b", "file:///srv/a"),
            ("nonsense?x", "nonsense"),
        ] {
            assert_eq!(shown(address), told);
        }
        assert_eq!(
            redacted(
                r#"{"inputs": {"a": "https://a/b?x=y", "b": "s3:\/\/K:S@b\/c"}, "args": ["0:a?"] "https://a/\u003fs"#
            ),
            r#"{"inputs": {"a": "https://a/b", "b": "s3:\/\/b\/c"}, "args": ["0:a?"] "https://a/"#
        );
    }
}
