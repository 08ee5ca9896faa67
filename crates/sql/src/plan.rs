//! The typed logical plan of a query.
//!
//! Every node has output columns by place. A stream's node has exactly one event-time column among them ([`Plan::time`], BIGINT ms,
//! named `ROWTIME`) and a bound on it ([`Plan::lag_ms`], counted from the scans, so it holds all that the nodes below add): when `W` is
//! the least watermark over the stream scans below a node, every row that it emits later has a time >= `W - lag_ms`. So a node's
//! output watermark is `W - lag_ms`. A query whose lag cannot be bounded is refused at CREATE.
//!
//! ```text
//! sessions:  Sink ◀ Project ◀ Filter(action IN (1,3) AND ..) ◀ LeadLag(partition user, device; within 24 h) ◀ StreamScan(actions)
//! watched:   Sink ◀ Project ◀ TableJoin(users) ◀ TableJoin(shows, overlap) ◀ StreamScan(sessions)
//! views:     Sink ◀ Project ◀ IntervalJoin(left, -24 h ..= 0, place in [start, end]) ◀ StreamScan(watched), StreamScan(places)
//! ```

use crate::catalog::SourceDef;
use crate::expr::Expr;
use bd_schema::{DataType, Field};
use std::sync::Arc;

/// How rows of an edge relate to rows before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangelogMode {
    /// Rows are only added.
    Append,
    /// Rows are inserted and deleted (an update is a delete of the old row, then an insert of the new one); `key` are the places of
    /// the columns that identify a row.
    Upsert {
        /// The places of the key columns.
        key: Vec<usize>,
    },
}

/// A node with what is known of its output.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it does.
    pub node: Node,
    /// The output's columns. Names are for messages; everything refers to columns by place.
    pub columns: Vec<Field>,
    /// The place of the event-time column (BIGINT ms): always there for streams, `None` for tables.
    pub time: Option<usize>,
    /// See the module's documentation; 0 for tables. `i64::MAX` inside a plan where rows wait for LEAD without a bound (a time
    /// that is taken from LEAD is bounded again above it); never that of a query, nor of an input of an interval join or a window.
    pub lag_ms: i64,
    /// How rows relate. Behind UNNEST and LEAD over a table the key is still that of the record that rows are made of; the key of
    /// a sink's last node is the sink's; that of a SELECT alone is empty where its items do not hold the key.
    pub mode: ChangelogMode,
}

