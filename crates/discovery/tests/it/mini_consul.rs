//! A Consul of a hundred lines: a list of services, an index, blocking queries. It does what it is told, wrong things too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Id, address, port, tags.
type Instance = (String, String, u16, Vec<String>);

#[derive(Default)]
struct State {
    index: u64,
    /// Instances by the service's name.
    services: BTreeMap<String, Vec<Instance>>,
    /// Paths with queries, as asked.
    asked: Vec<String>,
    /// Paths that are answered with 500.
    failing: Option<String>,
    /// Answers do not say their index.
    is_indexless: bool,
}

#[derive(Clone)]
pub(crate) struct MiniConsul {
    state: Arc<(Mutex<State>, Condvar)>,
    pub(crate) port: u16,
}

impl MiniConsul {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let consul = MiniConsul { state: Arc::default(), port };
        consul.change(|state| state.index = 100);
        let serving = consul.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        consul
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
    }

    pub(crate) fn register(&self, name: &str, id: &str, address: &str, port: u16, tags: &[&str]) {
        self.change(|state| {
            state.index += 1;
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            state.services.entry(name.to_owned()).or_default().push((id.to_owned(), address.to_owned(), port, tags));
        });
    }

    pub(crate) fn deregister(&self, name: &str) {
        self.change(|state| {
            state.index += 1;
            state.services.remove(name);
        });
    }

    /// Puts an older state in place, as a restore does: the index falls.
    pub(crate) fn restore(&self, index: u64, name: &str, port: u16) {
        self.change(|state| {
            state.index = index;
            let instance = ("restored".to_owned(), "10.9.9.9".to_owned(), port, Vec::new());
            state.services = BTreeMap::from([(name.to_owned(), vec![instance])]);
        });
    }

    pub(crate) fn fail(&self, path: Option<&str>) {
        self.change(|state| {
            state.index += 1;
            state.failing = path.map(str::to_owned);
        });
    }

    pub(crate) fn forget_the_index(&self) {
        self.change(|state| state.is_indexless = true);
    }

    /// What was asked for with this in it.
    pub(crate) fn asked(&self, part: &str) -> Vec<String> {
        self.state.0.lock().unwrap().asked.iter().filter(|path| path.contains(part)).cloned().collect()
    }

    fn serve(&self, stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut stream = stream;
        while let Some(Ok(request)) = lines.next() {
            let mut headers = String::new();
            for line in lines.by_ref().map_while(Result::ok) {
                if line.is_empty() {
                    break;
                }
                headers.push_str(&line.to_lowercase());
                headers.push('\n');
            }
            let path = request.split(' ').nth(1).unwrap().to_owned();
            if path.contains("secret") {
                assert!(headers.contains("x-consul-token: s3cret"), "{headers}");
            }
            let (status, index, body) = self.answer(&path);
            let index = index.map_or(String::new(), |index| format!("X-Consul-Index: {index}\r\n"));
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{index}\r\n", body.len());
            if stream.write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, full: &str) -> (u16, Option<u64>, String) {
        let (path, query) = full.split_once('?').unwrap_or((full, ""));
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("index=")?.parse::<u64>().ok());
        let mut state = self.state.0.lock().unwrap();
        state.asked.push(full.to_owned());
        if path == "/v1/agent/self" {
            return (200, None, r#"{"Config":{"Datacenter":"dc7"}}"#.to_owned());
        }
        // a real one holds for two minutes; a test has half a second
        if let Some(asked) = asked {
            let held = Duration::from_millis(500);
            state = self.state.1.wait_timeout_while(state, held, |state| state.index == asked).unwrap().0;
        }
        if state.failing.as_deref().is_some_and(|failing| path.contains(failing)) {
            return (500, None, "rpc error making call".to_owned());
        }
        let index = (!state.is_indexless).then_some(state.index);
        if path == "/v1/catalog/services" {
            let tags = |list: &Vec<Instance>| {
                let tags: Vec<_> = list.iter().flat_map(|instance| &instance.3).map(|tag| format!("{tag:?}")).collect();
                tags.join(",")
            };
            let all: Vec<_> = state.services.iter().map(|(name, list)| format!("{name:?}:[{}]", tags(list))).collect();
            return (200, index, format!("{{{}}}", all.join(",")));
        }
        let name = path.strip_prefix("/v1/health/service/").expect("a known path");
        let instance = |(id, address, port, tags): &Instance| {
            format!(
                r#"{{"Node":{{"Node":"n1","Address":"10.0.0.1","Meta":{{"rack-id":"r1"}}}},"Service":{{"ID":"{id}","Service":"{name}","Address":"{address}","Port":{port},"Tags":{tags:?},"Meta":{{"metrics_path":"/m"}}}},"Checks":[{{"CheckID":"c","Status":"passing"}}]}}"#
            )
        };
        let found: Vec<_> = state.services.get(name).into_iter().flatten().map(instance).collect();
        (200, index, format!("[{}]", found.join(",")))
    }
}
