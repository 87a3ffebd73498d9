//! The task that moves the bytes of one connection, on either side: of events clients, and of Call Bridges to receivers.
//!
//! It reads into one buffer that is used again and again and grows when reads fill it, and writes what an [`Outbox`] is
//! given, both at once, so that neither direction can block the other. It knows nothing of frames. A connection ends in
//! order (all sent, FIN, the peer's rest read and dropped) or abruptly (reset); either way within [`ENDING_LIMIT`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::stream::Stream;
use crate::trace::EndCause;

/// How long a connection that is to end may take for what is still to be sent, and for the peer's own end.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// Space for one read to begin with, in bytes.
const READ_BYTES: usize = 8 << 10;

/// Space for one read at most, in bytes.
const READ_BYTES_MAX: usize = 256 << 10;

/// What arrived.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Bytes, at least one.
    Bytes(Bytes),
    /// The peer ended the connection; nothing follows.
    Ended(EndCause),
}

enum Order {
    Bytes(Vec<u8>),
    Hold(bool),
    Close,
    Drop,
}

/// The end of a connection that is written to. Dropping it ends the connection in order.
#[derive(Debug)]
pub(crate) struct Outbox {
    orders: mpsc::UnboundedSender<Order>,
    queued: Arc<AtomicUsize>,
}

/// The end of an [`Outbox`] that the pump reads from.
#[derive(Debug)]
pub(crate) struct Orders {
    orders: mpsc::UnboundedReceiver<Order>,
    queued: Arc<AtomicUsize>,
}

/// A pair of ends.
pub(crate) fn outbox() -> (Outbox, Orders) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let queued = Arc::new(AtomicUsize::new(0));
    (Outbox { orders: sender, queued: Arc::clone(&queued) }, Orders { orders: receiver, queued })
}

impl Outbox {
    /// Sends bytes, in order. Tells how many are waiting to be taken by the operating system, these included.
    pub(crate) fn send(&self, bytes: Vec<u8>) -> usize {
        let length = bytes.len();
        let waiting = self.queued.fetch_add(length, Ordering::Relaxed) + length;
        // A connection that is gone takes nothing any more; its end is told elsewhere.
        let _ = self.orders.send(Order::Bytes(bytes));
        waiting
    }

    /// Lets the connection be read no more, or again; its end is not noticed meanwhile.
    pub(crate) fn hold(&self, hold: bool) {
        let _ = self.orders.send(Order::Hold(hold));
    }

    /// Ends the connection in order.
    pub(crate) fn close(self) {
        let _ = self.orders.send(Order::Close);
    }

