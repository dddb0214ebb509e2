//! Archives whose bytes depend on what is in them alone: sorted names, no time, no owner, two permissions.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;

#[derive(Debug)]
pub struct Entry {
    pub data: Vec<u8>,
    pub is_program: bool,
}

impl Entry {
    pub fn file(data: impl Into<Vec<u8>>) -> Entry {
        Entry {
            data: data.into(),
            is_program: false,
        }
    }

    fn mode(&self) -> u32 {
        if self.is_program { 0o755 } else { 0o644 }
    }
}

pub fn tar(entries: &BTreeMap<String, Entry>) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.data.len() as u64);
        header.set_mode(entry.mode());
        archive.append_data(&mut header, name, entry.data.as_slice())?;
    }
    Ok(archive.into_inner()?)
}

pub fn tar_gz(entries: &BTreeMap<String, Entry>) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&tar(entries)?)?;
    Ok(encoder.finish()?)
}

pub fn zip(entries: &BTreeMap<String, Entry>) -> Result<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, entry) in entries {
        let options = SimpleFileOptions::default()
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(entry.mode());
        archive.start_file(name, options)?;
        archive.write_all(&entry.data)?;
    }
    Ok(archive.finish()?.into_inner())
}
