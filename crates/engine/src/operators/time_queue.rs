//! Rows by time, taken out up to a watermark: sorted runs, merged as in a binary counter, so that a row costs O(log n) in all
//! however far the streams' partitions are apart.

/// A row's time, arrival number and id: also the order in which rows come out.
pub(crate) type Timed = (i64, u64, u32);

#[derive(Debug, Default)]
struct Run {
    items: Vec<Timed>,
    head: usize,
}

impl Run {
    fn rest(&self) -> &[Timed] {
        &self.items[self.head..]
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct TimeQueue {
    runs: Vec<Run>,
}

impl TimeQueue {
    /// Takes rows in, in any order.
    pub(crate) fn push_all(&mut self, mut items: Vec<Timed>) {
        if items.is_empty() {
            return;
        }
        if !items.is_sorted() {
            items.sort();
        }
        self.runs.push(Run { items, head: 0 });
        while let [.., before, last] = &self.runs[..]
            && before.rest().len() <= 2 * last.rest().len()
        {
            let Some(last) = self.runs.pop() else { break };
            let Some(before) = self.runs.last_mut() else { break };
            before.items.drain(..before.head);
            before.head = 0;
            let in_order = before.items.last() <= last.rest().first();
            before.items.extend_from_slice(last.rest());
            if !in_order {
                // The standard sort finds the two runs and merges them.
                before.items.sort();
            }
        }
    }

    /// Takes out the rows that the watermark has passed, in order.
    pub(crate) fn drain_passed(&mut self, watermark: i64) -> Vec<Timed> {
        let mut passed: Vec<Timed> = Vec::new();
        let mut sources = 0;
        for run in &mut self.runs {
            let rest = run.rest();
            let count = match watermark {
                i64::MAX => rest.len(),
                w => rest.partition_point(|item| item.0 < w),
            };
            if count > 0 {
                sources += 1;
                passed.extend_from_slice(&rest[..count]);
                run.head += count;
                if 2 * run.head > run.items.len() {
                    run.items.drain(..run.head);
                    run.head = 0;
                }
            }
        }
        self.runs.retain(|run| !run.rest().is_empty());
        if sources > 1 {
            passed.sort();
        }
        passed
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.runs.iter().map(|r| r.items.capacity() * size_of::<Timed>()).sum()
    }
}
