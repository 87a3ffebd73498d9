"""Reads an HdrHistogram interval log with a library that others wrote, and prints what it holds.

Usage: histogram_log.py FILE
One line for each histogram: tag, start of its interval, count, minimum, median, 99th percentile, maximum.
"""

import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

log = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3_600_000_000, 3))
while histogram := log.get_next_interval_histogram():
    values = [histogram.get_value_at_percentile(percent) for percent in (50, 99)]
    start = int(histogram.get_start_time_stamp())
    print(
        histogram.get_tag(),
        start,
        histogram.get_total_count(),
        histogram.get_min_value(),
        *values,
        histogram.get_max_value(),
    )
