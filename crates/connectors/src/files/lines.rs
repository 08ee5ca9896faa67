//! Lines of a file, each of bounded length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A line with its break.
    Whole,
    /// The text after the last break; more may come.
    Partial,
    /// A line longer than allowed; its start was read.
    TooLong,
    /// The same of text after the last break.
    Endless,
    /// There is nothing more.
    End,
}

/// Reads lines from a place in a file on.
pub(super) struct LineReader {
    file: BufReader<File>,
    position: u64,
    /// Bytes read of a line that has no end yet.
    pending: u64,
    max: usize,
}

impl LineReader {
    /// Lines of at most `max` bytes from the byte `position` on.
    pub(super) fn open(path: &str, position: u64, max: usize) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(64 << 10, File::open(path)?);
        file.seek(SeekFrom::Start(position))?;
        Ok(Self { file, position, pending: 0, max })
    }

    /// The byte after the last whole line.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Goes back to a byte.
    pub(super) fn seek(&mut self, position: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(position))?;
        (self.position, self.pending) = (position, 0);
        Ok(())
    }

    /// Counts the text after the last break as a line.
    pub(super) fn take_partial(&mut self) {
        self.position += std::mem::take(&mut self.pending);
    }

    /// Reads the next line into `line`, without its break.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        line.clear();
        let mut too_long = false;
        loop {
            let buffer = match self.file.fill_buf() {
                Ok(buffer) => buffer,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if buffer.is_empty() {
                return Ok(match (self.pending, too_long) {
                    (0, _) => Line::End,
                    (_, true) => Line::Endless,
                    _ => Line::Partial,
                });
            }
            let end = buffer.iter().position(|b| *b == b'\n');
            let text = &buffer[..end.unwrap_or(buffer.len())];
            let room = self.max.saturating_sub(line.len());
            too_long |= text.len() > room;
            line.extend_from_slice(&text[..text.len().min(room)]);
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.file.consume(used);
            self.pending += used as u64;
            if end.is_some() {
                self.take_partial();
                return Ok(if too_long { Line::TooLong } else { Line::Whole });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_from_a_place_on_and_are_bounded() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "zero\none\r\n\nvery long line\nlast").unwrap();
        let mut reader = LineReader::open(file.path().to_str().unwrap(), 5, 8).unwrap();
        let mut line = Vec::new();
        let mut read = || {
            let kind = reader.next(&mut line).unwrap();
            (kind, String::from_utf8(line.clone()).unwrap(), reader.position())
        };
        assert_eq!(read(), (Line::Whole, "one\r".to_owned(), 10));
        assert_eq!(read(), (Line::Whole, String::new(), 11));
        assert_eq!(read(), (Line::TooLong, "very lon".to_owned(), 26));
        assert_eq!(read(), (Line::Partial, "last".to_owned(), 26));
        reader.take_partial();
        assert_eq!(reader.position(), 30);
        assert_eq!(reader.next(&mut line).unwrap(), Line::End);
    }
}