/// What a node does.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// The rows of a stream. Output: `columns` (places in [`SourceDef::columns`]), then ROWTIME.
    StreamScan {
        /// The stream.
        source: Arc<SourceDef>,
        /// Which columns.
        columns: Vec<usize>,
    },
    /// The changes of a table. Output: `columns`, which hold at least the table's key columns; then ROWTIME (the record's
    /// timestamp) where asked for.
    TableScan {
        /// The table.
        source: Arc<SourceDef>,
        /// Which columns.
        columns: Vec<usize>,
        /// Whether ROWTIME follows the columns.
        rowtime: bool,
    },
    /// One output column an expression. On a stream one of them is the event time.
    Project {
        /// Its input.
        input: Box<Plan>,
        /// The output's columns.
        exprs: Vec<Expr>,
    },
    /// Rows for which all of `predicate` is TRUE.
    Filter {
        /// Its input.
        input: Box<Plan>,
        /// The conditions, all to be met.
        predicate: Vec<Expr>,
        /// The part of the WHERE that bounds LEAD's distance (`next_time - time <= constant`): rows that meet `predicate` and
        /// not this are dropped and counted.
        counted: Option<Expr>,
    },
    /// `CROSS JOIN UNNEST(expr)`: each input row once per element of an array (or entry of a map), with the element's columns
    /// behind its own: a map gives key and value, an array of structs one column a field, any other array one column.
    /// A NULL or empty one gives no row. Order is the array's.
    Unnest {
        /// Its input.
        input: Box<Plan>,
        /// The array or map.
        expr: Expr,
    },
    /// Window functions over (PARTITION BY partition ORDER BY event time), ties by arrival (log order). Output: the input's columns,
    /// then one per function.
    /// On a stream: a row comes out when its functions are known, that is when the watermark has passed the row it needs.
    /// On a table (an `Upsert` input): `partition` holds the table's key, so that all is computed within one record; `order` may be
    /// any column.
    LeadLag {
        /// Its input.
        input: Box<Plan>,
        /// The partition's columns.
        partition: Vec<usize>,
        /// The order's column: on a stream its event time, or the column that it is taken from.
        order: usize,
        /// What to compute.
        functions: Vec<WindowFunction>,
        /// Streams with LEAD: a next row further away than this (ms) counts as none, and a row waits no longer for one. `None`:
        /// rows wait until the next row or the end of the stream.
        within_ms: Option<i64>,
        /// Rows without a next row are not asked for (the WHERE above drops them): do not emit them.
        drop_without_next: bool,
    },
    /// A stream with a stream: pairs with equal keys, `right.time` within `left.time - before_ms ..= left.time + after_ms`, and
    /// the condition. NULL keys match nothing. Output: left's columns, right's columns (NULLs for a missing side), then the pair's
    /// ROWTIME: the greater of both times (or the one that is there). Pairs come out at once; rows without a partner when the other
    /// side's watermark has passed their reach.
    IntervalJoin {
        /// The left stream.
        left: Box<Plan>,
        /// The right stream.
        right: Box<Plan>,
        /// Inner or outer.
        kind: JoinKind,
        /// Pairs of places (left's, right's) that must be equal.
        keys: Vec<(usize, usize)>,
        /// How far the right row may lie before the left one, ms.
        before_ms: i64,
        /// How far the right row may lie after the left one, ms.
        after_ms: i64,
        /// Over left's columns, then right's.
        condition: Option<Expr>,
    },
    /// A stream with the current rows of a table. A NULL key matches nothing. Output: left's columns, then right's.
    TableJoin {
        /// The stream.
        left: Box<Plan>,
        /// The table: a scan, with projections and filters over it.
        right: Box<Plan>,
        /// `Inner` or `Left`.
        kind: JoinKind,
        /// Pairs of places (left's, right's) that must be equal; any columns of the table, not only its key.
        keys: Vec<(usize, usize)>,
        /// Over left's columns, then right's.
        condition: Option<Expr>,
    },
    /// `GROUP BY`. Output: the group's columns, then the aggregates; with a window, WINDOWSTART and WINDOWEND (BIGINT ms) follow the
    /// group's columns and belong to the key. The input may be a stream or a table.
    Aggregate {
        /// Its input.
        input: Box<Plan>,
        /// The places of the group's columns in the input.
        group: Vec<usize>,
        /// What to compute.
        aggregates: Vec<Aggregate>,
        /// Windows; streams only.
        window: Option<Window>,
        /// `EMIT FINAL`: one row a window, when the watermark has passed its end + grace. Else each change.
        emit_final: bool,
    },
}

/// A window function of [`Node::LeadLag`].
#[derive(Debug, Clone, PartialEq)]
pub struct WindowFunction {
    /// Which one.
    pub kind: WindowFunctionKind,
    /// Its argument: a place in the input; unused for ROW_NUMBER.
    pub column: usize,
    /// How many rows ahead or back; 1 by default.
    pub offset: u32,
    /// The result's type.
    pub data_type: DataType,
}

/// The window functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFunctionKind {
    /// The value of a later row.
    Lead,
    /// The value of an earlier row.
    Lag,
    /// 1, 2, ... in order, BIGINT.
    RowNumber,
}

/// Which rows without a partner come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// An aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub function: AggregateFunction,
    /// Its arguments, over the input's columns; none for `COUNT(*)`.
    pub args: Vec<Expr>,
    /// The result's type.
    pub data_type: DataType,
}

/// The aggregate functions. NULL arguments are skipped. Those marked (undo) also work over a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateFunction {
    /// `COUNT(*)`, `COUNT(x)`: BIGINT. (undo)
    Count,
    /// `COUNT_DISTINCT(x)`, `COUNT(DISTINCT x)`: BIGINT, exact. (undo)
    CountDistinct,
    /// `SUM(x)`: INTEGER and BIGINT give BIGINT, DOUBLE gives DOUBLE. (undo)
    Sum,
    /// `AVG(x)`: DOUBLE. (undo)
    Avg,
    /// `MIN(x)`.
    Min,
    /// `MAX(x)`.
    Max,
    /// `LATEST_BY_OFFSET(x)`: of the last row with a value, by arrival.
    LatestByOffset,
    /// `EARLIEST_BY_OFFSET(x)`.
    EarliestByOffset,
    /// `MAX_BY(x, y)`: x of the row with the greatest y, the last such row by arrival.
    MaxBy,
    /// `MIN_BY(x, y)`: x of the row with the least y, the first such row by arrival.
    MinBy,
    /// `COLLECT_LIST(x)`: ARRAY, in arrival order.
    CollectList,
}

