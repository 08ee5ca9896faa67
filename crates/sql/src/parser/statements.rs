//! Statements.

use super::Parser;
use crate::ast::{ColumnSpec, Create, Ident, KeySpec, Property, Statement};
use crate::catalog::SourceKind;
use crate::error::{Res, fail, nearest_hint};
use crate::lexer::Token;
use crate::plan::Show;

const STATEMENTS: &[&str] =
    &["CREATE", "INSERT", "DROP", "TERMINATE", "SHOW", "LIST", "DESCRIBE", "EXPLAIN", "SELECT"];

/// What other dialects have, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("UPDATE", "INSERT INTO a table replaces the row of its key"),
    ("DELETE", "write a record with the key and a null value to the table's topic"),
    ("MERGE", "INSERT INTO a table replaces the row of its key"),
    ("ALTER", "use CREATE OR REPLACE"),
    ("TRUNCATE", "DROP .. DELETE TOPIC, and create it again"),
    ("PAUSE", "TERMINATE the query and create it again"),
    ("RESUME", "create the query again"),
    ("PRINT", "declare a stream over the topic and SELECT from it, or consume the topic"),
    ("RUN", "give the file on the command line"),
    ("SET", "set it in the pipeline file"),
    ("UNSET", "set it in the pipeline file"),
    ("DEFINE", "write the value in its place"),
    ("UNDEFINE", "write the value in its place"),
    ("ASSERT", "use SHOW or DESCRIBE"),
    ("WITH", "write the query as a sub-query in FROM"),
    ("USE", "names are global"),
    ("GRANT", "rights are the log's access-control lists"),
    ("REVOKE", "rights are the log's access-control lists"),
    ("BEGIN", "every statement stands alone"),
    ("COMMIT", "every statement stands alone"),
];

impl Parser {
    pub(super) fn statement(&mut self) -> Res<Statement> {
        let span = self.span();
        let Token::Word(word) = self.peek().clone() else {
            return self
                .unexpected("a statement", &format!("statements start with {}", STATEMENTS.join(", ")));
        };
        match word.to_ascii_uppercase().as_str() {
            "SELECT" => return self.select().map(|s| Statement::Select(Box::new(s))),
            "CREATE" => return self.create(),
            "INSERT" => return self.insert(),
            "DROP" => return self.drop_statement(),
            "EXPLAIN" => return self.explain(),
            "SHOW" | "LIST" => return self.show(),
            _ => {}
        }
        if self.take_word("TERMINATE") {
            if self.at_word("ALL") {
                return fail(
                    self.span(),
                    "TERMINATE ALL is not supported",
                    "SHOW QUERIES, and terminate each",
                );
            }
            return self.any_name("a query's id").map(Statement::Terminate);
        }
        if self.take_word("DESCRIBE") || self.take_word("DESC") {
            if self.at_words(&["FUNCTION"]) && !matches!(self.peek_at(1), Token::End | Token::Symbol(_)) {
                return fail(self.span(), "DESCRIBE FUNCTION is not supported", "use SHOW FUNCTIONS");
            }
            let name = self.ident("a stream or table")?;
            return Ok(Statement::Describe { name, extended: self.take_word("EXTENDED") });
        }
        if let Some((refused, hint)) = REFUSED.iter().find(|(w, _)| w.eq_ignore_ascii_case(&word)) {
            return fail(span, format!("{refused} is not supported"), *hint);
        }
        fail(
            span,
            format!("{word} starts no statement"),
            nearest_hint("statements", &word, STATEMENTS.iter().copied()),
        )
    }

    fn explain(&mut self) -> Res<Statement> {
        let span = self.span();
        self.advance();
        if self.at_word("ANALYZE") {
            return fail(self.span(), "EXPLAIN ANALYZE is not supported", "use EXPLAIN");
        }
        if self.at_any(&["SELECT", "CREATE"]) {
            return self.statement().map(|s| Statement::Explain(Box::new(s)));
        }
        if matches!(self.peek(), Token::Word(_) | Token::Quoted(_)) {
            return self.any_name("a query's id").map(Statement::ExplainQuery);
        }
        fail(
            self.since(span.start),
            "EXPLAIN of what?",
            "write EXPLAIN SELECT ..., or EXPLAIN and a query's id",
        )
    }

