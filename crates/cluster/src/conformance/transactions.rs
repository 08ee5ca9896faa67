//! Transactions: isolation, atomicity with offsets, fencing.

use super::Setup;
use super::support::{
    Must, append_values, committed_texts, new_partition, new_topic, plain_writer, read_all, read_to,
    reader_at, settled, settled_texts, texts, transactional_writer, unique, values,
};
use crate::{ClusterError, CommitError, GroupMember, Isolation, OffsetSpec, TopicPartition};

/// Open: seen by read_uncommitted only. Committed: seen by both.
pub fn a_transaction_is_invisible_until_committed(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "open");
    let mut writer = transactional_writer(&*cluster, &unique("open"));
    append_values(setup, &mut *writer, &at, &["a", "b"]);
    assert!(committed_texts(setup, &*cluster, &at).is_empty(), "read_committed sees an open transaction");
    assert_eq!(texts(&read_all(setup, &*cluster, Isolation::ReadUncommitted, &at)), ["a", "b"]);
    writer.commit(&[], None).must("commit");
    assert_eq!(settled_texts(setup, &*cluster, &at), ["a", "b"]);
    assert_eq!(texts(&read_all(setup, &*cluster, Isolation::ReadUncommitted, &at)), ["a", "b"]);
}

/// Aborted: never seen by read_committed, still seen by read_uncommitted; the writer goes on.
pub fn an_aborted_transaction_is_never_visible(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "aborted");
    let mut writer = transactional_writer(&*cluster, &unique("aborted"));
    writer.abort().must("abort without a transaction");
    append_values(setup, &mut *writer, &at, &["a", "b"]);
    writer.abort().must("abort");
    assert!(settled_texts(setup, &*cluster, &at).is_empty());
    append_values(setup, &mut *writer, &at, &["c"]);
    writer.commit(&[], None).must("commit after an abort");
    assert_eq!(settled_texts(setup, &*cluster, &at), ["c"]);
    assert_eq!(texts(&read_all(setup, &*cluster, Isolation::ReadUncommitted, &at)), ["a", "b", "c"]);
}

/// One commit covers several partitions of several topics, also of appends that nobody waited for.
pub fn a_transaction_spans_partitions_and_topics(setup: &Setup) {
    let cluster = setup.cluster();
    let wide = new_topic(&*cluster, "wide", 2);
    let all = [
        TopicPartition::new(wide.as_str(), 0),
        TopicPartition::new(wide, 1),
        new_partition(&*cluster, "other"),
    ];
    let mut writer = transactional_writer(&*cluster, &unique("span"));
    for at in &all {
        writer.append(at, values(&["x", "y"])).must("append");
    }
    writer.flush(setup.wait()).must("flush");
    for at in &all {
        assert!(committed_texts(setup, &*cluster, at).is_empty(), "{at} shows an open transaction");
    }
    for at in &all {
        writer.append(at, values(&["z"])).must("append");
    }
    writer.commit(&[], None).must("commit");
    for at in &all {
        assert_eq!(settled_texts(setup, &*cluster, at), ["x", "y", "z"], "{at}");
    }
}

/// An append may be more than a batch of the wire holds, in the first transaction of a writer and in later ones.
pub fn an_append_of_many_batches_is_whole(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "many");
    let id = unique("many");
    let mut expected = Vec::new();
    for round in 0..3 {
        // A successor, as after a crash.
        let mut writer = transactional_writer(&*cluster, &id);
        for part in 0..2 {
            let texts: Vec<String> = (0..16_000).map(|i| format!("{round} {part} {i:0150}")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            writer.append(&at, values(&texts)).must("append");
            writer.commit(&[], None).must("commit");
            expected.extend(texts.iter().map(|t| (*t).to_owned()));
        }
    }
    let got = settled_texts(setup, &*cluster, &at);
    assert_eq!(got.len(), expected.len());
    assert!(got == expected, "the records are not those that were written");
}

