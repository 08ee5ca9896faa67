//! Reading ahead of who reads logs from the disk, from front to back.
//!
//! A consumer that is far behind asks for a part of a log, takes it, and asks for the next one. Were the disk asked for a part
//! when it is wanted, disk and network would take turns, each waiting for the other. So the disk is asked for what follows while
//! a part is on its way to the socket:
//! ```text
//!   read before │ part being sent │ asked for already │ asked for now │
//!               └─ start      end ┘                   └───────────────┤ end + window
//! ```
//! The window grows with what was read in sequence, so that a reader who jumps about costs no more than what it reads. What lies
//! within it is asked for in large pieces. The pages are the kernel's: a connection holds a few numbers for each file that it
//! reads, of a bounded number of files.

use std::ops::Range;

/// Bytes that are asked for ahead of one reader at most.
const WINDOW: u64 = 8 << 20;
/// Files of one connection that are remembered: of those, reading ahead goes on.
const STREAMS: usize = 64;

/// What a connection reads from the disk. Empty, and without memory of its own, until it does so.
#[derive(Debug, Default)]
pub(crate) struct ReadAhead {
    streams: Vec<Stream>,
    turn: u64,
}

/// A file that is being read.
#[derive(Debug, Clone, Copy)]
struct Stream {
    file: usize,
    /// Where the next part begins if it is read in sequence.
    next: u64,
    /// Bytes read in sequence.
    run: u64,
    /// Up to where the disk was asked.
    asked: u64,
    /// The turn in which it was last read.
    used: u64,
}

impl ReadAhead {
    /// A part of a file (told apart by `file`; a mistaken one costs a useless read) is about to be sent. Gives the
    /// bytes that the disk should be asked for now, which include the part's own if nobody has asked for them.
    pub(crate) fn wanted(&mut self, file: usize, part: Range<u64>) -> Option<Range<u64>> {
        self.turn += 1;
        let at = self.streams.iter().position(|s| s.file == file && s.next == part.start);
        // Who begins a file reads on, as a rule.
        let goes_on = at.is_some() || part.start == 0;
        let Stream { run, asked, .. } = match at {
            Some(at) => self.streams.swap_remove(at),
            None => Stream { file, next: 0, run: 0, asked: 0, used: 0 },
        };
        let run = if goes_on { run.saturating_add(part.end - part.start) } else { 0 };
        let wanted = to_ask(run.min(WINDOW), &part, asked);
        if self.streams.len() >= STREAMS
            && let Some(oldest) = (0..STREAMS).min_by_key(|i| self.streams.get(*i).map(|s| s.used))
        {
            self.streams.swap_remove(oldest);
        }
        let asked = wanted.as_ref().map_or(asked, |wanted| wanted.end);
        self.streams.push(Stream { file, next: part.end, run, asked, used: self.turn });
        wanted
    }
}

/// What to ask for when `part` is sent, the window ahead of it has so many bytes, and the disk was asked up to `asked`:
/// nothing while half a window is left, so that what is asked for is large.
fn to_ask(window: u64, part: &Range<u64>, asked: u64) -> Option<Range<u64>> {
    let wanted = asked.max(part.start)..part.end.saturating_add(window);
    let is_low = asked < part.end || asked - part.end < window / 2;
    (is_low && !wanted.is_empty()).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn the_window_is_filled_up_when_half_of_it_is_used() {
        for (window, part, asked, wanted) in [
            // Nobody has asked yet: for the part itself, too.
            (0, 5..6, 0, Some(5..6)),
            (4, 5..6, 0, Some(5..10)),
            // A part that was asked for.
            (0, 5..6, 6, None),
            (0, 5..6, 9, None),
            (8, 5..6, 6, Some(6..14)),
            (8, 5..6, 9, Some(9..14)),
            (8, 5..6, 10, None),
            (8, 5..6, 14, None),
            (8, 5..6, 20, None),
            // A part of which some was asked for.
            (0, 4..8, 6, Some(6..8)),
            (0, u64::MAX - 1..u64::MAX, 0, Some(u64::MAX - 1..u64::MAX)),
        ] {
            assert_eq!(to_ask(window, &part, asked), wanted, "window {window}, part {part:?}, asked {asked}");
        }
    }

    #[test]
    fn a_reader_in_sequence_has_each_byte_asked_for_once_and_before_it_is_read() {
        let mut ahead = ReadAhead::default();
        let (mut asked, mut requests) = (0, 0);
        for i in 0..64 {
            if let Some(wanted) = ahead.wanted(1, i * MB..(i + 1) * MB) {
                assert_eq!(wanted.start, asked, "part {i}");
                (asked, requests) = (wanted.end, requests + 1);
            }
            assert!(asked >= (i + 1) * MB && asked <= (i + 1) * MB + WINDOW, "part {i}: {asked}");
            // Never without something ahead.
            assert!(asked > (i + 1) * MB, "part {i}: {asked}");
        }
        assert!(requests <= 20, "{requests} requests of 64 MB");
    }

    #[test]
    fn a_reader_that_jumps_about_has_only_its_parts_asked_for() {
        let mut ahead = ReadAhead::default();
        for i in [7, 3, 90, 5, 40] {
            assert_eq!(ahead.wanted(1, i * MB..(i + 1) * MB), Some(i * MB..(i + 1) * MB));
        }
    }

    #[test]
    fn readers_of_the_same_file_are_told_apart_by_where_they_are() {
        let mut ahead = ReadAhead::default();
        for i in 0..20 {
            let (front, back) = (i * MB, (i + 1000) * MB);
            ahead.wanted(1, front..front + MB);
            ahead.wanted(1, back..back + MB);
        }
        assert_eq!(ahead.streams.iter().map(|s| s.run).max(), Some(20 * MB));
        assert_eq!(ahead.streams.len(), 2);
    }

    #[test]
    fn what_a_connection_remembers_is_bounded_and_the_oldest_is_forgotten() {
        let mut ahead = ReadAhead::default();
        assert_eq!(ahead.streams.capacity(), 0);
        for i in 0..100_000 {
            ahead.wanted(i, MB..2 * MB);
        }
        assert!(ahead.streams.len() == STREAMS && ahead.streams.capacity() <= 2 * STREAMS);
        assert!(ahead.wanted(99_999, 2 * MB..3 * MB).is_some_and(|w| w.end > 3 * MB), "the newest is known");
        assert_eq!(ahead.wanted(0, 2 * MB..3 * MB), Some(2 * MB..3 * MB), "the oldest is not");
    }
}
