//! The strings of an index while it is being written: each once, in byte order, by number.

use crate::block::error::BlockError;
use hashbrown::{HashSet, HashTable};
use model::Labels;
use std::hash::BuildHasher;

/// Sorted strings by number. Costs their bytes and about 12 bytes each.
#[derive(Debug)]
pub struct Symbols {
    text: String,
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
}

impl Default for Symbols {
    fn default() -> Self {
        Symbols::new()
    }
}

impl Symbols {
    /// Only the empty string, which every index has (it names the list of all series).
    pub fn new() -> Self {
        let mut symbols = Symbols {
            text: String::new(),
            ends: Vec::new(),
            numbers: HashTable::new(),
            hasher: foldhash::fast::FixedState::default(),
        };
        symbols.insert_last("");
        symbols
    }

    /// The names and values of some label sets.
    ///
    /// # Errors
    /// [`BlockError::TooLarge`] for more than 4 GiB.
    pub fn collect<'a>(sets: impl IntoIterator<Item = &'a Labels>) -> Result<Self, BlockError> {
        let mut seen: HashSet<&str, foldhash::fast::FixedState> = HashSet::default();
        for labels in sets {
            for (name, value) in labels.iter() {
                seen.insert(name);
                seen.insert(value);
            }
        }
        let mut sorted: Vec<&str> = seen.into_iter().collect();
        sorted.sort_unstable();
        let mut symbols = Symbols::new();
        for text in sorted {
            symbols.push(text)?;
        }
        Ok(symbols)
    }

    /// Appends the next string; the one that stands last already is passed over.
    ///
    /// # Errors
    /// [`BlockError::Misuse`] when it belongs in front of the last, [`BlockError::TooLarge`] beyond 4 GiB.
    pub fn push(&mut self, text: &str) -> Result<(), BlockError> {
        let last = self.get(self.ends.len() as u32 - 1);
        if text == last {
            return Ok(());
        }
        if text < last {
            return Err(BlockError::Misuse(format!("symbol {text:?} comes behind {last:?}")));
        }
        // lengths, count and strings share one section whose length is a u32
        if self.text.len() + text.len() + 5 * (self.ends.len() + 2) > u32::MAX as usize {
            return Err(BlockError::TooLarge { what: "the symbol table", limit: "4 GiB" });
        }
        self.insert_last(text);
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The string with this number, or the empty one.
    pub fn get(&self, number: u32) -> &str {
        get(&self.text, &self.ends, number)
    }

    /// The number of a string.
    pub fn number(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.numbers.find(hash, |number| self.get(*number) == text).copied()
    }

    /// All strings, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.get(number))
    }

    fn insert_last(&mut self, text: &str) {
        self.text.push_str(text);
        let number = self.ends.len() as u32;
        self.ends.push(self.text.len() as u32);
        let (hasher, all, ends) = (&self.hasher, &self.text, &self.ends);
        self.numbers.insert_unique(hasher.hash_one(text), number, |other| hasher.hash_one(get(all, ends, *other)));
    }
}

fn get<'a>(text: &'a str, ends: &[u32], number: u32) -> &'a str {
    let at = number as usize;
    let start = if at == 0 { 0 } else { ends.get(at - 1).copied().unwrap_or(0) as usize };
    ends.get(at).map_or("", |end| &text[start..*end as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_sorted_and_numbered() {
        let sets = [Labels::from_pairs([("b", "x"), ("a", "b")]), Labels::from_pairs([("a", "ü")])];
        let symbols = Symbols::collect(&sets).expect("small");
        assert_eq!(symbols.iter().collect::<Vec<_>>(), ["", "a", "b", "x", "ü"]);
        assert_eq!((symbols.number("x"), symbols.number("y"), symbols.number("")), (Some(3), None, Some(0)));
    }

    #[test]
    fn order_is_demanded() {
        let mut symbols = Symbols::new();
        symbols.push("b").expect("first");
        symbols.push("b").expect("the same again");
        assert!(symbols.push("a").is_err());
        assert_eq!(symbols.count(), 2);
    }
}
