#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
use bd_log::RealFs;
use bd_log::testing::FaultFs;

use super::*;

fn entry(seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let source = format!("{{\"n\":{seq}}}");
    Entry { kind: EntryKind::Index, seq, version: seq + 1, time: 5, id: "id", source: source.as_bytes() }
        .encode(&mut out);
    out
}

fn read(dir: &Path) -> (Translog, Vec<u64>) {
    let mut seen = Vec::new();
    let log = Translog::open(Arc::new(RealFs), dir, &mut |entry| {
        assert_eq!(entry.source, format!("{{\"n\":{}}}", entry.seq).as_bytes());
        seen.push(entry.seq);
        Ok(())
    });
    (log.unwrap(), seen)
}

#[test]
fn the_checksum_is_crc_32c() {
    // The check value of the Castagnoli polynomial (RFC 3720, B.4).
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn entries_are_read_back_in_order_over_generations() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, seen) = read(dir.path());
    assert!(seen.is_empty());
    for seq in 0..3 {
        let position = log.append(&entry(seq)).unwrap();
        log.syncer().wait(position).unwrap();
    }
    log.begin(&[], false).unwrap();
    log.append(&entry(3)).unwrap();
    drop(log);
    let (mut log, seen) = read(dir.path());
    assert_eq!(seen, [0, 1, 2, 3]);
    log.append(&entry(4)).unwrap();
    log.trim();
    drop(log);
    assert_eq!(read(dir.path()).1, [3, 4]);
}

#[test]
fn a_damaged_byte_ends_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = read(dir.path());
    for seq in 0..3 {
        log.append(&entry(seq)).unwrap();
    }
    drop(log);
    let path = path_of(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    let length = entry(0).len();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let expected: Vec<u64> = (0..(at / length) as u64).collect();
        assert_eq!(read(dir.path()).1, expected, "byte {at}");
    }
}

#[test]
fn a_write_that_fails_half_way_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultFs::new(Arc::new(RealFs));
    let mut log = Translog::open(Arc::new(fs.clone()), dir.path(), &mut |_| Ok(())).unwrap();
    log.append(&entry(0)).unwrap();
    fs.set_space(10);
    fs.fail_truncations(true);
    assert!(log.append(&entry(1)).is_err());
    fs.set_space(u64::MAX);
    assert!(log.append(&entry(1)).is_err(), "what is torn must be cut off first");
    fs.fail_truncations(false);
    log.append(&entry(1)).unwrap();
    drop(log);
    assert_eq!(read(dir.path()).1, [0, 1]);
}

#[test]
fn one_fsync_serves_all_who_wait() {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultFs::new(Arc::new(RealFs));
    let mut log = Translog::open(Arc::new(fs.clone()), dir.path(), &mut |_| Ok(())).unwrap();
    let before = fs.syncs();
    let positions: Vec<u64> = (0..10).map(|seq| log.append(&entry(seq)).unwrap()).collect();
    let syncer = log.syncer();
    syncer.wait(*positions.last().unwrap()).unwrap();
    positions.iter().for_each(|position| syncer.wait(*position).unwrap());
    assert_eq!(fs.syncs() - before, 1);
}
