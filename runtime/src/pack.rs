//! Packs: native code of a module, its record, and why it may be refused.

use crate::error::Error;
use crate::pack_error::PackError;
use crate::trust;
use serde::Deserialize;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A pack of a module: its file, and what a record says that must be in it.
///
/// A pack is native code that runs in this process. Its code was made from the module so that it stays in the sandbox,
/// but nothing can check that afterwards. So it is loaded only if its file has the digest that its record states, and
/// from a folder to which nobody but this user and root can write: the file and the folders above it, as for
/// [`RuntimeBuilder::cache_folder`](crate::RuntimeBuilder::cache_folder). The bytes are copied before they are compared,
/// so that a later change of the file has no effect. Packs that were loaded stay loaded as long as the process lives.
///
/// Packs run on Linux, on x86-64 and AArch64. A program in one is stopped by signals, and its traps are signals too:
/// handlers of `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE` and `SIGURG` that are installed after the first pack was loaded
/// must forward those that are not their own.
#[derive(Clone, Debug)]
pub struct Pack {
    path: PathBuf,
    record: Record,
}

/// The fields of a pack's record that are needed to verify it.
#[derive(Clone, Debug, Deserialize)]
struct Record {
    abi: u32,
    machine: String,
    module_sha256: String,
    pack_sha256: String,
    size_bytes: u64,
}

/// The machines whose packs may run here, the best first.
const MACHINES: &[&str] = if cfg!(not(target_os = "linux")) {
    &[]
} else if cfg!(target_arch = "x86_64") {
    &["x86_64-v3-linux", "x86_64-v2-linux"]
} else if cfg!(target_arch = "aarch64") {
    &["aarch64-linux"]
} else {
    &[]
};

impl Pack {
    /// A pack that lies beside its record, `NAME.MACHINE.json`, which is to be trusted.
    pub fn from_record(record: impl AsRef<Path>) -> Result<Pack, Error> {
        let path = record.as_ref();
        Pack::of(path.with_extension("so"), path).map_err(|source| Error::Pack {
            path: path.to_owned(),
            source,
        })
    }

    /// The pack beside a module's file: of those for this machine the best that this processor runs.
    pub fn beside(module: impl AsRef<Path>) -> Result<Pack, Error> {
        let module = module.as_ref();
        match Pack::find(module)? {
            Some(pack) => Ok(pack),
            None => Err(Pack::missing(module.to_owned())),
        }
    }

    pub(crate) fn missing(path: PathBuf) -> Error {
        let machines = MACHINES.join(", ");
        Error::Pack {
            path,
            source: PackError::Missing { machines },
        }
    }

