//! Query parameters as Prometheus reads them: Go's form rules, Go's words for faults.

use crate::model::quote;

/// The parameters of a request, in the order given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the part of a URL after `?`. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// Errors: Go's `url.ParseQuery` texts.
    pub(super) fn parse(query: &str) -> Result<Form, String> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                return Err("invalid semicolon separator in query".to_owned());
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((unescape(name)?, unescape(value)?));
        }
        Ok(Form(pairs))
    }

    /// The first value of a parameter; empty if there is none, which Prometheus does not tell apart.
    pub(super) fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = bytes.get(at + 1).copied().and_then(hex).zip(bytes.get(at + 2).copied().and_then(hex));
                let Some((high, low)) = digits else {
                    let shown = String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 3)]);
                    return Err(format!("invalid URL escape {}", quote(&shown)));
                };
                out.push(high << 4 | low);
                at += 2;
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    Ok(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(text))),
    }
}

/// Go's `strconv.ParseInt` in base 10, to 32 bits.
pub(super) fn parse_int(text: &str) -> Result<i32, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.ParseInt: parsing {}: invalid syntax", quote(text)));
    }
    text.parse().map_err(|_| format!("strconv.ParseInt: parsing {}: value out of range", quote(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_read_as_go_reads_them() {
        let form = Form::parse("a=1&b=x%20y+z&a=2&&c&%C3%A9=%ff").expect("well formed");
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(form.first("b"), "x y z");
        assert_eq!(form.all("c").collect::<Vec<_>>(), [""]);
        assert_eq!(form.first("é"), "\u{fffd}");
        assert_eq!(form.first("none"), "");
        for (query, error) in [
            ("a=%zz", "invalid URL escape \"%zz\""),
            ("a=%1", "invalid URL escape \"%1\""),
            ("a=1;b=2", "invalid semicolon separator in query"),
        ] {
            assert_eq!(Form::parse(query), Err(error.to_owned()));
        }
    }

    #[test]
    fn numbers_and_booleans_have_gos_words() {
        assert_eq!(parse_int("+12"), Ok(12));
        for (text, error) in [
            ("", "strconv.ParseInt: parsing \"\": invalid syntax"),
            ("1_0", "strconv.ParseInt: parsing \"1_0\": invalid syntax"),
            ("2147483648", "strconv.ParseInt: parsing \"2147483648\": value out of range"),
        ] {
            assert_eq!(parse_int(text), Err(error.to_owned()));
        }
        assert_eq!(parse_bool("tRUE"), Err("strconv.ParseBool: parsing \"tRUE\": invalid syntax".to_owned()));
    }
}
