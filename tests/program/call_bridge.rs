//! A Call Bridge by hand: posts sets of records over a socket, and knows which of them were answered 200.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::child::{Folder, Running};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// One Call Bridge with one session and one connection.
pub(crate) struct CallBridge {
    pub(crate) tcp: TcpStream,
    session: String,
    next: u64,
}

impl CallBridge {
    /// Connects; `number` makes its session its own.
    pub(crate) fn connect(address: SocketAddr, number: u64) -> io::Result<Self> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(LIMIT))?;
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, session: format!("00000001-0000-4000-8000-{number:012x}"), next: 0 })
    }

    /// The next calls, each with its start and its end, in one set; and the keys of their records.
    pub(crate) fn next_set(&mut self, calls: u64) -> (String, Vec<String>) {
        let mut body = format!("<?xml version=\"1.0\"?>\n<records session=\"{}\">\n", self.session);
        let mut keys = Vec::new();
        for _ in 0..calls {
            let call = format!("00000002-{}-4000-8000-{:012x}", &self.session[32..], self.next);
            let start = format!("<callType>adHoc</callType><callCorrelator>{call}</callCorrelator>");
            let end = "<callLegsCompleted>0</callLegsCompleted><callLegsMaxActive>0</callLegsMaxActive>\
                       <durationSeconds>0</durationSeconds>";
            for (kind, inside) in [("callStart", start.as_str()), ("callEnd", end)] {
                let (index, number) = (self.next, self.next + 1);
                // Writing to a string cannot fail.
                let _ = writeln!(
                    body,
                    "<record type=\"{kind}\" time=\"2026-01-01T00:00:00Z\" recordIndex=\"{number}\" correlatorIndex=\"{index}\">\
                     <call id=\"{call}\">{inside}</call></record>"
                );
                keys.push(format!("{} {index}", self.session));
                self.next += 1;
            }
        }
        body.push_str("</records>\n");
        (body, keys)
    }

    /// Posts a body; the status of the answer.
    pub(crate) fn post(&mut self, body: &str) -> io::Result<u16> {
        let head = format!(
            "POST /cdr HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.tcp.write_all((head + body).as_bytes())?;
        self.status()
    }

    /// Posts the next calls; the keys of their records, if these were answered 200.
    pub(crate) fn post_next(&mut self, calls: u64) -> io::Result<Vec<String>> {
        let (body, keys) = self.next_set(calls);
        match self.post(&body)? {
            200 => Ok(keys),
            other => Err(io::Error::other(format!("answered {other}"))),
        }
    }

    /// Reads one answer, which has no body.
    pub(crate) fn status(&mut self) -> io::Result<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.tcp.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        Ok(head[9..12].parse().unwrap())
    }
}

/// `receive` in another process.
pub(crate) struct Receiver {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    pub(crate) uri: String,
}

impl Receiver {
    /// Starts it on a free port; `more` are further arguments.
    pub(crate) fn start(folder: &Folder, more: &[&str]) -> Self {
        Self::of(folder.start(&[&["receive", "--listen", "127.0.0.1:0"], more].concat()))
    }

    /// Takes one that was started.
    pub(crate) fn of(mut running: Running) -> Self {
        let line = running.stdout_line("call detail records are received at ");
        let uri = line.split(" at ").nth(1).unwrap().trim().to_owned();
        let address = uri.split("://").nth(1).unwrap().trim_end_matches('/').parse().unwrap();
        Self { running, address, uri }
    }

    pub(crate) fn bridge(&self, number: u64) -> CallBridge {
        CallBridge::connect(self.address, number).unwrap()
    }
}
