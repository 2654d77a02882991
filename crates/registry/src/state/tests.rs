//! The same commands give the same state, and a snapshot in between changes nothing.

use super::*;
use crate::check::Definition;
use proptest::prelude::*;
use std::time::Duration;

fn node(name: &str) -> Node {
    Node { id: "11111111-2222-3333-4444-555555555555".to_owned(), name: name.to_owned(), ..Node::default() }
}

fn service(id: u8, name: u8) -> Service {
    Service { id: format!("s{id}"), name: format!("name{name}"), port: i64::from(name), ..Service::default() }
}

fn local(id: u8, service: u8, status: Status) -> LocalCheck {
    let mut check = Check::new("", &format!("c{id}"), "check");
    check.service_id = if service == 0 { String::new() } else { format!("s{service}") };
    check.status = status;
    LocalCheck { check, definition: Definition::new(Probe::Ttl(Duration::from_secs(9))) }
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Passing), Just(Status::Warning), Just(Status::Critical)]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0u8..4, 0u8..3, 0u8..5, status(), any::<bool>()).prop_map(|(id, name, check, status, replace)| {
            Command::ServiceUp { service: service(id, name), checks: vec![local(check, id, status)], replace }
        }),
        (0u8..4).prop_map(|id| Command::ServiceDown { id: format!("s{id}") }),
        (0u8..5, 0u8..4, status()).prop_map(|(id, of, status)| Command::CheckUp { check: local(id, of, status) }),
        (0u8..5).prop_map(|id| Command::CheckDown { id: format!("c{id}") }),
        (0u8..5, status(), "[a-b]?").prop_map(|(id, status, output)| Command::CheckState {
            id: format!("c{id}"),
            status,
            output
        }),
        (0u8..3, 0u8..3, 0u8..3).prop_map(|(node_number, id, name)| {
            let name_of_node = format!("ext{node_number}");
            Command::Register(Registration {
                node_name: name_of_node.clone(),
                node: Some(Node { name: name_of_node, ..Node::default() }),
                service: Some(service(id, name)),
                ..Registration::default()
            })
        }),
        (0u8..3, prop::option::of(0u8..3)).prop_map(|(node, id)| Command::Deregister(Deregistration {
            node: format!("ext{node}"),
            service: id.map(|id| format!("s{id}")),
            check: None,
        })),
    ]
}

proptest! {
    #[test]
    fn replay_gives_the_same_state(commands in prop::collection::vec(command(), 0..60), cut in 0usize..60) {
        let limits = Limits::default();
        let mut live = State::new();
        live.apply(Command::Start { node: node("n1"), server: service(9, 9) });
        let mut again = live.clone();
        for (at, command) in commands.into_iter().enumerate() {
            if live.admit(&command, &limits).is_err() {
                continue;
            }
            let before = (live.catalog.index(), serde_json::to_string(&live).unwrap());
            let settled = live.is_settled(&command);
            live.apply(command.clone());
            live.catalog.take_touched();
            if settled {
                prop_assert_eq!(live.catalog.index(), before.0, "a settled command took an index");
            }
            if before.0 == live.catalog.index() && settled {
                prop_assert_eq!(serde_json::to_string(&live).unwrap(), before.1);
            }
            let logged: Command = serde_json::from_slice(&serde_json::to_vec(&command).unwrap()).unwrap();
            prop_assert_eq!(&logged, &command);
            if !settled {
                again.apply(logged);
            }
            if at == cut {
                again = serde_json::from_slice::<State>(&serde_json::to_vec(&again).unwrap()).unwrap().restored();
            }
        }
        prop_assert_eq!(serde_json::to_string(&live).unwrap(), serde_json::to_string(&again).unwrap());
        for name in 0..3 {
            let name = format!("name{name}");
            let (one, _, first) = live.catalog.instances(&name, true);
            let (two, _, second) = again.catalog.instances(&name, true);
            prop_assert_eq!((one, first.len()), (two, second.len()));
        }
    }
}

#[test]
fn another_name_for_this_node_moves_what_is_on_it() {
    let mut state = State::new();
    state.apply(Command::Start { node: node("old"), server: service(9, 9) });
    state.apply(Command::ServiceUp {
        service: service(1, 1),
        checks: vec![local(1, 1, Status::Passing)],
        replace: false,
    });
    state.apply(Command::Start { node: node("new"), server: service(9, 9) });
    let (_, _, instances) = state.catalog.instances("name1", true);
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].node.name, "new");
    assert_eq!(instances[0].checks().count(), 2);
    assert!(state.catalog.node_services("old").1.is_none());
}

#[test]
fn of_two_checks_with_one_id_the_last_counts_and_a_known_one_keeps_its_state() {
    let mut state = State { node_name: "n1".to_owned(), ..State::new() };
    let up = |checks| Command::ServiceUp { service: service(1, 1), checks, replace: false };
    let status = |state: &State| state.agent.checks["c1"].check.status.clone();
    state.apply(up(vec![local(1, 1, Status::Warning), local(1, 1, Status::Passing)]));
    assert_eq!(status(&state), Status::Passing);
    state.apply(up(vec![local(1, 1, Status::Warning)]));
    assert_eq!(status(&state), Status::Passing);
}

#[test]
fn an_output_alone_writes_nothing_and_goes_along_with_the_next_write() {
    let mut state = State { node_name: "n1".to_owned(), ..State::new() };
    let n1 = Node { name: "n1".to_owned(), ..Node::default() };
    state.apply(Command::Start { node: n1, server: service(9, 9) });
    let up = |name| Command::ServiceUp {
        service: service(1, name),
        checks: vec![local(1, 1, Status::Warning)],
        replace: false,
    };
    let said =
        |output: &str| Command::CheckState { id: "c1".to_owned(), status: Status::Warning, output: output.to_owned() };
    let shown = |state: &State| {
        let check = state.catalog.check("n1", "c1").expect("it is there");
        (check.output.clone(), check.service_name.clone())
    };
    state.apply(up(1));
    state.apply(Command::ServiceUp { service: service(1, 2), checks: vec![], replace: false });
    let index = state.catalog.index();
    state.apply(said("out"));
    assert_eq!((shown(&state), state.catalog.index()), ((String::new(), "name1".to_owned()), index));
    state.apply(up(2));
    assert_eq!(shown(&state), ("out".to_owned(), "name2".to_owned()));
}
