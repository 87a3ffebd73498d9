//! What an engine works with and keeps nothing in: buffers, tapes, shapes of texts.
//!
//! Engines that one thread drives in turns share one scratch ([`Engine::exchange_scratch`](super::Engine::exchange_scratch)):
//! what a hundred servers send is much the same, so it is learnt once, stays in the cache and takes memory once.

use super::events_client::Ahead;

/// How many buffers are kept to be used again.
const BUFFERS: usize = 64;

/// The largest buffer that is kept, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Buffers, tapes and shapes. Once an engine has handed out all its commands nothing lies in them that matters.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) ahead: Ahead,
    buffers: Vec<Vec<u8>>,
}

impl Scratch {
    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Takes back a buffer that is not needed any more.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < BUFFERS && buffer.capacity() <= BUFFER_BYTES {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_not_without_bound() {
        let mut scratch = Scratch::default();
        scratch.recycle(vec![1, 2, 3]);
        scratch.recycle(vec![0; BUFFER_BYTES + 1]);
        let again = scratch.buffer();
        assert!(again.is_empty() && again.capacity() >= 3);
        assert_eq!(scratch.buffer().capacity(), 0);
        (0..2 * BUFFERS).for_each(|_| scratch.recycle(vec![0]));
        assert_eq!(scratch.buffers.len(), BUFFERS);
    }
}
