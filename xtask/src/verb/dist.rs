//! `cargo xtask dist`: a folder with everything that a release is, to be signed, served and verified.

use anyhow::Result;

use crate::build::facts::Tools;
use crate::dist::{self, release};
use crate::error::usage;
use crate::flags::Dist;
use crate::progress::Progress;
use crate::project::Project;
use crate::recipe::profile;

pub fn run(project: &Project, flags: &Dist) -> Result<()> {
    let version = project.pins.release_version()?;
    let names = project.profiles(&flags.profiles)?;
    let shipped = profile::shipped(&project.root)?;
    if let Some(other) = names.iter().find(|name| !shipped.contains(name)) {
        return Err(usage(format!("{other} is not among the profiles that are shipped"))
            .hint("profiles/shipped.toml lists them, with their budgets")
            .into());
    }
    let out = match &flags.out {
        Some(folder) => std::path::absolute(folder)?,
        None => project.root.join("dist").join(&version),
    };
    if out.exists() {
        return Err(usage(format!("{} is there already", out.display()))
            .hint("a release does not change: count up `revision` in ffmpeg-src/ffmpeg.toml, or remove the folder")
            .into());
    }
    let commit = dist::commit(&project.root, flags.allow_dirty)?;
    let fetcher = project.fetcher(&flags.origins);
    let tools = Tools::find(project, &fetcher)?;
    let records = dist::records(project, &tools, &names)?;
    let work = Progress::new().start("modules, licences, sources");
    let mut files = release::contents(project, &fetcher, &tools, &commit, &records, &version)?;
    work.finish("done", None);
    release::add_sums(&mut files, &version, flags.secret_key.as_deref())?;
    if flags.secret_key.is_none() {
        eprintln!(
            "warning: not signed, so that nobody can pull it; give --secret-key FILE, or sign it later: \
             minisign -Sm SHA256SUMS -t '{}'",
            afmpeg_release::trusted_comment(&version)
        );
    }
    release::write(&files, &out)?;
    println!("{}  {} modules, {} files", out.display(), records.len(), files.len());
    Ok(())
}
