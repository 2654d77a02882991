//! Bad input, case by case: the table of `show bad-input`.

use crate::binary;
use testkit::harness::place::Scratch;
use testkit::show::bad_input::CASES;

#[test]
fn bad_input_gets_one_clear_line() {
    let mut wrong = Vec::new();
    for (name, case) in CASES {
        let folder = Scratch::new("bad-input").expect("a folder");
        if let Err(error) = case(&binary(), folder.path()) {
            wrong.push(format!("{name}: {error:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
