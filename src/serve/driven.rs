//! A server with a load in it, in reach of both the shell that serves it and the one who waits for its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::cli::output::note;
use crate::client_load::{Ending, LoadedServer};
use crate::emulator::{ConnectionKey, ExchangeKey, LinkKey, Output};
use crate::load::Loaded;
use crate::net::Served;
use crate::protocol::http::Request;
use crate::time::Instant;

/// A server with a load in it.
#[derive(Clone)]
pub(super) struct Driven {
    server: Arc<Mutex<LoadedServer>>,
    over: watch::Sender<bool>,
}

impl Driven {
    pub(super) fn new(server: LoadedServer) -> Self {
        Self { server: Arc::new(Mutex::new(server)), over: watch::Sender::new(false) }
    }

    /// Whom the load waits for, in words.
    pub(super) fn waits_for(&self) -> String {
        self.lock().waits_for()
    }

    /// Becomes true when the load has ended.
    pub(super) fn over(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    /// Ends the load if it has not ended. How it did, and what was measured.
    pub(super) fn end(&self, now: Instant) -> (Ending, Option<Loaded>) {
        let mut server = self.lock();
        if server.ending().is_none() {
            server.interrupt(now);
        }
        (server.ending().cloned().unwrap_or(Ending::Interrupted), server.take_loaded())
    }

    fn lock(&self) -> MutexGuard<'_, LoadedServer> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served for Driven {
    fn handle_request(&mut self, now: Instant, exchange: ExchangeKey, request: &Request) {
        self.lock().handle_request(now, exchange, request);
    }

    fn handle_bytes(&mut self, now: Instant, connection: ConnectionKey, bytes: &[u8]) {
        self.lock().handle_bytes(now, connection, bytes);
    }

    fn handle_ended(&mut self, now: Instant, connection: ConnectionKey) {
        self.lock().handle_ended(now, connection);
    }

    fn handle_link(&mut self, now: Instant, link: LinkKey, opened: Result<(), &str>) {
        self.lock().handle_link(now, link, opened);
    }

    fn handle_link_bytes(&mut self, now: Instant, link: LinkKey, bytes: &[u8]) {
        self.lock().handle_link_bytes(now, link, bytes);
    }

    fn handle_link_ended(&mut self, now: Instant, link: LinkKey) {
        self.lock().handle_link_ended(now, link);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let (told, has_ended) = {
            let mut server = self.lock();
            server.handle_timeout(now);
            (server.take_told(), server.ending().is_some())
        };
        told.iter().for_each(|text| note(text));
        if has_ended {
            self.over.send_if_modified(|over| !std::mem::replace(over, true));
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.lock().poll_output()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.lock().poll_timeout()
    }
}
