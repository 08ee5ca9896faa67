//! Texts that a regular expression matches: literals, `.`, classes, escapes, groups, `|` and greedy repetition. What is outside of
//! that (look-around, back references, boundaries) is refused by name. Repetition without an end goes on for at most 16 more.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::iter::Peekable;
use std::str::Chars;

const MAX_DEPTH: usize = 50;
const MAX_LENGTH: u64 = 100_000;
const ENDLESS: u32 = 16;

/// An expression, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// A character of these ranges, both ends included.
    Class(Vec<(char, char)>),
    All(Vec<Pattern>),
    Any(Vec<Pattern>),
    /// So many times, both included.
    Repeat(Box<Pattern>, u32, u32),
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, or not built.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.chars().peekable() };
        let pattern = parser.alternatives(0).map_err(|e| format!("regex {text:?}: {e}"))?;
        if parser.rest.peek().is_some() {
            return Err(format!("regex {text:?}: a ) without its ("));
        }
        if pattern.longest() > MAX_LENGTH {
            return Err(format!("regex {text:?}: it matches texts of more than {MAX_LENGTH} characters"));
        }
        Ok(pattern)
    }

    /// The length of the longest text.
    fn longest(&self) -> u64 {
        match self {
            Self::Class(_) => 1,
            Self::All(parts) => parts.iter().map(Self::longest).fold(0, u64::saturating_add),
            Self::Any(choices) => choices.iter().map(Self::longest).max().unwrap_or(0),
            Self::Repeat(part, _, max) => part.longest().saturating_mul((*max).into()),
        }
    }

    /// Appends a text that matches.
    pub(super) fn draw(&self, random: &mut ChaCha8Rng, out: &mut String) {
        match self {
            Self::Class(ranges) => out.extend(draw_of(ranges, random)),
            Self::All(parts) => parts.iter().for_each(|p| p.draw(random, out)),
            Self::Any(choices) => {
                let at = random.random_range(0..choices.len().max(1));
                if let Some(choice) = choices.get(at) {
                    choice.draw(random, out);
                }
            }
            Self::Repeat(part, min, max) => {
                for _ in 0..random.random_range(*min..=*max) {
                    part.draw(random, out);
                }
            }
        }
    }
}

/// One character of the ranges, each as likely.
fn draw_of(ranges: &[(char, char)], random: &mut ChaCha8Rng) -> Option<char> {
    let size = |(low, high): &(char, char)| *high as u32 - *low as u32 + 1;
    let total: u32 = ranges.iter().map(size).sum();
    let mut at = random.random_range(0..total.max(1));
    for range in ranges {
        if at < size(range) {
            return char::from_u32(range.0 as u32 + at).or(Some(range.0));
        }
        at -= size(range);
    }
    None
}

const DIGIT: [(char, char); 1] = [('0', '9')];
const WORD: [(char, char); 4] = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: [(char, char); 1] = [(' ', ' ')];
const PRINTABLE: (char, char) = (' ', '~');

