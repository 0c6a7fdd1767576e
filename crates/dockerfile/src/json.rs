//! The exec form: arguments written as a JSON array of strings.

use serde_json::Value;

use crate::ParseError;
use crate::logical::Fragment;

/// The strings of the array; `None` if the text is no JSON array and therefore means itself.
pub(crate) fn strings(arguments: Fragment) -> Result<Option<Vec<String>>, ParseError> {
    if !arguments.as_str().trim_start().starts_with('[') {
        return Ok(None);
    }
    let Ok(Value::Array(values)) = serde_json::from_str(arguments.as_str()) else { return Ok(None) };
    let string = |value| match value {
        Value::String(text) => Ok(text),
        _ => {
            let message = "when using JSON array syntax, arrays must be comprised of strings only";
            Err(ParseError::new(arguments.span(), message))
        }
    };
    values.into_iter().map(string).collect::<Result<_, _>>().map(Some)
}
