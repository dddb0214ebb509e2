//! The page that converts videos in a browser: packages/web with the library and one module, as any static server serves it.

use anyhow::Result;

use crate::build::record::Record;
use crate::digest::{self, Key};
use crate::dist::folder::Folder;
use crate::dist::package::notices;
use crate::dist::{self, npm};
use crate::project::Project;

const FILES: [&str; 4] = ["index.html", "page.js", "service-worker.js", "style.css"];

/// The page's files, by their paths in it.
pub fn page(project: &Project, folder: &Folder, record: &Record, offline: bool) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for name in FILES {
        let text = dist::read(&project.root.join("packages/web").join(name))?;
        files.push((name.to_owned(), text));
    }
    for (name, data) in npm::compiled(project, offline)? {
        // The other interface is in no page.
        if let Some(name) = name.strip_prefix("browser/").filter(|name| *name != "ffmpeg.wasm.js") {
            files.push((format!("afmpeg/{name}"), data));
        }
    }
    files.push((
        "module.wasm.gz".to_owned(),
        folder.file(&format!("{}.wasm.gz", record.variant))?,
    ));
    files.push(list(&files)?);
    for (name, data) in notices(folder, record)? {
        files.push((format!("licences/{name}"), data));
    }
    Ok(files)
}

/// What the service worker keeps: every file, under a version that changes with any of them.
fn list(files: &[(String, Vec<u8>)]) -> Result<(String, Vec<u8>)> {
    let mut key = Key::new("page");
    let mut names = vec!["./".to_owned()];
    for (name, data) in files {
        key = key.field(name).field(digest::bytes(data));
        names.push(name.clone());
    }
    let version = key.finish();
    let text = format!(
        "export const version = {};\nexport const files = {};\n",
        serde_json::to_string(&version)?,
        serde_json::to_string_pretty(&names)?
    );
    Ok(("files.js".to_owned(), text.into_bytes()))
}
