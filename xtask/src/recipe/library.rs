//! Libraries that FFmpeg is built on: one file each in ffmpeg-src/, with all that is known of it. Every key is explained in
//! ffmpeg-src/README.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use toml::Spanned;

use crate::data::Document;
use crate::error::usage;
use crate::inputs::source::Source;
use crate::recipe::license::{self, Terms};

/// Kinds of components, as FFmpeg's configure names one of them and as its lists are called.
pub const KINDS: [(&str, &str); 8] = [
    ("bsf", "bsfs"),
    ("decoder", "decoders"),
    ("demuxer", "demuxers"),
    ("encoder", "encoders"),
    ("filter", "filters"),
    ("muxer", "muxers"),
    ("parser", "parsers"),
    ("protocol", "protocols"),
];

/// Kind -> names.
pub type Components<N> = BTreeMap<String, Vec<N>>;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    pub description: String,
    /// Files of its tree (globs) that say how it may be used.
    pub license_files: Vec<String>,
    /// Libraries that it is compiled with.
    #[serde(default)]
    pub needs: Vec<Spanned<String>>,
    pub source: Source,
    pub build: Build,
    pub check: Option<Check>,
    pub ffmpeg: Gain,
}

/// How upstream wants to be built.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Files that the compiler takes as they are.
    Files,
    /// A makefile alone.
    Make,
    /// A script `configure` with ways of its own, and make.
    Configure,
    /// A script `configure` made by Autoconf, and make.
    Autotools,
    Cmake,
    Meson,
    /// Nothing is compiled.
    Headers,
}

impl System {
    /// The pinned tools that it runs.
    pub fn tools(self) -> &'static [&'static str] {
        match self {
            System::Cmake => &["cmake", "ninja"],
            System::Meson => &["meson", "ninja"],
            System::Files | System::Make | System::Configure | System::Autotools | System::Headers => &[],
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub system: System,
    /// Where the build system's files lie, in the source.
    #[serde(default = "here")]
    pub folder: String,
    /// For `files`: what is compiled.
    #[serde(default)]
    pub files: Vec<String>,
    #[serde(default)]
    pub cflags: String,
    #[serde(default)]
    pub options: Vec<String>,
    #[serde(default)]
    pub targets: Vec<String>,
    pub version: Option<VersionFile>,
    /// For `cmake`: builds before that, of which archives are kept, too.
    #[serde(default)]
    pub variants: Vec<Variant>,
    #[serde(default)]
    pub wasm: Wasm,
    #[serde(default)]
    pub native: Native,
    pub headers: Vec<Headers>,
    #[serde(default)]
    pub archives: Vec<String>,
}

fn here() -> String {
    ".".into()
}

/// A build of the same source with other options.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// It is made in `build-NAME`.
    pub name: String,
    /// After all others, so that they count.
    pub options: Vec<String>,
}

/// A file that tells the version, written before the build: parts of the version are its placeholders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionFile {
    /// A regular expression with a named group for each placeholder.
    pub pattern: Spanned<String>,
    pub path: String,
    pub text: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wasm {
    #[serde(default)]
    pub cflags: String,
    /// The library asks for threads; guest/single_threaded.h tells it that there are none.
    #[serde(default)]
    pub single_threaded: bool,
    /// The library catches errors by setjmp; a <setjmp.h> of ours ends the process at a longjmp.
    #[serde(default)]
    pub no_longjmp: bool,
    /// For `configure` and `autotools`, beside what Autoconf's scripts are always given.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub options: Vec<String>,
    #[serde(default)]
    pub targets: Vec<String>,
    /// Where our kernels of guest/simd are copied to, in the source.
    pub kernels: Option<String>,
    /// What modules with SIMD have beside that.
    #[serde(default)]
    pub simd: Simd,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simd {
    #[serde(default)]
    pub cflags: String,
    #[serde(default)]
    pub options: Vec<String>,
    #[serde(default)]
    pub targets: Vec<String>,
    /// x86's intrinsics up to SSE4.1 compile, by the headers of the library x86-intrinsics.
    #[serde(default)]
    pub x86_intrinsics: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Native {
    #[serde(default)]
    pub cflags: String,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub options: Vec<String>,
    /// Options of the build without assembly.
    #[serde(default)]
    pub without_assembly: Vec<String>,
}

/// Headers that are kept, with the folders that they lie in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    #[serde(default = "here")]
    pub folder: String,
    pub files: Vec<String>,
    /// The folder below `include`.
    #[serde(default)]
    pub to: String,
}

/// The program that compares kernels with the C code that they stand for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub program: String,
    /// Other inputs whose source it is compiled with.
    #[serde(default)]
    pub sources: Vec<String>,
    /// How it is compiled, where no target of the build makes it: words for the compiler, once or several times.
    #[serde(default)]
    pub compile: Vec<String>,
    /// Its arguments; `{seed}` is a number that its random input is made of.
    pub arguments: Vec<String>,
    /// What its report must have in it, where there are kernels.
    #[serde(default)]
    pub reports: Vec<String>,
    pub listing: Option<Listing>,
}

