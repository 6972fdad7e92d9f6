//! JSON (RFC 8259) from its text to a tree, in an eighth of the code that serde_json brings into a module.

use crate::{Json, Limits, MOST_NAMED, Refused, Unwanted, child};

/// Up to here every whole number is a double of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a document to its end.
///
/// # Errors
/// Where it ceases to be JSON; or every key that stands twice in one object.
pub fn parse(text: &[u8], limits: Limits) -> Result<Json, Refused> {
    let mut parser = Parser { text, at: 0, path: Vec::new(), unwanted: Vec::new(), limits };
    let parsed = parser.value().and_then(|tree| match parser.peek_token() {
        None => Ok(tree),
        Some(_) => Err(What::Trailing),
    });
    match parsed {
        Ok(tree) if parser.unwanted.is_empty() => Ok(tree),
        Ok(_) => Err(Refused::Fields(parser.unwanted)),
        Err(what) => Err(parser.syntax_error(what)),
    }
}

/// What is wrong with the syntax.
#[derive(Clone, Copy)]
enum What {
    Value,
    Key,
    Colon,
    ListEnd,
    ObjectEnd,
    Ended,
    Text,
    Escape,
    Surrogate,
    Control,
    Number,
    Range,
    Depth,
    Trailing,
}

impl What {
    fn told(self) -> &'static str {
        match self {
            What::Value => "expected value",
            What::Key => "expected a key in quotes",
            What::Colon => "expected `:`",
            What::ListEnd => "expected `,` or `]`",
            What::ObjectEnd => "expected `,` or `}`",
            What::Ended => "unexpected end",
            What::Text => "no UTF-8",
            What::Escape => "invalid escape",
            What::Surrogate => "half of a surrogate pair",
            What::Control => "control character in a string",
            What::Number => "invalid number",
            What::Range => "number out of range",
            What::Depth => "recursion limit exceeded",
            What::Trailing => "trailing characters",
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// Down to the value that is read, for errors.
    path: Vec<Step>,
    unwanted: Vec<Unwanted>,
    limits: Limits,
}

enum Step {
    Key(String),
    Index(usize),
}

type Read<T> = Result<T, What>;

impl Parser<'_> {
    #[cold]
    fn syntax_error(&self, what: What) -> Refused {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count().saturating_add(1);
        Refused::Syntax { what: what.told(), line, column }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self) {
        // Never beyond the end by more than one.
        self.at = self.at.wrapping_add(1);
    }