    /// Resets the connection, after what was sent before.
    pub(crate) fn reset(self) {
        let _ = self.orders.send(Order::Drop);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    Drop,
    Gone,
}

/// Moves the bytes of `stream` until it has ended. `early` are bytes that were read already. Each thing that arrives
/// goes to `events`, as `wrap` puts it; when nobody takes them any more, the connection is closed.
pub(crate) async fn pump<E>(
    mut stream: Stream,
    early: BytesMut,
    orders: Orders,
    events: mpsc::Sender<E>,
    wrap: impl Fn(Incoming) -> E,
) {
    if !early.is_empty() && events.send(wrap(Incoming::Bytes(early.freeze()))).await.is_err() {
        return;
    }
    let (reader, writer) = tokio::io::split(&mut stream);
    let mut pump = Pump {
        reader,
        writer,
        buffer: BytesMut::new(),
        read_bytes: READ_BYTES,
        pending: BytesMut::new(),
        unflushed: false,
        reading: true,
        held: false,
        broken: false,
        orders,
    };
    let ending = pump.run(&events, wrap).await;
    drop(events);
    // What takes longer than the limit is given up: the drop of the stream ends it.
    let _ = tokio::time::timeout(ENDING_LIMIT, pump.finish(ending)).await;
    drop(pump);
    if ending == Ending::Drop {
        stream.reset();
    }
}

struct Pump<R, W> {
    reader: R,
    writer: W,
    buffer: BytesMut,
    read_bytes: usize,
    pending: BytesMut,
    unflushed: bool,
    reading: bool,
    held: bool,
    broken: bool,
    orders: Orders,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<R, W> {
    async fn run<E>(&mut self, events: &mpsc::Sender<E>, wrap: impl Fn(Incoming) -> E) -> Ending {
        loop {
            self.buffer.reserve(self.read_bytes);
            let writing = !self.pending.is_empty() || self.unflushed;
            tokio::select! {
                order = self.orders.orders.recv() => {
                    if let Some(ending) = self.take_orders(order) {
                        return ending;
                    }
                }
                read = self.reader.read_buf(&mut self.buffer), if self.reading && !self.held => {
                    let arrived = self.arrived(read);
                    let ended = matches!(arrived, Incoming::Ended(EndCause::PeerReset));
                    if events.send(wrap(arrived)).await.is_err() {
                        return Ending::Close;
                    }
                    if ended {
                        return Ending::Gone;
                    }
                }
                written = write_some(&mut self.writer, &self.pending), if writing => self.written(written),
            }
        }
    }

    /// Takes an order and those that wait behind it, so that they go out in one write. Tells how to end, if one says so.
    fn take_orders(&mut self, first: Option<Order>) -> Option<Ending> {
        let mut next = first;
        loop {
            match next {
                Some(Order::Bytes(bytes)) => self.take(&bytes),
                Some(Order::Hold(hold)) => self.held = hold,
                Some(Order::Close) | None => return Some(Ending::Close),
                Some(Order::Drop) => return Some(Ending::Drop),
            }
            next = Some(self.orders.orders.try_recv().ok()?);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.broken {
            self.orders.queued.fetch_sub(bytes.len(), Ordering::Relaxed);
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }

    fn arrived(&mut self, read: io::Result<usize>) -> Incoming {
        match read {
            Ok(0) => {
                self.reading = false;
                Incoming::Ended(EndCause::PeerClosed)
            }
            // TLS that ends without its own closing alert: the TCP connection was still closed in order.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.reading = false;
                Incoming::Ended(EndCause::PeerClosed)
            }
            Err(_) => Incoming::Ended(EndCause::PeerReset),
            Ok(length) => {
                if length >= self.read_bytes {
                    self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
                }
                Incoming::Bytes(self.buffer.split().freeze())
            }
        }
    }

    fn written(&mut self, written: io::Result<usize>) {
        match written {
            Ok(0) => self.unflushed = false,
            Ok(length) => {
                self.pending.advance(length);
                self.orders.queued.fetch_sub(length, Ordering::Relaxed);
                self.unflushed = true;
            }
            // Nothing can be sent any more, but what the peer sent before can still be read, up to its end.
            Err(_) => {
                self.orders.queued.fetch_sub(self.pending.len(), Ordering::Relaxed);
                self.pending.clear();
                self.unflushed = false;
                self.broken = true;
            }
        }
    }

    async fn finish(&mut self, ending: Ending) {
        // What was ordered before the end was seen still belongs to the connection.
        while let Ok(order @ (Order::Bytes(_) | Order::Hold(_))) = self.orders.orders.try_recv() {
            if let Order::Bytes(bytes) = order {
                self.take(&bytes);
            }
        }
        if ending == Ending::Gone || self.broken {
            return;
        }
        let Self { reader, writer, buffer, pending, reading, .. } = self;
        let write = async {
            let sent = writer.write_all(pending).await;
            let flushed = writer.flush().await;
            if ending == Ending::Close && sent.is_ok() && flushed.is_ok() {
                // A failure says that the peer was faster.
                let _ = writer.shutdown().await;
            }
        };
        if ending == Ending::Drop || !*reading {
            return write.await;
        }
        // Unread bytes would turn the end into a reset.
        let discard = async {
            loop {
                buffer.clear();
                buffer.reserve(READ_BYTES);
                if !matches!(reader.read_buf(buffer).await, Ok(1..)) {
                    break;
                }
            }
        };
        tokio::join!(write, discard);
    }
}

/// Writes a part of `pending`, or flushes where there is nothing left (0).
async fn write_some(writer: &mut (impl AsyncWrite + Unpin), pending: &[u8]) -> io::Result<usize> {
    if pending.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(pending).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        length => Ok(length),
    }
}
