//! jsonb values in packed bytes.
//!
//! A value is a tag byte and its payload; its length is known from outside. A scalar's payload is its bytes
//! (a numeric, a string). A container is
//!
//! ```text
//! tag | offset width     one byte: the kind, and 0, 1 or 2 in the high nibble for 1, 2 or 4 bytes
//! depth                  one byte: 1 + the deepest child's
//! count                  `width` bytes, little-endian
//! ends                   one offset of `width` bytes an item, from the start of the data
//! data                   the items' bytes
//! ```
//!
//! An array's items are its elements; an object's are all keys, sorted by length and then by bytes as in
//! Postgres, and then all values. So an element is found by one offset and a key by binary search. Widths are
//! the least that fit: equal documents (with equal numeric scales) have equal bytes. It does not know SQL's
//! operators' names or null rules: those are the expression crate's.

mod build;
mod edit;
mod format;
mod order;
mod parse;

#[cfg(test)]
mod tests;

pub use build::{ArrayBuilder, ObjectBuilder, boolean, from_datum, null, number, string};
pub use edit::{
    concat, delete_index, delete_key, delete_keys, delete_path, insert, set, strip_nulls,
};
pub use order::{compare, contains, exists, push_key};
pub use parse::{parse, parse_into};

use crate::row::DecodeError;

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 255;

/// The most bytes of one container, as in Postgres.
pub const MAX_BYTES: usize = 0x0fff_ffff;

mod tag {
    pub const NULL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const NUMBER: u8 = 3;
    pub const STRING: u8 = 4;
    pub const ARRAY: u8 = 5;
    pub const OBJECT: u8 = 6;
    pub const KIND: u8 = 0x0f;
}

/// A borrowed jsonb value. Its derived equality is identity: 1.0 and 1.00 differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Json<'a> {
    bytes: &'a [u8],
}

/// What a value is, in the order in which Postgres sorts kinds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// null
    Null,
    /// A string
    String,
    /// A number
    Number,
    /// true or false
    Boolean,
    /// An array
    Array,
    /// An object
    Object,
}

