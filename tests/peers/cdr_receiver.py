"""A CDR receiver in the style of the guide's appendix: reads Content-Length bytes, answers 200 and nothing else.

The answer has neither a body nor a length, and the connection stays open. Each record's type is printed on a line.
With `threads` as argument each connection has a thread; without, one connection is served at a time.
"""

import http.server
import sys
import xml.etree.ElementTree


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        for record in xml.etree.ElementTree.fromstring(body):
            print("record", record.get("type"), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


servers = {True: http.server.ThreadingHTTPServer, False: http.server.HTTPServer}
server = servers["threads" in sys.argv](("127.0.0.1", 0), Receiver)
print("receiving at http://127.0.0.1:%d/cdr" % server.server_port, flush=True)
server.serve_forever()