    /// The next byte that is no white space.
    #[inline(never)]
    fn peek_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.skip();
        }
        self.peek()
    }

    fn value(&mut self) -> Read<Json> {
        match self.peek_token().ok_or(What::Ended)? {
            b'{' | b'[' if self.path.len() >= self.limits.depth => Err(What::Depth),
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => self.string().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            b'n' => self.word(b"null", Json::Null),
            b't' => self.word(b"true", Json::Bool(true)),
            b'f' => self.word(b"false", Json::Bool(false)),
            _ => Err(What::Value),
        }
    }

    fn word(&mut self, word: &[u8], value: Json) -> Read<Json> {
        match self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            true => {
                self.at = self.at.saturating_add(word.len());
                Ok(value)
            }
            false => Err(What::Value),
        }
    }

    fn list(&mut self) -> Read<Json> {
        self.skip();
        let mut items = Vec::new();
        if self.peek_token() == Some(b']') {
            self.skip();
            return Ok(Json::List(items));
        }
        loop {
            self.path.push(Step::Index(items.len()));
            items.push(self.value()?);
            self.path.pop();
            match self.peek_token().ok_or(What::Ended)? {
                b',' => self.skip(),
                b']' => break,
                _ => return Err(What::ListEnd),
            }
        }
        self.skip();
        Ok(Json::List(items))
    }

    fn object(&mut self) -> Read<Json> {
        self.skip();
        let mut fields: Vec<(String, Json)> = Vec::new();
        if self.peek_token() == Some(b'}') {
            self.skip();
            return Ok(Json::Object(fields));
        }
        loop {
            match self.peek_token().ok_or(What::Ended)? {
                b'"' => {}
                _ => return Err(What::Key),
            }
            let key = self.string()?;
            match self.peek_token().ok_or(What::Ended)? {
                b':' => self.skip(),
                _ => return Err(What::Colon),
            }
            let keep = self.check_key(&fields, &key);
            self.path.push(Step::Key(key));
            let value = self.value()?;
            // What was refused only had to be read to its end.
            if let Some(Step::Key(key)) = self.path.pop()
                && keep
            {
                fields.push((key, value));
            }
            match self.peek_token().ok_or(What::Ended)? {
                b',' => self.skip(),
                b'}' => break,
                _ => return Err(What::ObjectEnd),
            }
        }
        self.skip();
        Ok(Json::Object(fields))
    }

    fn check_key(&mut self, fields: &[(String, Json)], key: &str) -> bool {
        let most = self.limits.fields;
        let message = if fields.len() >= most {
            format!("expected at most {most} fields in an object, found one more")
        } else if fields.iter().any(|(name, _)| name == key) {
            format!("expected one `{key}`, found a second")
        } else {
            return true;
        };
        if self.unwanted.len() >= MOST_NAMED {
            return false;
        }
        let pointer = self.path.iter().fold(String::new(), |pointer, step| match step {
            Step::Key(key) => child(&pointer, key),
            Step::Index(index) => child(&pointer, &index.to_string()),
        });
        self.unwanted.push(Unwanted { pointer: child(&pointer, key), message });
        false
    }

    fn string(&mut self) -> Read<String> {
        self.skip();
        let mut bytes = Vec::new();
        loop {
            // What needs no look by itself is taken at once: nearly always all of it.
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let (plain, _) = rest.split_at_checked(plain.unwrap_or(rest.len())).unwrap_or_default();
            bytes.extend_from_slice(plain);
            self.at = self.at.saturating_add(plain.len());
            match self.peek().ok_or(What::Ended)? {
                b'"' => break,
                b'\\' => {
                    self.skip();
                    let unescaped = self.escape()?;
                    bytes.extend_from_slice(unescaped.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(What::Control),
            }
        }
        self.skip();
        String::from_utf8(bytes).map_err(|_| What::Text)
    }

    fn escape(&mut self) -> Read<char> {
        let escaped = self.peek().ok_or(What::Ended)?;
        let char = match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.skip();
                return self.unicode();
            }
            _ => return Err(What::Escape),
        };
        self.skip();
        Ok(char)
    }

    fn unicode(&mut self) -> Read<char> {
        let first = self.hex()?;
        if let Some(char) = char::from_u32(first) {
            return Ok(char);
        }
        let follows = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"));
        if first >= 0xdc00 || !follows {
            return Err(What::Surrogate);
        }
        self.at = self.at.saturating_add(2);
        match self.hex()? {
            second @ 0xdc00..=0xdfff => {
                let offset = (first & 0x3ff) << 10 | (second & 0x3ff);
                char::from_u32(offset.saturating_add(0x10000)).ok_or(What::Surrogate)
            }
            _ => Err(What::Surrogate),
        }
    }

    fn hex(&mut self) -> Read<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16)).ok_or(What::Escape)?;
            value = value << 4 | digit;
            self.skip();
        }
        Ok(value)
    }

    fn number(&mut self) -> Read<Json> {
        let negative = self.peek() == Some(b'-');
        if negative {
            self.skip();
        }
        let mut digits = Digits::default();
        if self.peek() == Some(b'0') {
            self.skip();
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(What::Number);
            }
        } else {
            self.digits(&mut digits, Digits::whole)?;
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.skip();
            self.digits(&mut digits, Digits::place)?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.skip();
            let down = self.peek() == Some(b'-');
            if let Some(b'+' | b'-') = self.peek() {
                self.skip();
            }
            let mut power = Digits::default();
            self.digits(&mut power, Digits::whole)?;
            let power = i32::try_from(power.mantissa).unwrap_or(i32::MAX);
            digits.exponent =
                digits.exponent.saturating_add(if down { power.saturating_neg() } else { power });
        }
        if whole && let Some(value) = digits.integer(negative) {
            return Ok(value);
        }
        let size = digits.size();
        if !size.is_finite() {
            return Err(What::Range);
        }
        if size.fract() != 0.0 || size > EXACT {
            return Ok(Json::Float(if negative { -size } else { size }));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within 2^53")]
        let size = size as i64;
        let value = if negative { size.saturating_neg() } else { size };
        Ok(u64::try_from(value).map_or(Json::Negative(value), Json::Unsigned))
    }

    /// One digit or more.
    #[inline(never)]
    fn digits(&mut self, number: &mut Digits, take: fn(&mut Digits, u8)) -> Read<()> {
        let start = self.at;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            take(number, byte & 0xf);
            self.skip();
        }
        if self.at == start { Err(What::Number) } else { Ok(()) }
    }
}