/// Two writers take turns in one partition; one commits, the other aborts, in either order, with plain records between.
pub fn interleaved_transactions_of_two_writers_are_told_apart(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "interleaved");
    let [mut good, mut bad] = ["good", "bad"].map(|w| transactional_writer(&*cluster, &unique(w)));
    let mut plain = plain_writer(&*cluster);
    append_values(setup, &mut *good, &at, &["g1"]);
    append_values(setup, &mut *bad, &at, &["b1", "b2"]);
    append_values(setup, &mut *plain, &at, &["p1"]);
    append_values(setup, &mut *good, &at, &["g2"]);
    append_values(setup, &mut *bad, &at, &["b3"]);
    bad.abort().must("abort");
    append_values(setup, &mut *bad, &at, &["b4 committed"]);
    append_values(setup, &mut *good, &at, &["g3"]);
    good.commit(&[], None).must("commit");
    append_values(setup, &mut *good, &at, &["g4 aborted"]);
    bad.commit(&[], None).must("commit");
    append_values(setup, &mut *plain, &at, &["p2"]);
    good.abort().must("abort");
    let expected = ["g1", "p1", "g2", "b4 committed", "g3", "p2"];
    assert_eq!(settled_texts(setup, &*cluster, &at), expected);
    let all = ["g1", "b1", "b2", "p1", "g2", "b3", "b4 committed", "g3", "g4 aborted", "p2"];
    assert_eq!(texts(&read_all(setup, &*cluster, Isolation::ReadUncommitted, &at)), all);

    // A reader that starts inside an aborted transaction must tell it apart too.
    let end = settled(setup, &*cluster, &at);
    let mut inside = reader_at(&*cluster, Isolation::ReadCommitted, &at, 2);
    assert_eq!(texts(&read_to(setup, &mut *inside, &at, end)), expected[1..]);
}

/// read_committed gives nothing behind the first open transaction, and all of it once that ends.
pub fn an_open_transaction_holds_back_later_records(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "held");
    let mut plain = plain_writer(&*cluster);
    append_values(setup, &mut *plain, &at, &["before"]);
    let mut writer = transactional_writer(&*cluster, &unique("held"));
    append_values(setup, &mut *writer, &at, &["inside"]);
    append_values(setup, &mut *plain, &at, &["after"]);
    let mut reader = reader_at(&*cluster, Isolation::ReadCommitted, &at, 0);
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, 1)), ["before"]);
    let held = reader.poll(1024, super::support::STEP).must("poll");
    assert!(held.is_none_or(|r| r.is_empty()), "a record behind an open transaction was shown");
    assert_eq!(reader.position(&at), Some(1), "the position went past the last stable offset");
    writer.commit(&[], None).must("commit");
    let end = settled(setup, &*cluster, &at);
    assert_eq!(texts(&read_to(setup, &mut *reader, &at, end)), ["inside", "after"]);
}

/// A reader that waits for an end offset gets there, whatever stands before it.
pub fn positions_step_over_markers_and_aborted_records_to_the_end(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "markers");
    let mut writer = transactional_writer(&*cluster, &unique("markers"));
    let mut live = reader_at(&*cluster, Isolation::ReadCommitted, &at, 0);
    let mut expected: Vec<String> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for round in 0..4 {
        let value = format!("v{round}");
        append_values(setup, &mut *writer, &at, &[&value, &value]);
        if round % 2 == 0 {
            writer.commit(&[], None).must("commit");
            expected.extend([value.clone(), value]);
        } else {
            writer.abort().must("abort");
        }
        let end = settled(setup, &*cluster, &at);
        // A reader that follows, a new one, one that starts at the marker, and one that sees all.
        seen.extend(texts(&read_to(setup, &mut *live, &at, end)));
        assert_eq!(seen, expected, "after transaction {round}");
        assert_eq!(settled_texts(setup, &*cluster, &at), expected, "after transaction {round}");
        let mut last = reader_at(&*cluster, Isolation::ReadCommitted, &at, end - 1);
        assert!(read_to(setup, &mut *last, &at, end).is_empty(), "the last offset is a marker");
        let all = read_all(setup, &*cluster, Isolation::ReadUncommitted, &at);
        assert_eq!(all.len(), (round + 1) * 2, "read_uncommitted after transaction {round}");
    }
}

