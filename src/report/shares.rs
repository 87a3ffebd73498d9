//! What each server had of a load that was spread over several, as every rendering shows it: one line each.

use std::cmp::Reverse;

use super::model::LoadServer;
use super::quantity::brief;
use crate::load::Share;

/// The heads of the columns: those of updates and of records only where there are any.
pub fn columns(servers: &[LoadServer]) -> Vec<&'static str> {
    let mut columns = vec!["server", "connections", "lost", "begun", "late"];
    if has_updates(servers) {
        columns.extend(["updates", "failed", "p50", "p99"]);
    }
    if has_records(servers) {
        columns.extend(["records", "cdr p50", "cdr p99"]);
    }
    columns
}

fn has_records(servers: &[LoadServer]) -> bool {
    servers.iter().any(|one| one.records > 0)
}

fn has_updates(servers: &[LoadServer]) -> bool {
    !has_records(servers) || servers.iter().any(|one| one.count + one.errors > 0)
}

/// How many servers a terminal shows.
const SHOWN: usize = 10;

/// The cells of one line, below the columns of these servers.
pub fn cells(one: &LoadServer, servers: &[LoadServer]) -> Vec<String> {
    let time = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), brief);
    let mut cells = vec![one.server.clone(), one.connections.to_string()];
    cells.extend([one.lost_connections, one.begun, one.late].map(|count| count.to_string()));
    if has_updates(servers) {
        cells.extend([one.count.to_string(), one.errors.to_string()]);
        cells.extend([one.p50_us, one.p99_us].map(|us| time((one.count > 0).then_some(us))));
    }
    if has_records(servers) {
        cells.extend([one.records.to_string(), time(one.records_p50_us), time(one.records_p99_us)]);
    }
    cells
}

/// Those that a terminal shows, in order: of many, the ones with losses and failures, then the slowest.
pub fn telling(servers: &[LoadServer]) -> Vec<&LoadServer> {
    let mut places: Vec<usize> = (0..servers.len()).collect();
    let told = |place: &usize| {
        let one = &servers[*place];
        Reverse((one.lost_connections, one.errors, one.p99_us))
    };
    places.sort_by_key(told);
    places.truncate(SHOWN);
    places.sort_unstable();
    places.into_iter().map(|place| &servers[place]).collect()
}

impl From<&Share> for LoadServer {
    fn from(share: &Share) -> Self {
        let updates = share.updates.as_ref();
        Self {
            server: share.server.clone(),
            connections: share.connections,
            begun: share.begun,
            late: share.late,
            unserved: share.unserved,
            unfinished: share.unfinished,
            lost_connections: share.lost_connections,
            gone: share.gone,
            messages: share.messages,
            records: share.records,
            records_p50_us: share.deliveries.as_ref().map(|row| row.p50_us),
            records_p99_us: share.deliveries.as_ref().map(|row| row.p99_us),
            count: updates.map_or(0, |row| row.count),
            errors: updates.map_or(0, |row| row.errors),
            p50_us: updates.map_or(0, |row| row.p50_us),
            p99_us: updates.map_or(0, |row| row.p99_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Row;

    fn server(number: u64, lost: u64, p99_us: u64) -> LoadServer {
        let updates = Some(Row { count: 7, p99_us, ..Row::default() });
        (&Share {
            server: format!("https://cms{number}"),
            connections: 5,
            begun: 9,
            late: 0,
            unserved: 0,
            unfinished: 0,
            messages: 7,
            records: 0,
            lost_connections: lost,
            gone: 0,
            updates,
            deliveries: None,
        })
            .into()
    }

    #[test]
    fn of_many_servers_a_terminal_shows_those_with_something_to_tell() {
        let mut servers: Vec<_> = (0..30).map(|number| server(number, 0, number)).collect();
        servers[3].lost_connections = 1;
        let shown: Vec<&str> = telling(&servers).iter().map(|one| one.server.as_str()).collect();
        assert_eq!(shown.len(), SHOWN);
        assert_eq!((shown[0], shown[1], shown[9]), ("https://cms3", "https://cms21", "https://cms29"));
        assert_eq!(telling(&servers[..4]).len(), 4);
    }

    #[test]
    fn servers_that_only_made_records_are_shown_by_their_records() {
        let row = Row { name: "cdr_stimulus", count: 40, p50_us: 2_000, p99_us: 9_000, ..Row::default() };
        let none = LoadServer { count: 0, records: 40, ..server(1, 0, 0) };
        let records = LoadServer { records_p50_us: Some(row.p50_us), records_p99_us: Some(row.p99_us), ..none };
        let all = [records];
        assert_eq!(columns(&all)[5..], ["records", "cdr p50", "cdr p99"]);
        assert_eq!(cells(&all[0], &all)[3..], ["9", "0", "40", "2.00 ms", "9.00 ms"]);
        assert_eq!(columns(&[server(1, 0, 0)]).len(), 9);
    }

    #[test]
    fn every_rendering_names_the_servers_of_a_load() {
        let mut report = super::super::fixtures::report();
        let servers = vec![server(1, 0, 1_234), server(2, 1, 5_600)];
        report.loads.push(super::super::model::LoadResult { servers, ..super::super::fixtures::load() });
        report.target.others = vec!["http://127.0.0.1:2".to_owned()];
        report.findings[0].server = Some("https://cms2".to_owned());
        let text = super::super::text::render(&report, &super::super::text::Options::default());
        let text = anstream::adapter::strip_str(&text).to_string();
        for text in [text, super::super::html::render(&report), super::super::markdown::render(&report)] {
            let words: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
            let words = words.split_whitespace().filter(|word| !["td", "tr"].contains(word));
            let words = words.collect::<Vec<_>>().join(" ");
            assert!(
                words.contains("https cms1 5 0 9 0 7 0 0 us 1 23 ms https cms2 5 1 9 0 7 0 0 us 5 60 ms"),
                "{text}"
            );
            assert!(words.contains("messages acked on https cms2"), "{text}");
        }
        assert!(super::super::junit::render(&report).contains("messages/acked on https://cms2, step"));
    }
}
