//! "Did you mean": the known name nearest to one that is not known.

/// Longest name that is compared; nobody mistypes longer ones by a letter or two.
const NAME_CHARS_MAX: usize = 64;

/// The candidate nearest to `name` by edits (insert, delete, replace, swap neighbours), if it is near enough to be meant:
/// at most a third of its length away, at most three edits, case not counted. Of equally near ones the first.
pub fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().flat_map(char::to_lowercase).take(NAME_CHARS_MAX + 1).collect();
    if wanted.is_empty() || wanted.len() > NAME_CHARS_MAX {
        return None;
    }
    let plain =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let wanted_plain = plain(name);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let found: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        // `keepFiringFor` and `keep-firing-for` are `keep_firing_for`, however many edits apart.
        let distance = if plain(candidate) == wanted_plain { 0 } else { edits(&wanted, &found) };
        let bound = (found.len().max(wanted.len()) / 3).clamp(1, 3);
        if distance <= bound && best.is_none_or(|(nearest, _)| distance < nearest) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, from_char) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to_char) in to.iter().enumerate() {
            let mut cost = (last[column] + usize::from(from_char != to_char)).min(last[column + 1] + 1);
            cost = cost.min(current[column] + 1);
            let swapped = row > 0 && column > 0 && *from_char == to[column - 1] && from[row - 1] == *to_char;
            if swapped {
                cost = cost.min(before_last[column - 1] + 1);
            }
            current.push(cost);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations", "interval"];
        for (name, expected) in [
            ("annotation", Some("annotations")),
            ("expresion", None),
            ("exrp", Some("expr")),
            ("fro", Some("for")),
            ("keepFiringFor", Some("keep_firing_for")),
            ("keep-firing-for", Some("keep_firing_for")),
            ("Labels", Some("labels")),
            ("interrrrval", Some("interval")),
            ("interrrrrrrrval", None),
            ("", None),
            ("x", None),
            ("service", None),
            ("été", None),
        ] {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), &known), None);
    }
}
