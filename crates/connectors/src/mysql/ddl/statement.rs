//! Statements.

use super::column::{charset_name, charset_of_collation, column_spec, default};
use super::cursor::Cursor;
use super::lexer::{Token, tokens};
use super::{Change, ColumnSpec, Statement, SyntaxError, TableBody, TableName};

/// Reads one statement.
///
/// # Errors
/// It concerns a table's columns and was not understood; the names of tables that it concerns are given where they were read.
pub(in super::super) fn parse(text: &str) -> Result<Statement, (Option<TableName>, SyntaxError)> {
    let tokens = tokens(text);
    let mut c = Cursor::new(&tokens);
    if c.accept(&["SET", "STATEMENT"]) {
        // MariaDB: SET STATEMENT variable=value FOR statement.
        while !c.is_end() && !c.accept(&["FOR"]) {
            c.next();
        }
    }
    let mut table = None;
    statement(&mut c, &mut table).map_err(|error| (table, error))
}

fn statement(c: &mut Cursor<'_>, table: &mut Option<TableName>) -> Result<Statement, SyntaxError> {
    let Some(verb) = c.word_at(0) else { return Ok(Statement::Other) };
    c.next();
    match verb.as_str() {
        "CREATE" => create(c, table),
        "ALTER" => alter(c, table),
        "DROP" => drop(c),
        "RENAME" => rename(c),
        "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "LOAD" => Ok(Statement::Dml(dml_table(c))),
        _ => Ok(Statement::Other),
    }
}

fn create(c: &mut Cursor<'_>, table: &mut Option<TableName>) -> Result<Statement, SyntaxError> {
    c.accept(&["OR", "REPLACE"]);
    if c.accept_any(&["DATABASE", "SCHEMA"]) {
        c.accept(&["IF", "NOT", "EXISTS"]);
        let name = Some(c.name()?);
        return Ok(Statement::DatabaseCharset { name, charset: options_charset(c)?, create: true });
    }
    if !c.accept(&["TABLE"]) {
        return Ok(Statement::Other);
    }
    let if_not_exists = c.accept(&["IF", "NOT", "EXISTS"]);
    let name = c.table_name()?;
    *table = Some(name.clone());
    if c.accept(&["LIKE"]) {
        return Ok(Statement::CreateTableLike { name, like: c.table_name()?, if_not_exists });
    }
    let mut group = c.group()?;
    if group.accept(&["LIKE"]) {
        return Ok(Statement::CreateTableLike { name, like: group.table_name()?, if_not_exists });
    }
    let mut body = create_body(&group)?;
    body.charset = options_charset(&mut c.clone())?;
    body.system_versioned |= has_system_versioning(c);
    Ok(Statement::CreateTable { name, body, if_not_exists })
}

fn create_body(group: &Cursor<'_>) -> Result<TableBody, SyntaxError> {
    let mut body = TableBody::default();
    for mut part in group.split() {
        if let Some(key) = constraint(&mut part.clone())? {
            if !key.is_empty() {
                body.primary_key = key;
            }
            continue;
        }
        let ColumnSpec { column, primary_key, .. } = column_spec(&mut part)?;
        if primary_key {
            body.primary_key = vec![column.name.clone()];
        }
        body.columns.push(column);
    }
    Ok(body)
}

/// What is no column among the parts of a table: the columns of a primary key, empty for anything else. `None`: it is a column.
fn constraint(c: &mut Cursor<'_>) -> Result<Option<Vec<String>>, SyntaxError> {
    if c.accept(&["CONSTRAINT"]) && !c.looks_at(&["PRIMARY", "KEY"]) {
        let kinds = ["UNIQUE", "FOREIGN", "CHECK"];
        if !kinds.iter().any(|k| c.looks_at(&[k])) {
            c.next();
        }
        if !c.looks_at(&["PRIMARY", "KEY"]) {
            return Ok(Some(Vec::new()));
        }
    }
    if c.accept(&["PRIMARY", "KEY"]) {
        while !c.is_end() && c.peek() != Some(&Token::Sign('(')) {
            c.next();
        }
        return c.name_list().map(Some);
    }
    let other = c.accept_any(&["INDEX", "KEY", "FULLTEXT", "SPATIAL", "UNIQUE", "FOREIGN", "CHECK"])
        || c.looks_at(&["PERIOD", "FOR"]);
    Ok(other.then(Vec::new))
}

