//! What a worker does for anybody who can put jobs into its queue.

use super::error::Error;
use super::message::{JobMessage, Limits};
use super::redact::shown;
use object_store::path::Path;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The bounds of a worker: where it reads and writes, and how much a job may ask for.
///
/// The default allows no place at all.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// What may be read and written.
    pub allow: Vec<Prefix>,
    /// What may only be read.
    pub allow_read: Vec<Prefix>,
    /// What may only be written.
    pub allow_write: Vec<Prefix>,
    pub memory_max_bytes: u64,
    pub host_memory_max_bytes: u64,
    pub written_max_bytes: u64,
    /// In seconds, for each run of a program.
    pub timeout: f64,
    /// The most that the files of one job may take in the spool folder, where it needs one.
    pub spool_max_bytes: u64,
    /// The folder for outputs that cannot be sent as they are written.
    pub spool: Option<PathBuf>,
    /// How often a job is begun before it is given up.
    pub attempts_max: u32,
    /// The modules that jobs may name, the first for those that name none. The command makes [`Modules`](super::Modules) of them.
    pub modules: Vec<NamedModule>,
}

/// A module by its file, or by its release.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NamedModule {
    pub name: String,
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// A module and its version, such as `o3-gpl@9.0.2-1`.
    #[serde(default)]
    pub release: Option<String>,
    /// The key that the release must be signed with.
    #[serde(default)]
    pub public_key: Option<String>,
    /// Where releases are.
    #[serde(default)]
    pub from: Vec<String>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            allow: Vec::new(),
            allow_read: Vec::new(),
            allow_write: Vec::new(),
            memory_max_bytes: 4 << 30,
            host_memory_max_bytes: 4 << 30,
            written_max_bytes: 64 << 30,
            timeout: 6.0 * 3600.0,
            spool_max_bytes: 16 << 30,
            spool: None,
            attempts_max: 5,
            modules: Vec::new(),
        }
    }
}

/// What is wanted of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Where a file lies, once a policy has allowed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In a bucket.
    Store {
        scheme: Scheme,
        bucket: String,
        path: Path,
    },
    /// Below a folder of this machine.
    File {
        folder: PathBuf,
        path: PathBuf,
    },
    Web(Url),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    S3,
    Gs,
    Azure,
}

/// The beginning of addresses, such as `s3://media/in/`, `https://media.example/` or `file:///srv/media/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Prefix {
    place: Place,
}

/// An address that has been taken apart, allowed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Store { scheme: Scheme, bucket: String, path: Path },
    File(PathBuf),
    Web(Url),
}

impl std::str::FromStr for Prefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Prefix, Error> {
        let wrong = |reason: &str| Error::Prefix {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let place = Place::parse(text).map_err(|reason| wrong(&reason))?;
        match &place {
            Place::Web(url) if url.query().is_some() => Err(wrong("it has a `?`")),
            _ => Ok(Prefix { place }),
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = Error;

    fn try_from(text: String) -> Result<Prefix, Error> {
        text.parse()
    }
}

impl Place {
    fn parse(text: &str) -> Result<Place, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has a name or a password".to_owned());
        }
        if url.fragment().is_some() {
            return Err("it has a `#`".to_owned());
        }
        let scheme = match url.scheme() {
            "s3" => Scheme::S3,
            "gs" => Scheme::Gs,
            "az" | "azure" => Scheme::Azure,
            "http" | "https" => return web(url),
            "file" => return file(&url),
            scheme => {
                return Err(format!("`{scheme}:` is none of s3:, gs:, az:, https:, http: and file:"));
            }
        };
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
        let bucket = bucket.ok_or("it names no bucket")?.to_owned();
        if url.query().is_some() {
            return Err("it has a `?`".to_owned());
        }
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        // Names with empty and with dotted parts are errors here.
        let path = Path::from_url_path(path).map_err(|error| error.to_string())?;
        Ok(Place::Store { scheme, bucket, path })
    }

