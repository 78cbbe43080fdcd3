//! JSON, token by token, in a text that may end anywhere.

use std::borrow::Cow;

/// Deepest nesting of values that nobody reads. The query API's own answers are six deep.
const DEPTH_MAX: usize = 64;

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text ends before the token does.
    More,
    /// This is not JSON.
    Malformed(&'static str),
    /// This is JSON, but not what the reader wants.
    Shape(&'static str),
}

/// A place in a text. After an error it stands at the byte that is to blame.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space, left where it is.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8, Stop> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Stop::More),
            }
        }
    }

    /// The next byte that is not white space, taken.
    #[inline]
    pub(super) fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// The fault of the byte that `next` just took.
    #[cold]
    pub(super) fn malformed(&mut self, what: &'static str) -> Stop {
        self.at -= 1;
        Stop::Malformed(what)
    }

    /// The fault of a value that is JSON but not wanted; if it is not JSON either, then that.
    #[cold]
    pub(super) fn wrong_value<T>(&mut self, what: &'static str) -> Result<T, Stop> {
        let at = self.at;
        self.skip_value()?;
        self.at = at;
        Err(Stop::Shape(what))
    }

    #[inline]
    pub(super) fn expect(&mut self, wanted: u8, what: &'static str) -> Result<(), Stop> {
        match self.next()? {
            found if found == wanted => Ok(()),
            _ => Err(self.malformed(what)),
        }
    }

    /// A key of an object, and the colon behind it.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, Stop> {
        let name = self.string()?;
        self.expect(b':', "no `:` behind a key")?;
        Ok(name)
    }

    /// All elements of an array, each read by `element`.
    #[inline]
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        if self.peek()? != b'[' {
            return self.wrong_value("something where an array was expected");
        }
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self)?;
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(self.malformed("no `,` or `]` behind an element")),
            }
        }
    }

    /// All fields of an object: `field` is given the key and reads the value.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if self.peek()? != b'{' {
            return self.wrong_value("something where an object was expected");
        }
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            field(self, key)?;
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(self.malformed("no `,` or `}` behind a value")),
            }
        }
    }

    /// A string that must be there, by its grammar.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        self.expect(b'"', "no string where one was expected")?;
        let start = self.at;
        match self.plain()? {
            b'"' => {
                let text = &self.text[start..self.at];
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            _ => self.escaped(start).map(Cow::Owned),
        }
    }

    /// A string, where any other value is a fault of shape.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, Stop> {
        match self.peek()? {
            b'"' => self.string(),
            _ => self.wrong_value("something where a string was expected"),
        }
    }

    /// Goes to the next quote or backslash, and says which; eight bytes at a time.
    #[inline]
    fn plain(&mut self) -> Result<u8, Stop> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let special = special_bytes(u64::from_le_bytes(*word));
            if special != 0 {
                at += special.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' | b'\\' => {
                    self.at = at;
                    return Ok(*byte);
                }
                0..0x20 => {
                    self.at = at;
                    return Err(Stop::Malformed("a control character in a string"));
                }
                _ => at += 1,
            }
        }
        Err(Stop::More)
    }

    /// The rest of a string that holds escapes: the cursor stands at the first.
    #[cold]
    fn escaped(&mut self, start: usize) -> Result<String, Stop> {
        let mut text = self.text[start..self.at].to_owned();
        loop {
            let from = self.at;
            let stop = self.plain()?;
            text.push_str(&self.text[from..self.at]);
            self.at += 1;
            if stop == b'"' {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    /// What stands behind a backslash. A surrogate without its other half becomes U+FFFD, as in Go.
    fn escape(&mut self) -> Result<char, Stop> {
        let byte = self.byte()?;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode_escape()?,
            _ => return Err(self.malformed("an unknown escape in a string")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, Stop> {
        let unit = self.hex4()?;
        if !(0xd800..0xdc00).contains(&unit) {
            return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let behind = self.at;
        if self.byte()? != b'\\' || self.byte()? != b'u' {
            self.at = behind;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            self.at = behind;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        Ok(char::from_u32(point).expect("two halves of a surrogate pair make a character"))
    }

    fn hex4(&mut self) -> Result<u32, Stop> {
        let mut unit = 0;
        for _ in 0..4 {
            let byte = self.byte()?;
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(self.malformed("an escape without its four hexadecimal digits"));
            };
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }

    /// The next byte, white space or not.
    #[inline]
    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = self.text.as_bytes().get(self.at).ok_or(Stop::More)?;
        self.at += 1;
        Ok(*byte)
    }

    /// The digits of a number; any other value is a fault of shape.
    #[inline]
    pub(super) fn number(&mut self) -> Result<&'a str, Stop> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => {}
            _ => return self.wrong_value("something where a number was expected"),
        }
        let start = self.at;
        if self.text.as_bytes()[start] == b'-' {
            self.at += 1;
        }
        if self.byte()? == b'0' {
            if self.text.as_bytes().get(self.at).is_some_and(u8::is_ascii_digit) {
                return Err(Stop::Malformed("a number with a leading zero"));
            }
        } else {
            self.at -= 1;
            self.digits()?;
        }
        let mut next = self.byte()?;
        if next == b'.' {
            self.digits()?;
            next = self.byte()?;
        }
        if next | 0x20 == b'e' {
            if !matches!(self.byte()?, b'+' | b'-') {
                self.at -= 1;
            }
            self.digits()?;
            self.byte()?;
        }
        self.at -= 1;
        Ok(&self.text[start..self.at])
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.byte()?.is_ascii_digit() {}
        self.at -= 1;
        if self.at == start { Err(Stop::Malformed("a number without digits")) } else { Ok(()) }
    }

    /// Passes over one value of any kind.
    pub(super) fn skip_value(&mut self) -> Result<(), Stop> {
        self.skip(DEPTH_MAX)
    }

    fn skip(&mut self, depth: usize) -> Result<(), Stop> {
        let depth_less = depth.checked_sub(1).ok_or(Stop::Malformed("values nested too deep"));
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(|cursor, _| cursor.skip(depth_less?)),
            b'[' => self.array(|cursor| cursor.skip(depth_less?)),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ => Err(Stop::Malformed("no value where one was expected")),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Stop> {
        for wanted in word.bytes() {
            if self.byte()? != wanted {
                return Err(self.malformed("no value where one was expected"));
            }
        }
        Ok(())
    }
}

/// Bit 7 of every byte that is a quote, a backslash or a control character; above the lowest such byte there may be
/// more bits than such bytes, since borrows run upwards.
///
/// Source: "Bit Twiddling Hacks" by Sean Eron Anderson, "Determine if a word has a byte less than n".
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    let less = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let equal = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    (less(word, 0x20) | equal(b'"') | equal(b'\\')) & TOPS
}
