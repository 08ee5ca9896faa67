//! Writing without transactions: acknowledgements, order, and that a record comes back as it was.

use super::Setup;
use super::support::{
    Deadline, Got, Must, STEP, T0, append, append_values, new_partition, new_topic, plain_writer, read_all,
    texts, values,
};
use crate::{Ack, GroupMember, Isolation, OffsetSpec, RecordsBuilder, TopicPartition, Written};

/// A key, a value or a header's value, null or not.
type Bytes<'a> = Option<&'a [u8]>;

/// An acknowledgement tells where the batch stands.
pub fn appends_are_acknowledged_with_consecutive_offsets(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "acks", 2);
    let [p0, p1] = [0, 1].map(|p| TopicPartition::new(topic.as_str(), p));
    let mut writer = plain_writer(&*cluster);
    let written = |base_offset, last_offset| Written { base_offset, last_offset };
    assert_eq!(append_values(setup, &mut *writer, &p0, &["a", "b", "c"]), written(0, 2));
    assert_eq!(append_values(setup, &mut *writer, &p0, &["d"]), written(3, 3));
    assert_eq!(append_values(setup, &mut *writer, &p1, &["e", "f"]), written(0, 1));
    assert_eq!(cluster.offset(&p0, OffsetSpec::Latest), Ok(4), "acknowledged records count");
    assert_eq!(cluster.offset(&p1, OffsetSpec::Latest), Ok(2), "acknowledged records count");
}

/// Appends that wait for no answer stand in their order.
pub fn records_stand_in_the_order_of_their_appends(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "order");
    let mut writer = plain_writer(&*cluster);
    let acks =
        [&["a", "b"][..], &["c"], &["d", "e", "f"]].map(|v| writer.append(&at, values(v)).must("append"));
    let written: Vec<_> =
        acks.into_iter().map(|ack| ack.wait(setup.wait()).must("acknowledgement")).collect();
    assert_eq!(
        written.iter().map(|w| (w.base_offset, w.last_offset)).collect::<Vec<_>>(),
        [(0, 1), (2, 2), (3, 5)]
    );
    let got = read_all(setup, &*cluster, Isolation::ReadCommitted, &at);
    assert_eq!(texts(&got), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(got.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

/// Null is not empty, for key and value.
pub fn null_and_empty_keys_and_values_differ(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "nulls");
    let rows: [(Bytes<'_>, Bytes<'_>); 5] = [
        (None, None),
        (Some(b""), Some(b"")),
        (None, Some(b"")),
        (Some(b""), None),
        (Some(&[0, 255, 10]), Some("Grüße".as_bytes())),
    ];
    let mut records = RecordsBuilder::new();
    for (key, value) in rows {
        records.push(key, value, T0, &[]);
    }
    append(setup, &mut *plain_writer(&*cluster), &at, records);
    let got = read_all(setup, &*cluster, Isolation::ReadCommitted, &at);
    let got: Vec<_> = got.iter().map(|r| (r.key.as_deref(), r.value.as_deref())).collect();
    assert_eq!(got, rows);
}

/// Headers come back in order, with repeated names, null and empty values; records without headers have none.
pub fn headers_keep_order_and_repeated_names(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "headers");
    let rows: [&[(&str, Bytes<'_>)]; 4] = [
        &[],
        &[("z", Some(b"1")), ("a", Some(b"2")), ("z", Some(b"3")), ("a", None), ("e", Some(b""))],
        &[("größe", Some(&[0, 1, 255]))],
        &[],
    ];
    let mut records = RecordsBuilder::new();
    for headers in rows {
        records.push(Some(b"k"), Some(b"v"), T0, headers);
    }
    append(setup, &mut *plain_writer(&*cluster), &at, records);
    let got = read_all(setup, &*cluster, Isolation::ReadCommitted, &at);
    let expected = rows.map(|headers| {
        headers.iter().map(|(n, v)| ((*n).to_string(), v.map(<[u8]>::to_vec))).collect::<Vec<_>>()
    });
    assert_eq!(got.into_iter().map(|r| r.headers).collect::<Vec<_>>(), expected);
}

/// Timestamps are the caller's, in any order.
pub fn timestamps_are_kept(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "timestamps");
    let times = [T0 + 5000, T0, T0, 1, T0 + 86_400_000];
    let mut records = RecordsBuilder::new();
    for time in times {
        records.push(None, Some(b"x"), time, &[]);
    }
    append(setup, &mut *plain_writer(&*cluster), &at, records);
    let got = read_all(setup, &*cluster, Isolation::ReadCommitted, &at);
    assert_eq!(got.iter().map(|r| r.timestamp).collect::<Vec<_>>(), times);
}

/// Two thousand appends without waiting in between: back-pressure may block, nothing is lost or reordered.
pub fn many_small_appends_all_arrive_in_order(setup: &Setup) {
    const N: usize = 2000;
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "many");
    let mut writer = plain_writer(&*cluster);
    let acks: Vec<Ack> =
        (0..N).map(|i| writer.append(&at, values(&[&i.to_string()])).must("append")).collect();
    for (i, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.wait(setup.wait()).must("acknowledgement").base_offset, i as i64);
    }
    let got: Vec<Got> = read_all(setup, &*cluster, Isolation::ReadCommitted, &at);
    assert!(
        texts(&got).into_iter().eq((0..N).map(|i| i.to_string())),
        "{} records, or in another order",
        got.len()
    );
}

/// After `flush` every answer is there.
pub fn flush_waits_for_all_acknowledgements(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "flush");
    let mut writer = plain_writer(&*cluster);
    let acks: Vec<Ack> = (0..50).map(|_| writer.append(&at, values(&["x"])).must("append")).collect();
    writer.flush(setup.wait()).must("flush");
    assert_eq!(cluster.offset(&at, OffsetSpec::Latest), Ok(50));
    let deadline = Deadline::new(setup, "acknowledgements after flush");
    for ack in acks {
        ack.wait(STEP).must("an answer that flush has waited for");
        deadline.check(|| "slow".into());
    }
}

/// Without a transactional id a commit flushes, and takes no offsets.
pub fn offsets_need_a_transactional_writer(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "plain-commit");
    let mut writer = plain_writer(&*cluster);
    writer.append(&at, values(&["x"])).must("append");
    writer.commit(&[], None).must("commit of a writer without transactions");
    assert_eq!(cluster.offset(&at, OffsetSpec::Latest), Ok(1));
    let member = GroupMember::offsets_only(super::support::unique("plain-commit"));
    let result = writer.commit(&[(at.clone(), 1)], Some(&member));
    assert!(result.is_err(), "offsets without a transaction were taken");
    assert_eq!(cluster.committed(&member.group, &[at]), Ok(vec![None]));
}
