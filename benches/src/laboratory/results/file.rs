//! Files of results: appended to, and read with a torn end.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
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
    /// Opens the file at `path`, or makes it; also returns the results that are in it. What a kill left at its end is cut
    /// off: a torn line, and the trial that it is of. A file with anything else in it than results stays as it is, and is an
    /// error.
    pub(crate) fn open(path: &Path) -> Result<(Appender, Vec<Record>), Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let opened = File::options().read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(failed)?;
        let is_file = file.metadata().map_err(failed)?.is_file();
        let appender = |file| Appender { path: path.to_owned(), file };
        if !is_file {
            // There is nothing to be read in a device or a pipe.
            return Ok((appender(file), Vec::new()));
        }
        // File systems that have no locks do without.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::ResultsInUse { path: path.to_owned() });
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(failed)?;
        let (whole, records) = Contents::of(&bytes, path)?.without_torn_trial();
        mend(&mut file, &bytes, whole).map_err(failed)?;
        Ok((appender(file), without_repeated(records)))
    }

    /// Appends `records`, each on a line.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        let line = |record| json::line(record) + "\n";
        let lines: String = records.iter().map(line).collect();
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        // A pipe has nothing to sync.
        let written = written.or_else(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Ok(()),
            _ => Err(error),
        });
        written.map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

/// Leaves the first `whole` bytes of `file`, which are lines.
fn mend(file: &mut File, bytes: &[u8], whole: usize) -> io::Result<()> {
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
    }
    if whole > 0 && bytes[whole - 1] != b'\n' { file.write_all(b"\n") } else { Ok(()) }
}

/// What is in a file of results.
struct Contents {
    /// The results, and where the line of each ends.
    records: Vec<(Record, usize)>,
}

impl Contents {
    /// Of the file at `path`, which is these `bytes`. A last line that is not ended may be torn.
    fn of(bytes: &[u8], path: &Path) -> Result<Contents, Error> {
        let (mut records, mut end) = (Vec::new(), 0);
        for (position, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            end += line.len();
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(record) => records.push((record, end)),
                Err(_) if is_torn(line, !records.is_empty()) => {}
                Err(error) => {
                    let (path, problem) = (path.to_owned(), error.to_string());
                    return Err(Error::Results { path, line: position + 1, problem });
                }
            }
        }
        Ok(Contents { records })
    }

    /// How many bytes are results of trials that are complete, and those.
    fn without_torn_trial(mut self) -> (usize, Vec<Record>) {
        let torn = self.torn();
        self.records.truncate(self.records.len() - torn);
        let whole = self.records.last().map_or(0, |&(_, end)| end);
        (whole, self.records.into_iter().map(|(record, _)| record).collect())
    }

    /// How many results at the end are of a trial whose others are missing.
    fn torn(&self) -> usize {
        let Some((last, _)) = self.records.last() else { return 0 };
        let (part, all) = last.part;
        let is_part = |(position, (record, _)): (usize, &(Record, usize))| {
            record.is_of_trial(last) && record.part == (part - position, all)
        };
        let are_there =
            part <= self.records.len() && self.records.iter().rev().take(part).enumerate().all(is_part);
        if part < all && are_there { part } else { 0 }
    }
}

/// Whether `line`, which is no result, is the torn end of a file of results: it is not ended, and begins as one does. One
/// that does not stand behind results has to begin so at length.
fn is_torn(line: &[u8], is_behind_results: bool) -> bool {
    let begins: &[u8] = if is_behind_results { b"{" } else { b"{\"experiment\":\"" };
    !line.ends_with(b"\n") && line.starts_with(begins)
}

/// `records` without failures of trials that were made again.
fn without_repeated(records: Vec<Record>) -> Vec<Record> {
    let mut kept = records.clone();
    let mut position = 0;
    kept.retain(|record| {
        position += 1;
        !record.finding.has_failed() || !records[position..].iter().any(|later| later.is_of_trial(record))
    });
    kept
}

/// The results in the file at `path`, but for failures of trials that were made again. A last line that is torn is left out.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let bytes = fs::read(path).map_err(|source| Error::ReadResults { path: path.to_owned(), source })?;
    let records = Contents::of(&bytes, path)?.records;
    Ok(without_repeated(records.into_iter().map(|(record, _)| record).collect()))
}

/// The same of a file that is to have some: one that has none is no file of results.
pub(crate) fn read_some(path: &Path) -> Result<Vec<Record>, Error> {
    let records = read(path)?;
    if records.is_empty() { Err(Error::NoResults { path: path.to_owned() }) } else { Ok(records) }
}