/// `committed` shows the offsets when the commit has returned, not before, and each partition by itself.
pub fn offsets_commit_together_with_records(setup: &Setup) {
    let cluster = setup.cluster();
    let source = new_topic(&*cluster, "source", 3);
    let source = [0, 1, 2].map(|p| TopicPartition::new(source.as_str(), p));
    let output = new_partition(&*cluster, "output");
    let member = GroupMember::offsets_only(unique("group"));
    let committed = || setup.cluster().committed(&member.group, &source).must("committed offsets");
    assert_eq!(committed(), [None, None, None], "a group that nobody has used");
    let mut writer = transactional_writer(&*cluster, &unique("together"));
    append_values(setup, &mut *writer, &output, &["a"]);
    assert_eq!(committed(), [None, None, None]);
    writer
        .commit(&[(source[0].clone(), 5), (source[2].clone(), 0)], Some(&member))
        .must("commit with offsets");
    assert_eq!(committed(), [Some(5), None, Some(0)]);
    assert_eq!(settled_texts(setup, &*cluster, &output), ["a"]);
    append_values(setup, &mut *writer, &output, &["b"]);
    writer.commit(&[(source[0].clone(), 7)], Some(&member)).must("second commit with offsets");
    assert_eq!(committed(), [Some(7), None, Some(0)]);
    let reversed = [source[2].clone(), source[0].clone()];
    assert_eq!(cluster.committed(&member.group, &reversed), Ok(vec![Some(0), Some(7)]), "in the order asked");
}

/// An abort leaves the offsets of the last commit.
pub fn an_abort_drops_records_and_offsets(setup: &Setup) {
    let cluster = setup.cluster();
    let [source, output] = ["source", "output"].map(|t| new_partition(&*cluster, t));
    let member = GroupMember::offsets_only(unique("group"));
    let id = unique("abort-offsets");
    let mut writer = transactional_writer(&*cluster, &id);
    append_values(setup, &mut *writer, &output, &["a"]);
    writer.commit(&[(source.clone(), 3)], Some(&member)).must("commit");
    append_values(setup, &mut *writer, &output, &["b"]);
    writer.abort().must("abort");
    assert_eq!(cluster.committed(&member.group, std::slice::from_ref(&source)), Ok(vec![Some(3)]));
    assert_eq!(settled_texts(setup, &*cluster, &output), ["a"]);
    append_values(setup, &mut *writer, &output, &["c"]);
    writer.commit(&[(source.clone(), 4)], Some(&member)).must("commit after an abort");
    assert_eq!(cluster.committed(&member.group, std::slice::from_ref(&source)), Ok(vec![Some(4)]));
    assert_eq!(settled_texts(setup, &*cluster, &output), ["a", "c"]);
}

/// A transaction of offsets only.
pub fn offsets_can_be_committed_alone(setup: &Setup) {
    let cluster = setup.cluster();
    let source = new_partition(&*cluster, "alone");
    let member = GroupMember::offsets_only(unique("group"));
    let mut writer = transactional_writer(&*cluster, &unique("alone"));
    for offset in [11, 12] {
        writer.commit(&[(source.clone(), offset)], Some(&member)).must("commit of offsets alone");
        assert_eq!(cluster.committed(&member.group, std::slice::from_ref(&source)), Ok(vec![Some(offset)]));
    }
    assert_eq!(cluster.offset(&source, OffsetSpec::Latest), Ok(0), "committing offsets wrote to their topic");
}

/// Neither records nor offsets: nothing is written, nothing fails, also between transactions.
pub fn an_empty_commit_is_nothing(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "nothing");
    let mut writer = transactional_writer(&*cluster, &unique("nothing"));
    writer.commit(&[], None).must("empty commit");
    append_values(setup, &mut *writer, &at, &["a"]);
    writer.commit(&[], None).must("commit");
    let end = settled(setup, &*cluster, &at);
    writer.commit(&[], None).must("empty commit");
    writer
        .commit(&[], Some(&GroupMember::offsets_only(unique("group"))))
        .must("commit with a group and no offsets");
    writer.abort().must("abort without a transaction");
    assert_eq!(settled(setup, &*cluster, &at), end, "an empty commit wrote something");
}