/// A decimal number: `mantissa` · 10^`exponent`.
#[derive(Default)]
struct Digits {
    mantissa: u64,
    exponent: i32,
    /// Digits were lost: beyond 19, only their number counts.
    cut: bool,
}

impl Digits {
    fn push(&mut self, digit: u8) -> bool {
        let longer = self.mantissa.checked_mul(10).and_then(|m| m.checked_add(u64::from(digit)));
        match longer.filter(|_| !self.cut) {
            Some(mantissa) => self.mantissa = mantissa,
            None => self.cut = true,
        }
        !self.cut
    }

    fn whole(&mut self, digit: u8) {
        if !self.push(digit) {
            self.exponent = self.exponent.saturating_add(1);
        }
    }

    fn place(&mut self, digit: u8) {
        if self.push(digit) {
            self.exponent = self.exponent.saturating_sub(1);
        }
    }

    fn integer(&self, negative: bool) -> Option<Json> {
        match (self.cut, negative) {
            (true, _) => None,
            (false, false) => Some(Json::Unsigned(self.mantissa)),
            (false, true) => {
                let value = 0_i64.checked_sub_unsigned(self.mantissa)?;
                Some(u64::try_from(value).map_or(Json::Negative(value), Json::Unsigned))
            }
        }
    }

    /// Exact to the last bit up to 15 digits and 22 places, which is every number an operator writes; beyond, nearly so.
    #[expect(clippy::cast_precision_loss, reason = "above 2^53 the nearest will do")]
    fn size(&self) -> f64 {
        if let Some((whole, part, of)) = self.split() {
            return whole as f64 + part as f64 / of as f64;
        }
        let mut size = self.mantissa as f64;
        let mut left = self.exponent.unsigned_abs();
        while left > 0 && size != 0.0 && size.is_finite() {
            let step = left.min(22);
            let power = (0..step).fold(1.0, |power: f64, _| power * 10.0);
            size = if self.exponent < 0 { size / power } else { size * power };
            left = left.saturating_sub(step);
        }
        size
    }

