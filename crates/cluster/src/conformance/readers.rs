//! Reading: positions, pauses, turns, sizes, errors.

use super::Setup;
use super::support::{
    Deadline, Must, STEP, T0, append, append_values, new_partition, new_topic, plain_writer, poll_some,
    read_to, reader, reader_at, rows, texts, unique, values,
};
use crate::{ClusterError, Isolation, RecordsBuilder, TopicPartition};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const COMMITTED: Isolation = Isolation::ReadCommitted;

/// From the middle as well as from the end.
pub fn a_reader_starts_at_the_offset_it_was_assigned(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "start");
    append_values(setup, &mut *plain_writer(&*cluster), &at, &["a", "b", "c"]);
    let mut middle = reader_at(&*cluster, COMMITTED, &at, 1);
    assert_eq!(middle.position(&at), Some(1));
    assert_eq!(texts(&read_to(setup, &mut *middle, &at, 3)), ["b", "c"]);
    let mut end = reader_at(&*cluster, COMMITTED, &at, 3);
    append_values(setup, &mut *plain_writer(&*cluster), &at, &["d"]);
    assert_eq!(texts(&read_to(setup, &mut *end, &at, 4)), ["d"]);
    assert_eq!(
        end.position(&TopicPartition::new(at.topic.clone(), 7)),
        None,
        "position of a partition not assigned"
    );
}

/// Without records, without partitions and on a zero wait, `poll` returns.
pub fn polling_nothing_waits_and_gives_none(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "nothing");
    let mut none = reader(&*cluster, COMMITTED);
    assert!(none.poll(1024, Duration::ZERO).must("poll without partitions").is_none());
    let mut reader = reader_at(&*cluster, COMMITTED, &at, 0);
    let wait = Duration::from_millis(300);
    let start = Instant::now();
    assert!(reader.poll(1024, wait).must("poll of an empty partition").is_none());
    assert!(start.elapsed() >= wait, "gave up after {:?} of {wait:?}", start.elapsed());
    assert!(start.elapsed() < setup.wait(), "took {:?} instead of {wait:?}", start.elapsed());
    assert!(reader.poll(1024, Duration::ZERO).must("poll without waiting").is_none());
    assert_eq!(reader.position(&at), Some(0));
}

/// A poll that waits ends when a record comes, long before its wait is over.
pub fn a_waiting_poll_wakes_up_for_a_new_record(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "wake");
    let mut reader = reader_at(&*cluster, COMMITTED, &at, 0);
    assert!(reader.poll(1024, STEP).must("poll").is_none());
    let got = std::thread::scope(|scope| {
        let poll = scope.spawn(|| reader.poll(1024, setup.wait()));
        append_values(setup, &mut *plain_writer(&*cluster), &at, &["a"]);
        let start = Instant::now();
        let Ok(result) = poll.join() else { panic!("the polling thread panicked") };
        assert!(start.elapsed() < setup.wait() / 2, "woke up only after {:?}", start.elapsed());
        result
    });
    let Some(records) = got.must("poll") else { panic!("poll gave None although a record came") };
    assert_eq!(texts(&rows(&records)), ["a"]);
}

/// Back, forth, and after records were fetched ahead.
pub fn seeking_moves_the_position_both_ways(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "seek");
    append_values(setup, &mut *plain_writer(&*cluster), &at, &["a", "b", "c", "d", "e"]);
    let mut reader = reader_at(&*cluster, COMMITTED, &at, 0);
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, 5)).len(), 5);
    reader.seek(&at, 1).must("seek back");
    assert_eq!(reader.position(&at), Some(1));
    let first = poll_some(setup, &mut *reader, 1, "the record after a seek");
    assert_eq!(texts(&rows(&first))[0], "b");
    reader.seek(&at, 4).must("seek forth");
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, 5)), ["e"]);
    reader.assign(&at, 3).must("assign again");
    assert_eq!(reader.position(&at), Some(3), "assigning again moves");
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, 5)), ["d", "e"]);
}

