//! The local time of this machine, as a rule that the program understands.

use std::env;
use std::fs;
use std::path::Path;

/// Where Unix has its time zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// The zone in POSIX's form, such as `CET-1CEST,M3.5.0,M10.5.0/3`: the program has no files of zones.
pub fn rule() -> Option<String> {
    match env::var("TZ") {
        Ok(zone) => of_variable(&zone),
        Err(_) => of_file(Path::new("/etc/localtime")),
    }
}

fn of_variable(zone: &str) -> Option<String> {
    let name = zone.strip_prefix(':').unwrap_or(zone);
    let path = Path::new(name);
    // A name with parts that lead elsewhere is none of a zone.
    let is_name = !name.is_empty() && !name.split('/').any(|part| part == "..");
    let file = match is_name {
        true if path.is_absolute() => of_file(path),
        true => of_file(&Path::new(ZONES).join(path)),
        false => None,
    };
    file.or_else(|| (!zone.starts_with(':') && !zone.is_empty()).then(|| zone.to_owned()))
}

fn of_file(path: &Path) -> Option<String> {
    footer(&fs::read(path).ok()?)
}

/// The rule at the end of a file of a zone (RFC 9636), between two newlines: it holds after the last change in the file.
fn footer(bytes: &[u8]) -> Option<String> {
    let version = *bytes.strip_prefix(b"TZif")?.first()?;
    let before_end = bytes.strip_suffix(b"\n").filter(|_| version >= b'2')?;
    let begin = before_end.iter().rposition(|byte| *byte == b'\n')? + 1;
    let rule = str::from_utf8(&before_end[begin..]).ok()?;
    (!rule.is_empty()).then(|| rule.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_rule_is_its_last_line() {
        let file = |version: &str, end: &str| [b"TZif", version.as_bytes(), b"\0\n\0", end.as_bytes()].concat();
        let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
        assert_eq!(footer(&file("2", &format!("\n{rule}\n"))).as_deref(), Some(rule));
        assert_eq!(footer(&file("2", "\n\n")), None);
        assert_eq!(footer(&file("\0", &format!("\n{rule}\n"))), None);
        for damaged in [&b""[..], b"TZif", b"TZif2", b"TZif2\n", b"\n\n"] {
            assert_eq!(footer(damaged), None);
        }
    }

    #[test]
    fn a_variable_is_a_rule_or_a_name() {
        assert_eq!(
            of_variable("EST5EDT4,M3.2.0,M11.1.0").as_deref(),
            Some("EST5EDT4,M3.2.0,M11.1.0")
        );
        assert_eq!(of_variable(""), None);
        assert_eq!(of_variable(":no/such/zone"), None);
    }
}