/// The printable ASCII characters that are not in the ranges.
fn others(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let free = |c: &char| !ranges.iter().any(|(low, high)| (*low..=*high).contains(c));
    (PRINTABLE.0..=PRINTABLE.1).filter(free).map(|c| (c, c)).collect()
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Parser<'_> {
    fn alternatives(&mut self, depth: usize) -> Result<Pattern, String> {
        if depth > MAX_DEPTH {
            return Err(format!("groups are nested deeper than {MAX_DEPTH}"));
        }
        let mut choices = vec![self.sequence(depth)?];
        while self.rest.next_if_eq(&'|').is_some() {
            choices.push(self.sequence(depth)?);
        }
        Ok(if choices.len() == 1 { choices.remove(0) } else { Pattern::Any(choices) })
    }

    fn sequence(&mut self, depth: usize) -> Result<Pattern, String> {
        let mut parts = Vec::new();
        while let Some(next) = self.rest.next_if(|c| !matches!(c, '|' | ')')) {
            let part = match next {
                '(' => self.group(depth)?,
                '[' => Pattern::Class(self.class()?),
                '.' => Pattern::Class(vec![PRINTABLE]),
                '\\' => Pattern::Class(self.escape()?),
                // The whole text is made by it in any case.
                '^' | '$' => continue,
                '*' | '+' | '?' => return Err(format!("{next} without something to repeat")),
                literal => Pattern::Class(vec![(literal, literal)]),
            };
            parts.push(self.repeated(part)?);
        }
        Ok(Pattern::All(parts))
    }

    fn group(&mut self, depth: usize) -> Result<Pattern, String> {
        if self.rest.next_if_eq(&'?').is_some() && self.rest.next() != Some(':') {
            return Err("(?...) is not built but for (?:...)".to_owned());
        }
        let inner = self.alternatives(depth + 1)?;
        match self.rest.next() {
            Some(')') => Ok(inner),
            _ => Err("a ( without its )".to_owned()),
        }
    }

    fn repeated(&mut self, part: Pattern) -> Result<Pattern, String> {
        let (min, max) = match self.rest.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => {
                self.rest.next();
                let min = self.number()?.unwrap_or(0);
                let max = match self.rest.peek() {
                    Some(',') => {
                        self.rest.next();
                        self.number()?
                    }
                    _ => Some(min),
                };
                if self.rest.peek() != Some(&'}') {
                    return Err("a { without its }".to_owned());
                }
                (min, max)
            }
            _ => return Ok(part),
        };
        self.rest.next();
        if let Some(sign @ ('?' | '+' | '*' | '{')) = self.rest.peek() {
            return Err(format!("{sign} after a repetition is not built"));
        }
        let max = max.unwrap_or(min.saturating_add(ENDLESS));
        if max < min {
            return Err(format!("{{{min},{max}}}: the second number is less than the first"));
        }
        Ok(Pattern::Repeat(Box::new(part), min, max))
    }

    fn number(&mut self) -> Result<Option<u32>, String> {
        let mut text = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            text.push(digit);
        }
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| format!("{text} is too large a number of repetitions"))
    }

    fn escape(&mut self) -> Result<Vec<(char, char)>, String> {
        Ok(match self.rest.next() {
            Some('d') => DIGIT.to_vec(),
            Some('w') => WORD.to_vec(),
            Some('s') => SPACE.to_vec(),
            Some('D') => others(&DIGIT),
            Some('W') => others(&WORD),
            Some('S') => others(&SPACE),
            Some('t') => vec![('\t', '\t')],
            Some('n') => vec![('\n', '\n')],
            Some('r') => vec![('\r', '\r')],
            Some(c) if c.is_alphanumeric() => return Err(format!("\\{c} is not built")),
            Some(c) => vec![(c, c)],
            None => return Err("it ends in a \\".to_owned()),
        })
    }

    fn class(&mut self) -> Result<Vec<(char, char)>, String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges: Vec<(char, char)> = Vec::new();
        loop {
            let low = match self.rest.next() {
                None => return Err("a [ without its ]".to_owned()),
                Some(']') if !ranges.is_empty() => break,
                Some('\\') => match self.escape()?.as_slice() {
                    [(one, same)] if one == same => *one,
                    several => {
                        ranges.extend_from_slice(several);
                        continue;
                    }
                },
                Some(c) => c,
            };
            let mut ahead = self.rest.clone();
            ahead.next();
            if self.rest.peek() != Some(&'-') || ahead.peek() == Some(&']') {
                ranges.push((low, low));
                continue;
            }
            self.rest.next();
            match self.rest.next() {
                Some(high) if high >= low && high != '\\' => ranges.push((low, high)),
                _ => return Err(format!("the range that begins with {low}- has no end after it")),
            }
        }
        let ranges = if negated { others(&ranges) } else { ranges };
        if ranges.is_empty() { Err("a class that holds nothing".to_owned()) } else { Ok(ranges) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn what_is_drawn_matches_the_expression() {
        for text in [
            "User_[1-9]{0,1}",
            "Region_[1-9]?",
            "Product_[1-9][0-9]{0,2}",
            "(foo|bar)+-\\d{3}\\.[A-Za-z_-]*",
            "[^a-z]{2,}",
            "^\\w+@\\w+\\.(com|org)$",
            "(?:a|b|)c",
            "[\\d\\-x]{4}",
            "[]a]+",
            "ä[à-é]",
            "",
        ] {
            let pattern = Pattern::new(text).unwrap();
            let wanted = regex::Regex::new(&format!("^(?:{})$", text.replace("[]a]", "[\\]a]"))).unwrap();
            let mut random = ChaCha8Rng::seed_from_u64(1);
            for _ in 0..200 {
                let mut out = String::new();
                pattern.draw(&mut random, &mut out);
                assert!(wanted.is_match(&out), "{text}: {out:?}");
            }
        }
    }

    #[test]
    fn what_is_not_built_is_refused() {
        for text in [
            "(?=a)",
            "a*?",
            "\\bx",
            "\\1",
            "(a",
            "a)",
            "[a",
            "[z-a]",
            "*a",
            "a{2,1}",
            "a{2",
            "a{99999999999}",
            "\\",
            "((a{1000}){1000}){1000}",
        ] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
        assert!(Pattern::new(&"(".repeat(100_000)).is_err());
    }
}