    /// What stands before the point, and the part of `of` after it, of a mantissa that no double holds: rounded there, a whole
    /// number within 2^53 could become its neighbour.
    fn split(&self) -> Option<(u64, u64, u64)> {
        let places = self.exponent.checked_neg().and_then(|places| u32::try_from(places).ok())?;
        let of = 10_u64.checked_pow(places).filter(|_| places > 0 && self.mantissa > 1 << 53)?;
        Some((self.mantissa.checked_div(of)?, self.mantissa.checked_rem(of)?, of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &[u8]) -> Result<Json, Refused> {
        super::parse(text, Limits { depth: 127, fields: 1000 })
    }

    /// serde_json's reading in our form.
    fn of_serde(value: &serde_json::Value) -> Json {
        use serde_json::Value;
        match value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), ..) => Json::Unsigned(value),
                (_, Some(value), _) => Json::Negative(value),
                (_, _, value) => Json::Float(value.expect("a number")),
            },
            Value::String(text) => Json::Text(text.clone()),
            Value::Array(items) => Json::List(items.iter().map(of_serde).collect()),
            Value::Object(fields) => {
                Json::Object(fields.iter().map(|(key, value)| (key.clone(), of_serde(value))).collect())
            }
        }
    }

    /// Equal, integers to the last digit, but for the last bits of doubles, and for the order of fields, which serde_json may not keep.
    /// Here a double that is a whole number is an integer.
    fn same(ours: &Json, theirs: &Json) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= b.abs() * 1e-14;
        match (ours, theirs) {
            (Json::Float(a), Json::Float(b)) => near(*a, *b),
            (Json::Unsigned(a), Json::Float(b)) => near(*a as f64, *b),
            (Json::Negative(a), Json::Float(b)) => near(*a as f64, *b),
            (Json::List(a), Json::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Json::Object(a), Json::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, a)| b.iter().any(|(other, b)| key == other && same(a, b)))
            }
            (a, b) => a == b,
        }
    }

    fn agrees(text: &[u8]) -> Result<(), String> {
        let shown = || String::from_utf8_lossy(text).into_owned();
        match (parse(text), serde_json::from_slice::<serde_json::Value>(text)) {
            (Ok(ours), Ok(theirs)) if same(&ours, &of_serde(&theirs)) => Ok(()),
            (Err(_), Err(_)) => Ok(()),
            // serde_json keeps the last of two equal keys.
            (Err(Refused::Fields(_)), Ok(_)) => Ok(()),
            (ours, theirs) => Err(format!("{}: {ours:?} against {theirs:?}", shown())),
        }
    }

    #[test]
    fn it_reads_what_serde_json_reads_and_refuses_what_it_refuses() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "1",
            "-1",
            "01",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1E+2",
            "1e-2",
            "0.2",
            "0.0001",
            "1.5e300",
            "1e999",
            "-1e999",
            "1e-999",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "0.1234567890123456789012345",
            "9007199254740993.0",
            "+1",
            "NaN",
            "--1",
            "1 2",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\" 1}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[",
            "{",
            "\"",
            "\"\\\"",
            "\"\\u00\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83dx\"",
            "\"\\ud83d\\u0041\"",
            "\"\\udbff\\udfff\"",
            "\"\\x\"",
            "\"\t\"",
            "\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"",
            "\"\u{7f}é\u{1f600}\"",
            "nul",
            "nulll",
            "truefalse",
            " [ 1 , { \"a\" : null } ] ",
            "\u{feff}1",
            "1\0",
            "[[[[]]]]",
            "{\"a\":{\"b\":[{}]}}",
            "tru",
        ] {
            if let Err(told) = agrees(text.as_bytes()) {
                panic!("{told}");
            }
        }
        for depth in [1, 100, 126, 127, 128, 129, 1000, 100_000] {
            agrees([vec![b'['; depth], vec![b']'; depth]].concat().as_slice()).expect("the same limit");
        }
        agrees(b"\"\xff\"").expect("both refuse what is no UTF-8");
    }

    #[test]
    fn a_decimal_of_more_digits_than_a_double_holds_is_rounded_once() {
        for (text, expected) in [
            ("4620000002401003.20", Json::Unsigned(4_620_000_002_401_003)),
            ("462000000240100320e-2", Json::Unsigned(4_620_000_002_401_003)),
            ("-4620000002401003.20", Json::Negative(-4_620_000_002_401_003)),
            ("563000000119334.87500", Json::Float(563_000_000_119_334.9)),
            ("563000000119334.9400", Json::Unsigned(563_000_000_119_335)),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_ratio_of_four_places_is_the_double_nearest_to_it() {
        for n in 0..=100_000_u32 {
            let text = format!("{}.{:04}", n / 10_000, n % 10_000);
            let expected: f64 = text.parse().expect("a number");
            let found = match parse(text.as_bytes()) {
                Ok(Json::Float(value)) => value,
                Ok(Json::Unsigned(value)) => value as f64,
                other => panic!("{text}: {other:?}"),
            };
            assert_eq!(found.to_bits(), expected.to_bits(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json_on_what_looks_like_json(text in "[\\[\\]{}:,\"\\\\0-9eE.+\\-a-fnrtu \n]{0,24}") {
            prop_assert_eq!(agrees(text.as_bytes()), Ok(()));
        }

        #[test]
        fn it_agrees_with_serde_json_on_numbers(text in "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?") {
            prop_assert_eq!(agrees(text.as_bytes()), Ok(()));
        }

        #[test]
        fn it_agrees_with_serde_json_on_strings(text in any::<String>()) {
            let quoted = serde_json::to_string(&text).expect("a string");
            prop_assert_eq!(parse(quoted.as_bytes()), Ok(Json::Text(text)));
        }

        #[test]
        fn it_survives_any_bytes(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(agrees(&text), Ok(()));
        }
    }
}
