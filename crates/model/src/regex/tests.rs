//! `testdata/go_regex.txt` was printed by Go 1.26: about 1700 expressions with their error or what they match.

use super::*;
use crate::go_text::unquote;
use proptest::prelude::*;

const GO: &str = include_str!("../../testdata/go_regex.txt");

#[test]
fn expressions_mean_what_go_says() {
    let texts: Vec<String> =
        GO.lines().filter_map(|line| line.strip_prefix("# text ")).map(|t| unquote(t).expect("a text")).collect();
    let (mut tried, mut wrong) = (0, Vec::new());
    for line in GO.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [expression, kind, answer] = fields[..] else { panic!("bad line {line}") };
        let expression = unquote(expression).expect("an expression");
        tried += 1;
        let got = Regex::anchored(&expression);
        let verdict = match (kind, &got) {
            ("E", Err(error)) => {
                let expected = unquote(answer).expect("an error");
                (error.message != expected).then(|| format!("{} instead of {expected}", error.message))
            }
            ("M", Ok(regex)) => texts.iter().zip(answer.bytes()).find_map(|(text, bit)| {
                let (plain, grouped) = (regex.is_match(text), regex.captures(text).is_some());
                let expected = bit == b'1';
                (plain != expected || grouped != expected).then(|| format!("{text:?}: {plain} {grouped}"))
            }),
            _ => Some(format!("{got:?} instead of {answer}")),
        };
        wrong.extend(verdict.map(|verdict| format!("{expression}: {verdict}")));
    }
    assert!(tried > 1_500, "{tried} expressions");
    assert!(wrong.is_empty(), "{} of {tried} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn literals_decide_without_an_automaton() {
    let decided = |source: &str| {
        let regex = Regex::anchored(source).expect("a regex");
        (regex.literal_set().map(|set| set.join(",")), regex.prefix().to_owned(), regex.suffix().to_owned(), {
            regex.automaton.get().is_none()
        })
    };
    let set = |text: &str| (Some(text.to_owned()), String::new(), String::new(), true);
    let ends = |prefix: &str, suffix: &str, quick| (None, prefix.to_owned(), suffix.to_owned(), quick);
    assert_eq!(decided("b|a|c"), set("a,b,c"));
    assert_eq!(decided("foo(bar|baz)?"), set("foo,foobar,foobaz"));
    assert_eq!(decided("web-[12]"), set("web-1,web-2"));
    assert_eq!(decided("(?i)ab"), set("AB,Ab,aB,ab"));
    assert_eq!(decided(""), set(""));
    assert_eq!(decided(".*"), ends("", "", true));
    assert_eq!(decided("web-.*"), ends("web-", "", true));
    assert_eq!(decided("web-.+-prod"), ends("web-", "-prod", true));
    assert_eq!(decided(".*error.*"), ends("", "", true));
    assert_eq!(decided(r"web-\d+"), ends("web-", "", false));
    assert_eq!(decided(r"\d+-prod"), ends("", "-prod", false));
}

#[test]
fn a_text_shorter_than_both_ends_does_not_match() {
    let regex = Regex::anchored("aba.*aba").expect("a regex");
    assert!(!regex.is_match("aba") && !regex.is_match("ababa") && regex.is_match("abaaba"));
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = format!("{}a{}", "(".repeat(300), ")".repeat(300));
    let error = Regex::anchored(&deep).expect_err("too deep");
    assert!(error.message.starts_with("error parsing regexp: expression nests too deeply: `((("), "{error}");
    let large = r"(\pL{1000}|\pN{1000}|\pM{999})x";
    let error = Regex::anchored(large).expect_err("too large");
    assert_eq!(error.message, format!("error parsing regexp: expression too large: `{large}`"));
    let long = "x".repeat(3 << 20);
    assert!(Regex::anchored(&long).is_err());
}

#[test]
fn relabelling_shows_its_anchors_in_errors() {
    let message = |source| Regex::for_relabel(source).expect_err("bad").message;
    assert_eq!(message("abc["), "error parsing regexp: missing closing ]: `[)$`");
    assert_eq!(message("a**"), "error parsing regexp: invalid nested repetition operator: `**`");
}

#[test]
fn templates_expand_as_in_go() {
    for (source, text, template, expected) in [
        ("(.*)", "abc", "$1", "abc"),
        ("(.*)", "abc", "x$1y", "x"),
        ("(.*)", "abc", "x${1}y$0", "xabcyabc"),
        ("(.*)", "abc", "$$1 $ ${ ${} ${1 $2|${01}", "$1 $ ${ ${} ${1 |"),
        ("(a)(b)?(?P<rest>.*)", "ac", "$1-$2-$rest-${rest}x$none", "a--c-cx"),
        ("(.+):(\\d+)", "host:80", "$2/$1", "80/host"),
        ("x", "x", "plain", "plain"),
        ("(?P<n>a)|(?P<n>b)", "b", "${n}$n", "bb"),
        ("(.)(.*)", "äöü", "$2$1", "öüä"),
    ] {
        let regex = Regex::for_relabel(source).expect("a regex");
        let mut got = String::new();
        Template::new(template, &regex).expand(&regex.captures(text).expect("a match"), text, &mut got);
        assert_eq!(got, expected, "{source} {template}");
    }
    assert!(Template::has_variables("a$1") && Template::has_variables("${a}b"));
    assert!(!Template::has_variables("a$") && !Template::has_variables("a$$") && !Template::has_variables("${"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(source in "[a-c(){}|*+?.^$\\[\\]\\\\,0-3:iPpQEx<>-]{0,24}", text in "[a-c1\n]{0,6}") {
        if let Ok(regex) = Regex::anchored(&source) {
            prop_assert_eq!(regex.is_match(&text), regex.captures(&text).is_some());
        }
    }

    #[test]
    fn plans_agree_with_the_automaton(source in "(a|b|ab|\\.\\*|\\.\\+|\\(a\\|b\\)|\\[ab\\]|c\\?){0,5}", text in "[abc]{0,5}") {
        let regex = Regex::anchored(&source).expect("the parts are valid");
        prop_assert_eq!(regex.is_match(&text), regex.automaton().is_match(&*text), "{}", source);
    }

    #[test]
    fn literals_with_everything_escaped_match_themselves(text: String) {
        let source: String = text.chars().flat_map(|c| {
            let escape = c.is_ascii() && !c.is_ascii_alphanumeric();
            escape.then_some('\\').into_iter().chain([c])
        }).collect();
        prop_assert!(Regex::anchored(&source).expect("escaped").is_match(&text));
    }
}
