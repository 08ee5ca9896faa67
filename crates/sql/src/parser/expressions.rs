//! Expressions, by precedence: OR, AND, NOT, comparisons, `||`, `+ -`, `* / %`, unary minus, `-> [] .`

use super::{MAX_DEPTH, Parser, too_deep};
use crate::ast::{BinaryOp, Call, Expr, ExprKind, Ident, Over, WindowDef};
use crate::error::{Res, Span, fail};
use crate::lexer::Token;

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const CONCAT: u8 = 5;
const ADD: u8 = 6;
const MULTIPLY: u8 = 7;
const UNARY: u8 = 8;

impl Parser {
    pub(super) fn expr(&mut self) -> Res<Expr> {
        self.expr_above(0)
    }

    /// An expression of operators that bind tighter than `power`.
    fn expr_above(&mut self, power: u8) -> Res<Expr> {
        self.deeper(|p| {
            let mut left = p.prefix()?;
            while let Some((op_power, op)) = p.infix() {
                if op_power <= power {
                    break;
                }
                left = p.infix_rest(left, op_power, op)?;
            }
            Ok(left)
        })
    }

    fn node(&self, start: usize, kind: ExprKind, children: &[&Expr]) -> Res<Expr> {
        node(self.since(start), kind, children.iter().map(|e| e.depth).max().unwrap_or(0))
    }

    /// The operator here with its power; `None` in it for the forms that are words.
    fn infix(&self) -> Option<(u8, Option<BinaryOp>)> {
        match self.peek() {
            Token::Symbol(symbol) => Some(match *symbol {
                "=" => (COMPARE, Some(BinaryOp::Eq)),
                "<>" | "!=" => (COMPARE, Some(BinaryOp::NotEq)),
                "<" => (COMPARE, Some(BinaryOp::Less)),
                "<=" => (COMPARE, Some(BinaryOp::LessEq)),
                ">" => (COMPARE, Some(BinaryOp::Greater)),
                ">=" => (COMPARE, Some(BinaryOp::GreaterEq)),
                "||" => (CONCAT, Some(BinaryOp::Concat)),
                "+" => (ADD, Some(BinaryOp::Add)),
                "-" => (ADD, Some(BinaryOp::Subtract)),
                "*" => (MULTIPLY, Some(BinaryOp::Multiply)),
                "/" => (MULTIPLY, Some(BinaryOp::Divide)),
                "%" => (MULTIPLY, Some(BinaryOp::Modulo)),
                _ => return None,
            }),
            Token::Word(_) if self.at_word("OR") => Some((OR, Some(BinaryOp::Or))),
            Token::Word(_) if self.at_word("AND") => Some((AND, Some(BinaryOp::And))),
            Token::Word(_) if self.at_any(&["IS", "IN", "LIKE", "BETWEEN"]) => Some((COMPARE, None)),
            Token::Word(_) if self.at_word("NOT") => {
                let follows = ["IN", "LIKE", "BETWEEN"].iter().any(|w| self.word_at(1, w));
                follows.then_some((COMPARE, None))
            }
            _ => None,
        }
    }

    fn infix_rest(&mut self, left: Expr, power: u8, op: Option<BinaryOp>) -> Res<Expr> {
        let start = left.span.start;
        let Some(op) = op else { return self.predicate(left) };
        self.advance();
        let right = self.expr_above(power)?;
        let depth = left.depth.max(right.depth);
        node(self.since(start), ExprKind::Binary(op, Box::new(left), Box::new(right)), depth)
    }

