//! The fields of a request: read in one pass whatever their order and types, and asked for by name afterwards.
//!
//! What a field should be depends on `op`, which may come last, and a refusal should carry the `id`, which may come
//! later still. So the first pass takes every value as it is: syntax is the only thing that can be wrong with it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// Every field that some op has. Others are read over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Op,
    Id,
    Nick,
    Resume,
    Room,
    After,
    Before,
    Epoch,
    Capacity,
    Echo,
    Text,
    Key,
    To,
    Prefix,
    Limit,
}

const FIELDS: [(Field, &str); 15] = [
    (Field::Op, "op"),
    (Field::Id, "id"),
    (Field::Nick, "nick"),
    (Field::Resume, "resume"),
    (Field::Room, "room"),
    (Field::After, "after"),
    (Field::Before, "before"),
    (Field::Epoch, "epoch"),
    (Field::Capacity, "capacity"),
    (Field::Echo, "echo"),
    (Field::Text, "text"),
    (Field::Key, "key"),
    (Field::To, "to"),
    (Field::Prefix, "prefix"),
    (Field::Limit, "limit"),
];

impl Field {
    pub(super) fn name(self) -> &'static str {
        FIELDS[self as usize].1
    }
}

/// A value as it was written. What lists and objects hold is of no use to any op.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value<'a> {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Cow<'a, str>),
    List,
    Object,
}

impl Value<'_> {
    /// What it is, for a refusal.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Absent => "nothing".to_owned(),
            Value::Null => "null".to_owned(),
            Value::Bool(is) => is.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(_) => "a string".to_owned(),
            Value::List => "a list".to_owned(),
            Value::Object => "an object".to_owned(),
        }
    }
}

/// The fields of one request.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    values: [Value<'a>; FIELDS.len()],
}

impl<'a> Fields<'a> {
    /// The value of a field. `null` is as good as none: some languages write that for what isn't given.
    pub(super) fn get(&self, field: Field) -> &Value<'a> {
        match &self.values[field as usize] {
            Value::Null => &Value::Absent,
            value => value,
        }
    }

    /// Sets a field, whatever was read for it.
    pub(super) fn set(&mut self, field: Field, value: Value<'a>) {
        self.values[field as usize] = value;
    }
}

/// Reads an object into the fields. What was read stays there when the rest turns out not to be JSON.
impl<'de> DeserializeSeed<'de> for &mut Fields<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an object as {"op":"ping"}"#)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Key(field)) = map.next_key()? {
            let value = map.next_value()?;
            let Some(field) = field else { continue };
            let slot = &mut self.values[field as usize];
            if *slot != Value::Absent {
                return Err(de::Error::custom(format_args!("the field {:?} is there twice", field.name())));
            }
            *slot = value;
        }
        Ok(())
    }
}

/// The name of a field; `None` for one that no op has.
struct Key(Option<Field>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(FIELDS.iter().find(|(_, known)| *known == name).map(|(field, _)| *field)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    /// Unknown fields are read by this, too, and not skipped with [`IgnoredAny`]: it alone keeps to the JSON
    /// reader's limit of 128 levels.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(is))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value<'de>, E> {
        serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("no such number"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Value<'de>, S::Error> {
        while list.next_element::<Value<'de>>()?.is_some() {}
        Ok(Value::List)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value<'de>, M::Error> {
        while map.next_entry::<IgnoredAny, Value<'de>>()?.is_some() {}
        Ok(Value::Object)
    }
}
