//! Records on their way between a connector and a topic: bytes, rows or Arrow, each with its schema.

use arrow_array::RecordBatch;
use bd_schema::{
    ConnectField, ConnectMeta, DataType, RecordError, RecordShape, Row, Schema, arrow_to_rows, rows_to_arrow,
};
use std::borrow::Cow;
use std::sync::Arc;

/// A header: its name and value.
pub type Header = (String, Option<Vec<u8>>);

/// The shape of keys or values.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A struct; `fields` has one entry a column.
    Struct {
        /// The columns.
        schema: Schema,
        /// What else is known of each column, in their order.
        fields: Vec<ConnectField>,
    },
    /// A single value (a string key, say). Its rows have one column.
    Single(DataType),
}

/// A schema in Connect's sense.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectSchema {
    /// The full name, such as `tv.tv.users.Value`; a record's name and namespace in Avro.
    pub name: Option<String>,
    /// The shape.
    pub shape: Shape,
    /// Version, doc, parameters, default.
    pub meta: ConnectMeta,
    /// The Avro declaration (JSON) where the source brought one; converters that write Avro register it as it is.
    pub avro: Option<Arc<str>>,
}

impl ConnectSchema {
    /// Of a shape, with nothing else known.
    pub fn new(name: Option<String>, shape: Shape) -> Self {
        Self { name, shape, meta: ConnectMeta::default(), avro: None }
    }

    /// A struct of optional fields.
    pub fn of(name: Option<String>, schema: Schema) -> Self {
        let fields = vec![ConnectField::default(); schema.fields.len()];
        Self::new(name, Shape::Struct { schema, fields })
    }

    /// A single value.
    pub fn single(data_type: DataType) -> Self {
        Self::new(None, Shape::Single(data_type))
    }

    /// What a field's values are as records: a struct is its columns.
    pub fn alone(data_type: &DataType, known: ConnectField) -> Self {
        let shape = match data_type {
            DataType::Struct(columns) => {
                let mut fields = known.fields;
                fields.resize(columns.len(), ConnectField::default());
                Shape::Struct { schema: Schema::new(columns.to_vec()), fields }
            }
            other => Shape::Single(other.clone()),
        };
        Self { name: known.semantic, shape, meta: known.meta, avro: None }
    }

    /// What a reader found, of any format.
    pub fn read(shape: &RecordShape) -> Self {
        let known = shape.fields.first().cloned().unwrap_or_default();
        match (shape.single, shape.schema.fields.first()) {
            (true, Some(value)) => Self {
                name: known.semantic,
                shape: Shape::Single(value.data_type.clone()),
                meta: known.meta,
                avro: None,
            },
            _ => Self {
                name: shape.name.clone(),
                shape: Shape::Struct { schema: shape.schema.clone(), fields: shape.fields.clone() },
                meta: shape.meta.clone(),
                avro: None,
            },
        }
    }

    /// The record as an optional field's type, and what is known of that.
    pub fn as_field(&self) -> (DataType, ConnectField) {
        let (data_type, fields) = match &self.shape {
            Shape::Single(data_type) => (data_type.clone(), Vec::new()),
            Shape::Struct { schema, fields } => {
                (DataType::Struct(schema.fields.clone().into()), fields.clone())
            }
        };
        let (semantic, meta) = (self.name.clone(), self.meta.clone());
        (data_type, ConnectField { required: false, semantic, fields, meta })
    }

    /// Whether it is a single value.
    pub fn is_single(&self) -> bool {
        matches!(self.shape, Shape::Single(_))
    }

    /// The columns of its rows; a single value is one column named `value`.
    pub fn columns(&self) -> Cow<'_, Schema> {
        match &self.shape {
            Shape::Struct { schema, .. } => Cow::Borrowed(schema),
            Shape::Single(data_type) => {
                Cow::Owned(Schema::new(vec![bd_schema::Field::new("value", data_type.clone())]))
            }
        }
    }
}

/// The keys or the values of a batch, one a record.
#[derive(Debug, Clone)]
pub enum Cells {
    /// All null, so many.
    Null(usize),
    /// Bytes as they are in the topic or at the source, without a schema. Of a source: the topic gets these bytes (with
    /// `JsonConverter` they must be one JSON text a record). For a sink: what stands in the topic; with `JsonConverter` and
    /// `schemas.enable=false` one valid JSON text a record, with `ByteArrayConverter` anything.
    Bytes(Vec<Option<Vec<u8>>>),
    /// Rows; `None` is null (a tombstone's value).
    Rows {
        /// Their schema.
        schema: Arc<ConnectSchema>,
        /// One a record.
        rows: Vec<Option<Row>>,
    },
    /// Columns; no record is null as a whole.
    Arrow {
        /// Their schema.
        schema: Arc<ConnectSchema>,
        /// Columns of [`ConnectSchema::columns`], in order.
        batch: RecordBatch,
    },
}

impl Cells {
    /// The number of records.
    pub fn len(&self) -> usize {
        match self {
            Self::Null(count) => *count,
            Self::Bytes(cells) => cells.len(),
            Self::Rows { rows, .. } => rows.len(),
            Self::Arrow { batch, .. } => batch.num_rows(),
        }
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The schema, where there is one.
    pub fn schema(&self) -> Option<&Arc<ConnectSchema>> {
        match self {
            Self::Null(_) | Self::Bytes(_) => None,
            Self::Rows { schema, .. } | Self::Arrow { schema, .. } => Some(schema),
        }
    }

    /// The same as rows where they were Arrow; bytes and nulls stay.
    ///
    /// # Errors
    /// A column that does not have its schema's type.
    pub fn into_rows(self) -> Result<Self, RecordError> {
        match self {
            Self::Arrow { schema, batch } => {
                let rows = arrow_to_rows(&schema.columns(), &batch)?.into_iter().map(Some).collect();
                Ok(Self::Rows { schema, rows })
            }
            other => Ok(other),
        }
    }

    /// The same as Arrow where they are rows without nulls; others stay.
    ///
    /// # Errors
    /// A value that does not have its column's type.
    pub fn into_arrow(self) -> Result<Self, RecordError> {
        match self {
            Self::Rows { schema, rows } if rows.iter().all(Option::is_some) => {
                let rows: Vec<Row> = rows.into_iter().flatten().collect();
                let batch = rows_to_arrow(&schema.columns(), &rows)?;
                Ok(Self::Arrow { schema, batch })
            }
            other => Ok(other),
        }
    }
}

/// Records of one topic, in order.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The topic to write to, or read from.
    pub topic: Arc<str>,
    /// The partition; `None` leaves it to the key (Kafka's default partitioner).
    pub partition: Option<i32>,
    /// One key a record.
    pub keys: Cells,
    /// One value a record.
    pub values: Cells,
    /// One timestamp a record, ms since epoch; empty: the time of writing.
    pub timestamps: Vec<i64>,
    /// The headers of each record; empty where none has any.
    pub headers: Vec<Vec<Header>>,
}

impl Batch {
    /// Records without keys, headers and timestamps of their own.
    pub fn new(topic: impl Into<Arc<str>>, values: Cells) -> Self {
        let keys = Cells::Null(values.len());
        Self {
            topic: topic.into(),
            partition: None,
            keys,
            values,
            timestamps: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The same with keys, one a record.
    pub fn with_keys(mut self, keys: Cells) -> Self {
        self.keys = keys;
        self
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