    /// The address, if it lies below this one.
    fn below(&self, prefix: &Prefix) -> Option<Address> {
        match (self, &prefix.place) {
            (
                Place::Store { scheme, bucket, path },
                Place::Store {
                    scheme: allowed_scheme,
                    bucket: allowed_bucket,
                    path: allowed,
                },
            ) => {
                let is_below = scheme == allowed_scheme && bucket == allowed_bucket && path.prefix_matches(allowed);
                is_below.then(|| Address::Store {
                    scheme: *scheme,
                    bucket: bucket.clone(),
                    path: path.clone(),
                })
            }
            (Place::File(path), Place::File(folder)) => path.strip_prefix(folder).ok().map(|rest| Address::File {
                folder: folder.clone(),
                path: rest.to_owned(),
            }),
            (Place::Web(url), Place::Web(allowed)) => {
                let rest = url.path().strip_prefix(allowed.path());
                let is_part = |rest: &str| rest.is_empty() || allowed.path().ends_with('/') || rest.starts_with('/');
                let is_below = url.scheme() == allowed.scheme()
                    && url.host() == allowed.host()
                    && url.port_or_known_default() == allowed.port_or_known_default()
                    && rest.is_some_and(is_part);
                is_below.then(|| Address::Web(url.clone()))
            }
            _ => None,
        }
    }
}

/// The parser resolves `..`; what a server might decode to it once more is refused.
fn web(url: Url) -> Result<Place, String> {
    let path = url.path().to_ascii_lowercase();
    match ["%2e", "%2f", "%5c", "%25", "%00", "\\"]
        .iter()
        .find(|part| path.contains(**part))
    {
        Some(part) => Err(format!("its path has `{part}`")),
        None => Ok(Place::Web(url)),
    }
}

fn file(url: &Url) -> Result<Place, String> {
    if url.query().is_some() {
        return Err("it has a `?`".to_owned());
    }
    let path = url.to_file_path().map_err(|()| "it is no path of this machine")?;
    let is_plain = |part: std::path::Component| {
        use std::path::Component;
        matches!(part, Component::RootDir | Component::Prefix(_) | Component::Normal(_))
    };
    match path.components().all(is_plain) {
        true => Ok(Place::File(path)),
        false => Err("it has `..` in it".to_owned()),
    }
}

impl Policy {
    /// Reads a policy in TOML.
    pub fn from_toml(text: &str) -> Result<Policy, Error> {
        let policy: Policy = toml::from_str(text).map_err(|error| Error::Policy {
            reason: error.to_string(),
        })?;
        match Duration::try_from_secs_f64(policy.timeout) {
            Ok(_) => Ok(policy),
            Err(error) => Err(Error::Policy {
                reason: format!("timeout: {error}"),
            }),
        }
    }

    /// What stands behind an address, if it may be read or written. Otherwise says why not.
    pub(super) fn resolve(&self, text: &str, access: Access) -> Result<Address, String> {
        let place = Place::parse(text).map_err(|reason| format!("{}: {reason}", shown(text)))?;
        let (more, option) = match access {
            Access::Read => (&self.allow_read, "read"),
            Access::Write => (&self.allow_write, "write"),
        };
        let allowed = self.allow.iter().chain(more);
        allowed.into_iter().find_map(|prefix| place.below(prefix)).ok_or_else(|| {
            format!(
                "{}: this worker's policy does not allow to {option} it; start workers with --allow for what it begins with",
                shown(text)
            )
        })
    }

