//! Names: what FROM offers, and how a path finds its column.

use super::formats::FormatSpec;
use crate::ast::{Ident, Select};
use crate::build::ROWTIME;
use crate::error::{Fault, Res, fail, nearest_hint};
use crate::expr::Expr;
use crate::plan::Plan;

/// A column's name in a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    /// The source's alias.
    pub(crate) qualifier: Option<String>,
    pub(crate) name: String,
    /// Not a part of `*`, and found only as ROWTIME.
    pub(crate) hidden: bool,
    /// Part of the source's key.
    pub(crate) key: bool,
}

/// A plan with its columns' names: what FROM, a join or a sub-query gives.
#[derive(Debug, Clone)]
pub(crate) struct Rel {
    pub(crate) plan: Plan,
    /// One a column of the plan.
    pub(crate) names: Vec<Name>,
    /// The ROWTIME of each alias.
    pub(crate) rowtimes: Vec<(Option<String>, usize)>,
    /// `key_format` of the source that the key is taken from.
    pub(crate) key_format: Option<FormatSpec>,
    /// `value_format` of the source that stands first.
    pub(crate) value_format: Option<FormatSpec>,
    /// Whether a join made it, so that `*` prefixes names.
    pub(crate) joined: bool,
}

impl Rel {
    pub(crate) fn column(&self, index: usize) -> Expr {
        Expr::column(index, self.plan.columns[index].data_type.clone())
    }

    pub(crate) fn visible(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.names.iter().enumerate().filter(|(_, n)| !n.hidden)
    }

    pub(crate) fn has_alias(&self, alias: &str) -> bool {
        let is = |q: &Option<String>| q.as_ref().is_some_and(|q| q.eq_ignore_ascii_case(alias));
        self.names.iter().any(|n| is(&n.qualifier)) || self.rowtimes.iter().any(|(q, _)| is(q))
    }

    /// The column that a path starts with, and how many of its parts named it.
    pub(crate) fn resolve(&self, path: &[Ident]) -> Res<(usize, usize)> {
        let [first, rest @ ..] = path else {
            return fail(crate::error::Span::default(), "an empty name", "");
        };
        if let [second, ..] = rest
            && self.has_alias(&first.name)
        {
            return self.find(Some(&first.name), second).map(|c| (c, 2));
        }
        match self.find(None, first) {
            Ok(c) => Ok((c, 1)),
            Err(_) if !rest.is_empty() && self.visible().all(|(_, n)| !first.is(&n.name)) => {
                let mut aliases: Vec<&str> =
                    self.names.iter().filter_map(|n| n.qualifier.as_deref()).collect();
                aliases.dedup();
                let message = format!("there is no source {} in FROM, nor a struct of that name", first.name);
                fail(first.span, message, nearest_hint("names in FROM", &first.name, aliases))
            }
            Err(fault) => Err(fault),
        }
    }

    fn find(&self, qualifier: Option<&str>, name: &Ident) -> Res<usize> {
        let of = |q: &Option<String>| match (qualifier, q) {
            (None, _) => true,
            (Some(wanted), Some(q)) => q.eq_ignore_ascii_case(wanted),
            (Some(_), None) => false,
        };
        let found: Vec<usize> =
            self.visible().filter(|(_, n)| name.is(&n.name) && of(&n.qualifier)).map(|(i, _)| i).collect();
        match found[..] {
            [one] => return Ok(one),
            [] => {}
            _ => {
                let choices: Vec<String> = found
                    .iter()
                    .filter_map(|i| self.names[*i].qualifier.as_ref().map(|q| format!("{q}.{}", name.name)))
                    .collect();
                let hint = format!("write {}", choices.join(" or "));
                return fail(name.span, format!("{} is a column of more than one source", name.name), hint);
            }
        }
        if name.is(ROWTIME) {
            if qualifier.is_none()
                && let Some(time) = self.plan.time
            {
                return Ok(time);
            }
            let mut times = self.rowtimes.iter().filter(|(q, _)| of(q));
            if let (Some((_, time)), None) = (times.next(), times.next()) {
                return Ok(*time);
            }
        }
        Err(self.unknown(qualifier, name))
    }

    fn unknown(&self, qualifier: Option<&str>, name: &Ident) -> Fault {
        let of = |n: &Name| {
            qualifier.is_none_or(|w| n.qualifier.as_ref().is_some_and(|q| q.eq_ignore_ascii_case(w)))
        };
        let columns = self.visible().filter(|(_, n)| of(n)).map(|(_, n)| n.name.as_str());
        let place = qualifier.map_or(String::new(), |q| format!(" in {q}"));
        let message = format!("there is no column {}{place}", name.name);
        Fault::new(name.span, message, nearest_hint("columns", &name.name, columns))
    }
}

/// Whether the query groups, so that it gives a table.
pub(crate) fn groups(select: &Select) -> bool {
    !select.group_by.is_empty()
}
