//! Configure scripts ask pkg-config for libraries, which a fresh machine lacks and which would find the machine's own; it is
//! answered here.

use anyhow::Result;

use crate::plan::step::{Action, Planner};

/// Where the libraries that something is built on lie, in a step's work folder.
pub const PREFIX: &str = "prefix";

/// What C++ needs at a link, of the SDK and of this machine.
pub const WASM_CXX: &str = "-lc++ -lc++abi";
pub const NATIVE_CXX: &str = "-lstdc++ -lm";

/// The script, for these libraries. Paths are relative to a source's folder, or begin with `{work}`.
pub fn script(planner: &Planner, libraries: &[String], cxx: &str, prefix: &str) -> Result<String> {
    let mut answers = String::new();
    for name in libraries {
        let library = planner.libraries.get(name)?;
        for (package, answer) in &library.ffmpeg.pkg_config {
            let libs = answer.libs.as_ref().unwrap_or(&library.ffmpeg.libs);
            let cxx = if library.ffmpeg.cxx {
                format!(" {cxx}")
            } else {
                String::new()
            };
            let include = answer.include.as_ref();
            let include = include
                .map(|folder| format!(" -I{prefix}/include/{folder}"))
                .unwrap_or_default();
            let version = answer.version.as_ref().unwrap_or(&library.source.version);
            answers += &format!(
                "    {package}|\"{package} \"*) libraries='{libs}{cxx}' include='{include}' version='{version}' ;;\n"
            );
        }
    }
    Ok(format!(
        "#!/bin/sh\nfor package; do :; done\n[ \"$1\" = --atleast-pkgconfig-version ] && exit\ncase $package in\n    \
         --version) echo 0.29.2; exit ;;\n{answers}    \
         *) echo \"Package $package was not found\" >&2; exit 1 ;;\nesac\ncase $1 in\n    --exists) ;;\n    \
         --modversion) echo \"$version\" ;;\n    \
         --cflags) echo \"-I{prefix}/include$include\" ;;\n    --libs) echo \"-L{prefix}/lib $libraries\" ;;\n    \
         *) echo {prefix}/include ;;\nesac\n"
    ))
}

/// What the steps of libraries left, in the prefix.
pub fn results(libraries: &[String], step_prefix: &str) -> Vec<Action> {
    libraries
        .iter()
        .map(|library| Action::result(&format!("{step_prefix}{library}"), PREFIX))
        .collect()
}
