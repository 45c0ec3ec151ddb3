//! Lines broken as Python's textwrap does it.
//! <https://docs.python.org/3/library/textwrap.html>

/// How lines are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrap {
    /// The longest line.
    pub width: usize,
    /// Whether words that are longer are broken.
    pub break_words: bool,
    /// Whether words are broken at their hyphens.
    pub break_hyphens: bool,
}

/// Breaks one line.
pub fn wrap(line: &str, how: Wrap) -> Vec<String> {
    let mut chunks = chunks(line, how.break_hyphens);
    chunks.reverse();
    let is_space = |chunk: &[char]| chunk.iter().all(|c| c.is_whitespace());
    let mut lines = Vec::new();
    while let Some(next) = chunks.last() {
        if is_space(next) && !lines.is_empty() {
            chunks.pop();
        }
        let mut current: Vec<Vec<char>> = Vec::new();
        let mut length = 0;
        while let Some(chunk) = chunks.pop_if(|chunk| length + chunk.len() <= how.width) {
            length += chunk.len();
            current.push(chunk);
        }
        if let Some(long) = chunks.last_mut().filter(|chunk| chunk.len() > how.width) {
            if how.break_words {
                let rest = long.split_off(end_of_part(long, how.width - length, how));
                current.push(std::mem::replace(long, rest));
            } else if current.is_empty() {
                current.extend(chunks.pop());
            }
        }
        if current.last().is_some_and(|chunk| is_space(chunk)) {
            current.pop();
        }
        if !current.is_empty() {
            lines.push(current.into_iter().flatten().collect());
        }
    }
    lines
}

/// Where a word that is too long is broken: at its last hyphen that fits, or where the room ends.
fn end_of_part(word: &[char], room: usize, how: Wrap) -> usize {
    if !how.break_hyphens || word.len() <= room {
        return room.min(word.len());
    }
    match word[..room].iter().rposition(|c| *c == '-') {
        Some(at) if word[..at].iter().any(|c| *c != '-') => at + 1,
        _ => room,
    }
}

/// Runs of spaces, and words or the parts of words between which a line may end.
fn chunks(line: &str, hyphens: bool) -> Vec<Vec<char>> {
    let is_space = |c: char| matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ');
    let characters: Vec<char> = line.chars().collect();
    let mut chunks = Vec::new();
    for run in characters.chunk_by(|a, b| is_space(*a) == is_space(*b)) {
        match hyphens && !is_space(run[0]) {
            true => chunks.extend(parts(run)),
            false => chunks.push(run.to_vec()),
        }
    }
    chunks
}

/// The parts of a word: up to each hyphen between letters, and dashes by themselves.
fn parts(word: &[char]) -> Vec<Vec<char>> {
    let letter = |at: usize| word.get(at).is_some_and(|c| c.is_alphabetic() || *c == '_');
    let in_word = |at: usize| {
        word.get(at)
            .is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    let mark = |at: usize| in_word(at) || word.get(at).is_some_and(|c| "!\"'&.,?".contains(*c));
    let hyphen = |at: usize| word.get(at) == Some(&'-');
    let dashes = |at: usize| {
        let length = word[at..].iter().take_while(|c| **c == '-').count();
        (length >= 2 && at > 0 && mark(at - 1) && in_word(at + length)).then_some(length)
    };
    let breaks = |end: usize| {
        let before = end >= 3
            && (letter(end - 3) && letter(end - 2)
                || end >= 4 && letter(end - 4) && hyphen(end - 3) && mark(end - 2));
        let after = letter(end) && (letter(end + 1) || hyphen(end + 1) && letter(end + 2));
        hyphen(end - 1) && before && after
    };
    let mut parts = Vec::new();
    let mut at = 0;
    while at < word.len() {
        let end = match dashes(at) {
            Some(length) => at + length,
            None => (at + 1..word.len())
                .find(|end| *end >= at + 2 && breaks(*end) || dashes(*end).is_some())
                .unwrap_or(word.len()),
        };
        parts.push(word[at..end].to_vec());
        at = end;
    }
    parts
}
