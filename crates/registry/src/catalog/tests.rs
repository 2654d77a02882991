//! Writes against a catalog: which index they take, what they touch.

use super::*;

fn node(name: &str) -> Node {
    Node { name: name.to_owned(), address: "10.0.0.1".to_owned(), ..Node::default() }
}

fn service(id: &str, name: &str) -> Service {
    Service { id: id.to_owned(), name: name.to_owned(), ..Service::default() }
}

fn check(id: &str, service: &str, status: Status) -> Check {
    Check { status, service_id: service.to_owned(), ..Check::new("n1", id, id) }
}

fn put(catalog: &mut Catalog, service: Option<Service>, checks: Vec<Check>) {
    let registration =
        Registration { node_name: "n1".to_owned(), node: Some(node("n1")), new_node: None, service, checks };
    catalog.admit(&registration).unwrap();
    catalog.register(registration);
}

fn drop(catalog: &mut Catalog, service: Option<&str>, check: Option<&str>) {
    let (service, check) = (service.map(str::to_owned), check.map(str::to_owned));
    catalog.deregister(&Deregistration { node: "n1".to_owned(), service, check });
}

fn health(catalog: &Catalog, name: &str) -> u64 {
    catalog.instances(name, true).0
}

#[test]
fn one_registration_takes_one_index_and_the_same_again_none() {
    let mut catalog = Catalog::new();
    for _ in 0..2 {
        put(&mut catalog, Some(service("web-1", "web")), vec![check("c", "web-1", Status::Passing)]);
        assert_eq!(catalog.index(), 10);
        let (_, _, instances) = catalog.instances("web", true);
        let checks: Vec<&Check> = instances[0].checks().collect();
        assert_eq!((instances[0].service.create_index, checks[0].modify_index), (10, 10));
        assert_eq!(checks[0].service_name, "web");
    }
    assert!(!catalog.take_touched().is_empty());
}

#[test]
fn indexes_are_per_name_and_absent_names_follow_the_last_extinction() {
    let mut catalog = Catalog::new();
    put(&mut catalog, Some(service("a1", "a")), vec![check("ca", "a1", Status::Passing)]);
    put(&mut catalog, Some(service("b1", "b")), vec![check("cb", "b1", Status::Passing)]);
    assert_eq!((health(&catalog, "a"), health(&catalog, "b")), (10, 11));
    put(&mut catalog, None, vec![check("cb", "b1", Status::Critical)]);
    assert_eq!((health(&catalog, "a"), health(&catalog, "b")), (10, 12));
    assert_eq!(health(&catalog, "none"), 12, "no extinction yet: the tables");
    put(&mut catalog, None, vec![check("of the node", "", Status::Passing)]);
    assert_eq!((health(&catalog, "a"), health(&catalog, "b")), (13, 13));
    drop(&mut catalog, Some("b1"), None);
    assert_eq!((health(&catalog, "a"), health(&catalog, "b"), health(&catalog, "none")), (13, 14, 14));
    put(&mut catalog, None, vec![check("ca", "a1", Status::Warning)]);
    assert_eq!(health(&catalog, "none"), 14, "an unrelated check does not move it");
    drop(&mut catalog, Some("b1"), None);
    assert_eq!(catalog.index(), 15, "removing what is not there takes no index");
}

#[test]
fn touched_keys_are_those_that_changed() {
    let mut catalog = Catalog::new();
    put(&mut catalog, Some(service("a1", "a")), vec![]);
    put(&mut catalog, Some(service("b1", "b")), vec![]);
    catalog.take_touched();
    put(&mut catalog, None, vec![check("ca", "a1", Status::Critical)]);
    let touched = catalog.take_touched();
    assert!(touched.contains(&Key::Health(Folded::of("a"))));
    assert!(touched.contains(&Key::Status(Status::Critical)));
    assert!(!touched.contains(&Key::Instances(Folded::of("a"))), "a check is no change of the instances");
    assert!(!touched.contains(&Key::Health(Folded::of("b"))));
    assert!(!touched.contains(&Key::Services));
    put(&mut catalog, None, vec![check("ca", "a1", Status::Passing)]);
    assert!(catalog.take_touched().contains(&Key::Status(Status::Critical)), "the old status is touched too");
}

#[test]
fn a_renamed_service_leaves_its_old_name() {
    let mut catalog = Catalog::new();
    put(&mut catalog, Some(service("w", "web")), vec![]);
    put(&mut catalog, Some(service("w2", "web")), vec![]);
    catalog.take_touched();
    put(&mut catalog, Some(service("w", "new")), vec![]);
    let touched = catalog.take_touched();
    assert!(touched.contains(&Key::Health(Folded::of("web"))) && touched.contains(&Key::Health(Folded::of("new"))));
    assert_eq!(catalog.instances("web", true).2.len(), 1);
    assert!(health(&catalog, "web") < health(&catalog, "new"));
}

