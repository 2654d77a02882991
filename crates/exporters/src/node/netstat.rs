//! Collector `netstat`: protocol counters, those whose name `--collector.netstat.fields` matches.
//!
//! ```text
//! /proc/net/netstat, snmp     TcpExt: SyncookiesSent SyncookiesRecv      two lines a protocol: names, then values
//!                             TcpExt: 0 17
//! /proc/net/snmp6             Ip6InReceives   7                          a line a counter; the name ends the protocol at its 6
//! ```

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::filter::Pattern;
use super::name_cache::NameCache;
use super::parse::{fields, float, lines, signed};
use super::source::{Files, KeptFile};
use super::text::{Page, Value, prepare};

/// The names shown unless the flag says otherwise.
pub(crate) const FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)\
|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)\
|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)\
|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";

pub(crate) struct Netstat {
    pairs: [(KeptFile, NameCache); 2],
    snmp6: (KeptFile, NameCache),
    fields: Pattern,
}

impl Netstat {
    pub(crate) fn new(files: &Files, roots: &Roots, fields: Pattern) -> Self {
        let keep = |name: &str| (files.keep(roots.procfs.join("net").join(name)), NameCache::default());
        Netstat { pairs: [keep("netstat"), keep("snmp")], snmp6: keep("snmp6"), fields }
    }
}

impl Collect for Netstat {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        for (file, names) in &mut self.pairs {
            let text = file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get netstats"))?;
            show_pairs(text, names, &self.fields, page)?;
        }
        let (file, names) = &mut self.snmp6;
        match file.read(&mut scrape.content) {
            Ok(text) => show_snmp6(text, names, &self.fields, page),
            // a kernel without IPv6
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(CollectError::failed("couldn't get SNMP6 stats")(error)),
        }
    }
}

fn show_pairs(text: &[u8], names: &mut NameCache, shown: &Pattern, page: &mut Page<'_>) -> Result<(), CollectError> {
    names.rewind();
    let mut lines = lines(text);
    while let (Some(head), Some(values)) = (lines.next(), lines.next()) {
        let mut head = fields(head);
        let mut values = fields(values);
        let protocol = head.next().unwrap_or_default();
        values.next();
        // so that equal names of another protocol are not taken for this one's
        names.next(protocol, |_| None);
        loop {
            match (head.next(), values.next()) {
                (Some(name), Some(value)) => {
                    let prepared = names.next(name, |name| {
                        family_of(std::str::from_utf8(protocol.strip_suffix(b":")?).ok()?, name, shown)
                    });
                    if let Some(prepared) = prepared {
                        show(value, page.prepared(prepared))?;
                    }
                }
                (None, None) => break,
                _ => {
                    let protocol = String::from_utf8_lossy(protocol);
                    return Err(CollectError::Failed(format!(
                        "couldn't get netstats: names and values of {protocol} differ in number"
                    )));
                }
            }
        }
    }
    Ok(())
}

fn show_snmp6(text: &[u8], names: &mut NameCache, shown: &Pattern, page: &mut Page<'_>) -> Result<(), CollectError> {
    names.rewind();
    for line in lines(text) {
        let mut parts = fields(line);
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        let prepared = names.next(name, |name| {
            let (protocol, name) = name.split_at(name.find('6')? + 1);
            family_of(protocol, name, shown)
        });
        if let Some(prepared) = prepared {
            show(value, page.prepared(prepared))?;
        }
    }
    Ok(())
}

fn family_of(protocol: &str, name: &str, shown: &Pattern) -> Option<Box<str>> {
    let key = format!("{protocol}_{name}");
    shown
        .is_match(&key)
        .then(|| prepare(&format!("node_netstat_{key}"), "untyped", &format!("Statistic {protocol}{name}.")))
}

fn show(text: &[u8], value: Value<'_>) -> Result<(), CollectError> {
    match (signed(text), float(text)) {
        (Some(whole), _) => value.signed(whole),
        (None, Some(number)) => value.number(number),
        (None, None) => {
            // the line must be ended: the answer goes out with what else there is
            value.number(f64::NAN);
            let text = String::from_utf8_lossy(text);
            return Err(CollectError::Failed(format!("invalid value {text} in netstats")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples(pairs: &str, six: &str) -> Result<Vec<String>, String> {
        let shown = Pattern::new(FIELDS).unwrap();
        let mut out = Vec::new();
        let mut page = Page::new(&mut out);
        show_pairs(pairs.as_bytes(), &mut NameCache::default(), &shown, &mut page).map_err(|e| e.to_string())?;
        show_snmp6(six.as_bytes(), &mut NameCache::default(), &shown, &mut page).map_err(|e| e.to_string())?;
        let text = String::from_utf8(out).unwrap();
        Ok(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect())
    }

    #[test]
    fn only_the_named_fields() {
        let pairs = "Tcp: RtoAlgorithm MaxConn ActiveOpens\nTcp: 1 -1 3556\nUdp: InErrors\nUdp: 4\n";
        let six = "Ip6InOctets 460\nIp6OutOctets \t 536\nIcmp6OutType133 3\n\nx\nUdpLite6InErrors 1\n";
        assert_eq!(
            samples(pairs, six).unwrap(),
            [
                "node_netstat_Tcp_ActiveOpens 3556",
                "node_netstat_Udp_InErrors 4",
                "node_netstat_Ip6_InOctets 460",
                "node_netstat_Ip6_OutOctets 536",
                "node_netstat_UdpLite6_InErrors 1",
            ]
        );
        assert!(samples("Tcp: A B\nTcp: 1\n", "").unwrap_err().contains("Tcp: differ in number"));
        assert!(samples("", "Udp6InErrors x").unwrap_err().contains("invalid value x"));
    }

    proptest! {
        #[test]
        fn any_text(pairs in "\\PC{0,80}(\n\\PC{0,40}){0,4}", six in "[A-Za-z6]{0,9} [0-9x]{0,4}\n{0,2}") {
            let _ = samples(&pairs, &six);
        }
    }
}
