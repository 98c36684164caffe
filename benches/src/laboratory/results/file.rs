//! Files of results: appended to, and read with a torn end.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Record;
use crate::error::Error;
use crate::json;

/// A file that results are appended to.
#[derive(Debug)]
pub(crate) struct Appender {
    path: PathBuf,
    file: File,
}

impl Appender {
    /// Opens the file at `path`, or makes it. A torn last line is cut off, and the trial that it is of.
    pub(crate) fn open(path: &Path) -> Result<Appender, Error> {
        let opened = File::options().read(true).append(true).create(true).open(path);
        let open = |mut file: File| {
            let whole = whole_trials(&mut file)?;
            file.set_len(whole)?;
            Ok(Appender { path: path.to_owned(), file })
        };
        opened.and_then(open).map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    /// Appends `records`, each on a line.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        let line = |record| json::line(record) + "\n";
        let lines: String = records.iter().map(line).collect();
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

/// How many bytes of `file` are lines of trials that are complete. What is no result counts as complete.
fn whole_trials(file: &mut File) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let ends: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == b'\n').collect();
    let start = |line: usize| line.checked_sub(1).map_or(0, |before| ends[before] + 1);
    let Some(last) = ends.len().checked_sub(1) else { return Ok(0) };
    let parts = match serde_json::from_slice::<Record>(&bytes[start(last)..ends[last]]) {
        Ok(Record { part: (part, all), .. }) if part < all => part,
        _ => 0,
    };
    Ok(start(ends.len().saturating_sub(parts)) as u64)
}

/// The results in the file at `path`. A last line that is not ended is left out.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let bytes = fs::read(path).map_err(|source| Error::ReadResults { path: path.to_owned(), source })?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let record = |(position, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| Error::Results {
            path: path.to_owned(),
            line: position + 1,
            problem: error.to_string(),
        })
    };
    let lines = bytes[..end].split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(record).collect()
}

/// The same of a file that is to have some: one that has none is no file of results.
pub(crate) fn read_some(path: &Path) -> Result<Vec<Record>, Error> {
    let records = read(path)?;
    if records.is_empty() { Err(Error::NoResults { path: path.to_owned() }) } else { Ok(records) }
}