    /// The machines whose packs this processor runs, the best first.
    #[cfg(feature = "pull")]
    pub(crate) fn machines() -> Vec<&'static str> {
        let machines = MACHINES.iter().copied();
        machines.filter(|machine| missing_feature(machine).is_none()).collect()
    }

    /// A pack of a release, with the bytes of its record, which were verified.
    #[cfg(feature = "pull")]
    pub(crate) fn of_release(path: PathBuf, record: &[u8]) -> Result<Pack, Error> {
        match serde_json::from_slice(record) {
            Ok(record) => Ok(Pack { path, record }),
            Err(error) => Err(Error::Pack {
                source: PackError::RecordUnreadable {
                    record: path.clone(),
                    source: error.into(),
                },
                path,
            }),
        }
    }

    /// The file of the pack.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The machine that it was made for.
    pub fn machine(&self) -> &str {
        &self.record.machine
    }

    pub(crate) fn find(module: &Path) -> Result<Option<Pack>, Error> {
        let mut unsuited = None;
        for machine in MACHINES {
            // Compressed modules are called NAME.wasm.gz and NAME.wasm.br.
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            let stem = name.split_once(".wasm").map_or(&*name, |(stem, _)| stem);
            let path = module.with_file_name(format!("{stem}.{machine}.so"));
            if !path.exists() {
                continue;
            }
            let refused = |source| Error::Pack {
                path: path.clone(),
                source,
            };
            match missing_feature(machine) {
                None => {
                    let record = path.with_extension("json");
                    return Pack::of(path.clone(), &record).map(Some).map_err(refused);
                }
                Some(missing) => {
                    let machine = (*machine).to_owned();
                    unsuited.get_or_insert(refused(PackError::Processor { machine, missing }));
                }
            }
        }
        unsuited.map_or(Ok(None), Err)
    }

    fn of(path: PathBuf, record: &Path) -> Result<Pack, PackError> {
        let unreadable = |source| PackError::RecordUnreadable {
            record: record.to_owned(),
            source,
        };
        let file = match trust::open(record) {
            Ok(Ok(file)) => file,
            Ok(Err(reason)) => return Err(PackError::Distrusted { reason }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let record = record.to_owned();
                return Err(PackError::NoRecord { record });
            }
            Err(error) => return Err(unreadable(error.into())),
        };
        let text = io::read_to_string(file).map_err(|error| unreadable(error.into()))?;
        let record = serde_json::from_str(&text).map_err(|error| unreadable(error.into()))?;
        Ok(Pack { path, record })
    }

    pub(crate) fn refused(&self, source: PackError) -> Error {
        Error::Pack {
            path: self.path.clone(),
            source,
        }
    }

    /// The digest that its file must have.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is loaded"))]
    pub(crate) fn sha256(&self) -> &str {
        &self.record.pack_sha256
    }

    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is loaded"))]
    pub(crate) fn size_bytes(&self) -> u64 {
        self.record.size_bytes
    }

    /// Checks what can be known before anything is loaded.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is loaded"))]
    pub(crate) fn check(&self, abi: u32) -> Result<(), PackError> {
        if self.record.abi != abi {
            return Err(PackError::Abi {
                found: self.record.abi,
                expected: abi,
            });
        }
        check_machine(&self.record.machine)
    }

    /// Checks that it was made from the module of this digest, if there is one.
    pub(crate) fn check_module(&self, sha256: Option<[u8; 32]>) -> Result<(), PackError> {
        match sha256.map(|digest| Hex(&digest).to_string()) {
            Some(module) if module != self.record.module_sha256 => Err(PackError::OtherModule {
                of: self.record.module_sha256.clone(),
                module,
            }),
            _ => Ok(()),
        }
    }

    /// The digest of the module that it was made from.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is loaded"))]
    pub(crate) fn module_sha256(&self) -> &str {
        &self.record.module_sha256
    }
}

/// Checks that this processor runs the code of such a machine.
pub(crate) fn check_machine(machine: &str) -> Result<(), PackError> {
    let machine = machine.to_owned();
    if !MACHINES.contains(&&*machine) {
        return Err(match MACHINES.last() {
            Some(here) => PackError::Machine {
                machine,
                here: (*here).to_owned(),
            },
            None => PackError::System,
        });
    }
    match missing_feature(&machine) {
        Some(missing) => Err(PackError::Processor { machine, missing }),
        None => Ok(()),
    }
}

/// A feature that this processor lacks, of those that the machine has.
#[cfg(target_arch = "x86_64")]
fn missing_feature(machine: &str) -> Option<String> {
    macro_rules! first_missing {
        ($($feature:tt)*) => {
            [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
        };
    }
    // As the x86-64 psABI defines its levels; LAHF and SAHF, and the support by the operating system, have no name here.
    let v2 = first_missing!("cmpxchg16b" "popcnt" "sse3" "sse4.1" "sse4.2" "ssse3");
    let v3 = first_missing!("avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe");
    let of_v3 = v3.iter().filter(|_| machine == "x86_64-v3-linux");
    let mut missing = v2.iter().chain(of_v3).filter(|(_, present)| !present);
    missing.next().map(|(feature, _)| (*feature).to_owned())
}

#[cfg(not(target_arch = "x86_64"))]
fn missing_feature(_machine: &str) -> Option<String> {
    None
}

/// Bytes as hexadecimal digits.
pub(crate) struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
