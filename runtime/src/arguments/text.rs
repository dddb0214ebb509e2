//! FFmpeg's quoting.

/// Reads up to one of the terminators, without its quotes and escapes, as `av_get_token` does; returns the rest too.
pub fn token<'a>(text: &'a str, terminators: &str) -> (String, &'a str) {
    let text = text.trim_start_matches(WHITESPACE);
    let mut token = String::new();
    // White space at the end does not count unless it was quoted.
    let mut end = 0;
    let mut characters = text.char_indices();
    let mut quoted = false;
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => {
                quoted = !quoted;
                end = token.len();
            }
            '\\' if !quoted => {
                token.extend(characters.next().map(|(_, character)| character));
                end = token.len();
            }
            _ if !quoted && terminators.contains(character) => {
                return (trimmed(token, end), &text[at..]);
            }
            _ => {
                token.push(character);
                if quoted {
                    end = token.len();
                }
            }
        }
    }
    (trimmed(token, end), "")
}

const WHITESPACE: [char; 4] = [' ', '\n', '\t', '\r'];

fn trimmed(mut token: String, from: usize) -> String {
    let kept = token[from..].trim_end_matches(WHITESPACE).len();
    token.truncate(from + kept);
    token
}

/// Splits at a separator that is neither quoted nor escaped.
pub fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = token(rest, &separator.to_string());
        parts.push(part);
        match after.strip_prefix(separator) {
            Some(after) => rest = after,
            None => return parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_ffmpeg_reads_them() {
        for (text, wanted, rest) in [
            ("a b:c", "a b", ":c"),
            (" 'a:b' :c", "a:b", ":c"),
            (r"a\:b", "a:b", ""),
            (r"'it'\''s'", "it's", ""),
            (r"'a\b'", r"a\b", ""),
            ("'a ' ", "a ", ""),
            ("'open", "open", ""),
            ("\\", "", ""),
        ] {
            assert_eq!(token(text, ":"), (wanted.to_owned(), rest), "{text}");
        }
        assert_eq!(split("a:'b:c':", ':'), ["a", "b:c", ""]);
    }
}