    /// `IS ..`, `[NOT] IN ..`, `[NOT] LIKE ..`, `[NOT] BETWEEN ..` behind a value.
    fn predicate(&mut self, value: Expr) -> Res<Expr> {
        let start = value.span.start;
        let mut depth = value.depth;
        let value = Box::new(value);
        if self.take_word("IS") {
            let negated = self.take_word("NOT");
            if self.take_words(&["DISTINCT", "FROM"]) {
                let right = self.expr_above(COMPARE)?;
                let op = if negated { BinaryOp::IsNotDistinctFrom } else { BinaryOp::IsDistinctFrom };
                depth = depth.max(right.depth);
                return node(self.since(start), ExprKind::Binary(op, value, Box::new(right)), depth);
            }
            if !self.take_word("NULL") {
                return self
                    .unexpected("NULL or DISTINCT FROM", "write IS NULL, IS NOT NULL or IS DISTINCT FROM x");
            }
            return node(self.since(start), ExprKind::IsNull { value, negated }, depth);
        }
        let negated = self.take_word("NOT");
        let kind = if self.take_word("IN") {
            self.need_symbol("(", "and the values after IN")?;
            if self.at_word("SELECT") {
                return fail(
                    self.span(),
                    "IN takes a list of values here, not a query",
                    "join with the other stream or table instead",
                );
            }
            let list = self.expr_list(")")?;
            depth = list.iter().map(|e| e.depth).fold(depth, u16::max);
            ExprKind::InList { value, list, negated }
        } else if self.take_word("LIKE") {
            let pattern = Box::new(self.expr_above(COMPARE)?);
            depth = depth.max(pattern.depth);
            let escape = if self.take_word("ESCAPE") { Some(self.escape()?) } else { None };
            ExprKind::Like { value, pattern, escape, negated }
        } else {
            self.need_word("BETWEEN", "")?;
            let low = Box::new(self.expr_above(COMPARE)?);
            self.need_word("AND", "write BETWEEN least AND greatest")?;
            let high = Box::new(self.expr_above(COMPARE)?);
            depth = depth.max(low.depth).max(high.depth);
            ExprKind::Between { value, low, high, negated }
        };
        node(self.since(start), kind, depth)
    }