/// A pause holds one partition back, others go on; nothing is lost.
pub fn a_paused_partition_gives_nothing_until_resumed(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "pause", 2);
    let [p0, p1] = [0, 1].map(|p| TopicPartition::new(topic.as_str(), p));
    let mut writer = plain_writer(&*cluster);
    append_values(setup, &mut *writer, &p0, &["a", "b"]);
    append_values(setup, &mut *writer, &p1, &["x"]);
    let mut reader = reader(&*cluster, COMMITTED);
    reader.assign(&p0, 0).must("assign");
    reader.assign(&p1, 0).must("assign");
    reader.pause(std::slice::from_ref(&p0)).must("pause");
    assert_eq!(texts(&read_to(setup, &mut *reader, &p1, 1)), ["x"]);
    assert!(reader.poll(1024, STEP).must("poll").is_none(), "a paused partition gave records");
    assert_eq!(reader.position(&p0), Some(0), "a pause keeps the position");
    reader.resume(std::slice::from_ref(&p0)).must("resume");
    reader.pause(std::slice::from_ref(&p1)).must("pause");
    assert_eq!(texts(&read_to(setup, &mut *reader, &p0, 2)), ["a", "b"]);
}

/// After `unassign` neither records nor a position.
pub fn an_unassigned_partition_gives_nothing(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "unassign", 2);
    let [p0, p1] = [0, 1].map(|p| TopicPartition::new(topic.as_str(), p));
    let mut writer = plain_writer(&*cluster);
    let mut reader = reader(&*cluster, COMMITTED);
    for p in [&p0, &p1] {
        append_values(setup, &mut *writer, p, &["a", "b"]);
        reader.assign(p, 0).must("assign");
    }
    let first = poll_some(setup, &mut *reader, 1, "a first record");
    let (gone, left) = if first.partition == p0 { (&p0, &p1) } else { (&p1, &p0) };
    reader.unassign(gone);
    assert_eq!(reader.position(gone), None);
    assert_eq!(texts(&read_to(setup, &mut *reader, left, 2)), ["a", "b"]);
    assert!(reader.poll(1024, STEP).must("poll").is_none(), "an unassigned partition gave records");
    reader.assign(gone, 1).must("assign again");
    assert_eq!(texts(&read_to(setup, &mut *reader, gone, 2)), ["b"]);
}

/// `max_bytes` never blocks a large record.
pub fn a_record_larger_than_max_bytes_arrives_whole(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "large");
    let mut writer = plain_writer(&*cluster);
    let large: Vec<u8> = (0..900_000u32).map(|i| (i * 31 % 251) as u8).collect();
    let mut records = RecordsBuilder::new();
    records.push(Some(b"large"), Some(&large), T0, &[]);
    append(setup, &mut *writer, &at, records);
    append_values(setup, &mut *writer, &at, &["small"]);
    let mut reader = reader_at(&*cluster, COMMITTED, &at, 0);
    let first = poll_some(setup, &mut *reader, 1000, "a record larger than max_bytes");
    assert_eq!((first.len(), first.next_offset), (1, 1));
    assert!(first.value(0) == Some(&large), "the large record is damaged");
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, 2)), ["small"]);
}

/// One poll gives about `max_bytes`, however much there is.
pub fn max_bytes_bounds_what_one_poll_gives(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "bounded");
    let value = "x".repeat(1000);
    append(setup, &mut *plain_writer(&*cluster), &at, values(&vec![value.as_str(); 200]));
    let mut reader = reader_at(&*cluster, COMMITTED, &at, 0);
    let deadline = Deadline::new(setup, "200 records");
    let mut count = 0;
    while count < 200 {
        if let Some(records) = reader.poll(10_000, STEP).must("poll") {
            let bytes: usize = records.iter().map(|r| r.value.map_or(0, <[u8]>::len)).sum();
            assert!(bytes <= 20_000, "{bytes} bytes where about 10000 were asked for");
            count += records.len();
        }
        deadline.check(|| format!("{count} records"));
    }
    assert_eq!(reader.position(&at), Some(200));
}

