//! Sets of global transaction ids, in the two servers' two forms.

use super::image::Bytes;
use std::collections::BTreeMap;
use std::fmt;

/// The transactions that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GtidSet {
    /// MariaDB: the last `domain-server-sequence` of each domain.
    MariaDb(BTreeMap<u32, (u32, u64)>),
    /// MySQL: the intervals of each server's (and tag's) transactions, ends included.
    MySql(BTreeMap<String, Vec<(u64, u64)>>),
}

impl GtidSet {
    /// Reads `0-1-12,1-2-3` or `uuid:1-5:7,uuid:1`; what is no id is left out.
    pub(super) fn parse(text: &str, mariadb: bool) -> Self {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        if mariadb {
            let last = parts.filter_map(|part| {
                let mut numbers = part.split('-');
                let domain = numbers.next()?.parse().ok()?;
                Some((domain, (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?)))
            });
            return Self::MariaDb(last.collect());
        }
        let mut set = Self::MySql(BTreeMap::new());
        for part in parts {
            let mut pieces = part.split(':');
            let mut source = pieces.next().unwrap_or_default().to_ascii_lowercase();
            let uuid = source.clone();
            for piece in pieces {
                let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
                match (first.parse(), last.parse()) {
                    (Ok(first), Ok(last)) => set.add_mysql(&source, first, last),
                    _ => source = format!("{uuid}:{piece}"),
                }
            }
        }
        set
    }

    /// Adds a transaction, in the form of [`mariadb`] or [`mysql`].
    pub(super) fn add(&mut self, gtid: &str) {
        match self {
            Self::MariaDb(domains) => {
                if let Self::MariaDb(one) = Self::parse(gtid, true) {
                    domains.extend(one);
                }
            }
            Self::MySql(_) => {
                if let Some((source, Ok(number))) = gtid.rsplit_once(':').map(|(s, n)| (s, n.parse())) {
                    self.add_mysql(source, number, number);
                }
            }
        }
    }

    fn add_mysql(&mut self, source: &str, first: u64, last: u64) {
        let Self::MySql(sources) = self else { return };
        let intervals = sources.entry(source.to_owned()).or_default();
        if let Some(tail) = intervals.last_mut().filter(|(_, end)| end.checked_add(1) == Some(first)) {
            tail.1 = last;
            return;
        }
        intervals.push((first, last));
        intervals.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(intervals.len());
        for &(first, last) in intervals.iter() {
            match merged.last_mut() {
                Some(tail) if first <= tail.1.saturating_add(1) => tail.1 = tail.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        *intervals = merged;
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = match self {
            Self::MariaDb(domains) => domains.iter().map(|(d, (s, n))| format!("{d}-{s}-{n}")).collect(),
            Self::MySql(sources) => {
                let interval =
                    |(a, b): &(u64, u64)| if a == b { format!(":{a}") } else { format!(":{a}-{b}") };
                let text = |intervals: &[(u64, u64)]| intervals.iter().map(interval).collect::<String>();
                sources.iter().map(|(source, intervals)| format!("{source}{}", text(intervals))).collect()
            }
        };
        f.write_str(&text.join(","))
    }
}

/// MariaDB's GTID_EVENT: the id, and whether one statement without an end stands alone.
pub(super) fn mariadb(server_id: u32, data: &[u8]) -> Result<(String, bool), String> {
    const STANDALONE: u64 = 1;
    let mut b = Bytes::new(data);
    let (sequence, domain, flags) = (b.le(8)?, b.le(4)?, b.le(1)?);
    Ok((format!("{domain}-{server_id}-{sequence}"), flags & STANDALONE != 0))
}

/// MySQL's GTID_LOG_EVENT: flags, the server's UUID, the number.
pub(super) fn mysql(data: &[u8]) -> Result<String, String> {
    let mut b = Bytes::new(data);
    b.skip(1)?;
    let uuid = b.take(16)?;
    let hex: String = uuid.iter().map(|b| format!("{b:02x}")).collect();
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    let number = b.le(8)?;
    Ok(format!("{}-{}-{}-{}-{}:{number}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_mysql_grow_and_merge() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let mut set = GtidSet::parse(&format!("{}:1-5:7,\n x:tag:3", uuid.to_uppercase()), false);
        assert_eq!(set.to_string(), format!("{uuid}:1-5:7,x:tag:3"));
        set.add(&format!("{uuid}:6"));
        set.add(&format!("{uuid}:8"));
        assert_eq!(set.to_string(), format!("{uuid}:1-8,x:tag:3"));
    }

    #[test]
    fn sets_of_mariadb_hold_the_last_of_each_domain() {
        let mut set = GtidSet::parse("0-1-12,5-2-3", true);
        set.add("0-9-13");
        assert_eq!(set.to_string(), "0-9-13,5-2-3");
    }
}
