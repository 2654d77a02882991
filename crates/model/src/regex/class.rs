//! Sets of characters: brackets, `\d`, `[:alpha:]`, `\p{Greek}`, with Go's case folding.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The set `\d`, `\s` or `\w` means: ASCII, in Go.
pub(super) fn perl(letter: char) -> Option<ClassUnicode> {
    Some(match letter.to_ascii_lowercase() {
        'd' => of(&[('0', '9')]),
        's' => of(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')]),
        'w' => of(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        _ => return None,
    })
}

/// The set a name inside `[:…:]` means.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    Some(match name {
        "alnum" => of(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => of(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => of(&[('\0', '\x7f')]),
        "blank" => of(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => of(&[('\0', '\x1f'), ('\x7f', '\x7f')]),
        "digit" => of(&[('0', '9')]),
        "graph" => of(&[('!', '~')]),
        "lower" => of(&[('a', 'z')]),
        "print" => of(&[(' ', '~')]),
        "punct" => of(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => of(&[('\t', '\r'), (' ', ' ')]),
        "upper" => of(&[('A', 'Z')]),
        "word" => of(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        "xdigit" => of(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return None,
    })
}

/// The set `\p{name}` means: a general category or a script; case, spaces, `-` and `_` in the name do not matter.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-'));
    if !plain {
        return None;
    }
    let forms = [format!(r"\p{{gc={name}}}"), format!(r"\p{{sc={name}}}")];
    let hir = forms.iter().find_map(|form| regex_syntax::parse(form).ok())?;
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class.clone()),
        // a class of one character is simplified to a literal
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(of(&[(c, c)]))
        }
        _ => None,
    }
}

/// Every character; without the line break if so asked.
pub(super) fn any(line_break_too: bool) -> ClassUnicode {
    if line_break_too { of(&[('\0', char::MAX)]) } else { of(&[('\0', '\t'), ('\x0b', char::MAX)]) }
}

/// The code points `first..=last`, without the surrogates, which no text holds.
pub(super) fn range(first: u32, last: u32) -> ClassUnicode {
    let mut class = ClassUnicode::empty();
    for (first, last) in [(first, last.min(0xd7ff)), (first.max(0xe000), last)] {
        if let (true, Some(first), Some(last)) = (first <= last, char::from_u32(first), char::from_u32(last)) {
            class.push(ClassUnicodeRange::new(first, last));
        }
    }
    class
}

/// Adds the other cases of every character; only if asked.
pub(super) fn folded(mut class: ClassUnicode, fold: bool) -> ClassUnicode {
    if fold {
        // cannot fail: the case tables are compiled in (regex-syntax feature `unicode-case`)
        let _ = class.try_case_fold_simple();
    }
    class
}

fn of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(first, last)| ClassUnicodeRange::new(*first, *last)))
}
