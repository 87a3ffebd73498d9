//! `latency.hlog`: the histograms of a load as an HdrHistogram interval log, which the public tools read.
//!
//! One interval for each metric, tagged with its name, over the whole measured part, and one for the same from the actual
//! send where that differs: whatever a tool computes of it is exact
//! within the three digits of the histograms. Payloads are compressed (V2 deflate); values are microseconds.

use std::io;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, IntervalLogWriterError, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializeError, V2DeflateSerializer};

use super::metric::Metric;
use super::metrics::Metrics;

/// The log of what was measured. The measured part began at a time on the wall clock and was so long.
///
/// # Errors
/// None that is known of: what is written goes into memory.
pub fn write(metrics: &Metrics, began_unix_ms: u64, measured: Duration) -> io::Result<Vec<u8>> {
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let began = SystemTime::UNIX_EPOCH + Duration::from_millis(began_unix_ms);
    let mut builder = IntervalLogWriterBuilder::new();
    // Readers look for this line; what is in brackets is theirs, the rest is for people.
    builder.add_comment("[Histogram log format version 1.3]");
    builder.add_comment("values in microseconds, interval maxima in milliseconds");
    builder.with_start_time(began).with_base_time(began).with_max_value_divisor(1000.0);
    let mut writer = builder.begin_log_with(&mut log, &mut serializer)?;
    for metric in Metric::ALL {
        let (scheduled, sent) = (metrics.series(metric), metrics.series_from_send(metric));
        let sent_histogram = sent.histogram().filter(|sent| scheduled.histogram().as_ref() != Some(sent));
        for (name, histogram) in [(metric.as_str(), scheduled.histogram()), (metric.as_str_from_send(), sent_histogram)]
        {
            if let Some(histogram) = histogram {
                writer.write_histogram(&histogram, Duration::ZERO, measured, Tag::new(name)).map_err(other)?;
            }
        }
    }
    Ok(log)
}

/// Reads a log: the histograms with their tags, in the order of the log. Histograms without a tag have an empty one.
///
/// # Errors
/// What is no interval log, or holds something that is no histogram.
pub fn read(log: &[u8]) -> io::Result<Vec<(String, Histogram<u64>)>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut found = Vec::new();
    for entry in IntervalLogIterator::new(log) {
        let entry = entry.map_err(|_| bad("a line is none of an interval log"))?;
        if let LogEntry::Interval(interval) = entry {
            let tag = interval.tag().map_or_else(String::new, |tag| tag.as_str().to_owned());
            let payload = STANDARD.decode(interval.encoded_histogram()).map_err(|_| bad("a payload is no base64"))?;
            let histogram = Deserializer::new().deserialize(&mut payload.as_slice());
            found.push((tag, histogram.map_err(|_| bad("a payload is no histogram"))?));
        }
    }
    Ok(found)
}

fn other(error: IntervalLogWriterError<V2DeflateSerializeError>) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        error @ IntervalLogWriterError::SerializeError(_) => io::Error::other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Stamps;
    use crate::time::Instant;

    #[test]
    fn a_log_holds_every_metric_and_reads_back_as_it_was() {
        let mut metrics = Metrics::new(Instant::ZERO);
        for ms in 1..=1000 {
            let stamps = Stamps { scheduled: Instant::from_millis(ms), sent: Instant::from_millis(ms + 1) };
            metrics.record(Metric::UpdateMute, stamps, Instant::from_millis(3 * ms + 1));
        }
        metrics.record(Metric::Token, Stamps::at(Instant::ZERO), Instant::from_millis(3_599_000));
        let log = write(&metrics, 1_700_000_000_000, Duration::from_secs(60)).unwrap();
        let text = std::str::from_utf8(&log).unwrap();
        assert!(text.starts_with("#[Histogram log format version 1.3]\n"), "{text}");
        assert!(text.contains("#[StartTime: 1700000000.000 (seconds since epoch)]\n"), "{text}");
        assert!(text.contains("\nTag=update,0.000,60.000,2001."), "{text}");
        let read = read(&log).unwrap();
        let tags: Vec<&str> = read.iter().map(|(tag, _)| tag.as_str()).collect();
        assert_eq!(tags, ["token", "update", "update_from_send", "update_mute", "update_mute_from_send"]);
        assert_eq!(&read[1].1, &*metrics.series(Metric::UpdateMute).histogram().unwrap());
        assert_eq!(&read[0].1, &*metrics.series(Metric::Token).histogram().unwrap());
    }

    #[test]
    fn an_empty_log_and_a_broken_one_are_told_apart() {
        let log = write(&Metrics::new(Instant::ZERO), 0, Duration::ZERO).unwrap();
        assert!(read(&log).unwrap().is_empty());
        assert!(read(b"Tag=x,0.0,1.0,1.0,HISTF###\n").is_err() && read(b"Tag=x,0.0,1.0,1.0,AAAA\n").is_err());
    }
}