/// How a program lists the kernels that it found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    pub arguments: Vec<String>,
    /// What follows the name of a kernel.
    pub suffix: String,
    /// What names begin with -> how many there are. The longest beginning counts.
    pub kernels: BTreeMap<String, usize>,
}

/// What FFmpeg gains.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gain {
    /// FFmpeg's option, without `--enable-`. Absent where FFmpeg has none, since only other libraries need it.
    pub option: Option<String>,
    /// The library in the words of the linker.
    #[serde(default)]
    pub libs: String,
    /// It is C++ and needs the runtime of that.
    #[serde(default)]
    pub cxx: bool,
    /// Names that FFmpeg asks pkg-config for.
    #[serde(default)]
    pub pkg_config: BTreeMap<String, PkgConfig>,
    #[serde(default)]
    pub encoders: Vec<String>,
    #[serde(default)]
    pub decoders: Vec<String>,
    #[serde(default)]
    pub filters: Vec<String>,
    #[serde(default)]
    pub muxers: Vec<String>,
    #[serde(default)]
    pub demuxers: Vec<String>,
    /// Names of configure -> what FFmpeg calls these components everywhere else.
    #[serde(default)]
    pub listed: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PkgConfig {
    /// A folder below `include` that FFmpeg looks in, too.
    pub include: Option<String>,
    /// Other libraries than those of `libs`.
    pub libs: Option<String>,
    /// The version where it is not that of the source.
    pub version: Option<String>,
}

impl Gain {
    /// Kind -> names.
    pub fn components(&self) -> [(&'static str, &[String]); 5] {
        [
            ("decoders", &self.decoders),
            ("demuxers", &self.demuxers),
            ("encoders", &self.encoders),
            ("filters", &self.filters),
            ("muxers", &self.muxers),
        ]
    }
}

/// ffmpeg-src/ffmpeg.toml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ffmpeg {
    pub description: String,
    pub license_files: Vec<String>,
    pub revision: u32,
    pub source: Source,
    pub configure: Configure,
    /// Kind -> names of configure -> what FFmpeg calls these components everywhere else.
    pub listed: BTreeMap<String, BTreeMap<String, String>>,
    pub gpl: GplParts,
    pub check: Check,
}

/// FFmpeg's configure options.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configure {
    pub options: Vec<String>,
    pub wasm: Vec<String>,
    pub native: Vec<String>,
}

/// FFmpeg's own parts that are under the GPL.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GplParts {
    pub filters: Vec<String>,
    pub objects: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Libraries {
    pub ffmpeg: Document<Ffmpeg>,
    by_name: BTreeMap<String, Document<Library>>,
}

/// What FFmpeg itself is called among sources.
pub const FFMPEG: &str = "ffmpeg";

/// What the names of formats begin with in configure alone.
const LISTED_WITHOUT: [&str; 2] = ["image_", "pcm_"];

/// The library with headers of x86's intrinsics.
pub const X86_INTRINSICS: &str = "x86-intrinsics";

/// Files of ffmpeg-src/ that are no libraries.
pub const TOOLS: &str = "tools";
pub const TESTS: &str = "tests";

pub fn folder(root: &Path) -> PathBuf {
    root.join("ffmpeg-src")
}

impl Libraries {
    pub fn load(root: &Path) -> Result<Libraries> {
        let folder = folder(root);
        let ffmpeg = Document::read(&folder.join("ffmpeg.toml"))?;
        let mut by_name = BTreeMap::new();
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let is_other = [FFMPEG, TOOLS, TESTS].contains(&name.as_str());
            if path.extension().is_some_and(|kind| kind == "toml") && !is_other {
                by_name.insert(name, Document::read(&path)?);
            }
        }
        let libraries = Libraries { ffmpeg, by_name };
        for (name, library) in &libraries.by_name {
            libraries.check(name, library)?;
        }
        Ok(libraries)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub fn get(&self, name: &str) -> Result<&Library> {
        Ok(&self.document(name)?.data)
    }

    pub fn find(&self, name: &str) -> Option<&Library> {
        self.by_name.get(name).map(|document| &document.data)
    }

    pub fn document(&self, name: &str) -> Result<&Document<Library>> {
        self.by_name
            .get(name)
            .ok_or_else(|| usage(format!("there is no library `{name}`")).hint(self.hint()).into())
    }

    /// What one could have meant.
    pub fn hint(&self) -> String {
        let names: Vec<&str> = self.names().collect();
        format!(
            "the libraries are {}; a new one is a file ffmpeg-src/NAME.toml, explained in ffmpeg-src/README.md",
            names.join(", ")
        )
    }