fn has_system_versioning(c: &Cursor<'_>) -> bool {
    let mut c = c.clone();
    while !c.is_end() {
        if c.looks_at(&["WITH", "SYSTEM", "VERSIONING"]) {
            return true;
        }
        c.next();
    }
    false
}

/// The character set among a table's or database's options.
fn options_charset(c: &mut Cursor<'_>) -> Result<Option<String>, SyntaxError> {
    let (mut charset, mut of_collation) = (None, None);
    while !c.is_end() {
        if c.accept(&["CHARACTER", "SET"]) || c.accept(&["CHAR", "SET"]) || c.accept(&["CHARSET"]) {
            c.accept_sign('=');
            charset = Some(charset_name(c)?);
        } else if c.accept(&["COLLATE"]) {
            c.accept_sign('=');
            of_collation = charset_of_collation(&charset_name(c)?);
        } else if c.accept(&["COMMENT"]) || c.accept(&["PARTITION", "BY"]) {
            c.accept_sign('=');
            c.next();
        } else {
            c.next();
        }
    }
    Ok(charset.or(of_collation))
}

fn alter(c: &mut Cursor<'_>, table: &mut Option<TableName>) -> Result<Statement, SyntaxError> {
    while c.accept_any(&["ONLINE", "IGNORE"]) {}
    if c.accept_any(&["DATABASE", "SCHEMA"]) {
        let option = ["DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "COMMENT", "READ", "ENCRYPTION"];
        let name = if option.iter().any(|o| c.looks_at(&[o])) { None } else { Some(c.name()?) };
        return Ok(Statement::DatabaseCharset { name, charset: options_charset(c)?, create: false });
    }
    if !c.accept(&["TABLE"]) {
        return Ok(Statement::Other);
    }
    let if_exists = c.accept(&["IF", "EXISTS"]);
    let name = c.table_name()?;
    *table = Some(name.clone());
    skip_wait(c);
    let mut changes = Vec::new();
    for mut part in c.split() {
        alter_spec(&mut part, &mut changes)?;
    }
    Ok(Statement::AlterTable { name, changes, if_exists })
}

/// `WAIT n` and `NOWAIT` of MariaDB.
fn skip_wait(c: &mut Cursor<'_>) {
    if c.accept(&["WAIT"]) {
        c.next();
    } else {
        c.accept(&["NOWAIT"]);
    }
}

fn alter_spec(c: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Result<(), SyntaxError> {
    if c.accept(&["ADD"]) {
        return alter_add(c, changes);
    }
    if c.accept(&["DROP"]) {
        return alter_drop(c, changes);
    }
    if c.accept(&["MODIFY"]) {
        c.accept(&["COLUMN"]);
        let if_exists = c.accept(&["IF", "EXISTS"]);
        let spec = column_spec(c)?;
        changes.push(Change::Modify { old: spec.column.name.clone(), spec, if_exists });
    } else if c.accept(&["CHANGE"]) {
        c.accept(&["COLUMN"]);
        let if_exists = c.accept(&["IF", "EXISTS"]);
        let old = c.name()?;
        changes.push(Change::Modify { old, spec: column_spec(c)?, if_exists });
    } else if c.accept(&["RENAME"]) {
        alter_rename(c, changes)?;
    } else if c.accept(&["CONVERT", "TO"]) {
        if let Some(charset) = options_charset(c)? {
            changes.push(Change::ConvertCharset(charset));
        }
    } else if c.accept(&["ALTER"]) {
        changes.extend(alter_column(c)?);
    } else if let Some(charset) = options_charset(c)? {
        changes.push(Change::DefaultCharset(charset));
    }
    Ok(())
}

/// `ALTER [COLUMN] x SET DEFAULT ..` and `DROP DEFAULT`; others (indexes, checks) say nothing of columns.
fn alter_column(c: &mut Cursor<'_>) -> Result<Option<Change>, SyntaxError> {
    if !c.accept(&["COLUMN"]) && (c.looks_at(&["INDEX"]) || c.looks_at(&["KEY"]) || c.looks_at(&["CHECK"])) {
        return Ok(None);
    }
    let if_exists = c.accept(&["IF", "EXISTS"]);
    let name = c.name()?;
    let default = if c.accept(&["SET", "DEFAULT"]) {
        default(c)
    } else if c.accept(&["DROP", "DEFAULT"]) {
        None
    } else {
        return Ok(None);
    };
    Ok(Some(Change::Default { name, default, if_exists }))
}

fn alter_add(c: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Result<(), SyntaxError> {
    if c.looks_at(&["SYSTEM", "VERSIONING"]) {
        changes.push(Change::SystemVersioning(true));
        return Ok(());
    }
    if c.looks_at(&["PARTITION"]) {
        return Ok(());
    }
    let column = c.accept(&["COLUMN"]);
    if !column && let Some(key) = constraint(&mut c.clone())? {
        if !key.is_empty() {
            changes.push(Change::PrimaryKey(key));
        }
        return Ok(());
    }
    let if_not_exists = c.accept(&["IF", "NOT", "EXISTS"]);
    if c.peek() != Some(&Token::Sign('(')) {
        let spec = column_spec(c)?;
        changes.push(Change::Add { spec, if_not_exists });
        return Ok(());
    }
    for mut part in c.group()?.split() {
        match constraint(&mut part.clone())? {
            Some(key) if key.is_empty() => {}
            Some(key) => changes.push(Change::PrimaryKey(key)),
            None => changes.push(Change::Add { spec: column_spec(&mut part)?, if_not_exists }),
        }
    }
    Ok(())
}

fn alter_drop(c: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Result<(), SyntaxError> {
    if c.accept(&["PRIMARY", "KEY"]) {
        changes.push(Change::DropPrimaryKey);
    } else if c.accept_any(&["INDEX", "KEY", "CONSTRAINT"]) {
        c.accept(&["IF", "EXISTS"]);
        if c.name()?.eq_ignore_ascii_case("primary") {
            changes.push(Change::DropPrimaryKey);
        }
    } else if c.accept(&["SYSTEM", "VERSIONING"]) {
        changes.push(Change::SystemVersioning(false));
    } else if c.accept(&["COLUMN"]) || !c.looks_at(&["FOREIGN", "KEY"]) && !drops_no_column(c) {
        let if_exists = c.accept(&["IF", "EXISTS"]);
        changes.push(Change::Drop { name: c.name()?, if_exists });
    }
    Ok(())
}

/// `DROP CHECK x`, `DROP PARTITION p`, `DROP PERIOD FOR ...`; a column of such a name stands alone.
fn drops_no_column(c: &Cursor<'_>) -> bool {
    ["CHECK", "PARTITION", "PERIOD"].iter().any(|w| c.looks_at(&[w]))
}

fn alter_rename(c: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Result<(), SyntaxError> {
    if c.accept(&["COLUMN"]) {
        let if_exists = c.accept(&["IF", "EXISTS"]);
        let old = c.name()?;
        if !c.accept(&["TO"]) {
            return Err(c.error("TO"));
        }
        changes.push(Change::RenameColumn { old, new: c.name()?, if_exists });
    } else if !c.looks_at(&["INDEX"]) && !c.looks_at(&["KEY"]) {
        if !c.accept_any(&["TO", "AS"]) {
            c.accept_sign('=');
        }
        changes.push(Change::RenameTable(c.table_name()?));
    }
    Ok(())
}

fn drop(c: &mut Cursor<'_>) -> Result<Statement, SyntaxError> {
    if c.accept_any(&["DATABASE", "SCHEMA"]) {
        c.accept(&["IF", "EXISTS"]);
        return Ok(Statement::DropDatabase(c.name()?));
    }
    if !c.accept_any(&["TABLE", "TABLES"]) {
        return Ok(Statement::Other);
    }
    c.accept(&["IF", "EXISTS"]);
    let names = c.split().iter_mut().map(Cursor::table_name).collect::<Result<_, _>>()?;
    Ok(Statement::DropTables(names))
}

fn rename(c: &mut Cursor<'_>) -> Result<Statement, SyntaxError> {
    if !c.accept_any(&["TABLE", "TABLES"]) {
        return Ok(Statement::Other);
    }
    c.accept(&["IF", "EXISTS"]);
    let mut pairs = Vec::new();
    for mut part in c.split() {
        let old = part.table_name()?;
        skip_wait(&mut part);
        if !part.accept(&["TO"]) {
            return Err(part.error("TO"));
        }
        pairs.push((old, part.table_name()?));
    }
    Ok(Statement::RenameTables(pairs))
}

/// The table of a change that was logged as a statement, where it stands plainly.
fn dml_table(c: &mut Cursor<'_>) -> Option<TableName> {
    while c.accept_any(&["LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "QUICK"]) {}
    if c.looks_at(&["DATA"]) || c.looks_at(&["XML"]) {
        while !c.is_end() && !c.accept(&["INTO", "TABLE"]) {
            c.next();
        }
    } else {
        c.accept_any(&["INTO", "FROM"]);
    }
    c.table_name().ok()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