#[test]
fn what_can_not_be_is_refused() {
    let mut catalog = Catalog::new();
    let first = Node { id: "one".to_owned(), ..node("n1") };
    catalog.register(Registration { node_name: "n1".to_owned(), node: Some(first), ..Registration::default() });
    let refused = |registration: Registration| catalog.admit(&registration).unwrap_err();
    let other = Node { id: "two".to_owned(), ..node("n1") };
    let named = Registration { node_name: "n1".to_owned(), node: Some(other), ..Registration::default() };
    assert!(matches!(refused(named), CatalogError::NameReserved { .. }));
    let of_n1 = |check| Registration { node_name: "n1".to_owned(), checks: vec![check], ..Registration::default() };
    assert!(matches!(refused(of_n1(check("c", "nosuch", Status::Passing))), CatalogError::MissingService(_)));
    let elsewhere = Check { node: "n2".to_owned(), ..check("c", "", Status::Passing) };
    assert!(matches!(refused(of_n1(elsewhere)), CatalogError::OtherNode { .. }));
    let nowhere = Registration { node_name: "n9".to_owned(), ..Registration::default() };
    assert!(matches!(refused(nowhere), CatalogError::MissingNode(_)));
}

#[test]
fn a_snapshot_gives_the_same_answers() {
    let mut catalog = Catalog::new();
    put(&mut catalog, Some(service("a1", "a")), vec![check("ca", "a1", Status::Passing)]);
    put(&mut catalog, Some(service("b1", "b")), vec![]);
    drop(&mut catalog, Some("b1"), None);
    let bytes = serde_json::to_vec(&catalog).unwrap();
    let again = serde_json::from_slice::<Catalog>(&bytes).unwrap().restored();
    for name in ["a", "b"] {
        assert_eq!(health(&again, name), health(&catalog, name), "{name}");
    }
    assert_eq!(again.index(), catalog.index());
    assert_eq!(again.instances("a", true).2.len(), 1);
}

#[test]
fn case_does_not_tell_names_apart() {
    let mut catalog = Catalog::new();
    put(&mut catalog, Some(service("Web-1", "Web")), vec![check("C", "web-1", Status::Passing)]);
    put(&mut catalog, Some(service("db", "web")), vec![]);
    for name in ["web", "WEB"] {
        let (_, _, instances) = catalog.instances(name, true);
        let shown: Vec<_> = instances.iter().map(|i| (i.service.name.as_str(), i.checks().count())).collect();
        assert_eq!(shown, [("web", 0), ("Web", 1)], "by id, each with its name as given");
    }
    assert!(catalog.service("N1", "WEB-1").is_some() && catalog.check("N1", "c").is_some());
    let names: Vec<&str> = catalog.services(&BTreeMap::new()).1.into_keys().collect();
    assert_eq!(names, ["Web", "web"]);
    // the same instance again under its id in other letters
    put(&mut catalog, Some(service("WEB-1", "Web")), vec![]);
    assert_eq!(catalog.counts(), (1, 2, 1));
    catalog.deregister(&Deregistration { node: "N1".to_owned(), service: Some("web-1".to_owned()), check: None });
    assert_eq!(catalog.counts(), (1, 1, 0), "with its check");
}

#[test]
fn a_node_that_is_not_to_be_updated_is_made_when_there_is_none() {
    let mut catalog = Catalog::new();
    let skipping = |address: &str| Registration {
        node_name: "n1".to_owned(),
        new_node: Some(Node { address: address.to_owned(), ..node("n1") }),
        ..Registration::default()
    };
    for address in ["10.0.0.7", "10.0.0.8"] {
        catalog.admit(&skipping(address)).unwrap();
        catalog.register(skipping(address));
        assert_eq!(catalog.node_services("n1").1.map(|found| found.node.address.as_str()), Some("10.0.0.7"));
    }
    let nameless = Registration { checks: vec![check("", "", Status::Passing)], ..skipping("10.0.0.7") };
    assert_eq!(catalog.admit(&nameless), Err(CatalogError::CheckWithoutId("n1".to_owned())));
}

#[test]
fn a_snapshot_of_the_first_version_is_folded() {
    let mut catalog = Catalog::new();
    put(&mut catalog, Some(service("Web-1", "Web")), vec![check("C", "Web-1", Status::Passing)]);
    let text = serde_json::to_string(&catalog).unwrap();
    let old = text.replace("\"web-1\":", "\"Web-1\":").replace("{\"web\":", "{\"Web\":").replace("\"c\":", "\"C\":");
    assert_ne!(old, text);
    let again = serde_json::from_str::<Catalog>(&old).unwrap().restored();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    assert_eq!(again.instances("web", true).2.len(), 1);
}

#[test]
fn a_rename_reaches_a_check_when_it_is_written_next() {
    let mut catalog = Catalog::new();
    put(&mut catalog, Some(service("w", "web")), vec![check("c", "w", Status::Passing)]);
    let named = |catalog: &Catalog| catalog.check("n1", "c").map(|check| check.service_name.clone());
    put(&mut catalog, Some(service("w", "new")), vec![]);
    assert_eq!(named(&catalog).as_deref(), Some("web"));
    catalog.take_touched();
    put(&mut catalog, None, vec![check("c", "w", Status::Critical)]);
    assert_eq!(named(&catalog).as_deref(), Some("new"));
    let touched = catalog.take_touched();
    assert!(["web", "new"].iter().all(|name| touched.contains(&Key::ServiceChecks(Folded::of(name)))));
}
