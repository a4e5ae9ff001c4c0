//! JSON objects as rows: one a line, or the elements of an array (or of a bare sequence) in a `.json` file.

use std::fmt;

use codex_plugin_api::Result;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::index::{Broken, Rows, Scanner};
use crate::kind::{Builder, Cell, Kind, Schema};

/// More keys than this are data, not columns.
const MOST_COLUMNS: usize = 4096;

/// Learns the columns from some rows.
///
/// # Errors
/// Data: a row that is not a JSON object.
pub fn inspect(rows: &Rows<'_>, lines: bool, schema: &mut Schema) -> Result<()> {
    each(rows, lines, |text| parse(text, lines, See(schema)))
}

/// Fills the columns from some rows; a key that is not there is a null.
///
/// # Errors
/// Data: a row that is not a JSON object.
pub fn fill(rows: &Rows<'_>, lines: bool, names: &[String], columns: &mut [Builder]) -> Result<()> {
    each(rows, lines, |text| {
        parse(text, lines, Fill { names, columns })
    })
}

fn each(
    rows: &Rows<'_>,
    lines: bool,
    mut take: impl FnMut(&str) -> serde_json::Result<()>,
) -> Result<()> {
    for (row, text) in rows.iter() {
        let text = if lines { text.trim_end() } else { &text };
        take(text).map_err(|error| {
            let message = error.to_string();
            let what = message
                .rfind(" at line ")
                .map_or(message.as_str(), |end| &message[..end]);
            let below = if lines {
                0
            } else {
                error.line().saturating_sub(1)
            };
            rows.wrong(
                row,
                below as u64,
                &format!("{what} (column {})", error.column()),
            )
            .hint("every row must be one JSON object")
        })?;
    }
    Ok(())
}

/// `alone`: nothing may follow the object.
fn parse<'t, S: DeserializeSeed<'t, Value = ()>>(
    text: &'t str,
    alone: bool,
    seed: S,
) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut deserializer)?;
    if alone { deserializer.end() } else { Ok(()) }
}

const EXPECTED: &str = "a JSON object";

struct See<'a>(&'a mut Schema);

impl<'t> DeserializeSeed<'t> for See<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for See<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let mut guess = 0;
        while let Some(key) = map.next_key_seed(Key)? {
            let kind = map.next_value_seed(KindOf)?;
            guess = self.0.see(&key, guess, kind) + 1;
            if self.0.columns.len() > MOST_COLUMNS {
                return Err(serde::de::Error::custom(format!(
                    "more than {MOST_COLUMNS} different keys so far"
                )));
            }
        }
        Ok(())
    }
}

/// A key, borrowed where it holds no escape.
struct Key;

impl<'t> DeserializeSeed<'t> for Key {
    type Value = std::borrow::Cow<'t, str>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for Key {
    type Value = std::borrow::Cow<'t, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'t str) -> Result<Self::Value, E> {
        Ok(key.into())
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(key.to_owned().into())
    }
}

struct KindOf;

impl<'t> DeserializeSeed<'t> for KindOf {
    type Value = Kind;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for KindOf {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
        Ok(Kind::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind::I64)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        // Identifiers beyond i64 would lose digits as floats.
        Ok(if i64::try_from(value).is_ok() {
            Kind::I64
        } else {
            Kind::Text
        })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::F64)
    }

    fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
        Ok(Kind::Text)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut seq: A) -> Result<Kind, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Kind::Text)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Kind, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Kind::Text)
    }
}

struct Fill<'a> {
    names: &'a [String],
    columns: &'a mut [Builder],
}

impl<'t> DeserializeSeed<'t> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        // A row is whole when every column has one value more than before; of a repeated key the first counts.
        let rows = self.columns.first().map_or(0, Builder::rows) + 1;
        let mut guess = 0;
        while let Some(key) = map.next_key_seed(Key)? {
            let place = match self.names.get(guess) {
                Some(name) if *name == key => Some(guess),
                _ => self.names.iter().position(|name| *name == key),
            };
            match place {
                Some(place) if self.columns[place].rows() < rows => {
                    map.next_value_seed(Push(&mut self.columns[place]))?;
                    guess = place + 1;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        for column in self
            .columns
            .iter_mut()
            .filter(|column| column.rows() < rows)
        {
            column.push(&Cell::Null);
        }
        Ok(())
    }
}

struct Push<'a>(&'a mut Builder);