impl Kind {
    /// The name that `jsonb_typeof` gives.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

/// A value taken apart.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// null
    Null,
    /// true or false
    Boolean(bool),
    /// A number, in the bytes of [`crate::numeric::Numeric`]
    Number(&'a [u8]),
    /// A string
    String(&'a str),
    /// An array
    Array(JsonArray<'a>),
    /// An object
    Object(JsonObject<'a>),
}

impl<'a> Json<'a> {
    /// Wraps bytes that this module built or that [`Json::validate`] accepted.
    pub fn from_packed(bytes: &'a [u8]) -> Json<'a> {
        Json { bytes }
    }

    /// Checks bytes of unknown origin: exactly those that this module can build are accepted.
    pub fn validate(bytes: &'a [u8]) -> Result<Json<'a>, DecodeError> {
        check(bytes, MAX_DEPTH)?;
        Ok(Json { bytes })
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.bytes.first().map_or(tag::NULL, |t| t & tag::KIND) {
            tag::STRING => Kind::String,
            tag::NUMBER => Kind::Number,
            tag::FALSE | tag::TRUE => Kind::Boolean,
            tag::ARRAY => Kind::Array,
            tag::OBJECT => Kind::Object,
            _ => Kind::Null,
        }
    }

    /// The value taken apart.
    pub fn value(&self) -> Value<'a> {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return Value::Null;
        };
        match first & tag::KIND {
            tag::FALSE => Value::Boolean(false),
            tag::TRUE => Value::Boolean(true),
            tag::NUMBER => Value::Number(rest),
            tag::STRING => Value::String(std::str::from_utf8(rest).unwrap_or_default()),
            tag::ARRAY => Value::Array(JsonArray {
                items: Items::open(self.bytes, 1),
            }),
            tag::OBJECT => Value::Object(JsonObject {
                items: Items::open(self.bytes, 2),
            }),
            _ => Value::Null,
        }
    }

    /// Whether it is neither array nor object.
    pub fn is_scalar(&self) -> bool {
        self.kind() < Kind::Array
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<JsonArray<'a>> {
        match self.value() {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<JsonObject<'a>> {
        match self.value() {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// `-> 'key'`: an object's member; `None` for anything else.
    pub fn get(&self, key: &str) -> Option<Json<'a>> {
        self.as_object()?.get(key)
    }

    /// `-> n`: an array's element, counted from the end where negative. A scalar is an array of itself, as in
    /// Postgres.
    pub fn element(&self, index: i32) -> Option<Json<'a>> {
        match self.value() {
            Value::Array(array) => array.get(from_end(index, array.len())?),
            Value::Object(_) => None,
            _ => (index == 0 || index == -1).then_some(*self),
        }
    }

    /// `#> path`: `None` where a step leads nowhere.
    pub fn path<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Option<Json<'a>> {
        let mut at = *self;
        for step in path {
            at = match at.value() {
                Value::Object(object) => object.get(step)?,
                Value::Array(array) => array.get(from_end(path_index(step)?, array.len())?)?,
                _ => return None,
            };
        }
        Some(at)
    }

    /// `->>`'s conversion: a string's characters, null's absence, any other value's text form.
    pub fn to_unquoted(&self) -> Option<String> {
        match self.value() {
            Value::Null => None,
            Value::String(s) => Some(s.to_string()),
            _ => Some(self.to_string()),
        }
    }

    /// Levels of nesting: 0 for scalars.
    pub(crate) fn depth(&self) -> usize {
        if self.is_scalar() {
            0
        } else {
            usize::from(self.bytes.get(1).copied().unwrap_or(0))
        }
    }
}

/// A subscript that may count from the end, as a position.
fn from_end(index: i32, len: usize) -> Option<usize> {
    let at = if index < 0 {
        i64::from(index) + len as i64
    } else {
        i64::from(index)
    };
    usize::try_from(at).ok().filter(|at| *at < len)
}

/// A path step as a subscript, as C's `strtol` reads it: leading white space and a sign are allowed.
fn path_index(step: &str) -> Option<i32> {
    let trimmed = step.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    trimmed.parse().ok()
}

/// A container's items by their offsets.
#[derive(Clone, Copy, Debug)]
struct Items<'a> {
    /// Members or elements.
    count: usize,
    width: usize,
    ends: &'a [u8],
    data: &'a [u8],
}

impl<'a> Items<'a> {
    const EMPTY: Items<'static> = Items {
        count: 0,
        width: 1,
        ends: &[],
        data: &[],
    };

    /// Bytes that are no container give an empty one.
    fn open(bytes: &'a [u8], items_each: usize) -> Items<'a> {
        Items::try_open(bytes, items_each).unwrap_or(Items::EMPTY)
    }

    fn try_open(bytes: &'a [u8], items_each: usize) -> Option<Items<'a>> {
        let width = match bytes.first()? >> 4 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return None,
        };
        let rest = bytes.get(2..)?;
        let count = read_offset(rest, width, 0)?;
        let ends = count.checked_mul(items_each)?.checked_mul(width)?;
        let (ends, data) = rest.get(width..)?.split_at_checked(ends)?;
        Some(Items {
            count,
            width,
            ends,
            data,
        })
    }

    fn end(&self, item: usize) -> Option<usize> {
        read_offset(self.ends, self.width, item)
    }

    fn item(&self, item: usize) -> Option<&'a [u8]> {
        let start = if item == 0 { 0 } else { self.end(item - 1)? };
        self.data.get(start..self.end(item)?)
    }
}

fn read_offset(bytes: &[u8], width: usize, index: usize) -> Option<usize> {
    let at = index.checked_mul(width)?;
    let raw = bytes.get(at..at.checked_add(width)?)?;
    Some(match *raw {
        [a] => usize::from(a),
        [a, b] => usize::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => return None,
    })
}

/// A jsonb array.
#[derive(Clone, Copy, Debug)]
pub struct JsonArray<'a> {
    items: Items<'a>,
}

impl<'a> JsonArray<'a> {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.items.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a position from 0.
    pub fn get(&self, index: usize) -> Option<Json<'a>> {
        if index >= self.len() {
            return None;
        }
        self.items.item(index).map(Json::from_packed)
    }

