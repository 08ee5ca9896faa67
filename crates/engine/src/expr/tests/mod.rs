//! The tables in `tables/*.txt` say what each operation gives, for any engine that runs `bd_sql::expr`; here they run on this one.
//! Properties stand beside them.

mod properties;
mod reader;
mod sql;
mod tables;
