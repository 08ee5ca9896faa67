//! Lines in the order of their arrival.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{CaseError, rng::Rng};

use super::Plan;

/// A file that is written in the order of arrival, while its lines are made up in about the order of their times.
pub(super) struct Arrivals {
    path: PathBuf,
    out: BufWriter<File>,
    /// Arrival, number, line: lines that arrive at one instant keep the order in which they were made up.
    waiting: BinaryHeap<Reverse<(i64, usize, Vec<u8>)>>,
    pushed: usize,
}

impl Arrivals {
    pub(super) fn new(path: &Path) -> Result<Self, CaseError> {
        let file = File::create(path).map_err(|source| CaseError::File {
            what: "write",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            out: BufWriter::with_capacity(1 << 20, file),
            waiting: BinaryHeap::new(),
            pushed: 0,
        })
    }

    /// Adds a line that arrives at `arrival`, which is not before the time last given to [`pass`](Self::pass).
    pub(super) fn push(&mut self, arrival: i64, line: Vec<u8>) {
        self.waiting.push(Reverse((arrival, self.pushed, line)));
        self.pushed += 1;
    }

    /// Says that nothing will arrive before `time` any more.
    pub(super) fn pass(&mut self, time: i64) -> Result<(), CaseError> {
        while self.waiting.peek().is_some_and(|Reverse((arrival, ..))| *arrival < time) {
            self.write_next()?;
        }
        Ok(())
    }

    /// Writes the rest and returns the number of lines.
    pub(super) fn finish(mut self) -> Result<usize, CaseError> {
        while !self.waiting.is_empty() {
            self.write_next()?;
        }
        match self.out.flush() {
            Ok(()) => Ok(self.pushed),
            Err(source) => Err(CaseError::File { what: "write", path: self.path, source }),
        }
    }

    fn write_next(&mut self) -> Result<(), CaseError> {
        let Some(Reverse((_, _, mut line))) = self.waiting.pop() else { return Ok(()) };
        line.push(b'\n');
        self.out.write_all(&line).map_err(|source| CaseError::File {
            what: "write",
            path: self.path.clone(),
            source,
        })
    }
}

/// How many seconds after its time a row arrives: at most `bound`, which is never late, or much more.
pub(super) fn delay(plan: &Plan, rng: &mut Rng, bound: i64) -> i64 {
    if rng.chance(plan.late) {
        bound + *rng.pick(&[1, 1, 2, 30, 600, 3600, 7200, 90_000])
    } else if rng.chance(if plan.hard { 40.0 } else { 10.0 }) {
        rng.between(0, bound)
    } else {
        0
    }
}

/// Something that is no row of any stream.
pub(super) fn broken(rng: &mut Rng, row: &[u8]) -> Vec<u8> {
    match rng.below(8) {
        0 => b"{\"user_id\": 45, \"device_id\": 14, \"action_ts\": ".to_vec(),
        1 => b"[45, 14, 57, 1, 1612223787]".to_vec(),
        2 => b"{}".to_vec(),
        3 => b"\xff\xfe\x00not even text".to_vec(),
        4 => b"\"a string\"".to_vec(),
        5 => "<html>503 – später</html>".into(),
        6 => [row, b" trailing"].concat(),
        _ => row[..row.len() / 2].to_vec(),
    }
}