    fn show(&mut self) -> Res<Statement> {
        self.advance();
        let all = ["STREAMS", "TABLES", "TOPICS", "QUERIES", "FUNCTIONS", "PROPERTIES"];
        let what = match self.here().to_ascii_uppercase().as_str() {
            "STREAMS" => Show::Streams,
            "TABLES" => Show::Tables,
            "TOPICS" => Show::Topics,
            "QUERIES" => Show::Queries,
            "FUNCTIONS" => Show::Functions,
            "PROPERTIES" => Show::Properties,
            other => {
                let hint = nearest_hint("lists", other, all);
                return fail(self.span(), format!("there is no list of {}", self.here()), hint);
            }
        };
        self.advance();
        if self.at_word("EXTENDED") {
            return fail(self.span(), "SHOW .. EXTENDED is not supported", "use DESCRIBE name EXTENDED");
        }
        Ok(Statement::Show(what))
    }

    fn source_kind(&mut self, verb: &str) -> Res<SourceKind> {
        if self.take_word("STREAM") {
            return Ok(SourceKind::Stream);
        }
        if self.take_word("TABLE") {
            return Ok(SourceKind::Table);
        }
        let known = [
            ("SOURCE", "leave SOURCE out, or create the connector in the pipeline file"),
            ("SINK", "create the connector in the pipeline file"),
            ("CONNECTOR", "create the connector in the pipeline file"),
            ("TYPE", "write the type in its place"),
            ("VIEW", "use CREATE TABLE .. AS SELECT"),
            ("MATERIALIZED", "use CREATE TABLE .. AS SELECT"),
            ("INDEX", "tables are read by any column"),
            ("FUNCTION", "SHOW FUNCTIONS lists those there are"),
            ("TEMPORARY", "use a SELECT .. EMIT CHANGES"),
        ];
        for (word, hint) in known {
            if self.at_word(word) {
                return fail(self.span(), format!("{verb} {word} is not supported"), hint);
            }
        }
        self.unexpected("STREAM or TABLE", &format!("write {verb} STREAM name or {verb} TABLE name"))
    }

    fn create(&mut self) -> Res<Statement> {
        self.advance();
        let or_replace = self.take_words(&["OR", "REPLACE"]);
        let kind = self.source_kind("CREATE")?;
        let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
        let name = self.ident("a name")?;
        let (mut columns, mut checks) = (Vec::new(), Vec::new());
        if self.take_symbol("(") {
            self.columns(&mut columns, &mut checks)?;
        }
        let properties = if self.at_word("WITH") { self.properties()? } else { Vec::new() };
        let query = if self.take_word("AS") {
            if !columns.is_empty() {
                return fail(
                    columns[0].name.span,
                    "CREATE .. AS SELECT takes its columns from the SELECT",
                    "remove the columns; name and type them in the SELECT with AS and CAST",
                );
            }
            if !self.at_word("SELECT") {
                return self.unexpected("SELECT", "write CREATE .. AS SELECT ...");
            }
            Some(Box::new(self.select()?))
        } else {
            None
        };
        Ok(Statement::Create(Create {
            kind,
            name,
            or_replace,
            if_not_exists,
            columns,
            checks,
            properties,
            query,
        }))
    }

    fn columns(&mut self, columns: &mut Vec<ColumnSpec>, checks: &mut Vec<crate::ast::Expr>) -> Res<()> {
        loop {
            if self.at_word("CHECK") && self.symbol_at(1, "(") {
                checks.push(self.check()?);
            } else if self.at_words(&["PRIMARY", "KEY"]) && self.symbol_at(2, "(") {
                return fail(
                    self.span(),
                    "the primary key is said at its columns",
                    "write PRIMARY KEY behind the type of each of them",
                );
            } else {
                columns.push(self.column()?);
            }
            if !self.take_symbol(",") {
                break;
            }
        }
        self.need_symbol(")", "after the last column")
    }

