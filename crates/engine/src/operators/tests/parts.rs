//! What the operators stand on, against simple models.

use crate::operators::key_index::KeyIndex;
use crate::operators::row_store::{NONE, RowStore};
use crate::operators::sorted_list::{Relation, SortedList, Test};
use crate::operators::time_queue::TimeQueue;
use arrow_array::{ArrayRef, Int32Array, Int64Array, StringArray, cast::AsArray, types::Int64Type};
use arrow_schema::DataType as ArrowType;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_row_store_gives_back_what_it_holds_and_compacts(
        steps in prop::collection::vec((1usize..3000, 0usize..4), 1..40),
    ) {
        let mut store = RowStore::new(vec![ArrowType::Int64]);
        let mut model: BTreeMap<u32, i64> = BTreeMap::new();
        let mut next = 0;
        for (rows, keep_one_in) in steps {
            let values = next..next + rows as i64;
            next += rows as i64;
            let ids = store.append(vec![longs(values.clone())], rows).unwrap();
            model.extend(ids.iter().copied().zip(values));
            if keep_one_in > 0 {
                let gone: std::collections::BTreeSet<u32> = model.keys().copied().filter(|id| (*id as usize) % keep_one_in != 1).collect();
                store.remove(&gone.iter().copied().collect::<Vec<_>>()).unwrap();
                model.retain(|id, _| !gone.contains(id));
            }
            prop_assert_eq!(store.len(), model.len());
            let mut ids: Vec<u32> = model.keys().copied().collect();
            ids.push(NONE);
            let columns = store.gather(&ids).unwrap();
            let found: Vec<Option<i64>> = columns[0].as_primitive::<Int64Type>().iter().collect();
            let expected: Vec<Option<i64>> = ids.iter().map(|id| model.get(id).copied()).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(store.bytes() <= 16 * (2 * model.len() + 2 * 4096 + 3000) + store.capacity() * 8 + 65536);
        }
    }

    #[test]
    fn a_sorted_list_yields_all_rows_that_meet_the_tests(
        rows in prop::collection::vec((0i64..40, 0u128..20, 0u128..20), 0..400),
        (low, high) in (0i64..40, 0i64..40),
        (a, b) in (0u128..20, 0u128..20),
        evict in 0i64..40,
    ) {
        let mut list = SortedList::default();
        for (id, (key, x, y)) in rows.iter().enumerate() {
            list.insert(*key, id as u32, &[*x, *y]);
        }
        list.evict_below(evict);
        let tests = [
            Test { place: 0, relation: Relation::AtLeast, value: a },
            Test { place: 1, relation: Relation::AtMost, value: b },
        ];
        let mut found = Vec::new();
        list.probe(low, high, &tests, |id| found.push(id));
        let mut expected: Vec<(i64, u32)> = rows.iter().enumerate()
            .filter(|(_, (k, x, y))| (low.max(evict)..=high).contains(k) && *x >= a && *y <= b)
            .map(|(id, (k, ..))| (*k, id as u32)).collect();
        expected.sort();
        prop_assert_eq!(found, expected.into_iter().map(|e| e.1).collect::<Vec<_>>());
    }

    #[test]
    fn a_time_queue_gives_what_the_watermark_has_passed_in_order(
        batches in prop::collection::vec((prop::collection::vec(0i64..50, 0..30), 0i64..60), 1..20),
    ) {
        let mut queue = TimeQueue::default();
        let mut model = Vec::new();
        let mut arrival = 0;
        for (times, watermark) in batches {
            let items: Vec<_> = times.iter().map(|t| { arrival += 1; (*t, arrival, arrival as u32) }).collect();
            model.extend(items.iter().copied());
            queue.push_all(items);
            model.sort();
            let passed = model.partition_point(|i| i.0 < watermark);
            prop_assert_eq!(queue.drain_passed(watermark), model.drain(..passed).collect::<Vec<_>>());
        }
        prop_assert_eq!(queue.drain_passed(i64::MAX), model);
    }
}

#[test]
fn keys_get_dense_ids_and_ids_of_removed_keys_are_used_again() {
    let columns: [(Vec<ArrowType>, Vec<ArrayRef>); 3] = [
        (vec![ArrowType::Int64], vec![Arc::new(Int64Array::from(vec![Some(5), None, Some(5), Some(0)]))]),
        (
            vec![ArrowType::Int32, ArrowType::Int64],
            vec![
                Arc::new(Int32Array::from(vec![Some(5), None, Some(5), Some(0)])),
                Arc::new(Int64Array::from(vec![1, 1, 1, 1])),
            ],
        ),
        (
            vec![ArrowType::Utf8],
            vec![Arc::new(StringArray::from(vec![Some("a"), None, Some("a"), Some("")]))],
        ),
    ];
    for (types, columns) in columns {
        let mut index = KeyIndex::new(&types).unwrap();
        assert_eq!(index.ids(&columns, 4).unwrap(), [0, 1, 0, 2]);
        assert_eq!(index.columns(&[0, 1, 0, 2]).unwrap(), columns);
        index.remove(1);
        assert_eq!(index.find(&columns, 4).unwrap(), [0, NONE, 0, 2]);
        let bytes = index.encode(2);
        assert_eq!(index.insert_encoded(&bytes).unwrap(), 2);
        assert_eq!(index.ids(&columns, 4).unwrap(), [0, 1, 0, 2]);
        assert_eq!((index.len(), index.capacity()), (3, 3));
    }
}