    /// The elements in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Json<'a>> + Clone + use<'a> {
        let items = self.items;
        (0..items.count).map(move |i| Json::from_packed(items.item(i).unwrap_or_default()))
    }
}

/// A jsonb object: keys are distinct, sorted by length and then by bytes.
#[derive(Clone, Copy, Debug)]
pub struct JsonObject<'a> {
    items: Items<'a>,
}

impl<'a> JsonObject<'a> {
    /// How many members.
    pub fn len(&self) -> usize {
        self.items.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The member of that key, by binary search.
    pub fn get(&self, key: &str) -> Option<Json<'a>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            let found = self.items.item(middle)?;
            match compare_keys(found, key.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    return self.items.item(self.len() + middle).map(Json::from_packed);
                }
            }
        }
        None
    }

    /// The members in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, Json<'a>)> + Clone + use<'a> {
        let items = self.items;
        (0..items.count).map(move |i| {
            let key = items.item(i).unwrap_or_default();
            let value = items.item(items.count + i).unwrap_or_default();
            (
                std::str::from_utf8(key).unwrap_or_default(),
                Json::from_packed(value),
            )
        })
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        self.iter().map(|(key, _)| key)
    }
}

/// The order of keys within an object: shorter first, then by bytes.
fn compare_keys(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Checks one value and gives its depth.
fn check(bytes: &[u8], levels: usize) -> Result<usize, DecodeError> {
    const BAD: DecodeError = DecodeError::Malformed("jsonb");
    let (&first, rest) = bytes.split_first().ok_or(BAD)?;
    match first {
        tag::NULL | tag::FALSE | tag::TRUE if rest.is_empty() => Ok(0),
        tag::NUMBER => match crate::numeric::Numeric::from_bytes(rest) {
            Some(n) if n.is_finite() => Ok(0),
            _ => Err(BAD),
        },
        tag::STRING => std::str::from_utf8(rest).map(|_| 0).map_err(|_| BAD),
        _ => match first & tag::KIND {
            tag::ARRAY => check_container(bytes, 1, levels),
            tag::OBJECT => check_container(bytes, 2, levels),
            _ => Err(BAD),
        },
    }
}

fn check_container(bytes: &[u8], items_each: usize, levels: usize) -> Result<usize, DecodeError> {
    const BAD: DecodeError = DecodeError::Malformed("jsonb");
    let levels = levels
        .checked_sub(1)
        .ok_or(DecodeError::Malformed("jsonb nesting"))?;
    let items = Items::try_open(bytes, items_each).ok_or(BAD)?;
    let total = items.count * items_each;
    let last = if total == 0 {
        0
    } else {
        items.end(total - 1).ok_or(BAD)?
    };
    if last != items.data.len() || items.width != build::width_for(last) || last > MAX_BYTES {
        return Err(BAD);
    }
    let mut deepest = 0;
    let mut previous: Option<&[u8]> = None;
    for i in 0..total {
        let item = items.item(i).ok_or(BAD)?;
        if items_each == 2 && i < items.count {
            std::str::from_utf8(item).map_err(|_| BAD)?;
            if previous.is_some_and(|p| compare_keys(p, item) != std::cmp::Ordering::Less) {
                return Err(BAD);
            }
            previous = Some(item);
        } else {
            deepest = deepest.max(check(item, levels)?);
        }
    }
    if bytes.get(1).copied().map(usize::from) == Some(deepest + 1) {
        Ok(deepest + 1)
    } else {
        Err(BAD)
    }
}