    fn check(&mut self) -> Res<crate::ast::Expr> {
        self.at += 2;
        let condition = self.expr()?;
        self.need_symbol(")", "after the condition")?;
        Ok(condition)
    }

    fn column(&mut self) -> Res<ColumnSpec> {
        let name = self.any_name("a column's name")?;
        let data_type = self.data_type()?;
        let mut column = ColumnSpec { name, data_type, key: None, not_null: false, checks: Vec::new() };
        loop {
            let span = self.span();
            if self.take_words(&["PRIMARY", "KEY"]) {
                column.key = Some(KeySpec { primary: true, span: self.since(span.start) });
            } else if self.take_word("KEY") {
                column.key = Some(KeySpec { primary: false, span });
            } else if self.take_words(&["NOT", "NULL"]) {
                column.not_null = true;
            } else if self.at_word("CHECK") && self.symbol_at(1, "(") {
                column.checks.push(self.check()?);
            } else if self.at_any(&["DEFAULT", "UNIQUE", "REFERENCES", "HEADERS", "HEADER", "GENERATED"]) {
                let word = self.here().to_ascii_uppercase();
                let hint = "columns take KEY or PRIMARY KEY, NOT NULL and CHECK (condition)";
                return fail(span, format!("{word} of a column is not supported"), hint);
            } else {
                return Ok(column);
            }
        }
    }

    fn properties(&mut self) -> Res<Vec<Property>> {
        self.advance();
        self.need_symbol("(", "and the properties")?;
        let mut properties: Vec<Property> = Vec::new();
        while !self.at_symbol(")") {
            let mut name: Ident = match self.peek().clone() {
                Token::Text(name) => Ident { name, span: self.advance().span },
                _ => self.any_name("a property's name")?,
            };
            name.name.make_ascii_lowercase();
            if properties.iter().any(|p| p.name.is(&name.name)) {
                return fail(name.span, format!("{} is set twice", name.name), "remove one");
            }
            self.need_symbol("=", "between a property's name and its value")?;
            let value_span = self.span();
            let value = match self.peek().clone() {
                Token::Text(t) | Token::Integer(t) | Token::Number(t) | Token::Word(t) | Token::Quoted(t) => {
                    t
                }
                _ => return self.unexpected("a value", "write name = 'value'"),
            };
            self.advance();
            properties.push(Property { name, value, value_span });
            if !self.take_symbol(",") {
                break;
            }
        }
        self.need_symbol(")", "after the last property")?;
        Ok(properties)
    }

    fn insert(&mut self) -> Res<Statement> {
        self.advance();
        self.need_word("INTO", "write INSERT INTO name (columns) VALUES (values)")?;
        let name = self.ident("a stream or table")?;
        let mut columns = None;
        if self.take_symbol("(") {
            let mut list = vec![self.any_name("a column's name")?];
            while self.take_symbol(",") {
                list.push(self.any_name("a column's name")?);
            }
            self.need_symbol(")", "after the last column")?;
            columns = Some(list);
        }
        if self.at_word("SELECT") {
            return fail(
                self.span(),
                "INSERT INTO .. SELECT is not supported",
                "use CREATE STREAM .. WITH (kafka_topic = '...') AS SELECT, which may write to the same topic",
            );
        }
        self.need_word("VALUES", "write INSERT INTO name (columns) VALUES (values)")?;
        let start = self.span().start;
        self.need_symbol("(", "and the values")?;
        let mut values = vec![self.expr()?];
        while self.take_symbol(",") {
            values.push(self.expr()?);
        }
        self.need_symbol(")", "after the last value")?;
        let span = self.since(start);
        if self.at_symbol(",") {
            return fail(self.span(), "an INSERT writes one row", "write one INSERT for each row");
        }
        Ok(Statement::Insert { name, columns, values, span })
    }

    fn drop_statement(&mut self) -> Res<Statement> {
        self.advance();
        let kind = self.source_kind("DROP")?;
        let if_exists = self.take_words(&["IF", "EXISTS"]);
        let name = self.ident("a stream or table")?;
        let delete_topic = self.take_words(&["DELETE", "TOPIC"]);
        Ok(Statement::Drop { kind, name, if_exists, delete_topic })
    }
}
