"""Reads OpenMetrics text from standard input with a parser that others wrote, and prints what it holds.

One line for each sample: type of its family, name, value, labels as JSON.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_fd_to_metric_families

for family in text_fd_to_metric_families(sys.stdin):
    for sample in family.samples:
        print(family.type, sample.name, float(sample.value), json.dumps(sample.labels, sort_keys=True))
