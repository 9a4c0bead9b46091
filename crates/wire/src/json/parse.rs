//! JSON to requests.

use madang_room::Refusal;
use serde::de::DeserializeSeed;

use super::fields::{Field, Fields, Value};
use super::ops;
use crate::{ID_BYTES_MAX, Request, RequestId};

/// A request that can't be carried out as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Its `id`, where that could be read: the refusal is its reply then.
    pub id: Option<RequestId>,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// Reads one object.
pub fn parse(line: &[u8]) -> Result<Request, Refused> {
    let mut fields = Fields::default();
    let syntax = read_fields(line, &mut fields);
    let (id, id_is_wrong) = match read_id(fields.get(Field::Id)) {
        Ok(id) => (id, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let op = syntax.and(id_is_wrong.map_or(Ok(()), Err)).and_then(|()| ops::read(&fields));
    match op {
        Ok(op) => Ok(Request { id, op }),
        Err(refusal) => Err(Refused { id, refusal }),
    }
}

/// Reads a request whose `op` and `id` are told by other means; fields with these names are read over. Without an
/// object it has no fields.
pub fn parse_op(op: &str, object: Option<&str>, id: Option<RequestId>) -> Result<Request, Refused> {
    let mut fields = Fields::default();
    let syntax = object.map_or(Ok(()), |object| read_object(object, &mut fields));
    fields.set(Field::Op, Value::Text(op.into()));
    match syntax.and_then(|()| ops::read(&fields)) {
        Ok(op) => Ok(Request { id, op }),
        Err(refusal) => Err(Refused { id, refusal }),
    }
}

/// What a JSON text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    List,
    Object,
    Text,
    Other,
}

/// What `text` is, where all of it is JSON of at most 128 levels and every number and character in it exists.
pub(crate) fn shape(text: &str) -> Result<Shape, serde_json::Error> {
    Ok(match serde_json::from_str(text)? {
        Value::List => Shape::List,
        Value::Object => Shape::Object,
        Value::Text(_) => Shape::Text,
        _ => Shape::Other,
    })
}

fn read_fields<'a>(line: &'a [u8], fields: &mut Fields<'a>) -> Result<(), Refusal> {
    let line = str::from_utf8(line).map_err(|error| Refusal::NotUtf8 { at: error.valid_up_to() + 1 })?;
    read_object(line, fields)
}

fn read_object<'a>(line: &'a str, fields: &mut Fields<'a>) -> Result<(), Refusal> {
    let mut reader = serde_json::Deserializer::from_str(line);
    let result = fields.deserialize(&mut reader).and_then(|()| reader.end());
    result.map_err(|error| Refusal::BadJson { why: error.to_string() })
}

fn read_id(value: &Value<'_>) -> Result<Option<RequestId>, Refusal> {
    match value {
        Value::Absent => Ok(None),
        Value::Number(number) => Ok(Some(RequestId::Number(number.clone()))),
        Value::Text(text) if text.len() <= ID_BYTES_MAX => Ok(Some(RequestId::Text(text.as_ref().into()))),
        other => {
            let found = match other {
                Value::Text(text) => format!("one of {}", text.len()),
                other => other.describe(),
            };
            let why = format!("\"id\" is a number or a string of at most {ID_BYTES_MAX} bytes, not {found}");
            Err(Refusal::BadCommand { why })
        }
    }
}