impl Push<'_> {
    fn push<E: serde::de::Error>(self, cell: &Cell<'_>) -> Result<(), E> {
        if self.0.push(cell) {
            Ok(())
        } else {
            Err(E::custom(
                "a value of another type than when the file was opened",
            ))
        }
    }
}

impl<'t> DeserializeSeed<'t> for Push<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Push<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.push(&Cell::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.push(&Cell::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.push(&Cell::I64(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.push(&Cell::I64(value)),
            Err(_) => self.push(&Cell::Text(&value.to_string())),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.push(&Cell::F64(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.push(&Cell::Text(value))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element::<Value>()? {
            values.push(value);
        }
        self.push(&Cell::Text(&Value::Array(values).to_string()))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        let mut values = serde_json::Map::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            values.insert(key, value);
        }
        self.push(&Cell::Text(&Value::Object(values).to_string()))
    }
}

/// Finds the objects of a top-level array, or of a sequence of objects with white space between them.
#[derive(Debug, Default)]
pub struct ObjectScanner {
    depth: u32,
    /// One bit a level, 1 for an object, the innermost lowest.
    levels: u128,
    in_string: bool,
    escaped: bool,
    array: bool,
    closed: bool,
    /// An object ended and no comma followed it yet.
    after_object: bool,
    after_comma: bool,
}

impl ObjectScanner {
    /// A byte between objects.
    fn between(&mut self, byte: u8, at: u64, starts: &mut Vec<u64>) -> Result<(), Broken> {
        let wrong = |what: &str| {
            Err(Broken {
                at,
                what: what.to_owned(),
            })
        };
        match byte {
            byte if byte.is_ascii_whitespace() => {}
            _ if self.closed => return wrong("something follows the end of the array"),
            b'{' if self.array && self.after_object => {
                return wrong("expected a comma between the array's elements");
            }
            b'{' => {
                starts.push(at);
                (self.depth, self.levels) = (1, 1);
                (self.after_object, self.after_comma) = (false, false);
            }
            b'[' if !self.array && starts.is_empty() => self.array = true,
            b',' if self.array && self.after_object => {
                (self.after_object, self.after_comma) = (false, true);
            }
            b']' if self.array && !self.after_comma => self.closed = true,
            _ => return wrong("expected a JSON object"),
        }
        Ok(())
    }
}

impl Scanner for ObjectScanner {
    fn scan(
        &mut self,
        view: &[u8],
        base: u64,
        seen: u64,
        last: bool,
        starts: &mut Vec<u64>,
    ) -> Result<u64, Broken> {
        let end = base + view.len() as u64;
        let mut place = (seen - base) as usize;
        while place < view.len() {
            let byte = view[place];
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                match memchr::memchr2(b'"', b'\\', &view[place..]) {
                    Some(skip) => {
                        place += skip;
                        self.in_string = view[place] == b'\\';
                        self.escaped = self.in_string;
                    }
                    None => place = view.len(),
                }
            } else if self.depth == 0 {
                self.between(byte, base + place as u64, starts)?;
            } else {
                let at = base + place as u64;
                let wrong = |what: &str| {
                    Err(Broken {
                        at,
                        what: what.to_owned(),
                    })
                };
                match byte {
                    b'"' => self.in_string = true,
                    // The parser's own limit, which would say the same of the row.
                    b'{' | b'[' if self.depth == 127 => {
                        return wrong("nested deeper than 127 levels");
                    }
                    b'{' | b'[' => {
                        self.depth += 1;
                        self.levels = self.levels << 1 | u128::from(byte == b'{');
                    }
                    b'}' if self.levels & 1 == 0 => return wrong("expected `]` before `}`"),
                    b']' if self.levels & 1 == 1 => return wrong("expected `}` before `]`"),
                    b'}' | b']' => {
                        self.depth -= 1;
                        self.levels >>= 1;
                        self.after_object = self.depth == 0;
                    }
                    _ => {}
                }
            }
            place += 1;
        }
        if last && self.depth > 0 {
            let at = starts.last().copied().unwrap_or(0);
            return Err(Broken {
                at,
                what: "the file ends within the object that starts here".into(),
            });
        }
        if last && self.array && !self.closed {
            return Err(Broken {
                at: end,
                what: "the file ends before the array does".into(),
            });
        }
        Ok(end)
    }
}
