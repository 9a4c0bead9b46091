//! Where a packet's binary attachments belong.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::packet::{ATTACHMENTS_MAX, PacketError};

/// Do the placeholders `{"_placeholder":true,"num":N}` in `data` name each of the attachments once, and none beyond?
/// One is just these two fields: anything else beside `true` is no placeholder for us and might be one for others.
pub fn check_placeholders(data: &str, attachments: usize) -> Result<(), PacketError> {
    if attachments > ATTACHMENTS_MAX {
        return Err(PacketError::TooManyAttachments);
    }
    let mut named = Named { attachments, by_num: [false; ATTACHMENTS_MAX] };
    let mut reader = serde_json::Deserializer::from_str(data);
    (Search { named: &mut named })
        .deserialize(&mut reader)
        .and_then(|_| reader.end())
        .map_err(|_| PacketError::Placeholder("a placeholder has the number of one attachment, each once"))?;
    match named.by_num[..attachments].iter().all(|is_named| *is_named) {
        true => Ok(()),
        false => Err(PacketError::Placeholder("an attachment has no placeholder")),
    }
}

/// Which attachments have been named.
struct Named {
    attachments: usize,
    by_num: [bool; ATTACHMENTS_MAX],
}

impl Named {
    fn name<E: Error>(&mut self, num: Option<u64>) -> Result<(), E> {
        let num = num.and_then(|num| usize::try_from(num).ok()).filter(|num| *num < self.attachments);
        let is_named = num.and_then(|num| self.by_num.get_mut(num));
        let is_named = is_named.ok_or_else(|| E::custom("there is no such attachment"))?;
        if std::mem::replace(is_named, true) {
            return Err(E::custom("the attachment is named twice"));
        }
        Ok(())
    }
}

/// Looks through a value of any kind. What it gives is all that a placeholder can be made of.
struct Search<'n> {
    named: &'n mut Named,
}

#[derive(Clone, Copy, PartialEq)]
enum Scalar {
    True,
    Whole(u64),
    Other,
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Scalar, E> {
        Ok(if is { Scalar::True } else { Scalar::Other })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Scalar, S::Error> {
        while list.next_element_seed(Search { named: self.named })?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Scalar, M::Error> {
        let (mut is_placeholder, mut num, mut fields) = (false, None, 0);
        while let Some(Field(field)) = map.next_key()? {
            let value = map.next_value_seed(Search { named: self.named })?;
            fields += 1;
            match (&*field, value) {
                ("_placeholder", Scalar::True) => is_placeholder = true,
                ("num", Scalar::Whole(whole)) => num = Some(whole),
                _ => {}
            }
        }
        if is_placeholder {
            if fields != 2 {
                return Err(M::Error::custom("a placeholder has two fields"));
            }
            self.named.name(num)?;
        }
        Ok(Scalar::Other)
    }
}

#[derive(Deserialize)]
struct Field<'a>(#[serde(borrow)] Cow<'a, str>);