/// Many small transactions of one writer, none waited for but by its commit.
pub fn a_writer_commits_one_transaction_after_the_other(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "series");
    let mut writer = transactional_writer(&*cluster, &unique("series"));
    let expected: Vec<String> = (0..30).map(|i| i.to_string()).collect();
    for value in &expected {
        writer.append(&at, values(&[value])).must("append");
        writer.commit(&[], None).must("commit");
    }
    assert_eq!(settled_texts(setup, &*cluster, &at), expected);
}

/// When the successor is open, the predecessor's open transaction is aborted: nothing waits for a time-out.
pub fn reopening_aborts_the_predecessors_transaction(setup: &Setup) {
    let cluster = setup.cluster();
    let [at, source] = ["reopened", "source"].map(|t| new_partition(&*cluster, t));
    let id = unique("reopened");
    let member = GroupMember::offsets_only(unique("group"));
    let mut first = transactional_writer(&*cluster, &id);
    append_values(setup, &mut *first, &at, &["committed"]);
    first.commit(&[(source.clone(), 1)], Some(&member)).must("commit");
    append_values(setup, &mut *first, &at, &["lost"]);

    let mut second = transactional_writer(&*setup.cluster(), &id);
    let end = cluster.offset(&at, OffsetSpec::Latest).must("latest");
    assert_eq!(
        cluster.offset(&at, OffsetSpec::Stable),
        Ok(end),
        "the predecessor's transaction is still open"
    );
    append_values(setup, &mut *second, &at, &["second"]);
    second.commit(&[(source.clone(), 2)], Some(&member)).must("commit of the successor");
    assert_eq!(settled_texts(setup, &*cluster, &at), ["committed", "second"]);

    // The same without a farewell of the predecessor's handle: a writer that is dropped with an open transaction.
    append_values(setup, &mut *second, &at, &["lost too"]);
    drop(second);
    let mut third = transactional_writer(&*cluster, &id);
    append_values(setup, &mut *third, &at, &["third"]);
    third.commit(&[], None).must("commit of the third");
    assert_eq!(settled_texts(setup, &*cluster, &at), ["committed", "second", "third"]);
    assert_eq!(cluster.committed(&member.group, &[source]), Ok(vec![Some(2)]));
}

/// The predecessor is told `Fenced`, whatever it tries; the successor is not disturbed.
pub fn reopening_fences_the_predecessor(setup: &Setup) {
    let cluster = setup.cluster();
    let at = new_partition(&*cluster, "fenced");
    let id = unique("fenced");
    let mut first = transactional_writer(&*cluster, &id);
    append_values(setup, &mut *first, &at, &["lost"]);
    let mut second = transactional_writer(&*cluster, &id);
    append_values(setup, &mut *second, &at, &["kept"]);

    let result = first.commit(&[], None);
    assert!(matches!(result, Err(CommitError::Fenced(_))), "commit of the predecessor: {result:?}");
    let result = first.append(&at, values(&["zombie"])).and_then(|ack| ack.wait(setup.wait()));
    assert!(matches!(result, Err(ClusterError::Fenced(_))), "append of the predecessor: {result:?}");
    let result = first.commit(&[], None);
    assert!(matches!(result, Err(CommitError::Fenced(_))), "second commit of the predecessor: {result:?}");

    second.commit(&[], None).must("commit of the successor");
    assert_eq!(settled_texts(setup, &*cluster, &at), ["kept"]);

    // A predecessor that starts a transaction only after it was fenced.
    let mut third = transactional_writer(&*cluster, &id);
    let result = second.append(&at, values(&["zombie"])).and_then(|ack| ack.wait(setup.wait()));
    assert!(matches!(result, Err(ClusterError::Fenced(_))), "append of a fenced writer: {result:?}");
    third.append(&at, values(&["third"])).must("append");
    third.commit(&[], None).must("commit of the third");
    assert_eq!(settled_texts(setup, &*cluster, &at), ["kept", "third"]);
}
