//! Tables for people: columns aligned, as wide as their widest cell.

use std::fmt::Write;

/// Lays out rows under their column names. Cells of several lines take as many lines.
///
/// ```text
/// Stream Name  Kafka Topic
/// -----------  -----------
/// sessions     sessions
/// ```
pub(crate) fn render<S: AsRef<str>>(columns: &[S], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = columns.iter().map(|c| c.as_ref().chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.lines().map(|l| l.chars().count()).fold(*width, usize::max);
        }
    }
    let mut out = String::new();
    line(&mut out, &widths, columns.iter().map(AsRef::as_ref));
    let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    line(&mut out, &widths, rules.iter().map(String::as_str));
    for row in rows {
        let height = row.iter().map(|c| c.lines().count()).max().unwrap_or(1).max(1);
        for i in 0..height {
            line(&mut out, &widths, row.iter().map(|c| c.lines().nth(i).unwrap_or("")));
        }
    }
    out
}

/// One line of cells, padded to `widths` but for the last.
pub(crate) fn line<'a>(out: &mut String, widths: &[usize], cells: impl Iterator<Item = &'a str>) {
    let start = out.len();
    for (i, cell) in cells.enumerate() {
        let width = widths.get(i).copied().unwrap_or(0);
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{cell:width$}", if i == 0 { "" } else { "  " });
    }
    let end = start + out[start..].trim_end().len();
    out.truncate(end);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec!["é".into(), "1\n22".into()], vec!["long name".into(), String::new()]];
        let table = super::render(&["a", "b"], &rows);
        assert_eq!(table, "a          b\n---------  --\né          1\n           22\nlong name\n");
    }
}
