//! What a body says it is: `Content-Type`, read as strictly as Go's `mime.ParseMediaType` does.
//!
//! As the original 3.x: a body must say that it is exposition text, unless `fallback_scrape_protocol` says what it is.

use net::client::HeaderMap;

/// Whether a body may be read as text; the error is the original's.
pub(crate) fn check(headers: &HeaderMap, fallback_text: bool) -> Result<(), String> {
    let said = headers.get("content-type").map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let said = said.unwrap_or_default();
    match parse(&said) {
        Ok(media) if media == "text/plain" => Ok(()),
        _ if fallback_text => Ok(()),
        _ if said.is_empty() => {
            Err("non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for \
                 target"
                .to_owned())
        }
        Ok(media) if media == "application/openmetrics-text" || media == "application/vnd.google.protobuf" => {
            Err(format!("received Content-Type \"{said}\", which was not asked for and is not supported yet"))
        }
        Ok(_) => Err(format!(
            "received unsupported Content-Type \"{said}\" and no fallback_scrape_protocol specified for target"
        )),
        Err(why) => {
            let said = model::go_text::quote(&said);
            Err(format!("cannot parse Content-Type {said} and no fallback_scrape_protocol for target\nmime: {why}"))
        }
    }
}

/// The media type in lower case; its parameters must be well formed.
fn parse(text: &str) -> Result<String, &'static str> {
    let (media, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let media = media.trim().to_ascii_lowercase();
    let (kind, subtype) = media.split_once('/').map_or((media.as_str(), None), |(kind, subtype)| (kind, Some(subtype)));
    if kind.is_empty() {
        return Err("no media type");
    }
    if !is_token(kind) || subtype.is_some_and(|subtype| !is_token(subtype)) {
        return Err(if subtype == Some("") {
            "expected token after slash"
        } else {
            "unexpected content after media type"
        });
    }
    let mut names: Vec<String> = Vec::new();
    while !rest.trim_start().is_empty() {
        let Some((name, after)) = parameter(rest.trim_start()) else {
            return if rest.trim() == ";" { Ok(media) } else { Err("invalid media parameter") };
        };
        if names.contains(&name) {
            return Err("duplicate parameter name");
        }
        names.push(name);
        rest = after;
    }
    Ok(media)
}

/// `; name=value` at the start of a text: the name, and what follows.
fn parameter(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix(';')?.trim_start();
    let (name, text) = text.split_at(text.find(|c| !is_token_char(c)).unwrap_or(text.len()));
    let value = text.trim_start().strip_prefix('=').filter(|_| !name.is_empty())?.trim_start();
    let after = match value.strip_prefix('"') {
        Some(quoted) => after_quoted(quoted)?,
        None => {
            let end = value.find(|c| !is_token_char(c)).unwrap_or(value.len());
            (end > 0).then_some(&value[end..])?
        }
    };
    Some((name.to_ascii_lowercase(), after))
}

/// What follows the closing quote.
fn after_quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\r' | '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::client::HeaderValue;

    #[test]
    fn what_is_taken_and_what_is_said_otherwise() {
        let unparsed = |said: &str, why: &str| {
            Some(format!("cannot parse Content-Type {said:?} and no fallback_scrape_protocol for target\nmime: {why}"))
        };
        for (said, error) in [
            ("text/plain", None),
            ("text/plain; version=0.0.4; charset=utf-8", None),
            ("TEXT/Plain ;charset=\"utf-8\"", None),
            ("text/plain;", None),
            ("text/plain; version=9.9", None),
            ("text/plain; charset=\"utf-8", unparsed("text/plain; charset=\"utf-8", "invalid media parameter")),
            ("text/plain; charset", unparsed("text/plain; charset", "invalid media parameter")),
            ("text/plain; a=1; A=2", unparsed("text/plain; a=1; A=2", "duplicate parameter name")),
            ("text/", unparsed("text/", "expected token after slash")),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_str(said).unwrap());
            assert_eq!(check(&headers, false).err(), error, "{said}");
            assert_eq!(check(&headers, true), Ok(()), "{said}: the fallback holds");
        }
        for said in ["text/html", "bogus", "application/json; a=b"] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(said));
            let error = check(&headers, false).unwrap_err();
            assert!(error.starts_with(&format!("received unsupported Content-Type \"{said}\"")), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_is_read_without_panic(text in "[a-z/;=\"\\\\ é]{0,30}") {
            let _ = parse(&text);
        }
    }
}