    /// The limits of a job: what it asks for, if that is not more than there is.
    pub(super) fn limits(&self, job: &JobMessage) -> Result<Given, String> {
        let Limits {
            memory_max_bytes,
            host_memory_max_bytes,
            written_max_bytes,
        } = job.limits;
        let given = |name: &str, asked: Option<u64>, most: u64| match asked {
            Some(asked) if asked > most => Err(format!(
                "it asks for {name} = {asked}, and this worker's policy gives at most {most}"
            )),
            asked => Ok(asked.unwrap_or(most)),
        };
        let most = Duration::try_from_secs_f64(self.timeout).unwrap_or(Duration::MAX);
        let timeout = match job.timeout {
            Some(asked) if asked > self.timeout => {
                return Err(format!(
                    "it asks for timeout = {asked}, and this worker's policy gives at most {}",
                    self.timeout
                ));
            }
            _ => job.time().unwrap_or(most).min(most),
        };
        Ok(Given {
            memory_max_bytes: given("memory_max_bytes", memory_max_bytes, self.memory_max_bytes)?,
            host_memory_max_bytes: given(
                "host_memory_max_bytes",
                host_memory_max_bytes,
                self.host_memory_max_bytes,
            )?,
            written_max_bytes: given("written_max_bytes", written_max_bytes, self.written_max_bytes)?,
            timeout,
        })
    }
}

/// The limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    pub memory_max_bytes: u64,
    pub host_memory_max_bytes: u64,
    pub written_max_bytes: u64,
    pub timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_a_prefix_is_allowed() {
        let policy = Policy::from_toml(
            r#"
            allow = ["s3://media/work", "file:///srv/media/", "https://media.example/put/"]
            allow_read = ["s3://media/in/", "gs://other"]
            "#,
        )
        .unwrap();
        let may = |text: &str, access| policy.resolve(text, access).is_ok();
        for text in [
            "s3://media/work/a.mp4",
            "s3://media/work",
            "file:///srv/media/a/b.mp4",
            "https://media.example/put/x?X-Signature=%2F..%2F",
        ] {
            assert!(may(text, Access::Read) && may(text, Access::Write), "{text}");
        }
        for text in ["s3://media/in/a%20b.mp4", "gs://other/a"] {
            assert!(may(text, Access::Read) && !may(text, Access::Write), "{text}");
        }
        for text in [
            "s3://media/workers/a",
            "s3://media/in",
            "s3://media/input/a",
            "s3://media/work/../out/a",
            "s3://media/in/%2e%2e/x",
            "s3://media/in/..%2fx",
            "s3://media/in//x",
            "s3://other/work/a",
            "gs://media/work/a",
            "s3://user:word@media/work/a",
            "file:///srv/media/../a",
            "file:///srv/mediaeval/a",
            "file://host/srv/media/a",
            "file:///etc/passwd",
            "http://media.example/put/x",
            "https://media.example/put/%2e%2e/x",
            "https://media.example/put/..%2Fx",
            "https://media.example:444/put/x",
            "https://media.example@evil.example/put/x",
            "ftp://media.example/put/x",
            "put/x",
            "",
        ] {
            // The folder itself may be read under its own name.
            let is_folder = text == "s3://media/in";
            assert!(is_folder || !may(text, Access::Read), "{text}");
            assert!(!may(text, Access::Write), "{text}");
        }
        let told = policy
            .resolve("https://evil.example/x?secret", Access::Read)
            .unwrap_err();
        assert!(
            told.contains("https://evil.example/x") && !told.contains("secret"),
            "{told}"
        );
        let told = policy.resolve("s3://KEY:SECRET@media/x", Access::Read).unwrap_err();
        assert!(told.contains("s3://media/x: it has a name or a password"), "{told}");
        for text in ["https://a/?x", "nonsense", "s3://"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
        assert!(Policy::from_toml("alow = []").is_err());
    }

    #[test]
    fn a_job_gets_what_it_asks_for_or_a_reason() {
        let policy = Policy::default();
        let mut job = JobMessage::new("1", ["-version"]);
        job.limits.memory_max_bytes = Some(1 << 20);
        assert_eq!(policy.limits(&job).unwrap().memory_max_bytes, 1 << 20);
        job.limits.written_max_bytes = Some(u64::MAX);
        assert!(policy.limits(&job).unwrap_err().contains("written_max_bytes"));
        job.limits.written_max_bytes = None;
        job.timeout = Some(1e9);
        assert!(policy.limits(&job).unwrap_err().contains("timeout"));
    }
}
