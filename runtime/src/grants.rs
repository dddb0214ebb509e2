//! What a program may reach, from what its arguments name.

use crate::arguments::{Named, Role};
use std::collections::BTreeMap;

/// How much of the machine the arguments give to a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Nothing: only folders that are given otherwise.
    Dirs,
    /// The very files that are named.
    Files,
    /// Inputs with their folders, outputs with theirs, and the current directory.
    #[default]
    Folders,
    /// All files of the machine, as a native program has them.
    Machine,
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        match text {
            "dirs" => Ok(Level::Dirs),
            "files" => Ok(Level::Files),
            "folders" => Ok(Level::Folders),
            "machine" => Ok(Level::Machine),
            _ => Err(format!("`{text}` is none of dirs, files, folders and machine")),
        }
    }
}

/// A file or folder that a program is given, by its absolute name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    pub path: String,
    pub is_folder: bool,
    pub may_write: bool,
}

/// Folders whose files are not files.
const SYSTEM: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Decides what a program in the current directory is given.
pub fn grants(named: &Named, current: &str, level: Level) -> Vec<Grant> {
    let mut given = Given::default();
    match level {
        Level::Dirs => return Vec::new(),
        Level::Machine => given.add("/", true, true),
        // In the root lies the whole machine.
        Level::Folders if current != "/" && !is_system(current) => given.add(current, true, true),
        Level::Folders | Level::Files => {}
    }
    for (path, role) in &named.files {
        let path = absolute(current, path);
        let may_write = *role == Role::Output;
        let (parent, is_pattern) = folder(&path, may_write);
        match role {
            _ if is_system(&parent) || is_system(&path) => {}
            Role::Searches => given.add(&path, true, false),
            Role::Reads => given.add(&path, false, false),
            // Beside a file in the root lies the whole machine.
            Role::Input | Role::Output if parent == "/" => given.add(&path, false, may_write),
            Role::Input | Role::Output if level == Level::Files && !is_pattern => given.add(&path, false, may_write),
            Role::Input | Role::Output => given.add(&parent, true, may_write),
        }
    }
    given.needed()
}

#[derive(Default)]
struct Given {
    /// Whether each may be written, by path and whether it is a folder.
    given: BTreeMap<(String, bool), bool>,
}

impl Given {
    fn add(&mut self, path: &str, is_folder: bool, may_write: bool) {
        *self.given.entry((path.to_owned(), is_folder)).or_default() |= may_write;
    }

    /// Leaves out what lies in a folder that gives as much.
    fn needed(self) -> Vec<Grant> {
        let covers = |folder: &str, path: &str| {
            path.strip_prefix(folder.trim_end_matches('/'))
                .is_some_and(|rest| rest.starts_with('/') && rest != "/")
        };
        let is_covered = |path: &str, may_write: bool| {
            self.given.iter().any(|((folder, is_folder), folder_may_write)| {
                *is_folder && covers(folder, path) && (*folder_may_write || !may_write)
            })
        };
        let grants = self
            .given
            .iter()
            .filter(|((path, _), may_write)| !is_covered(path, **may_write));
        let grants = grants.map(|((path, is_folder), may_write)| Grant {
            path: path.clone(),
            is_folder: *is_folder,
            may_write: *may_write,
        });
        grants.collect()
    }
}

