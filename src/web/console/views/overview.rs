//! `/admin`: how many there are of each, sign-ins of the last 14 days as a picture, what happened last and what failed.
//!
//! The picture is an SVG that stretches; all heights are computed here, in tenths of a unit, and stand in attributes,
//! since the content security policy forbids `style`. The rows below it are `events::EventRow`.

use askama::Template;

use super::events::EventRow;
use super::grouped;
use crate::web::view::{Chrome, Notice, Viewer};

#[derive(Template)]
#[template(path = "console/overview.html")]
pub struct OverviewPage {
    pub chrome: Chrome,
    pub viewer: Viewer,
    pub csrf: String,
    pub notice: Option<Notice>,
    pub counts: Counts,
    pub chart: SignInChart,
    /// The newest events, newest first.
    pub events: Vec<EventRow>,
    /// The newest refusals, newest first.
    pub failures: Vec<EventRow>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub apps: u64,
    pub apps_off: u64,
    pub people: u64,
    pub people_disabled: u64,
    pub sessions: u64,
}

impl Counts {
    fn apps(&self) -> String {
        grouped(self.apps)
    }

    fn people(&self) -> String {
        grouped(self.people)
    }

    fn sessions(&self) -> String {
        grouped(self.sessions)
    }
}

/// One day's sign-ins, as counted. The label is short: "21 Nov".
#[derive(Clone, Debug)]
pub struct Day {
    pub label: String,
    pub signed_in: u64,
    pub failed: u64,
}

/// The picture: bars and a scale, ready to be written down.
#[derive(Clone, Debug)]
pub struct SignInChart {
    bars: Vec<Bar>,
    scale: Vec<String>,
    signed_in: u64,
    failed: u64,
    busiest: String,
}

/// A day's bar: successes from the ground up, failures on top of them.
#[derive(Clone, Debug)]
struct Bar {
    label: String,
    signed_in: String,
    failed: String,
    x: String,
    signed_in_y: String,
    signed_in_height: String,
    failed_y: String,
    failed_height: String,
}

/// The drawing is 200 units high; a day is 20 wide and its bar 14.
const HEIGHT: u64 = 200;
const DAY_WIDTH: usize = 20;
const BAR_INSET: usize = 3;
const LINES: u64 = 4;

impl SignInChart {
    /// Oldest day first.
    pub fn new(days: &[Day]) -> Self {
        let busiest = days.iter().max_by_key(|day| day.signed_in + day.failed);
        let step = step(busiest.map_or(0, |day| day.signed_in + day.failed));
        let top = step * LINES;
        let bars = days
            .iter()
            .enumerate()
            .map(|(index, day)| {
                let signed_in = day.signed_in * HEIGHT * 10 / top;
                let failed = day.failed * HEIGHT * 10 / top;
                Bar {
                    label: day.label.clone(),
                    signed_in: grouped(day.signed_in),
                    failed: grouped(day.failed),
                    x: (index * DAY_WIDTH + BAR_INSET).to_string(),
                    signed_in_y: tenths(HEIGHT * 10 - signed_in),
                    signed_in_height: tenths(signed_in),
                    failed_y: tenths(HEIGHT * 10 - signed_in - failed),
                    failed_height: tenths(failed),
                }
            })
            .collect();
        Self {
            bars,
            scale: (0..=LINES).rev().map(|line| grouped(line * step)).collect(),
            signed_in: days.iter().map(|day| day.signed_in).sum(),
            failed: days.iter().map(|day| day.failed).sum(),
            busiest: busiest
                .map_or_else(String::new, |day| format!("{}, with {}", day.label, grouped(day.signed_in + day.failed))),
        }
    }

    fn is_empty(&self) -> bool {
        self.signed_in + self.failed == 0
    }

    fn width(&self) -> usize {
        self.bars.len() * DAY_WIDTH
    }

    fn signed_in(&self) -> String {
        grouped(self.signed_in)
    }

    fn failed(&self) -> String {
        grouped(self.failed)
    }

    /// Failures as a share of all tries, for the tile.
    fn failed_share(&self) -> String {
        let all = self.signed_in + self.failed;
        if all == 0 {
            return "0%".to_owned();
        }
        format!("{}%", tenths(self.failed * 1000 / all))
    }

    fn first(&self) -> &str {
        self.bars.first().map_or("", |bar| &bar.label)
    }

    fn last(&self) -> &str {
        self.bars.last().map_or("", |bar| &bar.label)
    }
}

/// The distance between two lines of the scale: 1, 2 or 5 times a power of ten, so that the highest bar fits below
/// the fourth line.
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

super::in_section!(Overview: OverviewPage);

#[cfg(test)]
mod tests {
    use super::{Day, SignInChart, step, tenths};

    #[test]
    fn the_scale_is_round_and_high_enough() {
        for (highest, expected) in [(0, 1), (3, 1), (4, 1), (5, 2), (37, 10), (1483, 500), (2001, 1000)] {
            assert_eq!(step(highest), expected, "{highest}");
            assert!(step(highest) * 4 >= highest);
        }
    }

    #[test]
    fn bars_stand_on_the_ground_and_failures_on_top() {
        let days =
            [(30, 10), (0, 0), (5, 0)].map(|(signed_in, failed)| Day { label: "21 Nov".to_owned(), signed_in, failed });
        let chart = SignInChart::new(&days);
        assert_eq!(chart.scale, ["40", "30", "20", "10", "0"]);
        let bar = &chart.bars[0];
        assert_eq!((bar.signed_in_y.as_str(), bar.signed_in_height.as_str()), ("50", "150"));
        assert_eq!((bar.failed_y.as_str(), bar.failed_height.as_str()), ("0", "50"));
        assert_eq!(chart.bars[1].signed_in_height, "0");
        assert_eq!(chart.failed_share(), "22.2%");
    }

    #[test]
    fn no_day_at_all_is_an_empty_picture() {
        let chart = SignInChart::new(&[]);
        assert!(chart.is_empty());
        assert_eq!(chart.failed_share(), "0%");
        assert_eq!(tenths(15), "1.5");
    }
}
