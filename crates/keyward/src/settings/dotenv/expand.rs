//! References in values: `${NAME}` and `${NAME:-default}`, as python-dotenv replaces them.
//!
//! Invariant: one pass from left to right, and nothing that a reference yields is read again.

/// A piece of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Reference {
        name: &'a str,
        default: Option<&'a str>,
    },
}

/// The pieces of a value.
pub(super) fn pieces(value: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut from) = (value, 0);
    while let Some(at) = rest[from..].find("${").map(|at| from + at) {
        let Some((reference, length)) = reference(&rest[at..]) else {
            from = at + 2;
            continue;
        };
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        pieces.push(reference);
        (rest, from) = (&rest[at + length..], 0);
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// The reference that `text` begins with, and its length.
fn reference(text: &str) -> Option<(Piece<'_>, usize)> {
    let inner = text.strip_prefix("${")?;
    let end = inner.find(['}', ':'])?;
    let (name, rest) = inner.split_at(end);
    let (default, length) = if rest.starts_with('}') {
        (None, end)
    } else {
        let default = rest.strip_prefix(":-")?;
        let default = &default[..default.find('}')?];
        (Some(default), end + 2 + default.len())
    };
    Some((Piece::Reference { name, default }, length + 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_as_the_pattern_of_python_dotenv_finds_them() {
        let reference = |name, default| Piece::Reference { name, default };
        for (value, expected) in [
            ("", vec![]),
            ("a$b", vec![Piece::Text("a$b")]),
            ("${A}", vec![reference("A", None)]),
            (
                "x${A:-d:e}y",
                vec![
                    Piece::Text("x"),
                    reference("A", Some("d:e")),
                    Piece::Text("y"),
                ],
            ),
            ("${A:-}", vec![reference("A", Some(""))]),
            ("${}", vec![reference("", None)]),
            ("${A:b}", vec![Piece::Text("${A:b}")]),
            ("${A", vec![Piece::Text("${A")]),
            (
                "${A:-${B}}",
                vec![reference("A", Some("${B")), Piece::Text("}")],
            ),
            ("${A:${B}", vec![Piece::Text("${A:"), reference("B", None)]),
            ("$${A}", vec![Piece::Text("$"), reference("A", None)]),
        ] {
            assert_eq!(pieces(value), expected, "{value}");
        }
    }
}
