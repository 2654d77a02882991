//! A small blocking HTTP/1.1 client: kept connection, bodies by length, chunked or to the end, gzip inflated.
//!
//! Bodies are limited to 512 MiB; every call has a deadline per read.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own sockets")]

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const BODY_MAX: u64 = 512 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, inflated.
    pub body: Vec<u8>,
    /// Bytes of the body as sent.
    pub sent: usize,
}

impl Answer {
    /// A header's value; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none; status and beginning are named.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| {
            let text = self.text();
            format!("no JSON, status {}: {}", self.status, text.get(..200).unwrap_or(&text))
        })
    }
}

/// A client of one port of loopback.
#[derive(Debug)]
pub struct Client {
    port: u16,
    timeout: Duration,
    stream: Option<BufReader<TcpStream>>,
}

/// One GET on a connection of its own.
///
/// # Errors
/// As [`Client::request`].
pub fn get(port: u16, path: &str) -> Result<Answer> {
    Client::new(port).request("GET", path, &[], b"")
}

impl Client {
    /// A client without connection yet.
    pub fn new(port: u16) -> Self {
        Client { port, timeout: TIMEOUT, stream: None }
    }

    /// With another limit per read and write.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// GET.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.request("GET", path, &[], b"")
    }

    /// POST of a form.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn post_form(&mut self, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        let body = encode_form(form);
        self.request("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    /// PUT of JSON.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn put_json(&mut self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        self.request("PUT", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Any request; a kept connection that the server closed meanwhile is opened once more.
    ///
    /// # Errors
    /// When nobody listens, the connection breaks, or what comes is no HTTP.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let kept = self.stream.is_some();
        match self.try_request(method, path, headers, body) {
            Err(_) if kept => {
                self.stream = None;
                self.try_request(method, path, headers, body)
            }
            outcome => outcome,
        }
        .with_context(|| format!("{method} 127.0.0.1:{}{path}", self.port))
    }

    fn try_request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port))?;
                stream.set_read_timeout(Some(self.timeout))?;
                stream.set_write_timeout(Some(self.timeout))?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: 127.0.0.1:{}\r\n", self.port));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        stream.get_mut().write_all(&bytes)?;
        let (answer, keep) = read_answer(&mut stream, method)?;
        if keep {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn read_answer(stream: &mut BufReader<TcpStream>, method: &str) -> Result<(Answer, bool)> {
    let status_line = read_line(stream)?;
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status line")?;
    let mut answer = Answer { status, ..Answer::default() };
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').context("a header without colon")?;
        answer.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut keep = answer.header("connection") != Some("close");
    let mut body = Vec::new();
    if method == "HEAD" || status == 204 || status == 304 {
    } else if answer.header("transfer-encoding") == Some("chunked") {
        read_chunks(stream, &mut body)?;
    } else if let Some(length) = answer.header("content-length") {
        let length: u64 = length.parse().context("content-length")?;
        if length > BODY_MAX {
            bail!("a body of {length} bytes");
        }
        stream.take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            bail!("the body ends after {} of {length} bytes", body.len());
        }
    } else {
        keep = false;
        stream.take(BODY_MAX).read_to_end(&mut body)?;
    }
    answer.sent = body.len();
    answer.body = body;
    if answer.header("content-encoding") == Some("gzip") {
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(answer.body.as_slice()).take(BODY_MAX).read_to_end(&mut inflated)?;
        answer.body = inflated;
    }
    Ok((answer, keep))
}

fn read_line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.take(64 << 10).read_line(&mut line)? == 0 {
        bail!("the connection ends");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let line = read_line(stream)?;
        let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).context("chunk size")?;
        if body.len() as u64 + size > BODY_MAX {
            bail!("a body of more than {BODY_MAX} bytes");
        }
        stream.take(size).read_to_end(body)?;
        read_line(stream)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// `a=b&c=d`, percent-encoded.
pub fn encode_form(form: &[(&str, &str)]) -> String {
    form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but letters, digits and `-._~`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
