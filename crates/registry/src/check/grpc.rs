//! The gRPC health question, spoken by hand: one unary call over plain HTTP/2, nothing else.
//!
//! ```text
//! ► preface SETTINGS(empty)                 ◄ SETTINGS
//! ► SETTINGS(ack)                           ◄ SETTINGS(ack)
//! ► HEADERS(stream 1) POST /grpc.health.v1.Health/Check
//! ► DATA(stream 1, end) HealthCheckRequest  ◄ HEADERS, DATA HealthCheckResponse, HEADERS(trailers)
//! ```
//!
//! Only the DATA is read: a response with `status = SERVING` is passing, everything else critical. Header blocks are sent
//! as literals without compression and never decoded, so no HPACK table is kept.
//!
//! Limits: [`FRAME_MAX`] bytes a frame, [`FRAMES_MAX`] frames until the answer. Source: RFC 9113, RFC 7541 6.2.2,
//! the gRPC health checking protocol.

use super::outcome::Outcome;
use super::probe::critical;
use crate::catalog::Status;
use runtime::clock::{Clock, Instant};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest frame a peer may send before it is allowed more.
const FRAME_MAX: usize = 16_384;
/// Frames read before giving up.
const FRAMES_MAX: usize = 64;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

pub(super) async fn ask(clock: &Clock, target: &str, service: &str, deadline: Instant) -> Outcome {
    let asked = async {
        let mut stream = net::dial::tcp(target).await.map_err(|cause| {
            format!("rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing {cause}\"")
        })?;
        let answer = exchange(&mut stream, target, service).await;
        answer.map_err(|error| format!("rpc error: code = Unavailable desc = {error}"))?
    };
    match clock.deadline(deadline, asked).await {
        Ok(Ok(true)) => {
            Outcome { status: Status::Passing, output: format!("gRPC check {}: success", shown(target, service)) }
        }
        Ok(Ok(false)) => critical(format!("gRPC {} serving status: NOT_SERVING", shown(target, service))),
        Ok(Err(what)) => critical(what),
        Err(_) => critical("rpc error: code = DeadlineExceeded desc = context deadline exceeded".to_owned()),
    }
}

fn shown(target: &str, service: &str) -> String {
    if service.is_empty() { target.to_owned() } else { format!("{target}/{service}") }
}

/// Whether the service serves; the inner error is the peer's refusal.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: &str,
    service: &str,
) -> io::Result<Result<bool, String>> {
    stream.write_all(&question(target, service)).await?;
    let mut body = Vec::new();
    for _ in 0..FRAMES_MAX {
        let (kind, flags, number, payload) = read_frame(stream).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => write_frame(stream, SETTINGS, ACK, 0, &[]).await?,
            PING if flags & ACK == 0 => write_frame(stream, PING, ACK, 0, &payload).await?,
            DATA if number == 1 => {
                body.extend_from_slice(unpadded(flags, &payload)?);
                if let Some(serving) = decode_response(&body) {
                    return Ok(Ok(serving));
                }
            }
            RST_STREAM if number == 1 => return Ok(Err("the server reset the stream".to_owned())),
            GOAWAY => return Ok(Err("the server closed the connection".to_owned())),
            HEADERS if number == 1 && flags & END_STREAM != 0 => {
                return Ok(Err("the server answered without a health status".to_owned()));
            }
            _ => {}
        }
        if kind == DATA && flags & END_STREAM != 0 {
            break;
        }
    }
    Ok(Err("no health status in the server's answer".to_owned()))
}

/// Everything we ever say unasked, in one write.
fn question(target: &str, service: &str) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    push_frame(&mut bytes, SETTINGS, 0, 0, &[]);
    let mut headers = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", target),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "isobar"),
    ] {
        // literal header field without indexing, new name
        headers.push(0);
        push_string(&mut headers, name);
        push_string(&mut headers, value);
    }
    push_frame(&mut bytes, HEADERS, END_HEADERS, 1, &headers);
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        push_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let mut data = vec![0];
    data.extend_from_slice(&(message.len() as u32).to_be_bytes());
    data.extend_from_slice(&message);
    push_frame(&mut bytes, DATA, END_STREAM, 1, &data);
    bytes
}

/// An HPACK string literal: length with a prefix of seven bits, no Huffman code.
fn push_string(into: &mut Vec<u8>, text: &str) {
    if text.len() < 127 {
        into.push(text.len() as u8);
    } else {
        into.push(127);
        push_varint(into, text.len() - 127);
    }
    into.extend_from_slice(text.as_bytes());
}

fn push_varint(into: &mut Vec<u8>, mut number: usize) {
    while number >= 128 {
        into.push((number % 128) as u8 | 128);
        number /= 128;
    }
    into.push(number as u8);
}

fn push_frame(into: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    into.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    into.extend_from_slice(&[kind, flags]);
    into.extend_from_slice(&stream.to_be_bytes());
    into.extend_from_slice(payload);
}

async fn write_frame<S: AsyncWrite + Unpin>(
    stream: &mut S,
    kind: u8,
    flags: u8,
    number: u32,
    payload: &[u8],
) -> io::Result<()> {
    let mut bytes = Vec::new();
    push_frame(&mut bytes, kind, flags, number, payload);
    stream.write_all(&bytes).await
}

async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    if len > FRAME_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("frame of {len} bytes: not HTTP/2")));
    }
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).await?;
    let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    Ok((head[3], head[4], number, payload))
}

fn unpadded(flags: u8, payload: &[u8]) -> io::Result<&[u8]> {
    if flags & PADDED == 0 {
        return Ok(payload);
    }
    let cut = payload.split_first().and_then(|(&pad, rest)| rest.get(..rest.len().checked_sub(pad.into())?));
    cut.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "padding longer than its frame"))
}

/// Whether a whole response says SERVING; `None` while it is not whole.
fn decode_response(body: &[u8]) -> Option<bool> {
    let (&compressed, rest) = body.split_first()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let message = rest.get(..u32::from_be_bytes(*len) as usize)?;
    // field 1, a varint; SERVING is 1. An absent field is 0, UNKNOWN
    Some(compressed == 0 && message.windows(2).next() == Some(&[0x08, 1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn against(answer: Vec<u8>) -> io::Result<Result<bool, String>> {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(async move {
            let mut asked = [0; 24];
            theirs.read_exact(&mut asked).await?;
            theirs.write_all(&answer).await?;
            theirs.shutdown().await?;
            tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await?;
            io::Result::Ok(asked)
        });
        let answer = exchange(&mut ours, "h:1", "svc").await;
        drop(ours);
        if let Ok(Ok(asked)) = server.await {
            assert_eq!(&asked, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        }
        answer
    }

    fn response(status: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        push_frame(&mut bytes, HEADERS, END_HEADERS, 1, &[0x88]);
        push_frame(&mut bytes, DATA, 0, 1, &[0, 0, 0, 0, 2, 8, status]);
        push_frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 1, &[]);
        bytes
    }

    #[tokio::test]
    async fn serving_passes_and_nothing_else() {
        assert_eq!(against(response(1)).await.unwrap(), Ok(true));
        assert_eq!(against(response(2)).await.unwrap(), Ok(false));
        assert!(against(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await.is_err());
        let mut trailers_only = Vec::new();
        push_frame(&mut trailers_only, HEADERS, END_HEADERS | END_STREAM, 1, &[0x88]);
        assert!(against(trailers_only).await.unwrap().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_answers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), keep in 0usize..60) {
            let mut answer = response(1);
            answer.truncate(keep);
            answer.extend_from_slice(&bytes);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(against(answer));
        }
    }
}
