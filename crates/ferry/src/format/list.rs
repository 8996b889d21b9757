//! Prints lists the way `--format` asks: a table, a template, a table of a template, JSON lines, or IDs alone.

use serde_json::Value;

use super::table;
use super::template::{Missing, Template};
use crate::failure::{Explain, Failure};
use crate::terminal;

/// A column that a list can show.
#[derive(Debug)]
pub(crate) struct Column {
    /// Field of the row: `Names`.
    pub(crate) field: &'static str,
    /// Its head in a table: `NAMES`.
    pub(crate) head: &'static str,
}

/// How a list is asked for.
#[derive(Debug)]
pub(crate) struct Style<'a> {
    /// `--format`, or the default of config.json.
    pub(crate) format: Option<&'a str>,
    /// The field that `--quiet` leaves alone, when it was given.
    pub(crate) quiet: Option<&'static str>,
    /// The fields of the table without a format.
    pub(crate) table: &'a [&'static str],
    /// All that can be shown.
    pub(crate) columns: &'a [Column],
}

/// The text of a list of `rows`, each an object with the fields of the columns.
pub(crate) fn render(style: &Style<'_>, rows: &[Value]) -> Result<String, Failure> {
    if let Some(field) = style.quiet
        && matches!(style.format, None | Some("table"))
    {
        let mut out = String::new();
        for row in rows {
            out.push_str(&cell(row, field));
            out.push('\n');
        }
        return Ok(out);
    }
    match style.format {
        None | Some("" | "table") => Ok(whole_table(style, rows)),
        Some("json") => Ok(rows.iter().map(|row| format!("{row}\n")).collect()),
        Some(format) => match format.strip_prefix("table") {
            Some(rest) if rest.starts_with(char::is_whitespace) => template_table(style, rest.trim_start(), rows),
            _ => {
                let template = read(format)?;
                let mut out = String::new();
                for row in rows {
                    out.push_str(&apply(&template, row)?);
                    out.push('\n');
                }
                Ok(out)
            }
        },
    }
}

fn whole_table(style: &Style<'_>, rows: &[Value]) -> String {
    let head = style
        .table
        .iter()
        .map(|field| head_of(style, field).unwrap_or_else(|| field.to_uppercase()))
        .collect();
    let body = rows
        .iter()
        .map(|row| style.table.iter().map(|field| cell(row, field)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    table::render(&lines, terminal::columns())
}

/// `table {{.ID}}\t{{.Names}}`: heads, and a cell for what stands between two tabs.
fn template_table(style: &Style<'_>, text: &str, rows: &[Value]) -> Result<String, Failure> {
    let text = unescape(text);
    let template = read(&text)?;
    let heads = template.heads(&|field| head_of(style, field));
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    let mut lines = vec![cells(&heads)];
    for row in rows {
        lines.push(cells(&apply(&template, row)?));
    }
    Ok(table::render(&lines, terminal::columns()))
}

fn head_of(style: &Style<'_>, field: &str) -> Option<String> {
    style
        .columns
        .iter()
        .find(|column| column.field.eq_ignore_ascii_case(field))
        .map(|column| column.head.to_owned())
}

fn cell(row: &Value, field: &str) -> String {
    match row.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// In a shell's single quotes `\t` arrives as two characters.
pub(crate) fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

fn read(text: &str) -> Result<Template, Failure> {
    Template::parse(&unescape(text)).explain(|| format!("cannot use the format {text:?}"))
}

fn apply(template: &Template, row: &Value) -> Result<String, Failure> {
    template
        .render(row, Missing::IsAnError)
        .explain(|| "cannot show the list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: &[Column] = &[
        Column {
            field: "ID",
            head: "CONTAINER ID",
        },
        Column {
            field: "Names",
            head: "NAMES",
        },
    ];

    fn show(format: Option<&str>, quiet: Option<&'static str>) -> String {
        let style = Style {
            format,
            quiet,
            table: &["ID", "Names"],
            columns: COLUMNS,
        };
        let rows = [json!({"ID": "1", "Names": "web"}), json!({"ID": "2", "Names": "db"})];
        render(&style, &rows).expect("a list")
    }

    #[test]
    fn one_list_in_each_of_its_forms() {
        assert_eq!(
            show(None, None),
            "CONTAINER ID   NAMES\n1              web\n2              db\n"
        );
        assert_eq!(show(None, Some("ID")), "1\n2\n");
        assert_eq!(
            show(Some("json"), None),
            "{\"ID\":\"1\",\"Names\":\"web\"}\n{\"ID\":\"2\",\"Names\":\"db\"}\n"
        );
        assert_eq!(show(Some("{{.Names}}"), None), "web\ndb\n");
        assert_eq!(
            show(Some("table {{.Names}}\\t{{.ID}}"), None),
            "NAMES     CONTAINER ID\nweb       1\ndb        2\n"
        );
    }
}
