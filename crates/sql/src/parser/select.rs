//! Queries.

use super::{Parser, too_deep};
use crate::ast::{Emit, Expr, Ident, Join, OrderItem, Relation, RelationKind, Select, SelectItem};
use crate::error::{Fault, Res, Span, fail};
use crate::lexer::Token;
use crate::plan::{JoinKind, Window};

impl Parser {
    /// `SELECT ...`.
    pub(super) fn select(&mut self) -> Res<Select> {
        if self.depth > 20 {
            return too_deep(self.span());
        }
        self.deeper(Self::select_here)
    }

    fn select_here(&mut self) -> Res<Select> {
        let start = self.span().start;
        self.need_word("SELECT", "")?;
        if self.at_word("DISTINCT") {
            return fail(self.span(), "SELECT DISTINCT is not supported", "use GROUP BY over the columns");
        }
        self.take_word("ALL");
        let items = self.select_items()?;
        if !self.at_word("FROM") {
            return self.unexpected("FROM", "write SELECT columns FROM a stream, a table or (a query)");
        }
        self.advance();
        let from = self.relation()?;
        let mut select = Select {
            items,
            from,
            joins: Vec::new(),
            window: None,
            named_windows: Vec::new(),
            filter: None,
            group_by: Vec::new(),
            having: None,
            partition_by: Vec::new(),
            order_by: Vec::new(),
            emit: None,
            limit: None,
            span: Span::default(),
        };
        self.joins(&mut select.joins)?;
        while self.clause(&mut select)? {}
        self.refuse_rest()?;
        select.span = self.since(start);
        Ok(select)
    }

    fn select_items(&mut self) -> Res<Vec<SelectItem>> {
        let mut items = Vec::new();
        loop {
            let span = self.span();
            if self.take_symbol("*") {
                items.push(SelectItem::All { qualifier: None, span });
            } else if matches!(self.peek(), Token::Word(_) | Token::Quoted(_))
                && self.symbol_at(1, ".")
                && self.symbol_at(2, "*")
            {
                let qualifier = Some(self.any_name("an alias")?);
                self.at += 2;
                items.push(SelectItem::All { qualifier, span: self.since(span.start) });
            } else {
                let expr = self.expr()?;
                items.push(SelectItem::Expr { expr, alias: self.alias()? });
            }
            if !self.take_symbol(",") {
                return Ok(items);
            }
        }
    }

    fn relation(&mut self) -> Res<Relation> {
        let span = self.span();
        let kind = if self.take_symbol("(") {
            if !self.at_word("SELECT") {
                return self.unexpected("SELECT", "parentheses in FROM hold a query");
            }
            let query = self.select()?;
            self.need_symbol(")", "after the sub-query")?;
            RelationKind::Query(Box::new(query))
        } else {
            for (word, hint) in [("UNNEST", "write FROM source CROSS JOIN UNNEST(expr) AS alias (columns)")] {
                if self.at_word(word) && self.symbol_at(1, "(") {
                    return fail(self.span(), format!("{word} cannot stand first in FROM"), hint);
                }
            }
            RelationKind::Source(self.ident("a stream or table")?)
        };
        let alias = self.alias()?;
        Ok(Relation { kind, alias, span: self.since(span.start) })
    }

    fn joins(&mut self, joins: &mut Vec<Join>) -> Res<()> {
        loop {
            let span = self.span();
            if self.at_symbol(",") {
                return fail(
                    span,
                    "a list of sources in FROM is not supported",
                    "write a JOIN b ON condition",
                );
            }
            if self.at_any(&["NATURAL", "ASOF"]) {
                let word = self.here();
                return fail(
                    span,
                    format!("{word} JOIN is not supported"),
                    "write JOIN x ON a.column = x.column",
                );
            }
            if self.take_words(&["CROSS", "JOIN"]) {
                joins.push(self.unnest(span)?);
                continue;
            }
            let kind = if self.take_word("INNER") {
                JoinKind::Inner
            } else if self.take_word("LEFT") {
                JoinKind::Left
            } else if self.take_word("RIGHT") {
                JoinKind::Right
            } else if self.take_word("FULL") {
                JoinKind::Full
            } else if self.at_word("JOIN") {
                JoinKind::Inner
            } else {
                return Ok(());
            };
            if kind != JoinKind::Inner {
                self.take_word("OUTER");
            }
            self.need_word("JOIN", "write JOIN x ON condition")?;
            if joins.len() >= 16 {
                return too_deep(span);
            }
            joins.push(self.join_rest(kind, span)?);
        }
    }

