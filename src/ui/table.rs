//! Tables for terminals and pipes.

use std::collections::BTreeMap;

use anstyle::Style;

use super::text::{cut, width};

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells. On a terminal the last columns are cut so that a row is one
/// line; elsewhere nothing is cut.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
    /// Styles of painted cells, by row and column.
    painted: BTreeMap<(usize, usize), Style>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[Align]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), painted: BTreeMap::new() }
    }

    /// Adds a row; cells are plain text without line breaks.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Paints a cell of the last row. Where colour is not wanted, whoever prints
    /// the line takes it away.
    pub fn paint(&mut self, column: usize, style: Style) {
        self.painted.entry((self.rows.len().saturating_sub(1), column)).or_insert(style);
    }

    /// The lines. `columns` is the terminal's width, if it is one; what does
    /// not fit is taken from the columns that may shrink, in the order given,
    /// each down to eight columns before the next. Where that is not enough they
    /// go, in that order too, and at last the widest of the others is cut.
    pub fn lines(&self, columns: Option<usize>, shrink: &[usize]) -> Vec<String> {
        let mut natural = vec![0; self.columns.len()];
        for row in &self.rows {
            for (slot, cell) in natural.iter_mut().zip(row) {
                *slot = width(cell).max(*slot);
            }
        }
        let widths = match columns {
            Some(columns) => fitted(&natural, columns, shrink),
            None => natural,
        };
        self.rows.iter().enumerate().map(|(at, row)| self.line(at, row, &widths)).collect()
    }

    fn line(&self, at: usize, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, ((cell, align), columns)) in
            row.iter().zip(&self.columns).zip(widths).enumerate()
        {
            if *columns == 0 {
                continue;
            }
            if !line.is_empty() {
                line.push_str("  ");
            }
            let cell = cut(cell, *columns);
            let pad = " ".repeat(columns - width(&cell));
            let cell = match self.painted.get(&(at, index)) {
                Some(style) => format!("{style}{cell}{style:#}"),
                None => cell,
            };
            match align {
                Align::Left => line.extend([cell.as_str(), &pad]),
                Align::Right => line.extend([pad.as_str(), &cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// What a row of these widths takes, with two columns between its cells.
fn total(widths: &[usize]) -> usize {
    let gaps = widths.iter().filter(|w| **w > 0).count().saturating_sub(1) * 2;
    widths.iter().sum::<usize>() + gaps
}

/// `natural` made to fit into `columns`; see [`Table::lines`].
fn fitted(natural: &[usize], columns: usize, shrink: &[usize]) -> Vec<usize> {
    let mut widths = natural.to_vec();
    for gone in 0..=shrink.len() {
        widths = natural.to_vec();
        for (order, index) in shrink.iter().enumerate() {
            let over = total(&widths).saturating_sub(columns);
            if let Some(slot) = widths.get_mut(*index) {
                *slot = if order < gone { 0 } else { *slot - over.min(slot.saturating_sub(8)) };
            }
        }
        if total(&widths) <= columns {
            return widths;
        }
    }
    let over = total(&widths).saturating_sub(columns);
    if let Some(widest) = widths.iter_mut().max() {
        *widest = widest.saturating_sub(over).max(1);
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_and_the_last_gives_way() {
        let mut table = Table::new(&[Align::Right, Align::Left, Align::Left]);
        table.row(vec!["1".into(), "auth".into(), "a long title that is cut".into()]);
        table.row(vec!["10".into(), "x".into(), String::new()]);
        assert_eq!(table.lines(None, &[2]), [" 1  auth  a long title that is cut", "10  x"]);
        assert_eq!(table.lines(Some(20), &[2]), [" 1  auth  a long ti…", "10  x"]);
        assert_eq!(table.lines(Some(12), &[2]), [" 1  auth", "10  x"]);
        assert_eq!(table.lines(Some(7), &[2]), [" 1  au…", "10  x"]);
    }
}
