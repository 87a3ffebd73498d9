"""Restarts the emulated Call Bridge at HOST:PORT over the emulator's test-only API."""

import base64
import os
import sys
import urllib.request

address, variable = sys.argv[1:]
login = base64.b64encode(("admin:" + os.environ[variable]).encode()).decode()
request = urllib.request.Request(
    "http://%s/emulator/v1/restart" % address, data=b"", headers={"Authorization": "Basic " + login}, method="POST"
)
print(urllib.request.urlopen(request, timeout=20).status)