    fn join_rest(&mut self, kind: JoinKind, span: Span) -> Res<Join> {
        if self.at_word("UNNEST") && self.symbol_at(1, "(") {
            return fail(
                self.span(),
                "UNNEST is joined by CROSS JOIN only",
                "write CROSS JOIN UNNEST(expr) AS a (b)",
            );
        }
        let right = self.relation()?;
        let within = if self.at_word("WITHIN") { Some(self.within()?) } else { None };
        if self.at_word("USING") {
            return fail(self.span(), "USING is not supported", "write ON a.column = b.column");
        }
        let head = self.since(span.start);
        self.need_word("ON", "a join needs ON and a condition")?;
        let on = self.expr()?;
        Ok(Join::On { kind, right, within, on, span: head })
    }

    fn within(&mut self) -> Res<(i64, i64, Span)> {
        let start = self.span().start;
        self.advance();
        let (before, after) = if self.take_symbol("(") {
            let before = self.duration()?;
            self.need_symbol(",", "between how far before and how far after")?;
            let after = self.duration()?;
            self.need_symbol(")", "after the two times")?;
            (before, after)
        } else {
            let both = self.duration()?;
            (both, both)
        };
        let within = (before, after, self.since(start));
        if self.take_words(&["GRACE", "PERIOD"]) {
            let grace = self.span();
            if self.duration()? != 0 {
                return fail(
                    self.since(grace.start),
                    "a join has no grace period here: rows wait for the watermark",
                    "raise the streams' lateness instead, and leave GRACE PERIOD out",
                );
            }
        }
        Ok(within)
    }

    fn unnest(&mut self, span: Span) -> Res<Join> {
        if !(self.at_word("UNNEST") && self.symbol_at(1, "(")) {
            return fail(
                self.since(span.start),
                "CROSS JOIN is for UNNEST only",
                "write CROSS JOIN UNNEST(expr) AS alias (columns), or JOIN x ON condition",
            );
        }
        self.at += 2;
        let expr = self.expr()?;
        self.need_symbol(")", "after the array or map")?;
        if self.at_words(&["WITH", "ORDINALITY"]) {
            return fail(self.span(), "WITH ORDINALITY is not supported", "use ROW_NUMBER() OVER (...)");
        }
        let alias = self.alias()?;
        let mut columns = Vec::new();
        if self.take_symbol("(") {
            loop {
                columns.push(self.any_name("a column's name")?);
                if !self.take_symbol(",") {
                    break;
                }
            }
            self.need_symbol(")", "after the last column")?;
        }
        Ok(Join::Unnest { expr, alias, columns, span: self.since(span.start) })
    }