    /// The library that gives a component.
    pub fn giver(&self, kind: &str, name: &str) -> Option<&str> {
        let gives = |library: &Library| {
            let lists = library.ffmpeg.components();
            lists
                .iter()
                .any(|(of, names)| *of == kind && names.iter().any(|one| one == name))
        };
        let mut all = self.by_name.iter();
        all.find(|(_, library)| gives(&library.data))
            .map(|(name, _)| name.as_str())
    }

    /// What FFmpeg lists a component of configure as.
    pub fn listed(&self, kind: &str, component: &str) -> String {
        let own = self.ffmpeg.data.listed.get(kind).and_then(|names| names.get(component));
        let mut all = self.by_name.values();
        let found = own.or_else(|| all.find_map(|library| library.data.ffmpeg.listed.get(component)));
        if let Some(found) = found {
            return found.clone();
        }
        let is_format = ["demuxers", "muxers"].contains(&kind);
        let mut prefixes = LISTED_WITHOUT.iter().filter(|_| is_format);
        let rest = prefixes.find_map(|prefix| component.strip_prefix(prefix));
        rest.unwrap_or(component).to_owned()
    }

    /// The least terms on which a library can be in a module.
    pub fn terms(&self, name: &str) -> Result<Terms> {
        let document = self.document(name)?;
        license::terms(&document.data.source.license)
            .map_err(|message| usage(format!("{}: {message}", document.at_table("source"))).into())
    }

    /// What modules with SIMD need of x86-intrinsics.
    pub fn takes_x86_intrinsics(&self, name: &str) -> bool {
        let simd = self.find(name).map(|library| &library.build.wasm.simd);
        simd.is_some_and(|simd| simd.x86_intrinsics)
    }

    /// A library and all that it needs, those first that others need.
    pub fn with_needs(&self, name: &str) -> Result<Vec<String>> {
        let mut ordered = Vec::new();
        self.visit(name, &mut Vec::new(), &mut ordered)?;
        Ok(ordered)
    }

    fn visit(&self, name: &str, path: &mut Vec<String>, ordered: &mut Vec<String>) -> Result<()> {
        if ordered.iter().any(|one| one == name) {
            return Ok(());
        }
        let document = self.document(name)?;
        path.push(name.to_owned());
        for need in &document.data.needs {
            let needed = need.get_ref();
            if path.contains(needed) {
                let message = format!(
                    "{}: needs go round: {} -> {needed}",
                    document.at(need),
                    path.join(" -> ")
                );
                return Err(usage(message).hint("take one of these needs out").into());
            }
            if !self.by_name.contains_key(needed) {
                let message = format!("{}: {name} needs `{needed}`, which is no library", document.at(need));
                return Err(usage(message).hint(self.hint()).into());
            }
            self.visit(needed, path, ordered)?;
        }
        path.pop();
        ordered.push(name.to_owned());
        Ok(())
    }

    fn check(&self, name: &str, document: &Document<Library>) -> Result<()> {
        let library = &document.data;
        let refuse = |place: &str, message: &str| Err(usage(format!("{}: {message}", document.at_table(place))).into());
        if let Err(message) = library.source.check() {
            return refuse("source", &message);
        }
        self.terms(name)?;
        self.with_needs(name)?;
        if (library.build.system == System::Files) == library.build.files.is_empty() {
            return refuse(
                "build",
                "`files` names what the system `files` compiles, and is for no other system",
            );
        }
        if (library.build.system == System::Headers) != library.build.archives.is_empty() {
            return refuse(
                "build",
                "`archives` names the libraries that are kept: one at least, and none of the system `headers`",
            );
        }
        if library.ffmpeg.option.is_some() && library.ffmpeg.libs.is_empty() {
            return refuse(
                "ffmpeg",
                "missing field `libs`: FFmpeg is linked with what `option` takes",
            );
        }
        if !library.build.variants.is_empty() && library.build.system != System::Cmake {
            return refuse("build", "`variants` is for the system `cmake` alone");
        }
        if let Some(version) = &library.build.version
            && version_parts(version, &library.source.version).is_none()
        {
            let message = format!(
                "{}: the pattern does not match the version {}",
                document.at(&version.pattern),
                library.source.version
            );
            return Err(usage(message)
                .hint("each named group is a placeholder of `text`")
                .into());
        }
        Ok(())
    }
}

/// Placeholder -> what stands for it.
pub fn version_parts(file: &VersionFile, version: &str) -> Option<BTreeMap<String, String>> {
    let pattern = regex::Regex::new(file.pattern.get_ref()).ok()?;
    let found = pattern.captures(version)?;
    let names = pattern.capture_names().flatten();
    names
        .map(|name| Some((name.to_owned(), found.name(name)?.as_str().to_owned())))
        .collect()
}