/// Windows of event time. All ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// `WINDOW TUMBLING (SIZE n unit [, GRACE PERIOD n unit])`.
    Tumbling {
        /// The window's length.
        size_ms: i64,
        /// How long after its end rows are taken.
        grace_ms: i64,
    },
    /// `WINDOW HOPPING (SIZE .., ADVANCE BY .. [, GRACE PERIOD ..])`.
    Hopping {
        /// The window's length.
        size_ms: i64,
        /// The distance of the windows' starts.
        advance_ms: i64,
        /// How long after its end rows are taken.
        grace_ms: i64,
    },
    /// `WINDOW SESSION (n unit [, GRACE PERIOD ..])`.
    Session {
        /// The pause that ends a session.
        gap_ms: i64,
        /// How long after its end rows are taken.
        grace_ms: i64,
    },
}

/// What an analyzed statement asks for.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub enum Statement {
    /// `CREATE STREAM|TABLE name (columns) WITH (...)`.
    CreateSource {
        /// The source.
        def: SourceDef,
        /// `partitions`, for a topic that is not there yet.
        partitions: Option<i32>,
        /// `OR REPLACE`.
        or_replace: bool,
        /// `IF NOT EXISTS`, and it does: nothing to do.
        exists: bool,
    },
    /// `CREATE STREAM|TABLE name [WITH (...)] AS SELECT`.
    CreateAs {
        /// The sink. Its columns are the first `def.columns.len()` of the plan, in order; the plan's time column, if not one of
        /// them, follows. `def.query` is `None` still: the engine names the query.
        def: SourceDef,
        /// What fills it.
        plan: Plan,
        /// `partitions` of the topic.
        partitions: Option<i32>,
        /// `IF NOT EXISTS`, and it does: nothing to do.
        exists: bool,
    },
    /// `INSERT INTO name [(columns)] VALUES (...)`: constants, cast to the columns' types, one a column of the source.
    InsertValues {
        /// Into which source.
        source: Arc<SourceDef>,
        /// One value for each of the source's columns (NULL where not named).
        values: Vec<bd_schema::Value>,
    },
    /// `DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC]`.
    Drop {
        /// The source's name; `None` where `IF EXISTS` found nothing.
        name: Option<String>,
        /// `DELETE TOPIC`.
        delete_topic: bool,
    },
    /// `TERMINATE query`.
    Terminate {
        /// The query's id.
        query: String,
    },
    /// `SHOW|LIST STREAMS|TABLES|TOPICS|QUERIES|FUNCTIONS|PROPERTIES`.
    Show(Show),
    /// `DESCRIBE name [EXTENDED]`.
    Describe {
        /// The source.
        source: Arc<SourceDef>,
        /// With its statement, queries and counts.
        extended: bool,
    },
    /// `EXPLAIN SELECT ...`, `EXPLAIN query` (the id, with no plan).
    Explain {
        /// The plan of a statement.
        plan: Option<Box<Plan>>,
        /// The id of a running query.
        query: Option<String>,
    },
    /// `SELECT ... EMIT CHANGES`: rows as they come, until the limit or the client ends it. The plan's columns are the items; a
    /// stream's ROWTIME follows as the last column where no item is it.
    Push {
        /// What to run.
        plan: Plan,
        /// `LIMIT`.
        limit: Option<usize>,
    },
    /// `SELECT ... FROM table`: the rows that are there now. Scans, projections, filters and aggregates over tables only.
    Pull {
        /// What to run.
        plan: Plan,
        /// `ORDER BY`: places in the plan's columns, and whether descending.
        order: Vec<(usize, bool)>,
        /// `LIMIT`.
        limit: Option<usize>,
    },
}

/// What SHOW lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Show {
    Streams,
    Tables,
    Topics,
    Queries,
    Functions,
    Properties,
}
