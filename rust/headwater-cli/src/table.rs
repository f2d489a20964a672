//! Tables for people, and documents for programs.

use std::fmt::Write as _;

/// Rows under a header, columns as wide as they must be.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, &width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell for something that may be missing.
pub(crate) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A cell for text that may be empty.
pub(crate) fn text_or_dash(value: &str) -> String {
    if value.is_empty() { "-".to_owned() } else { value.to_owned() }
}

/// A cell with a list of numbers.
pub(crate) fn list(numbers: &[i32]) -> String {
    if numbers.is_empty() {
        return "-".to_owned();
    }
    numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// One JSON document, indented, with a newline at its end.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    // Only a map with keys that are not text could fail, and no document here has one.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let mut table = Table::new(&["TOPIC", "ID"]);
        table.row(["flüge".to_owned(), String::new()]);
        table.row(["a-long-name".to_owned(), "7".to_owned()]);
        assert_eq!(table.render(), "TOPIC        ID\nflüge\na-long-name  7\n");
    }

    #[test]
    fn missing_things_are_dashes() {
        assert_eq!((or_dash::<i32>(None), or_dash(Some(3))), ("-".to_owned(), "3".to_owned()));
        assert_eq!((list(&[]), list(&[1, 2])), ("-".to_owned(), "1,2".to_owned()));
    }
}
