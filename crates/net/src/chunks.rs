//! A long answer in pieces: written once, sent without being copied together, length known.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How large a piece becomes before the next is begun: a gzip frame of about 0.5 ms.
pub const CHUNK: usize = 64 << 10;

/// Collects an answer in pieces of about [`CHUNK`] bytes.
#[derive(Debug, Default)]
pub struct Chunks {
    full: VecDeque<Bytes>,
    tail: Vec<u8>,
}

impl Chunks {
    /// Nothing written yet.
    pub fn new() -> Self {
        Chunks::default()
    }

    /// Where to append. Call it again from time to time (after each series): it begins a new piece when one is full.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.tail.len() >= CHUNK {
            let full = std::mem::replace(&mut self.tail, Vec::with_capacity(CHUNK + CHUNK / 8));
            self.full.push_back(Bytes::from(full));
        }
        &mut self.tail
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.full.iter().map(Bytes::len).sum::<usize>() + self.tail.len()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body of an answer.
    pub fn into_body(mut self) -> Body {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.full.push_back(Bytes::from(tail));
        }
        Body::new(Pieces(self.full))
    }
}

struct Pieces(VecDeque<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_come_back_whole_and_their_length_is_known() {
        let mut chunks = Chunks::new();
        for n in 0..50_000u32 {
            chunks.tail().extend_from_slice(&n.to_be_bytes());
        }
        assert_eq!(chunks.len(), 200_000);
        let body = chunks.into_body();
        assert_eq!(body.size_hint().exact(), Some(200_000));
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("in memory");
        assert!(bytes.chunks(4).enumerate().all(|(n, b)| b == (n as u32).to_be_bytes()));
    }
}