    /// One clause behind FROM, if there is one.
    fn clause(&mut self, select: &mut Select) -> Res<bool> {
        let span = self.span();
        let twice = |found: bool, what: &str| {
            if found { fail(span, format!("there are two {what}"), "join them into one") } else { Ok(()) }
        };
        if self.take_word("WHERE") {
            twice(select.filter.is_some(), "WHERE")?;
            select.filter = Some(self.expr()?);
        } else if self.take_words(&["GROUP", "BY"]) {
            twice(!select.group_by.is_empty(), "GROUP BY")?;
            select.group_by = self.by_list("GROUP BY")?;
        } else if self.take_words(&["PARTITION", "BY"]) {
            twice(!select.partition_by.is_empty(), "PARTITION BY")?;
            select.partition_by = self.by_list("PARTITION BY")?;
        } else if self.take_word("HAVING") {
            twice(select.having.is_some(), "HAVING")?;
            select.having = Some(self.expr()?);
        } else if self.take_words(&["ORDER", "BY"]) {
            twice(!select.order_by.is_empty(), "ORDER BY")?;
            select.order_by = self.order_items()?;
        } else if self.take_word("WINDOW") {
            self.window_clause(select, span)?;
        } else if self.take_word("EMIT") {
            twice(select.emit.is_some(), "EMIT")?;
            let emit = if self.take_word("CHANGES") {
                Emit::Changes
            } else if self.take_word("FINAL") {
                Emit::Final
            } else {
                return self.unexpected("CHANGES or FINAL", "write EMIT CHANGES or EMIT FINAL");
            };
            select.emit = Some((emit, self.since(span.start)));
        } else if self.take_word("LIMIT") {
            twice(select.limit.is_some(), "LIMIT")?;
            let Token::Integer(digits) = self.peek().clone() else {
                return self.unexpected("a number of rows", "write LIMIT 10");
            };
            let here = self.span();
            self.advance();
            let limit =
                digits.parse().map_err(|_| Fault::new(here, format!("LIMIT {digits} is too great"), ""))?;
            select.limit = Some((limit, self.since(span.start)));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// What other dialects allow here is named, not misread.
    fn refuse_rest(&self) -> Res<()> {
        for (word, hint) in [
            ("UNION", "write both queries into one topic: two streams over the same kafka_topic"),
            ("EXCEPT", "use a LEFT JOIN and WHERE x IS NULL"),
            ("INTERSECT", "use a JOIN"),
            ("OFFSET", "use LIMIT, or a condition on a column"),
            ("FETCH", "use LIMIT n"),
            ("QUALIFY", "put the window function in a sub-query and its condition in the WHERE around it"),
        ] {
            if self.at_word(word) {
                return fail(self.span(), format!("{word} is not supported"), hint);
            }
        }
        Ok(())
    }

    fn by_list(&mut self, clause: &str) -> Res<Vec<Expr>> {
        if self.at_any(&["ROLLUP", "CUBE", "GROUPING"]) {
            let word = self.here();
            return fail(self.span(), format!("{word} is not supported"), "write one statement a grouping");
        }
        if self.at_symbol("(") {
            // GROUP BY (a, b) is the same as GROUP BY a, b.
            let before = self.at;
            self.advance();
            let mut list = vec![self.expr()?];
            while self.take_symbol(",") {
                list.push(self.expr()?);
            }
            if list.len() > 1 {
                self.need_symbol(")", &format!("after the last column of {clause}"))?;
                return Ok(list);
            }
            self.at = before;
        }
        let mut list = vec![self.expr()?];
        while self.take_symbol(",") {
            list.push(self.expr()?);
        }
        Ok(list)
    }

    pub(super) fn order_items(&mut self) -> Res<Vec<OrderItem>> {
        let mut items = Vec::new();
        loop {
            let expr = self.expr()?;
            let descending = self.take_word("DESC");
            if !descending {
                self.take_word("ASC");
            }
            if self.at_word("NULLS") {
                return fail(self.span(), "NULLS FIRST and LAST are not supported", "leave it out");
            }
            items.push(OrderItem { expr, descending });
            if !self.take_symbol(",") {
                return Ok(items);
            }
        }
    }

    fn window_clause(&mut self, select: &mut Select, span: Span) -> Res<()> {
        if self.symbol_at(1, "(") && self.at_any(&["TUMBLING", "HOPPING", "SESSION"]) {
            if select.window.is_some() {
                return fail(span, "there are two windows of GROUP BY", "remove one");
            }
            let window = self.group_window()?;
            select.window = Some((window, self.since(span.start)));
            return Ok(());
        }
        loop {
            let name: Ident = self.ident("TUMBLING, HOPPING, SESSION or a window's name")?;
            if select.named_windows.iter().any(|(n, _)| n.is(&name.name)) {
                return fail(name.span, format!("there are two windows {}", name.name), "rename one");
            }
            self.need_word("AS", "write WINDOW w AS (PARTITION BY .. ORDER BY ..)")?;
            select.named_windows.push((name, self.window_def()?));
            if !self.take_symbol(",") {
                return Ok(());
            }
        }
    }

    fn group_window(&mut self) -> Res<Window> {
        let kind = self.here().to_ascii_uppercase();
        let span = self.span();
        self.at += 2;
        let (mut size, mut advance, mut grace_ms) = (None, None, 0);
        loop {
            let here = self.span();
            let positive = |ms: i64| {
                if ms > 0 { Ok(ms) } else { fail(here, "this time must be greater than zero", "") }
            };
            if kind == "SESSION" && size.is_none() {
                size = Some(self.duration().and_then(positive)?);
            } else if self.take_words(&["ADVANCE", "BY"]) {
                advance = Some(self.duration().and_then(positive)?);
            } else if self.take_words(&["GRACE", "PERIOD"]) {
                grace_ms = self.duration()?;
            } else if self.take_word("SIZE") {
                size = Some(self.duration().and_then(positive)?);
            } else if self.at_word("RETENTION") {
                return fail(
                    here,
                    "RETENTION of windows is not supported",
                    "leave it out: closed windows stay",
                );
            } else {
                return self.unexpected(
                    "SIZE, ADVANCE BY or GRACE PERIOD",
                    "as in TUMBLING (SIZE 1 HOUR), HOPPING (SIZE 1 HOUR, ADVANCE BY 5 MINUTES), SESSION (5 MINUTES)",
                );
            }
            if !self.take_symbol(",") {
                break;
            }
        }
        self.need_symbol(")", "after the window")?;
        let span = self.since(span.start);
        match (kind.as_str(), size, advance) {
            ("TUMBLING", Some(size_ms), None) => Ok(Window::Tumbling { size_ms, grace_ms }),
            ("HOPPING", Some(size_ms), Some(advance_ms)) if advance_ms <= size_ms => {
                Ok(Window::Hopping { size_ms, advance_ms, grace_ms })
            }
            ("HOPPING", Some(_), Some(_)) => fail(
                span,
                "a hopping window cannot advance by more than its size",
                "rows between would have none",
            ),
            ("SESSION", Some(gap_ms), None) => Ok(Window::Session { gap_ms, grace_ms }),
            _ => fail(
                span,
                format!("this is no {kind} window"),
                "as in TUMBLING (SIZE 1 HOUR), HOPPING (SIZE 1 HOUR, ADVANCE BY 5 MINUTES), SESSION (5 MINUTES)",
            ),
        }
    }
}
