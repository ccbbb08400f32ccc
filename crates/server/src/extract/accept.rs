//! Content negotiation by `Accept` (RFC 9110 §12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

use super::media_type::{Cursor, MediaType, NotAParameter};

/// The client's preference for a media type: the weight and the specificity of the most specific range that matches it.
/// The default is that of a type that no range matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preference {
    /// The weight in thousandths: 0, "not acceptable", to 1,000.
    pub(crate) weight: u16,
    specificity: u8,
}

impl Preference {
    /// Whether a range names the type itself, without a wildcard.
    pub(crate) fn is_by_name(self) -> bool {
        self.specificity >= BY_NAME
    }
}

/// The specificity of `type/subtype`. Each parameter adds one.
const BY_NAME: u8 = 2;

/// The client's preference for `offered`. A malformed element is ignored.
pub(crate) fn preference(headers: &HeaderMap, offered: &MediaType<'_>) -> Preference {
    let lines = headers.get_all(ACCEPT).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let ranges = lines.flat_map(|line| Ranges(Cursor(line), offered));
    // Of two equally specific ranges, the one with the greater weight counts.
    let best = ranges.max_by_key(|preference| (preference.specificity, preference.weight));
    best.unwrap_or_default()
}

/// An iterator over the preferences in one line, for the ranges that match the type.
struct Ranges<'t, 'o>(Cursor<'t>, &'o MediaType<'o>);

impl Iterator for Ranges<'_, '_> {
    type Item = Preference;

    fn next(&mut self) -> Option<Preference> {
        let Self(rest, offered) = self;
        loop {
            rest.skip_blanks();
            if rest.eat(',') {
                continue;
            }
            if rest.0.is_empty() {
                return None;
            }
            let read = range(rest, offered);
            rest.skip_element();
            if let Ok(Some(preference)) = read {
                return Some(preference);
            }
        }
    }
}

/// Parses one range. Returns `None` if it does not match `offered`.
fn range(
    rest: &mut Cursor<'_>,
    offered: &MediaType<'_>,
) -> Result<Option<Preference>, NotAParameter> {
    let essence = rest.essence().ok_or(NotAParameter)?;
    let mut specificity = match essence {
        "*/*" => Some(0),
        _ if essence
            .strip_suffix("/*")
            .is_some_and(|kind| offered.is_of_kind(kind)) =>
        {
            Some(1)
        }
        _ => offered.is(essence).then_some(BY_NAME),
    };
    let mut weight = None;
    while let Some((name, value)) = rest.parameter()? {
        if weight.is_some() {
            // Parameters after the weight are extensions, of which none is defined.
        } else if name.eq_ignore_ascii_case("q") {
            weight = Some(thousandths(&value).ok_or(NotAParameter)?);
        } else {
            let has = offered
                .parameter(name)
                .is_some_and(|of| of.eq_ignore_ascii_case(&value));
            specificity = specificity
                .filter(|_| has)
                .map(|close: u8| close.saturating_add(1));
        }
    }
    rest.is_at_end().then_some(()).ok_or(NotAParameter)?;
    let weight = weight.unwrap_or(1_000);
    Ok(specificity.map(|specificity| Preference {
        weight,
        specificity,
    }))
}

/// Parses a `qvalue` (RFC 9110 §12.4.2): 0 to 1 with up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_short = decimals.len() <= 3 && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths = format!("{decimals:0<3}")
        .parse()
        .ok()
        .filter(|_| is_short)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(lines: &[&str], offered: &str) -> u16 {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, line.parse().unwrap());
        }
        preference(&headers, &MediaType::parse(offered).unwrap()).weight
    }

    #[test]
    fn the_closest_range_has_the_weight() {
        // RFC 9110 §12.5.1.
        let accept = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, \
            text/plain;format=fixed;q=0.4, */*;q=0.5";
        for (offered, expected) in [
            ("text/plain;format=flowed", 1_000),
            ("text/plain", 700),
            ("text/html", 300),
            ("image/jpeg", 500),
            ("text/plain;format=fixed", 400),
            ("text/html;level=3", 300),
        ] {
            assert_eq!(weight(&[accept], offered), expected, "{offered}");
        }
    }

    #[test]
    fn weights_are_read_as_they_are_written_and_what_is_none_counts_for_nothing() {
        for (accept, expected) in [
            ("text/html", 1_000),
            ("TEXT/HTML;Q=0.5", 500),
            ("text/html ; q=0.25", 250),
            ("text/html\t;\tq=0.001", 1),
            ("text/html;q=1.000", 1_000),
            ("text/html;q=1.", 1_000),
            ("text/html;q=0", 0),
            ("text/html;q=0.", 0),
            ("text/html;q=0.000", 0),
            ("*/*, text/html;q=0.0", 0),
            ("text/html;q=0, */*", 0),
            ("text/*;q=0, */*", 0),
            ("text/html;q=0.2, text/html;q=0.3", 300),
            (",, ,text/html;q=0.4,,", 400),
            ("x/y;z=\"a, text/html;q=0.1\", text/html;q=0.6", 600),
            ("x/y;z=\"\\\", text/html;q=0.1\", text/html;q=0.6", 600),
            ("text/html;charset=utf-8;q=0.7, text/html;q=0.1", 700),
            ("text/html;charset=\"UTF-8\"", 1_000),
            ("text/html;level=1", 0),
            ("text/html;q=0.3;level=1", 300),
            ("text/html;q=1.5", 0),
            ("text/html;q=1.001", 0),
            ("text/html;q=-1", 0),
            ("text/html;q=.5", 0),
            ("text/html;q=0.1234", 0),
            ("text/html;q=0,5", 0),
            ("text/html;q=high, */*;q=0.1", 100),
            ("text/html;q, */*;q=0.1", 100),
            ("text/html x, */*;q=0.1", 100),
            ("text", 0),
            ("text/htm", 0),
            ("application/*", 0),
            ("*", 0),
            ("", 0),
        ] {
            assert_eq!(
                weight(&[accept], "text/html; charset=utf-8"),
                expected,
                "{accept}"
            );
        }
        let lines = ["application/json", "text/html;q=0.8"];
        assert_eq!(weight(&lines, "text/html"), 800);
        assert_eq!(weight(&[], "text/html"), 0);
    }
}
