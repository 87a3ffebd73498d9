//! The requirements of a report counted by area: the one table that every rendering shows.

use super::model::{Report, Verdict};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaRow {
    /// The area, such as `MSG`; `all` in the last line.
    pub area: String,
    /// How many requirements have each verdict, in the order of [`columns`].
    pub counts: Vec<usize>,
    /// How many times they were put to the test in all.
    pub tested: u64,
}

/// The verdicts that the table has columns for: those of known deviations only where there are any.
pub fn columns(report: &Report) -> Vec<Verdict> {
    use Verdict::{Fail, Inconclusive, Observed, Pass, Skipped, Warn, Xfail, Xpass};
    let any = |verdict| report.requirements.iter().any(|requirement| requirement.verdict == verdict);
    let mut columns = vec![Pass, Fail, Warn, Inconclusive, Skipped, Observed];
    columns.extend([Xfail, Xpass].into_iter().filter(|verdict| any(*verdict)));
    columns
}

/// A line for each area in the order of the report, and one for all.
pub fn rows(report: &Report) -> Vec<AreaRow> {
    let columns = columns(report);
    let mut rows: Vec<AreaRow> = Vec::new();
    let empty = |area: &str| AreaRow { area: area.to_owned(), counts: vec![0; columns.len()], tested: 0 };
    let mut all = empty("all");
    for requirement in &report.requirements {
        let area = area(&requirement.id);
        if !rows.iter().any(|row| row.area == area) {
            rows.push(empty(area));
        }
        let own = rows.iter_mut().find(|row| row.area == area).into_iter();
        for row in own.chain([&mut all]) {
            row.tested += requirement.tested;
            for (count, _) in row.counts.iter_mut().zip(&columns).filter(|(_, column)| **column == requirement.verdict)
            {
                *count += 1;
            }
        }
    }
    rows.push(all);
    rows
}

/// The area of a requirement: what stands before the hyphen.
pub fn area(id: &str) -> &str {
    id.split('-').next().unwrap_or_default()
}
