//! An object, written field by field straight into the bytes that will be sent.

use itoa::{Buffer, Integer};
use jiff::fmt::{StdIoWrite, temporal::DateTimePrinter};
use madang_room::Timestamp;
use serde::Serialize;

/// RFC 3339 with milliseconds. What [`Timestamp`] displays, without going through `fmt`.
const AT: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// An object that has been begun. Names of fields are plain words of ours: they need no escaping.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, is_empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    /// Writes the name, and gives what the value is to be written to.
    pub(crate) fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(crate) fn text(&mut self, name: &'static str, text: &str) -> &mut Self {
        push_json(self.name(name), text);
        self
    }

    pub(crate) fn number(&mut self, name: &'static str, number: impl Integer) -> &mut Self {
        self.name(name).extend_from_slice(Buffer::new().format(number).as_bytes());
        self
    }

    pub(crate) fn bool(&mut self, name: &'static str, is: bool) -> &mut Self {
        self.name(name).extend_from_slice(if is { b"true" } else { b"false" });
        self
    }

    pub(crate) fn at(&mut self, name: &'static str, at: Timestamp) -> &mut Self {
        let out = self.name(name);
        out.push(b'"');
        AT.print_timestamp(&at.to_jiff(), StdIoWrite(&mut *out)).expect("a Vec takes every write");
        out.push(b'"');
        self
    }

    pub(crate) fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        let mut object = Object::begin(self.name(name));
        write(&mut object);
        object.end();
        self
    }

    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) -> &mut Self {
        let out = self.name(name);
        out.push(b'[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write(out, item);
        }
        out.push(b']');
        self
    }
}

/// Writes any value, escaping what has to be.
pub(crate) fn push_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("strings and numbers have a JSON form, and a Vec takes every write");
}
