//! The definition as a JSON Schema (draft-07), for editors. A definition can be in several files, of which each has a part: so nothing
//! is required, and `null`, which removes, stands everywhere. <https://json-schema.org/draft-07>

use serde_json::{Map, Value, json};

use super::attributes::{Attribute, Object, Type};
use super::explain::takes;
use super::written::LAB;

/// The schema.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let lab = object(&LAB, &mut definitions);
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "miniascape: the definition of a lab",
    });
    if let (Value::Object(schema), Value::Object(lab)) = (&mut schema, lab) {
        schema.extend(lab);
        schema.insert("definitions".to_owned(), definitions.into());
    }
    schema
}

/// What a map of known keys may be.
fn object(of: &Object, definitions: &mut Map<String, Value>) -> Value {
    let keys = of.keys.iter();
    let properties: Map<String, Value> = keys
        .map(|it| (it.key.to_owned(), property(it, definitions)))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(of: &Attribute, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = value(&of.takes, definitions);
    if let Value::Object(own) = &mut schema {
        let default = match of.default {
            "" => String::new(),
            default => format!(" Default: {default}."),
        };
        let takes = takes(&of.takes);
        let text = format!("{}{default}\n\nTakes {takes}.", of.sentence());
        own.insert("description".to_owned(), text.into());
    }
    schema
}

/// What a value may be, or none.
fn value(of: &Type, definitions: &mut Map<String, Value>) -> Value {
    let mut choices = choices(of, definitions);
    choices.push(json!({"type": "null"}));
    json!({"anyOf": choices})
}

fn choices(of: &Type, definitions: &mut Map<String, Value>) -> Vec<Value> {
    vec![match of {
        Type::Any => json!({}),
        // A bare number is a text as it is written.
        Type::Text => json!({"type": ["string", "number"]}),
        Type::Xml => json!({"type": "string"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::Integer(least, most) => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Type::Size => json!({
            "type": "string",
            "pattern": r"^\s*[0-9]+(\.[0-9]*)?\s*([KMGTPEkmgtpe]([Ii]?[Bb])?|[Bb]([Yy][Tt][Ee][Ss]?)?)\s*$",
        }),
        Type::Duration => json!({
            "type": ["string", "number"],
            "pattern": r"^\s*[0-9]+(\.[0-9]*)?\s*[smh]?\s*$",
        }),
        Type::Name => json!({
            "type": ["string", "number"],
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$",
        }),
        Type::Address => json!({"type": "string", "pattern": r"^[0-9A-Fa-f:.]+$"}),
        Type::Subnet => json!({"type": "string", "pattern": r"^[0-9A-Fa-f:.]+/[0-9]{1,3}$"}),
        Type::Word(words) => {
            let words = words();
            // Bare they are numbers.
            let numbers = words.iter().filter_map(|word| word.parse::<f64>().ok());
            let numbers: Vec<Value> = numbers.map(Value::from).collect();
            let words = words.iter().map(|word| Value::from(*word));
            json!({"enum": words.chain(numbers).collect::<Vec<_>>()})
        }
        Type::OneOf(types) => {
            return types
                .iter()
                .flat_map(|of| choices(of, definitions))
                .collect();
        }
        Type::OneOrList(item) => {
            let mut one = choices(item, definitions);
            one.push(list(item, definitions));
            return one;
        }
        Type::List(item) => list(item, definitions),
        Type::Map(of) => json!({
            "type": "object",
            "additionalProperties": value(of, definitions),
        }),
        Type::Object(of) => reference(of, definitions),
    }]
}

fn list(item: &Type, definitions: &mut Map<String, Value>) -> Value {
    json!({"type": "array", "items": {"anyOf": choices(item, definitions)}})
}

/// A map of known keys by its name among the definitions.
fn reference(of: &Object, definitions: &mut Map<String, Value>) -> Value {
    let name = name(of);
    if !definitions.contains_key(&name) {
        definitions.insert(name.clone(), Value::Null);
        let schema = object(of, definitions);
        definitions.insert(name.clone(), schema);
    }
    json!({"$ref": format!("#/definitions/{name}")})
}

/// `a NIC` is `nic`.
fn name(of: &Object) -> String {
    let bare = of.what.trim_start_matches("an ").trim_start_matches("a ");
    let words = bare.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Two maps of known keys that had one name would be taken for one.
    #[test]
    fn no_two_maps_have_one_name() {
        fn collect(of: &Type, all: &mut BTreeMap<String, Vec<&'static str>>) {
            match of {
                Type::Object(of) => {
                    let keys: Vec<&str> = of.keys.iter().map(|it| it.key).collect();
                    let before = all.insert(name(of), keys.clone());
                    assert!(before.is_none_or(|before| before == keys), "{}", of.what);
                    of.keys.iter().for_each(|it| collect(&it.takes, all));
                }
                Type::OneOf(types) => types.iter().for_each(|of| collect(of, all)),
                Type::OneOrList(of) | Type::List(of) | Type::Map(of) => collect(of, all),
                _ => {}
            }
        }
        let mut all = BTreeMap::new();
        LAB.keys.iter().for_each(|it| collect(&it.takes, &mut all));
        assert!(all.len() > 40, "{}", all.len());
    }
}
