//! Fits what was sent, JSON or parameters, to a type, and says by JSON pointer what does not fit.
//!
//! A deserializer of our own because none at hand knows all three things: where an error is,
//! that a field nobody asked for is an error whether or not the type says so, and that the text
//! of a parameter may be a number.

use crate::problem::FieldError;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde_json::Value;
use std::fmt;
use std::vec;

/// A `T` from a JSON value.
pub(super) fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, FieldError> {
    T::deserialize(Input::Json(value)).map_err(|misfit| misfit.0)
}

/// A `T` from the parameters of a query or form.
pub(super) fn from_pairs<T: DeserializeOwned>(
    pairs: Vec<(String, String)>,
) -> Result<T, FieldError> {
    let mut parameters: Vec<(String, Input)> = Vec::new();
    for (name, text) in pairs {
        if text.contains(['\0', char::REPLACEMENT_CHARACTER]) {
            let misfit = Misfit::of("holds U+0000 or bytes that are not UTF-8");
            return Err(misfit.within(&name).0);
        }
        match parameters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, Input::Texts(texts))) => texts.push(text),
            _ => parameters.push((name, Input::Texts(vec![text]))),
        }
    }
    let members = Members::new(parameters);
    T::deserialize(MapAccessDeserializer::new(members)).map_err(|misfit| misfit.0)
}

/// The parameters of a query or form, decoded.
pub(super) fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

/// What was sent for one value.
enum Input {
    Json(Value),
    /// Every text that a parameter was given; never empty.
    Texts(Vec<String>),
}

/// A value that does not fit its type, and where.
#[derive(Debug)]
struct Misfit(FieldError);

impl Misfit {
    fn of(detail: impl Into<String>) -> Self {
        Self(FieldError::at("", detail))
    }

    /// The same, seen from the object or array that holds it under `key`.
    fn within(mut self, key: &str) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        self.0.pointer = format!("/{key}{}", self.0.pointer);
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(detail: T) -> Self {
        Self::of(detail.to_string())
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let got = match got {
            Unexpected::Bool(_) => "true or false".to_owned(),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number".to_owned(),
            Unexpected::Float(_) => "a number with a fraction".to_owned(),
            Unexpected::Str(_) => "a string".to_owned(),
            Unexpected::Unit | Unexpected::Option => "null".to_owned(),
            Unexpected::Seq => "an array".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            other => other.to_string(),
        };
        Self::of(format!("expected {}, got {got}", plain(expected)))
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let got = match got {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            other => return Self::invalid_type(other, expected),
        };
        Self::of(format!("expected {}, got {got}", plain(expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of("is required").within(field)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let known = expected.join(", ");
        Self::of(format!("is not known here; known are: {known}")).within(field)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::of(format!("is not one of: {}", expected.join(", ")))
    }
}

/// What a type expects, in the words of JSON rather than of Rust.
fn plain(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let plain = match text.as_str() {
        "i8" => "a whole number from -128 to 127",
        "i16" => "a whole number from -32768 to 32767",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "i64" | "isize" => "a whole number",
        "u64" | "usize" => "a whole number, not negative",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") => "one of the known names",
        other => other,
    };
    plain.to_owned()
}

impl Input {
    /// The text of a parameter that is to be given once.
    fn once(mut texts: Vec<String>) -> Result<String, Misfit> {
        match texts.pop() {
            Some(text) if texts.is_empty() => Ok(text),
            _ => Err(Misfit::of(format!(
                "is given {} times; once is possible",
                texts.len() + 1
            ))),
        }
    }
}

macro_rules! parsed_from_text {
    ($($method:ident $visit:ident $expected:literal)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match self {
                Self::Json(_) => self.deserialize_any(visitor),
                Self::Texts(texts) => match Self::once(texts)?.parse() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(Misfit::of(concat!("expected ", $expected))),
                },
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Input {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Self::Texts(texts) => visitor.visit_string(Self::once(texts)?),
            Self::Json(Value::Null) => visitor.visit_unit(),
            Self::Json(Value::Bool(value)) => visitor.visit_bool(value),
            Self::Json(Value::String(text)) => visitor.visit_string(text),
            Self::Json(Value::Array(values)) => visitor.visit_seq(Elements::new(values)),
            Self::Json(Value::Object(members)) => {
                let members = members.into_iter().map(|(key, v)| (key, Self::Json(v)));
                visitor.visit_map(Members::new(members.collect()))
            }
            Self::Json(Value::Number(number)) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (_, Some(value)) => visitor.visit_i64(value),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Self::Json(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Self::Texts(texts) => {
                let values = texts.into_iter().map(Value::String).collect();
                visitor.visit_seq(Elements::new(values))
            }
            Self::Json(_) => self.deserialize_any(visitor),
        }
    }

    /// Only from an object: serde would also take an array of the fields in order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self {
            Self::Json(Value::Array(_)) => {
                Err(de::Error::invalid_type(Unexpected::Seq, &"an object"))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self {
            Self::Texts(texts) => visitor.visit_enum(Self::once(texts)?.into_deserializer()),
            Self::Json(Value::String(name)) => visitor.visit_enum(name.into_deserializer()),
            Self::Json(Value::Object(members)) if members.len() == 1 => {
                let members = members.into_iter().map(|(key, v)| (key, Self::Json(v)));
                let members = Members::new(members.collect());
                visitor.visit_enum(MapAccessDeserializer::new(members))
            }
            Self::Json(_) => self.deserialize_any(visitor),
        }
    }

    /// Serde skips with this what a type has no field for.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::of("is not known here"))
    }

    parsed_from_text! {
        deserialize_bool visit_bool "true or false"
        deserialize_i8 visit_i8 "a whole number"
        deserialize_i16 visit_i16 "a whole number"
        deserialize_i32 visit_i32 "a whole number"
        deserialize_i64 visit_i64 "a whole number"
        deserialize_u8 visit_u8 "a whole number, not negative"
        deserialize_u16 visit_u16 "a whole number, not negative"
        deserialize_u32 visit_u32 "a whole number, not negative"
        deserialize_u64 visit_u64 "a whole number, not negative"
        deserialize_f32 visit_f32 "a number"
        deserialize_f64 visit_f64 "a number"
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier
    }
}

impl IntoDeserializer<'_, Misfit> for Input {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

/// The members of an object, or the parameters of a query.
struct Members {
    rest: vec::IntoIter<(String, Input)>,
    value: Option<(String, Input)>,
}

impl Members {
    fn new(members: Vec<(String, Input)>) -> Self {
        Self {
            rest: members.into_iter(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        let name: StringDeserializer<Misfit> = key.clone().into_deserializer();
        self.value = Some((key, value));
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (key, value) = self
            .value
            .take()
            .ok_or_else(|| Misfit::of("a value was asked for before its key"))?;
        seed.deserialize(value)
            .map_err(|misfit: Misfit| misfit.within(&key))
    }
}

struct Elements(std::iter::Enumerate<vec::IntoIter<Value>>);

impl Elements {
    fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter().enumerate())
    }
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some((index, value)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(Input::Json(value))
            .map(Some)
            .map_err(|misfit: Misfit| misfit.within(&index.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}