fn is_system(folder: &str) -> bool {
    let is_below = |system: &str| {
        let rest = folder.strip_prefix(system);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    SYSTEM.into_iter().any(is_below) && !folder.starts_with("/dev/shm")
}

/// The absolute name without `.` and `..`.
fn absolute(current: &str, path: &str) -> String {
    let path = if cfg!(windows) {
        path.replace('\\', "/")
    } else {
        path.to_owned()
    };
    let is_absolute = path.starts_with('/') || (cfg!(windows) && path.as_bytes().get(1) == Some(&b':'));
    let mut parts: Vec<&str> = Vec::new();
    let current = if is_absolute { "" } else { current };
    for part in current.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if cfg!(windows) { joined } else { format!("/{joined}") }
}

/// The folder of a file, or of all files of a pattern such as `%d/out%03d.png`; whether it is a pattern.
fn folder(path: &str, is_output: bool) -> (String, bool) {
    let is_pattern = pattern_at(path, is_output).is_some();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let fixed = match pattern_at(parent, is_output) {
        Some(at) => parent[..at].rsplit_once('/').map_or("", |(fixed, _)| fixed),
        None => parent,
    };
    (if fixed.is_empty() { "/" } else { fixed }.to_owned(), is_pattern)
}

/// Where a pattern begins: `%d` and `%03d`; in the names of outputs also `%v` and the letters of dates.
fn pattern_at(path: &str, is_output: bool) -> Option<usize> {
    let percents = path.match_indices('%').map(|(at, _)| at);
    percents.into_iter().find(|at| {
        let rest = path[at + 1..].trim_start_matches(|character: char| character.is_ascii_digit());
        rest.starts_with('d') || (is_output && rest.starts_with(|character: char| character.is_ascii_alphabetic()))
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::arguments::{Program, named};
    use std::fmt::Write;

    /// Command lines, one a line; what files hold that they name is in `text`.
    const LINES: &str = include_str!("grants/lines.txt");

    fn text(path: &str) -> Option<String> {
        let text = match path {
            "/lists/list.txt" | "list.txt" => {
                "ffconcat version 1.0\nfile '/media/a b.mp4'\nduration 2\nfile sub/c.mp4\n#x\n"
            }
            "/keys/info" => "https://keys.example/1\n/secret/enc.key\n",
            "graph.txt" => "movie=/logos/logo.png[l];[0:v][l]overlay",
            "concat.txt" => "/parts/1.ts\n/parts/2.ts\n",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn shown(line: &str, level: Level) -> String {
        let words: Vec<String> = words(line);
        let program = if words[0] == "ffprobe" {
            Program::Ffprobe
        } else {
            Program::Ffmpeg
        };
        let named = named(program, &words[1..], &text);
        let mut shown = String::new();
        for grant in grants(&named, "/home/me", level) {
            let access = if grant.may_write { "write" } else { "read " };
            let slash = if grant.is_folder && grant.path != "/" { "/" } else { "" };
            writeln!(shown, "    {access} {}{slash}", grant.path).unwrap();
        }
        for number in &named.descriptors {
            writeln!(shown, "    descriptor {number}").unwrap();
        }
        for address in &named.remote {
            writeln!(shown, "    remote {address}").unwrap();
        }
        if named.draws_text {
            shown.push_str("    fonts\n");
        }
        shown
    }

    /// Splits as a shell does: double quotes and spaces, which is all that the lines have.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for character in line.chars() {
            match character {
                '"' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                _ => words.last_mut().unwrap().push(character),
            }
        }
        words
    }

    #[test]
    fn arguments_give_what_they_name() {
        let mut all = String::new();
        for line in LINES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            write!(all, "{line}\n{}", shown(line, Level::Folders)).unwrap();
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn levels_give_less_or_more() {
        let line = "ffmpeg -i /media/in.m3u8 -i pic%d.png /out/%d/a.png /out/b.mp4";
        assert_eq!(shown(line, Level::Dirs), "");
        assert_eq!(
            shown(line, Level::Files),
            "    read  /home/me/\n    read  /media/in.m3u8\n    write /out/\n"
        );
        assert_eq!(shown(line, Level::Machine), "    write /\n");
        // A folder that has the whole machine, or what are no files, is not given for being the current one.
        let named = named(Program::Ffmpeg, &["-i".to_owned(), "media/in.mp4".to_owned()], &text);
        for (current, folder) in [("/", "/media"), ("/home/me", "/home/me")] {
            let given = grants(&named, current, Level::Folders);
            assert_eq!(given.iter().map(|grant| &*grant.path).collect::<Vec<_>>(), [folder]);
        }
        assert_eq!(grants(&named, "/proc/self", Level::Folders), []);
    }

    #[test]
    fn whatever_the_words_are_they_are_read() {
        // Each beginning of each line, and each of its words doubled: nothing may panic.
        for line in LINES.lines() {
            for end in (0..=line.len()).filter(|end| line.is_char_boundary(*end)) {
                shown(if end == 0 { "ffmpeg" } else { &line[..end] }, Level::Files);
            }
        }
    }
}
