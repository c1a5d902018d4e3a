//! The one documented form besides the raw bytes: parse the JSON, drop the
//! property `text`, write it again as JavaScript's `JSON.stringify` would.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A JSON value that keeps the order of its keys and refuses a key given twice
/// at any depth. Nesting is capped by serde_json at 128.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    /// Not an integer: its JavaScript spelling is not worth guessing.
    Fraction,
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// Integers that JavaScript keeps exactly: up to 2^53 - 1.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// The canonical form of a body, or `None` when it has none: not one JSON object, a
/// key given twice, a number or key that JavaScript would spell or order differently.
pub(crate) fn canonical(body: &[u8]) -> Option<Vec<u8>> {
    rewritten(body, |key| key != "text")
}

/// The same for a request to the provider: every property stays.
#[cfg(feature = "simulator")]
pub(crate) fn stringified(body: &[u8]) -> Option<Vec<u8>> {
    rewritten(body, |_| true)
}

fn rewritten(body: &[u8], keeps: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let mut node: Node = serde_json::from_slice(body).ok()?;
    let Node::Map(fields) = &mut node else {
        return None;
    };
    fields.retain(|(key, _)| keeps(key));
    node.is_javascript()
        .then(|| serde_json::to_vec(&node).ok())?
}

impl Node {
    fn is_javascript(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Text(_) => true,
            Self::Unsigned(n) => *n <= MAX_SAFE,
            Self::Signed(n) => n.unsigned_abs() <= MAX_SAFE,
            Self::Fraction => false,
            Self::List(items) => items.iter().all(Self::is_javascript),
            // JavaScript moves integer-like keys to the front.
            Self::Map(fields) => fields.iter().all(|(key, value)| {
                !key.starts_with(|c: char| c.is_ascii_digit()) && value.is_javascript()
            }),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null | Self::Fraction => out.serialize_unit(),
            Self::Bool(value) => out.serialize_bool(*value),
            Self::Unsigned(value) => out.serialize_u64(*value),
            Self::Signed(value) => out.serialize_i64(*value),
            Self::Text(value) => out.serialize_str(value),
            Self::List(items) => {
                let mut list = out.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(fields) => {
                let mut map = out.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = input.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        while let Some(field) = input.next_entry()? {
            fields.push(field);
        }
        let mut keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(A::Error::custom("a key is given twice"));
        }
        Ok(Node::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    fn form(body: &str) -> Option<String> {
        canonical(body.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok())
    }

    #[test]
    fn follows_json_stringify() {
        let cases = [
            (
                r#"{ "b" : 1, "a" : [true, null, "x"] }"#,
                r#"{"b":1,"a":[true,null,"x"]}"#,
            ),
            (
                r#"{"u":"https:\/\/x.example\/cb","c":"Caf\u00e9 \u0026 co"}"#,
                "{\"u\":\"https://x.example/cb\",\"c\":\"Café & co\"}",
            ),
            (
                r#"{"text":"gone","keep":"a\u0001\t"}"#,
                r#"{"keep":"a\u0001\t"}"#,
            ),
            (
                r#"{"inner":{"text":"stays"}}"#,
                r#"{"inner":{"text":"stays"}}"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(form(body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn has_no_form_where_javascript_would_differ() {
        for body in [
            "[]",
            "{",
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"n":1.0}"#,
            r#"{"n":9007199254740993}"#,
            r#"{"1":2}"#,
            r#"{"a":1} x"#,
        ] {
            assert_eq!(form(body), None, "{body}");
        }
        assert_eq!(
            form(&format!(
                "{{\"a\":{}{}}}",
                "[".repeat(4000),
                "]".repeat(4000)
            )),
            None
        );
    }
}
