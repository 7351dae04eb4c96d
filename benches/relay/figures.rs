//! Medians with their spread, and Markdown tables.

use std::fmt;

/// Figures of the same thing in several rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => None,
            n if n % 2 == 1 => Some(self.0[middle]),
            _ => Some(f64::midpoint(self.0[middle - 1], self.0[middle])),
        }
    }

    /// `median (min–max)`, divided by `unit`, with so many decimals.
    pub(crate) fn show(&self, unit: f64, decimals: usize) -> String {
        let (Some(median), Some(min), Some(max)) = (self.median(), self.0.first(), self.0.last()) else {
            return String::new();
        };
        let [median, min, max] = [median, *min, *max].map(|value| format!("{:.decimals$}", value / unit));
        if self.0.len() == 1 { median } else { format!("{median} ({min}–{max})") }
    }

    /// The same in thousands.
    pub(crate) fn thousands(&self) -> String {
        format!("{} k", self.show(1e3, 0))
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut figures = Self::default();
        values.into_iter().for_each(|value| figures.push(value));
        figures
    }
}

/// A Markdown table.
#[derive(Debug)]
pub(crate) struct Table {
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &'static [&'static str]) -> Self {
        Self { header, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(f, "| {} |", self.header.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.header.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        writeln!(f)
    }
}
