//! The keys that there are, asked of the struct they are read into: so no list
//! of them can be out of date. Used only when a key is unknown, and by a test.

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The dotted names of all keys of `T`, a struct whose fields are structs of the
/// same kind or options.
pub(super) fn keys_of<T: for<'de> Deserialize<'de>>() -> Vec<String> {
    let mut keys = Vec::new();
    // An input without values fits every such struct, so this cannot fail.
    let _ = T::deserialize(Probe { path: String::new(), keys: &mut keys });
    keys
}

/// Stands for a document that has every key and a value for none.
struct Probe<'a> {
    path: String,
    keys: &'a mut Vec<String>,
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { probe: self, left: fields.iter(), field: "" })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.keys.push(self.path);
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields<'a> {
    probe: Probe<'a>,
    left: std::slice::Iter<'static, &'static str>,
    field: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(field) = self.left.next() else { return Ok(None) };
        self.field = field;
        let name: StrDeserializer<'_, Error> = field.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let path = match self.probe.path.as_str() {
            "" => self.field.to_owned(),
            path => format!("{path}.{}", self.field),
        };
        seed.deserialize(Probe { path, keys: self.probe.keys })
    }
}