/// No partition waits until another one is read to its end. A home that fetches ahead may give what it has of one partition
/// while it fetches the others, so long runs count only once all have begun.
pub fn partitions_with_records_take_turns(setup: &Setup) {
    const RECORDS: usize = 400;
    const LONGEST_RUN: usize = RECORDS * 3 / 4;
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "turns", 3);
    let mut writer = plain_writer(&*cluster);
    let mut reader = reader(&*cluster, COMMITTED);
    let value = "x".repeat(5_000);
    let partitions = [0, 1, 2].map(|p| TopicPartition::new(topic.as_str(), p));
    for partition in &partitions {
        for _ in 0..4 {
            append(setup, &mut *writer, partition, values(&vec![value.as_str(); RECORDS / 4]));
        }
    }
    for partition in &partitions {
        reader.assign(partition, 0).must("assign");
    }
    let mut counts: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    let mut run = (None, 0);
    let deadline = Deadline::new(setup, "all records of three partitions");
    while counts.values().sum::<usize>() < 3 * RECORDS {
        if let Some(records) = reader.poll(1, STEP).must("poll") {
            *counts.entry(records.partition.clone()).or_default() += records.len();
            let unread = counts.values().filter(|n| **n < RECORDS).count();
            let same = run.0.as_ref() == Some(&records.partition) && counts.len() == 3 && unread > 1;
            run = (Some(records.partition.clone()), if same { run.1 + records.len() } else { records.len() });
            assert!(run.1 <= LONGEST_RUN, "{} records of {} in a row: {counts:?}", run.1, records.partition);
        }
        deadline.check(|| format!("{counts:?}"));
    }
}

/// Before the start (trimmed) and past the end: an error, again and again, until the caller moves.
pub fn a_position_out_of_range_is_an_error_until_moved(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "range");
    append_values(setup, &mut *plain_writer(&*cluster), &at, &["a", "b", "c", "d"]);
    cluster.trim(&at, 2).must("trim");
    let out_of_range = |reader: &mut dyn crate::Reader, position: i64| {
        let deadline = Deadline::new(setup, format!("OffsetOutOfRange at {position}"));
        loop {
            match reader.poll(1024, STEP) {
                Err(ClusterError::OffsetOutOfRange { partition, offset, start, end }) => {
                    assert_eq!((partition, offset), (at.clone(), position));
                    assert!([-1, 2].contains(&start) && [-1, 4].contains(&end), "said to be {start}..{end}");
                    return;
                }
                Ok(None) => deadline.check(|| "poll gives None".into()),
                other => panic!("expected OffsetOutOfRange, got {other:?}"),
            }
        }
    };
    let mut reader = reader_at(&*cluster, COMMITTED, &at, 0);
    out_of_range(&mut *reader, 0);
    out_of_range(&mut *reader, 0);
    reader.seek(&at, 3).must("seek into the range");
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, 4)), ["d"]);
    reader.seek(&at, 9).must("seek past the end");
    out_of_range(&mut *reader, 9);
    reader.seek(&at, 2).must("seek into the range");
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, 4)), ["c", "d"]);
}

/// A topic or partition that is not there is told at `assign` or at the first polls.
pub fn assigning_an_unknown_partition_fails(setup: &Setup) {
    let cluster = setup.cluster();
    let missing = TopicPartition::new(new_topic(&*cluster, "missing", 1), 3);
    for at in [TopicPartition::new(unique("missing"), 0), missing] {
        let mut reader = reader(&*cluster, COMMITTED);
        let deadline = Deadline::new(setup, format!("UnknownTopic for {at}"));
        let mut result = reader.assign(&at, 0).map(|()| None);
        while matches!(result, Ok(None)) {
            deadline.check(|| "poll gives None".into());
            result = reader.poll(1024, STEP);
        }
        assert!(matches!(result, Err(ClusterError::UnknownTopic(_))), "{at}: {result:?}");
        assert_eq!(
            cluster.topic(&at.topic).must("describe").is_some(),
            at.partition == 3,
            "created by reading"
        );
    }
}
