//! Whether a message fits a pattern of a scenario (see [`Pattern`](crate::scenario::syntax::Pattern)).

use serde_json::Value;

/// Whether `value` has everything that `pattern` names.
pub(super) fn fits(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.iter().all(|entry| there.iter().any(|candidate| fits(entry, candidate)))
        }
        (Value::Object(wanted), Value::Object(there)) => {
            wanted.iter().all(|(name, field)| there.get(name).is_some_and(|candidate| fits(field, candidate)))
        }
        (Value::Number(wanted), Value::Number(there)) => wanted == there || wanted.as_f64() == there.as_f64(),
        _ => pattern == value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_are_named_must_fit_and_others_may_be_there() {
        let message = json!({"type": "rosterUpdate", "updates": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]});
        assert!(fits(&json!({"updates": [{"a": 2.0}, {"b": "x"}]}), &message));
        assert!(fits(&json!({"type": "*"}), &message));
        assert!(!fits(&json!({"updates": [{"a": 1, "b": "y"}]}), &message));
        assert!(!fits(&json!({"missing": "*"}), &message));
        assert!(!fits(&json!({"type": "Roster"}), &message));
    }
}
