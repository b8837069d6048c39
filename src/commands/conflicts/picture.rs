//! The matrix: one row for each writer, one column for the branch and for each
//! writer before it.
//!
//! ```text
//!            main  1  2
//! [1] auth      ·
//! [2] docs *    ×  ·
//! [3] api       ·  ×  ~
//! ```
//! Where that is too wide the numbers stand upright, and where there are many
//! writers those that collide with nobody are only counted: what is left of
//! thirty fits into eighty columns.

use std::collections::BTreeMap;

use anstyle::Style;

use super::{ALL_SHOWN, look::Look};
use crate::{
    git::merge::{Clash, Pair},
    ledger::Job,
    ui,
};

const COLLIDES: &str = "×";
const MERGES: &str = "~";
const APART: &str = "·";

/// Of a name, or a branch, in the margin.
const MARGIN: usize = 28;

/// The lines of the matrix and its key, for a terminal of `columns`.
pub(super) fn matrix(look: &Look, columns: usize) -> Vec<String> {
    let collides = |place: usize| look.collisions().any(|pair| pair.a == place || pair.b == place);
    let all: Vec<usize> = (1..=look.jobs.len()).collect();
    let shown: Vec<usize> = match all.len() {
        count if count > ALL_SHOWN => all.into_iter().filter(|place| collides(*place)).collect(),
        _ => all,
    };
    let mut lines = Vec::new();
    if !shown.is_empty() {
        let grid = Grid::new(look, &shown);
        lines.extend(grid.lines(look, columns));
        lines.push(key(look, &shown));
    }
    let quiet = look.jobs.len() - shown.len();
    if quiet > 0 {
        let one = if shown.is_empty() { "writer" } else { "more writer" };
        let verb = if quiet == 1 { "collides" } else { "collide" };
        let text = format!("{} {verb} with nobody", ui::plural(quiet as u64, one));
        lines.push(text);
    }
    lines
}

fn key(look: &Look, shown: &[usize]) -> String {
    let mut key = format!("{COLLIDES} conflict");
    if look.pairs.iter().any(|pair| pair.clash == Clash::Clean) {
        key.push_str("   ~ same paths, merges");
    }
    if shown.iter().any(|place| look.job(*place).is_some_and(Job::is_live)) {
        key.push_str("   * at work");
    }
    key
}

struct Grid<'a> {
    shown: &'a [usize],
    /// Row labels, cut.
    names: Vec<String>,
    target: String,
    numbers: Vec<String>,
    pairs: BTreeMap<(usize, usize), &'a Pair>,
}

impl<'a> Grid<'a> {
    fn new(look: &'a Look, shown: &'a [usize]) -> Self {
        let name = |place: &usize| {
            let live = look.job(*place).is_some_and(Job::is_live);
            let name = ui::cut(&look.label(*place), MARGIN);
            if live { format!("{name} *") } else { name }
        };
        let number = |place: &usize| look.job(*place).map_or(0, |job| job.job.0).to_string();
        Self {
            shown,
            names: shown.iter().map(name).collect(),
            target: ui::cut(&look.target, MARGIN),
            // The last one has no column: its row says it all.
            numbers: shown[..shown.len() - 1].iter().map(number).collect(),
            pairs: look.pairs.iter().map(|pair| ((pair.a, pair.b), pair)).collect(),
        }
    }

    fn lines(&self, look: &Look, columns: usize) -> Vec<String> {
        let margin = self.names.iter().map(|name| ui::width(name)).max().unwrap_or(0);
        let target = ui::width(&self.target);
        let digits = self.numbers.iter().map(String::len).max().unwrap_or(1);
        // What one column takes, its gap included.
        let upright = margin + 2 + target + self.numbers.len() * (digits + 2) > columns;
        let step = match upright {
            false => digits + 2,
            true if margin + 2 + target + self.numbers.len() * 2 > columns => 1,
            true => 2,
        };
        let mut lines = Vec::new();
        if upright {
            for digit in 0..digits {
                let head = if digit + 1 == digits { self.target.as_str() } else { "" };
                let mut line = format!("{:margin$}  {head:>target$}", "");
                for number in &self.numbers {
                    let padded = format!("{number:>digits$}");
                    line.push_str(&" ".repeat(step - 1));
                    line.push_str(&padded[digit..=digit]);
                }
                lines.push(line);
            }
        } else {
            let mut line = format!("{:margin$}  {}", "", self.target);
            for number in &self.numbers {
                line.push_str(&" ".repeat(step - number.len()));
                line.push_str(number);
            }
            lines.push(line);
        }
        for (row, (name, place)) in self.names.iter().zip(self.shown).enumerate() {
            let style =
                if look.job(*place).is_some_and(Job::is_live) { ui::LIVE } else { Style::new() };
            let pad = " ".repeat(margin - ui::width(name));
            let mut line = format!("{style}{name}{style:#}{pad}  ");
            line.push_str(&" ".repeat(target.saturating_sub(1)));
            line.push_str(&self.cell(0, *place));
            for other in &self.shown[..row] {
                line.push_str(&" ".repeat(step - 1));
                line.push_str(&self.cell(*other, *place));
            }
            lines.push(line);
        }
        lines
    }

    fn cell(&self, a: usize, b: usize) -> String {
        match self.pairs.get(&(a, b)).map(|pair| pair.clash.is_collision()) {
            Some(true) => format!("{}{COLLIDES}{:#}", ui::BAD, ui::BAD),
            Some(false) => MERGES.to_owned(),
            None => APART.to_owned(),
        }
    }
}
