//! Offsets: start, end, stable end, at a time; trim.

use super::Setup;
use super::support::{
    Must, T0, append, append_values, committed_texts, new_partition, plain_writer, settled,
    transactional_writer, unique,
};
use crate::{ClusterError, OffsetSpec, RecordsBuilder};

/// A new partition begins and ends at 0.
pub fn offsets_of_an_empty_partition_are_zero(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "empty");
    for spec in [OffsetSpec::Earliest, OffsetSpec::Latest, OffsetSpec::Stable, OffsetSpec::AtTime(0)] {
        assert_eq!(cluster.offset(&at, spec), Ok(0), "{spec:?}");
    }
}

/// Latest counts records of open transactions, stable stands before the first of them.
pub fn offsets_tell_start_end_and_stable_end(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "ends");
    append_values(setup, &mut *plain_writer(&*cluster), &at, &["a", "b"]);
    let offsets = || {
        [OffsetSpec::Earliest, OffsetSpec::Stable, OffsetSpec::Latest]
            .map(|spec| cluster.offset(&at, spec).must("offset"))
    };
    assert_eq!(offsets(), [0, 2, 2]);
    let mut writer = transactional_writer(&*cluster, &unique("ends"));
    append_values(setup, &mut *writer, &at, &["c"]);
    append_values(setup, &mut *plain_writer(&*cluster), &at, &["d"]);
    assert_eq!(offsets(), [0, 2, 4], "with an open transaction from offset 2 on");
    writer.commit(&[], None).must("commit");
    let end = settled(setup, &*cluster, &at);
    assert!(end >= 4, "the end went back to {end}");
    assert_eq!(offsets(), [0, end, end]);
}

/// The first record at or after the time; the end where there is none.
pub fn the_offset_at_a_time_is_the_first_record_at_or_after_it(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "times");
    let mut writer = plain_writer(&*cluster);
    for times in [[0, 10, 10], [20, 30, 40]] {
        let mut records = RecordsBuilder::new();
        for time in times {
            records.push(None, Some(b"x"), T0 + time, &[]);
        }
        append(setup, &mut *writer, &at, records);
    }
    for (time, offset) in [(-5, 0), (0, 0), (1, 1), (10, 1), (11, 3), (30, 4), (40, 5), (41, 6)] {
        assert_eq!(cluster.offset(&at, OffsetSpec::AtTime(T0 + time)), Ok(offset), "at T0 + {time} ms");
    }
}

/// Trim deletes what is before an offset, keeps the rest, and refuses an offset past the end.
pub fn trimming_moves_the_start_and_never_past_the_end(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "trim");
    append_values(setup, &mut *plain_writer(&*cluster), &at, &["a", "b", "c", "d", "e"]);
    assert_eq!(cluster.trim(&at, 3), Ok(3));
    assert_eq!(cluster.offset(&at, OffsetSpec::Earliest), Ok(3));
    assert_eq!(cluster.offset(&at, OffsetSpec::Latest), Ok(5));
    assert_eq!(committed_texts(setup, &*cluster, &at), ["d", "e"]);
    assert_eq!(cluster.trim(&at, 1), Ok(3), "a trim below the start changes nothing");
    let result = cluster.trim(&at, 6);
    assert!(
        matches!(&result, Err(ClusterError::OffsetOutOfRange { partition, offset: 6, .. }) if *partition == at),
        "trim past the end: {result:?}"
    );
    assert_eq!(cluster.trim(&at, 5), Ok(5), "all of it");
    let written = append_values(setup, &mut *plain_writer(&*cluster), &at, &["f"]);
    assert_eq!(written.base_offset, 5, "offsets go on after a trim");
    assert_eq!(committed_texts(setup, &*cluster, &at), ["f"]);
}