    fn escape(&mut self) -> Res<char> {
        let span = self.span();
        let text = self.text_literal("the escape character")?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => fail(span, "ESCAPE takes one character", "write ESCAPE '\\'"),
        }
    }

    /// Expressions up to `close`, at least one.
    fn expr_list(&mut self, close: &str) -> Res<Vec<Expr>> {
        let mut list = vec![self.expr()?];
        while self.take_symbol(",") {
            list.push(self.expr()?);
        }
        self.need_symbol(close, "after the last one")?;
        Ok(list)
    }

    fn prefix(&mut self) -> Res<Expr> {
        let start = self.span().start;
        if self.take_word("NOT") {
            let inner = self.expr_above(NOT)?;
            let depth = inner.depth;
            return node(self.since(start), ExprKind::Not(Box::new(inner)), depth);
        }
        if self.take_symbol("+") {
            return self.expr_above(UNARY);
        }
        if self.take_symbol("-") {
            if let Token::Integer(digits) = self.peek().clone() {
                self.advance();
                let literal = self.node(start, ExprKind::Integer(format!("-{digits}")), &[])?;
                return self.postfix(literal);
            }
            let inner = self.expr_above(UNARY)?;
            let depth = inner.depth;
            return node(self.since(start), ExprKind::Negate(Box::new(inner)), depth);
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut value: Expr) -> Res<Expr> {
        let start = value.span.start;
        loop {
            if self.take_symbol("->") || (!matches!(value.kind, ExprKind::Path(_)) && self.take_symbol(".")) {
                let field = self.any_name("a field's name")?;
                let depth = value.depth;
                value = node(self.since(start), ExprKind::Field(Box::new(value), field), depth)?;
            } else if self.take_symbol("[") {
                let index = self.expr()?;
                self.need_symbol("]", "after the index")?;
                let depth = value.depth.max(index.depth);
                value = node(self.since(start), ExprKind::Index(Box::new(value), Box::new(index)), depth)?;
            } else if self.at_symbol("::") {
                return fail(self.span(), ":: is not a cast here", "write CAST(x AS type)");
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Res<Expr> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Token::Integer(digits) => {
                self.advance();
                ExprKind::Integer(digits)
            }
            Token::Number(digits) => {
                self.advance();
                ExprKind::Number(digits)
            }
            Token::Text(text) => {
                self.advance();
                ExprKind::Text(text)
            }
            Token::Symbol("(") => {
                self.advance();
                if self.at_word("SELECT") {
                    return fail(
                        self.span(),
                        "a query cannot stand as a value here",
                        "put it in FROM, or join with it",
                    );
                }
                let inner = self.expr()?;
                self.need_symbol(")", "to close the parenthesis")?;
                return Ok(Expr { span: self.since(span.start), ..inner });
            }
            Token::Word(word) => match self.special(&word)? {
                Some(expr) => return Ok(expr),
                None => return self.name_or_call(),
            },
            Token::Quoted(_) => return self.name_or_call(),
            Token::Symbol("*") => {
                return fail(span, "* cannot stand here", "it stands alone in SELECT * or COUNT(*)");
            }
            _ => return self.unexpected("an expression", ""),
        };
        self.node(span.start, kind, &[])
    }

    /// Expressions that start with a word of the language.
    fn special(&mut self, word: &str) -> Res<Option<Expr>> {
        let start = self.span().start;
        let kind = match word.to_ascii_uppercase().as_str() {
            "NULL" => self.constant(ExprKind::Null),
            "TRUE" => self.constant(ExprKind::Boolean(true)),
            "FALSE" => self.constant(ExprKind::Boolean(false)),
            "INTERVAL" if matches!(self.peek_at(1), Token::Text(_) | Token::Integer(_)) => {
                self.advance();
                ExprKind::Interval(self.duration()?)
            }
            "CASE" => return self.case().map(Some),
            "CAST" if self.symbol_at(1, "(") => return self.cast().map(Some),
            "EXISTS" if self.symbol_at(1, "(") && self.word_at(2, "SELECT") => {
                return fail(
                    self.span(),
                    "EXISTS is not supported",
                    "join with the other stream or table instead",
                );
            }
            "ARRAY" if self.symbol_at(1, "[") => {
                self.at += 2;
                let list = if self.take_symbol("]") { Vec::new() } else { self.expr_list("]")? };
                let depth = list.iter().map(|e| e.depth).max().unwrap_or(0);
                return node(self.since(start), ExprKind::Array(list), depth).map(Some);
            }
            "STRUCT" if self.symbol_at(1, "(") => return self.structure_literal().map(Some),
            "MAP" if self.symbol_at(1, "(") => return self.map_literal().map(Some),
            _ => return Ok(None),
        };
        self.node(start, kind, &[]).map(Some)
    }

    fn constant(&mut self, kind: ExprKind) -> ExprKind {
        self.advance();
        kind
    }

    fn case(&mut self) -> Res<Expr> {
        let start = self.span().start;
        self.advance();
        let operand = if self.at_word("WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut branches = Vec::new();
        let mut depth = operand.as_ref().map_or(0, |o| o.depth);
        while self.take_word("WHEN") {
            let when = self.expr()?;
            self.need_word("THEN", "write WHEN condition THEN result")?;
            let then = self.expr()?;
            depth = depth.max(when.depth).max(then.depth);
            branches.push((when, then));
        }
        if branches.is_empty() {
            return self.unexpected("WHEN", "write CASE WHEN condition THEN result ELSE other END");
        }
        let otherwise = if self.take_word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        depth = depth.max(otherwise.as_ref().map_or(0, |o| o.depth));
        self.need_word("END", "close CASE with END")?;
        node(self.since(start), ExprKind::Case { operand, branches, otherwise }, depth)
    }

    fn cast(&mut self) -> Res<Expr> {
        let start = self.span().start;
        self.at += 2;
        let value = self.expr()?;
        self.need_word("AS", "write CAST(x AS type)")?;
        let data_type = self.data_type()?;
        self.need_symbol(")", "after the type")?;
        let depth = value.depth;
        node(self.since(start), ExprKind::Cast(Box::new(value), data_type), depth)
    }

    fn structure_literal(&mut self) -> Res<Expr> {
        let start = self.span().start;
        self.at += 2;
        let mut fields: Vec<(Ident, Expr)> = Vec::new();
        loop {
            let name = self.any_name("a field's name")?;
            if fields.iter().any(|(f, _)| f.is(&name.name)) {
                return fail(name.span, format!("there are two fields {}", name.name), "rename one");
            }
            self.need_symbol(":=", "between a field's name and its value")?;
            fields.push((name, self.expr()?));
            if !self.take_symbol(",") {
                break;
            }
        }
        self.need_symbol(")", "after the last field")?;
        let depth = fields.iter().map(|(_, e)| e.depth).max().unwrap_or(0);
        node(self.since(start), ExprKind::Struct(fields), depth)
    }

    fn map_literal(&mut self) -> Res<Expr> {
        let start = self.span().start;
        self.at += 2;
        let mut entries = Vec::new();
        while !self.at_symbol(")") {
            let key = self.expr()?;
            self.need_symbol(":=", "between a key and its value")?;
            entries.push((key, self.expr()?));
            if !self.take_symbol(",") {
                break;
            }
        }
        self.need_symbol(")", "after the last entry")?;
        let depth = entries.iter().map(|(k, v): &(Expr, Expr)| k.depth.max(v.depth)).max().unwrap_or(0);
        node(self.since(start), ExprKind::Map(entries), depth)
    }

    fn name_or_call(&mut self) -> Res<Expr> {
        let start = self.span().start;
        if matches!(self.peek(), Token::Word(_)) && self.symbol_at(1, "(") {
            return self.call();
        }
        let mut path = vec![self.ident("an expression")?];
        while self.at_symbol(".") {
            self.advance();
            if self.at_symbol("*") {
                return fail(
                    self.span(),
                    "* cannot stand here",
                    "alias.* stands alone as an item of a SELECT",
                );
            }
            path.push(self.any_name("a name")?);
        }
        if self.at_symbol("=>") {
            return fail(
                self.span(),
                "functions of functions (=>) are not supported",
                "unnest the array instead",
            );
        }
        self.node(start, ExprKind::Path(path), &[])
    }

    fn call(&mut self) -> Res<Expr> {
        let start = self.span().start;
        let name = self.any_name("a function's name")?;
        self.advance();
        let (mut star, mut distinct, mut args) = (false, false, Vec::new());
        if self.take_symbol("*") {
            star = true;
            self.need_symbol(")", "after *")?;
        } else {
            distinct = self.take_word("DISTINCT");
            if !self.take_symbol(")") {
                args = self.expr_list(")")?;
            }
        }
        if self.at_word("FILTER") && self.symbol_at(1, "(") {
            return fail(
                self.span(),
                "FILTER of an aggregate is not supported",
                "use CASE WHEN condition THEN x END as its argument",
            );
        }
        let mut depth = args.iter().map(|e| e.depth).max().unwrap_or(0);
        let over = if self.take_word("OVER") { Some(self.over()?) } else { None };
        if let Some(Over::Inline(def)) = &over {
            let parts = def.partition.iter().chain(def.order.iter().map(|o| &o.expr));
            depth = parts.map(|e| e.depth).fold(depth, u16::max);
        }
        node(self.since(start), ExprKind::Call(Call { name, args, star, distinct, over }), depth)
    }

    fn over(&mut self) -> Res<Over> {
        if self.at_symbol("(") {
            return self.window_def().map(Over::Inline);
        }
        self.ident("a window's name or (PARTITION BY .. ORDER BY ..)").map(Over::Named)
    }

    /// `(PARTITION BY .. ORDER BY ..)`.
    pub(super) fn window_def(&mut self) -> Res<WindowDef> {
        let start = self.span().start;
        self.need_symbol("(", "and PARTITION BY .. ORDER BY ..")?;
        let mut partition = Vec::new();
        if self.take_words(&["PARTITION", "BY"]) {
            partition.push(self.expr()?);
            while self.take_symbol(",") {
                partition.push(self.expr()?);
            }
        }
        let order = if self.take_words(&["ORDER", "BY"]) { self.order_items()? } else { Vec::new() };
        if self.at_any(&["ROWS", "RANGE", "GROUPS"]) {
            return fail(
                self.span(),
                "frames of windows are not supported",
                "LEAD(x, n) and LAG(x, n) reach n rows without one",
            );
        }
        self.need_symbol(")", "after the window")?;
        Ok(WindowDef { partition, order, span: self.since(start) })
    }
}

fn node(span: Span, kind: ExprKind, children_depth: u16) -> Res<Expr> {
    if children_depth >= MAX_DEPTH {
        return too_deep(span);
    }
    Ok(Expr { kind, span, depth: children_depth + 1 })
}
