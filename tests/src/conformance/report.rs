//! What an image says of itself and holds, as plain data.

use serde_json::{Map, Value, json};

use super::Image;
use super::layers::Tree;

/// Reduces an image to `config`, `history`, `layers` and `files`. What is absent and what is empty
/// is the same in a configuration. No times are in it.
///
/// # Errors
/// A text that says what is wrong with the image.
pub fn report(image: &Image) -> Result<Value, String> {
    let mut config = Map::new();
    for (key, value) in image.config.as_object().into_iter().flatten() {
        match key.as_str() {
            "created" | "history" | "rootfs" => {}
            "config" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    config.insert(key.clone(), value.clone());
                }
            }
            _ => {
                config.insert(key.clone(), value.clone());
            }
        }
    }
    config.retain(|_, value| !is_empty(value));
    let history: Vec<Value> = image.config["history"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            let mut entry = entry.clone();
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("created");
                entry.retain(|_, value| !is_empty(value));
            }
            entry
        })
        .collect();
    let mut tree = Tree::default();
    let layers: Vec<Vec<String>> = image
        .layers
        .iter()
        .map(|layer| tree.apply(layer))
        .collect::<Result<_, _>>()?;
    Ok(json!({ "config": config, "history": history, "layers": layers, "files": tree.report() }))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
