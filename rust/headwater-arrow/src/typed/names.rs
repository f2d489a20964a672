//! How typed columns are named beside the columns that every record has.

use std::collections::HashSet;

use arrow_schema::Fields;

use crate::Column;

/// The column that says what is wrong with a value.
pub(crate) const VALUE_ERROR: &str = "value_error";

/// The columns' names, one per field: the field's own, or with `value_` before it where a record column, or a field
/// before, has that name already.
pub(crate) fn output_names(fields: &Fields) -> Vec<String> {
    let mut taken: HashSet<String> = Column::ALL.iter().map(|column| column.name().to_owned()).collect();
    taken.insert(VALUE_ERROR.to_owned());
    // A field whose name is free keeps it, wherever it stands.
    let own: HashSet<&str> =
        fields.iter().map(|field| field.name().as_str()).filter(|name| !taken.contains(*name)).collect();
    let mut names = Vec::with_capacity(fields.len());
    for field in fields {
        let mut name = field.name().clone();
        while taken.contains(&name) || (name != *field.name() && own.contains(name.as_str())) {
            name.insert_str(0, "value_");
        }
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};

    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        output_names(&names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect())
    }

    #[test]
    fn record_columns_keep_their_names() {
        assert_eq!(named(&["delay", "key", "offset"]), ["delay", "value_key", "value_offset"]);
        assert_eq!(named(&["value", "value_error"]), ["value_value", "value_value_error"]);
    }

    #[test]
    fn a_name_that_a_field_has_is_not_given_to_another() {
        assert_eq!(named(&["key", "value_key"]), ["value_value_key", "value_key"]);
        assert_eq!(named(&["value_key", "key"]), ["value_key", "value_value_key"]);
    }
}
