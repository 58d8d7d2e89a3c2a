//! A chart of numbers over time: stacked bars of successes and, on top, failures. The page shows the same
//! numbers as a table.
//!
//! The chart is a scalable SVG, rendered by `templates/console/chart.html`. All heights are computed here
//! with one decimal and written to attributes, because the content security policy forbids `style`.

use super::grouped;

/// The values of one bar. `label` is short: "21 Nov". `sign` is the text below the bar; it is empty for some
/// bars if there is no room for all, and the others must then be evenly spaced.
#[derive(Clone, Debug)]
pub struct ChartColumn {
    pub label: String,
    pub sign: String,
    pub good: u64,
    pub bad: u64,
}

/// The texts around the numbers.
#[derive(Clone, Copy, Debug)]
pub struct ChartLabels {
    /// The title: "Sign-ins a day".
    pub what: &'static str,
    /// The heading of the column of labels: "Day".
    pub of: &'static str,
    pub good: &'static str,
    pub bad: &'static str,
}

/// A chart, ready for the template.
#[derive(Clone, Debug)]
pub struct BarChart {
    pub(super) words: ChartLabels,
    pub(super) bars: Vec<ChartBar>,
    pub(super) scale: Vec<String>,
    good: u64,
    bad: u64,
    pub(super) busiest: String,
}

/// One bar: successes at the bottom, failures above.
#[derive(Clone, Debug)]
pub(super) struct ChartBar {
    pub(super) label: String,
    pub(super) sign: String,
    pub(super) good: String,
    pub(super) bad: String,
    pub(super) x: String,
    pub(super) good_y: String,
    pub(super) good_height: String,
    pub(super) bad_y: String,
    pub(super) bad_height: String,
}

/// The height of the chart in its own units. A column is 20 units wide and its bar 14.
const HEIGHT: u64 = 200;
const COLUMN_WIDTH: usize = 20;
const BAR_INSET: usize = 3;
const LINES: u64 = 4;

impl BarChart {
    /// Creates a chart of `columns`, oldest first.
    pub fn new(words: ChartLabels, columns: &[ChartColumn]) -> Self {
        let busiest = columns.iter().max_by_key(|column| column.good + column.bad);
        let step = step(busiest.map_or(0, |column| column.good + column.bad));
        let top = step * LINES;
        let bars = columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let good = column.good * HEIGHT * 10 / top;
                let bad = column.bad * HEIGHT * 10 / top;
                ChartBar {
                    label: column.label.clone(),
                    sign: column.sign.clone(),
                    good: grouped(column.good),
                    bad: grouped(column.bad),
                    x: (index * COLUMN_WIDTH + BAR_INSET).to_string(),
                    good_y: tenths(HEIGHT * 10 - good),
                    good_height: tenths(good),
                    bad_y: tenths(HEIGHT * 10 - good - bad),
                    bad_height: tenths(bad),
                }
            })
            .collect();
        Self {
            words,
            bars,
            scale: (0..=LINES).rev().map(|line| grouped(line * step)).collect(),
            good: columns.iter().map(|column| column.good).sum(),
            bad: columns.iter().map(|column| column.bad).sum(),
            busiest: busiest.map_or_else(String::new, |column| {
                format!("{}, with {}", column.label, grouped(column.good + column.bad))
            }),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.good + self.bad == 0
    }

    pub(super) fn width(&self) -> usize {
        self.bars.len() * COLUMN_WIDTH
    }

    pub fn good(&self) -> String {
        grouped(self.good)
    }

    pub fn bad(&self) -> String {
        grouped(self.bad)
    }

    pub fn has_bad(&self) -> bool {
        self.bad > 0
    }

    /// Returns the share of failures in percent.
    pub fn bad_share(&self) -> String {
        let all = self.good + self.bad;
        if all == 0 {
            return "0%".to_owned();
        }
        format!("{}%", tenths(self.bad * 1000 / all))
    }

    pub(super) fn first(&self) -> &str {
        self.bars.first().map_or("", |bar| &bar.label)
    }

    pub(super) fn last(&self) -> &str {
        self.bars.last().map_or("", |bar| &bar.label)
    }
}

/// Returns the distance between two lines of the scale: 1, 2 or 5 times a power of ten, so that the highest
/// bar is not above the fourth line.
fn step(highest: u64) -> u64 {
    let needed = highest.div_ceil(LINES).max(1);
    let mut power = 1;
    loop {
        for factor in [1, 2, 5] {
            if factor * power >= needed {
                return factor * power;
            }
        }
        power *= 10;
    }
}

fn tenths(value: u64) -> String {
    match value % 10 {
        0 => (value / 10).to_string(),
        rest => format!("{}.{rest}", value / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::{BarChart, ChartColumn, ChartLabels, step, tenths};

    const WORDS: ChartLabels = ChartLabels { what: "Sign-ins a day", of: "Day", good: "Signed in", bad: "Failed" };

    #[test]
    fn the_scale_is_round_and_high_enough() {
        for (highest, expected) in [(0, 1), (3, 1), (4, 1), (5, 2), (37, 10), (1483, 500), (2001, 1000)] {
            assert_eq!(step(highest), expected, "{highest}");
            assert!(step(highest) * 4 >= highest);
        }
    }

    #[test]
    fn bars_stack_failures_on_successes() {
        let label = || "21 Nov".to_owned();
        let days =
            [(30, 10), (0, 0), (5, 0)].map(|(good, bad)| ChartColumn { label: label(), sign: label(), good, bad });
        let chart = BarChart::new(WORDS, &days);
        assert_eq!(chart.scale, ["40", "30", "20", "10", "0"]);
        let bar = &chart.bars[0];
        assert_eq!((bar.good_y.as_str(), bar.good_height.as_str()), ("50", "150"));
        assert_eq!((bar.bad_y.as_str(), bar.bad_height.as_str()), ("0", "50"));
        assert_eq!(chart.bars[1].good_height, "0");
        assert_eq!(chart.bad_share(), "22.2%");
    }

    #[test]
    fn chart_without_columns_is_empty() {
        let chart = BarChart::new(WORDS, &[]);
        assert!(chart.is_empty());
        assert_eq!(chart.bad_share(), "0%");
        assert_eq!(tenths(15), "1.5");
    }
}
