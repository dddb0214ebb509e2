//! What packages for npm (`npm.rs`) and PyPI (`wheel.rs`) have in common. Each is one file.

use anyhow::Result;

use crate::build::record::Record;
use crate::dist::folder::Folder;
use crate::dist::{self, licences};
use crate::project::Project;

/// A package's file name and its bytes.
pub type Package = (String, Vec<u8>);

/// The licences of what is in a module, and the notice that explains them.
pub fn notices(folder: &Folder, record: &Record) -> Result<Vec<(String, Vec<u8>)>> {
    let names = licences::of_module(folder.names()?, record, &folder.records()?);
    let read = |name: String| Ok((name.clone(), folder.file(&name)?));
    names.into_iter().map(read).collect()
}

/// A text of packages/, with what differs between modules filled in.
pub fn text(project: &Project, file: &str, record: &Record, name: &str) -> Result<Vec<u8>> {
    let template = String::from_utf8(dist::read(&project.root.join("packages").join(file))?)?;
    Ok(template
        .replace("@NAME@", name)
        .replace("@PACKAGE@", &name.replace('-', "_"))
        .replace("@FFMPEG@", &record.ffmpeg_version)
        .replace("@DESCRIPTION@", &record.description)
        .replace("@LICENSE@", &record.license)
        .into_bytes())
}
