//! A TCP connection that never blocks, with TLS or without, of either side.
//!
//! For loops that look after many connections in one thread. Everything that would block says so
//! ([`io::ErrorKind::WouldBlock`]), TLS handshakes included, which go on with whatever is read or written.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use rustls::{Connection, ServerConfig, ServerConnection};
use tokio_rustls::TlsStream;

use super::stream::Stream;

/// A TCP connection, with TLS or without.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    tls: Option<Box<Connection>>,
}

impl Wire {
    /// A connection that was accepted.
    ///
    /// # Errors
    /// TLS settings that cannot be used.
    pub(crate) fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        // Without it small answers wait for acknowledgements; a system that refuses works all the same.
        let _ = tcp.set_nodelay(true);
        // A peer that vanished without a word is found out in the end.
        let _ = socket2::SockRef::from(&tcp).set_keepalive(true);
        let tls = tls.map(|config| ServerConnection::new(Arc::clone(config)).map(Connection::from).map(Box::new));
        Ok(Self { tcp, tls: tls.transpose().map_err(io::Error::other)? })
    }

    /// A connection that was opened elsewhere, handshake included. What TLS has read of it already comes with the first
    /// read, which must not wait for anything to arrive.
    ///
    /// # Errors
    /// That it cannot be taken over from where it was.
    pub(crate) fn taken_over(stream: Stream) -> io::Result<Self> {
        let (tcp, tls) = match stream {
            Stream::Plain(tcp) => (tcp, None),
            Stream::Tls(stream) => match *stream {
                TlsStream::Client(stream) => {
                    let (tcp, tls) = stream.into_inner();
                    (tcp, Some(Box::new(Connection::from(tls))))
                }
                TlsStream::Server(stream) => {
                    let (tcp, tls) = stream.into_inner();
                    (tcp, Some(Box::new(Connection::from(tls))))
                }
            },
        };
        Ok(Self { tcp: TcpStream::from_std(tcp.into_std()?), tls })
    }

    /// For registering it.
    pub(crate) const fn tcp(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Whether the TLS handshake, if there is one, is over.
    pub(crate) fn is_open(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// Whether a read that did not fill its buffer has left nothing behind.
    pub(crate) const fn is_drained_by_short_reads(&self) -> bool {
        self.tls.is_none()
    }

    /// Reads what has arrived; 0 at the end of the connection.
    ///
    /// # Errors
    /// That nothing has arrived, or that the connection is broken.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Without a closing alert of its own: the TCP connection was still closed in order.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                done => return done,
            }
            if tls.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            let processed = tls.process_new_packets();
            // An alert tells the peer what is wrong, also where that ends the connection.
            let written = write_records(tls, &mut self.tcp);
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            // Where nothing can be written any more, what was read before still counts; the next write tells.
            drop(written);
        }
    }

    /// Writes as much as the system takes; tells how much. What TLS has left to write is written as well.
    ///
    /// # Errors
    /// That the connection is broken; that nothing can be taken now is no error but 0.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.tls {
            None => self.tcp.write(bytes),
            Some(tls) => {
                let mut taken = 0;
                loop {
                    write_records(tls, &mut self.tcp)?;
                    if taken == bytes.len() || tls.wants_write() {
                        break Ok(taken);
                    }
                    // TLS takes only so much at once.
                    taken += tls.writer().write(&bytes[taken..])?;
                }
            }
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            done => done,
        }
    }

    /// Whether something is left to write that was taken already.
    pub(crate) fn has_more_to_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // If it cannot be sent, the end of the TCP connection says the same.
            let _ = write_records(tls, &mut self.tcp);
        }
        // It fails only where the peer was faster.
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset, where the system can do that.
    pub(crate) fn reset(self) {
        // Where it fails the connection is gone already, or ends in order, which is the best that is left.
        let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }
}

/// Writes what TLS has to write, as far as the system takes it.
fn write_records(tls: &mut Connection, tcp: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(tcp) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
