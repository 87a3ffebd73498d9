"""An events client as a user would write it: token, subscription to calls, an ack for every message.

Usage: CMS_PASSWORD=... ws_client.py HOST:PORT USER
Starts a call over the API once the subscription is active, and ends when the call has been reported.
"""

import base64
import http.client
import json
import os
import sys
import urllib.parse

from websockets.sync.client import connect

address, user = sys.argv[1:]
login = base64.b64encode(f"{user}:{os.environ['CMS_PASSWORD']}".encode()).decode()


def post(path, **fields):
    """One API request; its answer's fields."""
    api = http.client.HTTPConnection(address, timeout=20)
    form = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}
    api.request("POST", f"/api/v1/{path}", urllib.parse.urlencode(fields), form)
    answer = api.getresponse()
    assert answer.status == 200, (path, answer.status, answer.read())
    return answer.headers


token = urllib.parse.quote(post("authTokens")["X-Cisco-CMS-Auth-Token"], safe="")
with connect(f"ws://{address}/events/v1?authToken={token}") as events:
    calls = {"index": 1, "type": "calls", "elements": ["name", "participants"]}
    request = {"messageId": 1, "type": "subscribeRequest", "subscriptions": [calls]}
    events.send(json.dumps({"type": "message", "message": request}))
    while True:
        text = events.recv(timeout=20)
        print(text, flush=True)
        received = json.loads(text)
        if received["type"] != "message":
            continue
        message = received["message"]
        ack = {"messageId": message["messageId"], "status": "success"}
        events.send(json.dumps({"type": "messageAck", "messageAck": ack}))
        if any(one["state"] == "active" for one in message.get("subscriptions", [])):
            space = post("coSpaces", name="a call from Python")["Location"].rsplit("/", 1)[1]
            post("calls", coSpace=space, name="a call from Python")
        if message["type"] == "callListUpdate":
            break
