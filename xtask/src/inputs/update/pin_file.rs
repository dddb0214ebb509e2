//! The pin file with another version of a source in it.

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, TableLike};

use crate::inputs::source::{Origin, Source};

/// The text with the new pin of the source whose table is at `place`, all else as it is. `origins` take the place of
/// the old ones, in order; none is left out. Another FFmpeg begins its own row of releases.
pub fn edit(text: &str, place: &[&str], source: &Source, origins: &[Option<Origin>]) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    if let Some(revision) = document.get_mut("revision").and_then(toml_edit::Item::as_value_mut) {
        let decor = revision.decor().clone();
        *revision = 1.into();
        *revision.decor_mut() = decor;
    }
    let mut item = document.as_item_mut();
    for key in place {
        item = item.get_mut(key).context("the pin file has no such source")?;
    }
    let table = item.as_table_like_mut().context("the pin is no table")?;
    set(table, "version", Some(&source.version));
    set(table, "sha256", source.sha256.as_deref());
    set(table, "tree_sha256", source.tree_sha256.as_deref());
    let tables = table
        .get_mut("origin")
        .and_then(toml_edit::Item::as_array_of_tables_mut);
    let tables = tables.context("the origins of the source are not tables of their own")?;
    for (index, origin) in origins.iter().enumerate().rev() {
        let (Some(origin), Some(table)) = (origin, tables.get_mut(index)) else {
            tables.remove(index);
            continue;
        };
        set(table, "url", origin.url.as_deref());
        set(table, "signature", origin.signature.as_deref());
        set(table, "version", origin.version.as_deref());
        set(table, "folder", origin.folder.as_deref());
        set(table, "sha256", origin.sha256.as_deref());
    }
    Ok(document.to_string())
}

/// Changes a value where there is one, with the comment that may stand behind it.
fn set(table: &mut dyn TableLike, key: &str, new: Option<&str>) {
    if let (Some(new), Some(value)) = (new, table.get_mut(key).and_then(toml_edit::Item::as_value_mut)) {
        let decor = value.decor().clone();
        *value = new.into();
        *value.decor_mut() = decor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{self, Project};
    use crate::recipe::library::{self, Library};

    #[test]
    fn the_pin_file_keeps_all_else() {
        let text = "# head\nformat_version = 1\nrevision = 3 # why\nsdk_package = []\nnix_package = []\n\n\
                    # about it\n[source.ffmpeg]\nversion = \"1.0\" # newest\nlicense = \"MIT\"\n\
                    tree_sha256 = \"old\"\n[[source.ffmpeg.origin]]\nurl = \"u/1.0\" # slow\nsha256 = \"old\"\n\
                    [[source.ffmpeg.origin]]\nnpm = \"x\"\nversion = \"1.0\"\n\n\
                    # next\n[source.b]\nversion = \"1.0\"\n";
        let pins: toml::Table = text.parse().unwrap();
        let mut source: Source = pins["source"]["ffmpeg"].clone().try_into().unwrap();
        source.version = "1.1".into();
        source.tree_sha256 = Some("new".into());
        let mut kept = source.origin[0].clone();
        kept.url = Some("u/1.1".into());
        kept.sha256 = Some("new".into());
        let wanted = text
            .replace("revision = 3", "revision = 1")
            .replace("version = \"1.0\" # newest", "version = \"1.1\" # newest")
            .replace("u/1.0", "u/1.1")
            .replace("old", "new")
            .replace("[[source.ffmpeg.origin]]\nnpm = \"x\"\nversion = \"1.0\"\n", "");
        assert_eq!(
            edit(text, &["source", "ffmpeg"], &source, &[Some(kept), None]).unwrap(),
            wanted
        );
    }

    /// The pinned source with another version, and its origins as they are.
    fn renamed(source: &Source, version: &str) -> (Source, Vec<Option<Origin>>) {
        let mut source = source.clone();
        source.version = version.to_owned();
        let origins = source.origin.iter().cloned().map(Some).collect();
        (source, origins)
    }

    #[test]
    fn the_pin_of_any_source_is_found_and_nothing_else_changes() {
        let project = Project::open(project::root().unwrap()).unwrap();
        for (name, pinned) in &project.pins.source {
            let (path, table) = project.pins.place(name);
            let text = std::fs::read_to_string(&path).unwrap();
            let (source, origins) = renamed(pinned, "9.8.7");
            let edited = edit(&text, &table, &source, &origins).unwrap();
            let changed: Vec<(&str, &str)> = text
                .lines()
                .zip(edited.lines())
                .filter(|(old, new)| old != new && !old.starts_with("revision"))
                .collect();
            let old = format!("version = \"{}\"", pinned.version);
            assert_eq!(changed, [(old.as_str(), "version = \"9.8.7\"")], "{name}");
            assert_eq!(text.lines().count(), edited.lines().count(), "{name}");
        }
    }

    #[test]
    fn a_file_that_tells_the_version_follows_it() {
        let project = Project::open(project::root().unwrap()).unwrap();
        let commit = "b".repeat(40);
        let (source, origins) = renamed(project.pins.source("x264").unwrap(), &format!("0.165.3200-{commit}"));
        let (path, table) = project.pins.place("x264");
        let text = std::fs::read_to_string(path).unwrap();
        let library: Library = toml::from_str(&edit(&text, &table, &source, &origins).unwrap()).unwrap();
        let parts = library::version_parts(&library.build.version.unwrap(), &library.source.version).unwrap();
        let wanted = [("commit", "bbbbbbb"), ("point", "0.165.3200"), ("revision", "3200")];
        assert_eq!(
            parts,
            wanted.map(|(name, part)| (name.to_owned(), part.to_owned())).into()
        );
    }
}
